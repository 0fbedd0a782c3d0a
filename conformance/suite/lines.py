# SPDX-License-Identifier: Apache-2.0
"""Lines of programs with holes: what one line puts into a program, and what is left open in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from ...spec.asm.assemble import (
    EndOfRepeat,
    Label,
    Repeat,
    encode_one,
    read_line,
)
from ...spec.asm.forms import bounds
from ...spec.asm.syntax import Hole, Match
from ...spec.asm.tokens import AsmError, number
from ...spec.table import (
    FIELD_RANGES,
    LAST_REGISTER,
    Instruction,
    Isa,
)

#: What fills a hole.
Value: TypeAlias = "str | int"

_REGISTER_HOLE = re.compile(r"(?<=\b[rw])\{([A-Za-z_]\w*)\}", re.ASCII)

#: For each kind of place the parts of its number: where they begin in it, which bits they have, and where they begin in
#: the instruction.
_CHUNKS = {
    "offset": ((0, 0xFFFF, 16),),
    "imm": ((0, 0xFFFF_FFFF, 32),),
    "next_imm": ((0, 0xFFFF_FFFF, 96),),
    "imm64": ((0, 0xFFFF_FFFF, 32), (32, 0xFFFF_FFFF, 96)),
}
_REGISTERS = {str(index): index for index in range(LAST_REGISTER + 1)}


class NumberPlace(NamedTuple):
    """Where the number of a hole goes in its instruction, and which numbers may."""

    chunks: tuple[tuple[int, int, int], ...]
    negative: bool
    low: int
    high: int

    def bits(self, written: Value) -> int | None:
        """Return what a number adds to its instruction, as bits of its bytes in little-endian order.

        None if it is no number, or one that does not fit.
        """
        value = number(written) if isinstance(written, str) else written
        if value is None:
            return None
        if self.negative:
            value = -value
        if not self.low <= value <= self.high:
            return None
        bits = 0
        for begin, mask, at in self.chunks:
            bits |= (value >> begin & mask) << at
        return bits


class RegisterPlace(NamedTuple):
    """In which of the two fields for registers the number of a hole goes."""

    dst: bool
    src: bool

    def bits(self, written: Value) -> int | None:
        """Return what the number of a register adds to its instruction, as :meth:`NumberPlace.bits`."""
        index = _REGISTERS.get(str(written))
        return None if index is None else index * (self.dst + 16 * self.src) << 8


class Opening(NamedTuple):
    """A hole of an instruction: its name, and the place that its value goes to."""

    name: str
    place: NumberPlace | RegisterPlace


class Line(NamedTuple):
    """What a line puts into a program: an instruction, a label, or nothing.

    ``code`` are its bytes in little-endian order, with zeros where it is open. ``target`` is the label that stands
    for a jump's distance, and where the distance goes. ``times`` is how often the lines up to one with 0 ``times``
    are repeated. ``special`` says whether it is more than an instruction without anything open.
    """

    code: bytes
    row: Instruction | None = None
    openings: tuple[Opening, ...] = ()
    target: tuple[str, NumberPlace] | None = None
    label: str | None = None
    times: int | None = None
    special: bool = False

    def with_distance(self, distance: int) -> bytes | None:
        """Return the bytes with the distance to the target in them; None if it is too far away."""
        assert self.target is not None
        bits = self.target[1].bits(distance)
        return None if bits is None else add_bits(self.code, bits)


#: A line that is another instruction for other values of its holes, or no instruction at all.
VARYING = "varying"
#: A line with more than an instruction or a label, or with bytes.
COMPLICATED = "complicated"
Read: TypeAlias = "Line | str"


def add_bits(code: bytes, bits: int) -> bytes:
    """Return ``code`` with bits added where it has zeros."""
    return (int.from_bytes(code, "little") | bits).to_bytes(len(code), "little")


@lru_cache(maxsize=64)
def line_reader(table: Isa) -> Callable[[str], Read]:
    """Return what reads a line: to a :class:`Line`, :data:`VARYING` or :data:`COMPLICATED`.

    It raises AsmError, on line 0, for a line without holes that is wrong.
    """

    return lru_cache(maxsize=1 << 15)(lambda text: _read_text(text, table))


def _read_text(text: str, table: Isa) -> Read:
    plain, holes = _with_r0(text)
    try:
        items = read_line(plain, table)
    except AsmError:
        if "{" in text:
            return VARYING
        raise
    if not items:
        return Line(b"")
    if len(items) == 1 and isinstance(items[0], Label) and not holes:
        return Line(b"", label=items[0].first.text, special=True)
    if len(items) == 1 and isinstance(items[0], Repeat | EndOfRepeat):
        return Line(b"", times=items[0].times if isinstance(items[0], Repeat) else 0, special=True)
    if len(items) > 1 or not isinstance(items[0], Match):
        return COMPLICATED
    registers = _registers(items[0], holes)
    return VARYING if registers is None else _line(items[0], registers)


def _with_r0(text: str) -> tuple[str, dict[int, str]]:
    """Return a line with r0 in the place of holes for registers, and the holes by the columns where r0 stands then."""
    holes: dict[int, str] = {}
    if "{" not in text:
        return text, holes
    parts = _REGISTER_HOLE.split(text)
    plain = parts[0]
    for name, following in zip(parts[1::2], parts[2::2], strict=True):
        holes[len(plain)] = name
        plain += f"0{following}"
    return plain, holes


def _line(match: Match, registers: tuple[Opening, ...]) -> Line:
    row = match.decoded.instruction
    openings = tuple(Opening(hole.name, _number_place(row, hole)) for hole in match.holes) + registers
    target = None
    if match.target is not None:
        field, token = match.target
        target = token.text, NumberPlace(_CHUNKS[field], False, *FIELD_RANGES[field])
    return Line(encode_one(match.decoded, "little"), row, openings, target, special=bool(openings or target))


def _number_place(row: Instruction, hole: Hole) -> NumberPlace:
    return NumberPlace(_CHUNKS[hole.place.field], hole.negative, *bounds(row, hole.place))


def _registers(match: Match, holes: Mapping[int, str]) -> tuple[Opening, ...] | None:
    """Return the holes for registers of a line that has r0 in their place.

    None if other registers could make another instruction of it, or a wrong one: a hole stands where only r0 may, or
    one register is written twice, and not as the same hole.
    """
    names: dict[str, str | None] = {}
    for column, field in match.registers:
        if names.setdefault(field, holes.get(column)) != holes.get(column):
            return None
    if not holes.keys() <= {column for column, _ in match.registers}:
        return None
    return tuple(
        Opening(name, RegisterPlace(names.get("dst") == name, names.get("src") == name))
        for name in dict.fromkeys(holes.values())
    )
