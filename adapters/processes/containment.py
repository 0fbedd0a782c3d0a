# SPDX-License-Identifier: Apache-2.0
"""Containment of programs under test by the kernel (namespaces(7), prctl(2)).

In a PID namespace all processes are killed when the first one ends, and none can signal a process outside. A mount
namespace has a ``/proc`` for it. Users other than root need a user namespace, in which they keep their identity. Where
the kernel or a container does not allow namespaces, a subreaper is used: a process that inherits orphans.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import signal
from contextlib import suppress
from pathlib import Path

# sched.h, sys/mount.h, sys/prctl.h
_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWPID = 0x00020000, 0x10000000, 0x20000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_SLAVE = 0x2, 0x4, 0x8, 0x4000, 0x80000
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36

PID_NAMESPACE, USER_NAMESPACE, REAPER = "pid-namespace", "user-namespace", "reaper"
#: The first Linux on which each PID namespace has a pid_max of its own. On an earlier one it is that of the machine.
OWN_PID_MAX = (6, 14)
#: Process ids below are not used again (RESERVED_PIDS of the kernel).
_RESERVED = 300

_libc = ctypes.CDLL(None, use_errno=True)


def separate() -> str:
    """Put all future children of this process into new namespaces; return which.

    Raises:
        OSError: it is not allowed; this process may be unusable then, see :func:`possible`.
    """
    flags = _CLONE_NEWPID | _CLONE_NEWNS
    with suppress(PermissionError):
        _call("unshare", flags)
        return PID_NAMESPACE
    user, group = os.geteuid(), os.getegid()
    _call("unshare", flags | _CLONE_NEWUSER)
    own = Path("/proc/self")
    own.joinpath("setgroups").write_text("deny")
    own.joinpath("uid_map").write_text(f"{user} {user} 1")
    own.joinpath("gid_map").write_text(f"{group} {group} 1")
    return USER_NAMESPACE


def possible() -> tuple[str, int]:
    """Return the result of :func:`separate` in a child process, or the reaper and an errno.

    Some systems allow a user to create a namespace but not to use it, and a process cannot leave it.

    Raises:
        OSError: the child process cannot be created.
    """
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(theirs, f"{separate()} 0".encode())
        except OSError as error:
            os.write(theirs, f"{REAPER} {error.errno}".encode())
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as stream:
        # The child is killed by some seccomp filters.
        word, number = (stream.read() or f"{REAPER} {errno.EPERM}").split()
    os.waitpid(child, 0)
    return word, int(number)


def settle(processes: int) -> None:
    """Set up the first process of new namespaces: parent-death signal, ``/proc``, and a limit of ``processes``."""
    if os.getpid() != 1:
        raise RuntimeError("not the first process of a PID namespace")
    die_with_parent()
    # Containers may forbid to mount ``/proc``, which is only needed to inspect processes.
    with suppress(OSError):
        _call("mount", None, b"/", None, _MS_REC | _MS_SLAVE, None)
        _call("mount", b"proc", b"/proc", b"proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, None)
    if release() >= OWN_PID_MAX:
        with suppress(OSError):
            Path("/proc/sys/kernel/pid_max").write_text(str(_RESERVED + processes))


def die_with_parent() -> None:
    """Be killed when the thread that has started this process ends."""
    _call("prctl", _PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def inherit_orphans() -> None:
    """Become the parent of all descendants that lose theirs.

    Raises:
        OSError: the kernel is older than Linux 3.4.
    """
    _call("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _call(name: str, *arguments: int | bytes | None) -> None:
    if getattr(_libc, name)(*(ctypes.c_ulong(one) if isinstance(one, int) else one for one in arguments)):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def release() -> tuple[int, int]:
    """Return the first two numbers of the running kernel."""
    match = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return (int(match[1]), int(match[2])) if match else (0, 0)
