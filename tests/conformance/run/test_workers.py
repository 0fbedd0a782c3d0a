# SPDX-License-Identifier: Apache-2.0
"""Pools of workers: each job is answered, and crashes and time-outs count only if they happen again alone."""

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bpf_isa.adapters.protocol import Job, Outcome, OutcomeKind, Reason
from bpf_isa.conformance.run import worker, workers
from bpf_isa.conformance.run.worker import Answer, Exhausted, HarnessFailure, Openable, Worker
from bpf_isa.conformance.run.workers import WorkerPool, _Trouble

from .scripted import INFO, Log, Script, die, echo, hang, job, jobs, number

pytestmark = pytest.mark.usefixtures("forked")

KILLED = Outcome(OutcomeKind.CRASHED, reason=Reason("signal", "the process that ran it was killed by SIGKILL"))
CRASH = Outcome(OutcomeKind.CRASHED, reason=Reason("signal", "SIGSEGV, says the adapter"))
LATE = Outcome(OutcomeKind.TIMED_OUT, reason=Reason("timeout", "says the adapter"))


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "log")


@pytest.fixture(autouse=True)
def answers_are_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a chunk come together, or none, however busy the machine is."""
    monkeypatch.setattr(worker, "_HOLDING", 1e9)


def asked(pool: WorkerPool, some: Sequence[Job]) -> list[Answer]:
    """Run jobs, and return what each is answered."""
    found: dict[int, Answer] = {}

    def settle(index: int, answer: Answer) -> None:
        assert index not in found
        found[index] = answer

    pool.run(some, settle)
    return [found[at] for at in range(len(some))]


def answers(runtime: Openable, some: Sequence[Job], processes: int = 1) -> list[Answer]:
    with WorkerPool(runtime, processes) as pool:
        return asked(pool, some)


# Which process is given what


@pytest.mark.parametrize("processes", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 100])
def test_every_job_is_answered_once(count: int, processes: int) -> None:
    assert answers(Script(), jobs(count), processes) == [echo(one) for one in jobs(count)]


class Counting(Script):
    """Answers with how many jobs were handed over together."""

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        return (Outcome(OutcomeKind.RETURNED, r0=len(jobs)) for _ in jobs)


@pytest.mark.parametrize(
    ("count", "processes", "sizes"),
    [(15, 1, [15]), (40, 1, [16, 8]), (136, 1, [17]), (272, 2, [17]), (1200, 1, [128, 48])],
)
def test_jobs_are_handed_over_in_chunks(count: int, processes: int, sizes: list[int]) -> None:
    found = [answer.r0 for answer in answers(Counting(), jobs(count), processes) if isinstance(answer, Outcome)]
    assert list(dict.fromkeys(found)) == sizes


class Booting(Counting):
    """A machine, which takes long to start."""

    @property
    def boots(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("count", "processes", "sizes"), [(15, 2, [15]), (1025, 2, [1024, 1]), (3000, 2, [1500]), (3001, 2, [1501, 1500])]
)
def test_a_machine_is_started_for_many_jobs(count: int, processes: int, sizes: list[int]) -> None:
    found = [answer.r0 for answer in answers(Booting(), jobs(count), processes) if isinstance(answer, Outcome)]
    assert list(dict.fromkeys(found)) == sizes


def test_several_processes_run_jobs_at_the_same_time(log: Log) -> None:
    all_at_once = multiprocessing.Barrier(3)
    met: list[int] = []

    def meet(one: Job) -> Outcome:
        if not met:
            met.append(all_at_once.wait(timeout=60))
        return Outcome(OutcomeKind.RETURNED, r0=os.getpid())

    with WorkerPool(Script(meet, opening=lambda: log.note("opened")), 3) as pool:
        processes = {answer.r0 for answer in asked(pool, jobs(80)) if isinstance(answer, Outcome)}
        assert len(processes) == len(log.lines()) == 3
    for one in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(one or 0, 0)


def test_there_are_no_more_processes_than_chunks(log: Log) -> None:
    assert answers(Script(opening=lambda: log.note("opened")), jobs(16), 3) == [echo(one) for one in jobs(16)]
    assert len(log.lines()) == 1


def test_a_pool_says_who_its_runtime_is() -> None:
    with WorkerPool(Script()) as pool:
        assert (pool.open(), pool.stopped, pool.unrepeated) == (INFO, "", [])


# Crashes and time-outs


def test_a_crash_is_found_among_other_jobs(log: Log) -> None:
    def answer(one: Job) -> Outcome:
        log.note(number(one))
        return die() if number(one) == 5 else echo(one)

    with WorkerPool(Script(answer)) as pool:
        assert asked(pool, jobs(40)) == [KILLED if number(one) == 5 else echo(one) for one in jobs(40)]
        assert (pool.unrepeated, pool.stopped) == ([], "")
    order = [int(line) for line in log.lines()]
    assert order[:6] == list(range(6))
    # One by one those of the chunk, then the others, and at last the crash once more, alone.
    assert order[6:] == [*range(40), 5]


def test_a_crash_that_does_not_happen_again_does_not_count(log: Log) -> None:
    def answer(one: Job) -> Outcome:
        log.note(one.id)
        return {1: CRASH, 2: LATE}.get(number(one), echo(one)) if log.lines().count(one.id) == 1 else echo(one)

    with WorkerPool(Script(answer)) as pool:
        assert asked(pool, jobs(4)) == [echo(one) for one in jobs(4)]
        assert pool.unrepeated == [("job-1", CRASH), ("job-2", LATE)]


def test_what_jobs_leave_behind_in_a_process_is_not_the_fault_of_the_next(log: Log) -> None:
    """Not even among those that are tried again."""
    before: list[Job] = []

    def answer(one: Job) -> Outcome:
        before.append(one)
        return die() if len(before) == 2 else echo(one)

    with WorkerPool(Script(answer)) as pool:
        assert asked(pool, jobs(4)) == [echo(one) for one in jobs(4)]
        assert pool.unrepeated == [("job-1", KILLED), ("job-3", KILLED)]


def test_a_crash_in_a_fresh_process_is_not_tried_a_third_time(log: Log) -> None:
    def answer(one: Job) -> Outcome:
        log.note(number(one))
        return die()

    assert answers(Script(answer), jobs(3)) == [KILLED] * 3
    # Together, one by one, and alone.
    assert log.lines() == [*"0", *"012", *"012"]


def test_a_failure_of_the_adapter_counts_at_once(log: Log) -> None:
    def answer(one: Job) -> Outcome:
        log.note(one.id)
        raise KeyError(one.id)

    (found,) = answers(Script(answer), jobs(1))
    assert isinstance(found, HarnessFailure) and str(found.reason).startswith("adapter: KeyError: 'job-0' (")
    assert log.lines() == ["job-0"]


class Patient(Script):
    """Crashes, unless it has more time than usual: that is its answer then."""

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        return (CRASH if self.factor == 1 else Outcome(OutcomeKind.RETURNED, r0=int(self.factor)) for _ in jobs)


@pytest.mark.parametrize(
    ("load", "processors", "factor"), [(0.0, 4, 2), (6.0, 2, 6), (99.0, 2, 10), (3.0, None, 6), (5.0, 1, 10)]
)
def test_what_is_tried_again_has_more_time_on_a_busy_machine(
    load: float, processors: int | None, factor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.25, 0.25))
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    assert answers(Patient(), jobs(1)) == [Outcome(OutcomeKind.RETURNED, r0=factor)]


def test_a_job_may_take_half_a_minute_unless_told_otherwise() -> None:
    told: list[float] = []

    class Asked(Script):
        def patience(self, timeout: float) -> float:
            told.append(timeout)
            return timeout

    assert answers(Asked(), jobs(1)) == [echo(job(0))]
    assert told == [30]


def test_a_job_that_hangs_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    with WorkerPool(Script(lambda _: hang()), timeout=0.125) as pool:
        assert asked(pool, jobs(1)) == [
            Outcome(OutcomeKind.TIMED_OUT, reason=Reason("timeout", "no answer within 0.25 s"))
        ]


# Runtimes that do nothing else


def test_a_row_of_trouble_calls_for_a_sample() -> None:
    for answer, row in ((LATE, 8), (CRASH, 100), (HarnessFailure(Reason("adapter", "KeyError", "harness")), 100)):
        trouble = _Trouble()
        for at in range(row):
            assert not trouble.calls_for_a_sample, at
            trouble.note(answer)
        assert trouble.calls_for_a_sample and not trouble.goes_on
        trouble.note(echo(job(0)))
        assert trouble == _Trouble()


def test_time_outs_and_crashes_are_counted_apart() -> None:
    trouble = _Trouble()
    for answer in [LATE] * 7 + [CRASH] * 98 + [HarnessFailure(Reason("adapter", "KeyError", "harness"))]:
        trouble.note(answer)
    assert not trouble.calls_for_a_sample
    assert str(trouble) == "7 time-outs and 99 crashes or failures of the adapter"


@pytest.mark.parametrize("answer", [LATE, CRASH])
def test_a_sample_that_does_no_better_is_enough(answer: Outcome) -> None:
    trouble = _Trouble(time_outs=8, sampled=0)
    for _ in range(12):
        assert not trouble.calls_for_a_sample and not trouble.goes_on
        trouble.note(answer)
    assert trouble.goes_on
    trouble.note(echo(job(0)))
    assert not trouble.goes_on


def late_until(log: Log, good: int) -> Script:
    """A runtime that is late with all jobs before the one with the number ``good``."""

    def answer(one: Job) -> Outcome:
        log.note(number(one))
        return LATE if number(one) < good else echo(one)

    return Script(answer)


def test_a_runtime_that_does_no_better_anywhere_is_not_asked_any_more(log: Log) -> None:
    with WorkerPool(late_until(log, 1000)) as pool:
        found = asked(pool, jobs(160))
        why = "32 time-outs in a row, also where vectors from all over the rest were tried"
        assert pool.stopped == why
        assert found == [*[LATE] * 3, *[HarnessFailure(Reason("not-run", why, "harness"))] * 157]
        tried = [int(line) for line in log.lines()]
        # A chunk, a sample of the rest in its order, and alone those that are looked into.
        sample = tried[20:32]
        assert tried == [*range(20), *sample, 0, 1, 2]
        assert sample == sorted(set(sample)) and sample[0] >= 20
        # What is asked later is looked into a little, and the reason stays what it was.
        assert asked(pool, jobs(10)) == [*[LATE] * 3, *[HarnessFailure(Reason("not-run", why, "harness"))] * 7]
        assert [int(line) for line in log.lines()][35:] == [0, 1, 2, 0, 1, 2]
        assert (pool.stopped, pool.unrepeated) == (why, [])


def test_the_sample_is_from_all_over_the_rest_and_always_the_same(log: Log) -> None:
    for _ in range(2):
        with WorkerPool(late_until(log, 10_000)) as pool:
            asked(pool, jobs(2000))
    tried = [int(line) for line in log.lines()]
    assert tried[: len(tried) // 2] == tried[len(tried) // 2 :]
    sample = tried[128:140]
    assert {at // 500 for at in sample} == {0, 1, 2, 3}


def test_where_the_sample_does_better_the_rest_is_asked_in_its_order(log: Log) -> None:
    with WorkerPool(late_until(log, 20)) as pool:
        assert asked(pool, jobs(160)) == [*[LATE] * 20, *map(echo, jobs(160)[20:])]
        assert pool.stopped == ""
    tried = [int(line) for line in log.lines()]
    sample = tried[20:32]
    rest = [at for at in range(20, 160) if at not in sample]
    assert tried == [*range(20), *sample, *rest, *range(20)]


def test_where_little_is_left_no_sample_is_too_small(log: Log) -> None:
    with WorkerPool(late_until(log, 100)) as pool:
        assert asked(pool, jobs(20)) == [LATE] * 20
        assert pool.stopped == ""
    assert [int(line) for line in log.lines()] == [*range(20), *range(20)]


def test_trouble_that_does_not_happen_again_interrupts_a_row(log: Log) -> None:
    def answer(one: Job) -> Outcome:
        log.note(one.id)
        return LATE if number(one) >= 7 or log.lines().count(one.id) == 1 else echo(one)

    with WorkerPool(Script(answer)) as pool:
        assert asked(pool, jobs(7)) == [echo(one) for one in jobs(7)]
        asked(pool, jobs(47)[7:])
        assert pool.stopped.startswith("28 time-outs in a row, ")


def dies_at(*numbers: int) -> Script:
    return Script(lambda one: die() if number(one) in numbers else echo(one))


def test_a_runtime_that_kills_too_many_processes_is_not_asked_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_MOST_DEATHS", 2)
    with WorkerPool(dies_at(0)) as pool:
        # With the others, and by itself.
        assert asked(pool, jobs(2)) == [KILLED, echo(job(1))]
        assert pool.stopped == ""
    with WorkerPool(dies_at(0, 2)) as pool:
        found = asked(pool, jobs(4))
        why = "the processes that ran the runtime died or failed 3 times"
        assert pool.stopped == why
        assert found == [KILLED, echo(job(1)), KILLED, HarnessFailure(Reason("not-run", why, "harness"))]


def test_jobs_that_are_run_when_asking_ends_are_not_run(monkeypatch: pytest.MonkeyPatch, log: Log) -> None:
    """What is taken from a process is not waited for."""
    monkeypatch.setattr(workers, "_MOST_DEATHS", 0)

    def answer(one: Job) -> Outcome:
        if number(one) < 16:
            log.note(os.getpid())
            return hang()
        while not log.lines():
            signal.sigtimedwait([], 0.01)
        return die()

    with WorkerPool(Script(answer), 2, timeout=600) as pool:
        found = asked(pool, jobs(32))
        assert found == [HarnessFailure(Reason("not-run", pool.stopped, "harness"))] * 32
    with pytest.raises(ProcessLookupError):
        os.kill(int(log.lines()[0]), 0)


def test_processes_that_do_not_open_leave_the_work_to_the_others(tmp_path: Path) -> None:
    only_once = tmp_path / "opened"
    some = jobs(64)
    assert answers(Script(opening=lambda: only_once.touch(exist_ok=False)), some, 2) == [echo(one) for one in some]


# A machine that has no process left


def allow(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let so many workers be started."""
    left = [None] * number

    def start(runtime: Openable) -> Worker:
        if not left:
            raise Exhausted("no process left")
        left.pop()
        return Worker(runtime)

    monkeypatch.setattr(workers, "Worker", start)


def test_without_any_process_a_runtime_cannot_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    allow(0, monkeypatch)
    with WorkerPool(Script()) as pool, pytest.raises(Exhausted, match=r"^no process left$"):
        pool.open()


def test_one_process_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    allow(1, monkeypatch)
    assert answers(Script(), jobs(64), 3) == [echo(one) for one in jobs(64)]


def test_a_run_ends_where_the_last_process_cannot_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    allow(1, monkeypatch)
    with WorkerPool(dies_at(3)) as pool, pytest.raises(Exhausted, match=r"^no process left$"):
        asked(pool, jobs(64))
