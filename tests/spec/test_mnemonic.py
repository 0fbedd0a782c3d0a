# SPDX-License-Identifier: Apache-2.0
"""The dialect of mnemonics: every form of every row, what is special about it, and GNU as for what it has in common."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpf_isa.spec.asm.assemble import AsmError, assemble, assemble_program
from bpf_isa.spec.asm.disassemble import disassemble, format_instruction
from bpf_isa.spec.asm.syntax import Syntax
from bpf_isa.spec.encoding import ByteOrder, Decoded, encode
from bpf_isa.spec.table import Instruction, TableError, isa

from .programs import byte_orders, programs
from .samples import sample, spell
from .test_gnu_as import spelling
from .test_table import ADD, build, changed

FORMS = [(row, form) for row in isa().instructions for form in row.mnemonic]


def read(text: str) -> Decoded | None:
    return assemble_program(text, dialect="mnemonic")[0]


@pytest.mark.parametrize(("row", "form"), FORMS, ids=[f"{row.name}-{row.mnemonic.index(form)}" for row, form in FORMS])
def test_every_form_of_every_row(row: Instruction, form: str) -> None:
    for item in sample(row):
        text = spell(form, item)
        assert read(text) == item
        assert read(text.replace("%r", "r")) == item
        assert read(re.sub(r"([\[\]+,-])", r" \1 ", text)) == item


def test_only_instructions_that_name_maps_variables_and_code_have_no_form() -> None:
    without = [row.name for row in isa().instructions if not row.mnemonic]
    assert without == [name for name in isa().by_name if re.match(r"LD_(MAP|VAR|CODE)_", name)]


def test_a_distance_of_zero_from_a_register_can_be_left_out_and_is() -> None:
    assert read("ldxb %r1, [%r2]") == read("ldxb %r1, [%r2+0]")
    assert disassemble(assemble("r1 = *(u8 *)(r2 + 0)"), dialect="mnemonic") == "ldxb %r1, [%r2]\n"
    assert disassemble(assemble("lock *(u32 *)(r2 - 8) += w1"), dialect="mnemonic") == "lock add32 [%r2-8], %r1\n"


def test_exit_is_a_label_for_the_first_exit() -> None:
    code = assemble("jsgt32 %r1, 5, exit; jeq %r1, 3, exit; lddw %r1, 1; exit; exit", dialect="mnemonic")
    assert disassemble(code).splitlines()[:2] == ["if w1 s> 5 goto +3", "if r1 == 3 goto +2"]


def test_a_label_named_exit_is_that_label() -> None:
    code = assemble("ja exit; exit; exit: exit", dialect="mnemonic")
    assert disassemble(code).splitlines()[0] == "goto +1"


def test_there_is_no_label_without_an_exit() -> None:
    with pytest.raises(AsmError, match=r"line 1, column 4: expected a label that the text defines, found `exit`"):
        assemble("ja exit", dialect="mnemonic")


@pytest.mark.parametrize("number", [11, 15])
def test_registers_that_no_machine_has_can_be_written(number: int) -> None:
    assert assemble(f"mov %r{number}, 1", dialect="mnemonic").hex() == f"b7{number:02x}000001000000"
    with pytest.raises(AsmError, match="expected a register r0 to r10"):
        assemble(f"r{number} = 1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mov %r16, 1", "column 5: expected a register %r0 to %r10, found `%r16`"),
        ("mov %r1 1", "column 9: expected `,`, found `1`"),
        ("add64x %r1", "column 1: expected an instruction, a label or .byte, found `add64x`"),
        ("ldxb %r1, %r2", "column 11: expected `[`, found `%r2`"),
        ("ldxb %r1, [%r2+0x8000]", "column 16: expected a number from -32768 to 32767, found `0x8000`"),
        ("mov %r1, w2", "column 10: expected a register %r0 to %r10 or a number, found `w2`"),
        ("r0 = 1", "column 1: expected an instruction, a label or .byte, found `r0`"),
    ],
)
def test_errors_tell_the_place_and_what_is_expected(text: str, message: str) -> None:
    with pytest.raises(AsmError, match=re.escape(message)):
        read(text)


def test_the_other_dialect_knows_no_percent_signs() -> None:
    with pytest.raises(AsmError, match=r"line 1, column 6: .* found `%r1`"):
        assemble("r0 = %r1")


@given(programs(), byte_orders, st.booleans())
def test_programs_come_back(program: list[Decoded], order: ByteOrder, labels: bool) -> None:
    code = encode(program, order)
    assert assemble(disassemble(code, order, labels=labels, dialect="mnemonic"), order, dialect="mnemonic") == code


def test_gnu_as_reads_the_same_in_what_both_have() -> None:
    """What :mod:`test_gnu_as` feeds to GNU as means the same here, but for byte swaps and the old atomic additions."""
    common = 0
    for row in isa().instructions:
        for item in sample(row):
            text = spelling(row, item)
            if text is not None and not re.match("end|xadd", text):
                assert read(text) == item, text
                common += 1
    assert common > 1000


def test_a_form_that_two_rows_share_is_refused() -> None:
    rows = [
        changed(ADD, 'asm: "x"', f'asm: "{name} {{dst}} {{src}}", mnemonic: "m {{dst:%}} {{src:%}}"') for name in "xy"
    ]
    other = changed(changed(rows[1], "name: ADD", "name: OR"), "0x0f", "0x4f")
    with pytest.raises(TableError, match=r"OR \(line 4\): mnemonic is also that of ADD \(line 3\)"):
        Syntax(build(rows[0], other), "mnemonic")


def test_what_the_dialect_cannot_write_is_written_as_bytes() -> None:
    code = assemble("r1 = map_by_fd(0); exit")
    text = disassemble(code, dialect="mnemonic")
    assert text.splitlines()[0].endswith("# r1 = map_by_fd(0) (not in this dialect)")
    assert assemble(text, dialect="mnemonic") == code
    (item, _, _) = assemble_program("r1 = map_by_fd(0); exit")
    assert item is not None
    with pytest.raises(KeyError):
        format_instruction(item, dialect="mnemonic")
