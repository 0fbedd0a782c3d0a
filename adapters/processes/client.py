# SPDX-License-Identifier: Apache-2.0
"""Starts programs through a keeper (:mod:`.main`), and returns how they ended."""

from __future__ import annotations

import marshal
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from ..closing import Closing
from ..protocol import Reason
from . import launches
from .containment import PID_NAMESPACE, REAPER, USER_NAMESPACE
from .ending import Ending

#: Starts a keeper, which imports only this package, as ``processes``.
_START = "import sys; sys.path.append(sys.argv[1]); from processes.main import main; main(sys.argv[2:])"
_PYTHON = [sys.executable, "-I", "-S", "-c", _START, str(Path(__file__).parents[1])]
_WHERE = {
    PID_NAMESPACE: "in PID namespaces: whatever they start dies with them",
    USER_NAMESPACE: "in PID namespaces within user namespaces: whatever they start dies with them",
    REAPER: "below a process that kills what they leave behind: PID namespaces cannot be used here",
}
#: Seconds for a keeper to kill and reap its processes, and to end.
_PATIENCE = 10.0
#: Exit statuses from here mean that a keeper was killed by a signal.
_KILLED = 128


class Limits(NamedTuple):
    """The limits of one run of a program.

    Seconds; bytes of address space of each process (None: any); bytes of standard output; processes at once; and
    bytes that all of them write, to files or whatever it is. ``contained`` is whether to put it into namespaces.
    """

    seconds: float = 10.0
    memory: int | None = 4 << 30
    output: int = 1 << 16
    processes: int = 1 << 10
    written: int = 1 << 30
    contained: bool = True

    @property
    def words(self) -> list[str]:
        """The limits as arguments of the keeper."""
        numbers = (-1 if self.memory is None else self.memory, self.processes, self.written)
        return ["contained" if self.contained else "plain", *map(str, numbers)]


class Ended(NamedTuple):
    """How a run ended.

    ``status`` is the wait status, or errno if it did not start. ``errors`` is the end of standard error.
    """

    ending: Ending
    status: int
    output: bytes = b""
    errors: bytes = b""
    seconds: float = 0.0

    @property
    def signal(self) -> str | None:
        """The name of the signal that killed it, if one did."""
        started = self.ending is not Ending.NOT_STARTED
        return signal_name(os.WTERMSIG(self.status)) if started and os.WIFSIGNALED(self.status) else None

    @property
    def exit_status(self) -> int:
        """Its exit status, if no signal killed it."""
        return os.WEXITSTATUS(self.status)

    def excess(self, limits: Limits) -> Reason | None:
        """Return the limit for which it was killed, other than its time."""
        match self.ending:
            case Ending.OVERSIZED:
                return Reason("oversized", f"it wrote more than {limits.output} bytes")
            case Ending.CROWDED:
                return Reason("crowded", f"{limits.processes} of its processes ran at once")
            case Ending.FILLED:
                return Reason("filled", f"it wrote more than {limits.written >> 20} MiB to files or pipes")
            case Ending.ABANDONED:
                return Reason("abandoned", "the process that watches over it was killed or stopped")
        return None


