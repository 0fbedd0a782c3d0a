# SPDX-License-Identifier: Apache-2.0
"""The reference VM as a runtime: the structural verifier decides what is loaded, the interpreter runs it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from time import perf_counter

from ..reference_vm import helpers
from ..reference_vm.executable import Executable, prepare
from ..reference_vm.faults import Fault, FaultKind, Returned
from ..reference_vm.frames import Frames
from ..reference_vm.interpreter import run
from ..reference_vm.machine import Helper, Machine
from ..reference_vm.verifier.structural import Finding, verify
from ..spec.encoding import ByteOrder
from ..spec.table import Isa, isa
from .closing import Closing
from .protocol import HelperSpec, Job, Observable, Outcome, OutcomeKind, Reason, RuntimeInfo

#: No vector needs more instructions; an endless program should be found quickly.
BUDGET = 1 << 20
ALL: frozenset[Observable] = frozenset({"r0", "registers", "memory"})
_MASK = (1 << 64) - 1


def weigh(machine: Machine, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return a sum in which each argument has a different weight, so that swapped arguments change it."""
    return (r1 + 2 * r2 + 3 * r3 + 4 * r4 + 5 * r5) & _MASK


_HELPERS: Mapping[str, Helper] = {
    "map_lookup_elem": helpers.map_lookup_elem,
    "map_update_elem": helpers.map_update_elem,
    "map_delete_elem": helpers.map_delete_elem,
    "weigh": weigh,
}


def machine_for(job: Job, byte_order: ByteOrder, frames: type[Frames] = Frames) -> Machine:
    """Return the machine for ``job``, in its initial state."""
    return Machine(
        byte_order=byte_order,
        memory=job.memory,
        maps=[item.value for item in job.maps],
        helpers=_with(helpers.LINUX_HELPERS, job.helpers, "static"),
        btf_helpers=_with({}, job.helpers, "btf"),
        variables={item.number: item.value for item in job.variables},
        frames=frames,
    )


def outcome_of(result: Returned | Fault, observes: frozenset[Observable] = ALL) -> Outcome:
    """Return the outcome of a run of the interpreter, with the state that ``observes`` names."""
    if isinstance(result, Fault):
        kind = OutcomeKind.TIMED_OUT if result.kind is FaultKind.BUDGET else OutcomeKind.FAULTED
        place = f"slot {result.pc}" + (f" ({result.instruction})" if result.instruction else "")
        return Outcome(kind, reason=Reason(result.kind.value, f"{place}: {result.reason}"))
    shown = {f"r{number}": value for number, value in enumerate(result.registers[:10])}
    return Outcome(
        OutcomeKind.RETURNED,
        r0=result.r0,
        registers=shown if "registers" in observes else None,
        memory=result.memory if "memory" in observes else None,
    )


def refusal(findings: Iterable[Finding]) -> Outcome | None:
    """Return the outcome of a program with these ``findings`` of the structural verifier; None if it is valid."""
    errors = [finding for finding in findings if finding.severity == "error"]
    if not errors:
        return None
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Outcome(OutcomeKind.REJECTED, reason=Reason(first.rule, f"slot {first.slot}: {first.message}{more}"))


class ReferenceAdapter(Closing):
    """The reference VM.

    Args:
        byte_order: of the machine; that of the host if None.
        table: the instruction table; RFC 9669's if None. A faulty one makes a faulty runtime.
        frames: the calling convention of local calls; may be faulty as well.
        groups: the conformance groups that it claims and supports; all if None.
        observes: the state that it reports.
    """

    def __init__(
        self,
        byte_order: ByteOrder | None = None,
        *,
        table: Isa | None = None,
        frames: type[Frames] = Frames,
        groups: frozenset[str] | None = None,
        observes: frozenset[Observable] = ALL,
        name: str = "reference",
    ) -> None:
        self._byte_order: ByteOrder = byte_order or sys.byteorder
        # Reading the table here keeps it out of the time of the first job.
        self._table, self._frames = table or isa(), frames
        self._groups, self._observes, self._name = groups, observes, name

    def info(self) -> RuntimeInfo:
        """Return the identity of the reference VM; its architecture is ``python``."""
        return RuntimeInfo(
            name=self._name,
            version=version("bpf-isa-conformance"),
            engine="interpreter",
            architecture="python",
            byte_order=self._byte_order,
            groups=frozenset(self._table.groups) if self._groups is None else self._groups,
            observes=self._observes,
        )

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Run ``jobs``; see :class:`.protocol.Adapter`."""
        for job in jobs:
            start = perf_counter()
            outcome = self._run(job)
            yield outcome._replace(seconds=perf_counter() - start)

    def _run(self, job: Job) -> Outcome:
        refused = refusal(verify(job.code, self._byte_order, self._groups, self._table))
        if refused is not None:
            return refused
        machine = machine_for(job, self._byte_order, self._frames)
        return outcome_of(run(self._prepare(job.code), machine, budget=BUDGET), self._observes)

    def _prepare(self, code: bytes) -> Executable:
        return prepare(code, self._byte_order, self._table)

    def close(self) -> None:
        """Do nothing: the reference VM has no resources."""


def _with(known: Mapping[int, Helper], asked: Sequence[HelperSpec], by: str) -> Mapping[int, Helper]:
    """Return ``known`` with the helper functions that a vector asks for."""
    if not asked:
        return known
    return {**known, **{item.number: _HELPERS[item.does] for item in asked if item.by == by}}
