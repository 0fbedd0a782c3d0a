# SPDX-License-Identifier: Apache-2.0
"""Which instruction of a vector's program a byte of the memory comes from.

Programs that try much store the result of each part: the first wrong byte of the memory leads to the part of the
program that the runtime executes wrongly.
"""

from __future__ import annotations

from ...reference_vm.interpreter import TraceStep, execute
from ...reference_vm.machine import Machine
from ...spec import tree
from ...spec.encoding import ByteOrder
from ..run.verdict import Difference
from ..suite.model import Vector

#: No explanation is worth more steps than this.
_BUDGET = 200_000


def first_wrong_byte(difference: Difference) -> int | None:
    """Return the offset of the first byte that differs; None if the difference is none of bytes of the memory."""
    if isinstance(difference.expected, bytes) and isinstance(difference.got, bytes):
        pairs = zip(difference.expected, difference.got, strict=True)
        return difference.at + next(at for at, (want, got) in enumerate(pairs) if want != got)
    return difference.at if difference.size else None


def stored_by(vector: Vector, byte_order: ByteOrder, at: int) -> int | None:
    """Return the slot of the last store to byte ``at`` of the memory, as the reference VM runs the program.

    None if there is none, or if the program needs functions of the platform.
    """
    variant = vector.variant(byte_order)
    if vector.entry.helpers or variant.memory is None:
        return None
    maps = [item.value for item in variant.maps]
    variables = {variable.number: variable.value for variable in variant.variables}
    registers = list(Machine(byte_order=byte_order, memory=variant.memory, maps=maps, variables=variables).registers)
    wanted, found = registers[1] + at, None

    def look(step: TraceStep) -> None:
        nonlocal found
        for node in tree.walk(*step.decoded.instruction.means):
            if isinstance(node, tree.Store):
                address = registers[step.decoded.dst] + step.decoded.offset & (1 << 64) - 1
                if address <= wanted < address + node.type.bits // 8:
                    found = step.pc
        for number, value in step.changed.items():
            registers[number] = value

    execute(
        variant.code,
        byte_order=byte_order,
        memory=variant.memory,
        maps=maps,
        variables=variables,
        budget=_BUDGET,
        trace=look,
    )
    return found
