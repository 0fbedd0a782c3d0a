# SPDX-License-Identifier: Apache-2.0
"""Loops, and which of their memory accesses move by the same distance in each iteration.

A loop is compiled twice: as it is, and without checks for as many iterations as are known to need none; the latter
without the loops and calls inside of it. How many
those are is worked out before the loop, from the budget and from where its accesses begin (:mod:`.functions`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from ...reference_vm.frames import FRAME_POINTER
from ...spec import tree as t
from ...spec.encoding import Decoded
from .layout import REGISTERS
from .places import Place, State
from .plan import Plan, fold, register_of

#: Sums that mention more registers are not followed.
_MOST_TERMS = 3
#: A loop is unrolled to so many instructions.
_UNROLLED = 48
#: Accesses that move together are looked at together unless they are so many bytes apart.
_WIDEST = 1 << 20
_REGISTER_NAMES: tuple[t.RegisterName, ...] = ("dst", "src", "r0")


class Sum(NamedTuple):
    """The values that some registers have where an iteration begins, added up, plus a number; modulo 2**64."""

    registers: tuple[int, ...]
    number: int


#: What each register holds, as far as it is known.
Forms: TypeAlias = "tuple[Sum | None, ...]"


@dataclass(frozen=True, slots=True)
class Sweep:
    """Accesses that lead into one region and move together by the bytes of ``step`` in each iteration.

    In the first iteration they touch bytes from the sum of ``registers`` plus ``low`` to that plus ``high``,
    exclusive. ``accesses`` are slots with the tree of the address.
    """

    registers: tuple[int, ...]
    step: Sum
    place: Place
    low: int
    high: int
    writes: bool
    accesses: frozenset[tuple[int, t.Expr]]


@dataclass(frozen=True, slots=True)
class Loop:
    """The ways from ``header`` back to it on which there are no other loops and no calls; nothing else leads there.

    An iteration takes at least ``least`` and at most ``most`` instructions; so short ones are worth several
    ``copies`` of the blocks. Iterations are ``chained`` if one uses what the one before has computed for more than to
    add to it: they cannot be done side by side.
    """

    header: int
    blocks: tuple[int, ...]
    least: int
    most: int
    sweeps: tuple[Sweep, ...]
    copies: int
    chained: bool


def loops_of(plan: Plan, entry: int, places: dict[int, State]) -> dict[int, Loop]:
    """Return the innermost loops of the function at ``entry``, by header."""
    blocks = [first for first in plan.reachable(entry) if first < len(plan.program)]
    successors = {first: [slot for slot in plan.successors(first) if slot < len(plan.program)] for first in blocks}
    predecessors: dict[int, list[int]] = {first: [] for first in blocks}
    for first, following in successors.items():
        for slot in following:
            predecessors[slot].append(first)
    bodies = {first: body for first in blocks if (body := _body(first, entry, predecessors))}
    found = {}
    for header, body in bodies.items():
        inside = {first for first in body if first == header or first not in bodies}
        order = _order(header, {first for first in inside if not _calls(plan, first)}, successors)
        if order:
            found[header] = _loop(plan, order, successors, places)
    return found


def _body(header: int, entry: int, predecessors: dict[int, list[int]]) -> set[int] | None:
    """Return the blocks of the natural loop of ``header``; None if there is none."""
    todo = [first for first in predecessors[header] if first >= header]
    if not todo:
        return None
    body = {header}
    while todo:
        first = todo.pop()
        if first not in body:
            body.add(first)
            todo += predecessors[first]
    entered_elsewhere = any(
        first == entry or any(before not in body for before in predecessors[first]) for first in body - {header}
    )
    return None if entered_elsewhere else body


def _calls(plan: Plan, first: int) -> bool:
    return any(
        isinstance(node, t.CallHelper | t.CallLocal)
        for slot in plan.blocks[first]
        for node in plan.at(slot).instruction.means
    )


def _order(header: int, body: set[int], successors: dict[int, list[int]]) -> list[int] | None:
    """Return the blocks of ``body`` on the ways from ``header`` back to it, each after those that lead to it.

    None if there is no way, or if there is a cycle among them.
    """
    back = {header: False}
    order: list[int] = []
    open_blocks: set[int] = set()

    def visit(first: int) -> bool:
        open_blocks.add(first)
        for slot in successors[first]:
            if slot == header:
                back[first] = True
            elif slot in open_blocks:
                return False
            elif slot in body:
                if slot not in back:
                    back[slot] = False
                    if not visit(slot):
                        return False
                back[first] |= back[slot]
        open_blocks.remove(first)
        order.append(first)
        return True

    if header not in body or not visit(header) or not back[header]:
        return None
    return [first for first in reversed(order) if back[first]]


def _loop(plan: Plan, order: list[int], successors: dict[int, list[int]], places: dict[int, State]) -> Loop:
    header, body = order[0], set(order)
    least, most = {header: 0}, {header: 0}
    forms: dict[int, Forms] = {header: tuple(Sum((n,), 0) for n in range(REGISTERS))}
    before: dict[int, Forms] = {}
    ends: list[Forms] = []
    shortest: list[int] = []
    for first in order:
        state, cost = forms[first], len(plan.blocks[first])
        for slot in plan.blocks[first]:
            before[slot] = state
            state = forms_after(plan, slot, state)
        for slot in successors[first]:
            if slot == header:
                ends.append(state)
                shortest.append(least[first] + cost)
            elif slot in body:
                least[slot] = min(least.get(slot, least[first] + cost), least[first] + cost)
                most[slot] = max(most.get(slot, 0), most[first] + cost)
                forms[slot] = common_forms([forms[slot], state]) if slot in forms else state
    steps = _steps(common_forms(ends))
    longest = max(most[first] + len(plan.blocks[first]) for first in order)
    sweeps = _sweeps(plan, before, steps, places)
    copies = max(1, min(8, _UNROLLED // longest))
    chained = _is_chained([plan.at(slot) for first in order for slot in plan.blocks[first]], steps)
    return Loop(header, tuple(order), min(shortest), longest, sweeps, copies, chained)


def _is_chained(items: Sequence[Decoded], steps: Sequence[Sum | None]) -> bool:
    """Whether a register without a known step is read before it is written, and by more than one instruction."""
    written: set[int] = set()
    carried: set[int] = set()
    readers: Counter[int] = Counter()
    for item in items:
        row = item.instruction
        read = {register_of(item, name) for name in _REGISTER_NAMES if name in row.reads}
        readers.update(read)
        carried |= read - written
        written |= {register_of(item, name) for name in _REGISTER_NAMES if name in row.writes}
    return any(steps[register] is None and readers[register] > 1 for register in carried & written)


def _steps(end: Forms) -> tuple[Sum | None, ...]:
    """Return by how much each register grows in an iteration, in terms of registers that do not; None if unknown."""
    fixed = {register for register, form in enumerate(end) if form == Sum((register,), 0)}
    steps: list[Sum | None] = []
    for register, form in enumerate(end):
        step = None
        if form is not None and register in form.registers:
            others = list(form.registers)
            others.remove(register)
            if fixed.issuperset(others):
                step = Sum(tuple(others), form.number)
        steps.append(step)
    return tuple(steps)


def _sweeps(
    plan: Plan, before: dict[int, Forms], steps: Sequence[Sum | None], places: dict[int, State]
) -> tuple[Sweep, ...]:
    groups: dict[tuple[tuple[int, ...], Sum, Place], list[tuple[int, int, bool, tuple[int, t.Expr]]]] = {}
    for slot, state in before.items():
        for node in t.walk(*plan.at(slot).instruction.means):
            if not isinstance(node, t.Load | t.Store):
                continue
            form = form_of(plan, slot, node.address, state)
            step = _total([steps[register] for register in form.registers]) if form else None
            if form is None or step is None or form.registers == (FRAME_POINTER,):
                continue
            place = place_in(plan, slot, node.address, places)
            low = t.S64.wrap(form.number)
            writes = any(isinstance(part, t.Store) for part in t.walk(*plan.at(slot).instruction.means))
            access = low, low + node.type.bits // 8, writes, (slot, node.address)
            groups.setdefault((form.registers, step, place), []).append(access)
    sweeps = []
    for (registers, step, place), group in groups.items():
        low, high = min(access[0] for access in group), max(access[1] for access in group)
        if high - low <= _WIDEST:
            accesses = frozenset(access[3] for access in group)
            sweeps.append(Sweep(registers, step, place, low, high, any(access[2] for access in group), accesses))
    return tuple(sweeps)


def _total(steps: Iterable[Sum | None]) -> Sum | None:
    registers: list[int] = []
    number = 0
    for step in steps:
        if step is None:
            return None
        registers += step.registers
        number += step.number
    return Sum(tuple(sorted(registers)), t.S64.wrap(number)) if len(registers) <= 1 else None


def place_in(plan: Plan, slot: int, address: t.Expr, places: dict[int, State]) -> Place:
    """Return where the pointers in ``address``, used at ``slot``, lead, as far as the flow of values tells."""
    for part in t.walk(address):
        if isinstance(part, t.Register):
            place = places[slot][register_of(plan.at(slot), part.name)]
            if place is not Place.NUMBER:
                return place
        if isinstance(part, t.Call) and part.name == "packet":
            return Place.INPUT
    return Place.FOUND


def forms_after(plan: Plan, slot: int, state: Forms) -> Forms:
    """Return what the registers hold after the instruction at ``slot``, local calls excepted."""
    new = list(state)
    for node in t.walk(*plan.at(slot).instruction.means):
        if isinstance(node, t.Assign) and isinstance(node.target, t.Register):
            new[register_of(plan.at(slot), node.target.name)] = form_of(plan, slot, node.value, state)
    return tuple(new)


def form_of(plan: Plan, slot: int, node: t.Expr, state: Forms) -> Sum | None:
    """Return the value of ``node``, an expression of the instruction at ``slot``."""
    match node:
        case t.Register(name):
            return state[register_of(plan.at(slot), name)]
        case t.Cast(kind, value) if kind.bits == value.type.bits == 64:
            return form_of(plan, slot, value, state)
        case t.Binary("+", left, right):
            a, b = form_of(plan, slot, left, state), form_of(plan, slot, right, state)
            if a is None or b is None or len(a.registers) + len(b.registers) > _MOST_TERMS:
                return None
            return Sum(tuple(sorted(a.registers + b.registers)), a.number + b.number & t.U64.mask)
        case t.Binary("-", left, right):
            a, b = form_of(plan, slot, left, state), form_of(plan, slot, right, state)
            if a is None or b is None or b.registers:
                return None
            return Sum(a.registers, a.number - b.number & t.U64.mask)
        case _ if node.type.bits == 64 and slot not in plan.constants:
            number = fold(node, plan.at(slot))
            return None if number is None else Sum((), number)
        case _:
            return None


def common_forms(states: Iterable[Forms]) -> Forms:
    """Return what all of ``states`` agree on."""
    first, *others = states
    return tuple(form if all(other[n] == form for other in others) else None for n, form in enumerate(first))
