# SPDX-License-Identifier: Apache-2.0
"""Loops, and which of their memory accesses move by the same distance in each iteration.

A loop is compiled twice: with checks, and without checks for as many iterations as are known to need none; the latter
without inner loops and calls. That trip count is computed before the loop, from the budget, from where its accesses
begin, and from its conditions (:mod:`..lower.trips`, :mod:`.guards`).
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
from .forms import AT_START, Forms, common_forms, form_of, forms_after, steps_of, total_of
from .guards import Guard, Shape, guards_of
from .places import Place, State

#: How far LLVM should unroll a loop at most: instructions, and iterations.
_UNROLLED = 48
_MOST_UNROLLED = 8
#: Loops of more blocks are compiled with checks only.
_MOST_BLOCKS = 64
#: How many bytes accesses of a group may be apart at most.
_WIDEST = 1 << 20


class Access(NamedTuple):
    """A load or store: the slot of its instruction, and the tree of its address."""

    slot: int
    address: t.Expr


@dataclass(frozen=True, slots=True)
class Sweep:
    """Accesses in one region, ``writes`` or not, that move together by ``step`` bytes in each iteration.

    They touch bytes from the sum of ``registers``, where the iteration begins, plus ``low`` to that plus ``high``,
    exclusive.
    """

    registers: tuple[int, ...]
    place: Place
    low: int
    high: int
    writes: bool
    accesses: frozenset[Access]
    step: int


@dataclass(frozen=True, slots=True)
class Loop:
    """The blocks of a natural loop on paths from ``header`` back to it without inner loops and calls.

    An iteration takes at least ``least`` and at most ``most`` instructions; ``unrolled`` is how often LLVM should
    unroll the loop. Iterations are ``chained`` if one uses a loop-carried value for more than to add to it: LLVM does
    not vectorise them.
    """

    header: int
    blocks: tuple[int, ...]
    least: int
    most: int
    sweeps: tuple[Sweep, ...]
    guards: tuple[Guard, ...]
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
    ends: list[Forms] = []
    shortest: list[int] = []
    for first in order:
        state, cost = forms[first], len(plan.blocks[first].slots)
        for slot in plan.blocks[first].slots:
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
    shape = Shape(order, successors, before)
    steps = steps_of(common_forms(ends))
    longest = max(most[first] + len(plan.blocks[first].slots) for first in order)
    return Loop(
        header,
        tuple(order),
        least=min(shortest),
        most=longest,
        sweeps=tuple(_sweeps(plan, shape, steps, places)),
        guards=guards_of(plan, shape, steps),
        unrolled=max(1, min(_MOST_UNROLLED, _UNROLLED // longest)),
        chained=_is_chained([plan.at(slot) for first in order for slot in plan.blocks[first].slots], steps),
    )


def _is_chained(items: Sequence[Decoded], steps: Sequence[int | None]) -> bool:
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


def _sweeps(plan: Plan, shape: Shape, steps: Sequence[int | None], places: dict[int, State]) -> Iterator[Sweep]:
    """Yield the accesses with a known step, grouped by registers, region and step."""
    groups: dict[tuple[tuple[int, ...], Place, int], list[tuple[int, int, bool, Access]]] = {}
    for slot, state in shape.before.items():
        nodes = list(t.walk(*plan.at(slot).instruction.means))
        writes = any(isinstance(node, t.Store) for node in nodes)
        for node in nodes:
            if not isinstance(node, t.Load | t.Store):
                continue
            form = form_of(plan, slot, node.address, state)
            # Accesses at R10 plus a number need no check before the loop.
            if form is None or form.registers == (FRAME_POINTER,):
                continue
            step = total_of(steps[register] for register in form.registers)
            if step is not None:
                low = t.S64.wrap(form.number)
                place = place_in(plan, slot, node.address, places)
                access = low, low + node.type.bits // 8, writes, Access(slot, node.address)
                groups.setdefault((form.registers, place, step), []).append(access)
    for (registers, place, step), group in groups.items():
        low, high = min(access[0] for access in group), max(access[1] for access in group)
        if high - low <= _WIDEST:
            writes = any(access[2] for access in group)
            yield Sweep(registers, place, low, high, writes, frozenset(access[3] for access in group), step)


def place_in(plan: Plan, slot: int, address: t.Expr, places: dict[int, State]) -> Place:
    """Return the likely region of ``address`` at ``slot``, from the dataflow analysis."""
    for part in t.walk(address):
        if isinstance(part, t.Register):
            place = places[slot][plan.at(slot).register(part.name)]
            if place is not Place.NUMBER:
                return place
        if isinstance(part, t.Call) and part.name == "packet":
            return Place.INPUT
    return Place.FOUND
