# SPDX-License-Identifier: Apache-2.0
"""`--json FILE`: one document that follows its schema, alone on standard output if FILE is `-`."""

import gzip
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bpf_isa.conformance.cli import COMMANDS, main
from bpf_isa.spec.validate import check

from .test_options import WITHOUT_JSON

HERE = Path(__file__).parent.parent
SAMPLE = HERE / "data" / "sample.yaml"
SCHEMAS = Path(__file__).parents[3] / "conformance" / "schema"
#: Of documents with schemas of their own; all others are in one.
OWN_SCHEMAS = {"run": "results", "groups": "groups", "coverage": "coverage", "adequacy": "adequacy"}
PROGRAM = "r0 = *(u8 *)(r1 + 0)\n*(u8 *)(r1 + 0) = r0\nr0 <<= 2\nexit\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs, results of a right and a wrong runtime, and vectors with something to find."""
    folder = tmp_path_factory.mktemp("json")
    (folder / "right.s").write_text(PROGRAM)
    (folder / "wrong.s").write_text("r0 = *(u8 *)(r1 + 9)\n.byte 255, 0, 0, 0, 0, 0, 0, 0\ngoto +0\n")
    (folder / "right.hex").write_text("b700000001000000 ff00000000000000 0500000000000000 950000")
    text = SAMPLE.read_text()
    (folder / "unformed.yaml").write_text(text.replace("source:", "source:   ", 1))
    (folder / "works").write_text("#!/bin/sh\nexit 1\n")
    (folder / "works").chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HERE)
        for name, runtime in (("right", "reference"), ("wrong", "python:faulty:add_forgets_the_carry")):
            arguments = ["-r", f"mine={runtime}", "-j", "1", "--json", str(folder / f"{name}.json")]
            done = CliRunner().invoke(main, ["run", "--vectors", str(SAMPLE), *arguments])
            assert done.exit_code in {0, 1}, done.output
    return folder


def bpf_isa(folder: Path, words: str, *more: str) -> Result:
    places = {"folder": folder, "sample": SAMPLE}
    return CliRunner().invoke(main, [*shlex.split(words.format(**places)), *more], env={"COLUMNS": "200"})


#: For each command what it is called with, and its exit status: the least that makes each kind of document.
CALLS = [
    ("run --vectors {sample} -r reference -k add64 -j 1", 0),
    ("run --vectors {sample} -r reference -r gone=plugin:./gone -k add64 -j 1 -qq", 2),
    ("gate {folder}/right.json", 0),
    ("gate {folder}/wrong.json --require base64", 1),
    ("diff {folder}/right.json {folder}/right.json", 0),
    ("diff {folder}/right.json {folder}/wrong.json", 1),
    ("groups -r reference --vectors {sample}", 0),
    ("runtimes reference", 0),
    ("runtimes gone=plugin:./gone", 1),
    ("coverage --vectors {sample}", 1),
    ("lint {sample} --rule yaml,schema", 0),
    ("lint {folder}/unformed.yaml --rule canonical-form", 1),
    ("lint --list", 0),
    ("adequacy -i NEG64 --vectors {sample} -j 1", 1),
    ("exec {folder}/right.s --memory 2a", 0),
    ("exec {folder}/right.s --memory 2a --trace --map 00,ff", 0),
    ("exec {folder}/right.s --memory 2a --engine jit", 0),
    ("exec {folder}/wrong.s --memory 2a", 1),
    ("exec {folder}/wrong.s", 1),
    ("asm {folder}/right.s", 0),
    ("disasm {folder}/right.hex", 0),
    ("disasm {folder}/right.hex --labels", 0),
    ("verify {folder}/right.s", 0),
    ("verify {folder}/wrong.s", 1),
    ("verify {folder}/right.s --safety --memory-bytes 1", 0),
    ("verify {folder}/right.s --safety", 1),
    ("smoke {folder}/works", 1),
    ("museum linux-ppc64-modulo-by-one", 0),
]


def valid(words: str, text: str) -> dict[str, Any]:
    """The document that a command wrote, which follows its schema."""
    document: dict[str, Any] = json.loads(text)
    schema = OWN_SCHEMAS.get(words.split(maxsplit=1)[0], "commands")
    check(document, SCHEMAS / f"{schema}.schema.json")
    return document


