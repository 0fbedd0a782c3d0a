# SPDX-License-Identifier: Apache-2.0
"""Accusations: for each failure of a run the instruction at fault, by evidence over the whole run.

The failure whose program has the fewest different instructions comes first. Of its instructions, the one of whose
vectors the greatest share fails is accused. It explains the failures in which no other instruction has a greater share;
if at least half of its vectors fail, it explains the failures of all programs that contain it. The next accusation is
made for the failures that are left.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import NamedTuple

from ..model import Level
from ..runner import Result
from ..verdict import Failure, Verdict
from .programs import rows_of

_LEVELS = tuple(Level)
#: What is wrong is the encoding: the program should not run at all.
_OF_ENCODING = frozenset([Failure.MISEXECUTED, Failure.LENIENT])

#: An instruction that fails in this share of its vectors is at fault wherever it is used.
_MOST = 0.5


class Share(NamedTuple):
    """How many of some vectors fail."""

    failed: int
    vectors: int


class Accusation(NamedTuple):
    """An instruction that is at fault, and what it breaks.

    ``instruction`` is the name of a row; empty where no instruction is at fault (a program that ends nowhere runs,
    say). ``requirement`` is an id of ``requirements.yaml``; empty if the vectors cite none that this version has.
    ``results`` are the failures that it explains, those of the strongest level and the shortest programs first.
    ``own`` counts the vectors that are about the instruction (which have no rarer one), ``using`` all that have it.
    ``rivals`` are instructions that explain these failures equally well.
    """

    instruction: str
    requirement: str
    results: tuple[Result, ...]
    own: Share
    using: Share
    rivals: tuple[str, ...]


@dataclass(frozen=True)
class Diagnosis:
    """All accusations of a run, what explains most failures first."""

    accusations: tuple[Accusation, ...]

    @cached_property
    def of(self) -> Mapping[str, Accusation]:
        """The accusation that explains the failure of a vector, by the id of the vector."""
        return {result.vector.id: one for one in self.accusations for result in one.results}


def diagnose(results: Iterable[Result]) -> Diagnosis:
    """Return which instructions are at fault for the failures among ``results``: those of one runtime, of one run."""
    judged = [result for result in results if result.judgement.verdict in {Verdict.PASS, Verdict.FAIL}]
    return Diagnosis((*_diagnose(judged, encoding=False), *_diagnose(judged, encoding=True)))


def _diagnose(judged: Sequence[Result], *, encoding: bool) -> list[Accusation]:
    """Return the accusations for programs that should not run because of their encoding, or for all others."""
    spectrum = _Spectrum([result for result in judged if result.vector.entry.rejected is encoding])
    left = dict(spectrum.failed)
    found = []
    while left:
        name, rivals = spectrum.suspect(spectrum.simplest(left))
        explained = [result for result in left.values() if spectrum.explains(name, result)]
        for result in explained:
            del left[result.vector.id]
        explained.sort(key=_effort)
        requirement = spectrum.requirement(name, explained)
        own, using = spectrum.shares(name)
        found.append(Accusation(name, requirement, tuple(explained), own, using, rivals))
    return found


def _effort(result: Result) -> tuple[int, int]:
    # Programs that are too long for results are empty there.
    return _LEVELS.index(result.vector.entry.level), len(result.vector.little.code) or 1 << 32


class _Spectrum:
    """Which instructions each vector contains, and for each instruction the share of its vectors that fails."""

    def __init__(self, judged: Sequence[Result]) -> None:
        self.rows = {result.vector.id: rows_of(result.vector) for result in judged}
        self.failed = {result.vector.id: result for result in judged if result.judgement.verdict is Verdict.FAIL}
        self._judged = judged
        self._uses = Counter(name for names in self.rows.values() for name in names)
        failures = Counter(name for key in self.failed for name in self.rows[key])
        self._share = {name: failures[name] / self._uses[name] for name in failures}

    def simplest(self, left: Mapping[str, Result]) -> Result:
        """Return the failure whose program has the fewest different instructions."""
        return min(left.values(), key=lambda result: (len(self.rows[result.vector.id]), _effort(result)))

    def suspect(self, failure: Result) -> tuple[str, tuple[str, ...]]:
        """Return the instruction of a failing program with the greatest share of failures, and those with the same.

        Among equals the one that the fewest vectors contain is the first. The name is empty if there is none.
        """
        names = self.rows[failure.vector.id]
        if not names:
            return "", ()
        best = max(names, key=lambda name: (self._share[name], -self._uses[name], name))
        return best, tuple(sorted(name for name in names - {best} if self._share[name] == self._share[best]))

    def explains(self, name: str, failure: Result) -> bool:
        """Return whether a fault of ``name`` explains a failure."""
        if self._share.get(name, 0.0) >= _MOST and name in self.rows[failure.vector.id]:
            return True
        return self.suspect(failure)[0] == name

    def requirement(self, name: str, explained: Sequence[Result]) -> str:
        """Return the requirement that tells best the failures of ``name`` from what passes."""
        about: Counter[str] = Counter(item for result in explained for item in result.vector.entry.covers)
        kept: Counter[str] = Counter()
        for result in self._judged:
            if result.judgement.verdict is Verdict.PASS and (not name or name in self.rows[result.vector.id]):
                kept.update(result.vector.entry.covers)
        return max(about, key=lambda item: (about[item] / sqrt(about[item] + kept[item]), item), default="")

    def shares(self, name: str) -> tuple[Share, Share]:
        """Return how many vectors fail of those that are about an instruction, and of those that have it."""
        counts: dict[bool, list[int]] = defaultdict(lambda: [0, 0])
        for key, names in self.rows.items():
            if name in names or not name:
                about = not name or min(names, key=lambda one: (self._uses[one], one)) == name
                for own in {about, False}:
                    counts[own][0] += key in self.failed
                    counts[own][1] += 1
        return Share(*counts[True]), Share(*counts[False])
