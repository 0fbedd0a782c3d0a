# SPDX-License-Identifier: Apache-2.0
"""Which vectors notice a mutant, and whether one that none does is equivalent.

A mutant is tried on the vectors that execute its row until two have noticed: the second only tells whether the first
was the only one, long programs apart. If none does, operands are looked for that tell the mutant from its row, first
by trying, then with the solver, which may as well prove that there are none. What is not equivalent then is tried on
vectors whose executions are long, and on big-endian machines; what is not noticed there either is alive.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from functools import cached_property
from itertools import islice
from typing import NamedTuple

from ...spec.table import Instruction
from . import smt
from .bench import Bench
from .moments import Trail, notices
from .mutant import Mutant
from .sampling import guess
from .smt import Difference
from .suggest import Suggestion, is_noticed, suggest


class Status(StrEnum):
    """What a mutant is found to be."""

    KILLED = "killed"  # a vector notices
    EQUIVALENT = "equivalent"  # the solver proves that there is nothing to notice
    ALIVE = "alive"  # no vector notices, though there is something
    UNDECIDED = "undecided"  # no vector notices, nor does trying; the solver is missing, or found no answer in time


class Decision(NamedTuple):
    """The status of a mutant; at most two of the vectors that notice it, and how it differs if none does."""

    status: Status
    killers: tuple[str, ...] = ()
    difference: Difference | None = None
    suggestion: Suggestion | None = None
    reason: str = ""


class Pool:
    """The cases for the mutants of one row, and the vectors suggested so far for those that are alive."""

    def __init__(self, row: Instruction, bench: Bench) -> None:
        self.row, self.bench = row, bench
        self.suggestions: list[Suggestion] = []
        self._trail = Trail(row, bench.using(row.name), "little")

    @cached_property
    def _big(self) -> Trail:
        return Trail(self.row, map(self.bench.big, self.bench.using(self.row.name)), "big")

    def killers(self, mutant: Mutant) -> Iterator[str]:
        """Return the vectors that notice ``mutant``, except long ones."""
        return (case.id for case in self._trail.departing(mutant) if notices(case, mutant))

    def late_killers(self, mutant: Mutant) -> Iterator[str]:
        """Yield the long vectors that notice ``mutant``, and those that do on big-endian machines only."""
        yield from (case.id for case in self._trail.long if notices(case, mutant))
        if smt.depends_on_byte_order(mutant):
            yield from (case.id for case in self._big.departing(mutant) if notices(case, mutant))

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


def decide(mutant: Mutant, pool: Pool) -> Decision:
    """Decide ``mutant``."""
    killers = tuple(islice(pool.killers(mutant), 2))
    if killers:
        return Decision(Status.KILLED, killers)
    shown = pool.suggestion(mutant)
    answer = smt.compare(mutant) if shown is None and smt.is_available() else None
    if answer is not None and answer.verdict == "equivalent":
        return Decision(Status.EQUIVALENT)
    killers = tuple(islice(pool.late_killers(mutant), 2))
    if killers:
        return Decision(Status.KILLED, killers)
    if shown is not None:
        return Decision(Status.ALIVE, difference=shown.difference, suggestion=shown)
    if answer is None:
        return Decision(Status.UNDECIDED, reason="z3-solver is not installed: pip install z3-solver")
    if answer.difference is None:
        return Decision(Status.UNDECIDED, reason="the solver found no answer in time")
    return Decision(Status.ALIVE, (), answer.difference, pool.suggestion(mutant, answer.difference))
