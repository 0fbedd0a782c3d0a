# SPDX-License-Identifier: Apache-2.0
"""Few vectors that together notice what a suite notices, chosen so that the choice lasts.

Vectors that were chosen before stay for as long as they are needed, and others come only for what these do not notice.
So a new vector changes nothing where nothing is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from heapq import heapify, heappop, heappush
from zlib import crc32


def cover(
    things: Sequence[Collection[str]],
    kept: Collection[str],
    *,
    fixed: Collection[str] = (),
    most: int | None = None,
) -> frozenset[str]:
    """Return the vectors of a choice, without ``fixed``, which are there in any case.

    Args:
        things: for each thing to notice, the vectors that do.
        kept: the vectors that were chosen before.
        most: the number of vectors, if it is limited; then those are left out that alone notice the fewest things.
    """
    there = frozenset(fixed)
    found = [frozenset(noticing) for noticing in things]
    choice = _Choice([noticing for noticing in found if noticing and not noticing & there], most)
    choice.add_all(sorted(set(kept) - there))
    while True:
        before = choice.chosen.copy()
        choice.fill()
        choice.thin()
        if choice.chosen == before:
            return frozenset(before)


class _Choice:
    """Vectors chosen for things to be noticed."""

    def __init__(self, things: Sequence[frozenset[str]], most: int | None) -> None:
        self.things, self.most = things, most
        self.chosen: set[str] = set()
        self._of: dict[str, list[int]] = {}
        for number, noticing in enumerate(things):
            for vector in noticing:
                self._of.setdefault(vector, []).append(number)
        #: How many of the chosen vectors notice each thing.
        self._times: Counter[int] = Counter()

    def add_all(self, vectors: Sequence[str]) -> None:
        """Choose vectors, as far as they notice anything; those that nobody needs go again."""
        for vector in vectors:
            if vector in self._of:
                self._add(vector)
        self._remove_while(lambda alone: alone == 0)

    def _add(self, vector: str) -> None:
        self.chosen.add(vector)
        self._times.update(self._of[vector])

    @property
    def _left(self) -> int:
        """The number of things that no chosen vector notices."""
        return len(self.things) - len(+self._times)

    def _alone(self, vector: str) -> int:
        """Return how many things nobody would notice without a vector that is chosen."""
        return sum(self._times[number] == 1 for number in self._of[vector])

    def _new(self, vector: str) -> int:
        """Return how many more things a vector would notice."""
        return sum(not self._times[number] for number in self._of[vector])

    def fill(self) -> None:
        """Choose the vectors that notice most of what is not noticed yet."""
        queue = [(-self._new(vector), crc32(vector.encode()), vector) for vector in self._of]
        heapify(queue)
        left = self._left
        while queue and left and (self.most is None or len(self.chosen) < self.most):
            promised, tie, vector = heappop(queue)
            new = self._new(vector)
            if new == -promised and new:
                self._add(vector)
                left -= new
            elif new:
                heappush(queue, (-new, tie, vector))

    def thin(self) -> None:
        """Remove vectors that notice nothing alone, and those that alone notice the fewest things, if they are many."""
        self._remove_while(lambda alone: not alone or (self.most is not None and len(self.chosen) > self.most))

    def _remove_while(self, may_go: Callable[[int], bool]) -> None:
        queue = [(self._alone(vector), crc32(vector.encode()), vector) for vector in self.chosen]
        heapify(queue)
        while queue:
            counted, tie, vector = heappop(queue)
            alone = self._alone(vector)
            if alone > counted:
                heappush(queue, (alone, tie, vector))
            elif may_go(alone):
                self.chosen.remove(vector)
                self._times.subtract(self._of[vector])
            else:
                return