class Launcher(Closing):
    """Runs programs one after the other, each in a session of its own, whose processes are killed at the end.

    Args:
        limits: the limits of each run.
        folder: where they run; the current one if None.
        environment: variables for them, in addition to those of this process.

    Raises:
        OSError: the keeper cannot be started.
    """

    def __init__(
        self, limits: Limits, folder: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self._limits, self._folder, self._environment = limits, folder, environment
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        process = _keeper(
            ["launches", *self._limits.words],
            self._folder,
            self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            if _answer(process) is not None:
                return process
        except BaseException:
            _end(process)
            raise
        raise OSError(f"the process that starts programs under test ended with status {_end(process)} at its start")

    def run(self, command: Sequence[str], data: bytes = b"") -> Ended:
        """Run ``command``, whose first word is the path of an executable, with ``data`` as its standard input.

        Raises:
            OSError: a system call of the keeper failed.
        """
        start = perf_counter()
        request = marshal.dumps((list(command), data, self._limits.seconds, self._limits.output))
        stream = self._process.stdin
        assert stream is not None
        with suppress(BrokenPipeError):
            stream.write(len(request).to_bytes(launches.LENGTH_BYTES, "little") + request)
            stream.flush()
        answer = _answer(self._process)
        if answer is not None:
            how, *rest = answer
            return Ended(Ending(how), *rest)
        status = _end(self._process)
        if 0 <= status < _KILLED:
            raise OSError(f"the process that starts programs under test ended with status {status}")
        self._process = self._start()
        return Ended(Ending.ABANDONED, signal.SIGKILL, seconds=perf_counter() - start)

    def close(self) -> None:
        """End the keeper."""
        _end(self._process)


class Resident:
    """One long-running program, with the descriptors ``stdin``, ``stdout`` and ``stderr``.

    Args:
        command: its first word is the path of an executable.
        limits: its limits, except for time.
        folder: where it runs; the current one if None.
        environment: variables for it, in addition to those of this process.

    Raises:
        OSError: the system has no room for the processes that start programs.
    """

    def __init__(
        self,
        command: Sequence[str],
        limits: Limits,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        theirs_in, self.stdin = os.pipe()
        self.stdout, theirs_out = os.pipe()
        self.stderr, theirs_err = os.pipe()
        self._control, theirs = socket.socketpair()
        self._last: Ended | None = None
        try:
            self._process = _keeper(
                ["one", *limits.words, str(theirs.fileno()), *command],
                folder,
                environment,
                stdin=theirs_in,
                stdout=theirs_out,
                stderr=theirs_err,
                pass_fds=[theirs.fileno()],
            )
        finally:
            theirs.close()
            for descriptor in (theirs_in, theirs_out, theirs_err):
                os.close(descriptor)

    def wait(self, seconds: float) -> Ended | None:
        """Wait for the program to end; return how it ended, or None if it still runs after ``seconds``."""
        if self._last is None:
            self._control.settimeout(seconds)
            try:
                self._last = self._listen()
            except TimeoutError:
                return None
        return self._last

    def kill(self) -> Ended:
        """Kill the program and its descendants, if it has not ended; return how it ended."""
        if self._last is None:
            self._control.shutdown(socket.SHUT_WR)
            self._last = self.wait(_PATIENCE) or Ended(Ending.ENDED, signal.SIGKILL)
        return self._last

    def _listen(self) -> Ended:
        words = self._control.recv(64).split()
        if not words:
            return Ended(Ending.ABANDONED, signal.SIGKILL)
        return Ended(Ending(int(words[0])), int(words[1]))

    def close(self) -> None:
        """Kill the program if it still runs, and close the descriptors."""
        self.kill()
        self._control.close()
        for descriptor in (self.stdin, self.stdout, self.stderr):
            if descriptor >= 0:
                os.close(descriptor)
        _end(self._process)

    def close_stdin(self) -> None:
        """Close the program's standard input."""
        if self.stdin >= 0:
            os.close(self.stdin)
            self.stdin = -1


class Containment(NamedTuple):
    """The containment of programs under test: a constant of :mod:`.containment`, and its description."""

    kind: str
    where: str


def containment() -> Containment:
    """Return the default containment of programs under test on this machine.

    Raises:
        OSError: the process that determines it cannot be started.
    """
    command = [*_PYTHON, "containment"]
    kind, error = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.split()
    reason = f" ({os.strerror(int(error))})" if int(error) else ""
    return Containment(kind, _WHERE[kind] + reason)


def signal_name(number: int) -> str:
    """Return the name of a signal; real-time signals have only a number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _keeper(
    words: Sequence[str], folder: Path | None, environment: Mapping[str, str] | None, **streams: Any
) -> subprocess.Popen[bytes]:
    env = {**os.environ, **(environment or {})}
    return subprocess.Popen([*_PYTHON, *words], cwd=folder, env=env, start_new_session=True, **streams)


def _answer(process: subprocess.Popen[bytes]) -> tuple[Any, ...] | None:
    """Return the next answer of a keeper (see :mod:`.launches`); None if it has ended.

    Raises:
        OSError: the keeper reports an error.
    """
    assert process.stdout is not None
    size = int.from_bytes(process.stdout.read(launches.LENGTH_BYTES), "little")
    data = process.stdout.read(size)
    if not data or len(data) < size:
        return None
    answer: tuple[Any, ...] = marshal.loads(data)
    if len(answer) == launches.FAILURE:
        raise OSError(*answer, "the process that starts programs under test")
    return answer


def _end(process: subprocess.Popen[bytes]) -> int:
    """Let a keeper end; return its exit status."""
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()
    try:
        return process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
    finally:
        if process.stdout is not None:
            process.stdout.close()
