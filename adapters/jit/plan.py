# SPDX-License-Identifier: Apache-2.0
"""The shape of a program: its basic blocks, its functions, and the numbers that may differ between its compilations.

A jump of a row is a tree like any other; where it leads is found by evaluating the tree for the fields at hand.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeAlias

from ...reference_vm.frames import FRAME_BYTES, FRAME_POINTER
from ...spec import tree as t
from ...spec.encoding import Decoded, Program
from ...spec.table import Instruction
from .rows import FOLDED, NotLowerable, TooLarge

Control: TypeAlias = t.Jump | t.CallLocal | t.Return

#: Blocks of all functions of a program together.
MOST_BLOCKS = 1 << 16


@dataclass(frozen=True, slots=True)
class Plan:
    """A program made ready for lowering.

    ``blocks`` maps the first slot of each block to the slots in it, and ``following`` to the first slots of those that
    come next, calls excepted. ``functions`` maps the slots where the program and its local functions begin, the
    program's own first, to the first slots of the blocks that they lead to without calls, in order; the end of the
    program may be one. ``called`` are the functions that are called. ``constants`` maps slots whose immediates are read
    from a table when the program runs, to the index of the first of the two numbers. ``platform`` are the slots with
    calls of platform functions, whose values are found before the program runs, and their places among these.
    ``calls_helpers`` tells whether it calls any.
    """

    program: Sequence[Decoded | None]
    blocks: dict[int, tuple[int, ...]]
    following: dict[int, tuple[int, ...]]
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

    def block_of(self, slot: int) -> tuple[int, tuple[int, ...]]:
        """Return the block that has the instruction at ``slot``: its first slot and all of them."""
        return next((first, slots) for first, slots in self.blocks.items() if slot in slots)

    def values(self, program: Program) -> list[int]:
        """Return the numbers for the table of constants, from a program of the same shape."""
        numbers = []
        for slot in self.constants:
            item = program[slot]
            assert item is not None
            numbers += [item.imm, item.next_imm]
        return numbers

    def calls_from(self, entry: int) -> set[int]:
        """Return where the functions begin that the one at ``entry`` calls itself."""
        return {target for first in self.functions[entry] if (target := self.call_at(first)) is not None}

    def call_at(self, first: int) -> int | None:
        """Return where the function begins that the block at ``first`` calls at its end; None if it calls none."""
        if first not in self.blocks:
            return None
        last = self.blocks[first][-1]
        if not isinstance(control_of(self.at(last).instruction), t.CallLocal):
            return None
        target = target_of(self.at(last), last)
        return target if is_instruction(self.program, target) else None

    def size(self) -> int:
        """Return how many instructions the functions have together."""
        return sum(len(self.blocks.get(first, ())) for firsts in self.functions.values() for first in firsts)

    def loop_heads(self, entry: int) -> set[int]:
        """Return the blocks reached from ``entry`` that a jump leads back to; every loop has one."""
        return {slot for first in self.functions[entry] for slot in self.following.get(first, ()) if slot <= first}


def shape_of(program: Program, entry: int = 0) -> Hashable:
    """Return what two programs have in common if one compilation does for both: all but :attr:`Plan.constants`."""
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
    leaders = {entry}
    for slot, item in enumerate(program):
        control = control_of(item.instruction) if item else None
        if item and control:
            leaders.add(slot + item.instruction.slots)
            if not isinstance(control, t.Return):
                leaders.add(target_of(item, slot))
    blocks: dict[int, list[int]] = {}
    current: list[int] = []
    constants: dict[int, int] = {}
    platform: list[tuple[int, t.Call]] = []
    for slot, item in enumerate(program):
        if item is not None:
            if slot in leaders:
                current = blocks.setdefault(slot, [])
            current.append(slot)
            if has_free_numbers(item.instruction):
                constants[slot] = 2 * len(constants)
            for call in platform_calls(item.instruction):
                _check_arguments(call, item)
                platform.append((slot, call))
    plan = Plan(
        program,
        blocks={first: tuple(slots) for first, slots in blocks.items()},
        following={first: _following(program, slots[-1]) for first, slots in blocks.items()},
        functions={},
        called=frozenset(),
        constants=constants,
        platform={call: place for place, call in enumerate(dict.fromkeys(platform))},
        calls_helpers=any(
            isinstance(node, t.CallHelper) for item in program if item for node in item.instruction.means
        ),
    )
    return replace(plan, called=_find_functions(plan, entry, most_blocks))


def _following(program: Program, last: int) -> tuple[int, ...]:
    """Return where control goes on after the instruction at ``last``, in order; not where it is called."""
    item = program[last]
    assert item is not None
    after = last + item.instruction.slots
    match control_of(item.instruction):
        case t.Return():
            return ()
        case t.Jump(_, condition):
            target = target_of(item, last)
            found = (target,) if is_instruction(program, target) else ()
            return found if condition is None else (*found, after)
        case _:
            return (after,)


def _find_functions(plan: Plan, entry: int, most_blocks: int) -> frozenset[int]:
    """Fill in the functions of ``plan``, and return those that are called.

    Functions that share blocks have each of them for themselves.
    """
    called: set[int] = set()
    left = most_blocks
    todo = [entry]
    while todo:
        function = todo.pop()
        if function in plan.functions:
            continue
        found: set[int] = set()
        blocks = [function]
        while blocks:
            first = blocks.pop()
            if first not in found:
                found.add(first)
                blocks += plan.following.get(first, ())
                if len(found) > left:
                    raise TooLarge(
                        f"the program is too large: its functions have more than {most_blocks} blocks together"
                    )
        left -= len(found)
        plan.functions[function] = tuple(sorted(found))
        calls = plan.calls_from(function)
        called |= calls
        todo += sorted(calls, reverse=True)
    return frozenset(called)


def _check_arguments(call: t.Call, item: Decoded) -> None:
    for argument in call.args:
        if isinstance(argument, t.Call) and argument.name in t.PLATFORM_FUNCTIONS:
            _check_arguments(argument, item)
        elif fold(argument, item) is None:
            row = item.instruction
            raise NotLowerable(f"{row.name}: {row.means_text}: the fields do not tell the argument of {call.name}")


def stack_use(plan: Plan, entry: int) -> frozenset[tuple[int, int]] | None:
    """Return the offsets from R10, with sizes, where the function at ``entry`` stores; None if R10 is used otherwise.

    Then pointers to the stack may be anywhere.
    """
    stores = set()
    for first in plan.functions[entry]:
        for slot in plan.blocks.get(first, ()):
            item = plan.at(slot)
            if FRAME_POINTER not in (item.dst, item.src) and FRAME_POINTER not in named_registers(item.instruction):
                continue
            uses = 0
            for node in t.walk(*item.instruction.means):
                if isinstance(node, t.Register):
                    uses += register_of(item, node.name) == FRAME_POINTER
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
    """Return the registers that ``row`` uses whatever its fields hold; calls of helper functions use R0 to R5."""
    nodes = tuple(t.walk(*row.means))
    named = {int(n.name[1:]) for n in nodes if isinstance(n, t.Register) and n.name not in {"dst", "src"}}
    return frozenset(named) | (frozenset(range(6)) if any(isinstance(n, t.CallHelper) for n in nodes) else frozenset())


def _from_frame_pointer(address: t.Expr, item: Decoded) -> int | None:
    match address:
        case t.Binary("+", t.Register(name), distance) if register_of(item, name) == FRAME_POINTER:
            offset = fold(distance, item)
            return None if offset is None else t.S64.wrap(offset)
        case _:
            return None


def register_of(item: Decoded, name: t.RegisterName) -> int:
    """Return the number of the register that ``name`` stands for in ``item``."""
    return item.dst if name == "dst" else item.src if name == "src" else int(name[1:])


def registers_of(item: Decoded) -> tuple[frozenset[int], frozenset[int]]:
    """Return the registers that the meaning of ``item`` reads, and those that it writes; not what calls do."""
    row = item.instruction
    nodes = [node for node in t.walk(*row.means) if isinstance(node, t.Register)]
    numbers = {node.name: register_of(item, node.name) for node in nodes}
    read = frozenset(number for name, number in numbers.items() if name in row.reads)
    return read, frozenset(number for name, number in numbers.items() if name in row.writes)


def is_instruction(program: Sequence[Decoded | None], slot: int) -> bool:
    """Whether an instruction begins at ``slot``."""
    return 0 <= slot < len(program) and program[slot] is not None


@lru_cache(maxsize=4096)
def control_of(row: Instruction) -> Control | None:
    """Return the statement of ``row`` that transfers control to another block, which must be its last one."""
    found = [node for node in t.walk(*row.means) if isinstance(node, t.Jump | t.CallLocal | t.Return)]
    if not found:
        return None
    if len(found) > 1 or row.means[-1] is not found[0]:
        raise NotLowerable(f"{row.name}: {row.means_text}: control is transferred before the end of the row")
    return found[0]


@lru_cache(maxsize=4096)
def has_free_numbers(row: Instruction) -> bool:
    """Whether the immediates of ``row`` only make up the value of a register, as those of a 64-bit constant do."""
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


def target_of(item: Decoded, slot: int) -> int:
    """Return the slot to which the instruction at ``slot`` jumps or which it calls.

    Raises:
        NotLowerable: its fields do not tell.
    """
    control = control_of(item.instruction)
    assert isinstance(control, t.Jump | t.CallLocal)
    distance = fold(control.distance, item)
    if distance is None:
        row = item.instruction
        raise NotLowerable(f"{row.name}: {row.means_text}: the fields do not tell the distance")
    return slot + item.instruction.slots + t.S64.wrap(distance)


def fold(node: t.Expr, item: Decoded) -> int | None:
    """Return the bits of an expression, if it depends on nothing but the fields of ``item``."""
    match node:
        case t.Const(value, kind):
            return value & kind.mask
        case t.Field(name, kind):
            number: int = getattr(item, name)
            return number & kind.mask
        case t.Cast(kind, inner):
            bits = fold(inner, item)
            return None if bits is None else inner.type.wrap(bits) & kind.mask
        case t.Negate(inner):
            bits = fold(inner, item)
            return None if bits is None else -bits & inner.type.mask
        case t.Binary(op, left, right) if op in FOLDED:
            a, b = fold(left, item), fold(right, item)
            return None if a is None or b is None else FOLDED[op](a, b) & left.type.mask
        case t.Binary("<<" | ">>" | "s>>" as op, left, right):
            a, b = fold(left, item), fold(right, item)
            if a is None or b is None or b >= left.type.bits:
                return None
            signed = t.Type(op == "s>>", left.type.bits).wrap(a)
            return (a << b if op == "<<" else signed >> b) & left.type.mask
        case t.Call(name, (inner,), kind) if name.startswith("bswap"):
            bits = fold(inner, item)
            return None if bits is None else int.from_bytes(bits.to_bytes(kind.bits // 8, "little"), "big")
        case _:
            return None
