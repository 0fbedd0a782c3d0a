# SPDX-License-Identifier: Apache-2.0
"""One worker process: what its parent hears of it, how it ends, and what it does in between."""

import multiprocessing
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EAGAIN
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any, NoReturn

import pytest

from bpf_isa.adapters.protocol import Job, Outcome, OutcomeKind, Reason, Unavailable
from bpf_isa.conformance.run import worker
from bpf_isa.conformance.run.worker import Exhausted, HarnessFailure, RuntimeBroken, Worker, leave_interrupts_to_parent

from .scripted import INFO, Log, Script, die, echo, hang, job, jobs

pytestmark = pytest.mark.usefixtures("forked")


@pytest.fixture(autouse=True)
def no_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is: answers come together, and processes have time to end."""
    monkeypatch.setattr(worker, "_HOLDING", 1e9)
    monkeypatch.setattr(worker, "_CLOSING", 60)


@contextmanager
def started(script: Script) -> Iterator[Worker]:
    one = Worker(script)
    try:
        yield one
    finally:
        one.chunk = [0]  # do not wait for it
        one.end()


@contextmanager
def at_work(script: Script, count: int = 1, patience: float = 60) -> Iterator[Worker]:
    """A worker that was given ``count`` jobs."""
    with started(script) as one:
        one.identity()
        one.give(list(range(count)), jobs(count), patience)
        yield one


def said(one: Worker) -> object:
    wait([one.connection])
    return one.hear()


def failing() -> NoReturn:
    raise ZeroDivisionError("by nothing")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the clock, which stands still otherwise."""
    now = 1000.0

    def turn(time: float) -> None:
        nonlocal now
        now = time

    monkeypatch.setattr(worker, "monotonic", lambda: now)
    return turn


def test_a_worker_says_first_who_its_runtime_is() -> None:
    with started(Script()) as one:
        assert not one.idle
        assert one.identity() == INFO
        assert one.idle and one.process.daemon


def unavailable() -> NoReturn:
    raise Unavailable("wait a week")


@pytest.mark.parametrize(
    ("opening", "error", "message"),
    [
        (unavailable, Unavailable, r"^wait a week$"),
        (failing, RuntimeBroken, r"^ZeroDivisionError: by nothing \(\S+test_worker\.py:\d+\)$"),
        (lambda: os._exit(3), RuntimeBroken, r"^the process that ran it ended with status 3$"),
        (die, RuntimeBroken, r"^the process that ran it was killed by SIGKILL$"),
    ],
)
def test_a_runtime_that_does_not_open(opening: Callable[[], None], error: type[Exception], message: str) -> None:
    with started(Script(opening=opening)) as one:
        with pytest.raises(error, match=message):
            one.identity()
        assert not one.idle


def test_a_runtime_that_opens_too_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_OPENING", 0.01)
    slow = pytest.raises(RuntimeBroken, match=r"^it did not open within 0.01 s$")
    with started(Script(opening=hang)) as one, slow:
        one.identity()


class Booting(Script):
    """A machine, which has other limits of time."""

    @property
    def boots(self) -> bool:
        return True

    def patience(self, timeout: float) -> float:
        return timeout / 1000


@pytest.mark.parametrize(("script", "seconds"), [(Booting(opening=hang), "0.01"), (Script(opening=hang), "10")])
def test_a_machine_has_its_own_time_to_open(
    monkeypatch: pytest.MonkeyPatch, clock: Callable[[float], None], script: Script, seconds: str
) -> None:
    monkeypatch.setattr(worker, "_OPENING", 10)
    slow = pytest.raises(RuntimeBroken, match=f"^it did not open within {seconds} s$")
    with started(script) as one:
        clock(2000)
        with slow:
            one.identity()


def test_jobs_are_answered_in_their_order() -> None:
    with at_work(Script()) as one:
        assert said(one) == [echo(job(0))]
        assert (one.settled(), one.idle) == (0, True)
        one.give([4, 2, 3], jobs(5), 60)
        assert not one.idle
        assert said(one) == [echo(job(4)), echo(job(2)), echo(job(3))]
        assert (one.settled(), one.chunk, one.idle) == (4, [2, 3], False)
        assert (one.taken(), one.chunk, one.taken()) == ([2, 3], None, [])


