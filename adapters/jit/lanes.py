# SPDX-License-Identifier: Apache-2.0
"""Loops in which each iteration needs the one before, and of which several iterations can be done at once all the same.

LLVM makes vectors of loops whose iterations do not need each other, or which only add something up. If the sum is used
in the loop, it does not; but where all that goes from one iteration to the next is a step by a constant, or a value
that an associative operator is applied to, what each iteration has can be computed in a few steps for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ...reference_vm.frames import FRAME_POINTER
from ...spec import tree as t
from .forms import Forms, Sum, form_of
from .guards import Guard, Shape
from .plan import Plan, control_of, register_of, registers_of
from .rows import is_masked, may_stop

#: How many iterations are done at once. Four 64-bit numbers are what AVX2 has room for. Where vectors are shorter, LLVM
#: takes several of them, which still pays with two numbers each; without any, it takes about as long as one by one.
LANES = 4
#: Loops of more instructions are left to LLVM.
_LONGEST = 64
#: Pairs of accesses that are looked at before the loop; if there are more, it is not worth it.
_MOST_APART = 6
#: Operators whose results for all iterations can be found, by how what they are applied with is put together.
SCANNED = {"+": "+", "-": "+", "*": "*", "&": "&", "|": "|", "^": "^"}


class Stream(NamedTuple):
    """The access at ``slot``, to ``address``: at ``start`` where an iteration begins, ``step`` bytes farther in each.

    It has just as many bytes.
    """

    slot: int
    address: t.Expr
    start: Sum
    step: int
    writes: bool


class Running(NamedTuple):
    """A register that the instruction at ``slot`` combines with ``other`` by ``node`` in each iteration."""

    slot: int
    node: t.Binary
    other: t.Expr


@dataclass(frozen=True, slots=True)
class Lanes:
    """How to do LANES iterations at once.

    The instructions in ``order`` are executed for all of them, one after the other. ``sources`` tells by slot and
    register which instruction of the same iteration has written what is read; what is missing there comes from before.
    There, a register is ``running``, or moves by one of the ``steps``. In the end, the ``results`` are what the
    instructions in these slots have written in the last of the iterations. Streams that have to be ``apart`` are: the
    first one does not come to where the second one was a few iterations before.
    """

    order: tuple[int, ...]
    sources: dict[tuple[int, int], int]
    streams: dict[int, Stream]
    running: dict[int, Running]
    steps: dict[int, int]
    results: dict[int, int]
    apart: tuple[tuple[Stream, Stream], ...]


def lanes_of(plan: Plan, shape: Shape, guards: Sequence[Guard], steps: Forms) -> Lanes | None:
    """Return how to do several iterations of the loop at once, as long as all ``guards`` hold; None if that fails."""
    guarded = {guard.slot for guard in guards}
    slots = [slot for first in shape.order for slot in plan.blocks[first]]
    order = [slot for slot in slots if control_of(plan.at(slot).instruction) is None]
    if not guards or len(order) > _LONGEST or not all(_is_known(plan, slot, guarded) for slot in slots):
        return None
    fixed = {n: step.number for n, step in enumerate(steps) if step is not None and not step.registers}
    streams = _streams(plan, shape, order, fixed)
    sources, from_before, results = _flow(plan, order)
    carried = sorted((from_before & results.keys()) - fixed.keys())
    running = {register: found for register in carried if (found := _running(plan, order, register))}
    if streams is None or len(running) < len(carried):
        return None
    apart = _apart(list(streams.values()))
    arranged = _arranged(plan, order, sources, streams, running)
    if apart is None or arranged is None:
        return None
    results = {register: slot for register, slot in results.items() if register not in fixed}
    return Lanes(arranged, sources, streams, running, fixed, results, apart)


def _is_known(plan: Plan, slot: int, guarded: set[int]) -> bool:
    """Whether the instruction at ``slot`` can be executed for several iterations at once, and leads where it should."""
    item = plan.at(slot)
    match control_of(item.instruction):
        case t.Jump(_, condition):
            return condition is None or slot in guarded
        case None:
            return FRAME_POINTER not in registers_of(item)[1] and all(map(_fits, t.walk(*item.instruction.means)))
        case _:
            return False


def _fits(node: t.Node) -> bool:
    """Whether ``node`` does the same to each lane of a vector, and cannot stop."""
    match node:
        case t.Lock():
            return False
        case t.Call(name):
            return name in t.BYTE_ORDER_FUNCTIONS
        case t.Choose(_, then, otherwise):
            return not (may_stop(then) or may_stop(otherwise))
        case t.Binary(op, left, right):
            return op in SCANNED or (op in {"<<", ">>", "s>>"} and is_masked(right, left.type.bits))
        case _:
            return True


def _streams(plan: Plan, shape: Shape, order: Sequence[int], steps: dict[int, int]) -> dict[int, Stream] | None:
    """Return the accesses by slot; None if one does not begin where it ended in the iteration before."""
    streams = {}
    for slot in order:
        for node in t.walk(*plan.at(slot).instruction.means):
            if not isinstance(node, t.Load | t.Store):
                continue
            start = form_of(plan, slot, node.address, shape.before[slot])
            if slot in streams or start is None or not steps.keys() >= set(start.registers):
                return None
            step = t.S64.wrap(sum(steps[register] for register in start.registers))
            if step != node.type.bits // 8:
                return None
            streams[slot] = Stream(slot, node.address, start, step, isinstance(node, t.Store))
    return streams


def _flow(plan: Plan, order: Sequence[int]) -> tuple[dict[tuple[int, int], int], set[int], dict[int, int]]:
    """Return the sources of what is read, the registers that are read before they are written, and who writes last."""
    sources, from_before = {}, set()
    written: dict[int, int] = {}
    for slot in order:
        reads, writes = registers_of(plan.at(slot))
        for register in reads:
            if register in written:
                sources[slot, register] = written[register]
            else:
                from_before.add(register)
        written |= dict.fromkeys(writes, slot)
    return sources, from_before, written


def _running(plan: Plan, order: Sequence[int], register: int) -> Running | None:
    """Return how ``register`` goes on from one iteration to the next; None if it does in another way."""
    writers = [slot for slot in order if register in registers_of(plan.at(slot))[1]]
    means = plan.at(writers[0]).instruction.means
    if len(writers) > 1 or len(means) > 1 or not isinstance(means[0], t.Assign):
        return None
    node, narrowest = means[0].value, 64
    while isinstance(node, t.Cast):
        node, narrowest = node.value, min(narrowest, node.type.bits)
    if not isinstance(node, t.Binary) or node.op not in SCANNED or narrowest < node.left.type.bits:
        return None
    if node.op == "*" and node.left.type.bits > 32:
        # Before AVX-512, processors did not multiply vectors of such numbers: it would take longer.
        return None
    for before, other in ((node.left, node.right), (node.right, node.left)):
        inner = before.value if isinstance(before, t.Cast) else before
        if isinstance(inner, t.Register) and register_of(plan.at(writers[0]), inner.name) == register:
            parts = [part for part in t.walk(other) if isinstance(part, t.Register)]
            alone = all(register_of(plan.at(writers[0]), part.name) != register for part in parts)
            return Running(writers[0], node, other) if alone and (before is node.left or node.op != "-") else None
    return None


def _apart(streams: Sequence[Stream]) -> tuple[tuple[Stream, Stream], ...] | None:
    """Return the streams that must not meet; None if two do.

    The earlier of two accesses, in the order in which they are executed, is done for all iterations before the later
    one: it must not depend on what that one does in an iteration before.
    """
    pairs = []
    for at, later in enumerate(streams):
        for earlier in streams[:at]:
            if not (earlier.writes or later.writes):
                continue
            if earlier.start.registers != later.start.registers:
                pairs.append((earlier, later))
            elif -LANES * later.step < t.S64.wrap(earlier.start.number - later.start.number) < 0:
                return None
    return tuple(pairs) if len(pairs) <= _MOST_APART else None


def _arranged(
    plan: Plan,
    order: Sequence[int],
    sources: dict[tuple[int, int], int],
    streams: dict[int, Stream],
    running: dict[int, Running],
) -> tuple[int, ...] | None:
    """Return ``order`` so that values are there when they are needed, and memory is as before; None if that fails.

    What a running register has where an iteration begins is known only when it is for all iterations.
    """
    needs: dict[int, set[int]] = {}
    for at, slot in enumerate(order):
        needs[slot] = needed = set()
        for register in registers_of(plan.at(slot))[0]:
            source = sources.get((slot, register))
            if source is None and register in running:
                source = running[register].slot
            if source is not None and source != slot:
                needed.add(source)
        for before in order[:at]:
            if slot in streams and before in streams and (streams[slot].writes or streams[before].writes):
                needed.add(before)
    arranged: list[int] = []
    while len(arranged) < len(order):
        ready = [slot for slot in order if slot not in arranged and needs[slot].issubset(arranged)]
        if not ready:
            return None
        arranged.append(ready[0])
    return tuple(arranged)
