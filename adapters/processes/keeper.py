# SPDX-License-Identifier: Apache-2.0
"""A small process that is the parent of programs under test, so that nothing which they start outlives them.

It is run as a script, by :mod:`.client`, with the standard library only. As their reaper (PR_SET_CHILD_SUBREAPER) it
inherits whatever they leave behind, daemons included, and kills that. When whoever started it goes away, for whatever
reason, it kills what it has started, and ends.

    keeper.py shots MEMORY              requests on standard input, see :func:`serve_shots`
    keeper.py one MEMORY FD COMMAND...  one command that inherits standard input, output and error, see :func:`keep_one`

``MEMORY`` is the limit of each process's address space in bytes, or ``-``. It is set here, to be inherited.
"""

from __future__ import annotations

import ctypes
import errno
import marshal
import os
import resource
import select
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic, perf_counter, sleep

#: Each message has its length before it, as so many bytes, little-endian.
LENGTH_BYTES = 4
#: How much of what a program says on standard error is kept: the end of it.
KEPT_STDERR = 1 << 16
#: Processes that do not die within so many seconds of SIGKILL hang in the kernel, and are left to it.
_BURIAL = 5.0
_READ = 1 << 16
_PR_SET_CHILD_SUBREAPER = 36
#: Python or this process ignores these, and what is ignored would stay ignored in new programs.
_DEFAULT_SIGNALS = [signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM]

# How a program ended, as numbers that survive marshal.
ENDED, TIMED_OUT, OVERSIZED, NOT_STARTED = range(4)


def main(arguments: Sequence[str]) -> None:
    """Run as one of the two commands described above."""
    mode, memory, *rest = arguments
    if memory != "-":
        most = resource.getrlimit(resource.RLIMIT_AS)[1]
        limit = int(memory) if most == resource.RLIM_INFINITY else min(int(memory), most)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    if mode == "shots":
        serve_shots()
    else:
        keep_one(int(rest[0]), rest[1:])


def spawn(command: Sequence[str], streams: Sequence[int]) -> int:
    """Start ``command`` in a session of its own with ``streams`` as descriptors 0, 1 and 2; return its process id.

    Raises:
        OSError: it could not be executed.
    """
    return os.posix_spawn(
        command[0],
        list(command),
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, stream, number) for number, stream in enumerate(streams)],
        setsid=True,
        setsigmask=[],
        setsigdef=_DEFAULT_SIGNALS,
    )


def bury(leader: int) -> int:
    """Kill the process ``leader``, its group and all that descends from it; return the leader's wait status."""
    # Until it is waited for, its number belongs to no other process.
    os.killpg(leader, signal.SIGKILL)
    status = os.waitpid(leader, 0)[1]
    deadline = monotonic() + _BURIAL
    while monotonic() < deadline:
        try:
            if os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG) is None:
                for child in _children():
                    os.kill(child, signal.SIGKILL)
                sleep(0.0005)
        except ChildProcessError:
            break
    return status


