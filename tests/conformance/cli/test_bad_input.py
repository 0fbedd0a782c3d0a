# SPDX-License-Identifier: Apache-2.0
"""Whatever a command is given to read: exit status 0, 1 or 2, no traceback, and nothing that acts on a terminal."""

from __future__ import annotations

import base64
import copy
import gzip
import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from bpf_isa.conformance.results import document as results_module

from .bad_input import (
    CODE,
    DATA,
    NASTY,
    SHF_COMPRESSED,
    SHF_EXECINSTR,
    SHT_NOBITS,
    UNSAFE,
    Json,
    an_object,
    places,
    readers,
    refused,
    results,
    run,
    written,
)


def a_compressed(content: bytes, size: int) -> bytes:
    return an_object(struct.pack("<IIQQ", 1, 0, size, 8) + content, flags=SHF_EXECINSTR | SHF_COMPRESSED)


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


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Json:
    return results(tmp_path_factory.mktemp("results"))


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
    wrong = copy.deepcopy(document)
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
    wrong = copy.deepcopy(document)
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


def test_names_of_files(tmp_path: Path) -> None:
    name = os.fsdecode(b"\x1b[31m\xff\xe2\x80\xae")
    refused("exec", tmp_path / name)
    (tmp_path / name).write_bytes(b"r0 = \x1b")
    assert "\\u001b[31m\\udcff\\u202e" in refused("asm", tmp_path / name)
    assert "\\u001b[31m\\udcff\\u202e" in refused("gate", tmp_path / name)


def test_unknown_commands_and_options() -> None:
    refused("such\x1b[31m\u202e")
    refused("exec", "--\x1b[31m\u202e")
