# SPDX-License-Identifier: Apache-2.0
"""Vectors times runtimes gives verdicts: every vector gets one from every runtime, whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import NamedTuple, Protocol

from ...adapters.protocol import Job, Outcome, Reason, RuntimeInfo, Unavailable
from ...spec.groups import asked as asked_about
from ...spec.table import isa
from ..suite.model import Vector
from .inquiry import Inquiry, inquire
from .verdict import Judgement, Verdict, harness_error, unsupported
from .worker import (
    Answer,
    Exhausted,
    HarnessFailure,
    Openable,
    RuntimeBroken,
)
from .workers import NOT_RUN, WorkerPool


class Result(NamedTuple):
    """What one runtime did with one vector; ``outcome`` is None where it was not asked, or the harness failed.

    ``interpreter`` is the verdict on the interpreter of the same runtime, for failures of a JIT that has one.
    """

    vector: Vector
    outcome: Outcome | None
    judgement: Judgement
    interpreter: Verdict | None = None


@dataclass
class RuntimeRun:
    """What one runtime did: ``results`` in the order of the vectors, of which there is one for each.

    ``info`` is None, and ``problem`` says why, for a runtime that could not be used: then there are no results.
    Elsewhere ``problem`` says why not all vectors were run; the run is not ``complete`` if that is no fault of the
    runtime, and then it can go on. ``broken`` tells that the adapter or the harness failed. ``unrepeated`` are
    crashes and time-outs that did not happen again when their vector was run alone; they do not count.
    """

    name: str
    info: RuntimeInfo | None
    results: list[Result] = field(default_factory=list)
    problem: str = ""
    broken: bool = False
    complete: bool = True
    seconds: float = 0.0
    unrepeated: list[tuple[str, Outcome]] = field(default_factory=list)


_INTERRUPTED = "the run was interrupted"


class Observer(Protocol):
    """Follows a run."""

    def opened(self, name: str, info: RuntimeInfo) -> None:
        """Take note of a runtime that is being tested from now on."""

    def settled(self, name: str, result: Result) -> None:
        """Take note of a result of the runtime ``name``."""


def run(
    runtimes: Sequence[Openable],
    vectors: Sequence[Vector],
    *,
    processes: int = 1,
    timeout: float = 30.0,
    observers: Sequence[Observer] = (),
    earlier: Mapping[str, RuntimeRun] | None = None,
) -> list[RuntimeRun]:
    """Run ``vectors`` on each of ``runtimes``, one runtime after the other.

    ``processes`` is how many run vectors at the same time, ``timeout`` how many seconds one vector may take. An
    interruption (Ctrl-C) ends the run early; vectors that were not run are errors, and ``complete`` is False. With the
    runs of an ``earlier`` time, by the names of the runtimes, only what they do not have is run.
    """
    earlier = earlier or {}
    runs: list[RuntimeRun] = []
    with ExitStack() as stack:
        # All of them start now, so that opening one goes on while another is being tested; but one machine at a time.
        pools = [None if one.boots else stack.enter_context(WorkerPool(one, processes, timeout)) for one in runtimes]
        for runtime, ready in zip(runtimes, pools, strict=True):
            pool = ready or stack.enter_context(WorkerPool(runtime, processes, timeout))
            one = _test(runtime.name, pool, vectors, observers, earlier.get(runtime.name))
            runs.append(one)
            pool.close()
            if runtime.interpreter is not None and one.complete:
                _ask_interpreter(one, runtime.interpreter, timeout)
            if not one.complete:
                break
    left = runtimes[len(runs) :]
    return [
        *runs,
        *(replace(runs[-1], name=one.name, info=None, results=[], seconds=0.0, unrepeated=[]) for one in left),
    ]


def _test(
    name: str,
    pool: WorkerPool,
    vectors: Sequence[Vector],
    observers: Sequence[Observer],
    earlier: RuntimeRun | None,
) -> RuntimeRun:
    results: list[Result | None] = [None] * len(vectors)

    def settle(index: int, result: Result) -> None:
        results[index] = result
        for observer in observers:
            observer.settled(name, result)

    one = RuntimeRun(name, None)
    start = perf_counter()
    try:
        one.info = pool.open()
        for observer in observers:
            observer.opened(name, one.info)
        start = perf_counter()
        if earlier is None or earlier.info is None:
            _ask_all(pool, one.info, list(enumerate(vectors)), settle)
        elif earlier.info != one.info:
            was = earlier.info
            raise _Changed(f"it was {was.name} {was.version} before, and is {one.info.name} {one.info.version} now")
        else:
            start -= earlier.seconds
            one.unrepeated += earlier.unrepeated
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
        one.complete, one.problem = False, _INTERRUPTED
    except (Exhausted, MemoryError) as reason:
        one.complete, one.broken, one.problem = False, True, str(reason) or "this machine has no memory left"
    else:
        one.problem = pool.stopped
    one.seconds = perf_counter() - start
    one.unrepeated += pool.unrepeated
    if one.info is not None:
        not_run = harness_error(Reason(NOT_RUN, one.problem, "harness"))
        one.results = [result or Result(vectors[at], None, not_run) for at, result in enumerate(results)]
    return one


def _ask_interpreter(one: RuntimeRun, interpreter: Openable, timeout: float) -> None:
    """Note what the ``interpreter`` of a runtime makes of what its JIT failed, if it can be had."""
    failed = [at for at, result in enumerate(one.results) if result.judgement.verdict is Verdict.FAIL]
    if not failed or one.info is None or one.info.engine != "jit":
        return
    with WorkerPool(interpreter, timeout=timeout) as pool, suppress(Unavailable, RuntimeBroken, Exhausted):
        info = pool.open()
        for at, again in zip(failed, ask(pool, info, [one.results[at].vector for at in failed]), strict=True):
            one.results[at] = one.results[at]._replace(interpreter=again.judgement.verdict)


class _Changed(Exception):
    """A runtime that is not the one whose run should go on."""


def was_not_run(result: Result) -> bool:
    """Whether a run ended before its vector was run."""
    return result.judgement.reason.code == NOT_RUN


def ask(pool: WorkerPool, info: RuntimeInfo, vectors: Sequence[Vector], *, trust_claims: bool = False) -> list[Result]:
    """Return results of ``vectors``, in their order; unless ``trust_claims``, whatever groups the runtime claims."""
    results: dict[int, Result] = {}
    groups = None if trust_claims else frozenset(isa().groups)
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
    """Ask about all vectors, and call ``settle`` with the number and the result of each.

    Inquiries that an answer does not settle ask again, until all are settled.
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


def _not_asked(vector: Vector, info: RuntimeInfo, groups: frozenset[str]) -> Reason | None:
    """Return why a vector is not for this runtime, which is asked about ``groups``."""
    only = vector.entry.byte_order
    if only is not None and only != info.byte_order:
        return Reason("byte-order", f"the vector is for {only}-endian runtimes only", "harness")
    missing = vector.groups - groups
    return Reason("group", f"the runtime does not claim {', '.join(sorted(missing))}") if missing else None


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
            return Result(self._vector, *end.value)
        return None
