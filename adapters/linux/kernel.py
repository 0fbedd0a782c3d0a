# SPDX-License-Identifier: Apache-2.0
"""A kernel as an adapter, wherever it runs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from ...spec.asm.assemble import assemble
from ...spec.table import isa
from ..closing import Closing
from ..protocol import Engine, Job, Outcome, OutcomeKind, RuntimeInfo
from .calls import Failed, NotRun, ProgramTypeName, Ran, Refused, Result
from .conduct import Died, Guest, conduct
from .outcome import outcome
from .packed import about_machine, asked, pack, report
from .policy import last_line
from .prepare import prepare
from .prepared import Prepared

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
        plain, jited = self._choose(types, said)
        self.release, self.jit, self.harden = about_machine(said[0], self._order)
        self._engine: Engine = "jit" if jited else "interpreter"
        self._prepared = Prepared(self._order, plain)
        self._info = RuntimeInfo(
            name=name,
            version=self.release,
            engine=self._engine,
            architecture=architecture,
            byte_order=self._order,
            groups=frozenset(isa().groups),
            observes=frozenset({"r0", "registers", "memory"}),
            kernel_release=self.release,
        )

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
                yield outcome(job, calls, report(answer, calls), self._engine)

    def _choose(self, types: Sequence[ProgramTypeName], said: list[bytes]) -> tuple[ProgramTypeName, bool]:
        """Return the first of ``types`` that this kernel loads and runs, and whether the JIT compiled the program."""
        code = assemble("r0 = *(u8 *)(r1 + 0)\nexit", self._order)
        probe = Job("probe", code, self._order, frozenset(), frozenset({"r0"}), memory=bytes(8))
        jobs = [pack(prepare(probe, self._order, kind), self._order) for kind in types]
        results: list[Result | None] = []
        for one, answer in zip(jobs, conduct(self._guest, jobs, said), strict=True):
            if isinstance(answer, Outcome):
                raise Died(answer.kind, answer.reason)
            results += report(answer, asked(one, self._order)).results
        for kind, result in zip(types, results, strict=True):
            if isinstance(result, Ran):
                return kind, result.jited
        raise _why_not(results)


def _why_not(results: Sequence[Result | None]) -> CannotRun:
    for result in results:
        if isinstance(result, Refused) and (said := last_line(result.log)):
            return CannotRun(0, f"the verifier refuses a trivial program: {said}")
    return CannotRun(next((result.errno for result in results if isinstance(result, Refused | NotRun | Failed)), 0), "")
