# SPDX-License-Identifier: Apache-2.0
"""Entries to vectors: holes filled, programs assembled, what they need computed from their instructions.

A hole ``{name}`` in a text of an entry takes the value that the case has under that name. The names in
:data:`EXPECTATIONS` are no holes: they say what the case expects.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache, partial
from typing import NamedTuple, cast

from ..adapters.protocol import MapSpec, VariableSpec
from ..spec import groups
from ..spec.assemble import AsmError
from ..spec.encoding import SLOT_BYTES, ByteOrder, DecodeError, identify, pack, unpack
from ..spec.table import Operand, isa
from ..spec.template import Template, compile_text
from .load import find_line
from .model import ByOrder, Entry, Expectation, Level, Table, Variant, Vector, vector_id

#: Values of a case that are expectations: registers, the memory afterwards, and r0 of a misled runtime.
EXPECTATIONS = frozenset({*(f"r{number}" for number in range(10)), "after", "witness"})

_HOLE = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_CASE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*\Z")
_REPEATED = re.compile(r"([0-9a-fA-F]+)\*([0-9]+)(?=\s|\Z)")
#: No program or memory is larger; a repetition that would be is a mistake.
LARGEST = 1 << 24

Values = Mapping[str, ByOrder]


def expand(entry: Entry) -> Iterator[Vector]:
    """Yield the vectors of ``entry``, one for each of its cases.

    Raises:
        model.VectorError: the program cannot be assembled, a value is missing, unused or no number, or a program
            that should return holds what is no instruction.
    """
    plan = _Plan(entry)
    if isinstance(entry.cases, Table):
        yield from plan.rows(entry.cases)
    else:
        for case, values in entry.cases:
            yield plan.vector(case, values)


class _Columns(NamedTuple):
    """What the values of a case are for, beside the holes: the registers it expects, and whether more."""

    registers: tuple[str, ...]
    after: bool
    witness: bool


class _Inputs(NamedTuple):
    memory: bytes | None
    maps: tuple[MapSpec, ...]
    variables: tuple[VariableSpec, ...]


class _Plan:
    """An entry taken apart: which of its texts have holes, its program compiled."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.inputs: list[ByOrder] = [value for _, value in entry.variables] + list(entry.maps)
        if entry.memory is not None:
            self.inputs.append(entry.memory)
        self.template = None if entry.asm is None else self._compiled(entry.asm)
        texts = [*self.inputs, *entry.expect.values(), entry.code or ""]
        self.holes = frozenset(name for text in texts for half in _halves(text) for name in _HOLE.findall(half))
        if self.template is not None:
            self.holes |= self.template.holes
        self.by_order = any(isinstance(text, tuple) for text in texts)
        if reserved := self.holes & EXPECTATIONS:
            raise entry.error(f"{{{min(reserved)}}}: this name is for what a case expects, name the hole otherwise")
        #: The inputs in both byte orders, if they are the same in all cases; known after the first.
        self._inputs: list[_Inputs | None] = [None, None]
        self._columns: dict[tuple[str, ...], _Columns] = {}
        self.code = self._written if self.template is None else self.template.assemble

    def vector(self, case: str | None, values: Values) -> Vector:
        """Return the vector of a case."""
        entry = self.entry
        if case is not None and not _CASE_NAME.match(case):
            raise entry.error(f"the case {case!r} is not named by small letters, digits, '.', '_' and '-'")
        little = self.variant(case, values, "little")
        needs = self.needs(little.code)
        if needs.broken is not None and little.expect.returns and entry.level is not Level.EXTENSION:
            raise entry.error(f"should return, but {needs.broken}", case)
        name = vector_id(entry.id, case)
        return Vector(name, case, entry, needs.groups, needs.reported, little, partial(self.big, values))

    def rows(self, table: Table) -> Iterator[Vector]:
        """Yield the vectors of a table."""
        like_first: Callable[[Sequence[str]], Vector | None] | None = None
        for number, row in enumerate(table.rows):
            vector = like_first(row) if like_first else None
            if vector is None:
                vector = self.vector(row[0], dict(zip(table.columns, row[1:], strict=True)))
                if number == 0:
                    like_first = self._like(vector, table.columns)
            yield vector

    def _like(self, first: Vector, names: tuple[str, ...]) -> Callable[[Sequence[str]], Vector | None] | None:
        """Return what makes vectors of rows if they differ from ``first`` in numbers of program and result only.

        It returns None for a row in which something is wrong. Most vectors are made so.
        """
        entry, template, little = self.entry, self.template, first.little
        texts = [half for text in (*self.inputs, *entry.expect.values()) for half in _halves(text)]
        if self.by_order or template is None or not template.same_instructions or any("{" in text for text in texts):
            return None
        if not little.expect.returns:
            return None
        at = {name: place for place, name in enumerate(names, 1)}
        registers = [(name, at[name]) for name in little.expect.registers if name in at]
        common = {name: value for name, value in little.expect.registers.items() if name not in at}
        after = at.get("after")
        size = None if little.memory is None else len(little.memory)
        fill = template.by_position(("", *names))

        def make(row: Sequence[str]) -> Vector | None:
            try:
                code = fill(row)
                expected = {name: _number(row[place]) for name, place in registers}
                memory = little.expect.memory if after is None else parse_bytes(row[after])
            except ValueError:
                return None
            case = row[0]
            if code is None or not _CASE_NAME.match(case) or (after is not None and len(memory or b"") != size):
                return None
            if common:
                expected |= common
            variant = Variant(code, little.memory, little.maps, little.variables, Expectation(expected, memory))
            big = partial(self._big_of_row, names, row)
            return Vector(f"{entry.id}/{case}", case, entry, first.groups, first.reported, variant, big)

        return make

    def _big_of_row(self, names: Sequence[str], row: Sequence[str], vector: Vector) -> Variant:
        return self.big(dict(zip(names, row[1:], strict=True)), vector)

    def needs(self, code: bytes) -> Needs:
        """Return what the program that was made last needs."""
        rows = self.template.instructions if self.template is not None else None
        if rows is None:
            return program_needs(code, rejected=self.entry.rejected)
        return Needs(*_combine(frozenset(row.groups for row in rows)), None)

    def columns(self, case: str | None, values: Values) -> _Columns:
        """Return what the values of a case are for: the names of most cases of an entry are the same."""
        names = tuple(values)
        found = self._columns.get(names)
        if found is None:
            found = self._columns[names] = self._sort(case, frozenset(names))
        return found

    def _sort(self, case: str | None, names: frozenset[str]) -> _Columns:
        """Check that there is a value for each hole, a hole for each value, and something to expect."""
        entry = self.entry
        if not self.holes <= names:
            raise entry.error(f"there is no value for the hole {{{min(self.holes - names)}}}", case)
        expected = names & EXPECTATIONS
        if names - self.holes - expected:
            name = min(names - self.holes - expected)
            raise entry.error(f"the value {name} is not used: there is no {{{name}}}", case)
        for name in sorted(expected):
            if name in entry.expect or (name == "after" and "memory" in entry.expect):
                raise entry.error(f"the case has a value {name}, and expect has one too", case)
        registers = tuple(sorted(expected - {"after", "witness"}))
        after, witness = "after" in expected, "witness" in expected
        returned = bool(registers) or after or bool(entry.expect.keys() - {"witness"})
        if returned == (entry.rejected or entry.faulted is not None):
            message = "expects both to return and not to" if returned else "expects nothing: say what r0 is"
            raise entry.error(message, case)
        if witness and not entry.rejected:
            raise entry.error("has a witness, but does not expect to be rejected", case)
        if entry.memory is None and after:
            raise entry.error("expects a memory, but has none", case)
        return _Columns(registers, after, witness)

    def variant(self, case: str | None, values: Values, order: ByteOrder) -> Variant:
        """Return the vector in one byte order."""
        entry = self.entry
        columns = self.columns(case, values)
        side = 0 if order == "little" else 1
        filled = _one_side(values, side)
        try:
            code = self.code(filled, order)
            inputs = self._inputs[side] or self._filled_inputs(filled, side)
            expect = self._expect(columns, filled, side)
        except AsmError as error:
            raise entry.error(f"asm: {error.message}", case, self._asm_line(error.line)) from None
        except ValueError as error:
            raise entry.error(str(error), case) from None
        if expect.memory is not None and inputs.memory is not None and len(inputs.memory) != len(expect.memory):
            message = f"expects {len(expect.memory)} bytes of memory, but has {len(inputs.memory)}"
            raise entry.error(message, case)
        return Variant(code, *inputs, expect)

    def big(self, values: Values, vector: Vector) -> Variant:
        """Return the vector for big-endian runtimes: only the program differs, if nothing is given by byte order."""
        if self.by_order or tuple in map(type, values.values()):
            return self.variant(vector.case, values, "big")
        return vector.little._replace(code=self.code(_one_side(values, 1), "big"))

    def _filled_inputs(self, filled: Mapping[str, str], side: int) -> _Inputs:
        entry = self.entry
        inputs = _Inputs(
            None if entry.memory is None else _bytes(entry.memory, filled, side),
            tuple(MapSpec(_bytes(value, filled, side)) for value in entry.maps),
            tuple(VariableSpec(number, _bytes(value, filled, side)) for number, value in entry.variables),
        )
        if not any("{" in half for text in self.inputs for half in _halves(text)):
            self._inputs[side] = inputs
        return inputs

    def _expect(self, columns: _Columns, filled: Mapping[str, str], side: int) -> Expectation:
        entry = self.entry
        registers = {name: _number(filled[name]) for name in columns.registers}
        memory = parse_bytes(filled["after"]) if columns.after else None
        witness = _number(filled["witness"]) if columns.witness else None
        for name, text in entry.expect.items():
            if name == "memory":
                memory = _bytes(text, filled, side)
            elif name == "witness":
                witness = _number(_fill(text, filled, side))
            else:
                registers[name] = _number(_fill(text, filled, side))
        return Expectation(registers, memory, entry.rejected, entry.faulted, witness)

    def _compiled(self, text: str) -> Template:
        try:
            return compile_text(text)
        except AsmError as error:
            raise self.entry.error(f"asm: {error.message}", line=self._asm_line(error.line)) from None

    def _written(self, filled: Mapping[str, str], order: ByteOrder) -> bytes:
        code = self.entry.code
        assert code is not None
        if isinstance(code, tuple):
            return parse_bytes(_fill(code, filled, 0 if order == "little" else 1))
        little = parse_bytes(_fill(code, filled, 0))
        if len(little) % SLOT_BYTES:
            raise ValueError("code is no whole number of slots: give it as {little: ..., big: ...}")
        return little if order == "little" else pack(unpack(little, "little"), "big")

    def _asm_line(self, line: int) -> int:
        """Return the line of the file that has a line of the assembly."""
        lines = (self.entry.asm or "").splitlines()
        return find_line(self.entry, lines[line - 1]) if 0 < line <= len(lines) else self.entry.line


