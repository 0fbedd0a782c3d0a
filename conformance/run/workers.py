# SPDX-License-Identifier: Apache-2.0
"""Runs jobs on a runtime in processes of their own, so that nothing that happens there can end a run.

Each worker is given jobs in chunks. If it dies, raises or takes too long, the jobs of its chunk that are not settled
are run again one by one, which finds the one to blame. A crash or a time-out is an answer only if it happens again when
the job is run alone, with more time: neither a busy machine nor what another job left behind is the job's fault. A
runtime that does nothing but crash or time out is not asked any more.
"""

from __future__ import annotations

import os
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from time import monotonic
from types import TracebackType
from typing import ClassVar, Self, TypeAlias

from ...adapters.protocol import Job, Outcome, OutcomeKind, Reason, RuntimeInfo
from .worker import (
    Answer,
    Exhausted,
    HarnessFailure,
    Openable,
    Worker,
)

#: How many jobs are handed over at once: fewer are not worth another process.
_SMALLEST_CHUNK, _LARGEST_CHUNK = 16, 128
#: How many jobs take longer than to start a machine.
_WORTH_A_MACHINE = 1024
#: How often workers are replaced; a runtime that kills more will not do better with the rest.
_MOST_DEATHS = 100
#: Code of the reason for which a job was not run.
NOT_RUN = "not-run"
#: How many crashes and time-outs are repeated alone once a runtime is not asked any more.
_LOOKED_INTO = 3
#: The time limit of a job that is run alone, as a multiple of the usual one.
_MOST_PATIENT = 10.0

#: Is called with the index of a job and its answer.
OnAnswer: TypeAlias = Callable[[int, Answer], None]


@dataclass
class _Trouble:
    """Time-outs in a row, and crashes and failures of the adapter in a row, which no other answer interrupts.

    After ``MOST_TIME_OUTS`` or ``MOST_CRASHES`` of them, jobs from all over the rest are tried, ``SAMPLE`` of them.
    """

    MOST_TIME_OUTS: ClassVar = 8
    MOST_CRASHES: ClassVar = 100
    SAMPLE: ClassVar = 12

    time_outs: int = 0
    crashes: int = 0
    sampled: int | None = None

    def note(self, answer: Answer) -> None:
        """Take note of an answer."""
        if not is_trouble(answer):
            self.time_outs, self.crashes, self.sampled = 0, 0, None
            return
        late = isinstance(answer, Outcome) and answer.kind is OutcomeKind.TIMED_OUT
        self.time_outs, self.crashes = self.time_outs + late, self.crashes + (not late)
        if self.sampled is not None:
            self.sampled += 1

    @property
    def calls_for_a_sample(self) -> bool:
        """Whether a sample of the rest should be tried now."""
        return self.sampled is None and (self.time_outs >= self.MOST_TIME_OUTS or self.crashes >= self.MOST_CRASHES)

    @property
    def goes_on(self) -> bool:
        """Whether the sample did no better."""
        return self.sampled is not None and self.sampled >= self.SAMPLE

    def __str__(self) -> str:
        parts = [(self.time_outs, "time-outs"), (self.crashes, "crashes or failures of the adapter")]
        return " and ".join(f"{number} {what}" for number, what in parts if number)


def is_trouble(answer: Answer) -> bool:
    """Whether an answer is a crash, a time-out or a failure of the adapter."""
    return isinstance(answer, HarnessFailure) or answer.kind in {OutcomeKind.CRASHED, OutcomeKind.TIMED_OUT}


