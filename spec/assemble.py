# SPDX-License-Identifier: Apache-2.0
"""The assembler: text in the syntax of :mod:`.syntax` to programs.

A line holds any number of statements with ``;`` between them. A statement is an instruction, a label ``name:`` (an
instruction may follow it), or ``.byte 0x95, 0, ...`` for bytes that are taken as they are, in either byte order;
instructions and labels stand at multiples of 8 bytes.

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
from .table import Isa, Operand, isa

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
        if isinstance(item.what, bytes):
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
        self._base: dict[ByteOrder, bytes] = {}
        self._patches: dict[ByteOrder, list[_Patch]] = {}
        try:
            placed = _layout(text, table)
        except AsmError as error:
            if _HOLE.search(text.split("\n")[error.line - 1]):
                return  # something else than a number has to fill the hole
            raise
        for order in _ORDERS:
            self._base[order] = _join(placed, order)
            self._patches[order] = [_patch(item, hole, order) for item in placed for hole in item.holes]

    def assemble(self, values: Mapping[str, str | int], byte_order: ByteOrder = "little") -> bytes:
        """Return the program for ``values``; those that no hole asks for are ignored.

        Raises:
            AsmError: a value is missing or does not fit, or the text with the values in it is wrong.
        """
        if byte_order in self._base:
            code = bytearray(self._base[byte_order])
            if all(patch.apply(code, values) for patch in self._patches[byte_order]):
                return bytes(code)
        text = _HOLE.sub(lambda hole: str(values.get(hole[1], hole[0])), self.text)
        return assemble(text, byte_order, self._table)

    def program(self, values: Mapping[str, str | int]) -> Program:
        """Return the program for ``values`` as instructions by slot; for errors see :func:`assemble_program`."""
        return decode(self.assemble(values), "little", self._table)


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


_Item: TypeAlias = Match | _Label | bytes


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
    return _read_bytes(tokens) if tokens[0].text == ".byte" else syntax(table).match(tokens)


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


class _Placed(NamedTuple):
    """An instruction or bytes at position ``at`` (in bytes) of the program, from a line of the text."""

    line: int
    at: int
    what: Decoded | bytes
    holes: tuple[Hole, ...] = ()


def _complete(text: str, table: Isa) -> list[_Placed]:
    """Lay out a text in which no hole may be left."""
    placed = _layout(text, table)
    for item in placed:
        for hole in item.holes:
            raise AsmError(item.line, hole.column, f"a value for the hole {hole.name!r}", hole.text)
    return placed


def _layout(text: str, table: Isa) -> list[_Placed]:
    """Read ``text``, give each item its place and resolve labels."""
    items: list[tuple[int, int, Match | bytes]] = []
    labels: dict[str, tuple[int, int]] = {}
    at = 0
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
                labels[name] = at // SLOT_BYTES, line
            else:
                items.append((line, at, item))
                at += SLOT_BYTES * item.decoded.instruction.slots
    return [
        _Placed(line, at, item) if isinstance(item, bytes) else _resolve(item, line, at, labels)
        for line, at, item in items
    ]


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
    return b"".join(item.what if isinstance(item.what, bytes) else _encode(item.what, byte_order) for item in placed)


@lru_cache(maxsize=1 << 14)
def _encode(decoded: Decoded, byte_order: ByteOrder) -> bytes:
    return encode([decoded], byte_order)
