# SPDX-License-Identifier: Apache-2.0
"""Which requirement instructions break: the one that tells best what fails from what passes.

Requirements are compared by Ochiai's coefficient: how many failures cite one, over the geometric mean of all failures
and of all vectors that cite it. Only vectors about an instruction count, and of what they cite only what is about it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from math import sqrt

from ...spec.requirements import load_requirements, rows_of
from ...spec.table import isa
from ..run.runner import Result
from .malformed import field_at_fault
from .spectrum import NO_INSTRUCTION, Blamed, Spectrum

#: Coefficients that differ by less than this part of them say the same.
_ALIKE = 0.05


class Demands:
    """The requirements that the vectors of a spectrum cite."""

    def __init__(self, spectrum: Spectrum) -> None:
        self._spectrum = spectrum
        self._kept: Counter[str] = Counter()
        for kind, number in spectrum.passed.items():
            about = spectrum.about(kind)
            for item in kind.covers:
                if not about or not rows_of(item).isdisjoint(about):
                    self._kept[item] += number

    def broken(self, blamed: Blamed) -> tuple[str, list[str]]:
        """Return the requirement that is broken most clearly, and which of the instructions to blame break it.

        It is empty if the vectors cite none that this version has.
        """
        cited = {name: self._cited(name, results) for name, results in blamed.items()}
        total: Counter[str] = Counter()
        for counts in cited.values():
            total.update(counts)
        scores = _scores(total, self._kept, sum(map(len, blamed.values())))
        if not scores:
            name = max(blamed, key=lambda name: len(blamed[name]))
            return _narrowest(name), [name]
        best = max(scores, key=lambda item: scores[item])
        # Instructions whose failures mostly have nothing to do with it have another fault.
        names = [name for name in blamed if 2 * cited[name][best] >= max(cited[name].values(), default=1)]
        names = names or [max(blamed, key=lambda name: cited[name][best])]
        names.sort(key=lambda name: -len(blamed[name]))
        return self._of(names, blamed, scores), names

    def _of(self, names: list[str], blamed: Blamed, everywhere: Mapping[str, float]) -> str:
        """Return the requirement that some instructions break, by the vectors about them alone.

        Of several that tell as much, it is the one that is cited first: entries begin with what they are about. For
        several instructions it counts as well how much they tell ``everywhere``.
        """
        kept: Counter[str] = Counter()
        for kind, number in self._spectrum.passed.items():
            if NO_INSTRUCTION in names or not self._spectrum.about(kind).isdisjoint(names):
                kept.update(dict.fromkeys(kind.covers, number))
        cited: Counter[str] = Counter()
        for name in names:
            cited.update(self._cited(name, blamed[name]))
        of_all = {
            item: number for item, number in cited.items() if NO_INSTRUCTION in names or rows_of(item) >= set(names)
        }
        scores = _scores(of_all, kept, sum(len(blamed[name]) for name in names))
        if len(names) > 1:
            scores = {item: score * everywhere.get(item, 0) for item, score in scores.items()}
        enough = max(scores.values()) * (1 - _ALIKE)
        return next(item for item in cited if scores.get(item, 0) >= enough)

    def _cited(self, name: str, failures: Iterable[Result]) -> Counter[str]:
        """Return how many failures that are about an instruction cite what is about it, in the order of citing."""
        found: Counter[str] = Counter()
        for result in failures:
            if name == NO_INSTRUCTION or name in self._spectrum.about(self._spectrum.kinds[result.vector.id]):
                found.update(_applicable(result, name))
        return found


def _applicable(result: Result, name: str) -> Iterator[str]:
    """Yield what a vector cites about an instruction; of a malformed one, not what is about another field."""
    known = load_requirements()
    field = field_at_fault(result.vector.little.code) if result.vector.little.expect.rejected else None
    for item in result.vector.entry.covers:
        if item in known and (name == NO_INSTRUCTION or name in rows_of(item)):
            about = known[item].operand or known[item].unused
            if None in (field, about) or field == about:
                yield item


def _scores(cited: Mapping[str, int], kept: Mapping[str, int], failures: int) -> dict[str, float]:
    """Return the coefficients of requirements; what every instruction has to keep only if there is nothing else."""
    special = {item: number for item, number in cited.items() if len(rows_of(item)) < len(isa().instructions)}
    return {item: number / sqrt(failures * (number + kept.get(item, 0))) for item, number in (special or cited).items()}


def _narrowest(name: str) -> str:
    """Return the requirement about an instruction that is about the fewest others."""
    about = [item for item in load_requirements() if name in rows_of(item)]
    return min(about, key=lambda item: len(rows_of(item)), default="")
