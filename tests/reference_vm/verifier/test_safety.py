# SPDX-License-Identifier: Apache-2.0
"""The safety verifier: which programs it accepts, which it refuses, and how it says why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bpf_isa.reference_vm.verifier import invariants, ranges
from bpf_isa.reference_vm.verifier.execution import Execution, Point
from bpf_isa.reference_vm.verifier.invariants import Invariants
from bpf_isa.reference_vm.verifier.proof import NotProved
from bpf_isa.reference_vm.verifier.safety import prove
from bpf_isa.reference_vm.verifier.surroundings import Surroundings
from bpf_isa.spec.asm.assemble import assemble_program
from bpf_isa.spec.encoding import make
from bpf_isa.spec.table import isa

from .proving import check_accepted, program_of, proved

SAFE = {
    "nothing": (
        "exit",
        0,
        1,
    ),
    "to the end of a region": (
        "r0 = *(u8 *)(r1 + 3); *(u64 *)(r10 - 512) = r0; exit",
        4,
        3,
    ),
    "an index with a bound": (
        "r3 = *(u8 *)(r1 + 0); if r3 > 7 goto out; r1 += r3; r0 = *(u8 *)(r1 + 0); out:; exit",
        8,
        5,
    ),
    "a bound from below, as a signed number": (
        ("r3 = *(s8 *)(r1 + 0); if r3 s> 7 goto out; if r3 s< 0 goto out; r1 += r3; r0 = *(u8 *)(r1 + 0); out:; exit"),
        8,
        6,
    ),
    "a bound on half of the register": (
        ("r3 = *(u32 *)(r1 + 0); if w3 >= 8 goto out; r1 += r3; r0 = *(u8 *)(r1 + 0); out:; r0 = 0; exit"),
        8,
        6,
    ),
    "an index under a mask": (
        "r3 = *(u64 *)(r1 + 0); r3 &= 7; r1 += r3; r0 = *(u8 *)(r1 + 0); exit",
        8,
        5,
    ),
    "an index modulo the size": (
        "r3 = *(u64 *)(r1 + 0); r3 %= 8; r1 += r3; r0 = *(u8 *)(r1 + 0); exit",
        8,
        5,
    ),
    "an index tested bit by bit": (
        ("r3 = *(u64 *)(r1 + 0); if r3 & -8 goto out; r1 += r3; r0 = *(u8 *)(r1 + 0); out:; r0 = 0; exit"),
        8,
        6,
    ),
    "an address kept on the stack": (
        "*(u64 *)(r10 - 8) = r1; r1 = 0; r2 = *(u64 *)(r10 - 8); r0 = *(u8 *)(r2 + 7); exit",
        8,
        5,
    ),
    "functions": (
        (
            "r6 = r1; call local f; r0 += r6; r0 -= r6; r2 = r6; call local f; r0 = 1; exit; f:; "
            "*(u64 *)(r10 - 8) = 1; r0 = *(u8 *)(r6 + 0); r6 = 5; exit"
        ),
        8,
        16,
    ),
    "a stack handed down": (
        "r1 = r10; call local f; r0 = *(u64 *)(r10 - 8); exit; f:; *(u64 *)(r1 - 8) = 3; exit",
        0,
        6,
    ),
    "the rest of two addresses": (
        "r3 = r1; r3 += 5; r3 -= r1; r1 += r3; r0 = *(u8 *)(r1 + 0); exit",
        8,
        6,
    ),
    "the input, if there is any": (
        "if r1 == 0 goto out; r0 = *(u8 *)(r1 + 0); out:; exit",
        1,
        3,
    ),
    "atomics": (
        "r3 = 1; lock *(u64 *)(r1 + 8) += r3; r0 = cmpxchg_64(r1 + 0, r0, r3); exit",
        16,
        4,
    ),
    "division by anything": (
        "r3 = *(u64 *)(r1 + 0); r0 = 9; r0 /= r3; r0 s%= r3; exit",
        8,
        5,
    ),
    "legacy packet access": (
        "r0 = *(u8 *)skb[7]; exit",
        8,
        2,
    ),
}


@pytest.mark.parametrize("name", SAFE)
def test_safe_programs_are_accepted(name: str) -> None:
    check_accepted(*SAFE[name])


UNSAFE = {
    "past the end": (
        "r0 = *(u32 *)(r1 + 1); exit",
        4,
        "slot 0 (LDX_MEM_W): r1: the input memory has offsets 0 to 4",
    ),
    "before the start": (
        "r1 += -1; r0 = *(u8 *)(r1 + 0); exit",
        4,
        "slot 1 (LDX_MEM_B): r1: the input memory",
    ),
    "below the stack": (
        "r0 = *(u64 *)(r10 - 513); exit",
        0,
        "r10: the stack of frame 0 has offsets -512 to 0",
    ),
    "above the stack": (
        "*(u8 *)(r10 + 0) = 1; exit",
        0,
        "the access of 1 bytes is at 0",
    ),
    "a number as address": (
        "r3 = 16 ll; r0 = *(u8 *)(r3 + 0); exit",
        32,
        "slot 2 (LDX_MEM_B): r3: 16 is no address",
    ),
    "no input": (
        "r0 = *(u8 *)(r1 + 0); exit",
        0,
        "r1: 0 is no address",
    ),
    "an index without a bound": (
        "r3 = *(u8 *)(r1 + 0); r1 += r3; r0 = *(u8 *)(r1 + 0); exit",
        200,
        ("slot 2 (LDX_MEM_B): r1: the input memory has offsets 0 to 200, but the access of 1 bytes is at 0..255"),
    ),
    "a bound one too great": (
        "r3 = *(u8 *)(r1 + 0); if r3 > 8 goto +2; r1 += r3; r0 = *(u8 *)(r1 + 0); r0 = 0; exit",
        8,
        "at 0..8",
    ),
    "a bound without a sign": (
        "r3 = *(s8 *)(r1 + 0); if r3 s> 7 goto +2; r1 += r3; r0 = *(u8 *)(r1 + 0); r0 = 0; exit",
        8,
        "at -128..7",
    ),
    "a bound on half of a register": (
        "r3 = *(u64 *)(r1 + 0); if w3 > 7 goto +2; r1 += r3; r0 = *(u8 *)(r1 + 0); r0 = 0; exit",
        8,
        "slot 3 (LDX_MEM_B)",
    ),
    "a loop one round too long": (
        "r3 = 9; next:; r0 = *(u8 *)(r1 + 0); r1 += 1; r3 += -1; if r3 != 0 goto next; exit",
        8,
        "slot 1 (LDX_MEM_B): r1",
    ),
    "a loop without a bound": (
        "next:; r0 = *(u8 *)(r1 + 0); r1 += 1; goto next",
        8,
        "slot 0 (LDX_MEM_B): r1",
    ),
    "one of two regions": (
        (
            "r3 = r10; r3 += -8; if r2 == 7 goto +1; r1 = r3; r4 = *(u8 *)(r1 + 0); if r4 == 0 goto +1; "
            "r3 = r1; r0 = *(u8 *)(r3 + 8); exit"
        ),
        8,
        "slot 7 (LDX_MEM_B): r3",
    ),
    "an address out": (
        "r0 = r1; exit",
        8,
        "slot 1 (EXIT): r0: the result is an address in the input memory",
    ),
    "an address in disguise": (
        "r0 = r1; r0 &= 1; exit",
        8,
        "r0: the result is a number that depends on where memory is",
    ),
    "half of an address": (
        "w0 = w1; exit",
        8,
        "depends on where memory is",
    ),
    "an address in the input": (
        "*(u64 *)(r1 + 0) = r1; exit",
        8,
        "stores an address in the input memory plus 0 in",
    ),
    "part of a kept address": (
        ("*(u64 *)(r10 - 8) = r1; *(u8 *)(r10 - 8) = 0; r1 = *(u64 *)(r10 - 8); r0 = *(u8 *)(r1 + 0); exit"),
        8,
        "slot 3 (LDX_MEM_B): r1: a number that depends on where memory is",
    ),
    "a kept address overwritten at an index": (
        ("r3 = *(u8 *)(r1 + 0); r3 &= 8; *(u64 *)(r10 - 8) = r1; r4 = r10; r4 -= r3; *(u64 *)(r4 - 8) = 0; exit"),
        8,
        "slot 5 (ST_MEM_DW): r4: an address in the stack of frame 0",
    ),
    "a condition on an address": (
        "if r1 & 8 goto +0; r0 = 0; exit",
        8,
        "slot 0 (JSET64_K): r1: the condition depends",
    ),
    "an address that may be 0": (
        "r3 = *(u64 *)(r1 + 0); r3 += r1; if r3 == 0 goto +0; r0 = 0; exit",
        8,
        "slot 2 (JEQ64_K): r3: the condition depends on where memory is: an address in the input memory plus",
    ),
    "two regions compared": (
        "if r1 < r10 goto +0; r0 = 0; exit",
        8,
        "r1 and r10: the condition depends on where",
    ),
    "beyond the region compared": (
        "r3 = r1; r3 += 9; if r1 < r3 goto +0; exit",
        8,
        "may be outside of the region",
    ),
    "the stack of a function that has ended": (
        "call local +2; r0 = *(u8 *)(r0 - 8); exit; r0 = r10; exit",
        0,
        "slot 1 (LDX_MEM_B): r0: a number that depends",
    ),
    "such a stack, kept": (
        ("r1 = r10; call local +3; r2 = *(u64 *)(r10 - 8); r0 = *(u8 *)(r2 - 1); exit; *(u64 *)(r1 - 8) = r10; exit"),
        0,
        "slot 3 (LDX_MEM_B): r2",
    ),
    "what a function has changed": (
        "call local +2; r0 = *(u8 *)(r1 + 0); exit; r1 = 1; exit",
        8,
        "slot 1 (LDX_MEM_B): r1: 1 is no address",
    ),
    "recursion": (
        "call local -1; exit",
        0,
        "slot 0 (CALL_LOCAL): a call would need more than 8 frames",
    ),
    "frames": (
        "".join(f"call local f{n}; exit; f{n}:; " for n in range(8)) + "exit",
        0,
        "more than 8 frames",
    ),
    "a helper function": (
        "call 1; exit",
        0,
        "slot 0 (CALL_HELPER): what a helper function does is not known",
    ),
    "no map": (
        "r0 = map_val(map_by_fd(0)) + 0; exit",
        0,
        "slot 0 (LD_MAP_FD_VALUE): there is no map 0",
    ),
    "no variable": (
        "r0 = var_addr(3); exit",
        0,
        "there is no platform variable 3",
    ),
    "code as data": (
        "r1 = code_addr(+1); r0 = *(u8 *)(r1 + 0); exit",
        0,
        "slot 2 (LDX_MEM_B): r1",
    ),
    "a packet too short": (
        "r0 = *(u32 *)skb[5]; exit",
        8,
        "the input memory has offsets 0 to 8",
    ),
    "r10": (
        "r10 = 1; exit",
        0,
        "slot 0: write-to-frame-pointer",
    ),
    "a jump out": (
        "goto +9; exit",
        0,
        "slot 0: jump-out-of-range",
    ),
    "no end": (
        "r0 = 1",
        0,
        "falls-off-the-end",
    ),
}


@pytest.mark.parametrize("name", UNSAFE)
def test_unsafe_programs_are_refused_with_the_reason(name: str) -> None:
    asm, memory_bytes, message = UNSAFE[name]
    with pytest.raises(NotProved) as caught:
        proved(asm, memory_bytes)
    assert message in str(caught.value)


def test_only_instructions_of_the_rfc_are_known() -> None:
    row = isa().by_name["MOV64_K"]
    other = make(row, dst=0, imm=1)._replace(instruction=row.with_means(isa().by_name["NEG64"].means))
    with pytest.raises(NotProved, match=r"slot 0 \(MOV64_K\): this is not the instruction of the table"):
        prove([other, make(isa().by_name["EXIT"])], "little", Surroundings())


def test_states_that_an_edge_leads_out_of_prove_nothing() -> None:
    program = program_of("r3 = 8; next:; r3 += -1; if r3 != 0 goto next; exit")
    execution = Execution(program, "little", Surroundings(), 0, invariants.LIMIT)
    search, start = Invariants(execution), execution.start
    states = search.grown({start: execution.entry_state()})
    assert search.checked(states)
    head, first = Point((), 1), states[start]
    for wrong in ({**states, head: first}, {start: first}):
        with pytest.raises(NotProved, match="slot 1: no invariant was found for this loop"):
            search.checked(wrong)
    begins_with_1 = replace(first, registers=(ranges.known(1), *first.registers[1:]))
    for wrong in ({**states, start: begins_with_1}, {head: states[head]}):
        with pytest.raises(NotProved, match="slot 0: no invariant was found that holds where the program begins"):
            search.checked(wrong)


def test_a_program_may_begin_elsewhere_but_must_end_there_too() -> None:
    program = assemble_program("exit\nr0 = *(u8 *)(r1 + 3)\nexit\nr0 = 1")
    assert prove(program, "little", Surroundings(4), entry=1).most_steps == 2
    for entry, message in ((1, "slot 1"), (3, "slot 4: no instruction begins here")):
        with pytest.raises(NotProved, match=message):
            prove(program, "little", Surroundings(3), entry=entry)


def test_conditions_that_contradict_each_other_are_no_hindrance() -> None:
    # No number is within both intervals, which is not noticed: each has numbers of both signs.
    asm = """
        r3 = *(u64 *)(r1 + 0)
        r4 = 0x7ffffffffffffff7 ll
        if r3 < r4 goto out
        r4 += 30
        if r3 > r4 goto out
        if r3 s< -2 goto out
        if r3 s> 17 goto out
        r3 {} 3
        r0 = r3
    out:
        exit
    """
    for operator in ("+=", "-=", "*="):
        assert proved(asm.format(operator), 8).most_steps == 10
