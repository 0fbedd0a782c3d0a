# SPDX-License-Identifier: Apache-2.0
"""Code for whole parts of a program changes nothing but the speed: outcome, state, steps and fault are the same."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpf_isa.reference_vm import flow
from bpf_isa.reference_vm.executable import Executable, prepare
from bpf_isa.reference_vm.faults import Fault, FaultKind, Returned
from bpf_isa.reference_vm.interpreter import run
from bpf_isa.reference_vm.machine import Machine
from bpf_isa.reference_vm.units import unit_at
from bpf_isa.spec.asm.assemble import assemble
from bpf_isa.spec.encoding import ByteOrder, Program, decode

from ..programs import SURROUNDINGS, maze, structured, tangled

NEVER = 1 << 62
BYTE_ORDERS = st.sampled_from(["little", "big"])


def outcome(program: Program, byte_order: ByteOrder, budget: int, hot_after: int) -> Returned | Fault:
    machine = Machine(byte_order=byte_order, **SURROUNDINGS)  # type: ignore[arg-type]  # a dictionary of arguments
    return run(Executable(program, byte_order), machine, budget=budget, hot_after=hot_after)


@given(st.randoms(use_true_random=False), BYTE_ORDERS, st.integers(1, 400), st.integers(0, 60))
@settings(max_examples=250)
def test_tangled_programs_end_alike(random: Random, byte_order: ByteOrder, budget: int, hot_after: int) -> None:
    program = tangled(random)
    expected = outcome(program, byte_order, budget, NEVER)
    assert outcome(program, byte_order, budget, 0) == expected
    assert outcome(program, byte_order, budget, hot_after) == expected


@given(st.randoms(use_true_random=False), BYTE_ORDERS, st.integers(0, 200))
@settings(max_examples=150)
def test_structured_programs_end_alike(random: Random, byte_order: ByteOrder, hot_after: int) -> None:
    program = structured(random)
    expected = outcome(program, byte_order, 1 << 16, NEVER)
    assert isinstance(expected, Returned) or expected.kind is FaultKind.BUDGET
    assert outcome(program, byte_order, 1 << 16, 0) == expected
    assert outcome(program, byte_order, 1 << 16, hot_after) == expected


@given(st.randoms(use_true_random=False), st.integers(500, 600), st.integers(0, 99))
@settings(max_examples=300)
def test_any_flow_of_control_is_followed(random: Random, budget: int, hot_after: int) -> None:
    program = maze(random)
    expected = outcome(program, "little", budget, NEVER)
    assert outcome(program, "little", budget, 0) == expected
    assert outcome(program, "little", budget, hot_after) == expected


def nested_loops(depth: int) -> str:
    """Return a program of ``depth`` loops, each of two rounds inside the next, that counts rounds of the innermost."""
    slots = [f"*(u32 *)(r10 - {4 * level + 4})" for level in range(depth)]
    heads = "".join(f"r1 = 2\n{slot} = r1\nloop{level}:\n" for level, slot in enumerate(slots))
    tails = "".join(
        f"r1 = {slot}\nr1 += -1\n{slot} = r1\nif r1 != 0 goto loop{level}\n"
        for level, slot in reversed(list(enumerate(slots)))
    )
    return f"r0 = 0\n{heads}r0 += 1\n{tails}exit"


@pytest.mark.parametrize("depth", [flow.MOST_NESTED_LOOPS - 1, flow.MOST_NESTED_LOOPS + 4])
def test_deeply_nested_loops_run(depth: int) -> None:
    program = decode(assemble(nested_loops(depth)))
    executable = Executable(program)
    result = run(executable, Machine(), hot_after=0, budget=1 << 24)
    assert isinstance(result, Returned)
    assert result.r0 == 1 << depth
    assert (unit_at(executable, 0) is None) == (depth > flow.MOST_NESTED_LOOPS)


def test_a_long_chain_of_conditions_is_not_nested() -> None:
    chain = "".join(f"if r1 == {number} goto out\nr0 += 1\n" for number in range(300))
    text = f"r0 = 0\nr1 = 250\nr2 = 2\nagain:\n{chain}out:\nr2 += -1\nif r2 != 0 goto again\nexit"
    executable = prepare(assemble(text))
    result = run(executable, Machine(), hot_after=0)
    assert isinstance(result, Returned)
    assert result.r0 == 500
    assert unit_at(executable, 0) is not None


@pytest.mark.parametrize("budget", range(1, 40))
def test_a_budget_ends_at_the_same_instruction(budget: int) -> None:
    text = "r1 = 3\nr0 = 0\nloop:\nr0 += r1\nr0 += 1\nr0 += 2\nr0 += 3\nr1 += -1\nif r1 != 0 goto loop\nexit"
    program = decode(assemble(text))
    expected = outcome(program, "little", budget, NEVER)
    assert expected.steps == min(budget, 21)
    assert outcome(program, "little", budget, 0) == expected


def test_a_program_turns_hot_by_itself() -> None:
    executable = prepare(assemble("r1 = 100000\nloop:\nr1 += -1\nif r1 != 0 goto loop\nexit"))
    result = run(executable, Machine())
    assert isinstance(result, Returned)
    assert result.steps == 200_002
    assert executable.units[1] is not None


def test_a_short_program_does_not() -> None:
    executable = prepare(assemble("r1 = 10\nloop:\nr1 += -1\nif r1 != 0 goto loop\nexit"))
    run(executable, Machine())
    assert executable.units == {}


def test_exceptions_of_helper_functions_come_out_unchanged() -> None:
    def fail(machine: Machine, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
        raise KeyError("mine")

    executable = prepare(assemble("call 5\nexit"))
    for hot_after in (0, NEVER):
        with pytest.raises(KeyError, match="mine"):
            run(executable, Machine(helpers={5: fail}), hot_after=hot_after)
