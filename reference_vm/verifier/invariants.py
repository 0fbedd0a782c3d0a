# SPDX-License-Identifier: Apache-2.0
"""Invariants: one abstract state per program point, from a fixpoint iteration with widening and narrowing."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from .bounds import Bounds, Edge
from .execution import OF_A_JOIN, Execution, Limit, Point
from .proof import NotProved, Proof
from .state import State, joined, state_includes, widened
from .transfer import Mode

LIMIT = Limit(most=150_000, work=26)
#: Joins at a point before widening, and before widening to the few common thresholds; and passes of narrowing.
_JOINS, _MANY_JOINS, _PASSES = 3, 100, 6


def _order(point: Point) -> tuple[int, int, tuple[int, ...], Point]:
    """Return the key by which the worklist is sorted: functions before their callers, then by slot."""
    return -len(point.callers), point.slot, point.callers, point


class Invariants:
    """The search for an invariant at each program point."""

    #: Whether there was widening, so that narrowing may help.
    guessed = False

    def __init__(self, execution: Execution) -> None:
        self.execution = execution

    def prove(self) -> Proof:
        """Find the invariants, and check them.

        Raises:
            NotProved: there are none that show that the program is safe.
        """
        states = self.grown({self.execution.start: self.execution.entry_state()})
        for _ in range(_PASSES if self.guessed else 0):
            narrower = self._narrowed(states)
            if narrower == states:
                break
            states = narrower
        edges = self.checked(states)
        steps = Bounds(edges, states, self._returning).most_steps(self.execution.start)
        return self.execution.proof(steps, "invariants")

    def _returning(self, head: Point, state: State, points: frozenset[Point]) -> list[State] | None:
        """Return the states at the back edges to ``head`` through ``points``; None if they are not known."""
        arrived: list[State] = []
        try:
            self.grown({head: state}, points, arrived)
        except NotProved:
            return None
        return arrived

    def grown(
        self, states: dict[Point, State], within: frozenset[Point] | None = None, back: list[State] | None = None
    ) -> dict[Point, State]:
        """Return states for all points reachable from the given ones.

        With ``within``, only those points are followed, in the mode ``tracing``, and states at edges to the given
        points are appended to ``back``.
        """
        given = frozenset(states)
        mode: Mode = "trusting" if within is None else "tracing"
        states = dict(states)
        todo = [_order(point) for point in states]
        heapify(todo)
        waiting = set(states)
        joins: dict[Point, int] = {}
        while todo:
            point = heappop(todo)[-1]
            waiting.remove(point)
            _, after = self.execution.follow(point, states[point], mode)
            for target, state in after:
                if within is not None and (target in given or target not in within):
                    if back is not None and target in given:
                        back.append(state)
                    continue
                old = states.get(target)
                self.execution.done += state.size()
                if old is None:
                    states[target] = state
                elif state_includes(old, state):
                    continue
                else:
                    self.execution.done += OF_A_JOIN * state.size()
                    states[target] = joined(old, state)
                    if target.slot in self.execution.heads:
                        joins[target] = joins.get(target, 0) + 1
                        if joins[target] > _JOINS:
                            self.guessed = True
                            # With all numbers of a program as thresholds, some loops would take too long.
                            stops = self.execution.stops if joins[target] <= _MANY_JOINS else self.execution.few_stops
                            states[target] = widened(old, state, stops)
                if target not in waiting:
                    waiting.add(target)
                    heappush(todo, _order(target))
        return states

    def _narrowed(self, states: dict[Point, State]) -> dict[Point, State]:
        """Recompute each state from those of its predecessors."""
        states = dict(states)
        sources: dict[Point, dict[Point, list[State]]] = {}
        after: dict[Point, list[tuple[Point, State]]] = {}
        order = sorted(states, key=lambda p: (len(p.callers), p.slot))
        for point in order:
            after[point] = self.execution.follow(point, states[point], "trusting")[1]
            for target, state in after[point]:
                sources.setdefault(target, {}).setdefault(point, []).append(state)
        for point in order:
            incoming = [state for found in sources.get(point, {}).values() for state in found]
            if point == self.execution.start:
                incoming.append(self.execution.entry_state())
            if not incoming:
                for target, _ in after[point]:
                    sources[target].pop(point, None)
                del states[point]
                continue
            new = incoming[0]
            self.execution.done += (1 + OF_A_JOIN * (len(incoming) - 1)) * new.size()
            for state in incoming[1:]:
                new = joined(new, state)
            if new == states[point]:
                continue
            states[point] = new
            for target, _ in after[point]:
                sources[target].pop(point, None)
            for target, state in self.execution.follow(point, new, "trusting")[1]:
                sources.setdefault(target, {}).setdefault(point, []).append(state)
        return states

    def checked(self, states: dict[Point, State]) -> list[Edge[Point]]:
        """Check that every instruction is safe in the states, and that they include the state after every edge."""
        edges: list[Edge[Point]] = []
        if self.execution.start not in states or not state_includes(
            states[self.execution.start], self.execution.entry_state()
        ):
            raise NotProved(
                self.execution.start.slot, None, "no invariant was found that holds where the program begins"
            )
        for point in sorted(states, key=lambda p: (p.slot, p.callers)):
            count, after = self.execution.follow(point, states[point], "checking")
            for target, state in after:
                self.execution.done += state.size()
                if target not in states or not state_includes(states[target], state):
                    raise NotProved(target.slot, None, "no invariant was found for this loop")
                edges.append(Edge(point, target, count))
            if not after:
                edges.append(Edge(point, None, count))
        return edges
