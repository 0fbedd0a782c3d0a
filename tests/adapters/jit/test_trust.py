# SPDX-License-Identifier: Apache-2.0
"""Unchecked code: which programs may have it, what it does, and that nobody else gets it."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpf_isa.adapters.jit.program import UncheckedProgram, compile
from bpf_isa.adapters.jit.runtime.llvm import Level
from bpf_isa.adapters.jit.trust import NotAccepted, accept
from bpf_isa.conformance.bench.jit import BUDGET, PROGRAMS
from bpf_isa.reference_vm.faults import Fault, FaultKind, Returned
from bpf_isa.reference_vm.interpreter import execute
from bpf_isa.reference_vm.machine import Machine, Platform
from bpf_isa.reference_vm.maps import ArrayMap
from bpf_isa.reference_vm.verifier.safety import surroundings_of
from bpf_isa.reference_vm.verifier.surroundings import Surroundings
from bpf_isa.spec.asm.assemble import assemble_program
from bpf_isa.spec.encoding import ByteOrder, Program
from bpf_isa.spec.table import isa

from ...programs import INPUT_BYTES, MAP_BYTES, structured
from ...reference_vm.verifier.guarded import guarded

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
    run = compile(program, byte_order=byte_order, accepted=accept(program, byte_order, Surroundings(len(memory))))
    outcome = run(memory)
    expected = execute(program, byte_order=byte_order, memory=memory)
    assert isinstance(outcome, Returned) and isinstance(expected, Returned)
    assert (outcome.r0, outcome.registers[10], outcome.memory) == (expected.r0, expected.registers[10], expected.memory)


MAPS = (bytes(range(100, 100 + MAP_BYTES)), bytes(8))
VARIABLES = {1: bytes(16)}
SURROUNDINGS = surroundings_of(Machine(memory=bytes(INPUT_BYTES), maps=MAPS, variables=VARIABLES))


def unchecked(program: Program, byte_order: ByteOrder, level: Level, *, counted: bool) -> UncheckedProgram | None:
    """Compile a program without checks; None if it is not accepted."""
    try:
        accepted = accept(program, byte_order, SURROUNDINGS)
    except NotAccepted:
        return None
    if counted:
        accepted = replace(accepted, most_steps=None)
    compiled = compile(program, byte_order=byte_order, accepted=accepted, level=level)
    assert isinstance(compiled, UncheckedProgram)
    return compiled


@given(
    st.randoms(use_true_random=False),
    st.sampled_from(["little", "big"]),
    st.sampled_from(["fast", "fast", "full"]),
    st.booleans(),
    st.sampled_from([guarded, guarded, structured]),
)
@settings(max_examples=40)
def test_random_accepted_programs_end_as_on_the_reference(
    random: Random, byte_order: ByteOrder, level: Level, counted: bool, make_one: object
) -> None:
    assert callable(make_one)
    program: Program = make_one(random)
    native = unchecked(program, byte_order, level, counted=counted)
    if native is None:
        return
    for budget in (30, 20_000):
        memory = random.randbytes(INPUT_BYTES)
        expected = execute(program, byte_order=byte_order, memory=memory, maps=MAPS, variables=VARIABLES, budget=budget)
        outcome = native(memory, maps=MAPS, variables=VARIABLES, budget=budget)
        if isinstance(outcome, Fault):
            assert outcome.kind is FaultKind.BUDGET
            assert isinstance(expected, Fault) and expected.kind is FaultKind.BUDGET
        elif isinstance(expected, Returned):
            assert (outcome.registers[0], outcome.memory, outcome.maps) == (expected.r0, expected.memory, expected.maps)
            assert outcome.steps in {0, expected.steps}


def test_maps_and_variables_are_reached_where_the_host_has_them() -> None:
    program = assemble_program("""
        r1 = map_val(map_by_fd(1)) + 8
        r2 = *(u64 *)(r1 + 0)
        *(u32 *)(r1 + 4) = 7
        r3 = var_addr(5)
        r0 = *(u16 *)(r3 + 1)
        r2 += r0
        r0 = *(u8 *)skb[3]
        r0 += r2
        exit
    """)
    platform: Platform = {"maps": (b"x", ArrayMap(bytes(range(16)), entries=2)), "variables": {5: b"abc"}}
    machine = Machine(memory=b"0123", **platform)
    run = compile(program, accepted=accept(program, "little", surroundings_of(machine)))
    outcome = run.run(machine)
    expected = execute(program, memory=b"0123", **platform)
    assert isinstance(outcome, Returned) and isinstance(expected, Returned)
    assert (outcome.r0, outcome.maps) == (expected.r0, expected.maps)


@pytest.mark.parametrize(
    ("asm", "memory_bytes", "reason"),
    [
        ("again:\nr0 = *(u8 *)(r1 + 0)\nr1 += 1\ngoto again\n", 4, r"slot 0 \(LDX_MEM_B\): r1: the input memory has"),
        ("call 1\nexit", 0, r"slot 0 \(CALL_HELPER\): what a helper function does is not known"),
        ("r10 = 1\nexit", 0, "write-to-frame-pointer"),
    ],
)
def test_what_the_verifier_refuses_is_not_accepted(asm: str, memory_bytes: int, reason: str) -> None:
    with pytest.raises(NotAccepted, match=reason):
        accept(assemble_program(asm), "little", Surroundings(memory_bytes))


def test_an_acceptance_is_for_one_program_and_one_kind_of_machine() -> None:
    program = assemble_program("r0 = *(u8 *)(r1 + 3)\nexit")
    accepted = accept(program, "little", Surroundings(4))
    with pytest.raises(NotAccepted, match="another program"):
        compile(assemble_program("r0 = *(u8 *)(r1 + 4)\nexit"), accepted=accepted)
    with pytest.raises(NotAccepted, match="another program"):
        compile(program, entry=1, accepted=accepted)
    with pytest.raises(NotAccepted, match="not those of RFC 9669"):
        compile(with_another_load(program), accepted=accepted)
    run = compile(program, accepted=accepted)
    with pytest.raises(ValueError, match="4 bytes of memory, not for 3"):
        run(b"abc")
    with pytest.raises(ValueError, match="not for 0"):
        run()
    with pytest.raises(ValueError, match="not for 4 bytes of memory, map 0 of 2 bytes"):
        run(b"abcd", maps=(b"ab",))
    with pytest.raises(ValueError, match="big-endian"):
        run.run(Machine(memory=b"abcd", byte_order="big"))


def with_another_load(program: Program) -> Program:
    """Return the same bytes with another meaning."""
    first, *rest = program
    assert first is not None
    faulty = first.instruction.with_means(isa().by_name["LDX_MEM_DW"].means)
    return [first._replace(instruction=faulty), *rest]


# Budgets


@pytest.mark.parametrize("level", ["fast", "full"])
@pytest.mark.parametrize(
    "asm",
    [
        "again:\nr0 += 1\nif r0 != 0 goto again\nexit",
        "again:\ngoto again",
        "again:\nr0 += 1\nif r0 & 1 goto again\ngoto again",
        "again:\ncall local inner\nif r0 != 7 goto again\nexit\ninner:\nr0 *= 3\nexit",
        "call local inner\nexit\ninner:\nr3 = 1\nagain:\nr0 *= 3\nif r0 != 7 goto again\nexit",
    ],
)
def test_a_program_that_does_not_end_is_stopped_all_the_same(asm: str, level: Level) -> None:
    program = assemble_program(asm)
    compiled = compile(program, accepted=accept(program, "little", Surroundings()), level=level)
    for budget in (1, 1000, 1_000_000):
        outcome = compiled(budget=budget)
        assert isinstance(outcome, Fault)
        assert (outcome.kind, outcome.reason) == (
            FaultKind.BUDGET,
            f"the program has not ended after {budget} instructions",
        )
        # It looks at its budget once in a while.
        assert budget - 100 < outcome.steps < budget + 100
        assert compile(program)(budget=budget).steps == budget


@pytest.mark.parametrize("level", ["fast", "full"])
def test_code_counts_only_where_it_must(level: Level) -> None:
    program = assemble_program("r3 = 1000\nagain:\nr0 += r3\nr3 += -1\nif r3 != 0 goto again\nexit")
    accepted = accept(program, "little", Surroundings())
    assert accepted.most_steps == 3002
    compiled = compile(program, accepted=accepted, level=level)
    enough = compiled(budget=3002)
    assert (type(enough), enough.registers[0], enough.steps) == (Returned, 500_500, 0)
    assert isinstance(compiled(budget=2900), Fault)
    counted = compile(program, accepted=replace(accepted, most_steps=None), level=level)(budget=3002)
    assert (type(counted), counted.registers[0], counted.steps) == (Returned, 500_500, 3002)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_timed_programs_compute_the_same_in_every_way(name: str) -> None:
    program = PROGRAMS[name]._replace(iterations=2, memory_bytes=PROGRAMS[name].memory_bytes // 100 // 8 * 8)
    code = program.code()
    expected = execute(code, memory=program.memory(), budget=1 << 20)
    assert isinstance(expected, Returned)
    assert compile(code)(program.memory(), budget=1 << 20) == expected
    decoded = assemble_program(program.asm.replace("{iterations}", "2"))
    accepted = accept(decoded, "little", Surroundings(program.memory_bytes))
    for way in (accepted, replace(accepted, most_steps=None)):
        outcome = compile(decoded, accepted=way)(program.memory(), budget=BUDGET)
        assert (outcome.registers[0], outcome.memory) == (expected.r0, expected.memory)


def test_the_timed_programs_are_accepted_as_they_are() -> None:
    bounds = {}
    for name, program in PROGRAMS.items():
        decoded = assemble_program(program.asm.replace("{iterations}", str(program.iterations)))
        bounds[name] = accept(decoded, "little", Surroundings(program.memory_bytes)).most_steps
    # Nobody knows whether each number comes to 1 in Collatz's problem; that remainders get smaller is not looked for.
    assert {name for name, steps in bounds.items() if steps is None} == {"collatz", "gcd"}
