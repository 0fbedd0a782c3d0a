# SPDX-License-Identifier: Apache-2.0
"""Which vectors notice a mutant, and what becomes of one that none does.

A mutant is tried on the vectors that execute its row until two have noticed: the second only tells whether the first
was the only one. If none does, operands are looked for that tell the mutant from its row, first by trying, then with
the solver, which may as well prove that there are none: what is neither noticed nor equivalent is alive.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from . import smt
from .bench import Bench, Case
from .moments import Moment, departs, moments, notices
from .mutant import Mutant
from .sampling import guess
from .smt import Difference
from .suggest import Suggestion, is_noticed, suggest

#: After so many vectors have not noticed a mutant, the solver is asked early whether there is anything to notice.
_PATIENCE = 2000
#: As many vectors that noticed something lately are tried first.
_RECENT = 12


class Status(StrEnum):
    """What a mutant is found to be."""

    KILLED = "killed"  # a vector notices
    EQUIVALENT = "equivalent"  # the solver proves that there is nothing to notice
    ALIVE = "alive"  # no vector notices, though there is something
    UNDECIDED = "undecided"  # no vector notices, nor does trying; the solver is missing, or found no answer in time


class Decision(NamedTuple):
    """What became of a mutant; at most two of the vectors that notice it, and how it differs if none does."""

    mutant: Mutant
    status: Status
    killers: tuple[str, ...] = ()
    difference: Difference | None = None
    suggestion: Suggestion | None = None
    reason: str = ""


class Pool:
    """The cases for the mutants of one row, those first that noticed the last ones."""

    def __init__(self, row: str, cases: Iterable[Case]) -> None:
        self.row = row
        self.cases = list(cases)
        self.recent: deque[Case] = deque(maxlen=_RECENT)
        self.suggestions: list[Suggestion] = []
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

    def suggestion(self, mutant: Mutant, difference: Difference | None = None) -> Suggestion | None:
        """Return a vector that is missing: one suggested before that notices ``mutant``, or one made of ``difference``.

        Without a difference, operands like any others are tried. None if that does not do.
        """
        known = next((one for one in self.suggestions if is_noticed(one, mutant)), None)
        difference = difference or guess(mutant)
        if known is not None or difference is None:
            return known
        made = suggest(mutant, difference)
        if made is not None:
            self.suggestions.append(made)
        return made

    def promote(self, case: Case) -> None:
        """Try ``case`` early from now on."""
        if case in self.recent:
            self.recent.remove(case)
        self.recent.appendleft(case)


def _concerns(mutant: Mutant, case: Case) -> bool:
    return not mutant.when or any(mutant.applies(item) for _, item in case.at(mutant.row.name))


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
    shown = pool.suggestion(mutant)
    if shown is not None:
        return Decision(mutant, Status.ALIVE, difference=shown.difference, suggestion=shown)
    answer = answer or _ask(mutant)
    if answer is None:
        return Decision(mutant, Status.UNDECIDED, reason="z3-solver is not installed: pip install z3-solver")
    if answer.verdict == "equivalent":
        return Decision(mutant, Status.EQUIVALENT)
    if answer.difference is None:
        return Decision(mutant, Status.UNDECIDED, reason="the solver found no answer in time")
    return Decision(mutant, Status.ALIVE, (), answer.difference, pool.suggestion(mutant, answer.difference))


def _ask(mutant: Mutant) -> smt.Answer | None:
    return smt.compare(mutant) if smt.is_available() else None


def decide_all(mutants: Iterable[Mutant], bench: Bench) -> Iterator[Decision]:
    """Find out what becomes of ``mutants`` of one row."""
    pool: Pool | None = None
    for mutant in mutants:
        if pool is None:
            pool = Pool(mutant.row.name, bench.using(mutant.row.name))
        yield decide(mutant, pool, bench)
