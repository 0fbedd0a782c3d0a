# SPDX-License-Identifier: Apache-2.0
"""What a program finds at entry, frames of local calls, maps, helper functions, and the trace."""

from __future__ import annotations

import errno
from random import Random
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpf_isa.reference_vm.executable import prepare
from bpf_isa.reference_vm.faults import Fault, FaultKind, Returned
from bpf_isa.reference_vm.frames import Frames
from bpf_isa.reference_vm.interpreter import TraceStep, execute, run
from bpf_isa.reference_vm.machine import Machine
from bpf_isa.reference_vm.maps import ArrayMap
from bpf_isa.spec.asm.assemble import assemble
from bpf_isa.spec.encoding import encode

from ..programs import maze

BYTE_ORDERS: tuple[Literal["little", "big"], ...] = ("little", "big")
BOTH = pytest.mark.parametrize("byte_order", BYTE_ORDERS)


def returned(text: str, byte_order: Literal["little", "big"] = "little", **options: object) -> Returned:
    """Run a program that has to return."""
    result = execute(assemble(text, byte_order), byte_order=byte_order, **options)  # type: ignore[arg-type]
    assert isinstance(result, Returned), str(result)
    return result


@given(st.randoms(use_true_random=False))
@settings(max_examples=100)
def test_computing_does_not_depend_on_the_byte_order(random: Random) -> None:
    program = maze(random)
    little = execute(encode(program, "little"), byte_order="little", budget=500)
    assert execute(encode(program, "big"), byte_order="big", budget=500) == little


def test_registers_at_entry() -> None:
    result = returned("exit", memory=b"12345")
    machine = Machine(memory=b"12345")
    assert result.registers == (0, machine.packet, 5, 0, 0, 0, 0, 0, 0, 0, machine.frames.stacks[0].end)
    assert result.memory == b"12345"
    assert returned("exit").registers[:3] == (0, 0, 0)
    assert returned("exit").memory is None


@BOTH
def test_memory_is_in_the_byte_order_of_the_machine(byte_order: Literal["little", "big"]) -> None:
    result = returned("r0 = *(u32 *)(r1 + 1)\n*(u16 *)(r1 + 6) = 258\nexit", byte_order, memory=bytes(range(8)))
    assert result.r0 == int.from_bytes(bytes([1, 2, 3, 4]), byte_order)
    assert result.memory == bytes(range(6)) + (258).to_bytes(2, byte_order)


def test_an_entry_other_than_the_first_slot() -> None:
    assert execute(assemble("r0 = 1\nexit\nr0 = 2\nexit"), entry=2).registers[0] == 2
    with pytest.raises(ValueError, match="slot 9"):
        execute(assemble("exit"), entry=9)


def test_byte_orders_do_not_mix() -> None:
    with pytest.raises(ValueError, match="little-endian"):
        run(prepare(assemble("exit")), Machine(byte_order="big"))


def test_the_input_is_not_changed() -> None:
    data = bytearray(8)
    returned("*(u64 *)(r1 + 0) = -1\nexit", memory=data)
    assert data == bytes(8)


# Frames


def test_a_call_preserves_what_it_must_and_passes_the_rest() -> None:
    result = returned(
        """
        r0 = 10; r1 = 11; r2 = 12; r3 = 13; r4 = 14; r5 = 15; r6 = 16; r7 = 17; r8 = 18; r9 = 19
        call local f
        exit
        f:
        r0 += 1; r1 += 1; r2 += 1; r3 += 1; r4 += 1; r5 += 1; r6 += 1; r7 += 1; r8 += 1; r9 += 1
        exit
        """.replace(";", "\n")
    )
    assert result.registers[:10] == (11, 12, 13, 14, 15, 16, 16, 17, 18, 19)


def test_frames_are_distinct_and_can_be_reached_by_pointers() -> None:
    result = returned(
        """
        *(u64 *)(r10 - 8) = 5
        r1 = r10
        call local f
        r0 = *(u64 *)(r10 - 8)
        exit
        f:
        *(u64 *)(r10 - 8) = 6
        r2 = *(u64 *)(r1 - 8)
        r2 += 2
        *(u64 *)(r1 - 8) = r2
        exit
        """
    )
    assert result.r0 == 7


