# SPDX-License-Identifier: Apache-2.0
"""The keeper of programs that run one after the other, by requests on standard input.

Requests and answers are marshalled tuples. A request is (command, input, seconds, most bytes of output); the answer
(how it ended, wait status or errno, standard output, end of standard error, seconds that it took). The first answer
is empty when the keeper is ready; (errno, message) means that it has failed and ends.
"""

from __future__ import annotations

import errno
import marshal
import os
import select
from collections.abc import Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any

from .ending import Ending
from .keeper import Keeper, reap_others, spawn
from .watch import PAUSE

#: Size of the length before each message, little-endian.
LENGTH_BYTES = 4
#: Most bytes of standard error that are kept, from its end.
KEPT_STDERR = 1 << 16
#: Length of the tuple that reports a failure.
FAILURE = 2
_READ = 1 << 16
_COMMANDS, _REPORTS = 0, 1


def serve(keeper: Keeper) -> None:
    """Answer requests until standard input or output is closed.

    Raises:
        OSError: a system call failed.
    """
    _answer()
    with os.fdopen(_COMMANDS, "rb", closefd=False) as stream, suppress(BrokenPipeError):
        while header := stream.read(LENGTH_BYTES):
            request = marshal.loads(stream.read(int.from_bytes(header, "little")))
            _answer(*_launch(keeper, *request))


def fail(error: OSError) -> None:
    """Report a failure."""
    with suppress(BrokenPipeError):
        _answer(error.errno, error.strerror)


def _answer(*answer: Any) -> None:
    data = marshal.dumps(answer)
    data = len(data).to_bytes(LENGTH_BYTES, "little") + data
    while data:
        data = data[os.write(_REPORTS, data) :]


def _launch(
    keeper: Keeper, command: Sequence[str], data: bytes, seconds: float, most: int
) -> tuple[int, int, bytes, bytes, float]:
    """Run ``command`` once with ``data`` as its standard input; return the answer."""
    theirs_in, feed = os.pipe()
    out, theirs_out = os.pipe()
    err, theirs_err = os.pipe()
    os.set_blocking(feed, False)
    left = memoryview(data)
    # Nearly every input fits in the pipe, and need not be written while the program runs.
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
        return int(Ending.NOT_STARTED), error.errno or errno.EINVAL, b"", b"", 0.0
    finally:
        for descriptor in (theirs_in, theirs_out, theirs_err):
            os.close(descriptor)
    launch = _Launch(leader, feed, out, err, left, most)
    how = launch.attend(start + seconds, keeper)
    took = perf_counter() - start
    status = keeper.kill_all(leader)
    launch.close()
    return int(how), status, bytes(launch.output), bytes(launch.errors[-KEPT_STDERR:]), took


class _Launch:
    """The pipes of a program that runs."""

    def __init__(self, leader: int, feed: int, out: int, err: int, left: memoryview, most: int) -> None:
        self.output, self.errors = bytearray(), bytearray()
        self._feed, self._out, self._err = feed, out, err
        self._left, self._most = left, most
        self._pid, self._leader = leader, os.pidfd_open(leader)
        os.set_blocking(out, False)
        os.set_blocking(err, False)
        self._poll = select.poll()
        self._listened = {self._leader, out, err}
        for descriptor in self._listened:
            self._poll.register(descriptor, select.POLLIN)
        self._poll.register(_COMMANDS, 0)
        if feed >= 0:
            self._poll.register(feed, select.POLLOUT)

    def attend(self, deadline: float, keeper: Keeper) -> Ending:
        """Read from the program until it ends, exceeds a limit or times out; return which."""
        watch, pause = None, PAUSE
        while (now := perf_counter()) < deadline:
            ending = self._listen(min(deadline, now + pause))
            if ending is not None:
                return ending
            reap_others(self._pid)
            watch = watch or keeper.watch()
            if excess := watch.look():
                return excess
            pause = watch.pause
        return Ending.TIMED_OUT

    def _listen(self, until: float) -> Ending | None:
        """Serve the pipes; return how the program has ended, if it has."""
        while (left := until - perf_counter()) > 0:
            for descriptor, _ in self._poll.poll(left * 1000 + 1):
                if descriptor == self._leader:
                    # All its output is in the pipes; descendants that hold them open are not waited for.
                    self._read(self._out, self.output)
                    self._read(self._err, self.errors)
                    return Ending.OVERSIZED if len(self.output) > self._most else Ending.ENDED
                if descriptor == self._out:
                    self._read(self._out, self.output)
                elif descriptor == self._err:
                    self._read(self._err, self.errors)
                elif descriptor == self._feed:
                    self._write()
                elif descriptor == _COMMANDS:
                    # The client has ended.
                    return Ending.TIMED_OUT
            if len(self.output) > self._most:
                return Ending.OVERSIZED
        return None

    def _read(self, descriptor: int, into: bytearray) -> None:
        """Read available data, at most twice; stop at the limit of output."""
        for _ in range(2):
            try:
                data = os.read(descriptor, _READ)
            except BlockingIOError:
                return
            if not data:
                # A closed pipe would wake every poll.
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
            # The program has closed its input; its output decides.
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
