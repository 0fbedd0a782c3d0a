# SPDX-License-Identifier: Apache-2.0
"""The processes between the suite and programs under test, which kill all descendants of these.

They are started by :mod:`.client`, in a Python with the standard library only, and there are two. The first one, the
guard, makes namespaces (:mod:`.containment`). The second one is the first in them, the keeper, and starts programs:
they cannot signal it, and are killed when it ends. Without namespaces the keeper inherits orphans, including daemons,
and kills them; if it is killed or stopped itself, the guard does so instead. When the client ends, the keeper kills its
processes, and ends.

    launches HOW MEMORY PROCESSES WRITTEN            requests on standard input, see :mod:`.launches`
    one HOW MEMORY PROCESSES WRITTEN FD COMMAND...   one command with these standard streams, see :mod:`.one`
    containment                                      print the possible containment, and the errno of a better one

``HOW`` is ``contained``, if that is possible, or ``plain``. The limits are as in :class:`.client.Limits`; -1 is any
memory.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from . import containment, launches, one
from .keeper import Keeper, kill_and_reap, kill_children

#: Factor for RLIMIT_NPROC of users other than root, which also counts processes that the user starts meanwhile.
_SPARE = 4


def main(arguments: Sequence[str]) -> None:
    """Run as one of the commands described above."""
    mode, *rest = arguments
    if mode == "containment":
        sys.stdout.write("{} {}\n".format(*containment.possible()))
        return
    how, memory, processes, written, *command = rest
    try:
        keeper = start(Keeper(how == "contained", int(processes), int(written)), int(memory))
        if mode == "launches":
            launches.serve(keeper)
        else:
            one.serve(keeper, int(command[0]), command[1:])
    except OSError as error:
        if mode == "launches":
            launches.fail(error)
        else:
            one.fail(error, int(command[0]))


def start(wanted: Keeper, memory: int) -> Keeper:
    """Fork: return in the keeper; the guard waits for it, and ends.

    Raises:
        OSError: a system call failed, in either process.
    """
    _limit(memory, wanted.processes)
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    contained = wanted.contained and containment.possible()[0] != containment.REAPER
    if contained:
        containment.separate()
    else:
        containment.inherit_orphans()
    keeper = os.fork()
    if keeper:
        _guard(keeper)
    if contained:
        containment.settle(wanted.processes)
    else:
        containment.inherit_orphans()
    return wanted._replace(contained=contained)


def _limit(memory: int, processes: int) -> None:
    """Set resource limits, which children inherit."""
    tasks = int(Path("/proc/loadavg").read_text(encoding="ascii").split()[3].partition("/")[2])
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_NPROC: tasks + _SPARE * processes}
    if memory >= 0:
        limits[resource.RLIMIT_AS] = memory
    for kind, most in limits.items():
        hard = resource.getrlimit(kind)[1]
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (limit, limit))
    # The kernel should kill these processes first if memory runs out.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _guard(keeper: int) -> NoReturn:
    """Wait for the keeper, or kill it if it is stopped; kill its orphans; exit with its status."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    while os.WIFSTOPPED(status := os.waitpid(keeper, os.WUNTRACED)[1]):
        os.kill(keeper, signal.SIGKILL)
    kill_and_reap(kill_children)
    os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
