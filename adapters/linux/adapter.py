# SPDX-License-Identifier: Apache-2.0
"""The running Linux kernel as an adapter."""

from __future__ import annotations

import errno
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..closing import Closing
from ..protocol import Job, Outcome, RuntimeInfo, Unavailable
from .calls import ProgramTypeName
from .conduct import Died, Lost
from .guest.build import TARGETS
from .kernel import PLAIN_TYPES, CannotRun, KernelAdapter
from .process import ProcessGuest

_STATUS = Path("/proc/self/status")
_CAP_SYS_ADMIN, _CAP_BPF = 21, 39


class LinuxAdapter(Closing):
    """Runs jobs on this machine's kernel through bpf(2).

    Args:
        program_type: what programs that read no packet are loaded as; by default the best of ``PLAIN_TYPES`` that
            this kernel runs for this user.

    Raises:
        Unavailable: the kernel loads no programs for this process.
    """

    def __init__(self, program_type: ProgramTypeName | None = None) -> None:
        machine = platform.machine()
        if sys.platform != "linux":
            raise Unavailable(f"bpf(2) cannot be called: {sys.platform} is not Linux")
        if machine not in TARGETS:
            raise Unavailable(f"bpf(2) cannot be called: there is no guest for {machine}")
        self._guest = ProcessGuest(machine)
        try:
            types = PLAIN_TYPES if program_type is None else (program_type,)
            self._kernel = KernelAdapter(self._guest, "linux", machine, types)
        except CannotRun as error:
            self._guest.close()
            raise Unavailable(error.said or _explain(error.errno)) from None
        except (Died, Lost) as error:
            self._guest.close()
            raise Unavailable(f"bpf(2) cannot be called: {error}") from None

    def close(self) -> None:
        """Give back what the guest and its calls need."""
        self._kernel.close()
        self._guest.close()

    def info(self) -> RuntimeInfo:
        """Return the identity of the kernel."""
        return self._kernel.info()

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Run ``jobs`` one after the other and yield their outcomes."""
        return self._kernel.run(jobs)


def _explain(error: int) -> str:
    """Return in one line why the kernel cannot be used, and what helps."""
    if error == errno.ENOSYS:
        return "this kernel has no bpf(2): it was built without CONFIG_BPF_SYSCALL"
    if error in {errno.EPERM, errno.EACCES}:
        if not privileged():
            return "bpf(2) is not permitted: run as root, or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN"
        return "bpf(2) is not permitted even with CAP_BPF: a container's seccomp filter or kernel lockdown forbids it"
    return f"the kernel does not load or run programs: {os.strerror(error)}; Linux 5.11 or newer is needed"


def privileged() -> bool:
    """Return whether this process has the capability to load programs (CAP_BPF, or CAP_SYS_ADMIN that includes it)."""
    try:
        status = _STATUS.read_text()
    except OSError:
        return False
    effective = next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:")), 0)
    return bool(effective & (1 << _CAP_SYS_ADMIN | 1 << _CAP_BPF))
