# SPDX-License-Identifier: Apache-2.0
"""Starts programs by way of a :mod:`.keeper`, and says how they ended."""

from __future__ import annotations

import marshal
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from ..closing import Closing
from . import keeper

_KEEPER = str(Path(keeper.__file__))
#: A keeper needs not longer to bury its dead and end.
_PATIENCE = 10.0


class Ending(IntEnum):
    """How a run of a program came to its end."""

    ENDED = keeper.ENDED  # by itself, or by a signal that nobody here sent
    TIMED_OUT = keeper.TIMED_OUT  # it was killed when its time was up
    OVERSIZED = keeper.OVERSIZED  # it was killed because it wrote too much to standard output
    NOT_STARTED = keeper.NOT_STARTED  # it could not be executed


class Limits(NamedTuple):
    """What one run of a program may take: seconds, bytes of address space (None: any) and of standard output."""

    seconds: float = 10.0
    memory: int | None = 4 << 30
    output: int = 1 << 16


class Ended(NamedTuple):
    """How a run ended.

    ``status`` is the wait status, or errno if it did not start. ``errors`` is the end of standard error.
    """

    ending: Ending
    status: int
    output: bytes
    errors: bytes
    seconds: float

    @property
    def signal(self) -> str | None:
        """The name of the signal that killed it, if one did."""
        started = self.ending is not Ending.NOT_STARTED
        return signal_name(os.WTERMSIG(self.status)) if started and os.WIFSIGNALED(self.status) else None

    @property
    def exit_status(self) -> int:
        """Its exit status, if no signal killed it."""
        return os.WEXITSTATUS(self.status)


class Shooter(Closing):
    """Runs programs one after the other, each in a session of its own that is gone when it has ended.

    Args:
        limits: what each run may take.
        folder: where they run; the current one if None.
        environment: variables for them, in addition to those of this process.
    """

    def __init__(
        self, limits: Limits, folder: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self._limits = limits
        memory = "-" if limits.memory is None else str(limits.memory)
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", _KEEPER, "shots", memory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )

    def run(self, command: Sequence[str], data: bytes = b"") -> Ended:
        """Run ``command``, whose first word is the path of an executable, with ``data`` as its standard input.

        Raises:
            OSError: the process that starts programs is gone.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        request = marshal.dumps((list(command), data, self._limits.seconds, self._limits.output))
        self._process.stdin.write(len(request).to_bytes(keeper.LENGTH_BYTES, "little") + request)
        self._process.stdin.flush()
        size = int.from_bytes(self._process.stdout.read(keeper.LENGTH_BYTES), "little")
        answer = self._process.stdout.read(size)
        if not answer:
            raise BrokenPipeError("the process that starts programs under test has ended")
        how, *rest = marshal.loads(answer)
        return Ended(Ending(how), *rest)

    def close(self) -> None:
        """End the process that starts programs."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        _end(self._process)
        self._process.stdout.close()


class Resident:
    """One program that stays: talk to it through ``stdin``, ``stdout`` and ``stderr``, which are descriptors.

    Args:
        command: its first word is the path of an executable.
        memory: bytes of address space that each process may take; None for any.
        folder: where it runs; the current one if None.
        environment: variables for it, in addition to those of this process.
    """

    def __init__(
        self,
        command: Sequence[str],
        memory: int | None,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        theirs_in, self.stdin = os.pipe()
        self.stdout, theirs_out = os.pipe()
        self.stderr, theirs_err = os.pipe()
        self._control, theirs = socket.socketpair()
        limit = "-" if memory is None else str(memory)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", _KEEPER, "one", limit, str(theirs.fileno()), *command],
                stdin=theirs_in,
                stdout=theirs_out,
                stderr=theirs_err,
                cwd=folder,
                env={**os.environ, **(environment or {})},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        finally:
            theirs.close()
            for descriptor in (theirs_in, theirs_out, theirs_err):
                os.close(descriptor)
        self._last: Ended | None = None

    def wait(self, seconds: float) -> Ended | None:
        """Wait for the program to end; return how it did, or None if it goes on for longer than ``seconds``."""
        if self._last is None:
            self._control.settimeout(seconds)
            try:
                self._last = self._listen()
            except TimeoutError:
                return None
        return self._last

    def kill(self) -> Ended:
        """Kill the program with all that descends from it, if it has not ended; return how it ended."""
        if self._last is None:
            self._control.shutdown(socket.SHUT_WR)
            self._control.settimeout(_PATIENCE)
            try:
                self._last = self._listen()
            except TimeoutError:
                self._last = Ended(Ending.ENDED, signal.SIGKILL, b"", b"", 0.0)
        return self._last

    def _listen(self) -> Ended:
        words = self._control.recv(64).split()
        if not words:
            # Only if something has killed the keeper.
            return Ended(Ending.ENDED, signal.SIGKILL, b"", b"", 0.0)
        return Ended(Ending(int(words[0])), int(words[1]), b"", b"", 0.0)

    def close(self) -> None:
        """Kill the program if it goes on, and close the descriptors."""
        self.kill()
        self._control.close()
        for descriptor in (self.stdin, self.stdout, self.stderr):
            if descriptor >= 0:
                os.close(descriptor)
        _end(self._process)

    def close_stdin(self) -> None:
        """Let the program's standard input end."""
        if self.stdin >= 0:
            os.close(self.stdin)
            self.stdin = -1


def signal_name(number: int) -> str:
    """Return the name of a signal; real-time signals have none but their number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
