# SPDX-License-Identifier: Apache-2.0
"""`bpf-isa adequacy` as people call it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bpf_isa.conformance import adequacy
from bpf_isa.spec.validate import check

SCHEMA = Path(adequacy.__file__).parent.parent / "schema" / "adequacy.schema.json"
WEAK = """\
# SPDX-License-Identifier: Apache-2.0
source: {name: test, method: hand}
vectors:
  - id: weak
    covers: [rfc9669-4.1-neg]
    asm: |
      r0 = 0
      r0 = -r0
      exit
    expect: {r0: "RESULT"}
"""


def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-c",
        "from bpf_isa.conformance.cli import main; main()",
        "adequacy",
        *map(str, arguments),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"COLUMNS": "200", "PATH": ""})


@pytest.fixture
def weak(tmp_path: Path) -> Path:
    file = tmp_path / "weak.yaml"
    file.write_text(WEAK.replace("RESULT", "0"), encoding="utf-8")
    return file


def test_alive_mutants_are_printed_with_their_operands(weak: Path, tmp_path: Path) -> None:
    found, more = tmp_path / "found.json", tmp_path / "more.yaml"
    run = call("-i", "NEG64", "--vectors", weak, "--json", found, "--suggest", more)
    assert run.returncode == 1, run.stderr
    assert "alive NEG64: does not negate\n" in run.stdout
    assert "    means   dst = -dst\n    mutant  dst = dst\n    differs at  little-endian, dst = r" in run.stdout
    assert "0 undecided" in run.stdout.splitlines()[-1]
    document = json.loads(found.read_text(encoding="utf-8"))
    check(document, SCHEMA)
    assert document["mutants"]["alive"] == sum(one["status"] == "alive" for one in document["findings"]) > 0
    # The suggested vectors are a file of vectors, and with them fewer mutants are alive.
    again = call("-i", "NEG64", "--vectors", weak, "--vectors", more, "--json", found, "-j", "2")
    assert "NEG64: does not negate" not in again.stdout
    after = json.loads(found.read_text(encoding="utf-8"))
    assert after["mutants"]["alive"] < document["mutants"]["alive"]
    assert max(after["unique_kills"].values()) > 0


BAD = [
    (("-i", "NEG46"), "there is no instruction 'NEG46'; did you mean NEG64"),
    (("--json", "/nowhere/found.json", "-i", "NEG64"), "/nowhere"),
    (("-j", "0"), "Invalid value for '-j'"),
    (("--vectors", "/nowhere/vectors.yaml"), "/nowhere/vectors.yaml"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_arguments_give_one_message(weak: Path, arguments: tuple[str, ...], message: str) -> None:
    vectors = () if "--vectors" in arguments else ("--vectors", weak)
    run = call(*arguments, *vectors)
    assert run.returncode == 2
    assert message in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""


def test_vectors_that_fail_on_the_specification_are_refused(weak: Path) -> None:
    weak.write_text(WEAK.replace("RESULT", "1"), encoding="utf-8")
    run = call("-i", "NEG64", "--vectors", weak)
    assert run.returncode == 2
    assert run.stderr == (
        "Error: weak (little-endian) does not pass on the specification; see bpf-isa run -r reference\n"
    )


def test_the_diagnosis_of_mutants_is_counted(weak: Path) -> None:
    weak.write_text(WEAK.replace("r0 = 0\n", "r0 = 3\n").replace("RESULT", "-3"), encoding="utf-8")
    run = call("--diagnosis", "-i", "NEG64", "--vectors", weak, "--sample", "40", "-j", "1")
    assert run.returncode == 0, run.stdout + run.stderr
    *_, last = run.stdout.splitlines()
    right, total = map(int, re.findall(r"(\d+) of (\d+) mutants are diagnosed rightly, 100.0%", last)[0])
    assert right == total > 5, "each is noticed by a vector about NEG64 alone"
    assert re.search(r"^1 vectors; \d+ mutants that no vector notices are left out$", run.stdout, re.MULTILINE)


def test_a_wrong_diagnosis_is_printed(weak: Path) -> None:
    # The program of the only vector has two instructions that are as likely to be at fault, of one kind and width.
    text = (
        WEAK.replace("r0 = -r0\n", "r0 = -r0\n      r0 s%= -5\n")
        .replace("r0 = 0\n", "r0 = 3\n")
        .replace("RESULT", "-3")
    )
    weak.write_text(text, encoding="utf-8")
    run = call("--diagnosis", "-i", "MOV64_K", "--vectors", weak, "--sample", "40", "-j", "1")
    assert run.returncode == 1, run.stdout + run.stderr
    assert "wrong MOV64_K: " in run.stdout
    assert re.search(r"is accused of 1 of 1 failures: rfc9669-", run.stdout)


def test_a_diagnosis_writes_no_files(weak: Path, tmp_path: Path) -> None:
    run = call("--diagnosis", "--vectors", weak, "--json", tmp_path / "x.json")
    assert (run.returncode, "--diagnosis writes no files" in run.stderr) == (2, True)
