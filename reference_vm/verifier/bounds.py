# SPDX-License-Identifier: Apache-2.0
"""An upper bound for the number of instructions that a program executes.

In each loop an induction variable is searched: a register that only grows, or only shrinks. At the header its value is
made symbolic (:class:`.state.Place`, ``value``); its distance from that at the back edges is the step. Since it stays
in its interval at the header, the trip count is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Generic, NamedTuple, TypeVar

from ...spec.control import components, is_cyclic
from . import ranges
from .state import HALF, Place, Pointer, State, Value

P = TypeVar("P")
_WHOLE = Place("value", 64)
#: Limits: points of loops, each counted once for every loop around it, and nesting of loops.
_MOST_POINTS, _MOST_NESTED = 300_000, 100


class Edge(NamedTuple, Generic[P]):
    """An edge from a program point to the next one, or to the end of the program, and its number of instructions."""

    source: P
    target: P | None
    instructions: int


class Bounds(Generic[P]):
    """Computes the bound of a program.

    Args:
        edges: all edges between program points.
        states: the abstract state at each point.
        returning: returns the states at the back edges to a point, given its state, on paths through the given points;
            None if they are not known.
    """

    def __init__(
        self,
        edges: Sequence[Edge[P]],
        states: Mapping[P, State],
        returning: Callable[[P, State, frozenset[P]], list[State] | None],
    ) -> None:
        self.states, self.returning = states, returning
        self.visited = 0
        self.after: dict[P, list[P]] = {point: [] for point in states}
        self.costs: dict[P, int] = dict.fromkeys(states, 0)
        for source, target, instructions in edges:
            self.costs[source] = max(self.costs[source], instructions)
            if target is not None:
                self.after[source].append(target)

    def most_steps(self, start: P) -> int | None:
        """Return the greatest number of instructions executed from ``start``; None if no bound is known."""
        return self._longest(frozenset(self.states), start, None)

    def _longest(self, points: frozenset[P], first: P, head: P | None, nested: int = 0) -> int | None:
        """Return the length of the longest path from ``first`` through ``points`` that does not reach ``head``."""
        self.visited += len(points)
        if self.visited > _MOST_POINTS:
            return None
        after = {
            point: [target for target in self.after[point] if target in points and target != head] for point in points
        }
        longest: dict[P, int] = {first: 0}
        result = 0
        for component in components(after, [first], after):
            arrived = [point for point in component if point in longest]
            if not is_cyclic(component, after):
                cost: int | None = self.costs[arrived[0]]
            elif len(arrived) == 1 and nested < _MOST_NESTED:
                cost = self._of_loop(frozenset(component), arrived[0], nested + 1)
            else:
                cost = None
            if cost is None:
                return None
            total = max(longest[point] for point in arrived) + cost
            result = max(result, total)
            members = frozenset(component)
            for point in component:
                for target in after[point]:
                    if target not in members:
                        longest[target] = max(longest.get(target, 0), total)
        return result

    def _of_loop(self, points: frozenset[P], head: P, nested: int) -> int | None:
        trips = self._trip_count(points, head)
        if trips is None:
            return None
        each = self._longest(points, head, head, nested)
        return None if each is None else each * trips

    def _trip_count(self, points: frozenset[P], head: P) -> int | None:
        found: list[int] = []
        state = self.states[head]
        for register, value in enumerate(state.registers):
            values = value.offset if isinstance(value, Pointer) else value
            if not isinstance(values, ranges.Range) or values.constant is not None:
                continue
            registers = list[Value](state.registers)
            # For a number that fits in 32 bits, 32-bit arithmetic is followed as well.
            place = HALF if values.high >> 32 == 0 and not isinstance(value, Pointer) else _WHOLE
            registers[register] = Pointer(place, ranges.known(0))
            arrived = self.returning(head, replace(state, registers=tuple(registers)), points)
            trips = arrived and _trips(values, place, [one.registers[register] for one in arrived])
            if trips:
                found.append(trips)
        return min(found, default=None)


def _trips(values: ranges.Range, place: Place, ends: Sequence[Value]) -> int | None:
    """Return the greatest trip count for a number in ``values``, given its values at the ``ends`` of an iteration."""
    steps: list[tuple[int, int]] = []
    for end in ends:
        if not isinstance(end, Pointer) or end.place != place:
            return None
        steps.append((end.offset.signed_low, end.offset.signed_high))
    if all(high < 0 for _, high in steps):
        steps = [(-high, -low) for low, high in steps]
    least, most = min(low for low, _ in steps), max(high for _, high in steps)
    span = min(values.high - values.low, values.signed_high - values.signed_low)
    # A step that wraps around would leave the interval.
    if least <= 0 or span + most >= 1 << place.number:
        return None
    return span // least + 1
