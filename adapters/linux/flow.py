# SPDX-License-Identifier: Apache-2.0
"""Doors: opaque jumps that keep the kernel's verifier from removing parts of a program.

The kernel's verifier rejects unreachable instructions. It also propagates constants: it decides conditional jumps with
known operands, and removes the jump and the dead arm, so that neither the interpreter nor the JIT executes the jump. It
removes functions that are not called, even if their address is taken. A *door* prevents this: a jump or call before the
program that is never taken, on a condition that the verifier does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    leads into a loop, for which the verifier could not prove termination.
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
    arms = {arm for slot, _, conditional in reading.jumps if conditional and slot < end for arm in successors[slot]}
    found += sorted(arms.difference(found))
    if loop_heads(successors):
        loops = _leading_to_loops(found, successors)
        found = [slot for slot in found if slot not in loops]
    return Doors(tuple(found[:MOST_DOORS]), functions, required)


def _leading_to_loops(starts: Iterable[int], successors: Mapping[int, tuple[int, ...]]) -> set[int]:
    """Return the slots reachable from ``starts`` from which a loop is reachable."""
    found: set[int] = set()
    for component in reversed(components(successors, starts, successors)):
        if is_cyclic(component, successors) or not found.isdisjoint(successors[component[0]]):
            found.update(component)
    return found
