# SPDX-License-Identifier: Apache-2.0
"""The running Linux kernel as an adapter."""

from __future__ import annotations

import errno
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...spec.asm.assemble import assemble
from ...spec.table import isa
from ..closing import Closing
from ..protocol import UNCLASSIFIED, Engine, Job, Outcome, OutcomeKind, Reason, RuntimeInfo, Unavailable
from .calls import NotRun, ProgramTypeName, Refused
from .executor import Executor
from .outcome import outcome
from .policy import last_line
from .prepare import CannotPrepare, prepare
from .syscall import BpfError, NoSuchSystemCall

#: Types for programs that read no packet, best first. Tracing programs are run without a packet being built for them,
#: and each of their functions may have a stack of its own; socket filters need the least privilege.
PLAIN_TYPES: tuple[ProgramTypeName, ...] = ("RAW_TRACEPOINT", "SOCKET_FILTER")

_JIT_SWITCH = Path("/proc/sys/net/core/bpf_jit_enable")
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
        try:
            self._executor = Executor()
        except NoSuchSystemCall as error:
            raise Unavailable(f"bpf(2) cannot be called: {error}") from None
        try:
            self._plain = self._choose(PLAIN_TYPES if program_type is None else (program_type,))
        except Unavailable:
            self._executor.close()
            raise

    def close(self) -> None:
        """Close all maps."""
        self._executor.close()

    def info(self) -> RuntimeInfo:
        """Return the identity of the kernel; it claims all groups, as its documentation does."""
        return RuntimeInfo(
            name="linux",
            version=platform.release(),
            engine=_engine(),
            architecture=platform.machine(),
            byte_order=sys.byteorder,
            groups=frozenset(isa().groups),
            observes=frozenset({"r0", "registers", "memory"}),
            kernel_release=platform.release(),
        )

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Run ``jobs`` one after the other and yield their outcomes."""
        for job in jobs:
            try:
                calls = prepare(job, plain=self._plain)
                yield outcome(job, calls, self._executor.execute(calls))
            except CannotPrepare as error:
                yield Outcome(OutcomeKind.UNSUPPORTED, reason=error.reason)
            except BpfError as error:
                yield Outcome(OutcomeKind.UNSUPPORTED, reason=Reason(UNCLASSIFIED, str(error.strerror)))

    def _choose(self, kinds: Sequence[ProgramTypeName]) -> ProgramTypeName:
        """Return the first of ``kinds`` that this kernel loads and runs."""
        code = assemble("r0 = *(u8 *)(r1 + 0)\nexit", sys.byteorder)
        probe = Job("probe", code, sys.byteorder, frozenset(), frozenset({"r0"}), memory=bytes(8))
        why = ""
        for kind in kinds:
            try:
                (result,) = self._executor.execute(prepare(probe, plain=kind)).results
            except BpfError as error:
                raise Unavailable(_explain(error.errno or 0, kind)) from None
            if isinstance(result, Refused):
                said = last_line(result.log)
                why = f"the verifier refuses a trivial program: {said}" if said else _explain(result.errno, kind)
            elif isinstance(result, NotRun):
                why = _explain(result.errno, kind)
            else:
                return kind
        raise Unavailable(why)


def _engine() -> Engine:
    try:
        return "interpreter" if _JIT_SWITCH.read_text().strip() == "0" else "jit"
    except OSError:
        return "unknown"


def _explain(error: int, kind: ProgramTypeName) -> str:
    """Return in one line why the kernel cannot be used for programs of type ``kind``, and what helps."""
    if error == errno.ENOSYS:
        return "this kernel has no bpf(2): it was built without CONFIG_BPF_SYSCALL"
    if error in {errno.EPERM, errno.EACCES}:
        if not privileged():
            return "bpf(2) is not permitted: run as root, or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN"
        return "bpf(2) is not permitted even with CAP_BPF: a container's seccomp filter or kernel lockdown forbids it"
    return (
        f"the kernel does not load or run programs of type {kind}: {os.strerror(error)}; Linux 5.11 or newer is needed"
    )


def privileged() -> bool:
    """Return whether this process has the capability to load programs (CAP_BPF, or CAP_SYS_ADMIN that includes it)."""
    try:
        status = _STATUS.read_text()
    except OSError:
        return False
    effective = next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:")), 0)
    return bool(effective & (1 << _CAP_SYS_ADMIN | 1 << _CAP_BPF))