def test_calls_nest_to_eight_frames() -> None:
    text = "r6 = r1\nr0 += 1\nif r0 == {} goto +1\ncall local -4\nexit"
    assert returned(text.format(8)).r0 == 8
    result = execute(assemble(text.format(9)))
    assert isinstance(result, Fault)
    assert result.kind is FaultKind.CALL_DEPTH


def test_a_new_frame_is_zero() -> None:
    text = "call local f\ncall local f\nexit\nf:\nr0 = *(u64 *)(r10 - 512)\n*(u64 *)(r10 - 512) = 7\nexit"
    assert returned(text).r0 == 0


def test_another_frame_discipline_can_stand_in() -> None:
    class Forgetful(Frames):
        def leave(self, registers: list[int]) -> int | None:
            kept = registers[6:10]
            back = super().leave(registers)
            registers[6:10] = kept
            return back

    text = "r6 = 1\ncall local f\nr0 = r6\nexit\nf:\nr6 = 2\nexit"
    assert returned(text).r0 == 1
    assert returned(text, frames=Forgetful).r0 == 2


@pytest.mark.parametrize("off", [-40, -1, 1, 40])
def test_a_discipline_that_returns_elsewhere_cannot_break_the_interpreter(off: int) -> None:
    class Astray(Frames):
        def leave(self, registers: list[int]) -> int | None:
            back = super().leave(registers)
            return None if back is None else back + off

    result = execute(assemble("call local f\nexit\nf:\nexit"), frames=Astray, budget=50)
    assert isinstance(result, Returned | Fault)
    assert abs(off) == 1 or (isinstance(result, Fault) and result.kind is FaultKind.BAD_JUMP)


# Maps, variables and code addresses


@BOTH
def test_map_values_by_address_and_by_helper_function(byte_order: Literal["little", "big"]) -> None:
    result = returned(
        """
        r6 = map_val(map_by_idx(1)) + 4
        r0 = *(u32 *)(r6 + 0)
        *(u32 *)(r10 - 4) = 0
        r1 = map_by_fd(1)
        r2 = r10
        r2 += -4
        call 1
        r0 = *(u32 *)(r0 + 4)
        exit
        """,
        byte_order,
        maps=[bytes(4), b"abcdefgh"],
    )
    assert result.r0 == int.from_bytes(b"efgh", byte_order)


@pytest.mark.parametrize(("key", "flags", "expected"), [
    (1, 0, 0), (1, 2, 0), (1, 1, -errno.EEXIST), (2, 0, -errno.E2BIG), (0, 3, -errno.EINVAL),
])  # fmt: skip
def test_update_of_an_array_map(key: int, flags: int, expected: int) -> None:
    result = returned(
        f"""
        *(u32 *)(r10 - 4) = {key}
        *(u64 *)(r10 - 16) = -1
        r1 = map_by_fd(0)
        r2 = r10
        r2 += -4
        r3 = r10
        r3 += -16
        r4 = {flags}
        call 2
        exit
        """,
        maps=[ArrayMap(b"abcdef" * 2, entries=2)],
    )
    assert result.r0 == expected % (1 << 64)
    second = b"\xff" * 6 if expected == 0 else b"abcdef"
    assert result.maps == (b"abcdef\0\0" + second + b"\0\0",)


@pytest.mark.parametrize(("key", "found"), [(0, True), (2, True), (3, False), (-1, False)])
def test_lookup_in_an_array_map(key: int, found: bool) -> None:
    text = f"*(u32 *)(r10 - 4) = {key}\nr1 = map_by_fd(0)\nr2 = r10\nr2 += -4\ncall 1\nexit"
    table = ArrayMap(bytes(12), entries=3)
    base = Machine(maps=[table]).maps[0].region.base
    assert returned(text, maps=[table]).r0 == (base + 8 * key if found else 0)


