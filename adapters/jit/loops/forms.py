# SPDX-License-Identifier: Apache-2.0
"""Symbolic values of registers in an iteration of a loop, as sums of their values at its start."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from ....spec import tree as t
from ....spec.folding import fold
from ..layout import REGISTERS
from ..plan import Plan

#: Sums of more registers are not tracked.
_MOST_TERMS = 3


class Sum(NamedTuple):
    """The sum of the values of registers at the start of an iteration, plus a number; modulo 2**64."""

    registers: tuple[int, ...]
    number: int


#: The symbolic value of each register, None if unknown.
Forms: TypeAlias = tuple[Sum | None, ...]

#: The values at the start of an iteration.
AT_START: Forms = tuple(Sum((n,), 0) for n in range(REGISTERS))


def forms_after(plan: Plan, slot: int, state: Forms) -> Forms:
    """Return the values of registers after the instruction at ``slot``, which is no local call."""
    for node in t.walk(*plan.at(slot).instruction.means):
        if isinstance(node, t.Assign) and isinstance(node.target, t.Register):
            register = plan.at(slot).register(node.target.name)
            state = (*state[:register], form_of(plan, slot, node.value, state), *state[register + 1 :])
    return state


def form_of(plan: Plan, slot: int, node: t.Expr, state: Forms) -> Sum | None:
    """Return the value of ``node``, an expression of the instruction at ``slot``."""
    match node:
        case t.Register(name):
            return state[plan.at(slot).register(name)]
        case t.Cast(kind, value) if kind.bits == value.type.bits == 64:
            return form_of(plan, slot, value, state)
        case t.Binary("+", left, right):
            a, b = form_of(plan, slot, left, state), form_of(plan, slot, right, state)
            if a is None or b is None or len(a.registers) + len(b.registers) > _MOST_TERMS:
                return None
            return Sum(tuple(sorted(a.registers + b.registers)), a.number + b.number & t.U64.mask)
        case t.Binary("-", left, right):
            a, b = form_of(plan, slot, left, state), form_of(plan, slot, right, state)
            if a is None or b is None or b.registers:
                return None
            return Sum(a.registers, a.number - b.number & t.U64.mask)
        case _ if node.type.bits == 64 and slot not in plan.constants:
            number = fold(node, plan.at(slot))
            return None if number is None else Sum((), number)
        case _:
            return None


def common_forms(states: Iterable[Forms]) -> Forms:
    """Return the join of ``states``."""
    first, *others = states
    return tuple(form if all(other[n] == form for other in others) else None for n, form in enumerate(first))


def steps_of(end: Forms) -> tuple[int | None, ...]:
    """Return by how much each register grows in an iteration, as a signed number; None if that is unknown."""
    return tuple(
        t.S64.wrap(form.number) if form is not None and form.registers == (register,) else None
        for register, form in enumerate(end)
    )


def total_of(steps: Iterable[int | None]) -> int | None:
    """Return the sum of ``steps``; None if one is unknown."""
    total = 0
    for step in steps:
        if step is None:
            return None
        total += step
    return t.S64.wrap(total)
