# SPDX-License-Identifier: Apache-2.0
"""Mutants run as runtimes: the results of each, for testing the diagnosis."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import groupby
from typing import NamedTuple

from ...adapters.protocol import Job, Outcome, RuntimeInfo
from ...adapters.reference import machine_for, outcome_of
from ...reference_vm.executable import Executable, prepare
from ...reference_vm.interpreter import run
from ...spec.table import Instruction, isa
from ..run.inquiry import settle
from ..run.runner import Result
from ..run.verdict import PASSED, Verdict, judge
from ..suite.model import Vector
from .bench import Bench, Refusal
from .encoding_mutants import EncodingMutant, encoding_mutants
from .mutant import Mutant
from .mutants import mutants_of
from .program_mutants import ProgramMutant, program_mutants

#: Vectors that execute more instructions are left out: each takes the time of thousands of others.
MOST_STEPS = 4096
#: The most instructions that a mutant may execute if the number for the row is not known.
_BUDGET = 4 * MOST_STEPS
#: If only r0 is observed, every vector takes several programs: this many random vectors with the row, and without it,
#: are run.
_HAVING, _OTHERS = 1500, 1000


class Fault(NamedTuple):
    """A mutant of one row: its name, its family, and the row's name."""

    mutant: Mutant | EncodingMutant | ProgramMutant
    id: str
    family: str
    row: str


@cache
def faults_of(row: Instruction) -> tuple[Fault, ...]:
    """Return all mutants that belong to one row."""
    meanings = [Fault(one, one.id, one.family, row.name) for one in mutants_of(row, isa())]
    encodings = [Fault(one, one.id, "encoding", row.name) for one in _encodings() if one.row is row]
    control = [Fault(one, f"{row.name}: {one.what}", "control", row.name) for one in _programs() if one.row == row.name]
    return (*meanings, *encodings, *control)


@cache
def _encodings() -> tuple[EncodingMutant, ...]:
    return tuple(encoding_mutants(isa()))


@cache
def _programs() -> tuple[ProgramMutant, ...]:
    return tuple(program_mutants(isa()))


def sample(every: Iterable[Fault], size: int, seed: int) -> list[Fault]:
    """Return ``size`` faults, or all if they are fewer, stratified by row and family.

    The same ``seed`` gives the same faults.
    """
    ordered: list[Fault] = []
    for stratum, group in groupby(sorted(every, key=_stratum), _stratum):
        members = list(group)
        random.Random(f"{seed} {stratum}").shuffle(members)
        ordered += members
    step = max(1.0, len(ordered) / size)
    start = random.Random(seed).random()
    return [ordered[int((start + number) * step)] for number in range(min(size, len(ordered)))]


def _stratum(fault: Fault) -> tuple[str, str]:
    return fault.row, fault.family


def results(fault: Fault, bench: Bench) -> list[Result]:
    """Return the results of a runtime with the fault that shows all registers and the memory.

    Vectors that the fault does not concern pass.
    """
    failed = {}
    for name, outcome in _outcomes(fault, bench):
        vector = bench.vectors[name]
        judgement = judge(vector.little.expect, outcome)
        if judgement.verdict is not Verdict.PASS:
            failed[name] = Result(vector, outcome, judgement)
    return [failed.get(result.vector.id, result) for result in _all_passed(bench)]


@lru_cache(maxsize=1)
def _all_passed(bench: Bench) -> list[Result]:
    """Return the results of a runtime without a fault."""
    names = [case.id for case in bench.cases if case.steps <= MOST_STEPS]
    names += [refusal.job.id for refusal in bench.refusals]
    return [Result(bench.vectors[name], None, PASSED) for name in names]


def _outcomes(fault: Fault, bench: Bench) -> Iterator[tuple[str, Outcome]]:
    """Yield the outcomes of the vectors that the fault may concern."""
    mutant = fault.mutant
    if isinstance(mutant, EncodingMutant):
        yield from _let_pass(mutant, bench)
        return
    for case in bench.using(fault.row):
        if case.steps <= MOST_STEPS:
            change = mutant.change(case) if isinstance(mutant, ProgramMutant) else mutant.changes(case.at(fault.row))
            if change:
                yield case.id, case.outcome(case.executable.replaced(change))


def _let_pass(mutant: EncodingMutant, bench: Bench) -> Iterator[tuple[str, Outcome]]:
    for refusal in bench.refusals:
        code = as_seen(mutant, refusal)
        if code is not None:
            yield refusal.job.id, refusal.run(code)


def as_seen(mutant: EncodingMutant, refusal: Refusal) -> bytes | None:
    """Return the program as the mutant sees it; None if it finds no instruction that it accepts."""
    seen = ((broken.index, mutant.rewritten(broken)) for broken in refusal.broken)
    return refusal.replaced({index: slots for index, slots in seen if slots is not None})


# Runtimes that show r0 only


_PLUGIN = RuntimeInfo("mutant", "0", "interpreter", "python", "little", None, frozenset(["r0"]))


def r0_results(fault: Fault, bench: Bench) -> list[Result]:
    """Return some results of a runtime with the fault that shows r0 only, as plugins do.

    Programs that fold registers and memory into r0 have further instructions, so that the fault may concern any vector.
    A random sample is run of the vectors whose program has the row, and of the others.
    """
    mutant = fault.mutant
    assert not isinstance(mutant, ProgramMutant), "it depends on whole programs, which differ here"
    if isinstance(mutant, EncodingMutant):
        found = {name: outcome._replace(registers=None, memory=None) for name, outcome in _let_pass(mutant, bench)}
        return [_judged(result.vector, found.get(result.vector.id)) for result in _all_passed(bench)]
    having = {case.id for case in bench.using(fault.row)}
    run_at_all = [one.vector for one in _all_passed(bench) if not one.vector.little.expect.rejected]
    chosen = _some([one for one in run_at_all if one.id in having], _HAVING, fault.id)
    chosen += _some([one for one in run_at_all if one.id not in having], _OTHERS, "others")
    return [_asked(mutant, vector) for vector in chosen]


def _judged(vector: Vector, outcome: Outcome | None) -> Result:
    return Result(vector, outcome, judge(vector.little.expect, outcome) if outcome else PASSED)


def _some(vectors: Sequence[Vector], most: int, seed: str) -> list[Vector]:
    return random.Random(seed).sample(vectors, min(most, len(vectors)))


def _asked(mutant: Mutant, vector: Vector) -> Result:
    """Return the result of a mutant for a vector, with all programs that the inquiry needs."""
    return Result(vector, *settle(vector, _PLUGIN, lambda jobs: [_outcome(mutant, job) for job in jobs]))


def _outcome(mutant: Mutant, job: Job) -> Outcome:
    executable = _prepared(job.code)
    faulty = executable.replaced(mutant.changes(enumerate(executable.program)))
    result = run(faulty, machine_for(job, "little"), budget=_BUDGET)
    return outcome_of(result, _PLUGIN.observes)


@lru_cache(maxsize=1 << 13)
def _prepared(code: bytes) -> Executable:
    return prepare(code)
