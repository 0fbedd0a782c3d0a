# SPDX-License-Identifier: Apache-2.0
"""Whatever a command is given to read: exit status 0, 1 or 2, no traceback, and nothing that acts on a terminal."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bpf_isa.conformance.cli import main
from bpf_isa.conformance.results import document as results_module
from bpf_isa.conformance.suite.suite import VECTORS
from bpf_isa.spec.asm.assemble import assemble

Json: TypeAlias = dict[str, Any]

HERE = Path(__file__).parent
DATA = HERE.parent / "data"
#: Controls but line feeds, what reorders text, and halves of surrogate pairs.
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
NASTY = "\x1b[31m\x07\r\x7f\x9b2J\u202etxet\u2066`<b>|[red]**@all\n\t\x00"

SHT_NULL, SHT_PROGBITS, SHT_STRTAB, SHT_NOBITS = 0, 1, 3, 8
SHF_EXECINSTR, SHF_COMPRESSED = 0x4, 0x800


def run(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    """Run a command, and look at what any command owes its user."""
    done = CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    assert done.exit_code in {0, 1, 2}
    assert not (found := UNSAFE.search(done.output)), (found, done.output)
    assert "Traceback" not in done.output
    return done


def refused(*arguments: str | Path, stdin: bytes | None = None) -> str:
    """Run a command that has to refuse its input; return the message."""
    done = run(*arguments, stdin=stdin)
    assert done.exit_code == 2, done.output
    assert done.output.count("Error: ") == 1
    return done.output


def an_object(
    code: bytes = b"", *, kind: int = SHT_PROGBITS, flags: int = SHF_EXECINSTR, size: int | None = None, name: str = "x"
) -> bytes:
    """Return an ELF object for BPF with one section besides that of names."""
    names = b"\0" + name.encode() + b"\0.shstrtab\0"
    start = 64 + len(code)
    header = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 1, 247, 1, 0, 0, start + len(names), 0, 64, 0, 0, 64, 3, 2)
    sections = [
        (0, SHT_NULL, 0, 0, 0, 0),
        (1, kind, flags, 0, 64, len(code) if size is None else size),
        (2 + len(name.encode()), SHT_STRTAB, 0, 0, start, len(names)),
    ]
    table = b"".join(struct.pack("<IIQQQQIIQQ", *section, 0, 0, 1, 0) for section in sections)
    return header + code + names + table


def a_compressed(content: bytes, size: int) -> bytes:
    return an_object(struct.pack("<IIQQ", 1, 0, size, 8) + content, flags=SHF_EXECINSTR | SHF_COMPRESSED)


CODE = assemble("r0 = 1\nexit")


@pytest.mark.parametrize("command", ["exec", "verify", "disasm"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (a_compressed(b"no zlib data", 16), "Error -3 while decompressing data"),
        (a_compressed(b"", 1 << 40), "section x has 1099511627776 bytes"),
        (an_object(kind=SHT_NOBITS, size=1 << 50), "section x has 1125899906842624 bytes"),
        (an_object(b"", flags=0), "section"),
        (an_object(CODE, flags=SHF_EXECINSTR)[:100], "not a sound ELF file"),
        (an_object(CODE, flags=0, name="\x1b[2J"), "section"),
    ],
    ids=["corrupt", "bomb", "enormous", "no code", "cut", "name"],
)
def test_damaged_objects(tmp_path: Path, command: str, content: bytes, message: str) -> None:
    file = tmp_path / "x.o"
    file.write_bytes(content)
    assert message in refused(command, file)


def test_the_object_of_these_tests_is_one(tmp_path: Path) -> None:
    file = tmp_path / "x.o"
    file.write_bytes(an_object(CODE, name="\x1b[2J"))
    assert run("exec", file).output.splitlines()[0] == "returned after 2 instructions"
    assert run("disasm", file).output == "r0 = 1\nexit\n"
    assert "no section 'y' with code; there are: \\u001b[2J" in refused("exec", "--elf-section", "y", file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[runtimes]\nmine = " + "9" * 5000, "Exceeds the limit"),
        ("[runtimes]\nmine = " + "[" * 5000, "nested too deeply"),
        ("[runtimes]\nmine = " + "{a=" * 5000, "nested too deeply"),
        ("[runtimes]\n'" + "\\u202e" + "' = 3\n", "bpf-isa.toml"),
        ('[runtimes]\n"\\u202e\\u001b" = 3\n', "\\u202e\\u001b"),
        ("\x1b", "bpf-isa.toml"),
    ],
)
def test_configurations(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bpf-isa.toml").write_text(text, encoding="utf-8")
    with chdir(tmp_path):
        assert message in refused("run", "-r", "mine")


def test_too_little_memory_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(path: Path) -> None:
        raise MemoryError

    monkeypatch.setattr(results_module, "read", exhausted)
    assert "not enough memory" in refused("gate", tmp_path / "r.json")


# Results


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Json:
    """Results with failures, and with a runtime that could not be run."""
    file = tmp_path_factory.mktemp("results") / "r.json"
    runtimes = ["reference", "bad=miniature:modulo-floors", "gone=plugin:/no/such/file"]
    chosen = ["-k", "smod64", "--vectors", str(VECTORS / "division.yaml"), "-j", "1", "--json", str(file)]
    run("run", *(word for one in runtimes for word in ("-r", one)), *chosen)
    found: Json = json.loads(file.read_text())
    assert [one["counts"]["fail"] > 0 for one in found["runtimes"]] == [False, True]
    assert len(found["unavailable"]) == 1
    return found


def copied(document: Json) -> Json:
    found: Json = json.loads(json.dumps(document))
    return found


def readers(file: Path, good: Path, folder: Path) -> Iterator[tuple[str | Path, ...]]:
    """Yield the commands that read results."""
    yield "report", "--format", "markdown", file
    yield "report", "--format", "junit", file
    yield "report", "--html", folder / "site", "--format", f"badges={folder / 'badges'}", file
    yield "gate", "--shipped", "--require", "base64", file
    yield "gate", "--json", "-", file
    yield "diff", good, file
    yield "diff", "--json", "-", file, good
    yield "expect", "--unsupported", "-r", "bad", "--update", folder / "new.yaml", file
    yield "coverage", "--vectors", DATA / "sample.yaml", "--confirmed-by", file
    yield "run", "--resume", file


def written(document: object, folder: Path) -> tuple[Path, Path]:
    file = folder / "r.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    return file, folder / "good.json"


def _unknown_group(document: Json) -> None:
    next(iter(document["vectors"].values()))["reported"] = ["base96"]


def _unknown_entry(document: Json) -> None:
    next(iter(document["vectors"].values()))["entry"] = NASTY


def _unknown_vector(document: Json) -> None:
    document["runtimes"][0]["results"][NASTY] = {"verdict": "pass", "outcome": "returned"}


def _no_date(document: Json) -> None:
    document["started"] = "2026-13-45T99:99:99Z"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_unknown_group, "'base96' is no conformance group; known are base32"),
        (_unknown_entry, "refers to the entry"),
        (_unknown_vector, "which is not among the vectors"),
        (_no_date, "is no date"),
    ],
)
def test_results_that_contradict_themselves(document: Json, tmp_path: Path, change: Any, message: str) -> None:
    wrong = copied(document)
    change(wrong)
    written(document, tmp_path)[0].rename(tmp_path / "good.json")
    file, good = written(wrong, tmp_path)
    for command in readers(file, good, tmp_path):
        assert message in refused(*command)


def test_results_that_are_too_large(document: Json, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results_module, "LARGEST_DOCUMENT", 1000)
    for name, content in (("r.json", b" " * 1001), ("r.json.gz", gzip.compress(bytes(10_000)))):
        (tmp_path / name).write_bytes(content)
        assert "larger than" in refused("gate", tmp_path / name)


def test_results_from_a_pipe(document: Json, tmp_path: Path) -> None:
    file, _ = written(document, tmp_path)
    file.with_suffix(".gz").write_bytes(gzip.compress(file.read_bytes()))
    for name in (file, file.with_suffix(".gz")):
        command = f"'{Path(sys.executable).with_name('bpf-isa')}' gate <(cat {name})"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (1, "")


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value of a document but the document itself."""
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield (*path, key)
        yield from places(value, (*path, key))


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict | list):
        for item in (*data, *data.values()) if isinstance(data, dict) else data:
            yield from _texts(item)


