# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a runtime, as its author wants to hear it: failures grouped by cause, the gravest first.

A cause is what the diagnosis accuses: instructions, with the requirement that they break. What fails in the same way
for the same cause is one finding; robustness is apart from what RFC 9669 says or implies.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from ...spec.encoding import ByteOrder
from ...spec.requirements import Requirement, load_requirements
from ..results import explain
from ..results.expectations import foreseen
from ..run.runner import Result, RuntimeRun
from ..run.verdict import Failure
from ..suite.model import Level
from .accuse import diagnose
from .programs import rows_of
from .spectrum import Share, effort

#: Numbers in messages of runtimes, such as slots and sizes.
_NUMBER = re.compile(r"\b\d+\b")


class Weight(IntEnum):
    """How much a failure matters, most first: what the RFC says before what it implies or leaves open."""

    WRONG = 0
    CRASH = 1
    MUST = 2
    INTERPRETATION = 3
    ABI = 4
    EXTENSION = 5
    ROBUSTNESS = 6

    @property
    def title(self) -> str:
        """What failures of this weight are, as a heading."""
        return _TITLES[self]


_TITLES = {
    Weight.WRONG: "Wrong results, by the text of the RFC",
    Weight.CRASH: "Crashes",
    Weight.MUST: "Other failures, by the text of the RFC",
    Weight.INTERPRETATION: "Failures by an interpretation of the RFC",
    Weight.ABI: "Failures of the calling convention",
    Weight.EXTENSION: "Failures of extensions",
    Weight.ROBUSTNESS: "Robustness, which the RFC does not demand",
}
_WEIGHTS = {
    Level.MUST: Weight.MUST,
    Level.INTERPRETATION: Weight.INTERPRETATION,
    Level.ABI: Weight.ABI,
    Level.EXTENSION: Weight.EXTENSION,
    Level.ROBUSTNESS: Weight.ROBUSTNESS,
}
#: The largest number of instructions named where a finding is one line.
_NAMED = 3
#: At the same weight, what was computed wrongly comes first.
_ORDER = (
    Failure.WRONG_RESULT,
    Failure.MISEXECUTED,
    Failure.CRASHED,
    Failure.TIMED_OUT,
    Failure.REFUSED,
    Failure.LENIENT,
    Failure.UNSTEADY,
)


class Finding(NamedTuple):
    """Failures with a cause in common.

    ``instructions`` are accused, the one with most failures first; there are none where no instruction is at fault.
    ``requirement`` is the one that the failures break. ``using`` counts the vectors that have one of the instructions.
    ``known`` is the reason why this package expects them, if it does. ``weight`` is that of the gravest.
    """

    weight: Weight
    failure: Failure
    instructions: tuple[str, ...]
    requirement: Requirement | None
    results: Sequence[Result]
    using: Share
    known: str

    @property
    def example(self) -> Result:
        """The failure to begin with: of the strongest level the one with the shortest program."""
        return min(self.results, key=effort)

    @property
    def subject(self) -> str:
        """The names of the first instructions, or of the vectors of the example."""
        if not self.instructions:
            return self.example.vector.entry.id
        return some(self.instructions, _NAMED)

    @property
    def level(self) -> str:
        """The levels of its vectors, the strongest first."""
        found = {result.vector.entry.level for result in self.results}
        return ", ".join(level.value for level in Level if level in found)

    @property
    def common(self) -> str:
        """What the wrong values or the messages have in common, in a few words; empty if nothing stands out."""
        if self.failure is Failure.WRONG_RESULT:
            return _wrong(self.results)
        reasons = [_NUMBER.sub("…", str(result.judgement.reason)) for result in self.results]
        if self.failure in {Failure.MISEXECUTED, Failure.LENIENT} or len(set(reasons)) == 1:
            return ""
        return _mostly(reasons)

    @property
    def query(self) -> str:
        """How the report's list of vectors is asked for these, but for the runtime."""
        asked = f"verdict=fail&reason={self.failure.value}"
        if self.instructions:
            return f"{asked}&instruction={','.join(self.instructions)}"
        entries = {result.vector.entry.id for result in self.results}
        if self.requirement is None or len(entries) == 1:
            return f"{asked}&q={self.subject}"
        return f"{asked}&requirement={self.requirement.id}"

    def program(self, byte_order: ByteOrder) -> str:
        """Return the program of the example as assembly; empty if results do not have it."""
        vector = self.example.vector
        return explain.program(vector, byte_order) if vector.little.code else ""


def findings(one: RuntimeRun) -> list[Finding]:
    """Return what is wrong with a runtime: the gravest first, then what explains most failures; known ones last."""
    known = {result.vector.id: entry.reason for entry, results in foreseen(one).items() for result in results}
    byte_order = one.info.byte_order if one.info else "little"
    found = []
    for accusation in diagnose(one.results, byte_order).accusations:
        groups: dict[tuple[Failure | None, bool, str], list[Result]] = {}
        for result in accusation.results:
            robust = result.vector.entry.level is Level.ROBUSTNESS
            key = (result.judgement.failure, robust, known.get(result.vector.id, ""))
            groups.setdefault(key, []).append(result)
        for (failure, _, why), results in groups.items():
            if failure is not None:
                weight = min(map(_weight, results))
                requirement = load_requirements().get(accusation.requirement)
                present = frozenset[str]().union(*(rows_of(result, byte_order) for result in results))
                names = tuple(name for name in accusation.instructions if name in present)
                found.append(Finding(weight, failure, names, requirement, results, accusation.using, why))
    return sorted(found, key=lambda one: (bool(one.known), one.weight, _ORDER.index(one.failure), -len(one.results)))


def some(names: Sequence[str], most: int) -> str:
    """Return the first names, and how many more there are."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest:,} more" if rest > 0 else "")


def _weight(result: Result) -> Weight:
    weight, failure = _WEIGHTS[result.vector.entry.level], result.judgement.failure
    if failure is Failure.CRASHED and weight is not Weight.ROBUSTNESS:
        return Weight.CRASH
    return Weight.WRONG if failure is Failure.WRONG_RESULT and weight is Weight.MUST else weight


def _wrong(results: Sequence[Result]) -> str:
    """Return what is wrong where, and how it relates to what is right."""
    places = Counter(
        " and ".join(dict.fromkeys(item.what for item in result.judgement.differences)) for result in results
    )
    hints = [hint for result in results for item in result.judgement.differences if (hint := explain.hint(item))]
    where = " or ".join(place for place, _ in places.most_common(3)) + (" or others" if len(places) > 3 else "")
    common = _mostly(hints, len(results)) if hints else ""
    return f"{where}: {common}" if common else where


def _mostly(texts: Sequence[str], of: int = 0) -> str:
    """Return the most frequent text, and how often it is true if not always; nothing if none stands out."""
    text, number = Counter(texts).most_common(1)[0]
    total = of or len(texts)
    if number >= total:
        return text
    return f"{text} ({number:,} of {total:,})" if number * 4 >= total or not of else ""
