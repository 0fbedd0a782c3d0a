# SPDX-License-Identifier: Apache-2.0
"""Other readings of the RFC: each is another meaning of instructions that exist."""

from __future__ import annotations

import pytest

from bpf_isa.reference_vm.executable import prepare
from bpf_isa.reference_vm.interpreter import run
from bpf_isa.reference_vm.machine import Machine
from bpf_isa.spec.asm.assemble import assemble
from bpf_isa.spec.readings import other_readings
from bpf_isa.spec.requirements import load_errata
from bpf_isa.spec.table import isa

READINGS = [(erratum, name) for erratum, rows in other_readings().items() for name in rows]


def test_no_text_is_passed_over() -> None:
    told = {erratum.id for erratum in load_errata().values() if any(item.otherwise for item in erratum.opcodes)}
    assert told == other_readings().keys()


@pytest.mark.parametrize(("erratum", "name"), READINGS)
def test_a_reading_is_another_meaning_of_the_row(erratum: str, name: str) -> None:
    """And of its operands only."""
    row, other = isa().by_name[name], other_readings()[erratum][name]
    assert other.means != row.means
    assert (other.reads | other.writes) & row.fields.keys() <= set(row.operands)


@pytest.mark.parametrize(
    ("erratum", "text", "as_decided", "as_read_otherwise"),
    [
        ("end-clears-upper-bits", "r0 = 0x123456 ll; r0 = bswap16 r0", 0x5634, 0x125634),
        ("end-clears-upper-bits", "r0 = 0x1234; r0 = bswap16 r0", 0x3412, 0x3412),
        ("signed-division-overflow", "w0 = -0x80000000; w0 s/= -1", 1 << 31, (1 << 31) - 1),
        ("signed-division-overflow", "w0 = -0x80000000; w1 = -1; w0 s%= w1", 0, (1 << 32) - 1),
        ("signed-division-overflow", "r0 = 1; r0 <<= 63; r0 s/= -1", 1 << 63, (1 << 63) - 1),
        ("signed-division-overflow", "r0 = 1; r0 <<= 63; r1 = -1; r0 s%= r1", 0, (1 << 64) - 1),
        ("signed-division-overflow", "r0 = -14; r0 s/= -1", 14, 14),
        ("signed-division-overflow", "w0 = -0x80000000; w0 s/= 0", 0, 0),
        (
            "fetch32-zero-extends",
            "r0 = 0x700000001 ll; w0 = atomic_fetch_add((u32 *)(r1 + 0), w0)",
            0x5555,
            0x7_0000_5555,
        ),
        ("cmpxchg-and-fetch", "r2 = 9; r0 = 3; r0 = cmpxchg_64(r1 + 0, r0, r2); r0 = r2", 9, 0x5555),
        (
            "cmpxchg32-compares-low-half",
            "r0 = 0x100005555 ll; w2 = 9; w0 = cmpxchg32_32(r1 + 0, w0, w2); w0 = *(u32 *)(r1 + 0)",
            9,
            0x5555,
        ),
        ("packet-access-undefined", "r6 = r1; r0 = *(u8 *)skb[0]", 0x55, 0),
    ],
)
def test_what_a_reading_does(erratum: str, text: str, as_decided: int, as_read_otherwise: int) -> None:
    rows = other_readings()[erratum]
    executable = prepare(assemble(f"{text}; exit"))
    changes = {
        slot: item._replace(instruction=rows[item.instruction.name])
        for slot, item in enumerate(executable.program)
        if item and item.instruction.name in rows
    }
    assert changes
    outcomes = [
        run(program, Machine(memory=b"UU" + bytes(6))) for program in (executable, executable.replaced(changes))
    ]
    assert [outcome.registers[0] for outcome in outcomes] == [as_decided, as_read_otherwise]
