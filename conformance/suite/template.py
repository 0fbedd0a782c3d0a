# SPDX-License-Identifier: Apache-2.0
"""Programs with holes: one text that is assembled with many values.

``compile_text("r{d} = {value}")`` gives a :class:`Template`. To assemble it means to replace each hole by its value,
which may be any text, and to assemble the result. Most texts have one instruction or label per line (see
:mod:`.lines`), and their holes stand for numbers and registers: then the result is found faster, by writing their
fields into a program that was made once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from ...spec.asm.assemble import (
    Placed,
    complete,
    join,
    lay_out,
    parts_of,
)
from ...spec.asm.tokens import AsmError
from ...spec.encoding import (
    SLOT_BYTES,
    ByteOrder,
    Decoded,
    Program,
    decode,
    swap_byte_order,
)
from ...spec.table import Instruction, Isa, isa
from .lines import (
    VARYING,
    Line,
    Opening,
    Read,
    Value,
    line_reader,
)

#: What fills the holes, by their names.
Values: TypeAlias = Mapping[str, Value]

_HOLE = re.compile(r"\{([A-Za-z_]\w*)\}", re.ASCII)
_COMMENT = re.compile(r"/\*.*?\*/|(?:#|//).*")


class Assembled(NamedTuple):
    """A program, and the instructions it consists of; None if there is anything else in it."""

    code: bytes
    instructions: frozenset[Instruction] | None


def compile_text(text: str, table: Isa | None = None) -> Template:
    """Prepare a text with holes.

    Raises:
        AsmError: a line without holes is wrong.
    """
    return Template(text, table or isa())


class Template:
    """A program text with ``{holes}``, whose names are in ``holes``."""

    def __init__(self, text: str, table: Isa) -> None:
        self.text = text
        self.holes = frozenset(_HOLE.findall(_without_comments(text)))
        self._table = table
        texts = text.split("\n")
        self._pieces, self._rows, varying = _pieces(self._read(texts))
        #: For each text of lines that vary, which of the pieces it is.
        self._varying: dict[str, list[int]] = {}
        for line, piece in varying:
            self._varying.setdefault(texts[line], []).append(piece)
        self._blank = None if self._varying else _place(self._pieces, self._rows)
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
        """Return the bytes of :meth:`make`."""
        return self.make(values, byte_order).code

    def make(self, values: Values, byte_order: ByteOrder = "little") -> Assembled:
        """Return the program for ``values``; those that no hole asks for are ignored.

        Raises:
            AsmError: a value is missing or does not fit, or the text with the values in it is wrong.
        """
        blank = self._with_lines(values) if self._varying else self._blank
        code = blank.fill(values) if blank is not None else None
        if blank is None or code is None:
            placed = complete(_fill(self.text, values), self._table, "llvm")
            return Assembled(join(placed, byte_order), _instructions(placed))
        return Assembled(code if byte_order == "little" else swap_byte_order(code), blank.instructions)

    def _with_lines(self, values: Values) -> _Blank | None:
        """Return the program with ``values`` in the lines that vary; None if that takes more than to read these."""
        pieces = self._pieces.copy()
        read = line_reader(self._table)
        try:
            for text, places in self._varying.items():
                line = read(_fill(text, values))
                for at in places:
                    pieces[at] = line
        except AsmError:
            return None
        return _place(pieces, self._rows)

    def program(self, values: Values) -> Program:
        """Return the program for ``values`` as instructions by slot.

        Raises:
            AsmError: see :meth:`assemble`.
            DecodeError: bytes that the text gives with ``.byte`` are no instructions.
        """
        return decode(self.assemble(values), "little", self._table)


def _without_comments(text: str) -> str:
    return _COMMENT.sub(" ", text) if any(begin in text for begin in ("#", "//", "/*")) else text


def _fill(text: str, values: Values) -> str:
    return _HOLE.sub(lambda hole: str(values.get(hole[1], hole[0])), text)


def _instructions(placed: Iterable[Placed]) -> frozenset[Instruction] | None:
    """Return the instructions of a program; None if there is anything else in it."""
    parts = [part for item in placed for part in parts_of(item)]
    rows = frozenset(part.instruction for part in parts if isinstance(part, Decoded))
    return rows if all(isinstance(part, Decoded) for part in parts) else None


def _pieces(lines: Iterable[Read]) -> tuple[list[Read], set[Instruction], list[tuple[int, int]]]:
    """Join lines with nothing open, as long as no other comes between them.

    Also returned are the instructions on them, and of each line that varies which one it is, and which piece.
    """
    pieces: list[Read] = []
    rows: set[Instruction | None] = set()
    varying: list[tuple[int, int]] = []
    codes: list[bytes] = []
    for at, line in enumerate(lines):
        if isinstance(line, Line) and not line.special:
            codes.append(line.code)
            rows.add(line.row)
            continue
        if codes:
            pieces.append(Line(b"".join(codes)))
            codes.clear()
        if line is VARYING:
            varying.append((at, len(pieces)))
        pieces.append(line)
    pieces.append(Line(b"".join(codes)))
    return pieces, {row for row in rows if row is not None}, varying


def _place(pieces: Iterable[Read], rows: Collection[Instruction]) -> _Blank | None:
    """Make a program of ``pieces``, the joined ones of which have ``rows`` in them.

    None if there are more than instructions and labels in them, or a label is not right.
    """
    read: list[Line] = []
    for piece in pieces:
        if not isinstance(piece, Line):
            return None
        read.append(piece)
    if any(piece.times is not None for piece in read):
        unrolled = _unrolled(read)
        if unrolled is None:
            return None
        read = unrolled
    labels: dict[str, int] = {}
    at = 0
    for piece in read:
        if piece.label is not None:
            if piece.label in labels:
                return None
            labels[piece.label] = at
        at += len(piece.code)
    parts: list[bytes | _Open] = []
    at = 0
    for piece in read:
        code = piece.code
        if piece.target is not None:
            goal = labels.get(piece.target[0])
            complete_code = None if goal is None else piece.with_distance((goal - at) // SLOT_BYTES - 1)
            if complete_code is None:
                return None
            code = complete_code
        parts.append(_open(code, piece.openings) if piece.openings else code)
        at += len(code)
    return _Blank(parts, frozenset(rows).union(piece.row for piece in read if piece.row))


def _unrolled(lines: Iterable[Line]) -> list[Line] | None:
    """Return ``lines`` with one in place of each repetition; None if anything is open in it, or an end is missing."""
    unrolled: list[Line] = []
    begin: tuple[int, int] | None = None
    for line in lines:
        if line.times is None:
            unrolled.append(line)
        elif line.times and begin is None:
            begin = len(unrolled), line.times
        elif not line.times and begin is not None:
            at, times = begin
            repeated = unrolled[at:]
            if any(line.special for line in repeated):
                return None
            unrolled[at:] = [Line(b"".join(line.code for line in repeated) * times)]
            begin = None
        else:
            return None
    return None if begin else unrolled


class _Blank:
    """A program in parts: bytes, and instructions with holes. ``instructions`` are those it consists of."""

    def __init__(self, parts: Iterable[bytes | _Open], instructions: frozenset[Instruction]) -> None:
        self.instructions = instructions
        self._open: list[_Open] = []
        #: Bytes without holes at even indices, instructions with filled holes at odd ones.
        self._parts: list[bytes] = []
        codes: list[bytes] = []
        for part in parts:
            if isinstance(part, bytes):
                codes.append(part)
            else:
                self._open.append(part)
                self._parts += (b"".join(codes), b"")
                codes.clear()
        self._parts.append(b"".join(codes))

    def fill(self, values: Values) -> bytes | None:
        """Return the program with ``values`` in it; None if one is missing or does not fit."""
        parts = self._parts.copy()
        try:
            parts[1::2] = [part[part.key(values)] for part in self._open]
        except (KeyError, _Unfit):
            return None
        return b"".join(parts)


class _Unfit(ValueError):
    """A value that is no number, or one that does not fit."""


@lru_cache(maxsize=1 << 14)
def _open(code: bytes, openings: tuple[Opening, ...]) -> _Open:
    """Return an instruction with holes: the same for many programs, with what was found out about it."""
    return _Open(code, openings)


#: What fills the holes of an instruction: if there are several, their values.
_Key: TypeAlias = "Value | tuple[Value, ...]"


class _Open(dict[_Key, bytes]):
    """An instruction with holes: its bytes, by the values of these; by that of the one if there is just one."""

    def __init__(self, code: bytes, openings: Collection[Opening]) -> None:
        super().__init__()
        self._size, self._number = len(code), int.from_bytes(code, "little")
        names = list(dict.fromkeys(name for name, _ in openings))
        #: Returns the key for the values of all holes.
        self.key: Callable[[Values], _Key] = itemgetter(*names)
        self._places = [(names.index(name), place) for name, place in openings]

    def __missing__(self, key: _Key) -> bytes:
        """Find out; values are asked for again and again."""
        number = self._number
        values = key if isinstance(key, tuple) else (key,)
        for index, place in self._places:
            bits = place.bits(values[index])
            if bits is None:
                raise _Unfit(key)
            number |= bits
        code = self[key] = number.to_bytes(self._size, "little")
        return code
