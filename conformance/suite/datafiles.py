# SPDX-License-Identifier: Apache-2.0
"""Vectors in the ``.data`` format of the bpf_conformance suite, read as they are.

A file is a vector. Lines that begin with ``--`` open its sections; ``#`` begins a comment everywhere::

    -- asm
    ldxb %r0, [%r1+2]      # the mnemonic dialect of spec/asm/syntax.py
    exit
    -- mem
    00 11 22 33            # bytes in hex; R1 is their address, R2 their number
    -- result
    0x22                   # R0 at the end of the program

``-- raw`` gives the program as 64-bit numbers, one for each slot, as a little-endian machine reads them; if there is
assembly too, it has to be the same program. ``-- error`` in place of ``-- result`` says that the program must not
return; its text is what some runtime says, which is nobody else's business. The format comes from little-endian
machines, and so do the results: big-endian runtimes are not asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from ...spec.asm.assemble import AsmError, assemble
from ...spec.encoding import SLOT_BYTES, pack, unpack
from ...spec.errors import InputError
from .model import (
    Entry,
    Expectation,
    Level,
    Source,
    Variant,
    Vector,
    VectorError,
)
from .needs import program_needs
from .suite import Suite, Unread

SUFFIX = ".data"
SOURCE = Source(name="a data file in the format of bpf_conformance", method="data-file")

_SECTIONS = ("asm", "raw", "mem", "result", "error")
#: Sections that other tools of the format put into files, and that say nothing about the program.
_IGNORED = re.compile(r"c|no register offset")
_NUMBER = re.compile(r"([-+]?)(0x[0-9a-f]+|[0-9]+)", re.IGNORECASE)
_MASK = (1 << 64) - 1


class DataError(InputError):
    """Data files of which none can be used; the message has a line for each thing that is wrong."""


class _Line(NamedTuple):
    number: int
    text: str


_Sections: TypeAlias = dict[str, list[_Line]]


def load_data(paths: Iterable[Path]) -> Suite:
    """Read the data files that ``paths`` name: files as they are, of folders all ``*.data`` below them.

    Files that cannot be read, have no expectation or have the name of another one are left out; ``unread`` lists
    each why.

    Raises:
        DataError: there is nothing to read, or nothing that can be read.
    """
    vectors: dict[str, Vector] = {}
    files: list[Path] = []
    unread: list[Unread] = []
    for file, name in _find(paths):
        try:
            vector = _vector(file, name)
        except VectorError as error:
            unread.append(Unread(str(file), str(error)))
            continue
        if vector.id in vectors:
            other = vectors[vector.id].entry.file
            unread.append(Unread(str(file), f"{file}: its vector {vector.id} is also that of {other}"))
            continue
        vectors[vector.id] = vector
        files.append(file)
    if not vectors:
        raise DataError("\n".join(one.reason for one in unread))
    return Suite(tuple(vectors.values()), tuple(files), tuple(unread))


def _find(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Yield files and the names of their vectors."""
    for path in paths:
        if path.is_dir():
            below = sorted(path.rglob(f"*{SUFFIX}"))
            if not below:
                raise DataError(f"{path}: the folder holds no data file (*{SUFFIX})")
            for file in below:
                yield file, file.relative_to(path).with_suffix("").as_posix()
        elif path.exists():
            yield path, path.stem
        else:
            raise DataError(f"{path}: there is no such file or folder")


def _vector(file: Path, name: str) -> Vector:
    """Return the vector of a file.

    Raises:
        VectorError: the file is wrong.
    """
    sections = _read(file)
    code = _program(file, sections)
    expect, line = _expectation(file, sections)
    memory = _memory(file, sections.get("mem", []))
    needs = program_needs(code, rejected=expect.rejected)
    if needs.broken is not None and expect.returns:
        raise VectorError(file, line, None, f"should return, but {needs.broken}")
    entry = Entry(
        file=str(file),
        line=line,
        id=f"data/{re.sub(r'[^a-z0-9._/-]', '-', name.lower())}",
        source=SOURCE,
        what="",
        level=Level.MUST,
        extension=None,
        covers=(),
        errata=(),
        asm=None,
        code=None,
        memory=None,
        maps=(),
        variables=(),
        helpers=(),
        expect={},
        rejected=expect.rejected,
        faulted=None,
        cases=[(None, {})],
        byte_order="little",
    )
    little = Variant(code, memory, (), (), expect)
    return Vector(entry.id, None, entry, needs.groups, needs.reported, little, _transposed)


