# SPDX-License-Identifier: Apache-2.0
"""`bpf-isa export`: lines that follow the schema, the same bytes every time, and the consumer of the documentation."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bpf_isa.conformance.cli import main
from bpf_isa.conformance.results.export import (
    MANIFEST_FILE,
    SCHEMA_FILE,
    VECTORS_FILE,
    export,
    line,
)
from bpf_isa.conformance.suite.suite import VECTORS, load_suite
from bpf_isa.spec import validate

from ...adapters.compiling import compile_c

DATA = Path(__file__).parents[1] / "data"
PAGE = Path(__file__).parents[3] / "docs" / "export.md"

OWN = """\
# SPDX-License-Identifier: Apache-2.0
source: {name: x, method: hand}
vectors:
  - id: longest
    covers: [rfc9669-4.1-add]
    asm: |
      r0 = 7
      .rept 65534
      r0 += 1
      .endr
      exit
    expect: {r0: "65541"}
  - id: memory
    what: 'a "byte" is read'
    covers: [rfc9669-5.1-ldx-mem-b]
    memory: "01 82"
    asm: |
      r0 = *(u8 *)(r1 + 1)
      exit
    expect: {r0: "0x82"}
  - id: wraps-at-32-bits
    covers: [rfc9669-4.1-wrap-32]
    asm: |
      w0 = -1
      w0 += 1
      exit
    expect: {registers: {r0: "0"}}
  - id: undefined-opcode
    level: robustness
    covers: [rfc9669-4.1-undefined-codes]
    code: "ff00000000000000 9500000000000000"
    expect: {rejected: true}
  - id: run-though-malformed
    level: robustness
    covers: [rfc9669-4.1-undefined-codes]
    code: "0400000001000000 9500000000000000"
    expect: {rejected: true, witness: {r0: "1"}}
  - id: unwritten
    level: robustness
    covers: [rfc9669-3.1-registers]
    asm: |
      r0 = r7
      exit
    expect: {steady: true}
  - id: with-a-map
    covers: [rfc9669-5.4-map-by-fd]
    maps: ["01020304"]
    asm: |
      r1 = map_by_fd(0)
      r0 = 1
      exit
    expect: {r0: "1"}
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(OWN, encoding="utf-8")
    return path


def exported(folder: Path, *vectors: Path) -> list[dict[str, Any]]:
    arguments = [part for path in vectors for part in ("--vectors", str(path))]
    result = CliRunner().invoke(main, ["export", str(folder), *arguments])
    assert result.exit_code == 0, result.output
    with (folder / VECTORS_FILE).open(encoding="ascii") as stream:
        return [json.loads(text) for text in stream]


def test_a_line_has_everything_about_a_vector(own: Path, tmp_path: Path) -> None:
    lines = {data["id"]: data for data in exported(tmp_path / "out", own)}
    one = lines["memory"]
    assert (one["what"], one["level"], one["groups"]) == ('a "byte" is read', "must", ["base32"])
    assert one["requirements"] == ["rfc9669-5.1-ldx-mem-b"]
    assert one["little"]["code"] == "71100100000000009500000000000000"
    assert one["big"]["code"] == "71010001000000009500000000000000"
    for order in ("little", "big"):
        assert (one[order]["memory"], one[order]["outcome"], one[order]["r0"]) == ("0182", "returned", "0x82")
    assert lines["run-though-malformed"]["big"]["outcome"] == "rejected"
    assert lines["run-though-malformed"]["little"]["witness"] == "0x1"
    assert lines["undefined-opcode"]["little"]["r0"] is None
    assert (lines["unwritten"]["big"]["outcome"], lines["unwritten"]["big"]["r0"]) == ("steady", None)
    assert lines["with-a-map"]["little"]["maps"] == ["01020304"]


def test_the_longest_program_is_exported(own: Path, tmp_path: Path) -> None:
    (longest, *_) = exported(tmp_path / "out", own)
    assert len(longest["little"]["code"]) == len(longest["big"]["code"]) == 65536 * 8 * 2


def test_every_line_of_the_suite_follows_the_schema() -> None:
    keys = set()
    for vector in load_suite().vectors:
        # What the cases of an entry have in common is seen with the first.
        if vector.entry.id not in keys or vector.case is None:
            data = line(vector)
            validate.check(data, SCHEMA_FILE)
            keys.add(vector.entry.id)
            assert list(data["little"]) == list(data["big"])
    assert len(keys) > 1000


def test_the_manifest_tells_what_is_there(own: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    exported(folder, own)
    manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="ascii"))
    raw = (folder / VECTORS_FILE).read_bytes()
    assert manifest["file"] == {
        "name": VECTORS_FILE,
        "bytes": len(raw),
        "sha256": hashlib.sha256(raw).hexdigest(),
    }
    assert (manifest["format"], manifest["version"], manifest["vectors"]) == ("bpf-isa-export", 1, 7)
    assert manifest["levels"] == {"must": 4, "robustness": 3}
    assert manifest["outcomes"] == {"rejected": 2, "returned": 4, "steady": 1}
    assert manifest["suite"]["digest"] == load_suite([own]).digest
    assert (folder / SCHEMA_FILE.name).read_bytes() == SCHEMA_FILE.read_bytes()


def test_the_same_vectors_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        export(load_suite([VECTORS / "wide.yaml", VECTORS / "helpers.yaml"]), tmp_path / name, "full")
    first, second = ({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("a", "b"))
    assert first == second
    assert first.keys() == {VECTORS_FILE, MANIFEST_FILE, SCHEMA_FILE.name}


def test_a_folder_that_cannot_be_written_is_one_error(own: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    result = CliRunner().invoke(main, ["export", str(tmp_path / "file" / "out"), "--vectors", str(own)])
    assert result.exit_code == 2
    assert result.output.startswith("Error: ")


def test_the_consumer_of_the_documentation_finds_what_is_wrong(own: Path, tmp_path: Path) -> None:
    (program,) = re.findall(r"```c\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    lines = [text for text in program.splitlines() if text.strip() and not text.startswith("#include")]
    assert (len(lines), "Twenty lines do" in PAGE.read_text(encoding="utf-8")) == (20, True)
    source = tmp_path / "consumer.c"
    source.write_text(program, encoding="utf-8")
    # Feature macros are the program's own business.
    consumer = compile_c(source, tmp_path / "consumer", "-U_GNU_SOURCE", str(DATA / "tiny_runtime.c"))
    exported(tmp_path / "out", own)
    with (tmp_path / "out" / VECTORS_FILE).open("rb") as stream:
        done = subprocess.run([consumer], stdin=stream, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.splitlines() == ["FAIL wraps-at-32-bits", "FAIL run-though-malformed", "3 passed, 2 failed"]
    assert done.returncode == 1


def test_the_documentation_names_every_key() -> None:
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    rows = re.findall(r"^\| (`.*?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert schema["properties"].keys() | schema["definitions"]["variant"]["properties"].keys() <= documented
