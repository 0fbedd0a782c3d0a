# SPDX-License-Identifier: Apache-2.0
"""One process that runs jobs on a runtime, as its parent sees it, and what the process itself does.

``spawn`` starts it: forking a process that may have threads is not safe. It tells outcomes as they come, several at
once.
"""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from time import monotonic
from types import TracebackType
from typing import Protocol, Self, TypeAlias

from ...adapters.processes.containment import die_with_parent
from ...adapters.protocol import Adapter, Job, Outcome, OutcomeKind, Reason, RuntimeInfo, Unavailable

#: The time limit for opening a runtime, in seconds.
_OPENING = 60.0
#: How many seconds outcomes may be held back to be sent together.
_HOLDING = 0.2
#: The time limit for closing a runtime, in seconds.
_CLOSING = 5.0


class Openable(Protocol):
    """A runtime that workers can open; must be picklable."""

    @property
    def name(self) -> str:
        """What the runtime is called in results."""

    def open(self) -> Adapter:
        """Return an adapter, or raise :class:`..adapters.protocol.Unavailable`."""

    @property
    def boots(self) -> bool:
        """Whether it starts a machine each time it is given jobs: then it is given as many as there are."""

    @property
    def interpreter(self) -> Self | None:
        """Its interpreter, if it is a JIT whose failures should be repeated there."""

    def patience(self, timeout: float) -> float:
        """Return after how many seconds without an outcome a worker is given up, if a vector may take ``timeout``."""

    def with_patience(self, factor: float) -> Self:
        """Return the runtime with ``factor`` times its own limit of time for a vector, if it has one."""


class Exhausted(Exception):
    """This machine has no process or no memory left; the message is a sentence for users."""


class RuntimeBroken(Exception):
    """An adapter that failed while it was opened, other than by being unavailable."""


@dataclass(frozen=True, slots=True)
class HarnessFailure:
    """In place of an outcome: the adapter failed, or was not used any more."""

    reason: Reason


Answer: TypeAlias = Outcome | HarnessFailure


