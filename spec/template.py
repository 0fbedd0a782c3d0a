# SPDX-License-Identifier: Apache-2.0
"""Programs with holes: one text that is assembled with many values.

``compile_text("r{d} = {value}")`` gives a :class:`Template`. To assemble it means to replace each hole by its value,
which may be any text, and to assemble the result. Most texts have one instruction or label per line (see
:mod:`.lines`), and their holes stand for numbers and registers: then the result is found faster, by writing their
fields into a program that was made once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import NamedTuple, TypeAlias

from .assemble import Placed, complete, join, lay_out, parts_of
from .encoding import SLOT_BYTES, ByteOrder, Decoded, Program, decode, swap_byte_order
from .lines import COMPLICATED, VARYING, Line, NumberPlace, Read, RegisterPlace, Value, line_reader
from .syntax import AsmError
from .table import Instruction, Isa, isa

#: What fills the holes, by their names.
Values: TypeAlias = Mapping[str, Value]

_HOLE = re.compile(r"\{([A-Za-z_]\w*)\}", re.ASCII)
_COMMENT = re.compile(r"/\*.*?\*/|(?:#|//).*")


def compile_text(text: str, table: Isa | None = None) -> Template:
    """Prepare a text with holes.

    Raises:
        AsmError: a line without holes is wrong.
    """
    return Template(text, table or isa())


class Template:
    """A program text with ``{holes}``, whose names are in ``holes``.

    ``instructions`` are those of the program that was made last; None if they are not known without decoding it.
    ``same_instructions`` says whether all programs consist of the same instructions, with other registers and numbers
    in them, as long as the values are numbers.
    """

    def __init__(self, text: str, table: Isa) -> None:
        self.text = text
        self.holes = frozenset(_HOLE.findall(_COMMENT.sub(" ", text))) if "{" in text else frozenset[str]()
        self._table = table
        texts = text.split("\n")
        self._lines = self._read(texts)
        #: For each text of lines that vary, where it stands.
        self._varying: dict[str, list[int]] = {}
        for at, line in enumerate(self._lines):
            if line is VARYING:
                self._varying.setdefault(texts[at], []).append(at)
        self.instructions: frozenset[Instruction] | None = None
        self._blank = None if self._varying else _place(self._lines)
        self.same_instructions = self._blank is not None
        if self._blank is None and not self.holes:
            lay_out(text, table)  # it may not be right at all

    def _read(self, texts: Sequence[str]) -> list[Read]:
        read = line_reader(self._table)
        try:
            return list(map(read, texts))
        except AsmError:
            lay_out("\n".join(texts), self._table)  # tells the line
            raise

    def assemble(self, values: Values, byte_order: ByteOrder = "little") -> bytes:
        """Return the program for ``values``; those that no hole asks for are ignored.

        Raises:
            AsmError: a value is missing or does not fit, or the text with the values in it is wrong.
        """
        blank = self._with_lines(values) if self._varying else self._blank
        code = blank.fill(values) if blank is not None else None
        if blank is None or code is None:
            placed = complete(_fill(self.text, values), self._table, "llvm")
            self.instructions = _instructions(placed)
            return join(placed, byte_order)
        self.instructions = blank.instructions
        return code if byte_order == "little" else swap_byte_order(code)

    def _with_lines(self, values: Values) -> _Blank | None:
        """Return the program with ``values`` in the lines that vary; None if that takes more than to read these."""
        lines = self._lines.copy()
        read = line_reader(self._table)
        try:
            for text, places in self._varying.items():
                line = read(_fill(text, values))
                for at in places:
                    lines[at] = line
        except AsmError:
            return None
        return _place(lines)

    def assemble_columns(self, columns: Mapping[str, Sequence[str]]) -> list[bytes] | None:
        """Return the little-endian programs for the values at the first, second ... place of each column.

        None if :meth:`assemble` has to be asked for each; it also tells what is wrong.
        """
        return None if self._blank is None else self._blank.fill_columns(columns)

    def program(self, values: Values) -> Program:
        """Return the program for ``values`` as instructions by slot.

        Raises:
            AsmError: see :meth:`assemble`.
            DecodeError: bytes that the text gives with ``.byte`` are no instructions.
        """
        return decode(self.assemble(values), "little", self._table)


def _fill(text: str, values: Values) -> str:
    return _HOLE.sub(lambda hole: str(values.get(hole[1], hole[0])), text)


def _instructions(placed: Iterable[Placed]) -> frozenset[Instruction] | None:
    """Return the instructions of a program; None if there is anything else in it."""
    parts = [part for item in placed for part in parts_of(item)]
    rows = frozenset(part.instruction for part in parts if isinstance(part, Decoded))
    return rows if all(isinstance(part, Decoded) for part in parts) else None


_code_of = attrgetter("code")
_row_of = attrgetter("row")
_is_special = attrgetter("special")


def _place(lines: Sequence[Read]) -> _Blank | None:
    """Make a program of ``lines``; None if they are more than instructions and labels, or a label is not right."""
    if VARYING in lines or COMPLICATED in lines:
        return None
    read: list[Line] = lines  # type: ignore[assignment]  # that was all else that they could be
    codes = list(map(_code_of, read))
    rows = set(map(_row_of, read))
    rows.discard(None)
    openings: list[_Placed] = []
    if any(map(_is_special, read)):
        positions = [0, *accumulate(map(len, codes))]
        special = [(at, line) for at, line in enumerate(read) if line.special]
        labels = {line.label: positions[at] for at, line in special if line.label is not None}
        if len(labels) < sum(line.label is not None for _, line in special):
            return None
        for at, line in special:
            openings += [_Placed(opening.name, opening.place, positions[at]) for opening in line.openings]
            if line.target is not None:
                if (goal := labels.get(line.target[0])) is None:
                    return None
                code = line.with_distance((goal - positions[at]) // SLOT_BYTES - 1)
                if code is None:
                    return None
                codes[at] = code
    return _Blank(b"".join(codes), frozenset(rows), openings)


class _Placed(NamedTuple):
    """A hole of a program: ``at`` is the position of its instruction."""

    name: str
    place: NumberPlace | RegisterPlace
    at: int


class _Blank:
    """A program as one long number, in which the fields to be filled are zero: filling them is to add bits.

    ``instructions`` are those it consists of.
    """

    def __init__(self, code: bytes, instructions: frozenset[Instruction], openings: Iterable[_Placed]) -> None:
        self.instructions = instructions
        self._code, self._number = code, int.from_bytes(code, "little")
        marks: dict[str, dict[NumberPlace | RegisterPlace, int]] = {}
        for name, place, at in openings:
            of_name = marks.setdefault(name, {})
            of_name[place] = of_name.get(place, 0) | 1 << 8 * at
        self._holes = {name: _Bits(of_name) for name, of_name in marks.items()}

    def fill(self, values: Values) -> bytes | None:
        """Return the program with ``values`` in it; None if one is missing or does not fit."""
        if not self._holes:
            return self._code
        code = self._number
        try:
            for name, bits in self._holes.items():
                code |= bits[values[name]]
        except (KeyError, _Unfit):
            return None
        return code.to_bytes(len(self._code), "little")

    def fill_columns(self, columns: Mapping[str, Sequence[str]]) -> list[bytes] | None:
        """Return :meth:`fill` for each place of the columns; None if one is missing or a value does not fit."""
        size = len(self._code)
        codes = [self._number] * len(next(iter(columns.values()), ()))
        try:
            for name, bits in self._holes.items():
                codes = [code | bits[value] for code, value in zip(codes, columns[name], strict=True)]
        except (KeyError, _Unfit):
            return None
        return [code.to_bytes(size, "little") for code in codes]


class _Unfit(ValueError):
    """A value that is no number, or one that does not fit."""


class _Bits(dict[Value, int]):
    """What values add to a program, in one of its holes.

    ``marks`` is, for each way to write the values, a number with a bit at each instruction that has them so.
    """

    def __init__(self, marks: Mapping[NumberPlace | RegisterPlace, int]) -> None:
        super().__init__()
        self._marks = marks

    def __missing__(self, value: Value) -> int:
        """Find out; values are asked for again and again."""
        total = 0
        for place, marks in self._marks.items():
            bits = place.bits(value)
            if bits is None:
                raise _Unfit(value)
            total |= bits * marks
        self[value] = total
        return total
