# SPDX-License-Identifier: Apache-2.0
"""The mutants of meanings: what they are, and that they make sense."""

import pytest

from bpf_isa.conformance.adequacy.mutant import Mutant
from bpf_isa.conformance.adequacy.mutants import mutants_of
from bpf_isa.spec.encoding import make
from bpf_isa.spec.table import Instruction, isa
from bpf_isa.spec.unparse import render

from .well_typed import faults

TABLE = isa()


def mutants(name: str) -> tuple[Mutant, ...]:
    return mutants_of(TABLE.by_name[name], TABLE)


@pytest.mark.parametrize("row", TABLE.instructions, ids=lambda row: row.name)
def test_mutants_differ_in_name_and_are_well_typed(row: Instruction) -> None:
    found = mutants_of(row, TABLE)
    assert len({mutant.id for mutant in found}) == len(found) > 10
    assert [mutant.id for mutant in found if mutant.means == row.means and not mutant.shift] == []
    assert {mutant.id: bad for mutant in found if (bad := faults(row, mutant.means))} == {}


# What the adequacy of a suite is measured by: one mutant of each kind of fault, as pseudocode.
FAULTS = [
    # casts dropped, widened, narrowed, with the other sign
    ("ADD32_X", "dst = dst + src"),
    ("ADD32_X", "dst = (s64)(s32)((u32)dst + (u32)src)"),
    ("ADD64_K", "dst = dst + (s64)(u32)imm"),
    ("ADD64_K", "dst = dst + (s64)(s16)imm"),
    ("ADD64_X", "dst = (u32)dst + (u32)src"),
    ("ADD64_X", "dst = dst + (u64)(s64)(s32)src"),
    ("MOVSX64_8", "dst = (u8)src"),
    ("MOVSX64_8", "dst = src"),
    ("LDX_MEMSX_H", "dst = *(u16 *)(src + offset)"),
    ("LD_IMM64", "dst = (u64)(u32)next_imm << 32 | (u64)(s32)(u32)imm"),
    ("MOV32_K", "dst = (s64)imm"),
    # operators and operands
    ("DIV64_X", "dst = src != 0 ? dst s/ src : 0"),
    ("SDIV32_K", "dst = (u32)(imm != 0 ? (s32)dst / imm : 0)"),
    ("SDIV32_K", "dst = (u32)(imm != 0 ? imm s/ (s32)dst : 0)"),
    ("AND64_X", "dst = dst | src"),
    ("LSH32_K", "dst = (u32)dst >> (imm & 31)"),
    ("ARSH64_X", "dst = (s64)dst >> (src & 63)"),
    ("JGT64_X", "PC += offset if dst >= src"),
    ("JGT64_X", "PC += offset if dst s> src"),
    ("JGT64_X", "PC += offset if src > dst"),
    ("SUB64_X", "dst = src - dst"),
    # shift masks, constants, arms
    ("LSH64_X", "dst = dst << src"),
    ("LSH64_X", "dst = dst << (src & 31)"),
    ("RSH32_X", "dst = (u32)dst >> ((u32)src & 63)"),
    ("DIV64_X", "dst = src != 1 ? dst / src : 0"),
    ("DIV64_X", "dst = src != 0 ? dst / src : 1"),
    ("DIV64_X", "dst = dst / src"),
    ("MOD64_X", "dst = dst"),
    ("JEQ32_K", "PC += offset if (u32)0 != 0"),
    ("JEQ32_K", "PC += offset if (u32)0 == 0"),
    # statements and their order
    ("ADD64_X", ""),
    ("STX_MEM_W", ""),
    ("EXIT", ""),
    ("ATOMIC_FETCH_ADD32", "lock { old = *(u32 *)(dst + offset); *(u32 *)(dst + offset) = old + (u32)src }"),
    (
        "ATOMIC_FETCH_ADD32",
        "lock { old = *(u32 *)(dst + offset); src = old; *(u32 *)(dst + offset) = old + (u32)src }",
    ),
    (
        "ATOMIC_CMPXCHG32",
        "lock { old = *(u32 *)(dst + offset); *(u32 *)(dst + offset) = (u64)old == r0 ? (u32)src : old; r0 = old }",
    ),
    # jumps
    ("JA", "PC += (s64)(s8)offset"),
    ("JA", "PC += (s64)(u16)offset"),
    ("JA", "PC += (s64)offset + 1"),
    ("JA32", "PC += (s64)(s16)imm"),
    ("CALL_LOCAL", "call PC += (s64)(s16)imm"),
    # memory
    ("LDX_MEM_W", "dst = bswap32(*(u32 *)(src + offset))"),
    ("LDX_MEM_W", "dst = (u32)*(u16 *)(src + offset)"),
    ("STX_MEM_H", "*(u32 *)(dst + offset) = (u32)src"),
    ("STX_MEM_H", "*(u8 *)(dst + offset) = (u8)(u16)src"),
    ("STX_MEM_H", "*(u16 *)(dst + (s64)(u16)offset) = (u16)src"),
    # another instruction, another register
    ("ADD32_X", "dst = dst + src"),
    ("BE16", "dst = bswap16((u16)dst)"),
    ("ADD64_X", "dst = dst + src; r7 = (u32)r7"),
    ("LDX_MEM_DW", "before = dst; dst = 0; dst = *(u64 *)(src + offset)"),
]