@contextmanager
def _held_back(number: signal.Signals) -> Iterator[None]:
    """Take a signal only at the end, if it comes; processes that are started meanwhile go on without it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Worker:
    """A process, as the parent sees it. ``chunk`` are the jobs it is at, by index; it introduces itself first."""

    def __init__(self, runtime: Openable) -> None:
        context = multiprocessing.get_context("spawn")
        try:
            self.connection, theirs = context.Pipe()
            self.process: SpawnProcess = context.Process(target=_serve, args=(theirs, runtime), daemon=True)
            # Until it can see to that itself, it does not hear of Ctrl-C.
            with theirs, _held_back(signal.SIGINT):
                self.process.start()
        except (OSError, MemoryError) as error:
            raise Exhausted(
                f"this machine has no process or no memory left to run it in ({str(error) or 'out of memory'}): "
                "end other programs, or raise the limits (ulimit -u, -v, -n)"
            ) from None
        self.chunk: list[int] | None = None
        self._opening = runtime.patience(_OPENING) if runtime.boots else _OPENING
        self._patience = self._opening
        self.deadline = monotonic() + self._patience
        self._ready = False
        self._failure: str | None = None

    @property
    def idle(self) -> bool:
        """Whether it can be given jobs."""
        return self._ready and self.chunk is None

    def identity(self) -> RuntimeInfo:
        """Wait for the worker to say who the runtime is.

        Raises:
            Unavailable: the runtime cannot be used here.
            RuntimeBroken: the adapter failed or takes too long, or its process ended.
        """
        if not wait([self.connection], self._opening):
            raise RuntimeBroken(f"it did not open within {self._opening:g} s")
        said = self.hear()
        if isinstance(said, RuntimeInfo):
            return said
        if isinstance(said, Unavailable):
            raise said
        raise RuntimeBroken(self._failure or self._ending())

    def give(self, chunk: list[int], jobs: Sequence[Job], patience: float) -> None:
        """Hand over the jobs with the indices ``chunk``; each may take ``patience`` seconds."""
        self.chunk = chunk
        self._patience = patience
        self.deadline = monotonic() + patience
        # A dead worker is noticed when it is listened to.
        with suppress(BrokenPipeError):
            self.connection.send([jobs[index] for index in chunk])

    def settled(self) -> int:
        """Take the first of its jobs off the worker, which has finished it, and return its index."""
        first, *rest = self.chunk or []
        self.chunk = rest or None
        self.deadline = monotonic() + self._patience
        return first

    def taken(self) -> list[int]:
        """Return the jobs the worker was at, and take them off it."""
        chunk, self.chunk = self.chunk or [], None
        return chunk

    def hear(self) -> object:
        """Return what the worker says: its identity, or a list of outcomes; anything else means that it has failed."""
        try:
            said: object = self.connection.recv() if self.connection.poll() else None
        except (EOFError, OSError):
            return None
        if isinstance(said, RuntimeInfo):
            self._ready = True
        elif isinstance(said, str):
            self._failure = said
        return said

    def post_mortem(self) -> Answer:
        """Return what the failure of this worker says about the one job it was at, and end it."""
        late = self._failure is None and self.deadline <= monotonic() and self.process.is_alive()
        if late:
            self.kill()
            return Outcome(OutcomeKind.TIMED_OUT, reason=Reason("timeout", f"no answer within {self._patience:g} s"))
        ending = self._ending()
        code = self.process.exitcode
        self.kill()
        if self._failure is not None:
            return HarnessFailure(Reason("adapter", self._failure, "harness"))
        if code is not None and code < 0:
            return Outcome(OutcomeKind.CRASHED, reason=Reason("signal", ending))
        return HarnessFailure(Reason("adapter", ending, "harness"))

    def _ending(self) -> str:
        self.process.join(timeout=_CLOSING)
        code = self.process.exitcode
        if code is not None and code < 0:
            return f"the process that ran it was killed by {signal.Signals(-code).name}"
        return f"the process that ran it ended with status {code}"

    def end(self) -> None:
        """Let an idle process end in order; kill it if it does not, or is at some jobs."""
        if self.chunk is None:
            self.connection.close()
            self.process.join(timeout=_CLOSING)
        self.kill()

    def kill(self) -> None:
        """End the process at once."""
        self.connection.close()
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


# In the worker process


def _serve(connection: Connection, runtime: Openable) -> None:
    """Open the runtime, say who it is, then run what comes until the connection ends."""
    # Not even a runtime that never answers is to outlive the parent.
    die_with_parent()
    # Ctrl-C goes to the whole process group; the parent decides what it means. A handler, unlike an ignored signal, is
    # nothing that programs inherit which are started from here.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _pass_over)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    with _Report(connection):
        try:
            adapter = runtime.open()
        except Unavailable as reason:
            connection.send(Unavailable(str(reason)))
            return
        with adapter:
            connection.send(adapter.info())
            while True:
                try:
                    jobs = connection.recv()
                except (EOFError, ConnectionError):  # the parent has no more to ask, or does not want to know
                    return
                answer(connection, adapter, jobs)


def leave_interrupts_to_parent() -> None:
    """For processes of pools that take Ctrl-C with their parent, which then ends them by SIGTERM: say nothing."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _pass_over(number: int, frame: object) -> None:
    """Do nothing about a signal."""


def answer(connection: Connection, adapter: Adapter, jobs: Sequence[Job]) -> None:
    """Run ``jobs`` and send their outcomes."""
    held: list[Outcome] = []
    count, sent = 0, monotonic()
    for outcome in adapter.run(jobs):
        reason: object = outcome.reason
        if not isinstance(reason, Reason) or not reason.is_valid:
            raise TypeError(f"the reason of an outcome is a valid protocol.Reason, not {reason!r}")
        held.append(outcome)
        count += 1
        if count < len(jobs) and monotonic() - sent > _HOLDING:
            connection.send(held)
            held, sent = [], monotonic()
    if count != len(jobs):
        raise ValueError(f"the adapter gave {count} outcomes for {len(jobs)} jobs")
    connection.send(held)


class _Report:
    """Tells the parent about whatever exception ends this process."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if kind is None or not issubclass(kind, Exception):
            return False
        if not issubclass(kind, ConnectionError):
            at = traceback.extract_tb(trace)[-1]
            with suppress(ConnectionError):
                self._connection.send(f"{kind.__name__}: {error} ({at.filename}:{at.lineno})")
        return True
