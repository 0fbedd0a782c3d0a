# SPDX-License-Identifier: Apache-2.0
"""Which vectors convict a historical bug: those that its miniature fails, and that are about what it breaks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

from ...adapters.miniatures.miniature import MiniatureAdapter
from ...adapters.miniatures.museum import Bug
from ..run.verdict import Verdict, judge
from ..suite.model import Vector

#: How many vectors are named for a bug, at most.
NAMED: Final = 3
#: The result is the same on every machine.
_ORDER: Final = "little"


class Court:
    """The vectors of a suite, by the requirements that they cover."""

    def __init__(self, vectors: Iterable[Vector]) -> None:
        self._by_requirement: dict[str, list[Vector]] = {}
        for vector in vectors:
            for requirement in vector.entry.covers:
                self._by_requirement.setdefault(requirement, []).append(vector)

    def convicting(self, bug: Bug) -> Iterator[Vector]:
        """Yield the vectors that convict ``bug``, those with the shortest programs first."""
        if bug.miniature is not None:
            about = {vector.id: vector for name in bug.breaks for vector in self._by_requirement.get(name, ())}
            ordered = sorted(about.values(), key=lambda vector: (len(vector.little.code), vector.id))
            yield from failing(bug, ordered)

    def convictions(self, bugs: Iterable[Bug]) -> Mapping[str, list[str]]:
        """Return the ids of the first vectors that convict each of ``bugs``, by its id."""
        return {bug.id: [vector.id for vector in islice(self.convicting(bug), NAMED)] for bug in bugs}


def failing(bug: Bug, vectors: Iterable[Vector]) -> Iterator[Vector]:
    """Yield those of ``vectors`` that the miniature of ``bug``, which has one, fails."""
    assert bug.miniature is not None
    with MiniatureAdapter(bug.miniature, bug.id, _ORDER) as adapter:
        for vector in vectors:
            (outcome,) = adapter.run([vector.job(_ORDER)])
            if judge(vector.variant(_ORDER).expect, outcome).verdict is Verdict.FAIL:
                yield vector
