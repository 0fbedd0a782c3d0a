# SPDX-License-Identifier: Apache-2.0
"""Data files of bpf_conformance as vectors: what they say, and what is wrong with those that cannot be used."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bpf_isa.adapters.protocol import OutcomeKind
from bpf_isa.adapters.reference import ReferenceAdapter
from bpf_isa.conformance.cli import main
from bpf_isa.conformance.results.document import read
from bpf_isa.conformance.suite.datafiles import DataError, load_data
from bpf_isa.spec.asm.disassemble import disassemble

pytest_plugins = ["pytester"]

DATA = Path(__file__).parents[1] / "data" / "datafiles"


def test_files_are_named_after_their_place_in_the_folder() -> None:
    ids = {vector.id for vector in load_data([DATA]).vectors}
    assert {"data/sum-of-bytes", "data/calls/local"} < ids
    assert len(ids) == len(list(DATA.rglob("*.data")))
    assert [vector.id for vector in load_data([DATA / "calls" / "local.data"]).vectors] == ["data/local"]


def test_what_a_file_says() -> None:
    (vector,) = load_data([DATA / "sum-of-bytes.data"]).vectors
    assert vector.little.memory == bytes.fromhex("010203ff10")
    assert vector.little.expect.registers == {"r0": 0x115}
    assert vector.groups == {"base64"}
    assert disassemble(vector.little.code, labels=True).splitlines()[2] == "    if r2 == 0 goto L2"


def test_an_error_is_a_program_that_must_not_return() -> None:
    (vector,) = load_data([DATA / "bad-register.data"]).vectors
    assert vector.little.expect.rejected
    with ReferenceAdapter() as adapter:
        (outcome,) = adapter.run([vector.job("little")])
    assert outcome.kind is OutcomeKind.REJECTED


def test_the_big_endian_program_has_the_same_instructions() -> None:
    for vector in load_data([DATA / "calls", DATA / "sum-of-bytes.data"]).vectors:
        assert disassemble(vector.big.code, "big") == disassemble(vector.little.code)


def test_runtimes_run_them_and_big_endian_ones_are_not_asked(tmp_path: Path) -> None:
    names = ["reference", "jit", "big=reference:big"]
    arguments = [part for name in names for part in ("-r", name)]
    done = CliRunner().invoke(main, ["run", "--data", str(DATA), *arguments, "--json", str(tmp_path / "r.json")])
    assert done.exit_code == 0, done.output
    reference, jit, big = read(tmp_path / "r.json")["runtimes"]
    number = len(list(DATA.rglob("*.data")))
    assert reference["counts"]["pass"] == jit["counts"]["pass"] == big["counts"]["unsupported"] == number
    assert {result["reason"]["code"] for result in big["results"].values()} == {"byte-order"}


def test_data_files_run_beside_vector_files(tmp_path: Path) -> None:
    sample = str(DATA.parent / "sample.yaml")
    result = tmp_path / "r.json"
    done = CliRunner().invoke(
        main, ["run", "-r", "reference", "--vectors", sample, "--data", str(DATA), "--json", str(result)]
    )
    assert done.exit_code == 0, done.output
    methods = {entry["source"]["method"] for entry in json.loads(result.read_text())["entries"].values()}
    assert methods == {"hand", "data-file"}


GOOD = "-- asm\nmov %r0, 1\nexit\n-- result\n1\n"

WRONG = {
    "no expectation": ("-- asm\nexit\n", "x.data:1: has no expectation"),
    "an empty expectation": ("-- asm\nexit\n-- result\n# 5\n", "x.data:1: has no expectation"),
    "an empty error": ("-- asm\nexit\n-- error\n", "x.data:1: has no expectation"),
    "two expectations": (f"{GOOD}-- error\nno\n", "x.data:7: expects both a result and an error"),
    "no program": ("-- mem\n00\n-- result\n1\n", "x.data:1: has no program"),
    "an empty program": ("-- asm\n\n-- result\n1\n", "x.data:1: has no program"),
    "unknown section": (f"{GOOD}-- sections\n", "x.data:6: the section 'sections' is unknown; known are asm, raw, mem"),
    "a section twice": (f"{GOOD}-- asm\n", "x.data:6: has a second section 'asm'"),
    "text before sections": (f"mov\n{GOOD}", "x.data:1: text before the first section: 'mov'"),
    "no assembly": (GOOD.replace("mov %", "  mv %"), "x.data:2: column 3: expected an instruction"),
    "the other dialect": (GOOD.replace("mov %r0, 1", "r0 = 1"), "x.data:2: column 1: expected an instruction"),
    "raw is no number": ("-- raw\n0x95 zz\n-- error\nno\n", "x.data:2: raw: 'zz' is no number of 64 bits"),
    "raw is too large": (f"-- raw\n0x1{0:016x}\n-- error\nno\n", "raw: '0x10000000000000000' is no number of 64 bits"),
    "raw is another program": (
        f"{GOOD}-- raw\n0x00000001000000b7\n0xb7\n",
        "raw and asm are different programs, from slot 1",
    ),
    "raw is a shorter program": (
        f"{GOOD}-- raw\n0x00000001000000b7\n",
        "raw and asm are different programs, from slot 1",
    ),
    "memory is no hex": (f"{GOOD}-- mem\n00 fg\n", "x.data:7: mem: 'fg' is no byte in hex"),
    "memory of more than a byte": (f"{GOOD}-- mem\n0011\n", "x.data:7: mem: '0011' is no byte in hex"),
    "result is no number": (GOOD.replace("\n1\n", "\none\n"), "x.data:5: result: expected a number of 64 bits"),
    "two results": (f"{GOOD}2\n", "x.data:5: result: expected a number of 64 bits, on one line"),
    "a result that no conforming runtime can give": (
        "-- asm\nmov %r12, 1\nexit\n-- result\n1\n",
        "x.data:5: should return, but slot 0: MOV64_K: dst is r12",
    ),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_files_that_cannot_be_used_are_errors(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.data").write_text(text)
    with pytest.raises(DataError, match=re.escape(message)):
        load_data([tmp_path])


def unreadable(tmp_path: Path) -> Result:
    """Run the files of a folder, of which two cannot be used, as results in r.json."""
    (tmp_path / "good.data").write_text(GOOD)
    (tmp_path / "a.data").write_text("-- asm\nexit\n")
    (tmp_path / "b.data").write_bytes(b"\xff")
    file = tmp_path / "r.json"
    return CliRunner().invoke(main, ["run", "-r", "reference", "--data", str(tmp_path), "--json", str(file)])


def test_files_that_cannot_be_used_are_named_and_the_others_run(tmp_path: Path) -> None:
    done = unreadable(tmp_path)
    assert done.exit_code == 2
    assert re.findall(r"(\w)\.data:1: ([\w ]+)", done.stderr) == [("a", "has no expectation"), ("b", "is no text")]
    assert "1 pass in" in done.stdout
    document = read(tmp_path / "r.json")
    assert document["vectors"].keys() == {"data/good"}
    assert [Path(item["file"]).name for item in document["unread"]] == ["a.data", "b.data"]
    assert "has no expectation" in document["unread"][0]["reason"]


def test_a_failure_counts_more_than_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "wrong.data").write_text(GOOD.replace("\n1\n", "\n2\n"))
    assert unreadable(tmp_path).exit_code == 1


def test_no_gate_opens_for_files_that_were_not_run_and_reports_tell_of_them(tmp_path: Path) -> None:
    unreadable(tmp_path)
    done = CliRunner().invoke(main, ["gate", str(tmp_path / "r.json")])
    assert done.exit_code == 1
    assert re.findall(r"^not run: the run: .*/(\w)\.data: ", done.stdout, re.MULTILINE) == ["a", "b"]
    done = CliRunner().invoke(main, ["report", str(tmp_path / "r.json"), "--format", "markdown"])
    assert "is partial:** 2 data files could not be read" in done.stdout


def test_pytest_takes_no_folder_with_files_that_cannot_be_used(tmp_path: Path, pytester: pytest.Pytester) -> None:
    unreadable(tmp_path)
    arguments = ["--bpf-runtime", "reference", "--bpf-data", str(tmp_path), "--pyargs", "bpf_isa.conformance"]
    done = pytester.runpytest_inprocess(*arguments)
    assert done.ret is pytest.ExitCode.INTERRUPTED
    assert "a.data:1: has no expectation" in done.stdout.str()


@pytest.mark.parametrize(("name", "message"), [("", "holds no data file"), ("missing", "there is no such file")])
def test_there_must_be_files(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_data([tmp_path / name])


def test_two_files_with_one_name_are_an_error(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.data").write_text(GOOD)
    read = load_data([tmp_path / "a", tmp_path / "b"])
    assert [vector.entry.file for vector in read.vectors] == [str(tmp_path / "a" / "x.data")]
    (unread,) = read.unread
    assert unread.file == str(tmp_path / "b" / "x.data")
    assert re.search(r"b/x.data: its vector data/x is also that of .*a/x.data", unread.reason)
