# SPDX-License-Identifier: Apache-2.0
"""Compiled programs in use: inputs, budgets, frames, helper functions and the sharing of code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Unpack

import pytest

from bpf_isa.adapters.jit.errors import NotLowerable
from bpf_isa.adapters.jit.program import Compiler, compile
from bpf_isa.adapters.jit.runtime.llvm import Level, Timings
from bpf_isa.reference_vm.faults import Fault, FaultKind, Returned, Trap
from bpf_isa.reference_vm.frames import Frames
from bpf_isa.reference_vm.interpreter import execute
from bpf_isa.reference_vm.machine import Helper, Machine, Platform
from bpf_isa.reference_vm.memory import Region
from bpf_isa.spec import pseudocode
from bpf_isa.spec.asm.assemble import assemble, assemble_program
from bpf_isa.spec.encoding import ByteOrder, Decoded, DecodeError, Program, make
from bpf_isa.spec.table import isa

LEVELS: tuple[Level, ...] = ("fast", "full")


def both(
    asm: str, level: Level, memory: bytes | None = None, *, budget: int = 10_000, **more: Unpack[Platform]
) -> Returned | Fault:
    """Run in both engines, compare, and return the outcome."""
    code = assemble(asm)
    expected = execute(code, memory=memory, budget=budget, **more)
    got = compile(code, level=level)(memory, budget=budget, **more)
    assert got == expected
    return got


def test_bytes_in_outcome_out() -> None:
    run = compile(assemble("r0 = *(u32 *)(r1 + 4)\n*(u8 *)(r1 + 0) = 7\nexit"))
    outcome = run(b"\0\0\0\0\x78\x56\x34\x12")
    assert isinstance(outcome, Returned)
    assert outcome.r0 == 0x12345678
    assert outcome.memory == b"\x07\0\0\0\x78\x56\x34\x12"
    assert outcome.steps == 3


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("byte_order", ["little", "big"])
def test_memory_has_the_byte_order_of_the_machine(level: Level, byte_order: ByteOrder) -> None:
    asm = "r0 = *(u32 *)(r1 + 0)\nr2 = r0\nr2 = be32 r2\nr3 = 1\nlock *(u32 *)(r1 + 4) += r3\nexit"
    outcome = compile(assemble(asm, byte_order), byte_order=byte_order, level=level)(bytes([1, 2, 3, 4, 0, 0, 0, 0xFF]))
    assert isinstance(outcome, Returned) and outcome.memory is not None
    assert outcome.r0 == int.from_bytes(bytes([1, 2, 3, 4]), byte_order)
    assert outcome.registers[2] == (0x01020304 if byte_order == "big" else outcome.r0 and 0x01020304)
    assert int.from_bytes(outcome.memory[4:], byte_order) == int.from_bytes(b"\0\0\0\xff", byte_order) + 1


@pytest.mark.parametrize("level", LEVELS)
def test_every_budget_stops_at_the_same_instruction(level: Level) -> None:
    asm = """
        r0 = 3
        r3 = 0
    again:
        *(u64 *)(r10 - 8) = r0
        r3 += 1
        r4 = r3
        r0 += -1
        if r0 != 0 goto again
        call local more
        exit
    more:
        r0 = 9
        exit
    """
    whole = both(asm, level)
    for budget in range(whole.steps + 2):
        outcome = both(asm, level, budget=budget)
        assert isinstance(outcome, Returned) == (budget >= whole.steps)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("asm", "kind"),
    [
        ("r0 = *(u64 *)(r1 + 1)\nexit", FaultKind.OUT_OF_BOUNDS),
        ("r3 = 5\n*(u16 *)(r10 + 0) = r3\nexit", FaultKind.OUT_OF_BOUNDS),
        ("r3 = r10\nr3 += -513\nr0 = *(u8 *)(r3 + 0)\nexit", FaultKind.OUT_OF_BOUNDS),
        ("lock *(u64 *)(r10 - 4) += r1\nexit", FaultKind.OUT_OF_BOUNDS),
        ("r0 = 1\ngoto +5\nexit", FaultKind.BAD_JUMP),
        ("if r1 != 0 goto -7\nexit", FaultKind.BAD_JUMP),
        ("goto +1\nr0 = 0 ll\nexit", FaultKind.BAD_JUMP),
        ("call local +40\nexit", FaultKind.BAD_JUMP),
        ("r0 = 0", FaultKind.FELL_OFF_END),
        ("call local +0\nr0 = 1\ncall local -2\nexit", FaultKind.CALL_DEPTH),
        ("call 12345\nexit", FaultKind.UNKNOWN_HELPER),
        ("r0 = map_by_idx(3)\nexit", FaultKind.UNKNOWN_MAP),
        ("r0 = map_val(map_by_fd(9)) + 4\nexit", FaultKind.UNKNOWN_MAP),
        ("r0 = var_addr(2)\nexit", FaultKind.UNKNOWN_VARIABLE),
        ("r0 = 1\ngoto -2", FaultKind.BUDGET),
    ],
)
def test_faults_are_those_of_the_interpreter(asm: str, kind: FaultKind, level: Level) -> None:
    outcome = both(asm, level, b"8 bytes.")
    assert isinstance(outcome, Fault)
    assert outcome.kind is kind


def test_nothing_at_all_falls_off_the_end() -> None:
    assert compile([])() == execute([])
    assert compile([])(budget=0) == execute([], budget=0)


@pytest.mark.parametrize("level", LEVELS)
def test_a_read_only_region_cannot_be_written(level: Level) -> None:
    run = compile(assemble("r0 = *(u8 *)(r1 + 0)\n*(u8 *)(r1 + 0) = 1\nexit"), level=level)
    machine = Machine(memory=b"x")
    assert machine.input is not None
    machine.memory.remove(machine.input)
    machine.input = machine.memory.add(Region("constants", machine.input.base, bytearray(b"x"), writable=False))
    outcome = run.run(machine)
    assert isinstance(outcome, Fault)
    assert (outcome.kind, outcome.pc, outcome.registers[0]) == (FaultKind.READ_ONLY, 1, ord("x"))


@pytest.mark.parametrize("level", LEVELS)
def test_stacks_are_zero_at_first_whoever_had_them_before(level: Level) -> None:
    # leave_something writes to its stack through R10 and through a copy; look must find zeros, as must peek, which
    # gets at the stack of its frame by a number.
    asm = """
        call local leave_something
        call local look
        r6 = r0
        call local leave_something
        call local peek
        r0 += r6
        exit
    leave_something:
        *(u64 *)(r10 - 8) = -1
        r1 = r10
        *(u64 *)(r1 - 16) = -1
        exit
    look:
        r0 = *(u64 *)(r10 - 8)
        r1 = *(u64 *)(r10 - 16)
        r0 += r1
        exit
    peek:
        r1 = 0x102000001f8 ll
        r0 = *(u64 *)(r1 + 0)
        *(u64 *)(r1 - 8) = 5
        exit
    """
    outcome = both(asm, level)
    assert isinstance(outcome, Returned)
    assert outcome.r0 == 0


@pytest.mark.parametrize("level", LEVELS)
def test_frames_of_callers_can_be_reached_and_those_of_callees_cannot(level: Level) -> None:
    asm = """
        *(u64 *)(r10 - 8) = 40
        r1 = r10
        call local add_two
        r0 = *(u64 *)(r10 - 8)
        r2 = 0x10200000000 ll
        r3 = *(u8 *)(r2 + 0)
        exit
    add_two:
        r2 = *(u64 *)(r1 - 8)
        r2 += 2
        *(u64 *)(r1 - 8) = r2
        exit
    """
    outcome = both(asm, level)
    assert isinstance(outcome, Fault)
    assert outcome.address == 0x10200000000
    assert outcome.registers[0] == 42


@pytest.mark.parametrize("level", LEVELS)
def test_recursion_has_registers_and_stacks_of_its_own(level: Level) -> None:
    asm = """
        r1 = 6
        call local factorial
        exit
    factorial:
        r0 = 1
        if r1 s< 2 goto done
        r6 = r1
        *(u64 *)(r10 - 8) = r1
        r1 += -1
        call local factorial
        r2 = *(u64 *)(r10 - 8)
        r0 *= r2
        r0 *= r6
        r0 /= r2
    done:
        exit
    """
    outcome = both(asm, level)
    assert isinstance(outcome, Returned)
    assert outcome.r0 == 720


# Helper functions


class Mistake(Exception):
    pass


def raising(error: BaseException) -> Helper:
    def helper(machine: Machine, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
        raise error

    return helper


@pytest.mark.parametrize("error", [Mistake("in a helper"), KeyboardInterrupt(), SystemExit(3)])
def test_what_a_helper_raises_comes_out(error: BaseException) -> None:
    run = compile(assemble("call local +1\nexit\ncall 1\nexit"))
    with pytest.raises(type(error)) as caught:
        run(helpers={1: raising(error)})
    assert caught.value is error
    assert isinstance(run(helpers={1: lambda *_: 4}), Returned)


@pytest.mark.parametrize("level", LEVELS)
def test_a_trap_of_a_helper_is_a_fault(level: Level) -> None:
    helper = raising(Trap(FaultKind.OUT_OF_BOUNDS, "not there", 17, "somewhere"))
    outcome = both("r0 = 1\ncall local +1\nexit\nr6 = 5\ncall 1\nexit", level, helpers={1: helper})
    assert isinstance(outcome, Fault)
    assert (outcome.reason, outcome.pc, outcome.registers[6]) == ("not there", 4, 5)


@pytest.mark.parametrize("level", LEVELS)
def test_helpers_get_arguments_and_memory_as_they_are(level: Level) -> None:
    def helper(machine: Machine, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
        machine.store8(r1, machine.load8(r1) + r2 + r5)
        return -1

    asm = """
        *(u64 *)(r10 - 8) = 30
        r1 = r10
        call local inner
        r3 = *(u64 *)(r10 - 8)
        exit
    inner:
        *(u64 *)(r10 - 16) = 1
        r1 += -8
        r2 = 5
        r5 = 7
        call 3
        r4 = *(u64 *)(r10 - 16)
        exit
    """
    outcome = both(asm, level, helpers={3: helper})
    assert isinstance(outcome, Returned)
    assert (outcome.r0, outcome.registers[3]) == ((1 << 64) - 1, 42)


def test_a_helper_may_run_compiled_code_itself() -> None:
    inner = compile(assemble("r0 = 20\ncall 2\nexit"))

    def helper(machine: Machine, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
        outcome = inner(helpers={2: lambda *_: 21})
        assert isinstance(outcome, Returned)
        return 2 * outcome.r0

    outcome = compile(assemble("call 1\nexit"))(helpers={1: helper})
    assert isinstance(outcome, Returned)
    assert outcome.r0 == 42


# Compiling


def test_programs_that_differ_in_64_bit_constants_share_their_code() -> None:
    timings = Timings()
    compiler = Compiler(timings=timings)
    programs = [assemble_program(f"r0 = {value:#x} ll\nr0 += {extra}\nexit") for value, extra in
                [(1, 1), (0xFFFF_FFFF_8000_0000, 1), (0x1234_5678_9ABC_DEF0, 1), (1, 2)]]  # fmt: skip
    compiled = compiler.compile(programs)
    assert [item().registers[0] for item in compiled] == [2, 0xFFFF_FFFF_8000_0001, 0x1234_5678_9ABC_DEF1, 3]
    assert len({item.address for item in compiled}) == 2
    (again,) = compiler.compile([assemble_program("r0 = 7 ll\nr0 += 1\nexit")])
    assert again.address == compiled[0].address
    assert (timings.programs, timings.modules) == (5, 1)


def test_a_program_can_begin_elsewhere() -> None:
    code = assemble("r0 = 1\nexit\nr0 = 2\nexit")
    outcome = compile(code, entry=2)()
    assert outcome == execute(code, entry=2)


def test_code_outlives_its_compiler() -> None:
    compiler = Compiler()
    (program,) = compiler.compile([assemble_program("r0 = 5\nexit")])
    compiler.clear()
    del compiler
    assert program().registers[0] == 5


def test_a_long_program_is_compiled() -> None:
    code = assemble("r0 = 0\n" + "r0 += 1\n" * 20_000 + "exit")
    outcome = compile(code, level="fast")()
    assert isinstance(outcome, Returned)
    assert (outcome.r0, outcome.steps) == (20_000, 20_002)


def test_bytes_that_are_no_program_are_not_compiled() -> None:
    with pytest.raises(DecodeError, match="0xff"):
        compile(b"\xff" + bytes(7))


def test_the_byte_orders_of_program_and_machine_must_agree() -> None:
    run = compile(assemble("exit"))
    with pytest.raises(ValueError, match="big-endian"):
        run.run(Machine(byte_order="big"))


def test_frames_of_another_discipline_are_refused() -> None:
    class Shared(Frames):
        """Smaller stacks, say: compiled code would leave them."""

    machine = Machine()
    machine.frames = Shared(machine.memory)
    with pytest.raises(ValueError, match="Shared is for the interpreter only"):
        compile(assemble("exit")).run(machine)


# Tables that are not RFC 9669's


def altered(name: str, means: str) -> Callable[..., Decoded]:
    row = isa().by_name[name]
    faulty = row.with_means(pseudocode.parse(means))
    return lambda **fields: make(row, **fields)._replace(instruction=faulty)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("name", "means", "operands"),
    [
        ("DIV64_X", "dst = dst / src", [(7, 0), (7, 2)]),
        ("SMOD64_X", "dst = (s64)dst s% (s64)src", [(1 << 63, 0), (1 << 63, -1), (-7, 3)]),
        ("LSH64_X", "dst = dst << src", [(1, 63), (1, 64), (1, 1 << 40)]),
        ("ARSH32_X", "dst = (u32)((s32)dst s>> (u32)src)", [(-8, 1), (-8, 32)]),
        ("ADD64_X", "dst = (src == 0) ? dst / src : dst", [(1, 0), (1, 1)]),
        ("XOR64_X", "dst = (dst == 0) ? (u64)*(u8 *)(src) : dst", [(0, 3), (1, 3)]),
    ],
)
def test_undefined_operations_stop_the_program(
    name: str, means: str, operands: list[tuple[int, int]], level: Level
) -> None:
    make_one = altered(name, means)
    word = 1 << 32
    for dst, src in operands:
        program: Program = []
        for register, value in ((0, dst), (3, src)):
            halves = [half - word if half >> 31 else half for half in (value % word, (value >> 32) % word)]
            program += [make(isa().by_name["LD_IMM64"], dst=register, imm=halves[0], next_imm=halves[1]), None]
        program += [make_one(dst=0, src=3), make(isa().by_name["EXIT"])]
        assert compile(program, level=level)() == execute(program)


def test_a_row_of_another_shape_is_refused_with_its_name() -> None:
    jump = altered("JA", "PC += (s64)src")
    with pytest.raises(NotLowerable, match="JA: PC"):
        compile([jump(offset=0), make(isa().by_name["EXIT"])])
