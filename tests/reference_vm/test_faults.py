# SPDX-License-Identifier: Apache-2.0
"""Every kind of fault: which program ends with it, where, and what it says; in both ways of running a program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from bpf_isa.reference_vm.executable import prepare
from bpf_isa.reference_vm.faults import Fault, FaultKind, Returned, Trap
from bpf_isa.reference_vm.interpreter import execute, run
from bpf_isa.reference_vm.machine import Machine
from bpf_isa.spec import pseudocode
from bpf_isa.spec import tree as t
from bpf_isa.spec.asm.assemble import assemble
from bpf_isa.spec.encoding import Decoded
from bpf_isa.spec.table import isa


def refuse(machine: Machine, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    raise Trap(FaultKind.UNKNOWN_MAP, "not today")


@dataclass
class Case:
    kind: FaultKind
    asm: str
    pc: int
    instruction: str | None
    reason: str
    steps: int
    machine: Mapping[str, Any] = field(default_factory=dict)
    region: str | None = None
    budget: int = 1000


STACK = "stack of frame 0"
INPUT = {"memory": bytes(16)}
CASES = {
    "load past the end": Case(
        FaultKind.OUT_OF_BOUNDS, "r0 = 0\nr0 = *(u32 *)(r1 + 13)\nexit", 1, "LDX_MEM_W",
        "read of 4 bytes at 0x100000000d: 1 byte past the end of input memory", 1, INPUT, "input memory",
    ),
    "load far past the end": Case(
        FaultKind.OUT_OF_BOUNDS, "r0 = *(u8 *)(r1 + 20)\nexit", 0, "LDX_MEM_B",
        "4 bytes after the end of input memory", 0, INPUT, "input memory",
    ),
    "load before the start": Case(
        FaultKind.OUT_OF_BOUNDS, "r0 = *(u64 *)(r10 - 513)\nexit", 0, "LDX_MEM_DW",
        "1 byte before the start of stack of frame 0", 0, {}, STACK,
    ),
    "store to no memory": Case(
        FaultKind.OUT_OF_BOUNDS, "r2 = 4096\n*(u16 *)(r2 + 0) = 1\nexit", 1, "ST_MEM_H",
        "write of 2 bytes at 0x1000: far from any region", 1, {}, STACK,
    ),
    "address wraps around": Case(
        FaultKind.OUT_OF_BOUNDS, "r2 = -8\nr0 = *(u64 *)(r2 + 16)\nexit", 1, "LDX_MEM_DW",
        "read of 8 bytes at 0x8: far from any region", 1, {}, STACK,
    ),
    "atomic past the end": Case(
        FaultKind.OUT_OF_BOUNDS, "lock *(u64 *)(r10 - 4) += r1\nexit", 0, "ATOMIC_ADD64",
        "read of 8 bytes at 0x100000001fc: 4 bytes past the end", 0, {}, STACK,
    ),
    "stack of a function that returned": Case(
        FaultKind.OUT_OF_BOUNDS, "call local f\nr0 = *(u8 *)(r0 - 1)\nexit\nf:\nr0 = r10\nexit", 1, "LDX_MEM_B",
        "far from any region", 3, {}, STACK,
    ),
    "packet past the end": Case(
        FaultKind.OUT_OF_BOUNDS, "r0 = *(u32 *)skb[14]\nexit", 0, "LD_ABS_W", "2 bytes past the end", 0, INPUT,
        "input memory",
    ),
    "store to what is read-only": Case(
        FaultKind.READ_ONLY, "r1 = var_addr(3)\n*(u32 *)(r1 + 4) = 1\nexit", 2, "ST_MEM_W",
        "write of 4 bytes at 0x100000000004: variable 3 (0x100000000000 to 0x100000000008) is read-only", 1,
        {"variables": {3: bytes(8)}, "read_only_variables": True}, "variable 3",
    ),
    "write to the frame pointer": Case(
        FaultKind.FRAME_POINTER_WRITE, "r0 = 1\nr10 += 8\nexit", 1, "ADD64_K", "r10 cannot be written", 1,
    ),
    "fetch into the frame pointer": Case(
        FaultKind.FRAME_POINTER_WRITE, "r10 = atomic_fetch_add((u64 *)(r10 - 8), r10)\nexit", 0, "ATOMIC_FETCH_ADD64",
        "r10 cannot be written", 0,
    ),
    "jump past the end": Case(
        FaultKind.BAD_JUMP, "r0 = 1\ngoto +1\nexit", 1, "JA", "slot 3, outside of the program's 3 slots", 1,
    ),
    "jump before the start": Case(
        FaultKind.BAD_JUMP, "if r0 == 0 goto -2\nexit", 0, "JEQ64_K", "slot -1, outside of the program's 2 slots", 0,
    ),
    "jump into a wide instruction": Case(
        FaultKind.BAD_JUMP, "gotol +1\nr0 = 1 ll\nexit", 0, "JA32", "slot 2, the second slot of a wide instruction", 0,
    ),
    "call to outside": Case(
        FaultKind.BAD_JUMP, "call local +9\nexit", 0, "CALL_LOCAL", "slot 10, outside of the program's 2 slots", 0,
    ),
    "no exit": Case(FaultKind.FELL_OFF_END, "r0 = 1\nr0 += 1", 2, None, "past the last instruction", 2),
    "return to the end": Case(
        FaultKind.FELL_OFF_END, "goto +1\nexit\ncall local -2", 3, None, "past the last instruction", 3,
    ),
    "endless loop": Case(FaultKind.BUDGET, "goto -1\nexit", 0, "JA", "not ended after 1000 instructions", 1000),
    "end of budget in straight code": Case(
        FaultKind.BUDGET, "r0 = 1\nr0 = 2\nr0 = 3\nexit", 2, "MOV64_K", "not ended after 2 instructions", 2, budget=2,
    ),
    "endless recursion": Case(
        FaultKind.CALL_DEPTH, "call local -1\nexit", 0, "CALL_LOCAL", "more than 8 frames", 7,
    ),
    "unknown helper": Case(
        FaultKind.UNKNOWN_HELPER, "r0 = 5\ncall 4\nexit", 1, "CALL_HELPER",
        "no helper function with static id 4; known: 1, 2, 3", 1,
    ),
    "unknown BTF helper": Case(
        FaultKind.UNKNOWN_HELPER, "call btf 1\nexit", 0, "CALL_BTF", "no helper function with btf id 1; known: none", 0,
    ),
    "helper that traps": Case(
        FaultKind.UNKNOWN_MAP, "r0 = 5\ncall 9\nexit", 1, "CALL_HELPER", "not today", 1, {"helpers": {9: refuse}},
    ),
    "unknown map": Case(
        FaultKind.UNKNOWN_MAP, "r0 = map_by_fd(1)\nexit", 0, "LD_MAP_FD", "no map 1; the machine has 1", 0,
        {"maps": [bytes(4)]},
    ),
    "no map": Case(
        FaultKind.UNKNOWN_MAP, "r0 = 1\ncall 1\nexit", 1, "CALL_HELPER", "0x0 is no map", 1,
    ),
    "unknown variable": Case(
        FaultKind.UNKNOWN_VARIABLE, "r0 = var_addr(7)\nexit", 0, "LD_VAR_ADDR",
        "no platform variable 7; known are: 2", 0,
        {"variables": {2: bytes(8)}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("hot_after", [0, 1 << 62], ids=["unit", "rows"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_program_ends_with_fault(case: Case, hot_after: int) -> None:
    options = dict(case.machine)
    read_only = options.pop("read_only_variables", False)
    machine = Machine(**options)
    if read_only:
        for region in machine.variables.values():
            machine.memory.remove(region)
            machine.memory.add(region._replace(writable=False))
    result = run(prepare(assemble(case.asm)), machine, budget=case.budget, hot_after=hot_after)
    assert isinstance(result, Fault)
    found = (result.kind, result.pc, result.instruction, result.steps, result.region)
    assert found == (case.kind, case.pc, case.instruction, case.steps, case.region)
    assert case.reason in result.reason
    assert (result.address is None) == (case.region is None)
    assert str(result).startswith(f"{case.kind} at slot {case.pc}")


def test_every_kind_can_happen() -> None:
    elsewhere = {FaultKind.UNDEFINED_INSTRUCTION, FaultKind.UNDEFINED_OPERATION}
    assert {case.kind for case in CASES.values()} | elsewhere == set(FaultKind)


def test_bytes_that_are_no_program() -> None:
    result = execute(assemble("r0 = 1\n.byte 0xff, 0, 0, 0, 0, 0, 0, 0\nexit"), memory=b"abc")
    assert isinstance(result, Fault)
    assert (result.kind, result.pc, result.steps) == (FaultKind.UNDEFINED_INSTRUCTION, 1, 0)
    assert "0xff" in result.reason
    assert (result.memory, result.registers[2]) == (b"abc", 3)


def test_an_empty_program_has_no_end() -> None:
    result = execute(b"")
    assert isinstance(result, Fault)
    assert (result.kind, result.pc) == (FaultKind.FELL_OFF_END, 0)


@pytest.mark.parametrize(
    ("name", "means", "dst", "src", "happens"),
    [
        ("DIV64_X", "dst = dst / src", 7, 0, "divides by zero"),
        ("SDIV64_X", "dst = (s64)dst s/ (s64)src", 7, 0, "divides by zero"),
        ("MOD32_X", "dst = (u32)dst % (u32)src", 7, 1 << 32, "divides by zero"),
        ("SMOD64_X", "dst = (src != 0) ? (s64)dst : (s64)dst s% (s64)src", 7, 0, "divides by zero"),
        ("LSH64_X", "dst = dst << src", 7, 64, "shifts 64 bits by 64"),
        ("RSH32_X", "dst = (u32)dst >> (u32)src", 7, 1 << 31, "shifts 32 bits by 2147483648"),
        ("ARSH64_X", "dst = (s64)dst s>> src", 7, (1 << 64) - 1, "shifts 64 bits by 18446744073709551615"),
    ],
)
@pytest.mark.parametrize("hot_after", [0, 1 << 62], ids=["unit", "rows"])
def test_operations_that_a_changed_row_leaves_undefined(
    name: str, means: str, dst: int, src: int, happens: str, hot_after: int
) -> None:
    result = run_changed(name, lambda row: pseudocode.parse(means), dst, src, hot_after)
    assert isinstance(result, Fault)
    assert (result.kind, result.pc, result.steps) == (FaultKind.UNDEFINED_OPERATION, 4, 2)
    assert happens in result.reason


@pytest.mark.parametrize(
    ("name", "means", "expected"),
    [
        ("DIV64_X", "dst = dst / src", 3),
        ("LSH64_X", "dst = dst << src", 7 << 2),
        ("MOD32_X", "dst = (u32)dst % (u32)src", 1),
    ],
)
def test_operations_that_a_changed_row_defines_for_these_operands(name: str, means: str, expected: int) -> None:
    for hot_after in (0, 1 << 62):
        result = run_changed(name, lambda row: pseudocode.parse(means), 7, 2, hot_after)
        assert isinstance(result, Returned)
        assert result.r0 == expected


def run_changed(
    name: str, change: Callable[[str], tuple[t.Stmt, ...]], dst: int, src: int, hot_after: int
) -> Returned | Fault:
    """Load two numbers and run a row with another meaning on them; the row is at slot 4."""
    table = isa()
    row = table.by_name[name].with_means(change(name))
    mutant = replace(
        table,
        instructions=tuple(row if item.name == name else item for item in table.instructions),
        by_name={**table.by_name, name: row},
        by_opcode={
            opcode: tuple(row if item.name == name else item for item in rows)
            for opcode, rows in table.by_opcode.items()
        },
    )
    code = assemble(f"r0 = {dst} ll\nr1 = {src} ll\n")
    offset = table.by_name[name].fields["offset"]
    item = Decoded(row, dst=0, src=1, offset=getattr(offset, "value", 0))
    executable = prepare([*prepare(code, "little", mutant).program, item, Decoded(table.by_name["EXIT"])])
    return run(executable, Machine(), hot_after=hot_after)
