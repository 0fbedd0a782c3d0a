# SPDX-License-Identifier: Apache-2.0
"""Accusations: for each failure of a run the instruction at fault and the requirement it breaks, by evidence over the
whole run. See :mod:`.spectrum` for the one, :mod:`.demands` for the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from ...spec.encoding import ByteOrder
from ..run.runner import Result
from ..run.verdict import Verdict
from ..suite.model import Expectation
from .demands import Demands
from .spectrum import NO_INSTRUCTION, Blamed, Share, Spectrum, effort


class Accusation(NamedTuple):
    """Instructions that are at fault, and what they break.

    ``instructions`` are names of rows, the one with most failures first; empty where no instruction is at fault (a
    program that ends nowhere runs, say). ``requirement`` is an id of ``requirements.yaml`` about each of them; empty if
    the vectors cite none that this version has. ``results`` are the failures that are explained, those of the strongest
    level and the shortest programs first. ``using`` counts the vectors that contain one of the instructions. ``rivals``
    are others that would explain all of these failures as well.
    """

    instructions: tuple[str, ...]
    requirement: str
    results: tuple[Result, ...]
    using: Share
    rivals: tuple[str, ...]

    @property
    def instruction(self) -> str:
        """The first of the instructions; empty if there is none."""
        return self.instructions[0] if self.instructions else NO_INSTRUCTION


@dataclass(frozen=True)
class Diagnosis:
    """All accusations of a run, what explains most failures first."""

    accusations: tuple[Accusation, ...]

    @cached_property
    def of(self) -> Mapping[str, Accusation]:
        """The accusation that explains the failure of a vector, by the id of the vector."""
        return {result.vector.id: one for one in self.accusations for result in one.results}


def diagnose(results: Iterable[Result], byte_order: ByteOrder = "little") -> Diagnosis:
    """Return which instructions are at fault for the failures among ``results``: those of one runtime, of one run.

    ``byte_order`` is that of the runtime.
    """
    judged = [result for result in results if result.judgement.verdict in {Verdict.PASS, Verdict.FAIL}]
    found: list[Accusation] = []
    # To run a program rightly, to stop it, to refuse it and to hide what others left are different abilities.
    for ability in ("return", "stop", "refuse", "hide"):
        of_kind = [one for one in judged if _asks_for(one.vector.little.expect) == ability]
        if any(one.judgement.verdict is Verdict.FAIL for one in of_kind):
            found += _accusations(Spectrum(of_kind, byte_order, malformed=ability == "refuse"))
    return Diagnosis(tuple(sorted(found, key=lambda one: -len(one.results))))


def _asks_for(expect: Expectation) -> str:
    """Return what a runtime has to do with a program: let it ``return``, ``stop`` or ``refuse`` it, or ``hide``."""
    if expect.rejected:
        return "refuse"
    if expect.steady:
        return "hide"
    return "return" if expect.returns else "stop"


def _accusations(spectrum: Spectrum) -> Iterator[Accusation]:
    blamed, demands = spectrum.culprits(), Demands(spectrum)
    while blamed:
        requirement, names = demands.broken(blamed)
        results = [result for name in names for result in _explained(blamed, name, requirement, spectrum)]
        instructions = tuple(name for name in names if name != NO_INSTRUCTION)
        using = spectrum.share(frozenset(instructions))
        rivals = spectrum.rivals(names[0], results) if len(names) == 1 else ()
        yield Accusation(instructions, requirement, tuple(sorted(results, key=effort)), using, rivals)


def _explained(blamed: Blamed, name: str, requirement: str, spectrum: Spectrum) -> list[Result]:
    """Take from ``blamed`` the failures of an instruction that breaking the requirement explains.

    These are all; but programs that a runtime should refuse have each another thing wrong with them, so that of those
    it is what cites the requirement.
    """
    failures = blamed.pop(name)
    if not spectrum.malformed:
        return failures
    found = [one for one in failures if requirement in one.vector.entry.covers] or failures
    if len(found) < len(failures):
        blamed[name] = [one for one in failures if one not in found]
    return found
