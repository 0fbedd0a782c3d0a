# SPDX-License-Identifier: Apache-2.0
"""Loops that are done several iterations at a time end as on the reference, wherever they begin and end."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpf_isa.adapters.jit.functions import lower_program
from bpf_isa.adapters.jit.lanes import LANES, Lanes
from bpf_isa.adapters.jit.loops import loops_of
from bpf_isa.adapters.jit.places import places_of
from bpf_isa.adapters.jit.plan import plan_of
from bpf_isa.adapters.jit.program import compile
from bpf_isa.adapters.jit.state import Style
from bpf_isa.adapters.jit.trust import NotAccepted, accept
from bpf_isa.reference_vm.faults import Fault, FaultKind, Returned
from bpf_isa.reference_vm.interpreter import execute
from bpf_isa.reference_vm.machine import Machine
from bpf_isa.reference_vm.verifier.safety import surroundings_of
from bpf_isa.spec.assemble import assemble_program
from bpf_isa.spec.encoding import ByteOrder

from .chained import MAP_BYTES, MEMORY_BYTES, chained

BYTE_ORDERS = st.sampled_from(["little", "little", "big"])
RANDOMS = st.randoms(use_true_random=False)
SURROUNDINGS = surroundings_of(Machine(memory=bytes(MEMORY_BYTES), maps=(bytes(MAP_BYTES),)))


def lanes_in(asm: str) -> list[Lanes | None]:
    """Return for each loop how several iterations of it are done at once."""
    plan = plan_of(assemble_program(asm))
    return [loop.lanes for loop in loops_of(plan, 0, places_of(plan)).values()]


def check_checked(random: Random, byte_order: ByteOrder) -> None:
    """Compile a loop once, and run it for several numbers of iterations, also so many that it leaves its memory."""
    program = assemble_program(chained(random, None))
    native = compile(program, byte_order=byte_order)
    contents = Random(random.randrange(1 << 32))
    for rounds in (0, 1, 3, 4, 5, *(random.randrange(100) for _ in range(4)), 1 << 63):
        memory = rounds.to_bytes(8, byte_order) + contents.randbytes(MEMORY_BYTES - 8)
        maps = (contents.randbytes(MAP_BYTES),)
        for budget in (10_000, random.randrange(60 + 10 * min(rounds, 100))):
            expected = execute(program, byte_order=byte_order, memory=memory, maps=maps, budget=budget)
            assert native(memory, maps=maps, budget=budget) == expected, (rounds, budget)


def check_unchecked(random: Random, byte_order: ByteOrder, *, counted: bool) -> bool:
    """Compile a loop of so many iterations without checks, and run it; return whether it was accepted."""
    program = assemble_program(chained(random, random.randrange(72)))
    try:
        accepted = accept(program, byte_order, SURROUNDINGS)
    except NotAccepted:
        return False
    native = compile(
        program, byte_order=byte_order, accepted=replace(accepted, most_steps=None) if counted else accepted
    )
    contents = Random(random.randrange(1 << 32))
    for budget in (10_000, random.randrange(600)):
        memory, maps = contents.randbytes(MEMORY_BYTES), (contents.randbytes(MAP_BYTES),)
        expected = execute(program, byte_order=byte_order, memory=memory, maps=maps, budget=budget)
        outcome = native(memory, maps=maps, budget=budget)
        if isinstance(outcome, Fault):
            assert isinstance(expected, Fault) and outcome.kind is expected.kind is FaultKind.BUDGET
        elif isinstance(expected, Returned):
            assert (outcome.registers[0], outcome.memory, outcome.maps) == (expected.r0, expected.memory, expected.maps)
            assert outcome.steps in {0, expected.steps}
    return True


@given(RANDOMS, BYTE_ORDERS)
@settings(max_examples=40)
def test_random_loops_end_as_on_the_reference(random: Random, byte_order: ByteOrder) -> None:
    check_checked(random, byte_order)


@given(RANDOMS, BYTE_ORDERS, st.booleans())
@settings(max_examples=40)
def test_random_loops_end_as_on_the_reference_without_checks(
    random: Random, byte_order: ByteOrder, counted: bool
) -> None:
    check_unchecked(random, byte_order, counted=counted)


@pytest.mark.parametrize(
    "body",
    [
        "r6 = *(u64 *)(r3 + 0)\nr0 += r6\n*(u64 *)(r5 + 0) = r0\nr3 += 8\nr5 += 8",
        "*(u64 *)(r5 + 0) = r3\nr6 = *(u64 *)(r3 + 0)\nr0 += r6\n*(u64 *)(r5 + 0) = r0\nr3 += 8\nr5 += 8",
        "r0 ^= r3\n*(u16 *)(r3 + 0) = r0\n*(u16 *)(r5 + 0) = r3\nr3 += 2\nr5 += 2",
        "r6 = *(u32 *)(r3 + 0)\nr0 += r6\n*(u64 *)(r5 + 0) = r0\nr3 += 4\nr5 += 8",
        "*(u8 *)(r5 + 0) = r3\nr6 = *(u64 *)(r3 + 0)\nr0 += r6\n*(u8 *)(r5 + 0) = r0\nr3 += 8\nr5 += 1",
    ],
)
def test_places_that_overlap_in_any_way(body: str) -> None:
    head = "r2 = *(u64 *)(r1 + 0)\nr1 += 200\nr3 = r1\nr5 = r1\nr5 += r2\nr4 = r1\nr4 += 96\nr0 = 1"
    asm = f"{head}\nagain:\n{body}\nif r3 < r4 goto again\nexit"
    assert [lanes is not None for lanes in lanes_in(asm)] == [True]
    program = assemble_program(asm)
    native = compile(program)
    for distance in (*range(-45, 45), *range(-99, -90), *range(90, 99), *range(-200, -180), *range(180, 200)):
        memory = (distance % (1 << 64)).to_bytes(8, "little") + bytes(value % 251 for value in range(600))
        expected = execute(program, memory=memory)
        assert isinstance(expected, Returned)
        assert native(memory) == expected, distance


# What is done in vectors, and what is not

CHAIN = "r6 = *(u64 *)(r3 + 0)\nr0 += r6\nr6 ^= r0\n*(u64 *)(r3 + 0) = r6\nr3 += 8"
YES = {
    "the sum so far": CHAIN,
    "with 32 bits": CHAIN.replace("r0 += r6", "w0 += w6"),
    "the difference": CHAIN.replace("r0 += r6", "r0 -= r6"),
    "the product": CHAIN.replace("r0 += r6", "w0 *= w6"),
    "the sum before": "r6 = *(u64 *)(r3 + 0)\n*(u64 *)(r3 + 0) = r0\nr0 += r6\nr3 += 8",
    "bytes": "r6 = *(s8 *)(r3 + 7)\nr0 += r6\n*(u8 *)(r3 + 7) = r0\nr3 += 1",
    "in another byte order": CHAIN.replace("r6 ^= r0", "r6 ^= r0\nr6 = be16 r6"),
    "sums of sums": "r0 += r5\nr5 += r3\n*(u64 *)(r3 + 0) = r5\n*(u64 *)(r3 + 0) = r0\nr3 += 8",
    "the next one": CHAIN.replace("*(u64 *)(r3 + 0)\n", "*(u64 *)(r3 + 8)\n"),
    "to another place": CHAIN.replace("*(u64 *)(r3 + 0) =", "*(u64 *)(r1 + 0) =") + "\nr1 += 8",
    "to an index": CHAIN.replace("*(u64 *)(r3 + 0) =", "r7 = r1\nr7 += r5\n*(u32 *)(r7 + 0) =") + "\nr5 += 4",
    "a jump on the way": CHAIN.replace("r6 ^= r0", "r6 ^= r0\ngoto on\non:"),
}
NO = {
    "nothing but a sum": "r6 = *(u64 *)(r3 + 0)\nr0 += r6\nr3 += 8",  # LLVM does that
    "two operators in turns": CHAIN.replace("r6 ^= r0", "r6 ^= r0\nr0 *= 31"),
    "no associative operator": CHAIN.replace("r0 += r6", "r0 <<= 1"),
    "the product, with 64 bits": CHAIN.replace("r0 += r6", "r0 *= r6"),
    "division": CHAIN.replace("r6 ^= r0", "r6 /= r0"),
    "an atomic operation": CHAIN.replace("*(u64 *)(r3 + 0) =", "lock *(u64 *)(r3 + 0) +="),
    "gaps": CHAIN.replace("r3 += 8", "r3 += 16"),
    "backwards": CHAIN.replace("r3 += 8", "r3 += -8"),
    "what was just written": CHAIN.replace("*(u64 *)(r3 + 0)\n", "*(u64 *)(r3 - 8)\n"),
    "what was written a few iterations before": CHAIN.replace("*(u64 *)(r3 + 0)\n", "*(u64 *)(r3 - 24)\n"),
    "the sum, in memory": CHAIN + "\nr6 = *(u64 *)(r10 - 8)\nr0 += r6\n*(u64 *)(r10 - 8) = r0",
    "an end that depends on what is there": CHAIN.replace("r6 ^= r0", "r6 ^= r0\nif r6 == 0 goto end"),
    "the frame pointer": CHAIN.replace("r6 ^= r0", "r6 ^= r0\nr10 = r6"),
    "each the sum of the other": CHAIN.replace("r6 ^= r0", "r0 += r5\nr5 += r0"),
}


@pytest.mark.parametrize("name", [*YES, *NO])
def test_which_loops_are_done_several_iterations_at_a_time(name: str) -> None:
    body = {**YES, **NO}[name]
    (lanes,) = lanes_in(f"r5 = 0\nagain:\n{body}\nif r3 < r4 goto again\nend:\nexit")
    assert (lanes is not None) == (name in YES)


def test_random_loops_are_of_all_kinds() -> None:
    random = Random(9669)
    found = [lanes for _ in range(300) for lanes in lanes_in(chained(random, None)) if lanes]
    assert len(found) > 90
    assert any(lanes.order != tuple(sorted(lanes.order)) for lanes in found)
    assert any(len(lanes.running) > 1 for lanes in found)
    steps = {(one.step, other.step) for lanes in found for one, other in lanes.apart}
    assert any(one == other for one, other in steps) and any(one != other for one, other in steps)


@pytest.mark.parametrize(("checked", "counted"), [(True, True), (False, True), (False, False)])
def test_vectors_are_loaded_and_stored_as_such(checked: bool, counted: bool) -> None:
    plan = plan_of(assemble_program(f"r3 = r1\nr4 = r1\nr4 += r2\nagain:\n{CHAIN}\nif r3 < r4 goto again\nexit"))
    style = Style("little", swapped=False, optimized=True, checked=checked, counted=counted)
    source = "\n".join(lower_program(plan, style, "program", count(), 1000))
    assert source.count(f"load <{LANES} x i64>") == source.count(f"store <{LANES} x i64>") == 1
