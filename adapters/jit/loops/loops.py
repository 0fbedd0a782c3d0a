# SPDX-License-Identifier: Apache-2.0
"""Loops, and which of their memory accesses move by the same distance in each iteration.

A loop is compiled twice: as it is, and without checks for as many iterations as are known to need none; the latter
without the loops and calls inside of it. How many those are is worked out before the loop, from the budget, from where
its accesses begin, and from its conditions (:mod:`..lower.trips`, :mod:`.guards`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ....reference_vm.frames import FRAME_POINTER
from ....spec import tree as t
from ....spec.control import components, is_cyclic, natural_loops
from ....spec.encoding import Decoded
from ..plan import Plan, registers_of
from .forms import AT_START, Forms, Sum, common_forms, fixed_in, form_of, forms_after, steps_of, total_of
from .guards import Fact, Guard, Shape, facts_of, guards_of, rest_of
from .places import Place, State

#: A loop is unrolled to so many instructions, and iterations: by LLVM, and by writing its blocks several times.
_UNROLLED = 48
_MOST_UNROLLED = 8
_MOST_COPIES = 4
#: Loops of more blocks are left as they are.
_MOST_BLOCKS = 64
#: Accesses that move together are looked at together unless they are so many bytes apart.
_WIDEST = 1 << 20


class Access(NamedTuple):
    """A load or store: the slot of its instruction, and the tree of its address."""

    slot: int
    address: t.Expr


@dataclass(frozen=True, slots=True)
class Span:
    """Accesses that lead into one region, ``writes`` or not.

    They touch bytes from the sum of ``registers`` plus ``low`` to that plus ``high``, exclusive, and what a subclass
    adds.
    """

    registers: tuple[int, ...]
    place: Place
    low: int
    high: int
    writes: bool
    accesses: frozenset[Access]


@dataclass(frozen=True, slots=True)
class Sweep(Span):
    """Accesses that begin where the registers lead, and move together by the bytes of ``step`` in each iteration."""

    step: Sum


@dataclass(frozen=True, slots=True)
class Indexed(Span):
    """Accesses at registers that do not move, plus the value of ``fact``, which is known to be below a bound.

    If ``at_start``, the fact is known in all iterations if it is a fact before the first one.
    """

    fact: Fact
    at_start: bool


@dataclass(frozen=True, slots=True)
class Loop:
    """The blocks of a natural loop on paths from ``header`` back to it without inner loops and calls.

    An iteration takes at least ``least`` and at most ``most`` instructions; so short ones are worth several
    ``copies`` of the blocks, or being ``unrolled`` by LLVM. Iterations are ``chained`` if one uses a loop-carried
    value for more than to add to it: LLVM does not vectorise them.
    """

    header: int
    blocks: tuple[int, ...]
    least: int
    most: int
    spans: tuple[Sweep | Indexed, ...]
    guards: tuple[Guard, ...]
    copies: int
    unrolled: int
    chained: bool


def loops_of(plan: Plan, entry: int, places: dict[int, State]) -> dict[int, Loop]:
    """Return the innermost loops of the function at ``entry``, by header."""
    successors = plan.successors(entry)
    bodies = natural_loops(successors, entry)
    found = {}
    for header, body in bodies.items():
        inside = {first for first in body if first == header or first not in bodies}
        if len(inside) > _MOST_BLOCKS:
            continue
        order = _order(header, {first for first in inside if not _calls(plan, first)}, successors)
        if order:
            found[header] = _loop(plan, order, successors, places)
    return found


def _calls(plan: Plan, first: int) -> bool:
    return any(
        isinstance(node, t.CallHelper | t.CallLocal)
        for slot in plan.blocks[first].slots
        for node in plan.at(slot).instruction.means
    )


def _order(header: int, body: set[int], successors: Mapping[int, Sequence[int]]) -> list[int] | None:
    """Return the blocks of ``body`` on the paths from ``header`` back to it, each after those that lead to it.

    None if there is no such path, or if there is a cycle among them.
    """
    if header not in body:
        return None
    inside = {first: [slot for slot in successors[first] if slot in body and slot != header] for first in body}
    parts = components(inside, [header], body)
    if any(is_cyclic(part, inside) for part in parts):
        return None
    back: set[int] = set()
    for (first,) in reversed(parts):
        if header in successors[first] or not back.isdisjoint(inside[first]):
            back.add(first)
    return [first for (first,) in parts if first in back] or None


def _loop(plan: Plan, order: list[int], successors: Mapping[int, Sequence[int]], places: dict[int, State]) -> Loop:
    header, body = order[0], set(order)
    least, most = {header: 0}, {header: 0}
    forms: dict[int, Forms] = {header: AT_START}
    before: dict[int, Forms] = {}
    after: dict[int, Forms] = {}
    ends: list[Forms] = []
    shortest: list[int] = []
    for first in order:
        state, cost = forms[first], len(plan.blocks[first].slots)
        for slot in plan.blocks[first].slots:
            before[slot] = state
            state = forms_after(plan, slot, state)
        after[first] = state
        for slot in successors[first]:
            if slot == header:
                ends.append(state)
                shortest.append(least[first] + cost)
            elif slot in body:
                least[slot] = min(least.get(slot, least[first] + cost), least[first] + cost)
                most[slot] = max(most.get(slot, 0), most[first] + cost)
                forms[slot] = common_forms([forms[slot], state]) if slot in forms else state
    shape = Shape(order, successors, before, after, common_forms(ends))
    steps = steps_of(shape.end)
    longest = max(most[first] + len(plan.blocks[first].slots) for first in order)
    unrolled = max(1, min(_MOST_UNROLLED, _UNROLLED // longest))
    chained = _is_chained([plan.at(slot) for first in order for slot in plan.blocks[first].slots], steps)
    spans = tuple(_spans(plan, shape, steps, places))
    guards = guards_of(plan, shape, steps)
    return Loop(
        header,
        tuple(order),
        least=min(shortest),
        most=longest,
        spans=spans,
        guards=guards,
        copies=min(_MOST_COPIES, unrolled),
        unrolled=unrolled,
        chained=chained,
    )


def _is_chained(items: Sequence[Decoded], steps: Sequence[Sum | None]) -> bool:
    """Whether a register without a known step is read before it is written, and by more than one instruction."""
    written: set[int] = set()
    carried: set[int] = set()
    readers: Counter[int] = Counter()
    for item in items:
        read, changed = registers_of(item)
        readers.update(read)
        carried |= read - written
        written |= changed
    return any(steps[register] is None and readers[register] > 1 for register in carried & written)


def _spans(plan: Plan, shape: Shape, steps: Forms, places: dict[int, State]) -> Iterator[Sweep | Indexed]:
    """Yield the accesses that are known to lead into their regions for a while, those together that move together."""
    facts, start = facts_of(plan, shape)
    fixed = fixed_in(shape.end)
    groups: dict[tuple[tuple[int, ...], Place, Sum | Fact], list[tuple[int, int, bool, Access]]] = {}
    for first in shape.order:
        for slot in plan.blocks[first].slots:
            nodes = list(t.walk(*plan.at(slot).instruction.means))
            writes = any(isinstance(node, t.Store) for node in nodes)
            for node in nodes:
                if not isinstance(node, t.Load | t.Store):
                    continue
                form = form_of(plan, slot, node.address, shape.before[slot])
                motion = _motion(form, steps, facts[first], fixed) if form else None
                if motion:
                    base, how = motion
                    low = t.S64.wrap(base.number)
                    place = place_in(plan, slot, node.address, places)
                    access = low, low + node.type.bits // 8, writes, Access(slot, node.address)
                    groups.setdefault((base.registers, place, how), []).append(access)
    for (registers, place, how), group in groups.items():
        low, high = min(access[0] for access in group), max(access[1] for access in group)
        if high - low > _WIDEST:
            continue
        writes = any(access[2] for access in group)
        accesses = frozenset(access[3] for access in group)
        if isinstance(how, Fact):
            yield Indexed(registers, place, low, high, writes, accesses, how, how in start)
        else:
            yield Sweep(registers, place, low, high, writes, accesses, how)


def _motion(address: Sum, steps: Forms, facts: frozenset[Fact], fixed: frozenset[int]) -> tuple[Sum, Sum | Fact] | None:
    """Return where an address begins, and by what it moves, or which fact bounds what it is from there.

    None if that is not known, or if the address needs no check before the loop.
    """
    if address.registers == (FRAME_POINTER,):
        return None
    step = total_of([steps[register] for register in address.registers])
    if step is None or step.registers:
        # Steps of unknown sizes are a division each time that the loop is entered.
        for fact in sorted(facts):
            rest = rest_of(address, fact, fixed)
            if rest:
                return rest, fact
    return None if step is None else (address, step)


def place_in(plan: Plan, slot: int, address: t.Expr, places: dict[int, State]) -> Place:
    """Return where the pointers in ``address``, used at ``slot``, lead, as far as the flow of values tells."""
    for part in t.walk(address):
        if isinstance(part, t.Register):
            place = places[slot][plan.at(slot).register(part.name)]
            if place is not Place.NUMBER:
                return place
        if isinstance(part, t.Call) and part.name == "packet":
            return Place.INPUT
    return Place.FOUND
