# SPDX-License-Identifier: Apache-2.0
"""Entries to vectors: holes filled, programs assembled, what they need computed from their instructions.

A hole ``{name}`` in a text of an entry takes the value that the case has under that name. The names in
:data:`EXPECTATIONS` are no holes: they say what the case expects.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple, cast

from ...adapters.protocol import MapSpec, VariableSpec
from ...spec.asm.assemble import AsmError
from ...spec.encoding import SLOT_BYTES, ByteOrder, swap_byte_order
from ...spec.table import Instruction
from .load import find_line
from .model import (
    CHANGES,
    REGISTERS,
    ByOrder,
    Entry,
    Expectation,
    Level,
    Variant,
    Vector,
    vector_id,
)
from .needs import needs_of, program_needs
from .template import Assembled, Template, compile_text
from .values import (
    HOLE,
    changed,
    fill,
    halves,
    number,
    parse_bytes,
)

#: Values of a case that are expectations: registers, those that differ from what the entry says, the memory
#: afterwards, and r0 of a misled runtime.
EXPECTATIONS = frozenset({*REGISTERS, CHANGES, "after", "witness"})

Values = Mapping[str, ByOrder]
#: The instructions of a program, None if they are not known without decoding it.
_Rows = frozenset[Instruction] | None
_CASE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*\Z")


def expand(entry: Entry) -> list[Vector]:
    """Return the vectors of ``entry``, one for each of its cases.

    Raises:
        model.VectorError: the program cannot be assembled, a value is missing, unused or no number, or a program
            that should return holds what is no instruction.
    """
    plan = _plan(entry)
    return [plan.vector(case, values) for case, values in entry.cases]


def big_of(vector: Vector) -> Variant:
    """Return the vector for big-endian runtimes."""
    plan = _plan(vector.entry)
    return plan.big(plan.cases[vector.case], vector)


class _Columns(NamedTuple):
    """What the values of a case are for, beside the holes: the registers it expects, and whether more."""

    registers: tuple[str, ...]
    changes: bool = False
    after: bool = False
    witness: bool = False


class _Inputs(NamedTuple):
    memory: bytes | None
    maps: tuple[MapSpec, ...]
    variables: tuple[VariableSpec, ...]


class _Plan:
    """An entry taken apart: which of its texts have holes, its program compiled."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.cases = dict(entry.cases)
        inputs: list[ByOrder] = [value for _, value in entry.variables] + list(entry.maps)
        if entry.memory is not None:
            inputs.append(entry.memory)
        self.varying_inputs = any("{" in half for text in inputs for half in halves(text))
        self.template = None if entry.asm is None else self._compiled(entry.asm)
        texts = [*inputs, *entry.expect.values(), entry.code or ""]
        self.holes = frozenset(name for text in texts for half in halves(text) for name in HOLE.findall(half))
        if self.template is not None:
            self.holes |= self.template.holes
        self.by_order = any(isinstance(text, tuple) for text in texts)
        if reserved := self.holes & EXPECTATIONS:
            raise entry.error(f"{{{min(reserved)}}}: this name is for what a case expects, name the hole otherwise")
        #: The inputs in both byte orders, if they are the same in all cases; known after the first.
        self._inputs: list[_Inputs | None] = [None, None]
        self._columns: dict[tuple[str, ...], _Columns] = {}
        self.make = self._written if self.template is None else self.template.make

    def vector(self, case: str | None, values: Values) -> Vector:
        """Return the vector of a case."""
        entry = self.entry
        if case is not None and not _CASE_NAME.match(case):
            raise entry.error(f"the case {case!r} is not named by small letters, digits, '.', '_' and '-'")
        little, rows = self.variant(case, values, "little")
        needs = needs_of(rows) if rows is not None else program_needs(little.code, rejected=entry.rejected)
        if needs.broken is not None and little.expect.returns and entry.level is not Level.EXTENSION:
            raise entry.error(f"should return, but {needs.broken}", case)
        name = vector_id(entry.id, case)
        return Vector(name, case, entry, needs.groups, needs.reported, little, big_of)

    def columns(self, case: str | None, values: Iterable[str]) -> _Columns:
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
        registers = tuple(sorted(expected.intersection(REGISTERS)))
        has_changes, after, witness = CHANGES in expected, "after" in expected, "witness" in expected
        returned = bool(registers) or has_changes or after or bool(entry.expect.keys() - {"witness"})
        if returned != entry.returns:
            message = "expects both to return and not to" if returned else "expects nothing: say what r0 is"
            raise entry.error(message, case)
        if witness and not entry.rejected:
            raise entry.error("has a witness, but does not expect to be rejected", case)
        if entry.memory is None and after:
            raise entry.error("expects a memory, but has none", case)
        return _Columns(registers, has_changes, after, witness)

    def variant(self, case: str | None, values: Values, order: ByteOrder) -> tuple[Variant, _Rows]:
        """Return the vector in one byte order, and the instructions of its program."""
        entry = self.entry
        columns = self.columns(case, values)
        side = 0 if order == "little" else 1
        filled = _one_side(values, side)
        try:
            code, rows = self.make(filled, order)
            inputs = self._inputs[side] or self._filled_inputs(entry.memory, filled, side)
            if not self.varying_inputs:
                self._inputs[side] = inputs
            expect = self._expect(columns, filled, side)
        except AsmError as error:
            raise entry.error(f"asm: {error.message}", case, self._asm_line(error.line)) from None
        except ValueError as error:
            raise entry.error(str(error), case) from None
        if expect.memory is not None and inputs.memory is not None and len(inputs.memory) != len(expect.memory):
            message = f"expects {len(expect.memory)} bytes of memory, but has {len(inputs.memory)}"
            raise entry.error(message, case)
        return Variant(code, *inputs, expect), rows

    def big(self, values: Values, vector: Vector) -> Variant:
        """Return the vector for big-endian runtimes: only the program differs, if nothing is given by byte order."""
        if self.by_order or tuple in map(type, values.values()):
            return self.variant(vector.case, values, "big")[0]
        if any(".byte" in text for text in (self.entry.asm or "", *values.values())):
            code = self.make(_one_side(values, 1), "big").code  # bytes that are the same in either order
        else:
            code = swap_byte_order(vector.little.code)
        return vector.little._replace(code=code)

    def _filled_inputs(self, memory: ByOrder | None, filled: Mapping[str, str], side: int) -> _Inputs:
        return _Inputs(
            None if memory is None else _bytes(memory, filled, side),
            tuple(MapSpec(_bytes(value, filled, side)) for value in self.entry.maps),
            tuple(VariableSpec(index, _bytes(value, filled, side)) for index, value in self.entry.variables),
        )

    def _expect(self, columns: _Columns, filled: Mapping[str, str], side: int) -> Expectation:
        entry = self.entry
        registers = {name: number(filled[name]) for name in columns.registers}
        memory = parse_bytes(filled["after"]) if columns.after else None
        witness = number(filled["witness"]) if columns.witness else None
        for name, text in entry.expect.items():
            if name == "memory":
                memory = _bytes(text, filled, side)
            elif name == "witness":
                witness = number(fill(text, filled, side))
            else:
                registers[name] = number(fill(text, filled, side))
        if columns.changes:
            registers = changed(registers, filled[CHANGES])
        return Expectation(registers, memory, entry.rejected, entry.faulted, witness, entry.steady)

    def _compiled(self, text: str) -> Template:
        try:
            return compile_text(text)
        except AsmError as error:
            raise self.entry.error(f"asm: {error.message}", line=self._asm_line(error.line)) from None

    def _written(self, filled: Mapping[str, str], order: ByteOrder) -> Assembled:
        code = self.entry.code
        assert code is not None
        if isinstance(code, tuple):
            return Assembled(parse_bytes(fill(code, filled, 0 if order == "little" else 1)), None)
        little = parse_bytes(fill(code, filled, 0))
        if len(little) % SLOT_BYTES:
            raise ValueError("code is no whole number of slots: give it as {little: ..., big: ...}")
        return Assembled(little if order == "little" else swap_byte_order(little), None)

    def _asm_line(self, line: int) -> int:
        """Return the line of the file that has a line of the assembly."""
        lines = (self.entry.asm or "").splitlines()
        return find_line(self.entry, lines[line - 1]) if 0 < line <= len(lines) else self.entry.line


@lru_cache(maxsize=1 << 13)
def _plan(entry: Entry) -> _Plan:
    """Return the plan of an entry, of which the other byte order is made later."""
    return _Plan(entry)


def _one_side(values: Values, side: int) -> Mapping[str, str]:
    """Return the values for one byte order."""
    if tuple not in map(type, values.values()):
        return cast("Mapping[str, str]", values)
    return {name: value if isinstance(value, str) else value[side] for name, value in values.items()}


def _bytes(text: ByOrder, values: Mapping[str, str], side: int) -> bytes:
    return parse_bytes(fill(text, values, side))
