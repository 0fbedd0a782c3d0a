# SPDX-License-Identifier: Apache-2.0
"""Bounds of the instructions that a program executes: those of loops that count, and none where there is none."""

from __future__ import annotations

import pytest

from .proving import check_accepted

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
    "as many rounds as there are numbers": (
        "r3 = 1; next:; r3 += 2; if r3 != 0 goto next; exit",
        0,
        None,
    ),
}


@pytest.mark.parametrize("name", LOOPS)
def test_loops_have_bounds(name: str) -> None:
    check_accepted(*LOOPS[name])
