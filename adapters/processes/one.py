# SPDX-License-Identifier: Apache-2.0
"""The keeper of one long-running command, which inherits standard input, output and error."""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Sequence
from contextlib import suppress

from .ending import Ending
from .keeper import Keeper, reap_others, spawn


def serve(keeper: Keeper, control: int, command: Sequence[str]) -> None:
    """Run ``command`` until it ends, exceeds a limit, or the other end of ``control`` is closed.

    Then write two numbers and a newline to ``control``: how it ended, and the wait status or errno.

    Raises:
        OSError: it could not be executed.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    leader = spawn(command, (0, 1, 2))
    for number in range(3):
        # The program's ends of the pipes must be the only ones.
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
    """Report that the program could not be started."""
    _tell(control, Ending.NOT_STARTED, error.errno or errno.EINVAL)


def _tell(control: int, how: Ending, status: int) -> None:
    # The client may have ended.
    with suppress(BrokenPipeError, ConnectionResetError):
        os.write(control, f"{how:d} {status}\n".encode())
