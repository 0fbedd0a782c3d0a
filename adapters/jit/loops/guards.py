# SPDX-License-Identifier: Apache-2.0
"""What the conditions of a loop tell: for how many iterations it goes on, and which values are below which bounds.

A condition that compares what moves by a number in each iteration with what does not move is known to hold for some
iterations, and need not be looked at in them. One that keeps a value below a bound that does not move says that
accesses at that value plus the same address are inside of their region, however the value changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import NamedTuple, TypeAlias

from ....spec import tree as t
from ....spec.control import control_of, target_of
from ..plan import Plan
from .forms import Forms, Sum, fixed_in, form_of, total_of

_OPPOSITE: dict[str, str] = {"<": ">=", "<=": ">", "==": "!="}
_OPPOSITE |= {f"s{op}": f"s{opposite}" for op, opposite in _OPPOSITE.items() if op != "=="}
_OPPOSITE |= {opposite: op for op, opposite in _OPPOSITE.items()}
_MIRRORED: dict[str, str] = {"<": ">", "<=": ">=", "s<": "s>", "s<=": "s>=", "==": "==", "!=": "!="}
_MIRRORED |= {mirrored: op for op, mirrored in _MIRRORED.items()}
#: Conditions that a value can hold for a while if it grows, and if it shrinks.
_GROWING, _SHRINKING = frozenset(["<", "<=", "s<", "s<=", "!="]), frozenset([">", ">=", "s>", "s>=", "!="])


class Condition(NamedTuple):
    """What holds on one of the two edges of a conditional jump."""

    left: Sum
    op: str
    right: Sum


@dataclass(frozen=True, slots=True)
class Guard:
    """The loop goes on at the jump in ``slot``, to the block at ``inside``, as long as ``value op bound``.

    ``value`` moves by ``step`` in each iteration, ``bound`` does not move.
    """

    slot: int
    inside: int
    value: Sum
    op: str
    bound: Sum
    step: int


class Fact(NamedTuple):
    """``value`` is below ``bound``, or, if not ``strict``, not above it; as unsigned numbers."""

    value: Sum
    bound: Sum
    strict: bool


#: What is known at the beginning of each block.
Facts: TypeAlias = dict[int, frozenset[Fact]]


class Shape(NamedTuple):
    """The blocks of a loop, each after those that lead to it, what follows each, and its state before and after."""

    order: Sequence[int]
    successors: Mapping[int, Sequence[int]]
    before: dict[int, Forms]
    after: dict[int, Forms]
    end: Forms

    def follow(self, first: int) -> list[int]:
        """Return the blocks of the loop that follow the one at ``first``."""
        return [slot for slot in self.successors[first] if slot in self.after]


def guards_of(plan: Plan, shape: Shape, steps: Forms) -> tuple[Guard, ...]:
    """Return the conditions that are known to hold for some iterations."""
    guards = []
    for first in shape.order:
        slot = plan.blocks[first].slots[-1]
        inside = set(shape.follow(first))
        if len(inside) != 1 or len(set(plan.blocks[first].successors)) != 2:
            continue
        (following,) = inside
        condition = _condition(plan, slot, following, shape.before[slot])
        for left, op, right in (condition, _mirrored(condition)) if condition else ():
            step = total_of([steps[register] for register in left.registers])
            if step is None or step.registers or not fixed_in(shape.end).issuperset(right.registers):
                continue
            if op in (_GROWING if step.number > 0 else _SHRINKING) and step.number:
                guards.append(Guard(slot, following, left, op, right, step.number))
                break
    return tuple(guards)


def _condition(plan: Plan, slot: int, following: int, state: Forms) -> Condition | None:
    """Return what holds if the jump at ``slot`` leads to the block at ``following``, and not to the other one."""
    item = plan.at(slot)
    match control_of(item.instruction).transfer:
        case t.Jump(_, t.Compare(op, left, right)):
            a, b = form_of(plan, slot, left, state), form_of(plan, slot, right, state)
            if a is None or b is None:
                return None
            return Condition(a, op if target_of(slot, item) == following else _OPPOSITE[op], b)
        case _:
            return None


def _mirrored(condition: Condition) -> Condition:
    return Condition(condition.right, _MIRRORED[condition.op], condition.left)


def facts_of(plan: Plan, shape: Shape) -> tuple[Facts, frozenset[Fact]]:
    """Return what is known in each block, and what for that must be the case where the first iteration begins."""
    _, ends = _flow(plan, shape, frozenset())
    start = reduce(and_, (_at_start(after, known) for after, known in ends))
    return _flow(plan, shape, start)[0], start


def _flow(plan: Plan, shape: Shape, start: frozenset[Fact]) -> tuple[Facts, list[tuple[Forms, frozenset[Fact]]]]:
    """Return what is known in each block if ``start`` is where an iteration begins; and what is at its ends."""
    header = shape.order[0]
    facts = {header: start}
    ends = []
    for first in shape.order:
        for following in shape.follow(first):
            known = facts[first] | _facts_on(plan, shape, first, following)
            if following == header:
                ends.append((shape.after[first], known))
            else:
                facts[following] = facts[following] & known if following in facts else known
    return facts, ends


def _facts_on(plan: Plan, shape: Shape, first: int, following: int) -> frozenset[Fact]:
    if len(set(plan.blocks[first].successors)) != 2:
        return frozenset()
    slot = plan.blocks[first].slots[-1]
    condition = _condition(plan, slot, following, shape.before[slot])
    if condition is None:
        return frozenset()
    fixed = fixed_in(shape.end)
    return frozenset(
        Fact(left, right, op == "<")
        for left, op, right in (condition, _mirrored(condition))
        if op in {"<", "<="} and fixed.issuperset(right.registers)
    )


def _at_start(after: Forms, known: Collection[Fact]) -> frozenset[Fact]:
    """Return what is ``known`` at the end of an iteration in terms of the next one."""
    return frozenset(
        Fact(Sum((register,), 0), fact.bound, fact.strict)
        for fact in known
        for register, form in enumerate(after)
        if form == fact.value
    )


def rest_of(address: Sum, fact: Fact, fixed: Collection[int]) -> Sum | None:
    """Return ``address`` without the value that ``fact`` is about, if that is a part of it, and the rest is fixed."""
    rest = Counter(address.registers)
    rest.subtract(fact.value.registers)
    if not fact.value.registers or any(times < 0 for times in rest.values()):
        return None
    registers = tuple(sorted(rest.elements()))
    if not registers or not set(registers) <= set(fixed):
        return None
    return Sum(registers, t.S64.wrap(address.number - fact.value.number))
