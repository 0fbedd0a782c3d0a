# SPDX-License-Identifier: Apache-2.0
"""Accusations: for each failure of a run the instruction at fault, by evidence over the whole run.

The failure with the fewest different instructions in its program is looked at first: of these instructions, the one of
whose vectors the greatest part fails is accused, of that failure and of those of all other programs that have it. What
is left is looked at anew, until every failure is explained.
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
        name, rivals = spectrum.suspect(left)
        explained = [result for result in left.values() if not name or name in spectrum.rows[result.vector.id]]
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
    """Which instructions each vector has, and what became of the vectors."""

    def __init__(self, judged: Sequence[Result]) -> None:
        self.rows = {result.vector.id: rows_of(result.vector) for result in judged}
        self.failed = {result.vector.id: result for result in judged if result.judgement.verdict is Verdict.FAIL}
        self._judged = judged
        self._passing: Counter[str] = Counter()
        self._uses: Counter[str] = Counter()
        for result in judged:
            names = self.rows[result.vector.id]
            self._uses.update(names)
            if result.judgement.verdict is Verdict.PASS:
                self._passing.update(names)

    def suspect(self, left: Mapping[str, Result]) -> tuple[str, tuple[str, ...]]:
        """Return the instruction that is at fault in the simplest of the failures ``left``, and others that may be."""
        simplest = min(left.values(), key=lambda result: (len(self.rows[result.vector.id]), _effort(result)))
        names = self.rows[simplest.vector.id]
        if not names:
            return "", ()
        failed = Counter(name for key in self.failed for name in self.rows[key] & names)
        scores = {name: failed[name] / (failed[name] + self._passing[name]) for name in names}
        best = max(scores, key=lambda name: (scores[name], -self._uses[name], name))
        return best, tuple(sorted(name for name in scores if name != best and scores[name] == scores[best]))

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
