# SPDX-License-Identifier: Apache-2.0
"""Programs with holes: one text that is assembled with many values.

``compile_text("r{d} = {value}")`` gives a :class:`Template`. To assemble it means to replace each hole by its value,
which may be any text, and to assemble the result; where the holes stand for numbers and registers the result is
found faster, by writing their fields into a program that was assembled before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from struct import Struct
from typing import NamedTuple, TypeAlias

from .assemble import Layout, Placed, assemble, encode_one, join, lay_out, read_line, resolve
from .encoding import ByteOrder, Decoded, Program, decode
from .syntax import AsmError, Hole, Match, bounds, number
from .table import LAST_REGISTER, Isa, isa

#: What fills the holes, by their names.
Values: TypeAlias = Mapping[str, str | int]

_HOLE = re.compile(r"\{([A-Za-z_]\w*)\}", re.ASCII)
_REGISTER_HOLE = re.compile(r"(?<=\b[rw])\{([A-Za-z_]\w*)\}", re.ASCII)
_COMMENT = re.compile(r"/\*.*?\*/|(?:#|//).*")
_REPETITION = re.compile(r"(?<![\w.$])\.(rept|endr)(?![\w.$])")
_ORDERS: tuple[ByteOrder, ...] = ("little", "big")


def compile_text(text: str, table: Isa | None = None) -> Template:
    """Prepare a text with holes.

    Raises:
        AsmError: a line without holes is wrong.
    """
    return Template(text, table or isa())


class Template:
    """A program text with ``{holes}``, whose names are in ``holes``.

    ``same_instructions`` says whether all its programs consist of the same instructions, with other registers and
    numbers in them.
    """

    def __init__(self, text: str, table: Isa) -> None:
        self.text = text
        self.holes = frozenset(_HOLE.findall(_COMMENT.sub(" ", text)))
        self._table = table
        self._lines = text.split("\n")
        self._registers: dict[int, tuple[_Register, ...]] = {}
        self._varying = self._sort_lines()
        self.same_instructions = not self._varying
        self._frame: _Frame | None = None
        if not self._varying:
            self._frame = self._frame_of(self._lines)

    def _sort_lines(self) -> list[int]:
        """Return the lines (from 0) that have to be read again for each program; note the holes for registers."""
        varying = []
        repeated = False
        for at, line in enumerate(self._lines):
            marks = _REPETITION.findall(_COMMENT.sub(" ", line))
            within = repeated or bool(marks)
            repeated = marks[-1] == "rept" if marks else repeated
            if not _HOLE.search(line):
                continue
            if within:
                varying.append(at)
            elif not _readable(line, self._table):
                registers = _register_holes(line, self._table)
                if registers:
                    self._registers[at + 1] = registers
                    self._lines[at] = _REGISTER_HOLE.sub("0", line)
                else:
                    varying.append(at)
        return varying

    def _frame_of(self, lines: list[str]) -> _Frame:
        return _Frame(lay_out("\n".join(lines), self._table), self._registers)

    def assemble(self, values: Values, byte_order: ByteOrder = "little") -> bytes:
        """Return the program for ``values``; those that no hole asks for are ignored.

        Raises:
            AsmError: a value is missing or does not fit, or the text with the values in it is wrong.
        """
        filled = {at + 1: _fill(self._lines[at], values) for at in self._varying}
        code = self._frame.assemble(filled, values, byte_order, self._table) if self._frame else None
        if code is None and filled and not any("\n" in text for text in filled.values()):
            lines = self._lines.copy()
            for line, text in filled.items():
                lines[line - 1] = text
            self._frame = self._frame_of(lines)
            code = self._frame.assemble({}, values, byte_order, self._table)
        return assemble(_fill(self.text, values), byte_order, self._table) if code is None else code

    def program(self, values: Values) -> Program:
        """Return the program for ``values`` as instructions by slot.

        Raises:
            AsmError: see :meth:`assemble`.
            DecodeError: bytes that the text gives with ``.byte`` are no instructions.
        """
        return decode(self.assemble(values), "little", self._table)


def _fill(text: str, values: Values) -> str:
    return _HOLE.sub(lambda hole: str(values.get(hole[1], hole[0])), text)


def _readable(line: str, table: Isa) -> bool:
    """Whether a line can be read as it is, with holes for numbers only."""
    try:
        read_line(line, table)
    except AsmError:
        return False
    return True


class _Register(NamedTuple):
    """A hole for the number of a register, and in which of the two fields that number stands."""

    name: str
    dst: bool
    src: bool


def _register_holes(line: str, table: Isa) -> tuple[_Register, ...]:
    """Return the holes for registers of a line; none if other registers could make another instruction of it."""

    def read(**numbers: int) -> Decoded | None:
        text = _REGISTER_HOLE.sub(lambda hole: str(numbers.get(hole[1], 0)), line)
        items = read_line(text, table) if _readable(text, table) else ()
        return items[0].decoded if len(items) == 1 and isinstance(items[0], Match) else None

    base = read()
    found = []
    for name in dict.fromkeys(_REGISTER_HOLE.findall(line)):
        last = read(**{name: LAST_REGISTER})
        if base is None or last is None or last.instruction is not base.instruction:
            return ()
        found.append(_Register(name, last.dst != base.dst, last.src != base.src))
    return tuple(found)


class _Frame:
    """A program that was laid out for some values. Others change single instructions, registers and numbers in it."""

    def __init__(self, layout: Layout, registers: Mapping[int, tuple[_Register, ...]]) -> None:
        self._labels = layout.labels
        self._with_label = {line for _, line in layout.labels.values()}
        self._by_line: dict[int, list[Placed]] = {}
        for item in layout.items:
            self._by_line.setdefault(item.line, []).append(item)
        self._base: dict[ByteOrder, bytes] = {}
        self._patches: dict[ByteOrder, list[_NumberPatch | _RegisterPatch]] = {}
        for order in _ORDERS:
            self._base[order] = join(layout.items, order)
            self._patches[order] = [patch for item in layout.items for patch in _number_patches(item, order)]
            self._patches[order] += [
                _register_patch(hole, item, order) for item in layout.items for hole in registers.get(item.line, ())
            ]

    def assemble(self, filled: Mapping[int, str], values: Values, order: ByteOrder, table: Isa) -> bytes | None:
        """Return the program with other texts for the lines ``filled``; None if it needs a layout of its own."""
        code = bytearray(self._base[order])
        patches = self._patches[order]
        if filled:
            patches = [patch for patch in patches if patch.line not in filled]
        for line, text in filled.items():
            new = self._replace(line, text, table)
            if new is None or not isinstance(new.what, Decoded):
                return None
            data = encode_one(new.what, order)
            code[new.at : new.at + len(data)] = data
            patches += _number_patches(new, order)
        if all(patch.apply(code, values) for patch in patches):
            return bytes(code)
        return None

    def _replace(self, line: int, text: str, table: Isa) -> Placed | None:
        """Return the instruction that ``text`` puts in the place of the only one of ``line``; None if it does not."""
        before = self._by_line.get(line, ())
        if len(before) != 1 or line in self._with_label or "\n" in text:
            return None
        try:
            items = read_line(text, table)
        except AsmError as error:
            raise error.on_line(line) from None
        old = before[0].what
        if len(items) != 1 or not isinstance(items[0], Match) or not isinstance(old, Decoded):
            return None
        new = items[0]
        if old.instruction.slots != new.decoded.instruction.slots:
            return None
        try:
            return resolve(new, line, before[0].at, self._labels)
        except AsmError:  # in a layout of its own, its label may be nearer
            return None


class _Chunk(NamedTuple):
    """Bits ``shift`` and up of a number, under ``mask``, at a byte ``position`` of the program."""

    packer: Struct
    position: int
    shift: int
    mask: int


class _NumberPatch(NamedTuple):
    """How to write a number into a program."""

    hole: Hole
    line: int
    low: int
    high: int
    chunks: tuple[_Chunk, ...]

    def apply(self, code: bytearray, values: Values) -> bool:
        """Write the value of the hole; False if it is missing or no number."""
        written = values.get(self.hole.name)
        value = number(written) if isinstance(written, str) else written
        if value is None:
            return False
        if self.hole.negative:
            value = -value
        if not self.low <= value <= self.high:
            raise AsmError(self.line, self.hole.column, f"a number from {self.low} to {self.high}", str(written))
        for packer, position, shift, mask in self.chunks:
            packer.pack_into(code, position, value >> shift & mask)
        return True


_STRUCTS = {
    ("little", 2): Struct("<H"),
    ("little", 4): Struct("<I"),
    ("big", 2): Struct(">H"),
    ("big", 4): Struct(">I"),
}
#: For each kind of place: width in bytes, position in the instruction and lowest bit of the parts of its number.
_CHUNKS = {"offset": [(2, 2, 0)], "imm": [(4, 4, 0)], "next_imm": [(4, 12, 0)], "imm64": [(4, 4, 0), (4, 12, 32)]}


def _number_patches(item: Placed, order: ByteOrder) -> list[_NumberPatch]:
    return [_number_patch(item, hole, order) for hole in item.holes]


def _number_patch(item: Placed, hole: Hole, order: ByteOrder) -> _NumberPatch:
    assert isinstance(item.what, Decoded)
    low, high = bounds(item.what.instruction, hole.place)
    chunks = tuple(
        _Chunk(_STRUCTS[order, width], item.at + position, shift, (1 << 8 * width) - 1)
        for width, position, shift in _CHUNKS[hole.place.field]
    )
    return _NumberPatch(hole, item.line, low, high, chunks)


_REGISTER_NUMBERS = {str(number): number for number in range(LAST_REGISTER + 1)}


class _RegisterPatch(NamedTuple):
    """How to write the number of a register into a program: times ``factor``, to the byte at ``position``."""

    name: str
    position: int
    factor: int
    line: int

    def apply(self, code: bytearray, values: Values) -> bool:
        """Write the number; False if it is missing or no register has it."""
        number = _REGISTER_NUMBERS.get(str(values.get(self.name)))
        if number is None:
            return False
        code[self.position] |= number * self.factor
        return True


def _register_patch(register: _Register, item: Placed, order: ByteOrder) -> _RegisterPatch:
    dst, src = (1, 16) if order == "little" else (16, 1)
    return _RegisterPatch(register.name, item.at + 1, register.dst * dst + register.src * src, item.line)
