# SPDX-License-Identifier: Apache-2.0
"""Which instruction is at fault for each failure: spectrum-based fault localisation.

A vector is about the instruction of its program that the fewest vectors of the suite have: the others are there to set
it up. Of several that are about as rare, it is the one that the narrowest of the cited requirements is about. An
instruction is a suspect if it fails a vector about itself. The failure whose program has the fewest different
instructions comes first. Of the suspects in it, the one that explains most failures is to blame for the failures of all
programs that contain it. Then the failures that are left are explained in the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from ...spec import strict_yaml
from ...spec.encoding import ByteOrder
from ...spec.requirements import rows_of as demanded
from ..run.runner import Result
from ..run.verdict import Verdict
from ..suite.instructions import names_in
from ..suite.model import Level, Vector
from .programs import rows_of

#: In place of an instruction: what fails is a program as a whole, or too long for results.
NO_INSTRUCTION = ""
#: Failures by the instruction that is to blame for them.
Blamed: TypeAlias = dict[str, list[Result]]

_LEVELS = tuple(Level)
#: From this number of results on, they show which instructions serve to set up others. Selections do not.
_WHOLE = 20_000
#: Two instructions are about equally rare if the numbers of vectors with them differ by at most this factor.
_AS_RARE = 2
#: More than any number of instructions or bytes.
_MOST = 1 << 32


class Share(NamedTuple):
    """How many of some vectors fail."""

    failed: int
    vectors: int


class Kind(NamedTuple):
    """What vectors that are alike have in common: the requirements that they cite, and their instructions."""

    covers: tuple[str, ...]
    names: frozenset[str]


class Spectrum:
    """Which instructions each result is evidence about, and how many vectors have each.

    ``malformed`` tells that the programs must not run: then each was taken for one of its instructions, not for all.
    """

    def __init__(self, judged: Sequence[Result], byte_order: ByteOrder, *, malformed: bool) -> None:
        self.malformed = malformed
        self.kinds = {one.vector.id: Kind(one.vector.entry.covers, rows_of(one, byte_order)) for one in judged}
        failed = [one for one in judged if one.judgement.verdict is Verdict.FAIL]
        self.failed = sorted(failed, key=lambda one: (len(self.rows(one)) or _MOST, *effort(one)))
        self._vectors = Counter(self.kinds.values())
        self._failed = Counter(self.kinds[result.vector.id] for result in failed)
        self.passed = self._vectors - self._failed
        self.uses = _uses(self._vectors) if malformed or len(judged) >= _WHOLE else uses_in_suite()
        self._subjects: dict[Kind, frozenset[str]] = {}
        self.suspects = frozenset(name for kind in self._failed for name in self.about(kind))

    def rows(self, result: Result) -> frozenset[str]:
        """Return the instructions that a result is evidence about."""
        return self.kinds[result.vector.id].names

    def about(self, kind: Kind) -> frozenset[str]:
        """Return the instruction that vectors are about, if they have any; of malformed ones, all that they may be."""
        if self.malformed:
            return kind.names
        if kind not in self._subjects:
            self._subjects[kind] = frozenset([self._subject(kind)]) if kind.names else frozenset()
        return self._subjects[kind]

    def _subject(self, kind: Kind) -> str:
        fewest = min(self.uses[name] for name in kind.names)
        rare = {name for name in kind.names if self.uses[name] <= _AS_RARE * fewest}
        cited = [about for item in kind.covers if (about := demanded(item)) and not about.isdisjoint(rare)]
        narrowest = min(map(len, cited), default=0)
        named = {name for about in cited if len(about) == narrowest for name in about & rare}
        return min(named or rare, key=lambda name: (self.uses[name], name))

    def share(self, blamed: frozenset[str]) -> Share:
        """Return how many vectors fail of those that contain one of some instructions; of all, if there are none."""
        using = [kind for kind in self._vectors if not blamed or not blamed.isdisjoint(kind.names)]
        return Share(sum(self._failed[kind] for kind in using), sum(self._vectors[kind] for kind in using))

    def culprits(self) -> Blamed:
        """Return the failures by the instruction that is to blame for them."""
        left = {result.vector.id: result for result in self.failed}
        having: dict[str, list[str]] = {}
        for result in self.failed:
            for name in self.rows(result):
                having.setdefault(name, []).append(result.vector.id)
        explains = Counter({name: len(keys) for name, keys in having.items()})
        found: Blamed = {}
        for simplest in self.failed:
            key = simplest.vector.id
            if key not in left:
                continue
            suspects = self.rows(simplest) & self.suspects
            name = max(suspects, key=lambda name: (explains[name], -self.uses[name], name), default=NO_INSTRUCTION)
            for other in having[name] if name else [key]:
                if other in left:
                    found.setdefault(name, []).append(left.pop(other))
                    explains.subtract(self.kinds[other].names)
        return found

    def rivals(self, name: str, failures: Sequence[Result]) -> tuple[str, ...]:
        """Return the other suspects that all of some failures have."""
        common = frozenset.intersection(*map(self.rows, failures))
        return tuple(sorted(common & self.suspects - {name}))


def effort(result: Result) -> tuple[int, int]:
    """Return the key by which failures are sorted: the strongest level and the shortest program first."""
    # Programs that are too long for results are empty there.
    return _LEVELS.index(result.vector.entry.level), len(result.vector.little.code) or _MOST


def _uses(kinds: Mapping[Kind, int]) -> Counter[str]:
    """Return how many vectors have each instruction."""
    found: Counter[str] = Counter()
    for kind, number in kinds.items():
        found.update(dict.fromkeys(kind.names, number))
    return found


#: How many vectors of the suite that comes with this package have each instruction: to count takes seconds.
USES_FILE = Path(__file__).with_name("uses.yaml")


@cache
def uses_in_suite() -> Counter[str]:
    """Return what :data:`USES_FILE` says."""
    data: Any = strict_yaml.load(USES_FILE).data
    return Counter(data)


def count_uses(vectors: Iterable[Vector]) -> Counter[str]:
    """Return how many of ``vectors`` have each instruction, those that must not run aside."""
    return _uses(
        Counter(Kind((), names_in(vector.little.code)) for vector in vectors if not vector.little.expect.rejected)
    )
