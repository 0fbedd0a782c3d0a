# SPDX-License-Identifier: Apache-2.0
"""Path enumeration: each path is followed separately, as in the kernel's verifier, and loops iteration by iteration."""

from __future__ import annotations

from itertools import compress

from ...spec.control import components, is_cyclic
from . import ranges
from .execution import Execution, Limit, Point
from .proof import NotProved, Proof
from .state import Pointer, State, Value, state_includes

LIMIT = Limit(most=30_000, work=60)
#: The limit if the program is proved safe and only a bound of its steps is missing.
LIMIT_FOR_A_BOUND = LIMIT._replace(most=5_000)
#: Comparisons of states that cost as much as an instruction.
_COMPARED = 10


class TooManyPaths(Exception):
    """The limit is exceeded."""


class Paths:
    """Follows each path until it ends or reaches a state that an earlier one includes."""

    def __init__(self, execution: Execution) -> None:
        self.execution, self.seen = execution, _Seen()

    def prove(self) -> Proof:
        """Follow all paths.

        Raises:
            NotProved: an instruction on a path is not known to be safe.
            TooManyPaths: the limit is exceeded.
        """
        after: list[list[int]] = []
        costs: list[int] = []
        todo: list[tuple[Point, State, int | None]] = [(self.execution.start, self.execution.entry_state(), None)]
        while todo:
            point, state, source = todo.pop()
            number = self.seen.find(point, state)
            if number is None:
                number = len(after)
                after.append([])
                self.seen.add(point, state, number)
                try:
                    cost, following = self.execution.follow(point, state, "checking")
                except NotProved:
                    if self.execution.exhausted():
                        raise TooManyPaths from None
                    raise
                costs.append(cost)
                todo += [(target, new, number) for target, new in reversed(following)]
            if source is not None:
                after[source].append(number)
            self.execution.done += self.seen.done
            self.seen.done = 0
            if self.seen.compared > self.execution.limit.most * _COMPARED or self.execution.exhausted():
                raise TooManyPaths
        return self.execution.proof(_longest(after, costs), "paths")


class _Seen:
    """The states that were followed, each with a number."""

    def __init__(self) -> None:
        #: By point, by which registers are constants, and by their values, which usually differ between iterations.
        self._states: dict[Point, dict[tuple[bool, ...], dict[tuple[object, ...], list[tuple[State, int]]]]] = {}
        self.compared = self.done = 0

    def add(self, point: Point, state: State, number: int) -> None:
        """Note a state."""
        single = [_single(value) for value in state.registers]
        chosen = tuple(value is not None for value in single)
        group = self._states.setdefault(point, {}).setdefault(chosen, {})
        group.setdefault(tuple(compress(single, chosen)), []).append((state, number))

    def find(self, point: Point, state: State) -> int | None:
        """Return the number of an earlier state that includes ``state``."""
        single = [_single(value) for value in state.registers]
        for chosen, group in self._states.get(point, {}).items():
            self.compared += 1
            for old, number in reversed(group.get(tuple(compress(single, chosen)), ())):
                self.compared += 1
                self.done += sum(map(len, state.stacks))
                if state_includes(old, state):
                    return number
        return None


def _single(value: Value) -> object:
    """Return the constant number or address ``value``; None if it has several values."""
    if isinstance(value, Pointer):
        offset = value.offset.constant
        return None if offset is None else (value.place, offset)
    return value.constant if isinstance(value, ranges.Range) else None


def _longest(after: list[list[int]], costs: list[int]) -> int | None:
    """Return the greatest cost of a path from node 0 along ``after``; None if there is a cycle."""
    successors = dict(enumerate(after))
    total: dict[int, int] = {}
    for component in reversed(components(successors, [0], successors)):
        if is_cyclic(component, successors):
            return None
        (node,) = component
        total[node] = costs[node] + max((total[other] for other in after[node]), default=0)
    return total[0]
