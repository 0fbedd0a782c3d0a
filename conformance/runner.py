# SPDX-License-Identifier: Apache-2.0
"""Vectors times runtimes gives verdicts: every vector gets one from every runtime, whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import NamedTuple, TypeAlias

from ..adapters.protocol import Job, Outcome, OutcomeKind, RuntimeInfo, Unavailable
from ..spec.groups import asked as asked_about
from ..spec.groups import closure
from ..spec.table import isa
from .fold import Folding, NotFoldable, Probe, blocks, fold, probes
from .model import Expectation, Vector
from .verdict import (
    PASSED,
    Difference,
    Failure,
    Judgement,
    Verdict,
    harness_error,
    hex64,
    judge,
    unsupported,
)
from .workers import Answer, HarnessFailure, Openable, RuntimeBroken, WorkerPool


class Result(NamedTuple):
    """What one runtime did with one vector; ``outcome`` is None where it was not asked, or the harness failed."""

    vector: Vector
    outcome: Outcome | None
    judgement: Judgement


@dataclass
class RuntimeRun:
    """What one runtime did: ``results`` in the order of the vectors, of which there is one for each.

    ``info`` is None, and ``problem`` says why, for a runtime that could not be used: then there are no results.
    ``broken`` tells that its adapter failed rather than said so.
    """

    name: str
    info: RuntimeInfo | None
    results: list[Result] = field(default_factory=list)
    problem: str = ""
    broken: bool = False
    complete: bool = True
    seconds: float = 0.0


#: First word of the reason for which a vector has no result.
NOT_RUN = "not-run"
_INTERRUPTED = "the run was interrupted"
#: Is called with the name of the runtime and each of its results, as they come.
OnResult: TypeAlias = Callable[[str, Result], None]


def run(
    runtimes: Sequence[Openable],
    vectors: Sequence[Vector],
    *,
    processes: int = 1,
    timeout: float = 30.0,
    on_result: OnResult | None = None,
    earlier: Mapping[str, RuntimeRun] | None = None,
) -> list[RuntimeRun]:
    """Run ``vectors`` on each of ``runtimes``, one runtime after the other.

    ``processes`` is how many run vectors at the same time, ``timeout`` how many seconds one vector may take. An
    interruption (Ctrl-C) ends the run early; vectors that were not run are errors, and ``complete`` is False. With the
    runs of an ``earlier`` time, by the names of the runtimes, only what they do not have is run.
    """
    report = on_result or (lambda name, result: None)
    earlier = earlier or {}
    runs: list[RuntimeRun] = []
    with ExitStack() as stack:
        # All of them start now, so that opening one goes on while another is being tested.
        pools = [stack.enter_context(WorkerPool(runtime, processes, timeout)) for runtime in runtimes]
        for runtime, pool in zip(runtimes, pools, strict=True):
            one = _test(runtime.name, pool, vectors, report, earlier.get(runtime.name))
            runs.append(one)
            pool.close()
            if not one.complete:
                break
    left = runtimes[len(runs) :]
    return [*runs, *(RuntimeRun(one.name, None, problem=_INTERRUPTED, complete=False) for one in left)]


def _test(
    name: str, pool: WorkerPool, vectors: Sequence[Vector], report: OnResult, earlier: RuntimeRun | None
) -> RuntimeRun:
    results: list[Result | None] = [None] * len(vectors)

    def settle(index: int, result: Result) -> None:
        results[index] = result
        report(name, result)

    one = RuntimeRun(name, None)
    start = perf_counter()
    try:
        one.info = pool.open()
        start = perf_counter()
        if earlier is None or earlier.info is None:
            _ask_all(pool, one.info, list(enumerate(vectors)), settle)
        elif earlier.info != one.info:
            was = earlier.info
            raise _Changed(f"it was {was.name} {was.version} before, and is {one.info.name} {one.info.version} now")
        else:
            start -= earlier.seconds
            known = {result.vector.id: result for result in earlier.results if not was_not_run(result)}
            for index, vector in enumerate(vectors):
                if vector.id in known:
                    settle(index, known[vector.id]._replace(vector=vector))
            _ask_all(
                pool, one.info, [(at, vector) for at, vector in enumerate(vectors) if vector.id not in known], settle
            )
    except Unavailable as reason:
        one.problem = str(reason)
    except RuntimeBroken as reason:
        one.problem, one.broken = f"the adapter failed: {reason}", True
    except _Changed as reason:
        one.info = None
        one.problem, one.broken = f"{reason}: run the suite anew", True
    except KeyboardInterrupt:
        one.complete = False
        one.problem = "" if one.info else _INTERRUPTED
    one.seconds = perf_counter() - start
    if one.info is not None:
        not_run = harness_error(f"{NOT_RUN}: {_INTERRUPTED}")
        pairs = zip(vectors, results, strict=True)
        one.results = [result or Result(vector, None, not_run) for vector, result in pairs]
    return one


class _Changed(Exception):
    """A runtime that is not the one whose run should go on."""


def was_not_run(result: Result) -> bool:
    """Whether a run was interrupted before its vector was run."""
    return result.judgement.reason.startswith(f"{NOT_RUN}:")


def ask(pool: WorkerPool, info: RuntimeInfo, vectors: Sequence[Vector], *, trust_claims: bool = False) -> list[Result]:
    """Return what the runtime of ``pool`` makes of ``vectors``; unless ``trust_claims``, whatever groups it claims."""
    results: dict[int, Result] = {}
    groups = asked_about(info.groups) if trust_claims else frozenset(isa().groups)
    info = info if trust_claims else replace(info, groups=None)
    _ask_all(pool, info, list(enumerate(vectors)), results.__setitem__, groups)
    return [results[index] for index in range(len(vectors))]


def _ask_all(
    pool: WorkerPool,
    info: RuntimeInfo,
    vectors: Iterable[tuple[int, Vector]],
    settle: Callable[[int, Result], None],
    groups: frozenset[str] | None = None,
) -> None:
    """Ask about all vectors, in rounds: most are settled in the first. What settles them is told with their numbers.

    ``groups`` are the conformance groups that may be asked about; those of the runtime's claims if None.
    """
    groups = asked_about(info.groups) if groups is None else groups
    asked: list[_Question] = []
    for index, vector in vectors:
        reason = _not_asked(vector, info, groups)
        if reason is None:
            asked.append(_Question(index, vector, inquire(vector, info)))
        else:
            settle(index, Result(vector, None, unsupported(reason)))
    while asked:
        owners = [(question, number) for question in asked for number in range(len(question.jobs))]
        receive = partial(_receive, owners, settle)
        pool.run([question.jobs[number] for question, number in owners], receive)
        asked = [question for question in asked if question.jobs]


def _receive(
    owners: Sequence[tuple[_Question, int]], settle: Callable[[int, Result], None], at: int, answer: Answer
) -> None:
    question, number = owners[at]
    result = question.hear(number, answer)
    if result is not None:
        settle(question.index, result)


def _not_asked(vector: Vector, info: RuntimeInfo, groups: frozenset[str]) -> str | None:
    """Return why a vector is not for this runtime, which is asked about ``groups``."""
    only = vector.entry.byte_order
    if only is not None and only != info.byte_order:
        return f"byte-order: the vector is for {only}-endian runtimes only"
    missing = vector.groups - groups
    return f"group: the runtime does not claim {', '.join(sorted(missing))}" if missing else None


class _Question:
    """A vector that is being settled; ``jobs`` are those of this round, empty when it is settled."""

    def __init__(self, index: int, vector: Vector, inquiry: Inquiry) -> None:
        self.index, self._vector, self._inquiry = index, vector, inquiry
        self.jobs: list[Job] = next(inquiry)
        self._answers: dict[int, Answer] = {}

    def hear(self, number: int, answer: Answer) -> Result | None:
        """Take the answer to a job of this round; return the result if that settles the vector."""
        self._answers[number] = answer
        if len(self._answers) < len(self.jobs):
            return None
        outcomes = []
        for _, item in sorted(self._answers.items()):
            if isinstance(item, HarnessFailure):
                self.jobs = []
                return Result(self._vector, None, harness_error(item.reason))
            outcomes.append(item)
        self._answers = {}
        try:
            self.jobs = self._inquiry.send(outcomes)
        except StopIteration as end:
            self.jobs = []
            result: Result = end.value
            return result
        return None


#: Yields the jobs of a round, is sent their outcomes, and returns the result at last.
Inquiry: TypeAlias = Generator[list[Job], list[Outcome], Result]


def inquire(vector: Vector, info: RuntimeInfo) -> Inquiry:
    """Find out whether a runtime does what ``vector`` expects, with as few programs as that takes."""
    expect = vector.variant(info.byte_order).expect
    job = vector.job(info.byte_order)
    why_not = ""
    if expect.returns and not _shows_all(job, info):
        width = 64 if "base64" in closure(vector.groups | (info.groups or frozenset())) else 32
        try:
            folding = fold(job, expect, width)
        except NotFoldable as reason:
            why_not = f", and {reason}"
        else:
            return (yield from _inquire_folded(vector, job, expect, folding, width))
    (outcome,) = yield [job]
    judgement = judge(expect, outcome)
    if judgement.verdict is Verdict.UNSUPPORTED and why_not:
        judgement = unsupported(judgement.reason + why_not)
    return Result(vector, outcome, judgement)


def _inquire_folded(vector: Vector, job: Job, expect: Expectation, folding: Folding, width: int) -> Inquiry:
    """Ask a runtime that shows R0 only; see :mod:`.fold`."""
    if folding.complete:
        (folded,) = yield [folding.job]
        if folded.kind is OutcomeKind.RETURNED and folded.r0 == folding.expected:
            return Result(vector, folded, PASSED)
        (plain,) = yield [job]
    else:
        folded, plain = yield [folding.job, job]
    judgement = judge(_r0_only(expect), plain)
    if judgement.verdict is not Verdict.PASS:
        return Result(vector, plain, judgement)
    if folded.kind is not OutcomeKind.RETURNED:
        reason = f"observe: the runtime shows r0 only, and the program that shows more {folded.kind}: {folded.reason}"
        return Result(vector, plain, unsupported(reason))
    if folded.r0 == folding.expected:
        return Result(vector, plain, PASSED)
    # The fold may itself be computed wrongly; what the probes show is what the vector's program left behind.
    differences = yield from _probe(list(probes(job, expect, width)))
    if not differences:
        differences = yield from _probe_blocks(job, expect, width)
    if not differences:
        return Result(vector, plain, PASSED)
    names = ", ".join(difference.what for difference in differences)
    return Result(vector, plain, Judgement(Verdict.FAIL, Failure.WRONG_RESULT, f"wrong {names}", differences))


#: Blocks of the memory whose folds are wrong are looked into until so many turned out to be right.
_BLOCKS = 4


def _probe(asked: Sequence[Probe]) -> Generator[list[Job], list[Outcome], tuple[Difference, ...]]:
    """Run probes, and return what they show to be wrong."""
    outcomes = yield [probe.job for probe in asked]
    return tuple(
        Difference(probe.what, hex64(probe.expected, probe.digits), hex64(seen.r0, probe.digits))
        for probe, seen in zip(asked, outcomes, strict=True)
        if seen.kind is OutcomeKind.RETURNED and seen.r0 != probe.expected
    )


def _probe_blocks(
    job: Job, expect: Expectation, width: int
) -> Generator[list[Job], list[Outcome], tuple[Difference, ...]]:
    """Return what is wrong behind the words of the memory that the first probes look at."""
    later = list(blocks(job, expect, width))
    if not later:
        return ()
    outcomes = yield [probe.job for _, probe in later]
    wrong = [first for (first, probe), seen in zip(later, outcomes, strict=True) if seen.r0 != probe.expected]
    for first in wrong[:_BLOCKS]:
        differences = yield from _probe(list(probes(job, expect, width, first)))
        if differences:
            return differences
    return ()


def _r0_only(expect: Expectation) -> Expectation:
    registers = {name: value for name, value in expect.registers.items() if name == "r0"}
    return expect._replace(registers=registers, memory=None)


def _shows_all(job: Job, info: RuntimeInfo) -> bool:
    """Whether the runtime can show whatever is observed of the job."""
    registers_shown = "registers" in info.observes or job.observe <= {"r0", "memory"}
    return registers_shown and ("memory" in info.observes or "memory" not in job.observe)