def test_each_answer_gives_time_for_the_next(clock: Callable[[float], None]) -> None:
    with started(Script()) as one:
        assert one.deadline == 1060  # opening may take a minute
        one.identity()
        clock(1005)
        one.give([0, 1], jobs(2), 7)
        assert one.deadline == 1012
        said(one)
        clock(1010)
        one.settled()
        assert one.deadline == 1017


def test_a_worker_that_has_nothing_to_say_is_heard_at_once() -> None:
    with started(Script(opening=hang)) as one:
        assert one.hear() is None


@pytest.mark.parametrize(
    ("deed", "answer"),
    [
        (die, Outcome(OutcomeKind.CRASHED, reason=Reason("signal", "the process that ran it was killed by SIGKILL"))),
        (
            lambda: os._exit(3),
            HarnessFailure(Reason("adapter", "the process that ran it ended with status 3", "harness")),
        ),
        (
            lambda: os._exit(0),
            HarnessFailure(Reason("adapter", "the process that ran it ended with status 0", "harness")),
        ),
    ],
)
@pytest.mark.parametrize("seen", [1000, 2000])
def test_a_process_that_ends_tells_by_its_status_what_happened(
    deed: Callable[[], NoReturn], answer: object, seen: float, clock: Callable[[float], None]
) -> None:
    """However late that is seen."""
    with at_work(Script(lambda _: deed())) as one:
        assert said(one) is None
        one.process.join()
        clock(seen)
        assert one.post_mortem() == answer
        assert one.connection.closed


@pytest.mark.parametrize("seen", [1000, 2000])
def test_an_adapter_that_raises_tells_what_and_where(seen: float, clock: Callable[[float], None]) -> None:
    with at_work(Script(lambda _: failing())) as one:
        told = said(one)
        clock(seen)
        assert one.post_mortem() == HarnessFailure(Reason("adapter", str(told), "harness"))
        assert str(told).startswith(f"ZeroDivisionError: by nothing ({__file__}:")
        assert not one.process.is_alive()


def test_no_answer_in_time_is_a_time_out(clock: Callable[[float], None]) -> None:
    with at_work(Script(lambda _: hang()), patience=7.5) as one:
        clock(1007.5)
        assert one.post_mortem() == Outcome(OutcomeKind.TIMED_OUT, reason=Reason("timeout", "no answer within 7.5 s"))
        assert one.process.exitcode == -signal.SIGKILL


def test_jobs_for_a_process_that_is_dead_are_not_answered() -> None:
    with started(Script()) as one:
        one.identity()
        one.process.kill()
        one.process.join()
        one.give([0], jobs(1), 60)
        assert one.hear() is None
        assert one.chunk == [0]
        one.connection.close()
        assert one.hear() is None


