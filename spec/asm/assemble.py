# SPDX-License-Identifier: Apache-2.0
"""The assembler: text in a dialect of :mod:`.syntax` to programs.

A line has statements separated by ``;``. A statement is an instruction, a label ``name:`` (an instruction may follow
it), or ``.byte 0x95, 0, ...`` for literal bytes in either byte order; instructions and labels are at multiples of 8
bytes. The statements between ``.rept 1000`` and ``.endr`` are repeated; labels and nesting are not allowed there.

A number may also be a ``{hole}``, for :mod:`.template` to fill.

In the dialect of mnemonics ``exit`` is the label of the first EXIT, unless the text defines that label.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, TypeAlias

from ..encoding import (
    SLOT_BYTES,
    ByteOrder,
    Decoded,
    Program,
    decode,
    pack,
    slots_of,
)
from ..table import FIELD_RANGES, Isa, isa
from .syntax import Dialect, Hole, Match, syntax
from .tokens import AsmError, Token

__all__ = ["AsmError", "assemble", "assemble_program"]


def assemble(text: str, byte_order: ByteOrder = "little", table: Isa | None = None, dialect: Dialect = "llvm") -> bytes:
    """Return the program that ``text`` describes, in bytes.

    Raises:
        AsmError: a syntax error, an undefined or duplicate label, or a number out of range.
    """
    return join(complete(text, table or isa(), dialect), byte_order)


def assemble_program(text: str, table: Isa | None = None, dialect: Dialect = "llvm") -> Program:
    """Return the program that ``text`` describes, as instructions by slot.

    Raises:
        AsmError: see :func:`assemble`.
        DecodeError: bytes of ``.byte`` are no instructions.
    """
    table = table or isa()
    program: Program = []
    placed = complete(text, table, dialect)
    for item in placed:
        if not isinstance(item.what, Decoded):
            return decode(join(placed, "little"), "little", table)
        program.append(item.what)
        if item.what.instruction.wide:
            program.append(None)
    return program


# From lines to items


class Label(NamedTuple):
    """A label."""

    first: Token


class Repeat(NamedTuple):
    """``.rept``, with the number of repetitions."""

    first: Token
    times: int


class EndOfRepeat(NamedTuple):
    """``.endr``."""

    first: Token


Item: TypeAlias = Match | Label | Repeat | EndOfRepeat | bytes


@lru_cache(maxsize=1 << 14)
def read_line(text: str, table: Isa, dialect: Dialect = "llvm") -> tuple[Item, ...]:
    """Read one line of assembly.

    Raises:
        AsmError: a syntax error; its line is 0.
    """
    items: list[Item] = []
    statement: list[Token] = []
    for token in syntax(table, dialect).tokenize(text):
        if token.text == ";":
            if statement:
                items.append(_read_statement(statement, table, dialect))
            statement = []
        elif token.text == ":" and len(statement) == 1 and statement[0].kind == "name":
            items.append(Label(statement[0]))
            statement = []
        else:
            statement.append(token)
    if statement:
        items.append(_read_statement(statement, table, dialect))
    return tuple(items)


def _read_statement(tokens: list[Token], table: Isa, dialect: Dialect) -> Item:
    match tokens[0].text:
        case ".byte":
            return _read_bytes(tokens)
        case ".rept":
            return _read_repeat(tokens)
        case ".endr" if len(tokens) == 1:
            return EndOfRepeat(tokens[0])
        case _:
            return syntax(table, dialect).match(tokens)


#: No runtime takes programs with more slots.
_MOST_REPETITIONS = 1 << 20


def _read_repeat(tokens: list[Token]) -> Repeat:
    count = tokens[1] if len(tokens) > 1 else Token("symbol", "", tokens[0].column + len(tokens[0].text))
    if count.kind != "number" or count.hole is not None or not 1 <= count.value <= _MOST_REPETITIONS:
        raise AsmError(0, count.column, f"how often, 1 to {_MOST_REPETITIONS}", count.text)
    if len(tokens) > 2:
        raise AsmError(0, tokens[2].column, "the end of the statement", tokens[2].text)
    return Repeat(tokens[0], count.value)


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
    """Instructions and bytes that are repeated ``times`` times."""

    parts: tuple[Decoded | bytes, ...]
    times: int


class Placed(NamedTuple):
    """An instruction, bytes or a block at position ``at`` (in bytes) of the program, from a line of the text."""

    line: int
    at: int
    what: Decoded | bytes | _Block
    holes: tuple[Hole, ...] = ()


def parts_of(item: Placed) -> tuple[Decoded | bytes, ...]:
    """Return the instruction or bytes that are placed; of a block, one repetition."""
    return item.what.parts if isinstance(item.what, _Block) else (item.what,)


#: Slot and line of each label.
Labels: TypeAlias = dict[str, tuple[int, int]]


class Layout(NamedTuple):
    """A program with resolved labels; it may have holes."""

    items: list[Placed]
    labels: Labels


def lay_out(text: str, table: Isa, dialect: Dialect = "llvm") -> Layout:
    """Read ``text``, assign an address to each item, and resolve labels.

    Raises:
        AsmError: see :func:`assemble`.
    """
    return _Layouter(text, table, dialect).layout()


def complete(text: str, table: Isa, dialect: Dialect) -> list[Placed]:
    """Lay out a text without holes.

    Raises:
        AsmError: see :func:`assemble`.
    """
    placed = lay_out(text, table, dialect).items
    for item in placed:
        for hole in item.holes:
            raise AsmError(item.line, hole.column, f"a value for the hole {hole.name!r}", hole.text)
    return placed


class _Open(NamedTuple):
    """An open ``.rept``: its line, and the index and address of its first item."""

    line: int
    repeat: Repeat
    first: int
    at: int


class _Layouter:
    """Assigns addresses to the items of a text, in order."""

    def __init__(self, text: str, table: Isa, dialect: Dialect) -> None:
        self.at = 0
        self.labels: Labels = {}
        self.placed: list[tuple[int, int, Match | bytes | _Block]] = []
        self.open: _Open | None = None
        for line, line_text in enumerate(text.split("\n"), 1):
            try:
                items = read_line(line_text, table, dialect)
            except AsmError as error:
                raise error.on_line(line) from None
            for item in items:
                if isinstance(item, Match) and not self.at % SLOT_BYTES:  # nearly all are
                    self.placed.append((line, self.at, item))
                    self.at += SLOT_BYTES * item.decoded.instruction.slots
                else:
                    self.add(line, item)
        if self.open:
            first = self.open.repeat.first
            raise AsmError(self.open.line, first.column, "a line with .endr after it", first.text)
        if dialect == "mnemonic":
            self.label_first("exit")

    def label_first(self, mnemonic: str) -> None:
        """Label the first instruction that begins with ``mnemonic``, unless that label is defined."""
        for line, at, item in self.placed:
            if isinstance(item, Match) and item.first.text == mnemonic:
                self.labels.setdefault(mnemonic, (at // SLOT_BYTES, line))
                return

    def layout(self) -> Layout:
        items = []
        for line, at, item in self.placed:
            if not isinstance(item, Match):
                items.append(Placed(line, at, item))
            elif item.target is None:
                items.append(Placed(line, at, item.decoded, item.holes))
            else:
                items.append(resolve(item, line, at, self.labels))
        return Layout(items, self.labels)

    def add(self, line: int, item: Item) -> None:
        if isinstance(item, bytes):
            self.placed.append((line, self.at, item))
            self.at += len(item)
            return
        if self.at % SLOT_BYTES:
            missing = SLOT_BYTES - self.at % SLOT_BYTES
            raise AsmError(line, item.first.column, f"{missing} more bytes to fill the slot", item.first.text)
        match item:
            case Match():
                self.placed.append((line, self.at, item))
                self.at += SLOT_BYTES * item.decoded.instruction.slots
            case Label():
                self.add_label(line, item.first)
            case Repeat():
                if self.open:
                    raise AsmError(line, item.first.column, ".endr before the next .rept", item.first.text)
                self.open = _Open(line, item, len(self.placed), self.at)
            case EndOfRepeat():
                self.repeat(line, item.first)

    def add_label(self, line: int, name: Token) -> None:
        if name.text in self.labels:
            earlier = self.labels[name.text][1]
            raise AsmError(line, name.column, f"a new label (line {earlier} has this one)", name.text)
        if self.open:
            raise AsmError(line, name.column, "no label between .rept and .endr", name.text)
        self.labels[name.text] = self.at // SLOT_BYTES, line

    def repeat(self, line: int, end: Token) -> None:
        if not self.open:
            raise AsmError(line, end.column, ".rept before .endr", end.text)
        begin, opening, first, start = self.open
        block = _Block(tuple(_part(at, item) for at, _, item in self.placed[first:]), opening.times)
        self.placed[first:] = [(begin, start, block)]
        self.at = start + (self.at - start) * opening.times
        self.open = None


def _part(line: int, item: Match | bytes | _Block) -> Decoded | bytes:
    """Return an item between ``.rept`` and ``.endr``, which must not have holes or labels."""
    assert not isinstance(item, _Block)  # blocks do not nest
    if isinstance(item, bytes):
        return item
    for token in (*item.holes, *((item.target.token,) if item.target else ())):
        raise AsmError(line, token.column, "no hole and no label between .rept and .endr", token.text)
    return item.decoded


def resolve(match: Match, line: int, at: int, labels: Labels) -> Placed:
    """Place an instruction, with the distance to its label if it has one.

    Raises:
        AsmError: the label is undefined or out of range.
    """
    if match.target is None:
        return Placed(line, at, match.decoded, match.holes)
    field, token = match.target
    if token.text not in labels:
        raise AsmError(line, token.column, "a label that the text defines", token.text)
    distance = labels[token.text][0] - (at // SLOT_BYTES + 1)
    low, high = FIELD_RANGES[field]
    if not low <= distance <= high:
        raise AsmError(line, token.column, f"a label at most {high} slots away, not {distance:+d}", token.text)
    at_offset = field == "offset"
    decoded = match.decoded._replace(offset=distance) if at_offset else match.decoded._replace(imm=distance)
    return Placed(line, at, decoded, match.holes)


def join(placed: list[Placed], byte_order: ByteOrder) -> bytes:
    """Return the bytes of a program."""
    parts = [item.what for item in placed]
    return b"".join(
        [encode_one(part, byte_order) if isinstance(part, Decoded) else _bytes_of(part, byte_order) for part in parts]
    )


def _bytes_of(what: Decoded | bytes | _Block, byte_order: ByteOrder) -> bytes:
    if isinstance(what, _Block):
        return b"".join(_bytes_of(part, byte_order) for part in what.parts) * what.times
    return what if isinstance(what, bytes) else encode_one(what, byte_order)


@lru_cache(maxsize=1 << 14)
def encode_one(decoded: Decoded, byte_order: ByteOrder) -> bytes:
    """Return the bytes of one instruction, also with registers that do not exist."""
    return pack(slots_of(decoded), byte_order)
