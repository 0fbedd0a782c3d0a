# SPDX-License-Identifier: Apache-2.0
"""The vectors of the short tiers of the suite, chosen by the mutants that they notice. docs/tiers.md says how."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from ..suite.suite import VECTORS
from ..suite.tier import Tier, members
from ..terminal.console import Console
from . import report, smoke
from .contexts import survey_contexts
from .cover import cover
from .kill import Status
from .survey import Finding, OnTask, Scope, Survey, survey

#: The most vectors of tier quick, and the part of the mutants that it has to notice: of those of programs that run, in
#: contexts too. Nearly each mutant of an encoding needs a program of its own, so of these there are as many as there is
#: room for. As much as this is theirs: with so many vectors, those are there that notice several.
MOST_QUICK, FOR_ENCODINGS = 2500, 500
BAR: Final = 0.995
#: The number of mutants in contexts by which vectors are chosen, and the seed; those that are measured are others.
SAMPLE, SEED = 50_000, 0
ENCODING: Final = "encoding"
RUNNING, ENCODINGS, CONFINED = "programs that run", "encodings", "code generators"


class Rate(NamedTuple):
    """How many mutants of a kind are noticed, of how many that can be."""

    kind: str
    noticed: int
    all: int

    @property
    def share(self) -> float:
        """The part that is noticed."""
        return self.noticed / self.all if self.all else 1.0


#: The bars of each tier, by kind. Of the mutants of encodings quick has room for half.
_BARS: Final[Mapping[Tier, Mapping[str, float]]] = {
    Tier.QUICK: {RUNNING: BAR, CONFINED: BAR, ENCODINGS: 0.5},
    Tier.SMOKE: {},
}
_MOST: Final = {Tier.QUICK: MOST_QUICK, Tier.SMOKE: smoke.MOST}


def measure(
    tier: Tier, rows: tuple[str, ...] | None = None, number: int = 1, on_task: OnTask | None = None
) -> tuple[Survey, list[Rate]]:
    """Return what the vectors of a tier notice of the mutants of ``rows`` (all, if it names none), and in which parts.

    Raises:
        BaselineError: a vector does not pass on the unmodified specification.
    """
    ids = members(tier)
    found = survey(Scope((VECTORS,), rows, only=frozenset(ids)), number, on_task).findings
    kinds = {RUNNING: [one for one in found if one.family != ENCODING]}
    kinds[ENCODINGS] = [one for one in found if one.family == ENCODING]
    return Survey(len(ids), found), [_rate(kind, some) for kind, some in kinds.items() if some]


def measure_contexts(
    tier: Tier,
    rows: tuple[str, ...] | None = None,
    sample: int | None = None,
    seed: int = 1,
    number: int = 1,
    on_task: OnTask | None = None,
) -> tuple[Survey, list[Rate]]:
    """Return what the vectors of a tier notice of the mutants in contexts that the suite notices, or of a sample.

    Raises:
        BaselineError: a vector does not pass on the unmodified specification.
    """
    ids = members(tier)
    found = survey_contexts(Scope((VECTORS,), rows, first=ids), sample, seed, number, on_task)
    mine = [_of_tier(one, frozenset(ids)) for one in found.findings if one.status is not Status.ALIVE]
    return Survey(len(ids), mine), [_rate(CONFINED, mine)]


def _of_tier(one: Finding, ids: frozenset[str]) -> Finding:
    """Return what a tier, whose vectors were asked first, makes of a mutant."""
    if one.status is not Status.KILLED or not ids.isdisjoint(one.killers):
        return one
    return one._replace(status=Status.ALIVE, killers=(), reason=f"{one.killers[0]} notices")


def _rate(kind: str, findings: Iterable[Finding]) -> Rate:
    counted = [one.status is Status.KILLED for one in findings if one.status is not Status.EQUIVALENT]
    return Rate(kind, sum(counted), len(counted))


def show_tier(found: Survey, rates: Iterable[Rate], tier: Tier, console: Console, *, all_alive: bool = False) -> bool:
    """Print what the vectors of a tier notice; return whether it is small and strong enough."""
    report.show_tables(found, console)
    for finding in report.unsettled_in(found) if all_alive else ():
        report.show_finding(finding, console)
    console.print(f"\n{found.vectors:,} vectors in tier {tier}; {_MOST[tier]:,} may be")
    well = found.vectors <= _MOST[tier]
    for rate in rates:
        bar = _BARS[tier].get(rate.kind, 0.0)
        style = "green" if rate.share >= bar else "bold red"
        well &= rate.share >= bar
        at_least = f"; at least {bar:.1%} have to be" if bar else ""
        console.print(
            f"[{style}]mutants of {rate.kind}: {rate.noticed:,} of {rate.all:,} noticed ({rate.share:.2%})[/]{at_least}"
        )
    return well


def quick(kept: Sequence[str]) -> list[str]:
    """Return the vectors of tier quick: of those of the last time as many as are needed still, and what is missing.

    Raises:
        BaselineError: a vector does not pass on the unmodified specification.
    """
    first = members(Tier.SMOKE)
    kept = tuple(dict.fromkeys([*first, *kept]))
    scope, number = Scope((VECTORS,), first=kept), len(os.sched_getaffinity(0))
    plain = survey(scope, number).findings
    return chosen(plain, survey_contexts(scope, SAMPLE, SEED, number).findings, kept, first)


def chosen(
    plain: Sequence[Finding], confined: Sequence[Finding], kept: Sequence[str], always: Collection[str] = ()
) -> list[str]:
    """Return vectors that notice mutants of programs that run, also in contexts, and as many of encodings as can be.

    ``plain`` are the findings about mutants of the specification, ``confined`` those in contexts. Vectors that were
    chosen before were asked in their order, and stay if one is the first to notice something, or is in ``always``. So
    the choice is the same the next time. Those that are new come behind them, those first that notice most.
    """
    running = [one.killers for one in (*plain, *confined) if one.family != ENCODING and one.killers]
    named = {killers[0] for killers in running}
    useful = [name for name in kept if name in named or name in always]
    times = Counter(name for killers in running for name in killers)
    room = MOST_QUICK - FOR_ENCODINGS - len(useful)
    useful += sorted(cover(running, (), fixed=useful, most=room), key=lambda name: (-times[name], name))
    encodings = [one.killers for one in plain if one.family == ENCODING]
    return useful + sorted(cover(encodings, kept, fixed=useful, most=MOST_QUICK - len(useful)))
