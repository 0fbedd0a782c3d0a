# SPDX-License-Identifier: Apache-2.0
"""Programs as lines of assembly with their bytes, and the instructions that a vector is about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from ...spec.asm.disassemble import format_instruction
from ...spec.encoding import SLOT_BYTES, DecodeError, identify, unpack
from ...spec.requirements import load_requirements
from ...spec.table import isa
from ..suite.model import Entry, Vector

#: An instruction that occurs in so great a part of the entries serves to set up and to end programs.
_COMMON = 0.1


class Line(NamedTuple):
    """An instruction of a program: its bytes in hex, its assembly, and the name of its row (None if it has none)."""

    code: str
    text: str
    instruction: str | None


def lines(code: bytes) -> Iterator[Line]:
    """Yield the instructions of a little-endian program."""
    at = 0
    while at < len(code):
        size = SLOT_BYTES
        if any(row.wide for row in isa().by_opcode.get(code[at], ())):
            size *= 2
        line = _line(code[at : at + size])
        if line.instruction is None and size > SLOT_BYTES:
            line = _line(code[at : at + SLOT_BYTES])
        yield line
        at += len(line.code) // 2


@lru_cache(maxsize=1 << 16)
def _line(code: bytes) -> Line:
    if len(code) % SLOT_BYTES:
        return Line(code.hex(), _bytes(code, "less than a slot"), None)
    found = identify(unpack(code), 0)
    if isinstance(found, DecodeError):
        return Line(code.hex(), _bytes(code, found.message), None)
    return Line(code.hex(), format_instruction(found), found.instruction.name)


def _bytes(code: bytes, reason: str) -> str:
    return f".byte {', '.join(f'{byte:#04x}' for byte in code)}  # {reason}"


class Subjects:
    """Which instructions vectors are about, found from the ids and the programs of all of them.

    An entry whose id begins with the name of a row (``add64-x/...``) is about that row. Any other is about those
    instructions of its programs that a section of its requirements describes, without those that serve nearly every
    program.
    """

    def __init__(self, entries: Mapping[str, tuple[Entry, Sequence[Vector]]]) -> None:
        self._by_id = {row.name.lower().replace("_", "-"): row.name for row in isa().instructions}
        used: Counter[str] = Counter()
        for _, vectors in entries.values():
            used.update(_instructions(vectors[:1]))
        self._common = {name for name, number in used.items() if number > _COMMON * len(entries)}

    def of(self, vector: Vector) -> tuple[str, ...]:
        """Return the names of the rows that ``vector`` is about, in the order of the program."""
        named = self._by_id.get(vector.entry.id.partition("/")[0])
        if named:
            return (named,)
        described = _sections(vector.entry.covers)
        there = [name for name in _instructions([vector]) if isa().by_name[name].section in described]
        telling = tuple(name for name in there if name not in self._common)
        # What stands around an instruction that is to be rejected is not what the vector is about.
        return telling or (() if vector.little.expect.rejected else tuple(there))


def _instructions(vectors: Iterable[Vector]) -> list[str]:
    found = (line.instruction for vector in vectors for line in lines(vector.little.code))
    return list(dict.fromkeys(name for name in found if name))


@lru_cache(maxsize=4096)
def _sections(covers: tuple[str, ...]) -> frozenset[str]:
    requirements = load_requirements()
    return frozenset(requirements[name].section for name in covers if name in requirements)
