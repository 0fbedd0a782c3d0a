# SPDX-License-Identifier: Apache-2.0
"""The shape of a program: its basic blocks, its functions, and the constants that may differ between programs."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ...reference_vm.frames import FRAME_BYTES, FRAME_POINTER
from ...spec import tree as t
from ...spec.control import Block, blocks, control_of, reached, target_of
from ...spec.encoding import Decoded, Program
from ...spec.folding import fold
from ...spec.table import Instruction
from .errors import NotLowerable, TooLarge

#: Blocks of all functions of a program together.
MOST_BLOCKS = 1 << 16


@dataclass(frozen=True, slots=True)
class Plan:
    """A program, analysed for lowering.

    ``blocks`` has the blocks that are reached, by first slot; the end of the program may be one, without instructions.
    ``functions`` maps the slots where the program and its local functions begin, the program's own first, to the first
    slots of the blocks that they lead to without calls, in order; ``called`` are those that are called. ``constants``
    maps slots whose immediates are read from a table when the program runs, to the index of the first of the two
    numbers. ``platform`` are the slots with calls of platform functions, whose values are found before the program
    runs, and their places among these. ``calls_helpers`` tells whether it calls any.
    """

    program: Sequence[Decoded | None]
    blocks: dict[int, Block]
    functions: dict[int, tuple[int, ...]]
    called: frozenset[int]
    constants: dict[int, int]
    platform: dict[tuple[int, t.Call], int]
    calls_helpers: bool

    def at(self, slot: int) -> Decoded:
        """Return the instruction that begins at ``slot``."""
        item = self.program[slot]
        assert item is not None
        return item

    def block_of(self, slot: int) -> Block:
        """Return the block that has the instruction at ``slot``."""
        return next(block for block in self.blocks.values() if slot in block.slots)

    def values(self, program: Program) -> list[int]:
        """Return the numbers for the table of constants, from a program of the same shape."""
        numbers = []
        for slot in self.constants:
            item = program[slot]
            assert item is not None
            numbers += [item.imm, item.next_imm]
        return numbers

    def successors(self, entry: int) -> dict[int, tuple[int, ...]]:
        """Return the blocks of the function at ``entry``, and which come after each."""
        return {first: self.blocks[first].successors for first in self.functions[entry]}

    def size(self) -> int:
        """Return how many instructions the functions have together."""
        return sum(len(self.blocks[first].slots) for firsts in self.functions.values() for first in firsts)


def shape_of(program: Program, entry: int = 0) -> Hashable:
    """Return a key that is equal for programs that can share code: all but :attr:`Plan.constants`."""
    items = (
        None if item is None else item._replace(imm=0, next_imm=0) if has_free_numbers(item.instruction) else item
        for item in program
    )
    return entry, *items


def plan_of(program: Program, entry: int = 0, most_blocks: int = MOST_BLOCKS) -> Plan:
    """Find blocks and functions of ``program``, which has at least one instruction.

    Raises:
        NotLowerable: a row transfers control in a way that no row of RFC 9669 does.
        TooLarge: the functions have more than ``most_blocks`` blocks, each counted as often as functions lead to it.
    """
    constants: dict[int, int] = {}
    platform: list[tuple[int, t.Call]] = []
    for slot, item in enumerate(program):
        if item is not None:
            if control_of(item.instruction).transfer:
                _check_control(slot, item)
            if has_free_numbers(item.instruction):
                constants[slot] = 2 * len(constants)
            for call in platform_calls(item.instruction):
                _check_arguments(call, item)
                platform.append((slot, call))
    found = blocks(program, entry)
    called = {block.call for block in found.values() if block.call is not None}
    return Plan(
        program,
        blocks=found,
        functions=_functions(found, [entry, *sorted(called - {entry})], most_blocks),
        called=frozenset(called),
        constants=constants,
        platform={call: place for place, call in enumerate(dict.fromkeys(platform))},
        calls_helpers=any(
            isinstance(node, t.CallHelper) for item in program if item for node in item.instruction.means
        ),
    )


def _functions(blocks: Mapping[int, Block], starts: Iterable[int], most_blocks: int) -> dict[int, tuple[int, ...]]:
    """Return the first slots of the blocks of each function; shared blocks are duplicated."""
    functions: dict[int, tuple[int, ...]] = {}
    left = most_blocks
    for start in starts:
        functions[start] = tuple(sorted(reached([start], lambda first: blocks[first].successors)))
        left -= len(functions[start])
        if left < 0:
            raise TooLarge(f"the program is too large: its functions have more than {most_blocks} blocks together")
    return functions


def _check_control(slot: int, item: Decoded) -> None:
    row = item.instruction
    control = control_of(row)
    if not control.regular:
        raise NotLowerable(f"{row.name}: {row.means_text}: control is transferred before the end of the row")
    if isinstance(control.transfer, t.Jump | t.CallLocal) and target_of(slot, item) is None:
        raise NotLowerable(f"{row.name}: {row.means_text}: the fields do not tell the distance")


def _check_arguments(call: t.Call, item: Decoded) -> None:
    for argument in call.args:
        if isinstance(argument, t.Call) and argument.name in t.PLATFORM_FUNCTIONS:
            _check_arguments(argument, item)
        elif fold(argument, item) is None:
            row = item.instruction
            raise NotLowerable(f"{row.name}: {row.means_text}: the fields do not tell the argument of {call.name}")


def stack_use(plan: Plan, entry: int) -> frozenset[tuple[int, int]] | None:
    """Return the offsets from R10, with sizes, where the function at ``entry`` stores; None if R10 is used otherwise.

    In that case other accesses may lead to the stack.
    """
    stores = set()
    for first in plan.functions[entry]:
        for slot in plan.blocks[first].slots:
            item = plan.at(slot)
            if FRAME_POINTER not in (item.dst, item.src) and FRAME_POINTER not in named_registers(item.instruction):
                continue
            uses = 0
            for node in t.walk(*item.instruction.means):
                if isinstance(node, t.Register):
                    uses += item.register(node.name) == FRAME_POINTER
                if isinstance(node, t.Load | t.Store):
                    size = node.type.bits // 8
                    offset = _from_frame_pointer(node.address, item)
                    if offset is not None and -FRAME_BYTES <= offset <= -size:
                        uses -= 1
                        if isinstance(node, t.Store):
                            stores.add((offset, size))
            if uses:
                return None
    return frozenset(stores)


@lru_cache(maxsize=4096)
def named_registers(row: Instruction) -> frozenset[int]:
    """Return the registers that ``row`` uses implicitly; calls of helper functions use R0 to R5."""
    nodes = tuple(t.walk(*row.means))
    named = {int(n.name[1:]) for n in nodes if isinstance(n, t.Register) and n.name not in {"dst", "src"}}
    return frozenset(named) | (frozenset(range(6)) if any(isinstance(n, t.CallHelper) for n in nodes) else frozenset())


def _from_frame_pointer(address: t.Expr, item: Decoded) -> int | None:
    match address:
        case t.Binary("+", t.Register(name), distance) if item.register(name) == FRAME_POINTER:
            offset = fold(distance, item)
            return None if offset is None else t.S64.wrap(offset)
        case _:
            return None


def registers_of(item: Decoded) -> tuple[frozenset[int], frozenset[int]]:
    """Return the registers that the meaning of ``item`` reads, and those that it writes; not what calls do."""
    row = item.instruction
    numbers = {node.name: item.register(node.name) for node in t.walk(*row.means) if isinstance(node, t.Register)}
    read = frozenset(number for name, number in numbers.items() if name in row.reads)
    return read, frozenset(number for name, number in numbers.items() if name in row.writes)


@lru_cache(maxsize=4096)
def has_free_numbers(row: Instruction) -> bool:
    """Whether the immediates of ``row`` are only used for the value of a register, as in a 64-bit constant."""
    return row.wide and all(
        isinstance(node, t.Assign | t.Register | t.Cast | t.Binary | t.Negate | t.Field | t.Const)
        for node in t.walk(*row.means)
    )


@lru_cache(maxsize=4096)
def platform_calls(row: Instruction) -> tuple[t.Call, ...]:
    """Return the outermost calls of platform functions in ``row``."""
    found: list[t.Call] = []
    todo: list[t.Node] = list(row.means)
    while todo:
        node = todo.pop()
        if isinstance(node, t.Call) and node.name in t.PLATFORM_FUNCTIONS:
            found.append(node)
        else:
            todo += t.children(node)
    return tuple(found)
