# SPDX-License-Identifier: Apache-2.0
"""Which vectors notice a mutant, and what becomes of one that none does.

A mutant is run on the vectors that execute its row until two have noticed: the second only tells whether the first
was the only one. A mutant that a number of vectors has not noticed is shown to the solver, for it may be no fault at
all; what is neither noticed nor equivalent is alive.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from . import smt
from .bench import Bench, Case
from .moments import Moment, departs, moments
from .mutant import Mutant

#: After so many vectors have not noticed a mutant, the solver is asked whether there is anything to notice.
_PATIENCE = 2000
#: As many vectors that noticed something lately are tried first.
_RECENT = 12


class Status(StrEnum):
    """What a mutant is found to be."""

    KILLED = "killed"  # a vector notices
    EQUIVALENT = "equivalent"  # the solver proves that there is nothing to notice
    ALIVE = "alive"  # no vector notices, though there is something
    UNDECIDED = "undecided"  # no vector notices; the solver is missing, or found no answer in time


class Decision(NamedTuple):
    """What became of a mutant; at most two of the vectors that notice it, and how it differs if none does."""

    mutant: Mutant
    status: Status
    killers: tuple[str, ...] = ()
    difference: smt.Difference | None = None
    reason: str = ""


class Pool:
    """The cases for the mutants of one row, those first that noticed the last ones."""

    def __init__(self, row: str, cases: Iterable[Case]) -> None:
        self.row = row
        self.cases = list(cases)
        self.recent: deque[Case] = deque(maxlen=_RECENT)
        self._moments: dict[str, list[Moment] | None] = {}

    def candidates(self, mutant: Mutant) -> Iterator[Case]:
        """Yield the cases in which ``mutant`` may show itself."""
        first = list(self.recent)
        for case in first:
            if _concerns(mutant, case):
                yield case
        for case in self.cases:
            if case not in first and _concerns(mutant, case):
                yield case

    def notices(self, case: Case, mutant: Mutant) -> bool:
        """Whether ``case`` notices ``mutant``; its program is only run if there is something to notice."""
        if case.id not in self._moments:
            self._moments[case.id] = moments(case, self.row)
        known = self._moments[case.id]
        if known is not None and not any(departs(mutant, moment, case.job.byte_order) for moment in known):
            return False
        return notices(case, mutant)

    def promote(self, case: Case) -> None:
        """Try ``case`` early from now on."""
        if case in self.recent:
            self.recent.remove(case)
        self.recent.appendleft(case)


def _concerns(mutant: Mutant, case: Case) -> bool:
    return not mutant.when or any(mutant.applies(item) for _, item in case.at(mutant.row.name))


def notices(case: Case, mutant: Mutant) -> bool:
    """Whether the verdict on a runtime with the fault of ``mutant`` is not ``pass``."""
    changes = {
        slot: item._replace(instruction=mutant.instruction_for(item))
        for slot, item in case.at(mutant.row.name)
        if mutant.applies(item)
    }
    return bool(changes) and not case.passes(case.executable.replaced(changes))


def decide(mutant: Mutant, pool: Pool, bench: Bench) -> Decision:
    """Find out what becomes of ``mutant``."""
    killers: list[str] = []
    answer: smt.Answer | None = None
    tried: list[Case] = []
    for case in pool.candidates(mutant):
        if pool.notices(case, mutant):
            killers.append(case.id)
            pool.promote(case)
            if len(killers) > 1:
                break
        elif not killers:
            tried.append(case)
            if len(tried) == _PATIENCE:
                answer = _ask(mutant)
                if answer is not None and answer.verdict == "equivalent":
                    return Decision(mutant, Status.EQUIVALENT)
    if not killers and smt.depends_on_byte_order(mutant):
        killers = [case.id for case in tried if notices(bench.big(case), mutant)][:2]
    if killers:
        return Decision(mutant, Status.KILLED, tuple(killers))
    answer = answer or _ask(mutant)
    if answer is None:
        return Decision(mutant, Status.UNDECIDED, reason="z3-solver is not installed: pip install z3-solver")
    match answer.verdict:
        case "equivalent":
            return Decision(mutant, Status.EQUIVALENT)
        case "differs":
            return Decision(mutant, Status.ALIVE, difference=answer.difference)
    return Decision(mutant, Status.UNDECIDED, reason="the solver found no answer in time")


def _ask(mutant: Mutant) -> smt.Answer | None:
    return smt.compare(mutant) if smt.is_available() else None


def decide_all(mutants: Iterable[Mutant], bench: Bench) -> Iterator[Decision]:
    """Find out what becomes of ``mutants`` of one row."""
    pool: Pool | None = None
    for mutant in mutants:
        if pool is None:
            pool = Pool(mutant.row.name, bench.using(mutant.row.name))
        yield decide(mutant, pool, bench)
