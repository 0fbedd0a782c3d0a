# SPDX-License-Identifier: Apache-2.0
"""The parent of programs under test: starts them, and kills them with all that they have started."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic, sleep
from typing import NamedTuple

from .watch import Watch, children

#: If none of the processes that were killed dies for so many seconds, they hang in the kernel, and are left to it.
_REAPING = 5.0
#: Python or this process ignores these, and what is ignored would stay ignored in new programs.
_DEFAULT_SIGNALS = [signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM]


class Keeper(NamedTuple):
    """What this process is: whether it is the first one of a namespace, and what the programs below it may take."""

    contained: bool
    processes: int
    written: int

    def watch(self) -> Watch:
        """Return a watch over what is started from now on."""
        return Watch(self.processes, self.written)

    def kill_all(self, leader: int) -> int:
        """Kill the process ``leader``, its group and all that descends from it; return the leader's wait status."""
        # Until it is waited for, its number belongs to no other process.
        with suppress(PermissionError):
            os.killpg(leader, signal.SIGKILL)
        return kill_and_reap(_kill_everybody if self.contained else kill_children, leader)


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


def reap_others(leader: int) -> None:
    """Reap what has ended, but not ``leader``, which is left to :meth:`Keeper.kill_all`."""
    while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and ended.si_pid != leader:
        os.waitpid(ended.si_pid, 0)


def kill_and_reap(kill: Callable[[], None], leader: int = 0) -> int:
    """Call ``kill`` and reap what dies until there are no children; return the wait status of ``leader``."""
    status = int(signal.SIGKILL)
    deadline = monotonic() + _REAPING
    with suppress(ChildProcessError):
        while monotonic() < deadline:
            pid, ended = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                kill()
                sleep(0.0005)
                continue
            deadline = monotonic() + _REAPING
            if pid == leader:
                status = ended
    return status


def kill_children() -> None:
    """Kill all children of this process; theirs become its children, and are killed the next time."""
    for child in children():
        with suppress(PermissionError):
            os.kill(child, signal.SIGKILL)


def _kill_everybody() -> None:
    """Kill all processes in the namespace of which this is the first one; none can be forked meanwhile."""
    if os.getpid() != 1:
        raise RuntimeError("not the first process of a PID namespace")
    with suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