def _children() -> Iterator[int]:
    """Yield the process ids of all children; none goes away unnoticed, because only this process reaps them."""
    mine = str(os.getpid())
    for name in os.listdir("/proc"):  # noqa: PTH208 - names are all that is wanted, thousands of times
        if name.isdigit():
            try:
                stat = Path("/proc", name, "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            # The second field, the program's name in parentheses, may hold anything.
            if stat.rpartition(")")[2].split()[1] == mine:
                yield int(name)


# One program after the other


def serve_shots() -> None:
    """Answer requests until standard input ends.

    A request is (command, input, seconds, most bytes of output); the answer (how it ended, wait status or errno,
    standard output, end of standard error, seconds that it took).
    """
    commands = sys.stdin.fileno()
    reports = sys.stdout.fileno()
    with os.fdopen(commands, "rb", closefd=False) as stream:
        while header := stream.read(LENGTH_BYTES):
            request = marshal.loads(stream.read(int.from_bytes(header, "little")))
            answer = marshal.dumps(shoot(commands, *request))
            try:
                _write_all(reports, len(answer).to_bytes(LENGTH_BYTES, "little") + answer)
            except BrokenPipeError:  # the run was interrupted: nobody waits for the answer any more
                return


def shoot(
    commands: int, command: Sequence[str], data: bytes, seconds: float, most: int
) -> tuple[int, int, bytes, bytes, float]:
    """Run ``command`` once with ``data`` as its standard input; see :func:`serve_shots`."""
    theirs_in, feed = os.pipe()
    out, theirs_out = os.pipe()
    err, theirs_err = os.pipe()
    os.set_blocking(feed, False)
    left = memoryview(data)
    # Nearly every program fits into the pipe: then it need not be fed while it runs.
    left = left[os.write(feed, left) if data else 0 :]
    if not left:
        os.close(feed)
        feed = -1
    start = perf_counter()
    try:
        leader = spawn(command, (theirs_in, theirs_out, theirs_err))
    except OSError as error:
        for descriptor in (out, err, feed):
            if descriptor >= 0:
                os.close(descriptor)
        return NOT_STARTED, error.errno or errno.EINVAL, b"", b"", 0.0
    finally:
        for descriptor in (theirs_in, theirs_out, theirs_err):
            os.close(descriptor)
    shot = _Shot(leader, commands, feed, out, err, left, most)
    how = shot.attend(start + seconds)
    took = perf_counter() - start
    status = bury(leader)
    shot.close()
    return how, status, bytes(shot.output), bytes(shot.errors[-KEPT_STDERR:]), took


class _Shot:
    """The pipes of a program that runs."""

    def __init__(self, leader: int, commands: int, feed: int, out: int, err: int, left: memoryview, most: int) -> None:
        self.output, self.errors = bytearray(), bytearray()
        self._commands, self._feed, self._out, self._err = commands, feed, out, err
        self._left, self._most = left, most
        self._leader = os.pidfd_open(leader)
        os.set_blocking(out, False)
        os.set_blocking(err, False)
        self._poll = select.poll()
        self._listened = {self._leader, out, err}
        for descriptor in self._listened:
            self._poll.register(descriptor, select.POLLIN)
        self._poll.register(commands, 0)
        if feed >= 0:
            self._poll.register(feed, select.POLLOUT)

    def attend(self, deadline: float) -> int:
        """Listen to the program until it ends, says too much, or the time is up; return which of these."""
        while (left := deadline - perf_counter()) > 0:
            for descriptor, _ in self._poll.poll(left * 1000 + 1):
                if descriptor == self._leader:
                    # What it has written is there; children of it that still hold the pipes are not waited for.
                    self._read(self._out, self.output)
                    self._read(self._err, self.errors)
                    return OVERSIZED if len(self.output) > self._most else ENDED
                if descriptor == self._out:
                    self._read(self._out, self.output)
                elif descriptor == self._err:
                    self._read(self._err, self.errors)
                elif descriptor == self._feed:
                    self._write()
                elif descriptor == self._commands:
                    # Whoever asked is gone.
                    return TIMED_OUT
            if len(self.output) > self._most:
                return OVERSIZED
        return TIMED_OUT

    def _read(self, descriptor: int, into: bytearray) -> None:
        """Read what is there, but no more than two pipes full; of too much only so much is kept as proves it."""
        for _ in range(2):
            try:
                data = os.read(descriptor, _READ)
            except BlockingIOError:
                return
            if not data:
                # A pipe that has ended would wake every poll.
                if descriptor in self._listened:
                    self._listened.remove(descriptor)
                    self._poll.unregister(descriptor)
                return
            into += data
            if descriptor == self._err:
                del into[: -2 * KEPT_STDERR]
            elif len(into) > self._most:
                return

    def _write(self) -> None:
        try:
            self._left = self._left[os.write(self._feed, self._left) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            # It does not want to know; whether that is right its answer tells.
            self._left = self._left[:0]
        if not self._left:
            self._poll.unregister(self._feed)
            os.close(self._feed)
            self._feed = -1

    def close(self) -> None:
        """Close the pipes."""
        for descriptor in (self._leader, self._out, self._err, self._feed):
            if descriptor >= 0:
                os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


# One program that stays


def keep_one(control: int, command: Sequence[str]) -> None:
    """Run ``command`` with this process's standard streams until it ends, or the other end of ``control`` is closed.

    Two numbers and a newline are written to ``control`` at last: how it ended, and the wait status or errno.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        leader = spawn(command, (0, 1, 2))
    except OSError as error:
        os.write(control, f"{NOT_STARTED} {error.errno}\n".encode())
        return
    for number in range(3):
        # The pipes must end when the program closes them.
        os.dup2(nothing, number)
    ended = os.pidfd_open(leader)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(control, select.POLLIN)
    poll.poll()
    status = bury(leader)
    # Nobody may be left to read it.
    with suppress(BrokenPipeError, ConnectionResetError):
        os.write(control, f"{ENDED} {status}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1:])
