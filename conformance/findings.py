# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a runtime, as its author wants to hear it: failures grouped by cause, the gravest first.

A cause is an instruction that the diagnosis accuses, with the requirement it breaks. What fails in the same way, at the
same level and for the same cause is one finding.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from ..spec.encoding import ByteOrder
from ..spec.requirements import Requirement, load_requirements
from . import explain
from .diagnosis.accuse import Share, diagnose
from .expectations import foreseen
from .model import Level
from .runner import Result, RuntimeRun
from .verdict import Failure

#: Numbers of slots, sizes and the like in messages of runtimes.
_NUMBER = re.compile(r"\b\d+\b")


class Weight(IntEnum):
    """How much a failure matters, most first: what the RFC says before what it implies or leaves open."""

    WRONG = 0  # a wrong result of a ``must`` vector
    CRASH = 1
    MUST = 2
    INTERPRETATION = 3
    ABI = 4
    EXTENSION = 5
    ROBUSTNESS = 6


_WEIGHTS = {
    Level.MUST: Weight.MUST,
    Level.INTERPRETATION: Weight.INTERPRETATION,
    Level.ABI: Weight.ABI,
    Level.EXTENSION: Weight.EXTENSION,
    Level.ROBUSTNESS: Weight.ROBUSTNESS,
}
#: At the same weight, what was computed wrongly comes first.
_ORDER = (
    Failure.WRONG_RESULT,
    Failure.MISEXECUTED,
    Failure.CRASHED,
    Failure.TIMED_OUT,
    Failure.REFUSED,
    Failure.LENIENT,
)


class Finding(NamedTuple):
    """Failures with a cause in common.

    ``instruction`` is accused; it is empty where no instruction is at fault, and ``entry`` is that of the example
    then. ``requirement`` is the one that the failures break. ``using`` counts the vectors that have the instruction.
    ``known`` is the reason why this package expects them, if it does.
    """

    weight: Weight
    failure: Failure
    instruction: str
    requirement: Requirement | None
    results: Sequence[Result]
    using: Share
    known: str

    @property
    def example(self) -> Result:
        """The failure to begin with: the one with the shortest program."""
        # Programs that are too long for results are empty there.
        return min(self.results, key=lambda result: len(result.vector.little.code) or 1 << 32)

    @property
    def subject(self) -> str:
        """The name of the instruction, or of the vectors of the example."""
        return self.instruction or self.example.vector.entry.id

    @property
    def level(self) -> str:
        """The level of its vectors; of crashes, those of all of them."""
        found = {result.vector.entry.level for result in self.results}
        return ", ".join(level.value for level in Level if level in found)

    @property
    def common(self) -> str:
        """What the wrong values or the messages have in common, in a few words; empty if nothing stands out."""
        if self.failure is Failure.WRONG_RESULT:
            return _wrong(self.results)
        reasons = [_NUMBER.sub("…", result.judgement.reason) for result in self.results]
        if self.failure in {Failure.MISEXECUTED, Failure.LENIENT} or len(set(reasons)) == 1:
            return ""
        return _mostly(reasons)

    @property
    def query(self) -> str:
        """How the report's list of vectors is asked for these, but for the runtime."""
        about = f"instruction={self.instruction}" if self.instruction else f"q={self.subject}"
        return f"verdict=fail&reason={self.failure.value}&{about}"

    def program(self, byte_order: ByteOrder) -> str:
        """Return the program of the example as assembly; empty if results do not have it."""
        vector = self.example.vector
        return explain.program(vector, byte_order) if vector.little.code else ""


def findings(one: RuntimeRun) -> list[Finding]:
    """Return what is wrong with a runtime: the gravest first, then what explains most failures; known ones last."""
    known = {result.vector.id: entry.reason for entry, results in foreseen(one).items() for result in results}
    requirements = load_requirements()
    found = []
    for accusation in diagnose(one.results).accusations:
        groups: dict[tuple[Weight, Failure | None, str], list[Result]] = {}
        for result in accusation.results:
            key = (_weight(result), result.judgement.failure, known.get(result.vector.id, ""))
            groups.setdefault(key, []).append(result)
        requirement = requirements.get(accusation.requirement)
        found += [
            Finding(weight, failure, accusation.instruction, requirement, results, accusation.using, why)
            for (weight, failure, why), results in groups.items()
            if failure is not None
        ]
    return sorted(found, key=lambda one: (bool(one.known), one.weight, _ORDER.index(one.failure), -len(one.results)))


def _weight(result: Result) -> Weight:
    weight, failure = _WEIGHTS[result.vector.entry.level], result.judgement.failure
    if failure is Failure.CRASHED and weight is not Weight.ROBUSTNESS:
        return Weight.CRASH
    return Weight.WRONG if failure is Failure.WRONG_RESULT and weight is Weight.MUST else weight


def _wrong(results: Sequence[Result]) -> str:
    """Return what is wrong where, and how it relates to what is right."""
    places = Counter(
        " and ".join(dict.fromkeys(item.what.partition("[")[0] for item in result.judgement.differences))
        for result in results
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