def test_nothing_can_be_deleted_from_an_array_map() -> None:
    text = "*(u32 *)(r10 - 4) = 0\nr1 = map_by_fd(0)\nr2 = r10\nr2 += -4\ncall 3\nexit"
    assert returned(text, maps=[bytes(8)]).r0 == -errno.EINVAL % (1 << 64)


def test_a_map_is_not_its_value() -> None:
    result = execute(assemble("r1 = map_by_fd(0)\nr0 = *(u8 *)(r1 + 0)\nexit"), maps=[bytes(8)])
    assert isinstance(result, Fault)
    assert result.kind is FaultKind.OUT_OF_BOUNDS


def test_platform_variables() -> None:
    assert returned("r1 = var_addr(9)\nr0 = *(u8 *)(r1 + 2)\nexit", variables={9: b"abc"}).r0 == ord("c")


def test_code_addresses_tell_instructions_apart_and_cannot_be_read() -> None:
    text = "r1 = code_addr(+3)\nr2 = code_addr(+1)\nr0 = r1\nr0 -= r2\nexit"
    assert returned(text).r0 == 0
    result = execute(assemble("r1 = code_addr(+1)\nr0 = *(u8 *)(r1 + 0)\nexit"))
    assert isinstance(result, Fault)
    assert result.kind is FaultKind.OUT_OF_BOUNDS


def test_helper_functions_get_their_arguments_and_give_r0() -> None:
    seen: list[tuple[int, ...]] = []

    def helper(machine: Machine, *arguments: int) -> int:
        seen.append(arguments)
        return -1

    text = "r1 = 1\nr2 = 2\nr3 = 3\nr4 = 4\nr5 = -5\ncall 8\nr6 = r0\ncall btf 9\nexit"
    result = returned(text, helpers={8: helper}, btf_helpers={9: helper})
    assert seen == [(1, 2, 3, 4, (1 << 64) - 5)] * 2
    assert result.registers[6] == result.r0 == (1 << 64) - 1


# Going on in the middle, and the trace


def test_an_execution_can_go_on_from_elsewhere() -> None:
    machine = Machine()
    machine.registers[1] = 40
    result = run(prepare(assemble("r1 = 0\nr1 += 2\nr0 = r1\nexit")), machine, pc=1, steps=100, budget=103)
    assert isinstance(result, Returned)
    assert (result.r0, result.steps) == (42, 103)


def test_the_trace_tells_what_each_step_changed() -> None:
    steps: list[TraceStep] = []
    result = returned("r0 = 5\nr6 = 7 ll\ncall local f\nexit\nf:\nr6 = 1\nexit", trace=steps.append)
    frames = Machine()
    outer = frames.frames.stacks[0].end
    frames.frames.enter(frames.registers, 0)
    inner = frames.frames.stacks[1].end
    assert [(step.number, step.pc, step.decoded.instruction.name, step.changed) for step in steps] == [
        (0, 0, "MOV64_K", {0: 5}),
        (1, 1, "LD_IMM64", {6: 7}),
        (2, 3, "CALL_LOCAL", {10: inner}),
        (3, 5, "MOV64_K", {6: 1}),
        (4, 6, "EXIT", {6: 7, 10: outer}),
        (5, 4, "EXIT", {}),
    ]
    assert result.steps == len(steps)


def test_the_trace_has_the_step_that_failed() -> None:
    steps: list[TraceStep] = []
    result = execute(assemble("r0 = 1\nr0 = *(u8 *)(r0 + 0)\nexit"), trace=steps.append)
    assert isinstance(result, Fault)
    assert [step.pc for step in steps] == [0, 1]
    assert result == execute(assemble("r0 = 1\nr0 = *(u8 *)(r0 + 0)\nexit"))


def test_the_trace_of_a_long_program_is_complete() -> None:
    steps: list[TraceStep] = []
    result = returned("r1 = 3000\nloop:\nr1 += -1\nif r1 != 0 goto loop\nexit", trace=steps.append)
    assert [step.number for step in steps] == list(range(result.steps))
    assert result.steps == 6002
