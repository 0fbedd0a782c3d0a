# SPDX-License-Identifier: Apache-2.0
"""Where the verifier must be let in, so that it sees a program as a whole.

The kernel's verifier refuses instructions that nothing leads to, and computes with constants: it decides conditional
jumps whose operands it knows, and removes the jump together with the arm that is not taken. A program with constants
would have its jumps run by the verifier, not by the interpreter or JIT. It also removes functions that are not called,
even if their address is taken. Against all this helps a *door*: a jump or call before the program that is never taken,
which the verifier cannot know.
"""

from __future__ import annotations

from typing import NamedTuple

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

    They lead to the beginnings of unreachable code, to both ways on from conditional jumps, and to functions whose
    address is taken. None leads into a loop, whose end the verifier would look for in vain.
    """
    functions = tuple(sorted(reading.addresses))
    if not reading.jumps and reading.ends == [end - 1]:
        return Doors((), functions, bool(functions))
    ways = _ways(reading, end)
    reached = _reach(ways, 0)
    found = []
    for slot in range(end):
        if slot not in reached and reading.program[slot] is not None:
            reached |= _reach(ways, slot)
            found.append(slot)
    required = bool(found or functions)
    arms = {arm for slot, _, conditional in reading.jumps if conditional and slot < end for arm in ways[slot]}
    found += sorted(arms.difference(found))
    if any(target <= slot < end for slot, target, _ in reading.jumps):
        found = [slot for slot in found if not _leads_to_loop(ways, slot)]
    return Doors(tuple(found[:MOST_DOORS]), functions, required)


def _ways(reading: Reading, end: int) -> list[tuple[int, ...]]:
    """Return for each slot before ``end`` the slots that may come after it."""
    ways: list[tuple[int, ...]] = [(slot + 1,) if slot + 1 < end else () for slot in range(end)]
    for slot, target, conditional in reading.jumps:
        if slot < end:
            ways[slot] = (slot + 1, target) if conditional else (target,)
    for slot in reading.ends:
        if slot < end:
            ways[slot] = ()
    return ways


def _reach(ways: list[tuple[int, ...]], start: int) -> set[int]:
    """Return the slots that can be reached from ``start``."""
    reached = {start}
    waiting = [start]
    while waiting:
        for slot in ways[waiting.pop()]:
            if slot not in reached:
                reached.add(slot)
                waiting.append(slot)
    return reached


def _leads_to_loop(ways: list[tuple[int, ...]], start: int) -> bool:
    """Whether some way from ``start`` comes back to where it has been."""
    path = {start}
    finished: set[int] = set()
    waiting = [(start, iter(ways[start]))]
    while waiting:
        slot, following = waiting[-1]
        for next_slot in following:
            if next_slot in path:
                return True
            if next_slot not in finished:
                path.add(next_slot)
                waiting.append((next_slot, iter(ways[next_slot])))
                break
        else:
            path.remove(slot)
            finished.add(slot)
            waiting.pop()
    return False
