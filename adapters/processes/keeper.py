# SPDX-License-Identifier: Apache-2.0
"""The parent of programs under test: starts them, and kills them and their descendants."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic, sleep
from typing import NamedTuple

from .watch import Watch, children

#: Seconds without an exit after which killed processes are considered to hang in the kernel.
_REAPING = 5.0
#: Python or this process ignores these, and what is ignored would stay ignored in new programs.
_DEFAULT_SIGNALS = [signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM]


class Keeper(NamedTuple):
    """The keeper: whether it is the first process of a namespace, and the limits of its programs."""

    contained: bool
    processes: int
    written: int

    def watch(self) -> Watch:
        """Return a watch over processes that are started from now on."""
        return Watch(self.processes, self.written)

    def kill_all(self, leader: int) -> int:
        """Kill the process ``leader``, its group and its descendants; return the leader's wait status."""
        # Its process id is not reused before it is waited for.
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
    """Reap all children that have ended except ``leader``, which :meth:`Keeper.kill_all` reaps."""
    while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and ended.si_pid != leader:
        os.waitpid(ended.si_pid, 0)


def kill_and_reap(kill: Callable[[], None], leader: int = 0) -> int:
    """Call ``kill`` and reap children until there are none; return the wait status of ``leader``."""
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
    """Kill all children of this process; their children are inherited, and killed by the next call."""
    for child in children():
        with suppress(PermissionError):
            os.kill(child, signal.SIGKILL)


def _kill_everybody() -> None:
    """Kill all other processes in the namespace of which this is the first one, atomically."""
    if os.getpid() != 1:
        raise RuntimeError("not the first process of a PID namespace")
    with suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
