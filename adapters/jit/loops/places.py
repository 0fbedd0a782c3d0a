# SPDX-License-Identifier: Apache-2.0
"""Dataflow analysis of pointers: the likely region of an access, which is checked first.

A wrong guess costs only time, so pointers in memory are not tracked.
"""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from ....reference_vm.frames import FRAME_POINTER
from ....spec import tree as t
from ....spec.encoding import Decoded
from ..layout import REGISTERS
from ..plan import Plan


class Place(Enum):
    """The abstract value of a register: a number or unknown pointer, or a pointer to a region."""

    NUMBER = 0
    STACK = 1  # of the current frame
    INPUT = 2
    FOUND = 3  # one of several: the region that was found last is as good as any


State: TypeAlias = tuple[Place, ...]


def places_of(plan: Plan) -> dict[int, State]:
    """Return the abstract values of registers at each reachable slot."""
    start = [Place.NUMBER] * REGISTERS
    start[1], start[FRAME_POINTER] = Place.INPUT, Place.STACK
    entries: dict[int, State] = {}
    result: dict[int, State] = {}
    todo: list[int] = []

    def flow(slot: int, state: State) -> None:
        old = entries.get(slot)
        new = state if old is None else tuple(map(_join, old, state))
        if new != old:
            entries[slot] = new
            todo.append(slot)

    flow(next(iter(plan.functions)), tuple(start))
    while todo:
        first = todo.pop()
        state = entries[first]
        block = plan.blocks[first]
        for slot in block.slots:
            item = plan.at(slot)
            result[slot] = state
            state = _after(item, state)
        if block.call is not None:
            flow(block.call, tuple(_passed(n, place) for n, place in enumerate(state)))
            state = tuple(Place.NUMBER if n < 6 else place for n, place in enumerate(state))
        for successor in block.successors:
            flow(successor, state)
    return result


def _passed(register: int, place: Place) -> Place:
    """Return the value in a called function, which has another stack."""
    return Place.FOUND if place is Place.STACK and register != FRAME_POINTER else place


def _after(item: Decoded, state: State) -> State:
    new = list(state)
    for node in t.walk(*item.instruction.means):
        match node:
            case t.Assign(t.Register(name), value):
                new[item.register(name)] = _place(item, state, value)
            case t.CallHelper():
                new[0] = Place.NUMBER
            case _:
                pass
    new[FRAME_POINTER] = Place.STACK
    return tuple(new)


def _place(item: Decoded, state: State, node: t.Expr) -> Place:
    match node:
        case t.Register(name):
            return state[item.register(name)]
        case t.Cast(kind, value) if kind.bits == 64:
            return _place(item, state, value)
        case t.Binary(op, left, right) if op in {"+", "-", "&", "|"}:
            return _join(_place(item, state, left), _place(item, state, right))
        case t.Choose(_, then, otherwise):
            return _join(_place(item, state, then), _place(item, state, otherwise))
        case t.Call("packet"):
            return Place.INPUT
        case _:
            return Place.NUMBER


def _join(a: Place, b: Place) -> Place:
    if a is b or b is Place.NUMBER:
        return a
    return b if a is Place.NUMBER else Place.FOUND