def test_a_worker_that_is_idle_ends_in_order(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    one = Worker(Script(closing=lambda: log.note("closed")))
    one.identity()
    one.end()
    assert (one.process.exitcode, log.lines()) == (0, ["closed"])


def test_a_runtime_that_hangs_as_it_is_closed_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_CLOSING", 0.01)
    one = Worker(Script(closing=hang))
    one.identity()
    one.end()
    assert one.process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("how", [Worker.end, Worker.kill])
def test_a_worker_that_is_at_a_job_is_killed(how: Callable[[Worker], None]) -> None:
    with at_work(Script(lambda _: hang())) as one:
        how(one)
        assert one.process.exitcode == -signal.SIGKILL
        assert one.connection.closed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_for_the_whole_process_group_are_the_parents(number: signal.Signals) -> None:
    def interrupted(_: object) -> Outcome:
        os.kill(os.getpid(), number)
        return Outcome(OutcomeKind.RETURNED, r0=1)

    with at_work(Script(interrupted)) as one:
        assert said(one) == [Outcome(OutcomeKind.RETURNED, r0=1)]


def blocked() -> set[int]:
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def test_a_process_hears_of_no_interrupt_while_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_serve", lambda connection, _: connection.send(blocked()))
    before = blocked()
    with started(Script()) as one:
        assert one.connection.recv() == before | {signal.SIGINT}
    assert blocked() == before


def test_programs_that_a_runtime_starts_hear_of_interrupts() -> None:
    """They would inherit a mask."""
    with at_work(Script(lambda _: Outcome(OutcomeKind.RETURNED, r0=int(signal.SIGINT in blocked())))) as one:
        assert said(one) == [Outcome(OutcomeKind.RETURNED, r0=0)]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError(EAGAIN, "Resource unavailable"), rf"\[Errno {EAGAIN}\] Resource unavailable"),
        (MemoryError(), "out of memory"),
    ],
)
def test_a_machine_without_a_process_says_so(error: Exception, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(process: ForkProcess) -> NoReturn:
        raise error

    monkeypatch.setattr(ForkProcess, "start", start)
    with pytest.raises(
        Exhausted, match=rf"^this machine has no process or no memory left to run it in \({why}\): end other programs, "
    ):
        Worker(Script())


# In the worker process


@pytest.fixture
def ends() -> Iterator[tuple[Connection, Connection]]:
    ours, theirs = multiprocessing.Pipe()
    with ours, theirs:
        yield ours, theirs


def told(ours: Connection) -> list[object]:
    found = []
    while ours.poll():
        found.append(ours.recv())
    return found


def test_answers_are_sent_together_but_not_held_back_long(
    ends: tuple[Connection, Connection], clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = ends
    monkeypatch.setattr(worker, "_HOLDING", 0.25)
    times = iter([1000.125, 1000.25, 1000.5, 1000.625, 1001, 1002])

    def answer(one: Job) -> Outcome:
        clock(next(times))
        return echo(one)

    worker.answer(theirs, Script(answer).open(), jobs(6))
    assert told(ours) == [[echo(job(at)) for at in part] for part in ([0, 1, 2], [3, 4], [5])]


@pytest.mark.parametrize("count", [1, 3])
def test_an_answer_for_each_job_or_none_counts(count: int, ends: tuple[Connection, Connection]) -> None:
    ours, theirs = ends

    class Miscounting(Script):
        def run(self, _: object) -> Iterator[Outcome]:
            return map(echo, jobs(count))

    with pytest.raises(ValueError, match=rf"^the adapter gave {count} outcomes for 2 jobs$"):
        worker.answer(theirs, Miscounting().open(), jobs(2))
    assert told(ours) == []


@pytest.mark.parametrize("reason", ["a: b", Reason("No Code", "b")])
def test_outcomes_without_a_valid_reason_do_not_count(reason: Any, ends: tuple[Connection, Connection]) -> None:
    ours, theirs = ends
    outcome = Outcome(OutcomeKind.REJECTED, reason=reason)
    message = f"the reason of an outcome is a valid protocol.Reason, not {reason!r}"
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        worker.answer(theirs, Script(lambda _: outcome).open(), jobs(1))
    assert told(ours) == []


def test_the_parent_is_told_of_exceptions(ends: tuple[Connection, Connection]) -> None:
    ours, theirs = ends
    with worker._Report(theirs):
        raise KeyError("it")
    (message,) = told(ours)
    assert re.fullmatch(rf"KeyError: 'it' \({re.escape(__file__)}:\d+\)", str(message))


@pytest.mark.parametrize("error", [ConnectionResetError(), BrokenPipeError()])
def test_a_parent_that_has_gone_is_told_nothing(error: Exception, ends: tuple[Connection, Connection]) -> None:
    ours, theirs = ends
    with worker._Report(theirs):
        raise error
    assert told(ours) == []
    ours.close()
    with worker._Report(theirs):
        raise KeyError("it")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_should_end_the_process_ends_it(error: type[BaseException], ends: tuple[Connection, Connection]) -> None:
    ours, theirs = ends
    with pytest.raises(error), worker._Report(theirs):
        raise error
    assert told(ours) == []
    with worker._Report(theirs):
        pass
    assert told(ours) == []


def test_processes_of_other_pools_leave_interrupts_to_their_parent() -> None:
    before = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        leave_interrupts_to_parent()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        for number, handler in before:
            signal.signal(number, handler)
