# SPDX-License-Identifier: Apache-2.0
"""Sampled operands for which a mutant may differ from its row: most faults need no solver.

Operand values are the constants of the mutant and the boundary values of the types.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product
from typing import cast

from ...reference_vm.executable import writes_frame_pointer
from ...reference_vm.machine import Machine
from ...reference_vm.rows import Step, row_code
from ...spec import tree as t
from ...spec.encoding import ByteOrder, Decoded, make
from .mutant import Mutant
from .smt import Difference

_REGISTERS = 10
_ORDERS: tuple[ByteOrder, ...] = ("little", "big")
#: Values of registers: all distinct, with both halves nonzero.
KNOWN = tuple(0x0101_0101_0101_0101 * (number + 1) ^ 0xF0E1_D2C3_B4A5_9687 for number in range(_REGISTERS))
_BOUNDARIES = (1, (1 << 64) - 1, 1 << 63, 0xFFFF_FFFF_8000_0000, 0x1_0000_0007)
_MOST_VALUES = 14
_MEMORY_BASE = 1 << 32
_MEMORY_BYTES = 64


def guess(mutant: Mutant) -> Difference | None:
    """Return an encoding and a state with which the mutant differs; unchecked if it needs a machine."""
    platform = any(map(_asks, t.walk(*mutant.row.means, *mutant.means)))
    for item in islice(_encodings(mutant), 3):
        if platform:
            return _state(item, list(KNOWN), "little")
        for order in _ORDERS:
            found = _values(mutant, item, order)
            if found is not None:
                return _state(item, found, order)
    return None


def _asks(node: t.Node) -> bool:
    """Whether ``node`` needs a machine to be evaluated."""
    if isinstance(node, t.Load | t.Store | t.CallHelper):
        return True
    return isinstance(node, t.Call) and node.name in t.PLATFORM_FUNCTIONS


def _encodings(mutant: Mutant) -> Iterator[Decoded]:
    fields = {name: _likely(mutant, name) for name in mutant.row.operands}
    for values in product(*fields.values()):
        item = make(mutant.row, **dict(zip(fields, values, strict=True)))
        if mutant.applies(item) and not writes_frame_pointer(item):
            yield item


def _likely(mutant: Mutant, name: str) -> list[int]:
    """Return values for a field: ordinary ones, and those near the conditions of the mutant."""
    jumps = any(isinstance(statement, t.Jump) for statement in mutant.row.means)
    ordinary = {"dst": (7, *range(11)), "src": (8, 7, *range(11)), "offset": (5,) if jumps else (-16,)}
    distance = jumps and "offset" not in mutant.row.operands
    values = list(ordinary.get(name, (6,) if distance else (0x1234567, -3)))
    for test in mutant.when:
        if test.field == name and isinstance(test.value, int):
            values += [test.value, test.value + 1, test.value - 1]
    return [value for value in values if mutant.row.fields[name].admits(value)]


def _state(item: Decoded, registers: list[int], order: ByteOrder) -> Difference:
    memory = {_MEMORY_BASE + by: (by * 37 + 0x91) & 0xFF for by in range(-_MEMORY_BYTES, _MEMORY_BYTES)}
    return Difference(
        order, item.dst, item.src, item.offset, item.imm, item.next_imm, (*registers, 0), memory, _MEMORY_BASE
    )


def _values(mutant: Mutant, item: Decoded, order: ByteOrder) -> list[int] | None:
    """Return values of the registers with which row and mutant differ; None if none is found."""
    right = _step(item, order)
    faulty = item._replace(instruction=mutant.instruction_for(item))
    if writes_frame_pointer(faulty):
        return None
    wrong = _step(faulty, order)
    values = _interesting(mutant)
    for dst, src in product(values, values):
        registers = list(KNOWN)
        for number, value in ((item.src, src), (item.dst, dst)):
            if number < _REGISTERS:
                registers[number] = value
        if _run(right, registers) != _run(wrong, registers):
            return registers
    return None


def _interesting(mutant: Mutant) -> list[int]:
    numbers = [*KNOWN[7:9], *_BOUNDARIES]
    for node in t.walk(*mutant.means):
        if isinstance(node, t.Const):
            signed = t.Type(True, node.type.bits).wrap(node.value) & t.U64.mask
            numbers += [signed, signed ^ 0x5A5A_5A5A_0000_0000]
    return list(dict.fromkeys(numbers))[-_MOST_VALUES:]


def _step(item: Decoded, order: ByteOrder) -> Step:
    return row_code(item.instruction, order).make(0, *item[1:])


def _run(step: Step, registers: list[int]) -> tuple[object, list[int]]:
    """Execute a step that needs no machine."""
    copy = [*registers, 0]
    return step(copy, cast("Machine", None)), copy
