# SPDX-License-Identifier: Apache-2.0
"""The safety verifier: whether a program stays in its memory, so that it can be run without checks.

:func:`prove` computes an abstract state for each program point: for each register whether it has a number or an
address, in which region, and the bounds. There are two methods:

1. *Invariants* (:mod:`.invariants`). States at the same point are joined; what grows in a loop is widened to the next
   number that occurs in the program, and then narrowed. At the end it is checked that each edge leads from one
   invariant into the next and that every instruction is safe. The proof relies on this check only.
2. *Paths* (:mod:`.paths`). If that fails, paths are followed one by one, as in the kernel's verifier, until each ends
   or reaches a state that an earlier one includes. This is also tried if no invariant gives a bound for the steps.

A proof says: no access leaves its region, no store goes to a read-only one, there are no more frames than allowed, R0
is a number at the end, and no computed value depends on addresses of memory. Programs that call helper functions are
rejected. Termination is not proved: :attr:`.proof.Proof.most_steps` is an upper bound for the executed instructions,
if one is found; otherwise the engine must count them.
"""

from __future__ import annotations

from ...spec.control import control_of
from ...spec.encoding import ByteOrder, Program, encode
from ...spec.table import Isa, isa
from ..frames import FRAME_POINTER, Frames
from ..machine import Machine
from . import invariants, paths
from .execution import Execution, Limit
from .invariants import Invariants
from .paths import Paths, TooManyPaths
from .proof import NotProved, Proof
from .structural import verify
from .surroundings import Surroundings


def surroundings_of(machine: Machine) -> Surroundings:
    """Return the surroundings of a program on ``machine``.

    Raises:
        ValueError: a program has run on it, or it has other frames or registers than a new machine.
    """
    size, first = (len(machine.input.data), machine.input.base) if machine.input else (0, 0)
    frames = machine.frames
    if type(frames) is not Frames or len(frames.stacks) != 1:
        raise ValueError("a program is safe on a machine with the usual frames, of which it has one")
    if machine.registers[: FRAME_POINTER + 1] != [0, first, size, *[0] * 7, frames.stacks[0].end]:
        raise ValueError("a program is safe on a machine with the registers that programs begin with")
    return Surroundings(
        size,
        tuple((len(item.region.data), item.region.writable) for item in machine.maps),
        tuple((number, len(region.data)) for number, region in sorted(machine.variables.items())),
        machine.input is None or machine.input.writable,
    )


def prove(
    program: Program, byte_order: ByteOrder, surroundings: Surroundings, entry: int = 0, table: Isa | None = None
) -> Proof:
    """Return the proof that ``program``, from slot ``entry``, is safe in ``surroundings``.

    All its instructions must be rows of ``table``, RFC 9669's if None.

    Raises:
        NotProved: no proof was found.
    """
    for finding in verify(encode(program, byte_order), byte_order, None, table):
        if finding.severity == "error":
            raise NotProved(finding.slot, None, f"{finding.rule}: {finding.message}")
    rows = (table or isa()).by_name
    for slot, item in enumerate(program):
        if item and rows.get(item.instruction.name) != item.instruction:
            raise NotProved(slot, item.instruction.name, "this is not the instruction of the table")
        if item and not control_of(item.instruction).regular:
            raise NotProved(slot, item.instruction.name, "control is transferred before the end of the instruction")

    def execution(limit: Limit) -> Execution:
        return Execution(program, byte_order, surroundings, entry, limit)

    first = execution(invariants.LIMIT)
    try:
        proof = Invariants(first).prove()
    except NotProved as error:
        if first.reachable > paths.LIMIT.most:
            raise
        try:
            return Paths(execution(paths.LIMIT)).prove()
        except TooManyPaths:
            raise error from None
    if proof.most_steps is None and first.reachable <= paths.LIMIT_FOR_A_BOUND.most:
        try:
            return Paths(execution(paths.LIMIT_FOR_A_BOUND)).prove()
        except (NotProved, TooManyPaths):
            pass
    return proof