def kind(path: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a way in which all ids and numbers are the same."""
    return tuple("*" if isinstance(at, int) or "/" in at else at for at in path)


def test_nothing_in_results_acts_on_a_terminal_or_on_a_page(document: Json, tmp_path: Path) -> None:
    """Every text that the schema leaves open is replaced by all that could do harm, in one place of each kind."""
    written(document, tmp_path)[0].rename(tmp_path / "good.json")
    wrong = copied(document)
    free = 0
    for path in {kind(path): path for path in places(wrong)}.values():
        place: Any = wrong
        for step in path[:-1]:
            place = place[step]
        if isinstance(place[path[-1]], str):
            before, place[path[-1]] = place[path[-1]], NASTY + "\ud800"
            try:
                results_module.read(written(wrong, tmp_path)[0])
                free += 1
            except results_module.ResultsError:
                place[path[-1]] = before
    assert free > 15
    file, good = written(wrong, tmp_path)
    wrong["suite"]["digest"] = "sha256:" + "0" * 64  # else the programs are compared, too
    for command in readers(file, good, tmp_path):
        assert run(*command).output
    for page in (*(tmp_path / "site").rglob("*.html"), *(tmp_path / "badges").rglob("*")):
        if page.is_file():
            text = page.read_text(encoding="utf-8")
            assert not UNSAFE.search(text), page
            assert "<b>|" not in text
    scripts = list((tmp_path / "site" / "data").glob("*.js"))
    assert len(scripts) > 2
    for script in scripts:
        packed = script.read_text(encoding="utf-8").rsplit('"', 2)[1]
        for text in _texts(json.loads(zlib.decompress(base64.b64decode(packed)))):
            assert not UNSAFE.search(text), script


RUNTIME = """
from bpf_isa.adapters.protocol import Outcome, OutcomeKind, Reason
from bpf_isa.adapters.reference import ReferenceAdapter

NASTY = {nasty!a}

class Nasty(ReferenceAdapter):
    def run(self, jobs):
        for number, job in enumerate(jobs):
            kind = list(OutcomeKind)[number % len(OutcomeKind)]
            yield Outcome(kind, 0 if kind == "returned" else None, reason=Reason("odd", NASTY))

def make():
    return Nasty(name=NASTY)
"""


def test_nothing_that_a_runtime_says_acts_on_a_terminal(tmp_path: Path) -> None:
    """Nor does its name; and results that hold what it says can be read again."""
    (tmp_path / "nasty_runtime.py").write_text(RUNTIME.format(nasty=NASTY + "\ud800"), encoding="utf-8")
    with chdir(tmp_path):
        runtimes = ["-r", "a\x1b[2J\u202e=python:nasty_runtime:make", "-r", "gone=plugin:/no/\x1b[2J\u202e"]
        chosen = ["--vectors", str(DATA / "sample.yaml"), "--json", "r.json", "--junit", "r.xml"]
        done = run("run", *runtimes, *chosen)
        assert done.exit_code == 1
        assert "odd: \\u001b[31m" in done.output
        assert not UNSAFE.search(Path("r.xml").read_text(encoding="utf-8"))
        for command in (("gate", "r.json"), ("report", "--format", "markdown", "r.json"), ("diff", "r.json", "r.json")):
            assert run(*command).exit_code < 2


# Anything


def mutants(content: bytes) -> st.SearchStrategy[bytes]:
    """Return what damage makes of ``content``: bytes replaced, taken out, put in, and the end cut off."""
    harm = st.sampled_from(
        [b"\x00", b"\xff", NASTY.encode(), b"9" * 5000, b"[" * 3000, b"{" * 3000, b'"', b"\\ud800", b"\n", b"- ", b": "]
    )
    change = st.tuples(st.integers(0, len(content)), st.integers(0, 12), harm | st.binary(max_size=4))

    def changed(changes: list[tuple[int, int, bytes]]) -> bytes:
        found = content
        for start, length, new in changes:
            found = found[:start] + new + found[start + length :]
        return found

    return st.lists(change, min_size=1, max_size=4).map(changed) | st.binary(max_size=200)


def fuzzed(examples: int) -> settings:
    return settings(max_examples=examples, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


ASSEMBLY = b"r0 = 1\nr1 = 0x10 ll\nif r0 > 3 goto out\n*(u32 *)(r10 - 4) = r0\ncall 5\nr0 = bswap64 r0\nout:\nexit\n"


@fuzzed(60)
@given(content=mutants(ASSEMBLY) | mutants(b"b7000000 01000000 # one\n9500000000000000\n") | mutants(an_object(CODE)))
@example(content=b"b70\x1b[31m")
@example(content=NASTY.encode())
def test_programs(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "program"
    file.write_bytes(content)
    run("asm", file)
    run("asm", "--dialect", "mnemonic", file)
    run("disasm", file)
    run("disasm", "--hex", "--labels", file)
    run("exec", "--budget", "1000", file)
    run("verify", file)
    run("verify", "--json", "-", "--format", "asm", file)


@fuzzed(40)
@given(content=mutants((DATA / "sample.yaml").read_bytes()))
def test_vector_files(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "v.yaml"
    file.write_bytes(content)
    run("lint", "-j", "1", "--rule", "expansion", "--rule", "canonical-form", file)
    run("fmt", "--check", file)
    run("run", "--vectors", file, "-k", "nothing-is-called-so")


@fuzzed(40)
@given(content=mutants((DATA / "datafiles" / "sum-of-bytes.data").read_bytes()))
def test_data_files(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.data"
    file.write_bytes(content)
    assert run("run", "--data", file, "-k", "nothing-is-called-so").exit_code == 2


EXPECTATIONS = b"""runtime: bad
expectations:
  - vectors: "smod64/*"
    verdict: fail
    failure: wrong-result
    reason: it is known
    versions: ">=0,<2"
"""


@fuzzed(30)
@given(content=mutants(EXPECTATIONS))
def test_expectation_files(document: Json, tmp_path: Path, content: bytes) -> None:
    results, _ = written(document, tmp_path)
    file = tmp_path / "known.yaml"
    file.write_bytes(content)
    run("gate", "--expectations", file, results)
    run("expect", "--update", file, results)


CONFIGURATION = b"""[runtimes]
mine = "batch:./build/mine --batch"
[runtimes.jit]
use = "plugin:/bin/false"
args = ["--jit"]
groups = ["base64"]
memory = "1 GiB"
"""


@fuzzed(40)
@given(content=mutants(CONFIGURATION))
def test_configuration_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bpf-isa.toml").write_bytes(content)
    with chdir(tmp_path):
        assert run("run", "-r", "no-such-runtime").exit_code == 2


@fuzzed(30)
@given(data=st.data())
def test_result_files(document: Json, tmp_path: Path, data: st.DataObject) -> None:
    """Documents with a value of another kind somewhere, and files with damaged bytes, compressed or not."""
    written(document, tmp_path)[0].replace(tmp_path / "good.json")
    wrong = copied(document)
    if data.draw(st.booleans()):
        path = data.draw(st.sampled_from(list(places(wrong))))
        place: Any = wrong
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = data.draw(
            st.none() | st.booleans() | st.integers() | st.text() | st.just([]) | st.just({}) | st.floats()
        )
        content = json.dumps(wrong).encode()
    else:
        content = data.draw(mutants(json.dumps(wrong).encode()))
    if data.draw(st.booleans()):
        content = data.draw(mutants(gzip.compress(content)) | st.just(gzip.compress(content)))
    file = tmp_path / "r.json"
    file.write_bytes(content)
    for command in readers(file, tmp_path / "good.json", tmp_path):
        if "--html" not in command:  # takes longer than all others, and reads the same
            run(*command)


def test_names_of_files(tmp_path: Path) -> None:
    name = os.fsdecode(b"\x1b[31m\xff\xe2\x80\xae")
    refused("exec", tmp_path / name)
    (tmp_path / name).write_bytes(b"r0 = \x1b")
    assert "\\u001b[31m\\udcff\\u202e" in refused("asm", tmp_path / name)
    assert "\\u001b[31m\\udcff\\u202e" in refused("gate", tmp_path / name)


def test_unknown_commands_and_options() -> None:
    refused("such\x1b[31m\u202e")
    refused("exec", "--\x1b[31m\u202e")
