# SPDX-License-Identifier: Apache-2.0
"""Which vectors notice a mutant, and whether a mutant that no vector notices is equivalent.

A mutant is run on the vectors that execute its row until two notice it; the second shows that the first is not the
only one. If none does, operands are searched for which mutant and row differ: first :mod:`.sampling`, then the solver,
which may also prove equivalence. Mutants that are not equivalent are run on long vectors and on big-endian machines. A
mutant that no vector notices there either is alive.
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
from .executions import Recording, notices
from .mutant import Mutant
from .sampling import guess
from .smt import Difference
from .suggest import Suggestion, is_noticed, suggest


class Status(StrEnum):
    """The status of a mutant."""

    KILLED = "killed"  # a vector notices
    EQUIVALENT = "equivalent"  # the solver proves that it has the same effects as its row
    ALIVE = "alive"  # it differs from its row, and no vector notices
    UNDECIDED = "undecided"  # no vector notices; the solver is missing, or had no answer in time


class Decision(NamedTuple):
    """The status of a mutant, at most two vectors that notice it, and operands for which it differs if none does."""

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
        self._recording = Recording(row, bench.using(row.name), "little")

    @cached_property
    def _big(self) -> Recording:
        return Recording(self.row, map(self.bench.big, self.bench.using(self.row.name)), "big")

    def killers(self, mutant: Mutant) -> Iterator[str]:
        """Return the vectors that notice ``mutant``, except long ones."""
        return (case.id for case in self._recording.differing(mutant) if notices(case, mutant))

    def late_killers(self, mutant: Mutant) -> Iterator[str]:
        """Yield the long vectors that notice ``mutant``, then vectors that notice it on big-endian machines."""
        yield from (case.id for case in self._recording.long if notices(case, mutant))
        if smt.depends_on_byte_order(mutant):
            yield from (case.id for case in self._big.differing(mutant) if notices(case, mutant))

    def suggestion(self, mutant: Mutant, difference: Difference | None = None) -> Suggestion | None:
        """Return a vector that notices ``mutant``: one suggested before, or a new one; None if none can be made.

        The new one has the operands of ``difference``, or sampled ones if that is None.
        """
        known = next((one for one in self.suggestions if is_noticed(one, mutant)), None)
        difference = difference or guess(mutant)
        if known is not None or difference is None:
            return known
        made = suggest(mutant, difference)
        if made is not None:
            self.suggestions.append(made)
        return made


def decide(mutant: Mutant, pool: Pool, most: int = 2) -> Decision:
    """Decide ``mutant``; at most ``most`` vectors that notice it are looked for."""
    killers = tuple(islice(pool.killers(mutant), most))
    if killers:
        return Decision(Status.KILLED, killers)
    shown = pool.suggestion(mutant)
    answer = smt.compare(mutant) if shown is None and smt.is_available() else None
    if answer is not None and answer.verdict == "equivalent":
        return Decision(Status.EQUIVALENT)
    killers = tuple(islice(pool.late_killers(mutant), most))
    if killers:
        return Decision(Status.KILLED, killers)
    if shown is not None:
        return Decision(Status.ALIVE, difference=shown.difference, suggestion=shown)
    if answer is None:
        return Decision(Status.UNDECIDED, reason="z3-solver is not installed: pip install z3-solver")
    if answer.difference is None:
        return Decision(Status.UNDECIDED, reason="the solver found no answer in time")
    return Decision(Status.ALIVE, (), answer.difference, pool.suggestion(mutant, answer.difference))
