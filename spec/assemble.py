# SPDX-License-Identifier: Apache-2.0
"""The assembler: text in the syntax of :mod:`.syntax` to programs.

A line holds any number of statements with ``;`` between them. A statement is an instruction, a label ``name:`` (an
instruction may follow it), or ``.byte 0x95, 0, ...`` for bytes that are taken as they are, in either byte order;
instructions and labels stand at multiples of 8 bytes. What stands between ``.rept 1000`` and ``.endr`` is repeated; it
has no labels, holes or further repetitions.

:func:`compile_text` prepares a text with ``{holes}`` in it that is to be assembled with many values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from struct import Struct
from typing import NamedTuple, TypeAlias

from .encoding import SLOT_BYTES, ByteOrder, Decoded, Program, decode, encode
from .syntax import AsmError, Hole, Match, Token, bounds, number, syntax, tokenize
from .table import LAST_REGISTER, Isa, Operand, isa

__all__ = ["AsmError", "Template", "assemble", "assemble_program", "compile_text"]


def assemble(text: str, byte_order: ByteOrder = "little", table: Isa | None = None) -> bytes:
    """Return the program that ``text`` describes, in bytes.

    Raises:
        AsmError: the text is no assembly, a label is missing or twice there, or a number does not fit.
    """
    return _join(_complete(text, table or isa()), byte_order)


def assemble_program(text: str, table: Isa | None = None) -> Program:
    """Return the program that ``text`` describes, as instructions by slot.

    Raises:
        AsmError: see :func:`assemble`.
        DecodeError: bytes that the text gives with ``.byte`` are no instructions.
    """
    table = table or isa()
    program: Program = []
    placed = _complete(text, table)
    for item in placed:
        if not isinstance(item.what, Decoded):
            return decode(_join(placed, "little"), "little", table)
        program.append(item.what)
        if item.what.instruction.wide:
            program.append(None)
    return program


def compile_text(text: str, table: Isa | None = None) -> Template:
    """Prepare a text with holes; see :class:`Template`.

    Raises:
        AsmError: a line without holes is wrong.
    """
    return Template(text, table or isa())


_HOLE = re.compile(r"\{([A-Za-z_]\w*)\}", re.ASCII)
_REGISTER_HOLE = re.compile(r"(?<=\b[rw])\{([A-Za-z_]\w*)\}", re.ASCII)
_COMMENT = re.compile(r"/\*.*?\*/|(?:#|//).*")


class Template:
    """A program text with ``{holes}``.

    ``template.assemble(values)`` gives what :func:`assemble` gives for the text in which each hole is replaced by its
    value, an int or any text. Where holes stand for numbers it takes microseconds: only their fields are written.
    ``holes`` are their names.
    """

    def __init__(self, text: str, table: Isa) -> None:
        self.text = text
        self.holes = frozenset(_HOLE.findall(_COMMENT.sub(" ", text)))
        self._table = table
        self._lines = text.split("\n")
        #: Lines in which something else than a number or a register has to fill a hole: read for each program.
        self._open: list[int] = []
        self._registers: dict[int, tuple[_Register, ...]] = {}
        for at, line in enumerate(self._lines):
            if _HOLE.search(line) and not _readable(line, table):
                registers = _register_holes(line, table)
                if registers is None:
                    self._open.append(at)
                else:
                    self._registers[at + 1] = registers
                    self._lines[at] = _REGISTER_HOLE.sub("0", line)
        #: Whether all programs consist of the same instructions, with other registers and numbers.
        self.same_instructions = not self._open
        self._frame: _Frame | None = None
        if not self._open:
            self._frame = _Frame(_layout("\n".join(self._lines), table), {}, self._registers)

    def assemble(self, values: Mapping[str, str | int], byte_order: ByteOrder = "little") -> bytes:
        """Return the program for ``values``; those that no hole asks for are ignored.

        Raises:
            AsmError: a value is missing or does not fit, or the text with the values in it is wrong.
        """
        code: bytes | None = None
        filled = {at + 1: _fill(self._lines[at], values) for at in self._open}
        if self._frame is not None:
            code = self._frame.assemble(filled, values, byte_order, self._table)
        if code is None and self._open:
            lines = self._lines.copy()
            for line, text in filled.items():
                lines[line - 1] = text
            labels: _Labels = {}
            self._frame = _Frame(_layout("\n".join(lines), self._table, labels), labels, self._registers)
            code = self._frame.assemble({}, values, byte_order, self._table)
        return assemble(_fill(self.text, values), byte_order, self._table) if code is None else code

    def program(self, values: Mapping[str, str | int]) -> Program:
        """Return the program for ``values`` as instructions by slot; for errors see :func:`assemble_program`."""
        return decode(self.assemble(values), "little", self._table)


def _fill(text: str, values: Mapping[str, str | int]) -> str:
    return _HOLE.sub(lambda hole: str(values.get(hole[1], hole[0])), text)


def _readable(line: str, table: Isa) -> bool:
    """Whether a line can be read with its holes."""
    try:
        _read_line(line, table)
    except AsmError:
        return False
    return True


class _Register(NamedTuple):
    """A hole for the number of a register, and in which of the two fields that number stands."""

    name: str
    dst: bool
    src: bool


def _register_holes(line: str, table: Isa) -> tuple[_Register, ...] | None:
    """Return the register holes of a line; None if it is not one instruction whatever registers fill them."""

    def read(**numbers: int) -> Decoded | None:
        text = _REGISTER_HOLE.sub(lambda hole: str(numbers.get(hole[1], 0)), line)
        if not _readable(text, table):
            return None
        items = _read_line(text, table)
        return items[0].decoded if len(items) == 1 and isinstance(items[0], Match) else None

    base = read()
    found = []
    for name in dict.fromkeys(_REGISTER_HOLE.findall(line)):
        last = read(**{name: LAST_REGISTER})
        if base is None or last is None or last.instruction is not base.instruction:
            return None
        found.append(_Register(name, last.dst != base.dst, last.src != base.src))
    return tuple(found) or None


_REGISTER_NUMBERS = {str(number): number for number in range(LAST_REGISTER + 1)}


class _RegisterPatch(NamedTuple):
    """How to write the number of a register into a program: multiplied by ``factor``, to the byte ``position``."""

    name: str
    position: int
    factor: int
    line: int

    def apply(self, code: bytearray, values: Mapping[str, str | int]) -> bool:
        """Write the number; False if it is missing or no register has it."""
        number = _REGISTER_NUMBERS.get(str(values.get(self.name)))
        if number is None:
            return False
        code[self.position] |= number * self.factor
        return True


def _register_patch(register: _Register, item: _Placed, order: ByteOrder) -> _RegisterPatch:
    dst, src = (1, 16) if order == "little" else (16, 1)
    return _RegisterPatch(register.name, item.at + 1, register.dst * dst + register.src * src, item.line)


class _Frame:
    """A program laid out for some values: others change single instructions, registers and numbers in it."""

    def __init__(self, placed: list[_Placed], labels: _Labels, registers: Mapping[int, tuple[_Register, ...]]) -> None:
        self._labels = labels
        self._base = {order: _join(placed, order) for order in _ORDERS}
        self._patches: dict[ByteOrder, list[_Patch | _RegisterPatch]] = {}
        for order in _ORDERS:
            self._patches[order] = [patch for item in placed for patch in _patches(item, order)]
            self._patches[order] += [
                _register_patch(hole, item, order) for item in placed for hole in registers.get(item.line, ())
            ]
        self._by_line: dict[int, list[_Placed]] = {}
        for item in placed:
            self._by_line.setdefault(item.line, []).append(item)

    def assemble(
        self, filled: Mapping[int, str], values: Mapping[str, str | int], order: ByteOrder, table: Isa
    ) -> bytes | None:
        """Return the program with other texts for the lines ``filled``; None if it needs a layout of its own."""
        code = bytearray(self._base[order])
        patches = self._patches[order]
        if filled:
            patches = [patch for patch in patches if patch.line not in filled]
        for line, text in filled.items():
            before = self._by_line.get(line, [])
            try:
                items = _read_line(text, table)
            except AsmError as error:
                raise error.on_line(line) from None
            if len(items) != 1 or len(before) != 1 or not isinstance(items[0], Match):
                return None
            old, new = before[0], _resolve(items[0], line, before[0].at, self._labels)
            if not isinstance(old.what, Decoded) or not isinstance(new.what, Decoded):
                return None
            if old.what.instruction.slots != new.what.instruction.slots:
                return None
            data = _encode(new.what, order)
            code[old.at : old.at + len(data)] = data
            patches += _patches(new, order)
        for patch in patches:
            if not patch.apply(code, values):
                return None
        return bytes(code)


class _Chunk(NamedTuple):
    """Bits ``shift`` and up of a number, under ``mask``, at a byte ``position`` of the program."""

    packer: Struct
    position: int
    shift: int
    mask: int


class _Patch(NamedTuple):
    """How to write the value of a hole into a program."""

    hole: Hole
    line: int
    low: int
    high: int
    chunks: tuple[_Chunk, ...]

    def apply(self, code: bytearray, values: Mapping[str, str | int]) -> bool:
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


_ORDERS: tuple[ByteOrder, ...] = ("little", "big")
_STRUCTS = {
    ("little", 2): Struct("<H"),
    ("little", 4): Struct("<I"),
    ("big", 2): Struct(">H"),
    ("big", 4): Struct(">I"),
}
#: For each kind of place: width in bytes, position in the instruction and lowest bit of the parts of its number.
_CHUNKS = {"offset": [(2, 2, 0)], "imm": [(4, 4, 0)], "next_imm": [(4, 12, 0)], "imm64": [(4, 4, 0), (4, 12, 32)]}


@lru_cache(maxsize=1 << 12)
def _patches(item: _Placed, order: ByteOrder) -> tuple[_Patch, ...]:
    return tuple(_patch(item, hole, order) for hole in item.holes)


def _patch(item: _Placed, hole: Hole, order: ByteOrder) -> _Patch:
    assert isinstance(item.what, Decoded)
    low, high = bounds(item.what.instruction, hole.place)
    chunks = tuple(
        _Chunk(_STRUCTS[order, width], item.at + position, shift, (1 << 8 * width) - 1)
        for width, position, shift in _CHUNKS[hole.place.field]
    )
    return _Patch(hole, item.line, low, high, chunks)


# From lines to items


class _Label(NamedTuple):
    first: Token


class _Repeat(NamedTuple):
    first: Token
    count: int


class _EndOfRepeat(NamedTuple):
    first: Token


_Item: TypeAlias = Match | _Label | _Repeat | _EndOfRepeat | bytes


@lru_cache(maxsize=1 << 14)
def _read_line(text: str, table: Isa) -> tuple[_Item, ...]:
    """Read one line; the line of its AsmError is 0."""
    items: list[_Item] = []
    statement: list[Token] = []
    for token in tokenize(text):
        if token.text == ";":
            if statement:
                items.append(_read_statement(statement, table))
            statement = []
        elif token.text == ":" and len(statement) == 1 and statement[0].kind == "name":
            items.append(_Label(statement[0]))
            statement = []
        else:
            statement.append(token)
    if statement:
        items.append(_read_statement(statement, table))
    return tuple(items)


def _read_statement(tokens: list[Token], table: Isa) -> _Item:
    match tokens[0].text:
        case ".byte":
            return _read_bytes(tokens)
        case ".rept":
            return _read_repeat(tokens)
        case ".endr" if len(tokens) == 1:
            return _EndOfRepeat(tokens[0])
        case _:
            return syntax(table).match(tokens)


#: Programs have at most so many slots on any runtime.
_MOST_REPETITIONS = 1 << 20


def _read_repeat(tokens: list[Token]) -> _Repeat:
    count = tokens[1] if len(tokens) > 1 else Token("symbol", "", tokens[0].column + len(tokens[0].text))
    if count.kind != "number" or count.hole is not None or not 1 <= count.value <= _MOST_REPETITIONS:
        raise AsmError(0, count.column, f"how often, 1 to {_MOST_REPETITIONS}", count.text)
    if len(tokens) > 2:
        raise AsmError(0, tokens[2].column, "the end of the statement", tokens[2].text)
    return _Repeat(tokens[0], count.value)


def _read_bytes(tokens: list[Token]) -> bytes:
    """Read ``.byte`` and what follows it: numbers with commas between them."""
    data = bytearray()
    for index, token in enumerate(tokens[1:]):
        if index % 2:
            if token.text != ",":
                raise AsmError(0, token.column, "`,` or the end of the statement", token.text)
        elif token.kind != "number" or token.hole is not None or not -128 <= token.value <= 255:
            raise AsmError(0, token.column, _A_BYTE, token.text)
        else:
            data.append(token.value & 0xFF)
    if len(tokens) % 2:
        raise AsmError(0, tokens[-1].column + len(tokens[-1].text), _A_BYTE, "")
    return bytes(data)


_A_BYTE = "a byte, -128 to 255"


# From items to a program


class _Block(NamedTuple):
    """Instructions and bytes that are repeated ``count`` times."""

    parts: tuple[Decoded | bytes, ...]
    count: int


class _Placed(NamedTuple):
    """An instruction, bytes or a block at position ``at`` (in bytes) of the program, from a line of the text."""

    line: int
    at: int
    what: Decoded | bytes | _Block
    holes: tuple[Hole, ...] = ()


#: Slot and line of each label.
_Labels: TypeAlias = dict[str, tuple[int, int]]


def _complete(text: str, table: Isa) -> list[_Placed]:
    """Lay out a text in which no hole may be left."""
    placed = _layout(text, table)
    for item in placed:
        for hole in item.holes:
            raise AsmError(item.line, hole.column, f"a value for the hole {hole.name!r}", hole.text)
    return placed


def _layout(text: str, table: Isa, labels: _Labels | None = None) -> list[_Placed]:
    """Read ``text``, give each item its place and resolve labels, which are added to ``labels``."""
    items: list[tuple[int, int, Match | bytes | _Block]] = []
    labels = {} if labels is None else labels
    at = 0
    repeat: tuple[int, _Repeat, int, int] | None = None
    for line, line_text in enumerate(text.split("\n"), 1):
        try:
            found = _read_line(line_text, table)
        except AsmError as error:
            raise error.on_line(line) from None
        for item in found:
            if isinstance(item, bytes):
                items.append((line, at, item))
                at += len(item)
                continue
            if at % SLOT_BYTES:
                missing = SLOT_BYTES - at % SLOT_BYTES
                raise AsmError(line, item.first.column, f"{missing} more bytes to fill the slot", item.first.text)
            if isinstance(item, _Label):
                name = item.first.text
                if name in labels:
                    raise AsmError(line, item.first.column, f"a new label (line {labels[name][1]} has this one)", name)
                if repeat:
                    raise AsmError(line, item.first.column, "no label between .rept and .endr", name)
                labels[name] = at // SLOT_BYTES, line
            elif isinstance(item, _Repeat):
                if repeat:
                    raise AsmError(line, item.first.column, ".endr before the next .rept", item.first.text)
                repeat = line, item, len(items), at
            elif isinstance(item, _EndOfRepeat):
                if not repeat:
                    raise AsmError(line, item.first.column, ".rept before .endr", item.first.text)
                begin, opening, first, start = repeat
                block = _Block(tuple(_part(*part) for part in items[first:]), opening.count)
                items[first:] = [(begin, start, block)]
                at = start + (at - start) * opening.count
                repeat = None
            else:
                items.append((line, at, item))
                at += SLOT_BYTES * item.decoded.instruction.slots
    if repeat:
        raise AsmError(repeat[0], repeat[1].first.column, "a line with .endr after it", repeat[1].first.text)
    return [
        _resolve(item, line, at, labels) if isinstance(item, Match) else _Placed(line, at, item)
        for line, at, item in items
    ]


def _part(line: int, at: int, item: Match | bytes | _Block) -> Decoded | bytes:
    """Return an item between ``.rept`` and ``.endr`` as what is repeated."""
    assert not isinstance(item, _Block)
    if isinstance(item, bytes):
        return item
    if item.holes or item.target is not None:
        token = item.holes[0] if item.holes else item.target[1] if item.target else item.first
        raise AsmError(line, token.column, "no hole and no label between .rept and .endr", token.text)
    return item.decoded


def _resolve(match: Match, line: int, at: int, labels: Mapping[str, tuple[int, int]]) -> _Placed:
    if match.target is None:
        return _Placed(line, at, match.decoded, match.holes)
    field, token = match.target
    if token.text not in labels:
        raise AsmError(line, token.column, "a label that the text defines", token.text)
    distance = labels[token.text][0] - (at // SLOT_BYTES + 1)
    rule = match.decoded.instruction.fields[field]
    if not rule.admits(distance):
        reach = f"a label at most {rule.high} slots away" if isinstance(rule, Operand) else "a label"
        raise AsmError(line, token.column, f"{reach}, not {distance:+d}", token.text)
    at_offset = field == "offset"
    decoded = match.decoded._replace(offset=distance) if at_offset else match.decoded._replace(imm=distance)
    return _Placed(line, at, decoded, match.holes)


def _join(placed: list[_Placed], byte_order: ByteOrder) -> bytes:
    return b"".join(_bytes_of(item.what, byte_order) for item in placed)


def _bytes_of(what: Decoded | bytes | _Block, byte_order: ByteOrder) -> bytes:
    if isinstance(what, _Block):
        return b"".join(_bytes_of(part, byte_order) for part in what.parts) * what.count
    return what if isinstance(what, bytes) else _encode(what, byte_order)


@lru_cache(maxsize=1 << 14)
def _encode(decoded: Decoded, byte_order: ByteOrder) -> bytes:
    return encode([decoded], byte_order)
