# SPDX-License-Identifier: Apache-2.0
"""Contexts of instructions, and machines whose fault is confined to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpf_isa.reference_vm.contexts.confine import Confinement
from bpf_isa.reference_vm.contexts.context import Context, all_contexts, context, held, is_possible
from bpf_isa.reference_vm.contexts.fields import LABELS, is_bitmask, labels, numbers
from bpf_isa.reference_vm.contexts.points import Point, Surroundings
from bpf_isa.reference_vm.executable import prepare
from bpf_isa.reference_vm.faults import Returned
from bpf_isa.reference_vm.interpreter import run
from bpf_isa.reference_vm.machine import Machine
from bpf_isa.spec.asm.assemble import assemble
from bpf_isa.spec.errors import InputError
from bpf_isa.spec.table import isa


def _held(text: str, slot: int) -> set[str]:
    program = prepare(assemble(text)).program
    item = program[slot]
    assert item is not None
    return {str(one) for one in held(Point(Surroundings(program), slot, item))}


_PROGRAM = """
    r1 = 5
    w1 += 7
    if w1 == 12 goto next
    r1 <<= r1
next:
    r0 = r1
    call local function
    exit
function:
    r0 = 0
    exit
"""


@pytest.mark.parametrize(
    ("slot", "expected", "not_expected"),
    [
        (1, {"before: move64", "after: condition32", "used by: condition32", "fed by: move64"}, {"slot: from 1024"}),
        (1, {"first operand: constant", "dst: r0 to r5"}, {"block: first"}),
        (2, {"block: last", "distance: 1", "first operand: computed"}, {"offset: 1"}),
        (3, {"block: first", "block: last", "registers: one"}, {"imm: 0"}),
        (4, {"reached by: a forward jump", "reached by: a jump and the instruction before"}, {"reached by: a call"}),
        (4, {"second operand: unknown", "src: r0 to r5"}, set()),
        (6, {"function: its end, before another function", "fed by: local call"}, set()),
        (7, {"reached by: a call"}, {"fed by: exit"}),
    ],
)
def test_a_point_is_in_its_contexts(slot: int, expected: set[str], not_expected: set[str]) -> None:
    found = _held(_PROGRAM, slot)
    assert expected <= found
    assert not found & not_expected


def test_far_slots_and_large_programs() -> None:
    found = _held("r0 = 0\n.rept 5000\nr0 += 1\n.endr\nexit\n", 4500)
    assert {"slot: from 1024", "slot: from 4096", "program: more than 4096 slots"} <= found
    assert "slot: from 32768" not in found


def test_operands_and_results_across_other_instructions() -> None:
    text = "r6 = 3\nr7 = 2\nr7 /= 2\nr6 += 1\nr8 = 9\nr8 *= 2\nr6 += r7\nexit\n"
    assert "operand across: division" in _held(text, 3)
    assert "result across: division" in _held(text, 0)
    assert "result across: division" not in _held(text, 3)


@given(st.integers(-(1 << 31), (1 << 31) - 1))
def test_a_number_has_the_labels_that_say_so(number: int) -> None:
    found = labels(number)
    assert ("a power of two" in found) == (number > 0 and number.bit_count() == 1)
    assert ("above 12 bits signed" in found) == (number > 2047)
    assert ("no low half" in found) == (number != 0 and number % 65536 == 0)


def test_every_label_is_that_of_a_number() -> None:
    assert frozenset().union(*map(labels, numbers(-(1 << 31), (1 << 31) - 1))) == frozenset(LABELS)


@pytest.mark.parametrize(
    ("number", "width", "expected"),
    [
        (1, 32, True),
        (0xFF00FF, 32, True),
        (0, 32, False),
        (-1, 32, False),
        (5, 32, False),
        (-2, 64, True),
        (6, 64, True),
    ],
)
def test_bit_masks_of_arm(number: int, width: int, expected: bool) -> None:
    assert is_bitmask(number, width) is expected


def test_contexts_are_written_as_feature_and_value() -> None:
    for one in all_contexts():
        assert context(str(one)) == one
    with pytest.raises(InputError, match="there is no context 'after: rain'"):
        context("after: rain")


def test_what_holds_is_possible() -> None:
    program = prepare(assemble(_PROGRAM)).program
    for slot, item in enumerate(program):
        if item is not None:
            for one in held(Point(Surroundings(program), slot, item)):
                assert is_possible(item.instruction, one), (slot, one)


@pytest.mark.parametrize(
    ("name", "where", "possible"),
    [
        ("ADD64_K", "used by: load", True),
        ("MOV64_K", "used by: load", False),
        ("AND64_X", "used by: load", False),
        ("EXIT", "operand across: division", True),
        ("EXIT", "operand across: call", False),
        ("LD_IND_B", "second operand: constant", True),
        ("LDX_MEM_B", "second operand: constant", False),
        ("LDX_MEM_B", "fed by: address", True),
        ("XOR32_X", "fed by: address", False),
        ("ST_MEM_B", "fed by: shift64", False),
        ("STX_MEM_B", "fed by: shift64", True),
        ("LDX_MEM_B", "memory: crosses 64 bytes", False),
        ("JA", "distance: -1", False),
        ("JEQ64_K", "distance: -1", True),
        ("LSH32_K", "offset: 0", False),
        ("JA", "used by: load", False),
    ],
)
def test_which_contexts_an_instruction_can_be_in(name: str, where: str, possible: bool) -> None:
    assert is_possible(isa().by_name[name], context(where)) is possible


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ([], 3),
        (["execution: from the 2nd"], 2),
        (["depth: 2"], 0),
        (["before: 64-bit constant"], 0),
        (["before: move64", "process: after another one"], 0),
        (["reached by: a backward jump"], 3),
    ],
)
def test_a_fault_is_confined(where: list[str], expected: int) -> None:
    """A loop counts to 4 by ADD64_K; where the fault is, SUB64_K is executed: r0 is less by 2 for each."""
    text = "r0 = 10\nr1 = 0\nagain:\nr0 += 1\nr1 += 1\nif r1 != 3 goto again\nexit\n"
    right = prepare(assemble(text))
    faulty = right.program[2]
    assert faulty is not None
    changes = {2: faulty._replace(instruction=isa().by_name["SUB64_K"])}
    made = Confinement(map(context, where)).executable(right, changes)
    result = run(made, Machine(), hot_after=0)
    assert isinstance(result, Returned)
    assert result.r0 == 13 - 2 * expected


def test_a_fault_of_later_programs() -> None:
    right = prepare(assemble("r0 = 1\nexit\n"))
    first = right.program[0]
    assert first is not None
    confinement = Confinement([Context("process", "after another one")])
    results = []
    for _ in range(2):
        result = run(confinement.executable(right, {0: first._replace(imm=2)}), Machine())
        assert isinstance(result, Returned)
        results.append(result.r0)
    assert results == [1, 2]
