# SPDX-License-Identifier: Apache-2.0
"""Programs with holes: one text that is assembled with many values.

``compile_text("r{d} = {value}")`` gives a :class:`Template`. To assemble it means to replace each hole by its value,
which may be any text, and to assemble the result; where the holes stand for numbers and registers the result is
found faster, by writing their fields into a program that was assembled before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple, TypeAlias

from .assemble import Layout, Placed, assemble, encode_one, join, lay_out, parts_of, read_line, resolve
from .encoding import ByteOrder, Decoded, Program, decode
from .syntax import AsmError, Hole, Match, bounds, number
from .table import LAST_REGISTER, Instruction, Isa, isa

#: What fills the holes, by their names.
Values: TypeAlias = Mapping[str, str | int]

_HOLE = re.compile(r"\{([A-Za-z_]\w*)\}", re.ASCII)
_REGISTER_HOLE = re.compile(r"(?<=\b[rw])\{([A-Za-z_]\w*)\}", re.ASCII)
_COMMENT = re.compile(r"/\*.*?\*/|(?:#|//).*")
_REPETITION = re.compile(r"(?<![\w.$])\.(rept|endr)(?![\w.$])")


def compile_text(text: str, table: Isa | None = None) -> Template:
    """Prepare a text with holes.

    Raises:
        AsmError: a line without holes is wrong.
    """
    return Template(text, table or isa())


class Template:
    """A program text with ``{holes}``, whose names are in ``holes``.

    ``instructions`` are those of the program that was made last; None if they are not known without decoding it.
    ``same_instructions`` says whether all programs made so far consist of the same instructions, with other registers
    and numbers in them.
    """

    def __init__(self, text: str, table: Isa) -> None:
        self.text = text
        self.holes = frozenset(_HOLE.findall(_COMMENT.sub(" ", text)))
        self._table = table
        self._lines = text.split("\n")
        self._registers: dict[int, tuple[_Register, ...]] = {}
        self._varying = self._sort_lines()
        self.same_instructions = not self._varying
        self.instructions: frozenset[Instruction] | None = None
        self._frame: _Frame | None = None
        if not self._varying:
            self._frame = self._frame_of(self._lines)

    def _sort_lines(self) -> list[int]:
        """Return the lines (from 0) that have to be read again for each program; note the holes for registers."""
        varying = []
        repeated, repetitions = False, ".rept" in self.text
        for at, line in enumerate(self._lines):
            marks = _REPETITION.findall(_COMMENT.sub(" ", line)) if repetitions else []
            within = repeated or bool(marks)
            repeated = marks[-1] == "rept" if marks else repeated
            if "{" not in line or not _HOLE.search(line):
                continue
            if within:
                varying.append(at)
            elif registers := _register_holes(line, self._table):
                self._registers[at + 1] = registers
                self._lines[at] = _REGISTER_HOLE.sub("0", line)
            elif not _readable(line, self._table):
                varying.append(at)
        return varying

    def _frame_of(self, lines: list[str]) -> _Frame:
        return _Frame(lay_out("\n".join(lines), self._table), self._registers)

    def assemble(self, values: Values, byte_order: ByteOrder = "little") -> bytes:
        """Return the program for ``values``; those that no hole asks for are ignored.

        Raises:
            AsmError: a value is missing or does not fit, or the text with the values in it is wrong.
        """
        code = self.instructions = None
        if self._frame and self.same_instructions:
            code = self._frame.blank(byte_order).fill(values)
            self.instructions = self._frame.instructions if code is not None else None
            # A value that is no number may make anything of its line.
            self.same_instructions = code is not None
        elif self._varying:
            filled = {at + 1: _fill(self._lines[at], values) for at in self._varying}
            code = self._with_lines(filled, values, byte_order)
        return assemble(_fill(self.text, values), byte_order, self._table) if code is None else code

    def _with_lines(self, filled: Mapping[int, str], values: Values, byte_order: ByteOrder) -> bytes | None:
        """Return the program with the texts ``filled`` for its lines; None if they have to be read with the others."""
        code = self._frame.assemble(filled, values, byte_order, self._table) if self._frame else None
        if code is None and not any("\n" in text for text in filled.values()):
            lines = self._lines.copy()
            for line, text in filled.items():
                lines[line - 1] = text
            self._frame = self._frame_of(lines)
            code = self._frame.blank(byte_order).fill(values)
        self.instructions = self._frame.instructions if self._frame and code is not None else None
        return code

    def by_position(self, names: Sequence[str]) -> Callable[[Sequence[str]], bytes | None]:
        """Return a faster :meth:`assemble` for values in the order of ``names``, little-endian; all holes are named.

        It returns None where :meth:`assemble` has to be asked. There is one only if all programs have the
        :attr:`same_instructions`.
        """
        assert self._frame is not None
        return self._frame.blank("little").by_position(names)

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


@lru_cache(maxsize=1 << 12)
def _register_holes(line: str, table: Isa) -> tuple[_Register, ...]:
    """Return the holes for registers of a line; none if other registers could make another instruction of it."""

    def read(**numbers: int) -> Decoded | None:
        text = _REGISTER_HOLE.sub(lambda hole: str(numbers.get(hole[1], 0)), line)
        items = read_line(text, table) if _readable(text, table) else ()
        return items[0].decoded if len(items) == 1 and isinstance(items[0], Match) else None

    names = dict.fromkeys(_REGISTER_HOLE.findall(line))
    if not names:
        return ()
    base = read()
    found = []
    for name in names:
        last = read(**{name: LAST_REGISTER})
        if base is None or last is None or last.instruction is not base.instruction:
            return ()
        found.append(_Register(name, last.dst != base.dst, last.src != base.src))
    return tuple(found)


class _Frame:
    """A program that was laid out for some values. Others change single instructions, registers and numbers in it."""

    def __init__(self, layout: Layout, registers: Mapping[int, tuple[_Register, ...]]) -> None:
        self._labels = layout.labels
        self._items = layout.items
        self._patches: list[_Patch] = [patch for item in self._items if item.holes for patch in _number_patches(item)]
        if registers:
            self._patches += [
                _RegisterPatch(hole.name, hole, item.at + 1, item.line)
                for item in self._items
                for hole in registers.get(item.line, ())
            ]
        self._blanks: dict[ByteOrder, _Blank] = {}
        #: Those of the program that was made last.
        self.instructions = self._instructions(())
        self._rest: tuple[Collection[int], frozenset[Instruction] | None] = (), self.instructions

    @cached_property
    def _by_line(self) -> dict[int, list[Placed]]:
        found: dict[int, list[Placed]] = {}
        for item in self._items:
            found.setdefault(item.line, []).append(item)
        return found

    @cached_property
    def _with_label(self) -> frozenset[int]:
        return frozenset(line for _, line in self._labels.values())

    def _instructions(self, without: Collection[int]) -> frozenset[Instruction] | None:
        """Return the instructions of all lines but some; None if there is anything else."""
        rows = set[Instruction]()
        for item in self._items:
            if item.line in without:
                continue
            for part in (item.what,) if isinstance(item.what, Decoded) else parts_of(item):
                if isinstance(part, bytes):
                    return None
                rows.add(part.instruction)
        return frozenset(rows)

    def blank(self, order: ByteOrder) -> _Blank:
        """Return the program as it was laid out, to be filled with values."""
        found = self._blanks.get(order)
        if found is None:
            found = self._blanks[order] = _Blank(join(self._items, order), self._patches, order)
        return found

    def assemble(self, filled: Mapping[int, str], values: Values, order: ByteOrder, table: Isa) -> bytes | None:
        """Return the program with other texts for the lines ``filled``; None if it needs a layout of its own."""
        blank = self.blank(order)
        code = bytearray(blank.code)
        patches = [patch for patch in self._patches if patch.line not in filled]
        if self._rest[0] != filled.keys():
            self._rest = filled.keys(), self._instructions(filled.keys())
        rows = set[Instruction]()
        for line, text in filled.items():
            new = self._replace(line, text, table)
            if new is None or not isinstance(new.what, Decoded):
                return None
            data = encode_one(new.what, order)
            code[new.at : new.at + len(data)] = data
            patches += _number_patches(new)
            rows.add(new.what.instruction)
        self.instructions = None if self._rest[1] is None else self._rest[1] | rows
        return _Blank(bytes(code), patches, order).fill(values)

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


class _NumberPatch(NamedTuple):
    """Where a number goes in a program: ``at`` is the position of its instruction."""

    name: str
    hole: Hole
    at: int
    line: int
    low: int
    high: int

    def bits(self, written: str | int, order: ByteOrder) -> int | None:
        """Return what the number adds to the program, as bits of its bytes in little-endian order; None if it is none.

        Raises:
            AsmError: it does not fit.
        """
        value = number(written) if isinstance(written, str) else written
        if value is None:
            return None
        if self.hole.negative:
            value = -value
        if not self.low <= value <= self.high:
            raise AsmError(self.line, self.hole.column, f"a number from {self.low} to {self.high}", str(written))
        bits = 0
        for width, position, shift in _CHUNKS[self.hole.place.field]:
            chunk = value >> shift & (1 << 8 * width) - 1
            if order == "big":
                chunk = int.from_bytes(chunk.to_bytes(width, "big"), "little")
            bits |= chunk << 8 * (self.at + position)
        return bits


#: For each kind of place: width in bytes, position in the instruction and lowest bit of the parts of its number.
_CHUNKS = {"offset": [(2, 2, 0)], "imm": [(4, 4, 0)], "next_imm": [(4, 12, 0)], "imm64": [(4, 4, 0), (4, 12, 32)]}


def _number_patches(item: Placed) -> list[_Patch]:
    patches: list[_Patch] = []
    for hole in item.holes:
        assert isinstance(item.what, Decoded)
        low, high = bounds(item.what.instruction, hole.place)
        patches.append(_NumberPatch(hole.name, hole, item.at, item.line, low, high))
    return patches


_REGISTER_NUMBERS = {str(number): number for number in range(LAST_REGISTER + 1)}


class _RegisterPatch(NamedTuple):
    """Where the number of a register goes in a program: to one or both halves of the byte at ``at``."""

    name: str
    register: _Register
    at: int
    line: int

    def bits(self, written: str | int, order: ByteOrder) -> int | None:
        """Return what the register adds to the program, as :meth:`_NumberPatch.bits`; None if it is none."""
        index = _REGISTER_NUMBERS.get(str(written))
        if index is None:
            return None
        low, high = (
            (self.register.dst, self.register.src) if order == "little" else (self.register.src, self.register.dst)
        )
        return index * (low + 16 * high) << 8 * self.at


_Patch: TypeAlias = _NumberPatch | _RegisterPatch


class _Blank:
    """A program as one long number, in which the fields to be filled are zero: filling them is to add bits."""

    def __init__(self, code: bytes, patches: Iterable[_Patch], order: ByteOrder) -> None:
        self.code, self._order = code, order
        self._patches: dict[str, list[_Patch]] = {}
        for patch in patches:
            self._patches.setdefault(patch.name, []).append(patch)
        #: For each hole the bits of values that were asked for before.
        self._known: dict[str, dict[str | int, int]] = {name: {} for name in self._patches}
        self._number: int | None = None

    def fill(self, values: Values) -> bytes | None:
        """Return the program with ``values`` in it; None if one is missing or no number.

        Raises:
            AsmError: a number does not fit.
        """
        if not self._known:
            return self.code
        if self._number is None:
            self._number = int.from_bytes(self.code, "little")
        code = self._number
        for name, known in self._known.items():
            value = values.get(name)
            bits = known.get(value)  # type: ignore[arg-type]  # None is not known
            if bits is None:
                bits = self._bits(name, value)
                if bits is None:
                    return None
            code |= bits
        return code.to_bytes(len(self.code), "little")

    def by_position(self, names: Sequence[str]) -> Callable[[Sequence[str]], bytes | None]:
        """Return :meth:`fill` for values in the order of ``names``."""
        places = [(name, known, names.index(name)) for name, known in self._known.items()]
        blank, size = int.from_bytes(self.code, "little"), len(self.code)

        def fill(values: Sequence[str]) -> bytes | None:
            code = blank
            for name, known, at in places:
                bits = known.get(values[at])
                if bits is None:
                    bits = self._bits(name, values[at])
                    if bits is None:
                        return None
                code |= bits
            return code.to_bytes(size, "little")

        return fill

    def _bits(self, name: str, value: str | int | None) -> int | None:
        """Return what the hole ``name`` with ``value`` in it adds to the program."""
        if value is None:
            return None
        total = 0
        for patch in self._patches[name]:
            bits = patch.bits(value, self._order)
            if bits is None:
                return None
            total |= bits
        self._known[name][value] = total
        return total