def _halves(text: ByOrder) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else text


def _one_side(values: Values, side: int) -> Mapping[str, str]:
    """Return the values for one byte order."""
    if tuple not in map(type, values.values()):
        return cast("Mapping[str, str]", values)
    return {name: value if isinstance(value, str) else value[side] for name, value in values.items()}


def _fill(text: ByOrder, values: Mapping[str, str], side: int) -> str:
    half = text if isinstance(text, str) else text[side]
    return half.format_map(values) if "{" in half else half


def _bytes(text: ByOrder, values: Mapping[str, str], side: int) -> bytes:
    return parse_bytes(_fill(text, values, side))


@lru_cache(maxsize=1 << 15)
def parse_bytes(text: str) -> bytes:
    """Return the bytes that hex digits say; ``00*16`` is 16 zeros.

    Raises:
        ValueError: the text is something else.
    """
    digits = _REPEATED.sub(_repeat, text) if "*" in text else text
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise ValueError(f"no hex bytes: {text[:60]!r}") from None


def _repeat(found: re.Match[str]) -> str:
    times = int(found[2])
    if len(found[1]) * times > LARGEST or len(found[1]) % 2:
        raise ValueError(f"no acceptable repetition of bytes: {found[0][:60]!r}")
    return found[1] * times


@lru_cache(maxsize=1 << 15)
def _number(text: str) -> int:
    """Return ``text`` as an unsigned number of 64 bits.

    Raises:
        ValueError: it is no number from -2**63 to 2**64 - 1.
    """
    try:
        value = int(text, 0)
    except ValueError:
        raise ValueError(f"no number: {text[:40]!r}") from None
    if not -(1 << 63) <= value < 1 << 64:
        raise ValueError(f"more than 64 bits: {text[:40]}")
    return value & ((1 << 64) - 1)


