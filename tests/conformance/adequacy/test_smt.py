# SPDX-License-Identifier: Apache-2.0
"""What the solver says about mutants, and that the interpreter agrees."""

import random

import pytest

from bpf_isa.conformance.adequacy import smt
from bpf_isa.conformance.adequacy.mutant import Mutant
from bpf_isa.conformance.adequacy.mutants import mutants_of
from bpf_isa.conformance.adequacy.suggest import suggest
from bpf_isa.reference_vm.faults import Returned
from bpf_isa.reference_vm.interpreter import execute
from bpf_isa.spec.encoding import Decoded, Program, make
from bpf_isa.spec.pseudocode import parse
from bpf_isa.spec.table import isa

TABLE = isa()


def mutant(name: str, means: str) -> Mutant:
    return Mutant(TABLE.by_name[name], "", "", parse(means))


EQUIVALENT = [
    ("ADD64_X", "dst = src + dst"),
    ("ADD32_X", "dst = (u32)(dst + src)"),
    ("MUL32_X", "dst = (u32)(dst * src)"),
    ("DIV32_X", "dst = (u32)((u64)(u32)src != 0 ? (u64)(u32)dst / (u64)(u32)src : 0)"),
    ("SDIV32_X", "dst = (u32)((u32)src != 0 ? (s64)(s32)dst s/ (s64)(s32)src : 0)"),
    ("SMOD64_X", "dst = (src != 0) ? (s64)dst s% -(s64)src : (s64)dst"),
    ("MOV64_X", "dst = src | src"),
    ("LSH64_X", "dst = dst << ((src & 255) & 63)"),
    ("BE16", "dst = (u16)be16((u16)dst)"),
    ("JNE64_X", "PC += offset if (dst ^ src) != 0"),
    ("ATOMIC_AND64", "lock { old = *(u64 *)(dst + offset); *(u64 *)(dst + offset) = src & old }"),
    ("LDX_MEM_W", "dst = (u64)(u32)*(s32 *)(src + offset)"),
    # No program is so long, no packet.
    ("JA32", "PC += ((s64)imm << 46) s>> 46"),
    ("LD_ABS_B", "r0 = *(u8 *)(packet + (u64)(u16)imm)"),
]


@pytest.mark.parametrize(("name", "means"), EQUIVALENT)
def test_the_solver_proves_that_it_means_the_same(name: str, means: str) -> None:
    assert smt.compare(mutant(name, means)).verdict == "equivalent"


DIFFERENT = [
    ("ADD64_X", "dst = dst - src"),
    ("ADD32_X", "dst = dst + src"),
    ("DIV64_X", "dst = (src != 0) ? dst / src : 1"),
    ("SDIV32_X", "dst = (u32)(((u32)src != 0) ? (s32)dst s/ (s32)src : 1)"),
    ("BE16", "dst = bswap16((u16)dst)"),
    ("LE64", "dst = dst"),
    ("JA", "PC += (s64)(s8)offset"),
    ("CALL_HELPER", "call helper_by_btf_id(imm)"),
    ("EXIT", "r0 = 0; return"),
    ("STX_MEM_B", "*(u16 *)(dst + offset) = (u16)src"),
    ("LDX_MEM_W", "dst = *(u32 *)(src + (u64)(u16)offset)"),
]


@pytest.mark.parametrize(("name", "means"), DIFFERENT)
def test_the_solver_finds_operands_for_which_it_differs(name: str, means: str) -> None:
    answer = smt.compare(mutant(name, means))
    assert answer.verdict == "differs"
    assert answer.difference is not None


def test_a_fault_of_aliasing_shows_only_where_registers_coincide() -> None:
    early = mutant("SUB64_X", "before = dst; dst = 0; dst = before - src")
    difference = smt.compare(early).difference
    assert difference is not None
    assert difference.dst == difference.src


def test_le16_and_truncation_differ_on_big_endian_machines_only() -> None:
    difference = smt.compare(mutant("LE16", "dst = (u16)dst")).difference
    assert difference is not None
    assert difference.byte_order == "big"


def test_conditions_of_a_mutant_hold_where_it_differs() -> None:
    row = TABLE.by_name["ADD64_K"]
    (narrow,) = (m for m in mutants_of(row, TABLE) if m.id.endswith("when imm == 2048"))
    difference = smt.compare(narrow).difference
    assert difference is not None
    assert difference.imm == 2048


# Rows without equivalent mutants among those that are compared.
WITHOUT_EQUIVALENTS = ("NEG32", "MOVSX32_16", "SUB64_K")
ROWS = ("ADD32_X", "SUB64_K", "NEG32", "ARSH32_X", "RSH64_K", "MOVSX32_16", "BE32", "JSLT32_X", "JSET64_K", "MOV32_K")


def run(item: Decoded, registers: list[int]) -> Returned | str:
    """What the interpreter makes of one instruction; a jump that is taken skips an assignment to r9."""
    setting: list[Decoded | None] = []
    for number, value in enumerate(registers):
        low, high = value & 0xFFFFFFFF, value >> 32
        wide = make(
            TABLE.by_name["LD_IMM64"], dst=number, imm=low - (low >> 31 << 32), next_imm=high - (high >> 31 << 32)
        )
        setting += [wide, None]
    after = [make(TABLE.by_name["MOV64_K"], dst=9, imm=1), make(TABLE.by_name["EXIT"])]
    program: Program = [*setting, item, *after]
    outcome = execute(program)
    return outcome if isinstance(outcome, Returned) else outcome.kind


@pytest.mark.parametrize("name", ROWS)
def test_equivalent_mutants_agree_for_random_operands(name: str) -> None:
    row, choice = TABLE.by_name[name], random.Random(name)
    equivalent = 0
    for one in mutants_of(row, TABLE):
        if one.family.startswith("only") or one.family == "clobber":
            continue
        if smt.compare(one).verdict != "equivalent":
            continue
        equivalent += 1
        for _ in range(20):
            fields = {
                "dst": choice.randrange(8),
                "src": choice.randrange(8),
                "imm": choice.randrange(-99, 99),
                "offset": 1,
            }
            item = make(row, **{field: fields[field] for field in row.operands})
            registers = [choice.choice([choice.getrandbits(64), choice.getrandbits(8), 0]) for _ in range(9)]
            if not one.applies(item):
                continue
            faulty = item._replace(instruction=one.instruction_for(item))
            assert run(item, registers) == run(faulty, registers), one.id
    assert equivalent or name in WITHOUT_EQUIVALENTS


@pytest.mark.parametrize("name", ROWS)
def test_the_interpreter_confirms_differences_of_the_solver(name: str) -> None:
    """A suggestion is made only if the mutant fails it."""
    found = [one for one in mutants_of(TABLE.by_name[name], TABLE) if not one.family.startswith("only for some enc")]
    missed = []
    for one in found[::5]:
        answer = smt.compare(one)
        chosen_by_program = "r10" not in one.id  # what r10 holds is not
        if chosen_by_program and answer.difference is not None and suggest(one, answer.difference) is None:
            missed.append(one.id)
    assert missed == []
