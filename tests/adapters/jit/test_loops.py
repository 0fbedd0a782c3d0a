# SPDX-License-Identifier: Apache-2.0
"""Loops are compiled in two versions, one without checks for as long as none are needed: wherever that ends.

Each loop is compiled once and run from many beginnings, to many ends, inside of its memory and outside.
"""

from __future__ import annotations

from itertools import product

import pytest

from bpf_isa.adapters.jit.program import compile
from bpf_isa.reference_vm.faults import Fault, FaultKind
from bpf_isa.reference_vm.interpreter import execute
from bpf_isa.spec.asm.assemble import assemble

ROOM = 16
#: What leaves the loop, by what stays in it.
OPPOSITE = {"<": ">=", "<=": ">", "s<": "s>=", "s<=": "s>", "!=": "=="}
OPPOSITE |= {op: opposite for opposite, op in OPPOSITE.items()}
GROWING, SHRINKING = ["<", "<=", "s<", "s<=", "!="], [">", ">=", "s>", "s>=", "!="]
NUMBERS = [0, 1, 7, ROOM - 1, ROOM, ROOM + 1, 1000, 1 << 63, (1 << 63) - 1, (1 << 64) - 1]
BEGIN = "r3 = *(u64 *)(r1 + 0)\nr2 = *(u64 *)(r1 + 8)\nr4 = *(u64 *)(r1 + 16)\nr1 += 24\nr0 = 0"
BODY = "r5 = r1\nr5 += r3\nr6 = *(u8 *)(r5 + 0)\nr0 += r6\n*(u8 *)(r5 + 0) = 7\nr3 += {step}"
LAST = f"{BEGIN}\nagain:\n{BODY}\nif r3 {{op}} r2 goto again\nexit"
FIRST = f"{BEGIN}\nagain:\nif r3 {{op}} r2 goto end\n{BODY}\ngoto again\nend:\nexit"
LOOPS = [*product(GROWING, ["1", "3", "r4"]), *product(SHRINKING, ["-1", "-3", "r4"])]


@pytest.mark.parametrize(("op", "step"), LOOPS)
def test_an_index_runs_as_far_as_it_may(op: str, step: str) -> None:
    ends = set()
    for asm in (LAST.format(op=op, step=step), FIRST.format(op=OPPOSITE[op], step=step)):
        code = assemble(asm)
        run = compile(code)
        for start, bound in product(NUMBERS, NUMBERS):
            grown = 5 if op in GROWING else -5
            numbers = (start, bound, grown % (1 << 64))
            memory = b"".join(number.to_bytes(8, "little") for number in numbers) + bytes(range(ROOM))
            budget = 60 + start % 40
            expected = execute(code, memory=memory, budget=budget)
            assert run(memory, budget=budget) == expected, numbers
            ends.add(expected.kind if isinstance(expected, Fault) else "returned")
    assert {"returned", FaultKind.OUT_OF_BOUNDS} <= ends


def test_pointers_to_an_end_inside_and_outside() -> None:
    asm = """
        r3 = r1
        r4 = r1
        r4 += r2
        r4 += -{less}
        r0 = 0
    next:
        r5 = *(u32 *)(r3 + 0)
        r0 += r5
        *(u32 *)(r3 + 0) = r0
        r3 += 4
        if r3 < r4 goto next
        exit
    """
    for less in (-8, -4, -3, -1, 0, 1, 4, 7):
        code = assemble(asm.format(less=less))
        run = compile(code)
        for size, budget in product((4, 7, 8, 64, 65), (10, 11, 12, 1000)):
            memory = bytes(range(size))
            assert run(memory, budget=budget) == execute(code, memory=memory, budget=budget), (less, size)
