# SPDX-License-Identifier: Apache-2.0
"""The assembler: every form of every row, labels, bytes, holes, and errors with their place."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpf_isa.spec.assemble import AsmError, assemble, assemble_program, compile_text
from bpf_isa.spec.encoding import ByteOrder, DecodeError, encode
from bpf_isa.spec.syntax import Syntax
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


# Holes

HOLED = """
    r0 = {wide} ll              # {no_hole}
    r1 = -{imm}; r1 += {imm}
    r2 = *(u16 *)(r1 + {offset})
    *(u8 *)(r2 - {offset}) = {imm}
    if w1 s> {imm} goto {distance}
    lock *(u64 *)(r10 - {offset}) += r1
    call {imm}
    r3 = map_val(map_by_fd({imm})) - {imm}
out: exit
"""
numbers32 = st.integers(-(1 << 31), (1 << 31) - 1)
offsets = st.integers(-0x7FFF, 0x7FFF)


def written(number: st.SearchStrategy[int]) -> st.SearchStrategy[str | int]:
    return (
        number
        | number.map(str)
        | number.map(hex)
        | number.map(lambda value: f" +{value} " if value >= 0 else str(value))
    )


@given(
    st.fixed_dictionaries(
        {
            "wide": written(st.integers(-(1 << 63), (1 << 64) - 1)),
            "imm": written(numbers32),
            "offset": written(offsets),
            "distance": written(offsets) | st.just("out"),
        }
    ),
    st.sampled_from(BYTE_ORDERS),
)
def test_filling_holes_is_like_writing_the_values(values: dict[str, str | int], order: ByteOrder) -> None:
    template = compile_text(HOLED)
    plain = HOLED.replace("{no_hole}", "")
    for name, value in values.items():
        plain = plain.replace(f"{{{name}}}", str(value))
    assert template.assemble(values, order) == assemble(plain, order)
    assert template.program(values) == assemble_program(plain)
    assert template.holes == {"wide", "imm", "offset", "distance"}


@pytest.mark.parametrize(
    ("text", "values", "same_as"),
    [
        ("r{d} {op}= {s}", {"d": 3, "op": "s/", "s": "r4"}, "r3 s/= r4"),
        ("r0 = {x}", {"x": "r7"}, "r0 = r7"),
        ("r0 = {x}", {"x": "-r0"}, "r0 = -r0"),
        ("r0 = be{width} r0", {"width": 32}, "r0 = be32 r0"),
        ("{all}", {"all": "r0 = 1; exit\nexit"}, "r0 = 1; exit; exit"),
        (".byte {a}, {b}", {"a": 1, "b": "0x2"}, ".byte 1, 2"),
        ("x{n}: goto x{n}", {"n": 1}, "x1: goto x1"),
        ("goto {to}; {to}: exit", {"to": "end"}, "goto +0; exit"),
        ("r0 = {x}", {"x": 1, "y": "not used"}, "r0 = 1"),
        ("r0 = 1{x}", {"x": 2}, "r0 = 12"),
    ],
)
def test_holes_for_more_than_numbers(text: str, values: dict[str, str | int], same_as: str) -> None:
    assert compile_text(text).assemble(values) == assemble(same_as)
    assert compile_text(text).assemble(values, "big") == assemble(same_as, "big")


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        ("exit\nr0 = {x}", {}, "line 2, column 6: expected a value for the hole 'x', found `{x}`"),
        ("r{x} = 1", {"y": 1}, "line 1, column 1: expected an instruction, a label or .byte, found `r`"),
        ("r0 = {x}", {"x": 1 << 32}, "column 6: expected a number from -2147483648 to 4294967295, found `4294967296`"),
        ("r0 = *(u8 *)(r1 - {x})", {"x": "-0x8000"}, "column 19: expected a number from -32768 to 32767"),
        ("goto {x}", {"x": 32768}, "column 6: expected a number from -32768 to 32767"),
        ("r0 = {x}", {"x": "eleven"}, "column 6: expected a register r0 to r10, a number"),
        ("r0 = {x}", {"x": "010"}, "leading zeros"),
        ("r0 = {x}", {"x": "1" * 5000}, "a number of at most 64 bits"),
        ("r{x} = 0", {"x": 11}, "expected a register r0 to r10, found `r11`"),
    ],
)
def test_errors_with_holes(text: str, values: dict[str, str | int], message: str) -> None:
    template = compile_text(text)
    with pytest.raises(AsmError, match=re.escape(message)):
        template.assemble(values)


def test_a_wrong_line_without_holes_is_found_at_once() -> None:
    with pytest.raises(AsmError, match="line 2, column 4"):
        compile_text("r0 = {x}\nr0 !! 3")


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
