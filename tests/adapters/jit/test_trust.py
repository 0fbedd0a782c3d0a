# SPDX-License-Identifier: Apache-2.0
"""Unchecked code: which programs may have it, what it does, and that nobody else gets it."""

from __future__ import annotations

import pytest

from bpf_isa.adapters.jit.program import compile
from bpf_isa.adapters.jit.trust import Acceptance, NotAccepted, accept, digest_of
from bpf_isa.conformance.jit_benchmark import BUDGET, PROGRAMS
from bpf_isa.reference_vm.faults import Returned
from bpf_isa.reference_vm.interpreter import execute
from bpf_isa.spec.assemble import assemble_program
from bpf_isa.spec.encoding import ByteOrder

SAFE = """
    r3 = 0x1122334455667788 ll
    *(u64 *)(r10 - 8) = r3
    r6 = r1
    r6 += 2
    r0 = *(u32 *)(r6 + 0)
    if r0 != 7 goto other
    r6 += -1
    *(u8 *)(r6 + 0) = 5
    goto join
other:
    *(u16 *)(r1 + 6) = 9
join:
    r1 = r0
    call local double
    r4 = *(u64 *)(r10 - 8)
    r0 += r4
    exit
double:
    *(u64 *)(r10 - 512) = r1
    r0 = *(u64 *)(r10 - 512)
    lock *(u64 *)(r10 - 512) += r1
    r0 += r1
    exit
"""


@pytest.mark.parametrize("byte_order", ["little", "big"])
@pytest.mark.parametrize("memory", [bytes(8), b"\0\0\x07\0\0\0\0\0", bytes(range(8))])
def test_an_accepted_program_does_unchecked_what_it_does_checked(byte_order: ByteOrder, memory: bytes) -> None:
    program = assemble_program(SAFE)
    run = compile(program, byte_order=byte_order, accepted=accept(program, byte_order, len(memory)))
    outcome = run(memory)
    expected = execute(program, byte_order=byte_order, memory=memory)
    assert isinstance(outcome, Returned) and isinstance(expected, Returned)
    assert (outcome.r0, outcome.memory) == (expected.r0, expected.memory)


@pytest.mark.parametrize(
    ("asm", "memory_bytes", "reason"),
    [
        ("again:\nr0 += 1\ngoto again\n", 0, "slot 0: a loop"),
        ("r0 = *(u8 *)(r1 + 4)\nexit", 4, r"slot 0 \(LDX_MEM_B\): the access"),
        ("*(u32 *)(r1 + 1) = 0\nexit", 4, r"slot 0 \(ST_MEM_W\): the access"),
        ("r0 = *(u64 *)(r10 - 513)\nexit", 0, "the access"),
        ("r0 = *(u8 *)(r10 + 0)\nexit", 0, "the access"),
        ("r3 = *(u8 *)(r1 + 0)\nr1 += r3\nr0 = *(u8 *)(r1 + 0)\nexit", 300, r"slot 2 \(LDX_MEM_B\)"),
        ("r1 = 16 ll\nr0 = *(u8 *)(r1 + 0)\nexit", 32, "the access"),
        ("if r2 == 0 goto +1\nr1 += 1\nr0 = *(u8 *)(r1 + 0)\nexit", 8, r"slot 2 \(LDX_MEM_B\)"),
        ("call local +1\nexit\nr0 = *(u8 *)(r1 + 0)\nexit", 8, r"slot 2 \(LDX_MEM_B\)"),
        ("call local +1\nr0 = *(u8 *)(r1 + 0)\nexit\nexit", 8, r"slot 1 \(LDX_MEM_B\)"),
        ("call local -1\nexit", 0, "calls itself"),
        ("call 1\nexit", 0, "helper function"),
        ("r0 = map_val(map_by_fd(0)) + 0\nexit", 0, "platform"),
        ("r0 = *(u8 *)skb[0]\nexit", 8, "platform"),
        ("r10 = 1\nexit", 0, "write-to-frame-pointer"),
        ("goto +9\nexit", 0, "jump-out-of-range"),
        ("r0 = 1", 0, "falls-off-the-end"),
        ("".join(f"call local f{n}\nexit\nf{n}:\n" for n in range(8)) + "exit", 0, "deeper than 8 frames"),
    ],
)
def test_what_is_not_plainly_safe_is_not_accepted(asm: str, memory_bytes: int, reason: str) -> None:
    with pytest.raises(NotAccepted, match=reason):
        accept(assemble_program(asm), "little", memory_bytes)


def test_an_acceptance_is_for_one_program_and_one_size_of_memory() -> None:
    program = assemble_program("r0 = *(u8 *)(r1 + 3)\nexit")
    accepted = accept(program, "little", 4)
    with pytest.raises(NotAccepted, match="another program"):
        compile(assemble_program("r0 = *(u8 *)(r1 + 4)\nexit"), accepted=accepted)
    with pytest.raises(NotAccepted, match="another program"):
        compile(program, entry=1, accepted=accepted)
    run = compile(program, accepted=accepted)
    with pytest.raises(ValueError, match="4 bytes of memory, not for 3"):
        run(b"abc")
    with pytest.raises(ValueError, match="not for 0"):
        run()


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_timed_programs_compute_the_same_in_every_way(name: str) -> None:
    program = PROGRAMS[name]._replace(rounds=2, memory_bytes=PROGRAMS[name].memory_bytes // 100 // 8 * 8)
    code = program.code()
    expected = execute(code, memory=program.memory(), budget=1 << 20)
    assert isinstance(expected, Returned)
    assert compile(code)(program.memory(), budget=1 << 20) == expected
    decoded = assemble_program(program.asm.replace("{rounds}", "2"))
    vouched = Acceptance(digest_of(decoded, "little"), 0, program.memory_bytes, by="this test, which ran it checked")
    unchecked = compile(decoded, accepted=vouched)(program.memory(), budget=BUDGET)
    assert (unchecked.registers[0], unchecked.memory) == (expected.r0, expected.memory)
