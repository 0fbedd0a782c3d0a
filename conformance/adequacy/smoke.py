# SPDX-License-Identifier: Apache-2.0
"""The vectors of tier smoke: short programs that notice when an instruction does nothing, and some to be rejected."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import Final

from ...reference_vm.verifier.structural import verify
from ...spec.encoding import SLOT_BYTES
from ...spec.groups import closure
from ...spec.table import isa
from ..suite.instructions import names_in
from ..suite.model import Level, Vector
from .bench import Bench, Case, refusal
from .cover import cover
from .executions import notices
from .mutant import Mutant
from .mutants import mutants_of

#: The most vectors of the tier.
MOST: Final = 150
#: The most slots of a program, the programs that are tried for an instruction, and the faults if it has no effect.
_SLOTS, _TRIED, _FEW = 64, 40, 12
_OMITTED: Final = re.compile(r"does not (write \w+|store|call|jump|return)|jumps if the condition does not hold")


def smoke(vectors: Sequence[Vector], kept: Collection[str]) -> list[str]:
    """Return the vectors of tier smoke: of those of the last time as many as are needed still, and what is missing."""
    short = [vector for vector in vectors if len(vector.little.code) <= SLOT_BYTES * _SLOTS]
    while True:
        # Not all vectors are tried that are there. Of those that are chosen all are, the next time.
        chosen = cover([*_omissions(short, kept), *_rejections(short)], kept)
        if chosen == frozenset(kept):
            return sorted(chosen)
        kept = chosen


def _omissions(vectors: Sequence[Vector], kept: Collection[str]) -> Iterator[list[str]]:
    """Yield for each effect of each instruction the vectors that notice when it is left out.

    These need as few conformance groups as can be. Of an instruction without an effect, as LE64 is on a little-endian
    machine, some other fault is noticed.
    """
    by_row: dict[str, list[Vector]] = {}
    for vector in vectors:
        if vector.little.expect.returns and vector.entry.level is not Level.ROBUSTNESS:
            for name in names_in(vector.little.code):
                by_row.setdefault(name, []).append(vector)
    tried = {name: list(_tried(found, kept)) for name, found in by_row.items()}
    bench = Bench({vector.id: vector for found in tried.values() for vector in found}.values())
    for row in isa().instructions:
        ids = {vector.id for vector in tried.get(row.name, ())}
        cases = [case for case in bench.using(row.name) if case.id in ids]
        faults = [fault for fault in mutants_of(row, isa()) if not fault.when]
        noticing = [_noticing(fault, cases, bench) for fault in faults if _OMITTED.fullmatch(fault.what)]
        if not any(noticing):
            noticing = [_noticing(fault, cases, bench) for fault in faults[:_FEW]]
        yield from noticing


def _noticing(fault: Mutant, cases: Iterable[Case], bench: Bench) -> list[str]:
    """Return the vectors that notice a fault: of these, those that need the fewest groups."""
    found = [case.id for case in cases if notices(case, fault)]
    needs = {name: len(closure(bench.vectors[name].groups)) for name in found}
    return [name for name in found if needs[name] == min(needs.values())]


def _tried(vectors: Iterable[Vector], kept: Collection[str]) -> Iterator[Vector]:
    """Yield some vectors for each number of groups that they need: those with most different instructions."""

    def order(one: Vector) -> tuple[int, bool, int, int]:
        different = len(names_in(one.little.code))
        return len(closure(one.groups)), one.id not in kept, -different, len(one.little.code)

    for _, alike in groupby(sorted(vectors, key=order), lambda one: len(closure(one.groups))):
        yield from islice(alike, _TRIED)


def _rejections(vectors: Sequence[Vector]) -> Iterator[list[str]]:
    """Yield for each rule that a program can break, and each field, the vectors that break it."""
    found: dict[tuple[str, str | None], list[str]] = {}
    for vector in vectors:
        if vector.little.expect.rejected:
            found.setdefault(_broken_rule(vector), []).append(vector.id)
    yield from found.values()


def _broken_rule(vector: Vector) -> tuple[str, str | None]:
    broken = refusal(vector).broken
    if broken:
        return broken[0].error.rule, broken[0].error.field
    problems = verify(vector.little.code, "little")
    return (problems[0].rule, None) if problems else ("", None)
