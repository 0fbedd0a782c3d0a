# SPDX-License-Identifier: Apache-2.0
"""Guards: conditions of a loop that are known to hold for some iterations, and need no test in them.

Such a condition compares an induction variable with a loop invariant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ....spec import tree as t
from ....spec.control import control_of, target_of
from ..plan import Plan
from .forms import Forms, Sum, form_of, total_of

_OPPOSITE: dict[str, str] = {"<": ">=", "<=": ">", "==": "!="}
_OPPOSITE |= {f"s{op}": f"s{opposite}" for op, opposite in _OPPOSITE.items() if op != "=="}
_OPPOSITE |= {opposite: op for op, opposite in _OPPOSITE.items()}
_MIRRORED: dict[str, str] = {"<": ">", "<=": ">=", "s<": "s>", "s<=": "s>=", "==": "==", "!=": "!="}
_MIRRORED |= {mirrored: op for op, mirrored in _MIRRORED.items()}
#: Operators for which a growing and a shrinking value can satisfy the condition for some iterations.
_GROWING, _SHRINKING = frozenset(["<", "<=", "s<", "s<=", "!="]), frozenset([">", ">=", "s>", "s>=", "!="])


class Condition(NamedTuple):
    """The condition on one of the two edges of a conditional jump."""

    left: Sum
    op: str
    right: Sum


@dataclass(frozen=True, slots=True)
class Guard:
    """The jump in ``slot`` stays in the loop, at the block ``inside``, while ``value op bound`` holds.

    ``value`` is an induction variable with the given ``step``, ``bound`` a loop invariant.
    """

    slot: int
    inside: int
    value: Sum
    op: str
    bound: Sum
    step: int


class Shape(NamedTuple):
    """The blocks of a loop, each after those that lead to it, what follows each, and the state before each slot."""

    order: Sequence[int]
    successors: Mapping[int, Sequence[int]]
    before: dict[int, Forms]

    def follow(self, first: int) -> list[int]:
        """Return the blocks of the loop that follow the one at ``first``."""
        return [slot for slot in self.successors[first] if slot in self.order]


def guards_of(plan: Plan, shape: Shape, steps: Sequence[int | None]) -> tuple[Guard, ...]:
    """Return the guards of a loop."""
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
            if not step or any(steps[register] != 0 for register in right.registers):
                continue
            if op in (_GROWING if step > 0 else _SHRINKING):
                guards.append(Guard(slot, following, left, op, right, step))
                break
    return tuple(guards)


def _condition(plan: Plan, slot: int, following: int, state: Forms) -> Condition | None:
    """Return the condition for which the jump at ``slot`` leads to the block at ``following``."""
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