class WorkerPool:
    """Worker processes for one runtime. The first starts at once; :meth:`open` waits for it.

    ``stopped`` says why the runtime is not asked any more, and is empty while it is. ``unrepeated`` are the crashes and
    time-outs that did not happen again, with the ids of their jobs.

    Args:
        runtime: what they open.
        processes: how many of them.
        timeout: seconds that a job may take.
    """

    def __init__(self, runtime: Openable, processes: int = 1, timeout: float = 30.0) -> None:
        self._runtime, self._processes, self._timeout = runtime, processes, timeout
        self._deaths = 0
        self._trouble = _Trouble()
        self.stopped = ""
        self.unrepeated: list[tuple[str, Outcome]] = []
        self._workers: list[Worker] = []
        try:
            self._workers.append(Worker(runtime))
        except Exhausted as reason:
            self.stopped = str(reason)

    def open(self) -> RuntimeInfo:
        """Wait until the runtime is open, and return who it is.

        Raises:
            Unavailable: the runtime cannot be used here.
            RuntimeBroken: its adapter failed.
            Exhausted: this machine has no process left for it.
        """
        if not self._workers:
            raise Exhausted(self.stopped)
        return self._workers[0].identity()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    def run(self, jobs: Sequence[Job], on_answer: OnAnswer) -> None:
        """Run ``jobs`` and call ``on_answer`` once for each, in any order.

        Raises:
            Exhausted: this machine has no process left for the runtime.
        """
        trouble: list[tuple[int, Outcome]] = []

        def settle(index: int, answer: Answer) -> None:
            self._trouble.note(answer)
            if isinstance(answer, Outcome) and is_trouble(answer):
                trouble.append((index, answer))
            else:
                on_answer(index, answer)

        most = _LOOKED_INTO if self.stopped else len(jobs)
        self._run(jobs[:most], settle)
        for index in range(most, len(jobs)):
            on_answer(index, self._not_run())
        self._repeat(jobs, trouble, on_answer)

    def _not_run(self) -> HarnessFailure:
        return HarnessFailure(Reason(NOT_RUN, self.stopped, "harness"))

    def _repeat(self, jobs: Sequence[Job], trouble: Sequence[tuple[int, Outcome]], on_answer: OnAnswer) -> None:
        """Run jobs that crashed or timed out once more, one after the other, and tell what happens then."""
        looked_into = _LOOKED_INTO if self.stopped else len(trouble)
        for index, _ in trouble[looked_into:]:
            on_answer(index, self._not_run())
        if not trouble:
            return
        factor = min(_MOST_PATIENT, 2 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))
        with WorkerPool(self._runtime.with_patience(factor), timeout=self._timeout * factor) as alone:
            fresh = True
            for index, first in trouble[:looked_into]:
                answer, died = alone._ask(jobs[index])
                if died and not fresh:
                    # The jobs before it in that process may be to blame. Now there is a new one.
                    answer, died = alone._ask(jobs[index])
                fresh = died
                if not is_trouble(answer):
                    self._trouble.note(answer)
                    self.unrepeated.append((jobs[index].id, first))
                on_answer(index, answer)

    def _ask(self, job: Job) -> tuple[Answer, bool]:
        """Run one job; return the answer, and whether the worker died of it."""
        answers: dict[int, Answer] = {}
        deaths = self._deaths
        self._run([job], answers.__setitem__)
        return answers[0], self._deaths > deaths

    def _run(self, jobs: Sequence[Job], settle: OnAnswer) -> None:
        """Run ``jobs``, each once unless the worker failed that was at it; answers may be crashes of other jobs."""
        size = max(_SMALLEST_CHUNK, min(_LARGEST_CHUNK, len(jobs) // (8 * self._processes)))
        if self._runtime.boots:
            size = max(_WORTH_A_MACHINE, -(-len(jobs) // self._processes))
        pending = deque(list(range(at, min(at + size, len(jobs)))) for at in range(0, len(jobs), size))
        while pending or any(worker.chunk for worker in self._workers):
            self._employ(len(pending))
            for worker in self._workers:
                if worker.idle and pending:
                    worker.give(pending.popleft(), jobs, self._runtime.patience(self._timeout))
            for worker in self._ready():
                said = worker.hear()
                if isinstance(said, list):
                    for answer in said:
                        settle(worker.settled(), answer)
                elif not isinstance(said, RuntimeInfo):
                    self._replace(worker, pending, settle)
            self.stopped = self.stopped or self._hopeless()
            if self.stopped:
                for index in self._taken_back(pending):
                    settle(index, self._not_run())
            elif self._trouble.calls_for_a_sample:
                self._trouble.sampled = 0
                left = self._taken_back(pending)
                sample = sorted(random.Random(0).sample(left, min(len(left), self._trouble.SAMPLE)))
                others = sorted(set(left).difference(sample))
                pending.extend([index] for index in sample)
                pending.extend(others[at : at + size] for at in range(0, len(others), size))

    def _hopeless(self) -> str:
        """Return why the runtime should not be asked any more, empty if it should."""
        if self._deaths > _MOST_DEATHS:
            return f"the processes that ran the runtime died or failed {self._deaths} times"
        if self._trouble.goes_on:
            return f"{self._trouble} in a row, also where vectors from all over the rest were tried"
        return ""

    def _employ(self, chunks: int) -> None:
        """Start workers, as many as there are chunks to run; one at least, if it can be had."""
        while len(self._workers) < min(self._processes, chunks):
            try:
                self._workers.append(Worker(self._runtime))
            except Exhausted:
                if not self._workers:
                    raise
                return

    def _taken_back(self, pending: deque[list[int]]) -> list[int]:
        """Return all jobs that are not settled, and end the workers that are at some of them."""
        left = [index for chunk in pending for index in chunk]
        pending.clear()
        for worker in [worker for worker in self._workers if worker.chunk]:
            left += worker.taken()
            self._workers.remove(worker)
            worker.kill()
        return left

    def _ready(self) -> list[Worker]:
        """Wait until a worker has something to say, has died, or has taken too long."""
        busy = [worker for worker in self._workers if not worker.idle]
        until = min(worker.deadline for worker in busy)
        speaking = wait([worker.connection for worker in busy], until - monotonic())
        now = monotonic()
        return [worker for worker in busy if worker.connection in speaking or worker.deadline <= now]

    def _replace(self, worker: Worker, pending: deque[list[int]], settle: OnAnswer) -> None:
        """Find out how ``worker`` failed, and settle or return its jobs."""
        chunk = worker.taken()
        answer = worker.post_mortem()
        self._workers.remove(worker)
        self._deaths += 1
        if len(chunk) == 1:
            settle(chunk[0], answer)
        elif chunk:
            pending.extendleft([index] for index in reversed(chunk))