def _transposed(vector: Vector) -> Variant:
    return vector.little._replace(code=pack(unpack(vector.little.code, "little"), "big"))


def _read(file: Path) -> _Sections:
    """Split a file into its sections, without comments and empty lines."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise VectorError(file, 1, None, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise VectorError(file, 1, None, "is no text") from None
    found: _Sections = {}
    into: list[_Line] | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.partition("#")[0].strip()
        if line.startswith("--"):
            name = line[2:].strip()
            if name not in _SECTIONS and not _IGNORED.fullmatch(name):
                known = ", ".join(_SECTIONS)
                raise VectorError(file, number, None, f"the section {name!r} is unknown; known are {known}")
            if name in found:
                raise VectorError(file, number, None, f"has a second section {name!r}")
            into = found[name] = []
        elif line and into is None:
            raise VectorError(file, number, None, f"text before the first section: {line[:40]!r}")
        elif line and into is not None:
            # The place in the line is kept, for the assembler to tell.
            into.append(_Line(number, raw.partition("#")[0]))
    return found


def _program(file: Path, sections: _Sections) -> bytes:
    raw, asm = sections.get("raw", []), sections.get("asm", [])
    if not raw and not asm:
        raise VectorError(file, 1, None, "has no program: neither a section -- asm nor -- raw with something in it")
    code = b"".join(_slot(file, line.number, word) for line in raw for word in line.text.split())
    if not asm:
        return code
    assembled = _assembled(file, asm)
    if raw and code != assembled:
        slot = next(
            (at // SLOT_BYTES for at in range(0, len(code), SLOT_BYTES) if code[at:][:8] != assembled[at:][:8]),
            len(code) // SLOT_BYTES,
        )
        raise VectorError(file, raw[0].number, None, f"raw and asm are different programs, from slot {slot} on")
    return assembled


def _slot(file: Path, line: int, word: str) -> bytes:
    value = _number(word)
    if value is None:
        raise VectorError(file, line, None, f"raw: {word[:40]!r} is no number of 64 bits")
    return value.to_bytes(SLOT_BYTES, "little")


def _assembled(file: Path, lines: Sequence[_Line]) -> bytes:
    text = [""] * lines[-1].number
    for number, line in lines:
        text[number - 1] = line
    try:
        return assemble("\n".join(text), dialect="mnemonic")
    except AsmError as error:
        raise VectorError(file, error.line, None, f"column {error.column}: {error.message}") from None


def _memory(file: Path, lines: Sequence[_Line]) -> bytes | None:
    data = bytearray()
    for line in lines:
        for word in line.text.split():
            if not re.fullmatch(r"(0x)?[0-9a-f]{1,2}", word, re.IGNORECASE):
                raise VectorError(file, line.number, None, f"mem: {word[:40]!r} is no byte in hex")
            data.append(int(word, 16))
    return bytes(data) if data else None


def _expectation(file: Path, sections: _Sections) -> tuple[Expectation, int]:
    """Return what a file expects, and on which line."""
    result, error = sections.get("result", []), sections.get("error", [])
    if result and error:
        raise VectorError(file, error[0].number, None, "expects both a result and an error: keep one of them")
    if error:
        return Expectation({}, rejected=True), error[0].number
    if not result:
        raise VectorError(file, 1, None, "has no expectation: neither -- result nor -- error with something in it")
    value = _number(result[0].text.strip())
    if value is None or len(result) > 1:
        raise VectorError(file, result[0].number, None, "result: expected a number of 64 bits, on one line")
    return Expectation({"r0": value}), result[0].number


def _number(text: str) -> int | None:
    """Return a number as unsigned 64 bits; None if it is none."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    value = int(found[2], 16 if found[2][:2].lower() == "0x" else 10)
    value = -value if found[1] == "-" else value
    return value & _MASK if -(1 << 63) <= value <= _MASK else None
