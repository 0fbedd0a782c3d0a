# SPDX-License-Identifier: Apache-2.0
"""Doors: opaque jumps that keep the kernel's verifier from removing parts of a program.

The kernel's verifier rejects unreachable instructions. It also propagates constants: it decides conditional jumps with
known operands, and removes the jump and the dead arm, so that neither the interpreter nor the JIT executes the jump. It
removes functions that are not called, even if their address is taken. A *door* prevents this: a jump or call before the
program that is never taken, on a condition that the verifier does not know.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import NamedTuple

from ...spec.control import components, control_of, is_cyclic, loop_heads, reached, successors_of
from .reading import Reading

#: The verifier follows the program from each door, which takes time.
MOST_DOORS = 64


class Doors(NamedTuple):
    """The doors that a program needs.

    ``slots`` are the targets in the main program, ``functions`` the first slots of functions to call. They are
    ``required`` if the kernel rejects or changes the program without them.
    """

    slots: tuple[int, ...]
    functions: tuple[int, ...]
    required: bool

    def __bool__(self) -> bool:
        return bool(self.slots or self.functions)


def doors(reading: Reading, end: int) -> Doors:
    """Return the doors for a main program that ends before slot ``end``.

    They lead to unreachable code, to both arms of conditional jumps, and to functions whose address is taken. None
    leads into a loop, for which the verifier could not prove termination, nor to the only way out of one, which the
    verifier follows in any case.
    """
    functions = tuple(sorted(reading.addresses))
    if not reading.jumps and reading.ends == [end - 1]:
        return Doors((), functions, bool(functions))
    successors: dict[int, tuple[int, ...]] = {slot: (slot + 1,) if slot + 1 < end else () for slot in range(end)}
    for slot, item in reading.instructions():
        if slot < end and control_of(item.instruction).transfer:
            successors[slot] = successors_of(slot, item)
    seen = reached([0], successors.__getitem__)
    found = []
    for slot in range(end):
        if slot not in seen and reading.program[slot] is not None:
            seen |= reached([slot], successors.__getitem__)
            found.append(slot)
    required = bool(found or functions)
    arms: dict[int, set[int]] = {}
    for slot, _, conditional in reading.jumps:
        if conditional and slot < end:
            for arm in successors[slot]:
                arms.setdefault(arm, set()).add(slot)
    found += sorted(arms.keys() - set(found))
    if loop_heads(successors):
        spared = _leading_to_loops(found, successors) | _only_exits(arms, successors)
        found = [slot for slot in found if slot not in spared]
    return Doors(tuple(found[:MOST_DOORS]), functions, required)


def _only_exits(arms: Mapping[int, set[int]], successors: Mapping[int, tuple[int, ...]]) -> set[int]:
    """Return the arms that are the only slot to which control leaves a loop, and arms of jumps in this loop alone.

    If the verifier enters the loop, it accepts the program only after it has left it.
    """
    # Programs may have thousands of slots between two jumps.
    jumps = [slot for slot, following in successors.items() if following != (slot + 1,)]
    places = {slot: bisect_left(jumps, slot) for slot in (0, *chain(*(successors[jump] for jump in jumps)))}
    jump_after = {slot: jumps[place] for slot, place in places.items() if place < len(jumps)}
    between = {jump: [jump_after[slot] for slot in successors[jump] if slot in jump_after] for jump in jumps}
    found: set[int] = set()
    for component in components(between, [jump_after[0]], between):
        if is_cyclic(component, between):
            inside = set(component)
            exits = {slot for jump in component for slot in successors[jump] if jump_after.get(slot) not in inside}
            found.update(slot for slot in exits if len(exits) == 1 and arms.get(slot, set()) <= inside)
    return found


def _leading_to_loops(starts: Iterable[int], successors: Mapping[int, tuple[int, ...]]) -> set[int]:
    """Return the slots reachable from ``starts`` from which a loop is reachable."""
    found: set[int] = set()
    for component in reversed(components(successors, starts, successors)):
        if is_cyclic(component, successors) or not found.isdisjoint(successors[component[0]]):
            found.update(component)
    return found
