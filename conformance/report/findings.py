# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a runtime, as its author wants to hear it: failures put together by what they have in common.

Failures of one kind that the same instruction is to blame for, or several that break the same requirement, are one
finding, with what the wrong results share and a vector to begin with.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ...spec.encoding import ByteOrder
from ...spec.requirements import Requirement, load_requirements
from ...spec.table import isa
from .. import explain
from ..expectations import foreseen
from ..model import Level
from ..runner import Result
from ..verdict import Failure
from .comparison import Column
from .tally import FAIL, LEVELS, Chunk, state

#: Numbers of slots, sizes and the like in messages of runtimes.
_NUMBER = re.compile(r"\b\d+\b")


class Finding(NamedTuple):
    """Failures of one kind with something in common.

    ``instructions`` are those that are to blame; where no instruction is, ``entry`` is that of the vectors.
    ``requirement`` is the one that these failures break the most clearly. ``vectors`` counts those about the same
    that gave a verdict, whatever it was. ``known`` are the reasons of failures that this package foresees.
    """

    failure: Failure
    instructions: tuple[str, ...]
    entry: str
    results: Sequence[Result]
    vectors: int
    requirement: Requirement | None
    known: tuple[str, ...]

    @property
    def example(self) -> Result:
        """The failure to begin with: of the strongest level the shortest program."""

        def effort(result: Result) -> tuple[int, int]:
            # Programs that are too long for results are empty there.
            size = len(result.vector.little.code)
            return LEVELS.index(result.vector.entry.level.value), size or 1 << 32

        return min(self.results, key=effort)

    @property
    def told(self) -> str:
        """What the failures have in common, in a few words; empty if the example says it all."""
        if self.failure is Failure.WRONG_RESULT:
            return _wrong(self.results)
        if self.failure in {Failure.MISEXECUTED, Failure.LENIENT} or len({_reason(one) for one in self.results}) == 1:
            return ""
        return _mostly([_reason(one) for one in self.results])

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels of its vectors, if any of them is more than what the RFC says."""
        found = {result.vector.entry.level for result in self.results}
        return () if found == {Level.MUST} else tuple(level.value for level in Level if level in found)

    @property
    def first(self) -> str:
        """The name of the first instruction, or of the entry."""
        return self.instructions[0] if self.instructions else self.entry

    @property
    def query(self) -> str:
        """How the list of vectors is asked for these, but for the runtime."""
        about = f"instruction={','.join(self.instructions)}" if self.instructions else f"q={self.entry}"
        return f"verdict=fail&reason={self.failure.value}&{about}"

    def program(self, byte_order: ByteOrder) -> str:
        """Return the program of the example as assembly; empty if results do not have it."""
        vector = self.example.vector
        return explain.program(vector, byte_order) if vector.little.code else ""


def findings(parts: Sequence[Chunk], number: int, column: Column) -> list[Finding]:
    """Return what is wrong with the runtime of a column: the gravest first, then what most vectors are about."""
    if not any(part.tally.cell(number).failed for part in parts):
        return []
    blamed = _Blame(parts, number)
    groups: dict[tuple[Failure, str, str], list[Result]] = {}
    for part in parts:
        if not part.tally.cell(number).failed:
            continue
        culprit = blamed.instruction(part.instructions)
        for vector in part.vectors:
            result = column.results.get(vector.id)
            if result is None or state(result) != FAIL or result.judgement.failure is None:
                continue
            groups.setdefault((result.judgement.failure, culprit, "" if culprit else part.entry.id), []).append(result)
    reasons = {result.vector.id: entry.reason for entry, results in foreseen(column.run).items() for result in results}
    merged: dict[tuple[Failure, str, str], list[str]] = {}
    for (failure, culprit, entry), results in groups.items():
        broken = blamed.requirement(results)
        # Several instructions that break one requirement in one way are likely to have one cause.
        key = (failure, broken, "") if culprit and broken else (failure, culprit, entry)
        merged.setdefault(key, []).append(culprit or entry)
    found = []
    for (failure, _, entry), names in merged.items():
        about = () if entry else tuple(row.name for row in isa().instructions if row.name in names)
        results = [result for name in names for result in groups[(failure, "" if entry else name, entry)]]
        vectors = blamed.verdicts(about) if about else sum(blamed.entry[entry])
        known = dict.fromkeys(reasons[one.vector.id] for one in results if one.vector.id in reasons)
        requirement = load_requirements().get(blamed.requirement(results))
        found.append(Finding(failure, about, entry, results, vectors, requirement, tuple(known)))
    order = list(Failure)
    return sorted(found, key=lambda one: (order.index(one.failure), -len(one.results)))


class _Blame:
    """Tells who is to blame: of several possible causes the one of whose vectors the greatest part fails."""

    def __init__(self, parts: Iterable[Chunk], number: int) -> None:
        # Of each name how many vectors passed and failed.
        self._instruction: dict[str, list[int]] = {}
        self._requirement: dict[str, list[int]] = {}
        self.entry: dict[str, list[int]] = {}
        for part in parts:
            cell = part.tally.cell(number)
            for counts, names in (
                (self._instruction, part.instructions),
                (self._requirement, part.entry.covers),
                (self.entry, (part.entry.id,)),
            ):
                for name in names:
                    known = counts.setdefault(name, [0, 0])
                    known[0] += cell.passed
                    known[1] += cell.failed

    def instruction(self, names: Sequence[str]) -> str:
        """Return the likely culprit among instructions; empty if there are none."""
        return max(names, key=lambda name: (_share(self._instruction[name]), name), default="")

    def requirement(self, results: Sequence[Result]) -> str:
        """Return the id of the requirement that most of ``results`` are about and that few vectors show to be kept.

        Of several, the one that explains the most failures.
        """
        about = Counter(name for result in results for name in result.vector.entry.covers)
        known = load_requirements()
        return max(
            (name for name in about if name in known),
            key=lambda name: (about[name] * _share(self._requirement[name]), self._requirement[name][1], name),
            default="",
        )

    def verdicts(self, names: Iterable[str]) -> int:
        """Return how many vectors about some instructions gave a verdict; one about two of them counts twice."""
        return sum(sum(self._instruction[name]) for name in names)


def _reason(result: Result) -> str:
    """Return what became of a program, without the numbers that tell one program from another."""
    return _NUMBER.sub("…", result.judgement.reason)


def _share(counts: Sequence[int]) -> float:
    passed, failed = counts
    return failed / (passed + failed) if failed else 0.0


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
