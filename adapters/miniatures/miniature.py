# SPDX-License-Identifier: Apache-2.0
"""Miniatures: the reference VM with one fault."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...reference_vm.contexts.confine import Confinement
from ...reference_vm.contexts.context import Context
from ...reference_vm.executable import Executable
from ...reference_vm.frames import Frames
from ...reference_vm.verifier.structural import verify
from ...spec.encoding import ByteOrder
from ...spec.table import isa
from ..protocol import Job, Outcome, OutcomeKind, Reason
from ..reference import ReferenceAdapter
from .loading import mended
from .rows import Accepted, Fault, FaultyRows, Refused, accepting, changes


@dataclass(frozen=True, slots=True)
class Miniature:
    """A fault: in the meaning of rows, in all or some encodings; in what is decoded or loaded; or in local calls.

    Faulty rows are faulty only where all contexts of ``where`` hold. Programs are refused that have an instruction of
    ``refuses``, or whose last instruction has another name than ``ends_with`` (a regular expression) says.
    """

    faults: tuple[Fault, ...] = ()
    where: tuple[Context, ...] = ()
    accepts: tuple[Accepted, ...] = ()
    refuses: tuple[Refused, ...] = ()
    ends_with: str = ".*"
    forgives: frozenset[str] = frozenset()
    frames: type[Frames] = Frames

    def rows(self) -> FaultyRows:
        """Return the faulty rows by name, with the tests of the encodings that have the fault.

        Raises:
            InputError: a fault is none.
        """
        found: FaultyRows = {}
        for fault in self.faults:
            for name, row in fault.changed(isa()):
                found.setdefault(name, []).append((fault.when, row))
        return found


class _RefusedProgram(Exception):
    """The miniature does not load a program; the message says why."""


class MiniatureAdapter(ReferenceAdapter):
    """The reference VM with the fault of ``miniature``; ``byte_order`` is that of the host if None."""

    def __init__(self, miniature: Miniature, name: str, byte_order: ByteOrder | None = None) -> None:
        table = accepting(isa(), miniature.accepts) if miniature.accepts else isa()
        super().__init__(byte_order, table=table, frames=miniature.frames, name=f"miniature:{name}")
        self._miniature, self._faulty = miniature, miniature.rows()
        self._confinement = Confinement(miniature.where)

    def _run(self, job: Job) -> Outcome:
        forgiven = self._miniature.forgives
        if forgiven:
            findings = verify(job.code, self._byte_order, None, self._table)
            job = job._replace(code=mended(job.code, self._byte_order, findings, forgiven))
        try:
            return super()._run(job)
        except _RefusedProgram as refused:
            return Outcome(OutcomeKind.REJECTED, reason=Reason("refused", str(refused)))

    def _prepare(self, code: bytes) -> Executable:
        right = super()._prepare(code)
        self._check(right)
        found = {
            slot: wrong
            for slot, item in enumerate(right.program)
            if item is not None and (wrong := changes(self._faulty, item)) is not None
        }
        return self._confinement.executable(right, found)

    def _check(self, right: Executable) -> None:
        items = [item for item in right.program if item is not None]
        for item in items:
            if any(refused.applies(item) for refused in self._miniature.refuses):
                raise _RefusedProgram(f"it has {item.instruction.name}")
        last = items[-1].instruction.name
        if not re.fullmatch(self._miniature.ends_with, last):
            raise _RefusedProgram(f"it ends with {last}")
