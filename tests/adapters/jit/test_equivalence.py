# SPDX-License-Identifier: Apache-2.0
"""Machine code does what the interpreter does: result, registers, memory, maps, steps, and faults in every detail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpf_isa.adapters.jit.program import Compiler
from bpf_isa.adapters.jit.runtime.llvm import Level
from bpf_isa.reference_vm.faults import Fault, FaultKind, Returned
from bpf_isa.reference_vm.helpers import LINUX_HELPERS
from bpf_isa.reference_vm.interpreter import execute
from bpf_isa.spec.encoding import ByteOrder, Program

from ...programs import SURROUNDINGS, maze, structured, tangled
from .generated import MAP_BYTES, MEMORY_BYTES, Generator, listing, weigh, wild

#: Programs that are compiled in one module.
BATCH = 6
BYTE_ORDERS = st.sampled_from(["little", "big"])
RANDOMS = st.randoms(use_true_random=False)
OWN = {
    "memory": bytes(range(MEMORY_BYTES)),
    "maps": (bytes(range(100, 100 + MAP_BYTES)), b"abc"),
    "helpers": {**LINUX_HELPERS, 77: weigh},
    "btf_helpers": {77: weigh},
    "variables": {1: b"variable"},
}


def agree(
    programs: Sequence[Program],
    byte_order: ByteOrder,
    level: Level,
    budgets: Sequence[int],
    surroundings: Mapping[str, Any] = OWN,
) -> list[Returned | Fault]:
    """Compile ``programs`` together, run each with each budget in both engines, and return the outcomes."""
    outcomes = []
    compiled = Compiler(byte_order, level=level).compile(programs)
    for program, native in zip(programs, compiled, strict=True):
        for budget in budgets:
            expected = execute(program, byte_order=byte_order, budget=budget, **surroundings)
            got = native(**surroundings, budget=budget)
            assert got == expected, listing(program)
            outcomes.append(got)
    return outcomes


def own(random: Random) -> list[Program]:
    """A batch of programs of this folder's generator, some of them without mistakes."""
    sound = [Generator(random, size=20, mistakes=0).generate() for _ in range(BATCH // 2)]
    return [*sound, *(Generator(random, size=20, mistakes=0.05).generate() for _ in range(BATCH // 2))]


@given(RANDOMS, BYTE_ORDERS, st.integers(0, 200))
@settings(max_examples=40)
def test_random_programs_end_alike(random: Random, byte_order: ByteOrder, budget: int) -> None:
    agree(own(random), byte_order, "fast", (budget, 2000))


@pytest.mark.long
@given(RANDOMS, BYTE_ORDERS, st.integers(0, 200))
@settings(max_examples=8)
def test_random_programs_end_alike_when_optimized(random: Random, byte_order: ByteOrder, budget: int) -> None:
    agree(own(random), byte_order, "full", (budget, 2000))


@pytest.mark.long
@given(RANDOMS, BYTE_ORDERS, st.integers(0, 400), st.sampled_from([structured, maze, tangled]))
@settings(max_examples=40)
def test_programs_of_other_kinds_end_alike(random: Random, byte_order: ByteOrder, budget: int, make: Any) -> None:
    agree([make(random) for _ in range(BATCH)], byte_order, "fast", (budget,), SURROUNDINGS)


@pytest.mark.long
@given(RANDOMS, BYTE_ORDERS, st.integers(0, 400), st.sampled_from([structured, maze, tangled]))
@settings(max_examples=8)
def test_programs_of_other_kinds_end_alike_when_optimized(
    random: Random, byte_order: ByteOrder, budget: int, make: Any
) -> None:
    agree([make(random) for _ in range(3)], byte_order, "full", (budget,), SURROUNDINGS)


@given(RANDOMS, BYTE_ORDERS)
@settings(max_examples=25)
def test_instructions_in_no_order_end_alike(random: Random, byte_order: ByteOrder) -> None:
    agree([wild(random, 25) for _ in range(BATCH)], byte_order, "fast", (300,))


@pytest.mark.long
@pytest.mark.parametrize("level", ["fast", "full"])
def test_the_random_programs_show_every_kind_of_end(level: Level) -> None:
    random = Random(9669)
    programs = [program for _ in range(12) for program in own(random)] + [wild(random, 4) for _ in range(60)]
    seen = {
        outcome.kind if isinstance(outcome, Fault) else "returned"
        for outcome in agree(programs, "little", level, (40, 2000))
    }
    # Undecodable bytes are not compiled, and no row of RFC 9669 has an undefined operation.
    never = {FaultKind.UNDEFINED_INSTRUCTION, FaultKind.UNDEFINED_OPERATION, FaultKind.READ_ONLY}
    assert seen == {*FaultKind, "returned"} - never
