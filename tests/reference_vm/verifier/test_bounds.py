# SPDX-License-Identifier: Apache-2.0
"""Bounds of the instructions that a program executes: those of loops that count, and none where there is none."""

from __future__ import annotations

import pytest

from bpf_isa.reference_vm.verifier.bounds import Bounds, Edge
from bpf_isa.reference_vm.verifier.state import State

from .proving import check_accepted, proved

#: Assembly, bytes of memory, and the bound.
LOOPS = {
    "a loop over the input": (
        ("r3 = r1; r3 += r2; next:; r4 = *(u8 *)(r1 + 0); r0 += r4; r1 += 1; if r1 != r3 goto next; exit"),
        8,
        35,
    ),
    "a loop with a bound for its address": (
        "r3 = r1; r3 += r2; next:; r4 = *(u8 *)(r1 + 0); r0 += r4; r1 += 1; if r1 < r3 goto next; exit",
        8,
        35,
    ),
    "rounds counted elsewhere": (
        "r3 = 8; next:; r4 = *(u8 *)(r1 + 0); r0 += r4; r1 += 1; r3 += -1; if r3 != 0 goto next; exit",
        8,
        42,
    ),
    "rounds counted with 32 bits": (
        "w3 = 8; next:; w4 = *(u8 *)(r1 + 0); w0 += w4; r1 += 1; w3 += -1; if w3 != 0 goto next; exit",
        8,
        42,
    ),
    "rounds counted up with 32 bits": (
        "w3 = 0; next:; w4 = w3; r5 = r1; r5 += r4; r0 = *(u8 *)(r5 + 0); w3 += 1; if w3 < 8 goto next; exit",
        8,
        50,
    ),
    "rounds counted with 16 bits, which wrap around": (
        "w3 = 0; next:; w3 += 1; r3 <<= 48; r3 >>= 48; if w3 != 0 goto next; exit",
        0,
        None,
    ),
    "rounds counted on the stack": (
        (
            "*(u32 *)(r10 - 4) = 5; next:; r3 = *(u32 *)(r10 - 4); r3 += -1; *(u32 *)(r10 - 4) = r3; "
            "if r3 != 0 goto next; exit"
        ),
        0,
        22,
    ),
    "a search that may not end": (
        "r0 = *(u64 *)(r1 + 0); again:; r0 *= 3; if r0 != 7 goto again; exit",
        8,
        None,
    ),
    "recursion that ends": (
        ("r1 = 5; call local f; exit; f:; if r1 == 0 goto out; r1 += -1; call local f; out:; r0 = 1; exit"),
        0,
        31,
    ),
    "an address that comes back by way of the stack": (
        # The store at r6 replaces an address, so that the next one found there is another, and r6 stays as it is.
        (
            "r6 = r10; r6 += -16; next:; *(u64 *)(r10 - 8) = r1; r7 = r10; r7 += -8; if r6 != r7 goto same; "
            "r2 = r1; r2 += 1; *(u64 *)(r6 + 0) = r2; same:; r4 = *(u64 *)(r10 - 8); r4 -= r1; r4 <<= 3; "
            "r6 += 8; r6 -= r4; r7 = r10; if r6 < r7 goto next; exit"
        ),
        8,
        None,
    ),
    "an address that is made anew in each round": (
        "r3 = r1; next:; r4 = *(u8 *)(r3 + 0); r3 = r1; r3 += 4; if r4 != 7 goto next; exit",
        8,
        None,
    ),
    "steps of 0 or 1": (
        "r4 = *(u8 *)(r1 + 0); r4 &= 1; next:; r3 += r4; if r3 < 8 goto next; exit",
        8,
        None,
    ),
    "a step forward or back": (
        (
            "next:; r4 = *(u8 *)(r1 + 0); if r4 != 0 goto back; r3 += 1; goto out; back:; r3 += -1; "
            "out:; r1 = r1; if r3 < 8 goto next; r3 = 0; r5 = 0; goto next"
        ),
        8,
        None,
    ),
    "a way round without a step": (
        (
            "next:; r4 = *(u8 *)(r1 + 0); if r4 == 0 goto stay; r3 += 1; if r3 < 8 goto next; exit; "
            "stay:; r0 = 0; goto next"
        ),
        8,
        None,
    ),
    "a loop that is entered in two places": (
        (
            "r4 = *(u8 *)(r1 + 0); if r4 == 0 goto middle; next:; r3 = 0; middle:; r3 += 1; if r3 < 8 goto middle; "
            "goto next"
        ),
        8,
        None,
    ),
    "loops in a loop": (
        (
            "next:; r4 = 0; one:; r4 += 1; if r4 < 3 goto one; r4 = 5; two:; r4 += -1; if r4 != 0 goto two; "
            "r3 += 1; if r3 < 4 goto next; exit"
        ),
        0,
        81,
    ),
    "steps of different lengths": (
        "next:; r4 = *(u8 *)(r1 + 0); r4 &= 1; r4 += 2; r3 += r4; if r3 < 12 goto next; exit",
        8,
        31,
    ),
    "a short way behind a long one": (
        "r4 = *(u8 *)(r1 + 0); if r4 != 0 goto short; r0 = 1; r0 = 2; r0 = 3; exit; short:; exit",
        8,
        6,
    ),
    "a long way behind a short one": (
        "r4 = *(u8 *)(r1 + 0); if r4 == 0 goto long; exit; long:; r0 = 1; r0 = 2; r0 = 3; exit",
        8,
        6,
    ),
    "as many rounds as there are numbers": (
        "r3 = 1; next:; r3 += 2; if r3 != 0 goto next; exit",
        0,
        None,
    ),
}


@pytest.mark.parametrize("name", LOOPS)
def test_loops_have_bounds(name: str) -> None:
    check_accepted(*LOOPS[name])


def test_a_round_that_begins_in_the_middle_is_no_round_of_a_bound() -> None:
    asm = """
        r4 = *(u8 *)(r1 + 0)
        if r4 == 0 goto middle
    next:
        r3 += 1
    middle:
        r3 += 1
        if r3 < 30000 goto next
        exit
    """
    assert proved(asm, 8).most_steps is None
    assert proved(asm.replace("goto middle", "goto next"), 8).most_steps is not None


class TwoRounds(Bounds[int]):
    """As if each loop were known to do two rounds."""

    def _trip_count(self, points: frozenset[int], head: int) -> int:
        return 2


def test_loops_are_looked_at_in_so_many_loops_only() -> None:
    def most_steps(depth: int) -> int | None:
        ways = [(point, point + 1) for point in range(2 * depth)]
        ways += [(2 * depth - 1 - head, head) for head in range(depth)]
        edges = [Edge[int](source, target, 1) for source, target in ways]
        points = range(2 * depth + 1)
        state = State((), ())
        return TwoRounds(edges, dict.fromkeys(points, state), lambda *_: None).most_steps(0)

    # The innermost loop has two points, each loop around it one before and one behind.
    assert most_steps(1) == 4
    assert most_steps(2) == 12
    assert most_steps(100) is not None
    assert most_steps(101) is None
    assert most_steps(2000) is None