@pytest.mark.parametrize(("name", "text"), FAULTS)
def test_the_fault_is_among_the_mutants(name: str, text: str) -> None:
    assert text in {render(mutant.means) for mutant in mutants(name)}


GUARDS = [
    ("ADD64_X", "dst is r3 and src is r3"),
    ("ADD64_X", "dst is r0 and src is r9"),
    ("STX_MEM_W", "dst is r10 and src is r4"),
    ("ADD64_K", "imm < 0"),
    ("ADD64_K", "imm == 2048"),
    ("LSH64_K", "imm & 63 == 32"),
    ("LDX_MEM_B", "offset == -32768"),
    ("JEQ64_X", "offset > 127"),
    ("JA32", "imm > 32767"),
]


@pytest.mark.parametrize(("name", "when"), GUARDS)
def test_there_are_faults_of_single_encodings(name: str, when: str) -> None:
    assert when in {" and ".join(str(test) for test in mutant.when) for mutant in mutants(name)}


def test_no_fault_needs_a_program_to_write_r10() -> None:
    conditions = {str(test) for mutant in mutants("ADD64_X") for test in mutant.when}
    assert "src is r10" in conditions
    assert "dst is r10" not in conditions


def test_conditions_select_encodings() -> None:
    row = TABLE.by_name["ADD64_X"]
    (mutant,) = (m for m in mutants("ADD64_X") if m.id.endswith("when dst is r3 and src is r4"))
    assert mutant.applies(make(row, dst=3, src=4))
    assert not mutant.applies(make(row, dst=4, src=3))


def test_a_neighbour_is_written_in_place_of_the_operand() -> None:
    row = TABLE.by_name["ADD64_X"]
    (mutant,) = (m for m in mutants("ADD64_X") if m.what == "writes the register +1 from dst")
    assert render(mutant.means_for(9, 2)) == "r0 = dst + src"
    assert render(mutant.means_for(4, 2)) == "r5 = dst + src"
    assert mutant.instruction_for(make(row, dst=4)) is mutant.instruction_for(make(row, dst=4))


def test_calls_may_change_what_they_need_not_preserve() -> None:
    clobbered = {int(m.what[-1]) for m in mutants("CALL_HELPER") if m.family == "clobber"}
    assert clobbered == {6, 7, 8, 9}
    assert {int(m.what[-1]) for m in mutants("EXIT") if m.family == "clobber"} == {0}


OPEN = [
    # A jump to itself never ends.
    ("JA", "jumps wrong when offset == -1"),
    ("JA32", "jumps wrong when imm == -1"),
    # Nothing tells by which numbers a platform knows its maps, or where code is.
    ("LD_MAP_FD", "executes LD_MAP_IDX"),
    ("LD_MAP_IDX_VALUE", "executes LD_MAP_FD_VALUE"),
    ("LD_CODE_ADDR", "imm is one too high"),
    # Not all machines have atomic operations at addresses that are not aligned.
    ("ATOMIC_ADD64", "aligns the address to 4 bytes"),
    # Packet access may change R1 to R5.
    ("LD_ABS_B", "changes r1"),
]


@pytest.mark.parametrize(("name", "what"), OPEN)
def test_behaviour_that_the_rfc_permits_is_no_fault(name: str, what: str) -> None:
    assert f"{name}: {what}" not in {mutant.id for mutant in mutants(name)}


def test_similar_changes_are_faults() -> None:
    for name, what in (
        ("JEQ64_K", "jumps wrong when offset == -1"),
        ("LD_MAP_FD", "executes LD_MAP_FD_VALUE"),
        ("STX_MEM_DW", "aligns the address to 4 bytes"),
        ("LD_ABS_B", "changes r7"),
    ):
        assert f"{name}: {what}" in {mutant.id for mutant in mutants(name)}
