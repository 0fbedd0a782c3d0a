# SPDX-License-Identifier: Apache-2.0
"""Mutants of code generators decided: which vectors notice a fault that is confined to one context."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator
from functools import partial
from zlib import crc32

from ...reference_vm.contexts.confine import Confinement
from ...reference_vm.contexts.context import Context
from ...spec.table import Instruction, isa
from . import smt
from .bench import Bench, Case
from .context_mutants import ContextMutant, contexts_of, faults_of
from .kill import Pool, Status, decide
from .occurrences import contexts_in
from .processes import processes
from .survey import Finding, OnTask, Scope, Survey, bench_of

_NOWHERE = "no vector executes the instruction there"
_UNNOTICED = "vectors execute the instruction there, and none notices"
#: Cases with more steps come last. A proof is tried after so many cases that have the context and do not notice.
_LONG, _PROVED_AFTER = 8192, 20


def survey_contexts(
    scope: Scope, sample: int | None = None, seed: int = 1, number: int = 1, on_task: OnTask | None = None
) -> Survey:
    """Decide the mutants of the rows of ``scope`` (all, if it names none) in contexts, or ``sample`` of them.

    The same ``seed`` gives the same sample. It has as great a part of the mutants of each row.

    Raises:
        strict_yaml.YamlError, model.VectorError: a vector file is wrong.
        BaselineError: a vector does not pass on the unmodified specification.
    """
    bench = bench_of(scope)
    names = [row.name for row in isa().instructions] if scope.rows is None else list(scope.rows)
    names.sort(key=lambda name: -len(bench.using(name)))
    part = 1.0 if sample is None else sample / sum(len(_mutants(name)) for name in names)
    result = Survey(len(bench.vectors))
    with processes(number, bench.prepare) as run:
        for done, findings in enumerate(run(partial(_decide, scope, part, seed), names), 1):
            result.findings += findings
            if on_task:
                on_task(done, len(names))
    order = {row.name: place for place, row in enumerate(isa().instructions)}
    result.findings.sort(key=lambda finding: (order[finding.instruction], finding.id))
    return result


def _decide(scope: Scope, part: float, seed: int, name: str) -> list[Finding]:
    mutants = _mutants(name)
    if part < 1:
        # A mutant that comes or goes changes nothing about the others.
        mutants.sort(key=lambda mutant: crc32(f"{seed} {mutant.id}".encode()))
        del mutants[math.ceil(part * len(mutants)) :]
    return list(decide_contexts(isa().by_name[name], bench_of(scope), mutants)) if mutants else []


def _mutants(name: str) -> list[ContextMutant]:
    row = isa().by_name[name]
    return [ContextMutant(fault, where) for fault in faults_of(row, isa()) for where in contexts_of(row)]


def decide_contexts(row: Instruction, bench: Bench, mutants: Iterable[ContextMutant]) -> Iterator[Finding]:
    """Decide ``mutants`` of ``row``. Those whose fault is equivalent to the row everywhere are left out."""
    pool = Pool(row, bench)
    pending: list[_Pending] = []
    statuses: dict[str, Status] = {}
    for mutant in mutants:
        fault = mutant.fault
        if fault.id not in statuses:
            statuses[fault.id] = decide(fault, pool).status
        if statuses[fault.id] is not Status.EQUIVALENT:
            pending.append(_Pending(mutant))
    # Programs with many different instructions have many contexts; long ones take their time.
    cases = sorted(
        bench.using(row.name), key=lambda case: (bench.rank(case.id), case.steps > _LONG, -len(case.executed))
    )
    left = yield from _try(row, cases, pending)
    # On little-endian machines, some instructions have no effect.
    ordered = [one for one in left if smt.depends_on_byte_order(one.mutant.fault)]
    yield from (one.undecided() for one in left if one not in ordered)
    left = yield from _try(row, map(bench.big, cases), ordered)
    yield from (one.undecided() for one in left)


def _try(
    row: Instruction, cases: Iterable[Case], mutants: Iterable[_Pending]
) -> Generator[Finding, None, list[_Pending]]:
    """Yield the findings of ``mutants`` that are decided by ``cases``, and return the others."""
    pending: dict[Context, list[_Pending]] = {}
    for mutant in mutants:
        pending.setdefault(mutant.mutant.where, []).append(mutant)
    for case in cases:
        if not pending:
            break
        for where, slots in contexts_in(row, case).items():
            if where in pending:
                left = []
                for one in pending.pop(where):
                    found = one.decide(case, slots)
                    if found is None:
                        left.append(one)
                    else:
                        yield found
                if left:
                    pending[where] = left
    return [one for some in pending.values() for one in some]


class _Pending:
    """A mutant that no vector has noticed yet."""

    def __init__(self, mutant: ContextMutant) -> None:
        self.mutant, self.tried = mutant, 0

    def decide(self, case: Case, slots: Iterable[int]) -> Finding | None:
        """Return the finding if ``case``, which executes the instruction at ``slots`` in the context, notices."""
        self.tried += 1
        program = case.executable.program
        changes = self.mutant.fault.changes((slot, program[slot]) for slot in slots)
        faulty = Confinement([self.mutant.where]).at(case.executable, changes)
        if not case.passes(faulty):
            return self._finding(Status.KILLED)._replace(killers=(case.id,))
        return self._finding(Status.EQUIVALENT) if self.tried == _PROVED_AFTER and self._is_equivalent() else None

    def undecided(self) -> Finding:
        """Return the finding of a mutant that no vector notices."""
        if self.tried < _PROVED_AFTER and self._is_equivalent():
            return self._finding(Status.EQUIVALENT)
        reason, fault = _UNNOTICED if self.tried else _NOWHERE, self.mutant.fault
        alive = self._finding(Status.ALIVE)
        return alive._replace(reason=reason, means=fault.row.means_text, faulty=str(fault))

    def _finding(self, status: Status) -> Finding:
        return Finding(self.mutant.id, self.mutant.fault.row.name, self.mutant.where.feature, status)

    def _is_equivalent(self) -> bool:
        simpler = list(self.mutant.as_mutants())
        return bool(simpler) and smt.is_available() and all(smt.compare(one).verdict == "equivalent" for one in simpler)