@pytest.mark.parametrize(("words", "status"), CALLS, ids=[words for words, _ in CALLS])
def test_standard_output_has_one_document_and_nothing_else(folder: Path, words: str, status: int) -> None:
    done = bpf_isa(folder, words, "--json", "-")
    assert done.exit_code == status, done.output
    assert done.stderr == "" or done.stderr.startswith(("reference:", "mine:"))
    document = valid(words, done.stdout)
    if words.split(maxsplit=1)[0] not in {"run", "adequacy"}:
        assert document["format"] == f"bpf-isa-{words.split(maxsplit=1)[0]}"


@pytest.mark.parametrize(("words", "status"), [CALLS[at] for at in (3, 7, 9, 10, 15, 19, 20, 23)])
def test_a_file_has_it_beside_the_text_for_people(folder: Path, tmp_path: Path, words: str, status: int) -> None:
    target = tmp_path / "x.json.gz"
    done = bpf_isa(folder, words, "--json", str(target))
    assert done.exit_code == status
    assert done.stdout == bpf_isa(folder, words).stdout != ""
    assert valid(words, gzip.decompress(target.read_bytes()).decode())


def test_every_command_with_json_is_called_above() -> None:
    assert {words.split()[0] for words, _ in CALLS} == COMMANDS.keys() - WITHOUT_JSON - {"bench"}, "it takes long"


def test_what_documents_say(folder: Path) -> None:
    """A sample of what scripts look for."""

    def of(words: str) -> dict[str, Any]:
        return valid(words, bpf_isa(folder, words, "--json", "-").stdout)

    returned = of("exec {folder}/right.s --memory 2a --trace")
    assert (returned["outcome"], returned["r0"], returned["memory"]) == ("returned", "0xa8", "2a")
    assert [step["changed"] for step in returned["trace"]] == [{"r0": "0x2a"}, {}, {"r0": "0xa8"}, {}]
    faulted = of("exec {folder}/wrong.s --memory 2a")
    assert (faulted["outcome"], faulted["fault"]["kind"], faulted["fault"]["slot"]) == (
        "faulted",
        "undefined-instruction",
        1,
    )
    assert of("asm {folder}/right.s")["slots"] == 4
    lines = of("disasm {folder}/right.hex --labels")["lines"]
    assert [(line["slot"], line["label"], line["instruction"]) for line in lines] == [
        (0, None, "MOV64_K"),
        (1, None, None),
        (2, None, "JA"),
        (3, "L1", None),
    ]
    assert lines[1]["problem"] == "opcode 0xff is not defined" and lines[2]["text"] == "goto L1"
    assert of("gate {folder}/wrong.json")["violations"][0]["what"] == "add64-x/carries"
    assert of("lint {folder}/unformed.yaml --rule canonical-form")["findings"][0]["rule"] == "canonical-form"
    assert of("smoke {folder}/works")["missed"] > 0
    assert of("verify {folder}/wrong.s")["findings"][0]["rule"] == "unknown-opcode"


@pytest.mark.parametrize(
    "words",
    ["groups -r reference", "coverage", "lint", "adequacy -i NEG64", "bench", "gate x.json", "smoke true", "run"],
)
def test_a_file_that_could_not_be_written_is_refused_before_anything_is_done(folder: Path, words: str) -> None:
    done = bpf_isa(folder, words, "--json", "no/where.json")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "Error: no/where.json: cannot be written: No such file or directory\n"


def test_names_of_requirements_and_files_for_everything_do_not_go_together(folder: Path) -> None:
    done = bpf_isa(folder, "coverage ADD64_X", "--json", "-")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "leave out the names" in done.stderr


def test_bytes_of_a_program_go_to_standard_output_too(folder: Path) -> None:
    done = bpf_isa(folder, "asm {folder}/right.s -o -")
    assert len(done.stdout_bytes) == 32 and done.stdout_bytes.endswith(bytes([0x95, 0, 0, 0, 0, 0, 0, 0]))
