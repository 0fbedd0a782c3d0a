# SPDX-License-Identifier: Apache-2.0
"""The bundled JIT as a runtime: the structural verifier decides what is loaded, machine code runs it."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from time import perf_counter

from ...reference_vm.verifier.structural import verify
from ...spec.encoding import ByteOrder, Program, decode
from ...spec.table import Isa, isa
from ..closing import Closing
from ..protocol import Job, Outcome, OutcomeKind, Reason, RuntimeInfo
from ..reference import ALL, BUDGET, machine_for, outcome_of, refusal
from .errors import NotLowerable
from .program import CompiledProgram, Compiler
from .runtime.llvm import Level, support_function


class JitAdapter(Closing):
    """The bundled JIT. The jobs of one call are compiled in one module.

    Args:
        byte_order: of the machine; that of the host if None. For the other order, accesses are byte-swapped.
        table: the instruction table; RFC 9669's if None.
        level: the optimisation level.

    Raises:
        Unavailable: llvmlite cannot be used here.
    """

    def __init__(self, byte_order: ByteOrder | None = None, *, table: Isa | None = None, level: Level = "fast") -> None:
        self._byte_order: ByteOrder = byte_order or sys.byteorder
        self._table = table or isa()
        self._compiler = Compiler(self._byte_order, level=level)
        support_function("find")

    def info(self) -> RuntimeInfo:
        """Return the identity of the JIT; its architecture is the host's."""
        return RuntimeInfo(
            name="jit",
            version=version("bpf-isa-conformance"),
            engine="jit",
            architecture=platform.machine(),
            byte_order=self._byte_order,
            groups=frozenset(self._table.groups),
            observes=ALL,
        )

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Run ``jobs``; see :class:`..protocol.Adapter`. The time of a compilation is divided among its jobs."""
        start = perf_counter()
        refusals = [self._refusal(job) for job in jobs]
        accepted = [job for job, refused in zip(jobs, refusals, strict=True) if refused is None]
        programs = iter(self._compile([decode(job.code, self._byte_order, self._table) for job in accepted]))
        share = (perf_counter() - start) / max(1, len(jobs))
        for job, refused in zip(jobs, refusals, strict=True):
            start = perf_counter()
            outcome = self._run(job, next(programs)) if refused is None else refused
            yield outcome._replace(seconds=share + perf_counter() - start)

    def _refusal(self, job: Job) -> Outcome | None:
        return refusal(verify(job.code, self._byte_order, None, self._table))

    def _compile(self, programs: list[Program]) -> list[CompiledProgram | NotLowerable]:
        """Compile ``programs`` in one module, or each by itself if one of them cannot be compiled."""
        try:
            return [*self._compiler.compile(programs)]
        except NotLowerable as error:
            if len(programs) == 1:
                return [error]
            return [result for program in programs for result in self._compile([program])]

    def _run(self, job: Job, program: CompiledProgram | NotLowerable) -> Outcome:
        if isinstance(program, NotLowerable):
            return Outcome(OutcomeKind.UNSUPPORTED, reason=Reason("not-lowerable", str(program), "harness"))
        return outcome_of(program.run(machine_for(job, self._byte_order), BUDGET))

    def close(self) -> None:
        """Free the code."""
        self._compiler.clear()
