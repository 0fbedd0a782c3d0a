# SPDX-License-Identifier: Apache-2.0
"""The disassembler: its text assembles to the same bytes, whatever they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpf_isa.spec.asm.assemble import assemble, assemble_program
from bpf_isa.spec.asm.disassemble import disassemble, format_instruction
from bpf_isa.spec.encoding import ByteOrder, Decoded, encode, make
from bpf_isa.spec.table import Instruction, isa

from .programs import byte_orders, code, programs
from .samples import sample, spell


@pytest.mark.parametrize("row", isa().instructions, ids=lambda row: row.name)
def test_every_row(row: Instruction) -> None:
    for item in sample(row):
        text = format_instruction(item)
        assert text == spell(row.asm[0], item)
        assert assemble_program(text) == [item, None][: row.slots]


@given(code(), byte_orders, st.booleans(), st.booleans())
def test_any_bytes_survive_the_round_trip(raw: bytes, byte_order: ByteOrder, labels: bool, slots: bool) -> None:
    text = disassemble(raw, byte_order, labels=labels, slots=slots)
    assert assemble(text, byte_order) == raw


@given(programs(), byte_orders, st.booleans())
def test_programs_survive_the_round_trip(program: list[Decoded], byte_order: ByteOrder, labels: bool) -> None:
    raw = encode(program, byte_order)
    text = disassemble(raw, byte_order, labels=labels)
    assert assemble(text, byte_order) == raw
    assert [item for item in assemble_program(text) if item is not None] == program
    assert ".byte" not in text


@given(programs())
def test_the_text_does_not_depend_on_the_byte_order(program: list[Decoded]) -> None:
    assert disassemble(encode(program, "little"), "little") == disassemble(encode(program, "big"), "big")


PROGRAM = """\
start: if r1 == 3 goto out
r2 = 0x1122334455667788 ll
goto start
call local out
r3 = code_addr(out)
.byte 0xff, 0x01, 2, 3, 4, 5, 6, 7
if w1 s> -1 goto +30
out: exit
goto -9
goto end
end:
"""


def test_without_labels() -> None:
    assert disassemble(assemble(PROGRAM)) == (
        "if r1 == 3 goto +8\n"
        "r2 = 0x1122334455667788 ll\n"
        "goto -4\n"
        "call local +4\n"
        "r3 = code_addr(+3)\n"
        ".byte 0xff, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07  # opcode 0xff is not defined\n"
        "if w1 s> -1 goto +30\n"
        "exit\n"
        "goto -9\n"
        "goto +0\n"
    )


def test_with_labels_and_slots() -> None:
    """What jumps out of the program, or into the middle of an instruction, has no label to go to."""
    assert disassemble(assemble(PROGRAM), labels=True, slots=True) == (
        "L1:\n"
        "    /*  0 */ if r1 == 3 goto L2\n"
        "    /*  1 */ r2 = 0x1122334455667788 ll\n"
        "    /*  3 */ goto L1\n"
        "    /*  4 */ call local L2\n"
        "    /*  5 */ r3 = code_addr(L2)\n"
        "    /*  7 */ .byte 0xff, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07  # opcode 0xff is not defined\n"
        "    /*  8 */ if w1 s> -1 goto +30\n"
        "L2:\n"
        "    /*  9 */ exit\n"
        "    /* 10 */ goto -9\n"
        "    /* 11 */ goto L3\n"
        "L3:\n"
    )


def test_a_label_before_the_rest_of_a_slot() -> None:
    raw = assemble("goto x; x: .byte 1, 2, 3")
    assert disassemble(raw, labels=True) == "    goto L1\nL1:\n    .byte 0x01, 0x02, 0x03  # less than a slot\n"
    assert assemble(disassemble(raw, labels=True)) == raw


def test_why_bytes_are_no_instruction() -> None:
    text = disassemble(bytes.fromhex("0710000000000000 b700010000000000 1800000000000000"))
    reasons = [line.split("# ")[1] for line in text.splitlines()]
    assert reasons == [
        "ADD64_K: src is unused and must be 0, not 1",
        "MOV64_K: offset is unused and must be 0, not 1",
        "LD_IMM64 is wide, but the program ends after it",
    ]


def test_an_instruction_with_a_label() -> None:
    jump = make(isa().by_name["JSGT32_K"], dst=1, imm=-1, offset=-3)
    assert format_instruction(jump) == "if w1 s> -1 goto -3"
    assert format_instruction(jump, "loop") == "if w1 s> -1 goto loop"


def test_nothing() -> None:
    assert disassemble(b"") == ""
