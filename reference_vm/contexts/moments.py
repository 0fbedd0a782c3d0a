# SPDX-License-Identifier: Apache-2.0
"""Features of executions: what the context of an instruction is while the program runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from ...spec import tree as t
from ...spec.encoding import Decoded
from ...spec.facts import Kind, facts
from ...spec.table import Instruction
from ..frames import FRAME_BYTES, MAX_FRAMES
from ..memory import ADDRESS_MASK

if TYPE_CHECKING:
    from ..machine import Machine

_EXECUTIONS: Final = {"from the 2nd": 2, "from the 17th": 17, "from the 34th": 34, "from the 1,000th": 1000}
_LINES: Final = {"crosses 64 bytes": 64, "crosses 4,096 bytes": 4096}
_STACK: Final = ("its own stack", "the lowest bytes of its stack", "the stack of a caller")
LATER: Final = "after another one"


class Moment(NamedTuple):
    """An execution of ``item``, the ``number``-th of its slot, in the ``program``-th run of a program."""

    item: Decoded
    number: int
    program: int
    registers: list[int]
    machine: Machine


class DynamicFeature(NamedTuple):
    """A property of executions: all ``values`` that it may have, and ``of``, which yields those of one."""

    what: str
    values: tuple[str, ...]
    of: Callable[[Moment], Iterator[str]]


def _execution(moment: Moment) -> Iterator[str]:
    yield from (name for name, first in _EXECUTIONS.items() if moment.number >= first)


def _depth(moment: Moment) -> Iterator[str]:
    yield str(len(moment.machine.frames.stacks))


def _memory(moment: Moment) -> Iterator[str]:
    found = access(moment.item.instruction)
    if found is None:
        return
    address = (moment.registers[moment.item.register(found.base)] + moment.item.offset) & ADDRESS_MASK
    yield from (name for name, size in _LINES.items() if address % size + found.size > size)
    own, *callers = (stack.base for stack in reversed(moment.machine.frames.stacks))
    if own <= address < own + FRAME_BYTES:
        yield "its own stack"
    if address == own:
        yield "the lowest bytes of its stack"
    if any(base <= address < base + FRAME_BYTES for base in callers):
        yield "the stack of a caller"


class Access(NamedTuple):
    """The memory access of a row: its base register, and its number of bytes."""

    base: t.RegisterName
    size: int


@lru_cache(maxsize=4096)
def access(row: Instruction) -> Access | None:
    """Return the memory access of ``row``, if it has one whose address is a register and an offset."""
    if facts(row).kind is Kind.PACKET:
        return None
    for node in t.walk(*row.means):
        if isinstance(node, t.Load | t.Store):
            bases = [part.name for part in t.walk(node.address) if isinstance(part, t.Register)]
            return Access(bases[0], node.type.bits // 8) if len(bases) == 1 else None
    return None


def _program(moment: Moment) -> Iterator[str]:
    if moment.program > 1:
        yield LATER


#: The features that show while a program runs, by name.
MOMENTS: Final[Mapping[str, DynamicFeature]] = {
    "execution": DynamicFeature("how often it was executed before", tuple(_EXECUTIONS), _execution),
    "depth": DynamicFeature("the depth of calls", tuple(str(n) for n in range(2, MAX_FRAMES + 1)), _depth),
    "memory": DynamicFeature("the place of the memory access", (*_LINES, *_STACK), _memory),
    "process": DynamicFeature("whether the process has run another program before", (LATER,), _program),
}
