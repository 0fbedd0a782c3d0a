# SPDX-License-Identifier: Apache-2.0
"""Structured control flow for basic blocks, with loops and conditions only.

Python has no goto. :func:`plan` arranges basic blocks with arbitrary jumps as sequences in which every jump leads
forward, to the header of the innermost loop, or out of it. A block with one predecessor is nested in that predecessor.
Where more than one block can be next, a label variable selects it, and blocks are guarded by a test of the variable;
:attr:`Plan.labels` has the blocks for which it must be set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..spec.control import components, is_cyclic

#: Python nests 20 blocks at most.
MOST_NESTED_LOOPS: Final = 15
#: Python indents 100 levels at most.
MOST_NESTED_BLOCKS: Final = 20


class TooComplexError(Exception):
    """Loops are nested more deeply than Python allows."""


@dataclass(slots=True)
class Item:
    """A part of a sequence: one block with the blocks nested in it, or a loop.

    ``guard`` has the blocks of which one must be next for the item to be entered; None if the item is always entered.
    ``exits`` has the blocks outside of the item that can be next after it.
    """

    block: int
    loop: Sequence | None = None
    guard: frozenset[int] | None = None
    exits: frozenset[int] = frozenset()


@dataclass(slots=True)
class Sequence:
    """Items in order; the body of the loop with the header ``head``, or the whole if None."""

    head: int | None
    blocks: frozenset[int]
    items: list[Item] = field(default_factory=list)


@dataclass(slots=True)
class Plan:
    """The arrangement of all blocks."""

    body: Sequence
    labels: set[int]
    inlined: set[int]


def plan(successors: Mapping[int, tuple[int, ...]], entries: Collection[int]) -> Plan:
    """Arrange blocks with the entry points ``entries``; all targets are blocks, and all blocks are reachable.

    Raises:
        TooComplexError: loops are nested too deeply.
    """
    planner = _Planner(successors, entries)
    body = planner.sequence(list(successors), None, frozenset(entries), 0)
    return Plan(body, planner.labels, planner.inlined)


class _Planner:
    def __init__(self, successors: Mapping[int, tuple[int, ...]], entries: Collection[int]) -> None:
        self.successors = successors
        self.labels: set[int] = set()
        self.inlined: set[int] = set()
        arrivals = Counter(target for targets in successors.values() for target in targets)
        arrivals.update(entries)
        #: Blocks with one incoming edge.
        self.private = {block for block, count in arrivals.items() if count == 1} - set(entries)

    def sequence(self, blocks: list[int], head: int | None, pending: frozenset[int], loops: int) -> Sequence:
        """Arrange ``blocks``, the body of the loop at ``head``; ``pending`` are those that can be first.

        Raises:
            TooComplexError: loops are nested too deeply.
        """
        if loops > MOST_NESTED_LOOPS:
            raise TooComplexError(f"more than {MOST_NESTED_LOOPS} nested loops")
        result = Sequence(head, frozenset(blocks))
        parts = components(self.successors, blocks, set(blocks) - {head})
        single = {part[0] for part in parts if part == [head] or not is_cyclic(part, self.successors)}
        for part in parts:
            first = part[0]
            if first in self.inlined:
                continue
            members = frozenset(part)
            entered = pending & members
            item = Item(first)
            if not pending <= entered:
                item.guard = entered
                self.labels |= pending
            if first not in single:
                item.block = min(entered)
                item.loop = self.sequence(sorted(part), item.block, entered, loops + 1)
                item.exits = frozenset(self._targets(part, None)) - members
                if len(item.exits) > 1 and not item.exits <= result.blocks - {head}:
                    self.labels |= item.exits
            else:
                item.exits = frozenset(self._leaves(first, single))
            result.items.append(item)
            pending = (pending - entered) | ((item.exits & result.blocks) - {head})
        return result

    def _targets(self, blocks: Iterable[int], head: int | None) -> set[int]:
        return {target for block in blocks for target in self.successors[block] if target != head}

    def _leaves(self, root: int, single: set[int]) -> set[int]:
        """Choose the blocks to be nested in ``root``, and return their other successors."""
        found: set[int] = set()
        todo = [(root, 0)]
        while todo:
            block, depth = todo.pop()
            depth += len(self.successors[block]) > 1
            for target in self.successors[block]:
                if target in single and target in self.private and depth <= MOST_NESTED_BLOCKS:
                    self.inlined.add(target)
                    todo.append((target, depth))
                else:
                    found.add(target)
        return found