# What a program needs


class Needs(NamedTuple):
    """The least set of conformance groups, the groups it counts under, and what is wrong with the encoding."""

    groups: frozenset[str]
    reported: frozenset[str]
    broken: str | None


def program_needs(code: bytes, *, rejected: bool) -> Needs:
    """Return the groups of a program, and what is wrong with its encoding (not asked if it should be ``rejected``).

    A slot that holds no instruction counts for the smallest group among the instructions with its opcode: a runtime
    without that group has nothing to say about it. A slot whose opcode is not defined counts for none.
    """
    found: set[frozenset[str]] = set()
    broken: str | None = None
    before = at = 0
    end = len(code)
    while at < end:
        start = at
        # Operands in imm and next_imm are nearly never the same twice, and say nothing about what is needed.
        known = _HEADS.get(code[at : at + 4])
        if known is not None and (known[1] == 1 or code[at + 8 : at + 12] == _EMPTY_HEAD):
            row_groups, slots = known
        elif rejected and (alike := _by_opcode().get(code[at], _NOTHING)) is not None:
            row_groups, slots = alike
        else:
            wide = code[at] in _wide_opcodes()
            row_groups, slots, error = _slot_needs(code[at : at + (2 if wide else 1) * SLOT_BYTES])
            if error is not None and broken is None:
                broken = f"slot {at // SLOT_BYTES}: {error}"
        found.add(row_groups)
        at += slots * SLOT_BYTES
        if end > _LONG:
            at = _skip_repetition(code, at, at - start)
            at = _skip_repetition(code, at, at - before)
        before = start
    return Needs(*_combine(frozenset(found)), broken)


