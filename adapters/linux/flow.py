# SPDX-License-Identifier: Apache-2.0
"""Where the verifier must be let in, so that it sees a program as a whole.

The kernel's verifier refuses instructions that nothing leads to, and computes with constants: it decides conditional
jumps whose operands it knows, and removes the jump together with the arm that is not taken. A program with constants
would have its jumps run by the verifier, not by the interpreter or JIT. It also removes functions that are not called,
even if their address is taken. Against all this helps a *door*: a jump or call before the program that is never taken,
which the verifier cannot know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ...spec.control import components, control_of, is_cyclic, loop_heads, reached, successors_of
from .reading import Reading

#: The verifier follows the program from each door on; more are not worth its time.
MOST_DOORS = 64


class Doors(NamedTuple):
    """The doors that a program needs.

    ``slots`` are those of the main program to jump to, ``functions`` the first slots of those to call. They are
    ``required`` if the kernel refuses or spoils the program without them.
    """

    slots: tuple[int, ...]
    functions: tuple[int, ...]
    required: bool

    def __bool__(self) -> bool:
        return bool(self.slots or self.functions)


def doors(reading: Reading, end: int) -> Doors:
    """Return the doors for a main program that ends before slot ``end``.

    They lead to the beginnings of unreachable code, to both arms of conditional jumps, and to functions whose
    address is taken. None leads into a loop, whose end the verifier would look for in vain.
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
    """Return the slots that lead to a loop, of ``starts`` and of what these lead to."""
    found: set[int] = set()
    for component in reversed(components(successors, starts, successors)):
        if is_cyclic(component, successors) or not found.isdisjoint(successors[component[0]]):
            found.update(component)
    return found
