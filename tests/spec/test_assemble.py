# SPDX-License-Identifier: Apache-2.0
"""The assembler: every form of every row, labels, bytes, holes, and errors with their place."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpf_isa.spec.asm.assemble import AsmError, assemble, assemble_program
from bpf_isa.spec.asm.syntax import Syntax
from bpf_isa.spec.encoding import ByteOrder, DecodeError, encode
from bpf_isa.spec.table import Instruction, Isa, TableError, isa

from .samples import sample, spell

BYTE_ORDERS: tuple[ByteOrder, ...] = ("little", "big")
FORMS = [(row, form) for row in isa().instructions for form in row.asm]


@pytest.mark.parametrize(("row", "form"), FORMS, ids=[f"{row.name}-{row.asm.index(form)}" for row, form in FORMS])
def test_every_form_of_every_row(row: Instruction, form: str) -> None:
    for item in sample(row):
        if "{imm:label}" in form:
            assert assemble_program("call here; here:") == [item._replace(imm=0)]
            continue
        # A constant that the form does not show is 0.
        shown = item if "{imm" in form or "imm" not in row.operands else item._replace(imm=0)
        text = spell(form, shown)
        for written_so in (text, tight(text), loose(text)):
            assert assemble_program(written_so)[0] == shown
            assert assemble(written_so, "big") == encode([shown], "big")


def tight(text: str) -> str:
    """Leave out all space that does not separate words."""
    return re.sub(r"(?<![\w.]) | (?![\w.])", "", text)


def loose(text: str) -> str:
    """Put space around everything that is no word."""
    operators = r"s?>>=|<<=|s?[<>]=|s[/%]=|s[<>](?!\w)|[-+*/%&|^=!]=|\W"
    return re.sub(rf"({operators})", r" \t\1 /* - */ ", text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("r0 += r1", "0f10000000000000"),
        ("w0 s/= 3", "3400010003000000"),
        ("r0 = *(s16 *)(r1 - 2)", "8910feff00000000"),
        ("if w1 s> -1 goto +3", "66010300ffffffff"),
        ("lock *(u64 *)(r10 - 8) += r1", "db1af8ff00000000"),
        ("r0 = atomic_fetch_add((u64 *)(r10 - 8), r0)", "db0af8ff01000000"),
        ("r0 = cmpxchg_64(r10 - 8, r0, r1)", "db1af8fff1000000"),
        ("r1 = be16 r1", "dc01000010000000"),
        ("gotol -2", "06000000feffffff"),
        ("call 5", "8500000005000000"),
        ("call local +2", "8510000002000000"),
        ("r0 = 0xffffffff", "b7000000ffffffff"),
        ("r0 = -2147483648", "b700000000000080"),
        ("r3 = 0x1122334455667788 ll", "1803000088776655 0000000044332211"),
        ("r3 = -2 ll", "18030000feffffff 00000000ffffffff"),
        ("r0 = *(u8 *)(r1 + -8)", "7110f8ff00000000"),
        ("r0 = *(u8 *)(r1 - -8)", "7110080000000000"),
        ("goto + -3", "0500fdff00000000"),
        ("r0 = - - 3", "b700000003000000"),
        ("r0 = *(u8 *)skb[r3]", "5030000000000000"),
        ("exit # goto", "9500000000000000"),
        ("exit // goto", "9500000000000000"),
        ("/* one */ exit /* two */ ; /* three */ exit", "9500000000000000 9500000000000000"),
        (".byte 1, 0x2, -1, 0b11, 255, -128, 0, 9; exit", "0102ff03ff800009 9500000000000000"),
        (".byte 1, 2", "0102"),
        (" ; ;; \r\n\n  # nothing\n", ""),
        ("", ""),
    ],
)
def test_bytes(text: str, code: str) -> None:
    assert assemble(text) == bytes.fromhex(code)


def test_labels() -> None:
    text = """
    start:
        r1 = 0x100000000 ll     # takes two slots
        if r1 == 0 goto start
        r2 = code_addr(end)
    a: b: goto start; gotol end
        .byte 0, 1, 2, 3, 4, 5, 6, 7
        call local start
        call end
    end:
    """
    with_distances = """
        r1 = 0x100000000 ll
        if r1 == 0 goto -3
        r2 = code_addr(+6)
        goto -6; gotol +3
        .byte 0, 1, 2, 3, 4, 5, 6, 7
        call local -9
        call local +0
    """
    assert assemble(text) == assemble(with_distances)
    assert assemble(text, "big") == assemble(with_distances, "big")


def test_a_label_may_be_called_like_anything_but_a_register() -> None:
    for name in ("exit", "goto", "lock", "u8", "s", "_x", ".L1", "$a.b", "r", "r1x", "ll"):
        assert assemble(f"goto {name}\n{name}: exit") == assemble("goto +0\nexit")
        assert assemble(f"call {name}\n{name}: exit") == assemble("call local +0\nexit")


ERRORS = [
    ("foo", 1, 1, "an instruction, a label or .byte", "foo"),
    ("exit\n  r11 = 0", 2, 3, "a register r0 to r10", "r11"),
    ("w16 = 0", 1, 1, "a register w0 to w10", "w16"),
    ("r01 = 0", 1, 1, "a register r0 to r10", "r01"),
    ("r0 += w1", 1, 7, "a register r0 to r10 or a number", "w1"),
    ("w0 += r1", 1, 7, "a register w0 to w10 or a number", "r1"),
    ("lock *(u64 *)(r1 + 3) -= r2", 1, 23, "`&=`, `+=`, `^=` or `|=`", "-="),
    ("r1 = -r2", 1, 7, "`r1` again", "r2"),
    ("r1 = be16 r2", 1, 11, "`r1` again", "r2"),
    ("r1 = atomic_fetch_or((u64 *)(r2 + 0), r3)", 1, 39, "`r1` again", "r3"),
    ("r0 = cmpxchg_64(r1 + 0, r2, r3)", 1, 25, "`r0`", "r2"),
    ("r0 = *(u8 *)(r1)", 1, 16, "`+` or `-`", ")"),
    ("r0 = *(u24 *)(r1 + 0)", 1, 8, "`s16`, `s32`, `s8`, `u16`, `u32`, `u64` or `u8`", "u24"),
    ("r0 = *(u8 *)(r1 + 32768)", 1, 19, "a number from -32768 to 32767", "32768"),
    ("r0 = *(u8 *)(r1 - 32769)", 1, 19, "a number from -32768 to 32767", "32769"),
    ("r0 = *(u8 *)(r1 + 0xffff)", 1, 19, "a number from -32768 to 32767", "0xffff"),
    ("r0 = 0x100000000", 1, 6, "a number from -2147483648 to 4294967295", "0x100000000"),
    ("r0 = -2147483649", 1, 6, "a number from -2147483648 to 4294967295", "-2147483649"),
    ("r0 = 0x10000000000000000 ll", 1, 6, f"a number from {-(1 << 63)} to {(1 << 64) - 1}", "0x10000000000000000"),
    ("if r0 > 3 goto +32768", 1, 16, "a number from -32768 to 32767", "+32768"),
    ("gotol 0x80000000", 1, 7, "a number from -2147483648 to 2147483647", "0x80000000"),
    ("r0 = 010", 1, 6, "a number without leading zeros (some assemblers read it as octal)", "010"),
    ("r0 = 12ab", 1, 6, "a number, a name or an operator", "12ab"),
    ("r0 = 0x", 1, 6, "a number, a name or an operator", "0x"),
    ("r0 = " + "9" * 5000, 1, 6, "a number of at most 64 bits", "9" * 24 + "..."),
    ("r0 @ 3", 1, 4, "a number, a name or an operator", "@"),
    ("r0 = é", 1, 6, "a number, a name or an operator", "é"),
    ("r0 = /* no end", 1, 6, "a number, a name or an operator", "/"),
    ("exit exit", 1, 6, "the end of the instruction", "exit"),
    ("r0 = r1 ll", 1, 9, "the end of the instruction", "ll"),
    ("if r0 > 3", 1, 10, "`goto`", ""),
    ("if r0 > 3 ; exit", 1, 10, "`goto`", ""),
    ("goto", 1, 5, "a number or a label", ""),
    ("goto nowhere", 1, 6, "a label that the text defines", "nowhere"),
    ("a: exit\n a: exit", 2, 2, "a new label (line 1 has this one)", "a"),
    ("r1: exit", 1, 3, "", ":"),
    (": exit", 1, 1, "an instruction, a label or .byte", ":"),
    (".byte", 1, 6, "a byte, -128 to 255", ""),
    (".byte 1,", 1, 9, "a byte, -128 to 255", ""),
    (".byte 256", 1, 7, "a byte, -128 to 255", "256"),
    (".byte 1 2", 1, 9, "`,` or the end of the statement", "2"),
    (".byte {x}", 1, 7, "a byte, -128 to 255", "{x}"),
    (".byte 1, 2; exit", 1, 13, "6 more bytes to fill the slot", "exit"),
    (".byte 1\nx:", 2, 1, "7 more bytes to fill the slot", "x"),
    ("r0 = {x}", 1, 6, "a value for the hole 'x'", "{x}"),
    (".rept", 1, 6, "how often, 1 to 1048576", ""),
    (".rept 0", 1, 7, "how often, 1 to 1048576", "0"),
    (".rept x", 1, 7, "how often, 1 to 1048576", "x"),
    (".rept {x}", 1, 7, "how often, 1 to 1048576", "{x}"),
    (".rept 3 exit", 1, 9, "the end of the statement", "exit"),
    ("exit\n.rept 3\nexit", 2, 1, "a line with .endr after it", ".rept"),
    (".rept 3\n.rept 3\n.endr\n.endr", 2, 1, ".endr before the next .rept", ".rept"),
    ("exit; .endr", 1, 7, ".rept before .endr", ".endr"),
    (".rept 3\nx: exit\n.endr", 2, 1, "no label between .rept and .endr", "x"),
    ("x: exit\n.rept 3\ngoto x\n.endr", 3, 6, "no hole and no label between .rept and .endr", "x"),
    (".rept 3\nr0 = {x}\n.endr", 2, 6, "no hole and no label between .rept and .endr", "{x}"),
    (".rept 3\n.byte 1\n.endr", 3, 1, "7 more bytes to fill the slot", ".endr"),
    ("r{x} = 1", 1, 1, "an instruction, a label or .byte", "r"),
]


@pytest.mark.parametrize(("text", "line", "column", "expected", "found"), ERRORS)
def test_errors(text: str, line: int, column: int, expected: str, found: str) -> None:
    with pytest.raises(AsmError) as caught:
        assemble(text)
    error = caught.value
    assert (error.line, error.column, error.found) == (line, column, found)
    if expected:
        assert error.expected == expected
    shown = f"`{found}`" if found else "the end of the statement"
    assert str(error) == f"line {line}, column {column}: expected {error.expected}, found {shown}"


@pytest.mark.parametrize(("slots", "fits"), [(0x7FFF, True), (0x8000, False)])
def test_reach_of_a_label_ahead(slots: int, fits: bool) -> None:
    text = "goto far\n" + "exit\n" * slots + "far:"
    if fits:
        assert assemble(text)[:4] == bytes.fromhex("0500ff7f")
    else:
        with pytest.raises(
            AsmError, match=r"expected a label at most 32767 slots away, not \+32768, found `far`"
        ) as caught:
            assemble(text)
        assert (caught.value.line, caught.value.column) == (1, 6)


@pytest.mark.parametrize(("slots", "fits"), [(0x7FFF, True), (0x8000, False)])
def test_reach_of_a_label_behind(slots: int, fits: bool) -> None:
    text = "far:\n" + "exit\n" * slots + "if r1 == 0 goto far"
    if fits:
        assert assemble(text)[-8:-4] == bytes.fromhex("15010080")
    else:
        with pytest.raises(AsmError, match="slots away, not -32769") as caught:
            assemble(text)
        assert (caught.value.line, caught.value.column) == (slots + 2, 17)


def test_repetition() -> None:
    text = """
        goto end
        .rept 3          # times
        r0 += 1; .byte 1, 2, 3, 4, 5, 6, 7, 8
        r1 = 2 ll
        .endr
        .rept 1; exit; .endr
        .rept 2
        .endr
    end: gotol end
    """
    lines = ["goto +13"] + ["r0 += 1", ".byte 1, 2, 3, 4, 5, 6, 7, 8", "r1 = 2 ll"] * 3 + ["exit", "gotol -1"]
    for order in BYTE_ORDERS:
        assert assemble(text, order) == assemble("\n".join(lines), order)


def test_program_with_repetition() -> None:
    assert assemble_program(".rept 2\n r1 = 2 ll\n .endr\n exit") == assemble_program("r1 = 2 ll; r1 = 2 ll; exit")


def test_program_of_bytes() -> None:
    assert assemble_program(".byte 0x95, 0, 0, 0, 0, 0, 0, 0\n r0 = 1 ll") == assemble_program("exit\n r0 = 1 ll")
    with pytest.raises(DecodeError, match="opcode 0xff is not defined"):
        assemble_program("exit\n .byte 0xff, 0, 0, 0, 0, 0, 0, 0")


@given(
    st.text()
    | st.lists(st.sampled_from(["r0", "w1", " ", "+=", "=", "-", "3", "*", "(", "u8", ")", ";", ":", "x"])).map("".join)
)
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        assert len(assemble(text)) % 8 == 0 or ".byte" in text
    except AsmError as error:
        assert error.line >= 1
        assert error.column >= 1


# Templates in the table


def changed(name: str, *asm: str) -> Isa:
    rows = tuple(replace(row, asm=asm) if row.name == name else row for row in isa().instructions)
    return replace(isa(), instructions=rows)


@pytest.mark.parametrize(
    ("asm", "message"),
    [
        (("{dst} += {offset}",), r"ADD64_K \(line \d+\): asm: \{offset\} is no operand of the row"),
        (("{dst} += {imm64}",), r"ADD64_K \(line \d+\): asm: \{imm64\} is no operand of the row"),
        (("{dst} += {imm:x}",), r"ADD64_K \(line \d+\): asm: \{imm:x\} is no operand of the row"),
        (("{dst:+} += {imm}",), r"asm: \{dst:\+\} is no operand of the row"),
        (("{dst} += 1",), r"ADD64_K \(line \d+\): asm does not show imm"),
        (("{dst} -= {imm}",), r"SUB64_K \(line \d+\): asm is also that of ADD64_K \(line \d+\)"),
        (("{dst} ++ {imm}", "{dst} += {src}"), r"ADD64_K .*: asm: \{src\} is no operand"),
    ],
)
def test_templates_that_cannot_be(asm: tuple[str, ...], message: str) -> None:
    with pytest.raises(TableError, match=message):
        Syntax(changed("ADD64_K", *asm))


def test_the_template_is_the_only_source() -> None:
    """A changed template changes what is read and nothing else."""
    table = changed("ADD64_K", "add {dst}, {imm}")
    assert assemble("add r3, 7", table=table) == assemble("r3 += 7")
    with pytest.raises(AsmError, match="expected a register r0 to r10, found `7`"):
        assemble("r3 += 7", table=table)