#: Groups and slots of instructions by opcode, registers and offset, where imm and next_imm are operands.
_HEADS: dict[bytes, tuple[frozenset[str], int]] = {}
_EMPTY_HEAD = bytes(4)


#: In programs of more bytes, one or two instructions that stand many times in a row are looked at once.
_LONG = 4096


def _skip_repetition(code: bytes, at: int, size: int) -> int:
    """Return the end of what repeats the ``size`` bytes before ``at``."""
    while code[at : at + size] == code[at - size : at]:
        at += size
        size *= 2
    return at


_NOTHING: tuple[frozenset[str], int] = frozenset(), 1


@cache
def _by_opcode() -> dict[int, tuple[frozenset[str], int] | None]:
    """Return groups and slots by opcode, None where its instructions are in different groups."""
    table = isa().by_opcode
    return {
        opcode: (rows[0].groups, rows[0].slots) if len({row.groups for row in rows}) == 1 else None
        for opcode, rows in table.items()
    }


@cache
def _wide_opcodes() -> frozenset[int]:
    return frozenset(row.opcode for row in isa().instructions if row.wide)


@lru_cache(maxsize=1 << 16)
def _combine(found: frozenset[frozenset[str]]) -> tuple[frozenset[str], frozenset[str]]:
    needed = groups.minimal(frozenset().union(*found) or {"base32"})
    return needed, groups.reported(needed)


@lru_cache(maxsize=1 << 16)
def _slot_needs(code: bytes) -> tuple[frozenset[str], int, str | None]:
    """Return groups, slots and fault of the instruction at the beginning of ``code``, which holds two slots at most."""
    if len(code) < SLOT_BYTES:
        return frozenset(), 2, f"{len(code)} bytes are no slot"
    slots = unpack(code[: len(code) // SLOT_BYTES * SLOT_BYTES], "little")
    decoded = identify(slots, 0)
    if not isinstance(decoded, DecodeError):
        row = decoded.instruction
        if all(isinstance(row.fields.get(name, _ANY), Operand) for name in ("imm", "next_imm")):
            _HEADS[code[:4]] = row.groups, row.slots
        return row.groups, row.slots, None
    return _closest_groups(slots[0].opcode), 1 + decoded.slot, decoded.message


_ANY = Operand(0, 0)


@cache
def _closest_groups(opcode: int) -> frozenset[str]:
    rows = isa().by_opcode.get(opcode, ())
    return min((row.groups for row in rows), key=lambda names: len(groups.closure(names)), default=frozenset())
