# SPDX-License-Identifier: Apache-2.0
"""A kernel as an adapter, wherever it runs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property

from ...spec.asm.assemble import assemble
from ...spec.encoding import ByteOrder
from ...spec.table import isa
from ..closing import Closing
from ..protocol import Job, Outcome, OutcomeKind, Reason, RuntimeInfo
from .calls import Failed, NotRun, ProgramTypeName, Ran, Refused, Result
from .conduct import Died, Guest, Lost, conduct
from .outcome import outcome
from .packed import about_machine, asked, pack, report
from .policy import classify, last_line
from .prepare import prepare
from .prepared import Prepared
from .profile import probes, rows_in

#: Types for programs that read no packet, best first. Tracing programs are run without a packet being built for them,
#: and each of their functions may have a stack of its own; socket filters need the least privilege.
PLAIN_TYPES: tuple[ProgramTypeName, ...] = ("RAW_TRACEPOINT", "SOCKET_FILTER")


class CannotRun(Exception):
    """The kernel does not run a trivial program: errno, 0 if it said why, and what it said."""

    def __init__(self, number: int, said: str) -> None:
        super().__init__(said or os.strerror(number))
        self.errno, self.said = number, said


class KernelAdapter(Closing):
    """Runs jobs on the kernel that ``guest`` runs on.

    Args:
        guest: makes the calls; belongs to the caller.
        name: of the runtime.
        architecture: of the kernel.
        types: what programs that read no packet are loaded as: the first that this kernel runs.

    Raises:
        CannotRun: the kernel runs programs of none of the ``types``.
        conduct.Died: the guest has not started.
        conduct.Lost: nothing that it said arrived.
    """

    def __init__(
        self, guest: Guest, name: str, architecture: str, types: Sequence[ProgramTypeName] = PLAIN_TYPES
    ) -> None:
        self._guest = guest
        self._order = guest.byte_order
        said: list[bytes] = []
        self._plain, jited = self._choose(types, said)
        #: What net.core.bpf_jit_harden is.
        self.harden = about_machine(said[0], self._order)[2]
        self._prepared = Prepared(self._order, self._plain)
        self._info = identity(said[0], self._order, jited, name, architecture)

    def close(self) -> None:
        """Close the file of prepared calls."""
        self._prepared.close()

    def info(self) -> RuntimeInfo:
        """Return the identity of the kernel; it claims all groups, as its documentation does."""
        return self._info

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Run ``jobs`` one after the other and yield their outcomes."""
        packed = list(self._prepared.pack(jobs))
        answers = conduct(self._guest, [one for one in packed if isinstance(one, bytes)])
        for job, one in zip(jobs, packed, strict=True):
            if not isinstance(one, bytes):
                yield Outcome(OutcomeKind.UNSUPPORTED, reason=one)
                continue
            answer = next(answers)
            if isinstance(answer, Outcome):
                yield answer
            else:
                calls = asked(one, self._order)
                found = outcome(job, calls, report(answer, calls), self._info.engine)
                refused = found.kind is OutcomeKind.REJECTED and not job.wants_rejection
                yield self._unless_unknown(job, found) if refused else found

    def _unless_unknown(self, job: Job, refusal: Outcome) -> Outcome:
        """Return the ``refusal`` of a job, or that the kernel does not have its instructions."""
        names = sorted(rows_in(job) & self._unknown)
        if not names:
            return refusal
        text = f"Linux {self._info.version} does not have {', '.join(names)}"
        return Outcome(OutcomeKind.UNSUPPORTED, reason=Reason("linux.instruction", text, "platform"))

    @cached_property
    def _unknown(self) -> frozenset[str]:
        """The instructions that this kernel does not have; it is asked when it refuses one for the first time."""
        jobs = probes(self._order, self._plain)
        unknown = set()
        with suppress(Died, Lost):
            for (name, job), answer in zip(jobs.items(), conduct(self._guest, list(jobs.values())), strict=True):
                if isinstance(answer, Outcome):
                    continue
                for result in report(answer, asked(job, self._order)).results:
                    if isinstance(result, Refused):
                        message = classify(last_line(result.log), result.errno)
                        unknown |= {name} if message and message.kind == "encoding" else set()
        return frozenset(unknown)

    def _choose(self, types: Sequence[ProgramTypeName], said: list[bytes]) -> tuple[ProgramTypeName, bool]:
        """Return the first of ``types`` that this kernel loads and runs, and whether the JIT compiled the program."""
        jobs = trivial(self._order, types)
        results: list[Result | None] = []
        for one, answer in zip(jobs, conduct(self._guest, jobs, said), strict=True):
            if isinstance(answer, Outcome):
                raise Died(answer.kind, answer.reason)
            results += report(answer, asked(one, self._order)).results
        if (first := first_to_run(results)) is None:
            raise _why_not(results)
        return types[first[0]], first[1]


def trivial(byte_order: ByteOrder, types: Sequence[ProgramTypeName]) -> list[bytes]:
    """Return packed jobs that tell whether a kernel runs programs of each of ``types``."""
    code = assemble("r0 = *(u8 *)(r1 + 0)\nexit", byte_order)
    probe = Job("probe", code, byte_order, frozenset(), frozenset({"r0"}), memory=bytes(8))
    return [pack(prepare(probe, byte_order, kind), byte_order) for kind in types]


def first_to_run(results: Sequence[Result | None]) -> tuple[int, bool] | None:
    """Return the position of the first result of a program that ran, and whether the JIT compiled it."""
    return next(((at, result.jited) for at, result in enumerate(results) if isinstance(result, Ran)), None)


def identity(about: bytes, byte_order: ByteOrder, jited: bool, name: str, architecture: str) -> RuntimeInfo:
    """Return the identity of the kernel that a guest tells ``about``."""
    release = about_machine(about, byte_order)[0]
    return RuntimeInfo(
        name=name,
        version=release,
        engine="jit" if jited else "interpreter",
        architecture=architecture,
        byte_order=byte_order,
        groups=frozenset(isa().groups),
        observes=frozenset({"r0", "registers", "memory"}),
        kernel_release=release,
    )


def _why_not(results: Sequence[Result | None]) -> CannotRun:
    for result in results:
        if isinstance(result, Refused) and (said := last_line(result.log)):
            return CannotRun(0, f"the verifier refuses a trivial program: {said}")
    return CannotRun(next((result.errno for result in results if isinstance(result, Refused | NotRun | Failed)), 0), "")
