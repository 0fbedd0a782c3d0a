# SPDX-License-Identifier: Apache-2.0
"""The keeper's part for a program that stays: one command that inherits standard input, output and error."""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Sequence
from contextlib import suppress

from .ending import Ending
from .keeper import Keeper, reap_others, spawn


def serve(keeper: Keeper, control: int, command: Sequence[str]) -> None:
    """Run ``command`` until it ends, takes too much, or the other end of ``control`` is closed.

    At last two numbers and a newline are written to ``control``: how it ended, and the wait status or errno.

    Raises:
        OSError: it could not be executed.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    leader = spawn(command, (0, 1, 2))
    for number in range(3):
        # The pipes must end when the program closes them.
        os.dup2(nothing, number)
    poll = select.poll()
    poll.register(os.pidfd_open(leader), select.POLLIN)
    poll.register(control, select.POLLIN)
    watch = keeper.watch()
    excess = None
    while not excess and not poll.poll(watch.pause * 1000):
        reap_others(leader)
        excess = watch.look()
    status = keeper.kill_all(leader)
    _tell(control, excess or Ending.ENDED, status)


def fail(error: OSError, control: int) -> None:
    """Say that the program could not be started."""
    _tell(control, Ending.NOT_STARTED, error.errno or errno.EINVAL)


def _tell(control: int, how: Ending, status: int) -> None:
    # Nobody may be left to read it.
    with suppress(BrokenPipeError, ConnectionResetError):
        os.write(control, f"{how:d} {status}\n".encode())
