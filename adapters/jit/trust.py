# SPDX-License-Identifier: Apache-2.0
"""Programs that may run unchecked, because somebody has shown that they need no checks.

Unchecked code has the host's own addresses in its registers and keeps no budget: a program that is not safe would
take the process with it. :func:`accept` shows it for the few programs where it is plain to see. They have no loops and
call neither helper functions nor each other in circles, and every access goes to a place in the stack or the input
memory that does not depend on data. Another verifier, or a person who answers for it, can say so of more programs by
making an :class:`Acceptance`.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from ...reference_vm.frames import FRAME_BYTES, FRAME_POINTER, MAX_FRAMES
from ...reference_vm.verifier.structural import verify
from ...spec import tree as t
from ...spec.encoding import ByteOrder, Program, encode
from .layout import REGISTERS
from .loops import Forms, Sum, common_forms, form_of, forms_after
from .plan import Plan, control_of, plan_of, platform_calls

_INPUT_REGISTER, _LENGTH_REGISTER = 1, 2
#: Registers that a local call does not preserve.
_CLOBBERED = range(6)


class NotAccepted(ValueError):
    """A program that is not known to be safe; the message says which instruction stands in the way."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The word of ``by`` that a program is safe with any input memory of ``memory_bytes``, and comes to an end.

    ``digest`` is that of the program, see :func:`digest_of`, and ``entry`` the slot that it begins at.
    """

    digest: bytes
    entry: int
    memory_bytes: int
    by: str


def digest_of(program: Program, byte_order: ByteOrder) -> bytes:
    """Return what identifies ``program``."""
    return sha256(encode(program, byte_order)).digest()


def accept(program: Program, byte_order: ByteOrder, memory_bytes: int, entry: int = 0) -> Acceptance:
    """Return the acceptance of a program, from slot ``entry``, that is plainly safe with ``memory_bytes`` of input.

    Raises:
        NotAccepted: it is not; that need not mean that it is unsafe.
    """
    for finding in verify(encode(program, byte_order), byte_order):
        if finding.severity == "error":
            raise NotAccepted(str(finding))
    plan = plan_of(program, entry)
    if _depth(plan, plan.functions[0], ()) > MAX_FRAMES:
        raise NotAccepted(f"local calls go deeper than {MAX_FRAMES} frames")
    for function in plan.functions:
        _check_function(plan, function, memory_bytes)
    return Acceptance(digest_of(program, byte_order), entry, memory_bytes, by="bpf-isa: no loops, fixed addresses")


def _depth(plan: Plan, entry: int, callers: tuple[int, ...]) -> int:
    """Return how many frames the function at ``entry`` needs."""
    if entry in callers:
        raise NotAccepted(f"slot {entry}: a function that calls itself")
    return 1 + max((_depth(plan, called, (*callers, entry)) for called in plan.calls_from(entry)), default=0)


def _check_function(plan: Plan, entry: int, memory_bytes: int) -> None:
    """Follow all ways through a function; each block comes after those that lead to it.

    Raises:
        NotAccepted: there is a loop, or something that is not known to be safe.
    """
    blocks = [first for first in plan.reachable(entry) if first < len(plan.program)]
    waiting = dict.fromkeys(blocks, 0)
    for first in blocks:
        for slot in plan.successors(first):
            waiting[slot] += 1
    states: dict[int, list[Forms]] = {first: [] for first in blocks}
    states[entry].append(_at_entry(plan, entry, memory_bytes))
    ready = [first for first in blocks if not waiting[first]]
    done = 0
    while ready:
        first = ready.pop()
        done += 1
        state = _check_block(plan, first, common_forms(states[first]), memory_bytes)
        for slot in plan.successors(first):
            states[slot].append(state)
            waiting[slot] -= 1
            if not waiting[slot]:
                ready.append(slot)
    if done < len(blocks):
        raise NotAccepted(f"slot {min(first for first in blocks if waiting[first])}: a loop")


def _at_entry(plan: Plan, entry: int, memory_bytes: int) -> Forms:
    state: list[Sum | None] = [None] * REGISTERS
    state[FRAME_POINTER] = Sum((FRAME_POINTER,), 0)
    if entry == plan.functions[0]:
        state[_INPUT_REGISTER] = Sum((_INPUT_REGISTER,), 0)
        state[_LENGTH_REGISTER] = Sum((), memory_bytes)
    return tuple(state)


def _check_block(plan: Plan, first: int, state: Forms, memory_bytes: int) -> Forms:
    for slot in plan.blocks[first]:
        row = plan.at(slot).instruction
        if any(isinstance(node, t.CallHelper) for node in row.means):
            raise NotAccepted(f"slot {slot} ({row.name}): what a helper function does is not known")
        if platform_calls(row):
            raise NotAccepted(f"slot {slot} ({row.name}): what the platform supplies is not known")
        for node in t.walk(*row.means):
            if isinstance(node, t.Load | t.Store):
                place = form_of(plan, slot, node.address, state)
                if not _is_inside(place, node.type.bits // 8, memory_bytes):
                    raise NotAccepted(f"slot {slot} ({row.name}): the access is not known to be in bounds")
        state = forms_after(plan, slot, state)
    if isinstance(control_of(row), t.CallLocal):
        state = tuple(None if register in _CLOBBERED else form for register, form in enumerate(state))
    return state


def _is_inside(place: Sum | None, size: int, memory_bytes: int) -> bool:
    if place is None:
        return False
    offset = t.S64.wrap(place.number)
    if place.registers == (FRAME_POINTER,):
        return -FRAME_BYTES <= offset <= -size
    return place.registers == (_INPUT_REGISTER,) and 0 <= offset <= memory_bytes - size
