# SPDX-License-Identifier: Apache-2.0
"""Input that a command has to refuse, and what any command owes the user who gives it some."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from click.testing import CliRunner, Result

from bpf_isa.conformance.cli import main
from bpf_isa.conformance.suite.suite import VECTORS
from bpf_isa.spec.asm.assemble import assemble

Json: TypeAlias = dict[str, Any]

DATA = Path(__file__).parent.parent / "data"
CODE = assemble("r0 = 1\nexit")
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


def results(folder: Path) -> Json:
    """Return results with failures, and with a runtime that could not be run."""
    file = folder / "r.json"
    runtimes = ["reference", "bad=miniature:modulo-floors", "gone=plugin:/no/such/file"]
    chosen = ["-k", "smod64", "--vectors", str(VECTORS / "division.yaml"), "-j", "1", "--json", str(file)]
    run("run", *(word for one in runtimes for word in ("-r", one)), *chosen)
    found: Json = json.loads(file.read_text())
    assert [one["counts"]["fail"] > 0 for one in found["runtimes"]] == [False, True]
    assert len(found["unavailable"]) == 1
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


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value of a document but the document itself."""
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield (*path, key)
        yield from places(value, (*path, key))
