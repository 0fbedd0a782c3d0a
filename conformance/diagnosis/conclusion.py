# SPDX-License-Identifier: Apache-2.0
"""The verdict on a runtime in words: which conformance groups it conforms to, and how far it does to the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from ...spec.table import isa
from ..results.document import Run, counts
from ..results.expectations import foreseen
from ..run.runner import Result, RuntimeRun
from ..run.verdict import Verdict
from ..suite.model import Level
from ..suite.tier import Tier


class GroupConformance(NamedTuple):
    """Whether a runtime conforms to a group: the verdicts on the vectors about it of which RFC 9669 decides.

    ``must`` are those of level ``must``. ``other`` are those of interpretations and of the calling convention. Vectors
    that could not be tried on the runtime (its adapter's protocol has no maps, its policy refuses them) are in neither,
    but ``untried``.
    """

    group: str
    must: Counter[Verdict]
    other: Counter[Verdict]
    untried: int = 0

    @property
    def decisive(self) -> Counter[Verdict]:
        """The verdicts that decide: those of level ``must``, or the others of a group that has none."""
        return self.must or self.other

    @property
    def conforms(self) -> bool:
        """Whether all vectors that must pass do."""
        return 0 < self.decisive[Verdict.PASS] == self.decisive.total()

    @property
    def absent(self) -> bool:
        """Whether none of its vectors is supported."""
        both = self.must + self.other
        return both[Verdict.UNSUPPORTED] == both.total()

    def __str__(self) -> str:
        parts = [
            f"{self.decisive[verdict]:,} {word}"
            for verdict, word in (
                (Verdict.FAIL, "fail"),
                (Verdict.UNSUPPORTED, "are not supported"),
                (Verdict.ERROR, "were not judged"),
            )
            if self.decisive[verdict]
        ]
        if parts:
            level = "must vectors" if self.must else "vectors of interpretations"
            return f"{self.group} ({' and '.join(parts)} of {self.decisive.total():,} {level})"
        left = self.other.total() - self.other[Verdict.PASS]
        parts = [f"but not to {left:,} of its {self.other.total():,} vectors of interpretations"] if left else []
        parts += [f"{self.untried:,} could not be tried"] if self.untried else []
        return f"{self.group} ({'; '.join(parts)})" if parts else self.group


def conformance_by_group(results: Sequence[Result]) -> list[GroupConformance]:
    """Return how a runtime stands with each conformance group that it was tried on, in the order of the RFC."""
    must: dict[str, Counter[Verdict]] = {name: Counter() for name in isa().groups}
    other: dict[str, Counter[Verdict]] = {name: Counter() for name in isa().groups}
    untried: Counter[str] = Counter()
    for result in results:
        level, verdict = result.vector.entry.level, result.judgement.verdict
        kind = must if level is Level.MUST else other
        if level not in {Level.MUST, Level.INTERPRETATION, Level.ABI}:
            continue
        if verdict is Verdict.UNSUPPORTED and result.judgement.reason.blames != "instruction":
            untried.update(result.vector.reported)
            continue
        for name in result.vector.reported:
            kind[name][verdict] += 1
    return [
        GroupConformance(name, must[name], other[name], untried[name]) for name in must if must[name] or other[name]
    ]


def in_words(one: RuntimeRun, *, whole: bool, tier: str = Tier.FULL.value) -> str:
    """Return the verdict on a runtime that was tested; ``whole`` tells whether all of the tier was asked for."""
    if not one.complete or one.problem:
        return f"{one.name} was not asked about all vectors, which says nothing about whole conformance groups"
    if not whole:
        number = counts(one.results)
        return (
            f"{one.name} passes {number['pass']:,} of the {len(one.results):,} vectors that were selected, "
            "which says nothing about whole conformance groups"
        )
    verdict = f"{one.name} {'; '.join(_parts(conformance_by_group(one.results)))}"
    if tier == Tier.FULL:
        return verdict
    return f"as far as the {len(one.results):,} vectors of tier {tier} tell, {verdict}"


def _parts(found: Sequence[GroupConformance]) -> Iterator[str]:
    conforms = [str(group) for group in found if group.conforms]
    absent = [group.group for group in found if group.absent]
    others = [str(group) for group in found if not group.conforms and not group.absent]
    yield f"conforms to {', '.join(conforms)}" if conforms else "conforms to no group of RFC 9669"
    if others:
        yield f"not to {', '.join(others)}"
    if absent:
        yield f"does not support {', '.join(absent)}"


class Ending(StrEnum):
    """How a run ended, for those who only want to know whether all is well."""

    WELL = "well"
    FAILED = "failed"  # a runtime failed a vector, and this package does not know why
    UNUSABLE = "unusable"  # a runtime could not be used, or the harness failed
    INTERRUPTED = "interrupted"


def ending(run: Run, *, may_be_missing: Sequence[str]) -> tuple[Ending, str]:
    """Return how a run ended, and why in a sentence; the runtimes in ``may_be_missing`` may be unusable here."""
    tested = [one for one in run.runtimes if one.info is not None]
    unfinished = [one for one in run.runtimes if not one.complete]
    if unfinished:
        ended = Ending.UNUSABLE if any(one.broken for one in unfinished) else Ending.INTERRUPTED
        return ended, f"these results are partial: {unfinished[0].problem}"
    failing = [f"{one.name} fails {number:,}" for one in tested if (number := unexpected(one))]
    if failing:
        return Ending.FAILED, f"{', '.join(failing)} vectors that are not known to fail"
    missing = [one for one in run.runtimes if one.info is None and (one.broken or one.name not in may_be_missing)]
    if missing or not tested:
        return Ending.UNUSABLE, f"{', '.join(one.name for one in missing or run.runtimes)} could not be tested"
    if run.suite.unread:
        return Ending.UNUSABLE, f"{len(run.suite.unread):,} files could not be read"
    errors = sum(counts(one.results)[Verdict.ERROR] for one in tested)
    if errors:
        return Ending.UNUSABLE, f"{errors:,} vectors ended in an error of the harness"
    known = sum(counts(one.results)[Verdict.FAIL] for one in tested)
    return Ending.WELL, f"nothing failed but {known:,} vectors that are known to fail" if known else "nothing failed"


def unexpected(one: RuntimeRun) -> int:
    """Return how many failures of a runtime this package does not know about."""
    return counts(one.results)[Verdict.FAIL] - sum(map(len, foreseen(one).values()))
