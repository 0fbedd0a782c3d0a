# SPDX-License-Identifier: Apache-2.0
"""Which instructions a kernel does not know: old ones lack those that came later.

For each row of the specification a program is loaded that has nothing else to refuse. What a kernel refuses of these
as no instruction (``encoding`` in ``policy.yaml``), it does not have; to refuse one that it has is a failure.
"""

from __future__ import annotations

from ...spec import tree
from ...spec.asm.assemble import assemble
from ...spec.control import control_of, targets
from ...spec.encoding import ByteOrder, DecodeError, decode, encode, make, slots_of
from ...spec.table import Instruction, Operand, isa
from ..protocol import Job
from .calls import ProgramTypeName
from .packed import pack
from .prepare import prepare
from .reading import traits

_FRAME_POINTER, _SLOT = 10, -8
_BEFORE = "\n".join((*(f"r{number} = 1" for number in range(10)), f"*(u64 *)(r{_FRAME_POINTER} + {_SLOT}) = r1"))
_AFTER = "r0 = 0\nexit"


def probe(row: Instruction, byte_order: ByteOrder) -> Job | None:
    """Return a program with an instruction of ``row``; None for what every kernel has or the platform decides about."""
    of, transfer = traits(row), control_of(row).transfer
    if of.map or of.platform or of.packet or isinstance(transfer, tree.Return):
        return None
    operands = {name: 1 for name, rule in row.fields.items() if isinstance(rule, Operand)}
    operands |= {"offset": _SLOT, **dict.fromkeys(of.bases, _FRAME_POINTER)} if of.bases else {}
    if transfer is not None:
        operands["offset" if "offset" in operands else "imm"] = 0
    one, after = make(row, **operands), _AFTER
    for kind, target, _ in targets(0, one):
        if kind != "jump":  # the function begins after the main program
            function = len(slots_of(one)) + len(_AFTER.splitlines())
            one, after = one._replace(imm=one.imm + function - target), f"{_AFTER}\n{_AFTER}"
    code = assemble(_BEFORE, byte_order) + encode([one], byte_order) + assemble(after, byte_order)
    return Job(row.name, code, byte_order, frozenset(), frozenset({"r0"}))


def probes(byte_order: ByteOrder, plain: ProgramTypeName) -> dict[str, bytes]:
    """Return packed jobs by the names of the rows that they are about."""
    jobs = ((row.name, probe(row, byte_order)) for row in isa().instructions)
    return {name: pack(prepare(job, byte_order, plain), byte_order) for name, job in jobs if job is not None}


def rows_in(job: Job) -> frozenset[str]:
    """Return the names of the instructions of a program, none if it is malformed."""
    try:
        return frozenset(item.instruction.name for item in decode(job.code, job.byte_order) if item is not None)
    except DecodeError:
        return frozenset()
