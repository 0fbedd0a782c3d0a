# SPDX-License-Identifier: Apache-2.0
"""Pseudocode: the trees that it gives, what is implied, and everything that is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpf_isa.spec.pseudocode import PseudocodeError, parse
from bpf_isa.spec.table import Instruction, isa
from bpf_isa.spec.tree import (
    BOOL,
    INTEGER_TYPES,
    S8,
    S16,
    S32,
    S64,
    U8,
    U16,
    U32,
    U64,
    Assign,
    Binary,
    Call,
    CallHelper,
    CallLocal,
    Cast,
    Choose,
    Compare,
    Const,
    Expr,
    Field,
    Jump,
    Load,
    Local,
    Lock,
    Negate,
    Register,
    Return,
    Stmt,
    Store,
    children,
    reads,
    rebuild,
    walk,
    writes,
)

dst, src, r0 = Register("dst"), Register("src"), Register("r0")
offset, imm, next_imm = Field("offset", S16), Field("imm", S32), Field("next_imm", S32)


def value(text: str) -> Expr:
    """Return the tree of an expression of 64 bits."""
    (statement,) = parse(f"dst = {text}")
    assert isinstance(statement, Assign)
    assert statement.target == dst
    return statement.value


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("src", src),
        ("dst + src", Binary("+", dst, src)),
        ("dst - src - r0", Binary("-", Binary("-", dst, src), r0)),
        ("dst + src * r0", Binary("+", dst, Binary("*", src, r0))),
        ("(dst + src) * r0", Binary("*", Binary("+", dst, src), r0)),
        ("dst | src ^ r0 & 1", Binary("|", dst, Binary("^", src, Binary("&", r0, Const(1, U64))))),
        ("dst << 1 + src", Binary("<<", dst, Binary("+", Const(1, U64), src))),
        ("-dst", Negate(dst)),
        ("-dst - -src", Binary("-", Negate(dst), Negate(src))),
        ("(s64)imm", Cast(S64, imm)),
        ("(s64)(s8)src", Cast(S64, Cast(S8, src))),
        ("(s64)dst s/ (s64)imm", Binary("s/", Cast(S64, dst), Cast(S64, imm))),
        ("(s64)dst s>> 3", Binary("s>>", Cast(S64, dst), Const(3, S64))),
        ("*(u64 *)(src + offset)", Load(U64, Binary("+", src, Cast(S64, offset)))),
        ("(s64)*(s8 *)src", Cast(S64, Load(S8, src))),
        ("bswap64(dst)", Call("bswap64", (dst,), U64)),
        ("map_val(map_by_fd(imm))", Call("map_val", (Call("map_by_fd", (imm,), U64),), U64)),
        ("packet", Call("packet", (), U64)),
        ("0x10", Const(16, U64)),
    ],
)
def test_expressions(text: str, tree: Expr) -> None:
    assert value(text) == tree


@pytest.mark.parametrize("narrow", [U8, U16, U32])
def test_an_unsigned_value_is_zero_extended_into_a_register(narrow: object) -> None:
    assert value(f"({narrow})src") == Cast(U64, Cast(INTEGER_TYPES[str(narrow)], src))


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("src = dst", Assign(src, dst)),
        ("r0 = dst", Assign(r0, dst)),
        ("*(u8 *)(dst + offset) = (u8)imm", Store(U8, Binary("+", dst, Cast(S64, offset)), Cast(U8, imm))),
        ("*(u32 *)dst = imm", Store(U32, dst, imm)),
        ("*(u16 *)dst = 0xffff", Store(U16, dst, Const(0xFFFF, U16))),
        ("PC += offset", Jump(Cast(S64, offset))),
        ("PC += imm if (s64)dst s> (s64)imm", Jump(Cast(S64, imm), Compare("s>", Cast(S64, dst), Cast(S64, imm)))),
        ("PC += 1 if dst == 0", Jump(Const(1, S64), Compare("==", dst, Const(0, U64)))),
        ("call helper_by_id(imm)", CallHelper("static", imm)),
        ("call helper_by_btf_id(imm)", CallHelper("btf", imm)),
        ("call PC += imm", CallLocal(Cast(S64, imm))),
        ("return", Return()),
    ],
)
def test_statements(text: str, statement: Stmt) -> None:
    assert parse(text) == (statement,)


def test_names_and_atomic_blocks() -> None:
    old = Local("old", U32)
    place = Binary("+", dst, Cast(S64, offset))
    assert parse("lock { old = *(u32 *)(dst + offset); *(u32 *)(dst + offset) = old + (u32)src; src = old }") == (
        Lock(
            (
                Assign(old, Load(U32, place)),
                Store(U32, place, Binary("+", old, Cast(U32, src))),
                Assign(src, Cast(U64, old)),
            )
        ),
    )


def test_choice() -> None:
    assert value("(imm != 0) ? dst / (u64)(s64)imm : 0") == Choose(
        Compare("!=", imm, Const(0, S32)), Binary("/", dst, Cast(U64, Cast(S64, imm))), Const(0, U64)
    )


@pytest.mark.parametrize("op", ["+", "-", "*", "&", "|", "^"])
def test_operators_that_are_blind_to_the_sign(op: str) -> None:
    tree = value(f"dst {op} (s64)imm")
    assert tree == Binary(op, dst, Cast(S64, imm))
    assert tree.type == U64


def test_types() -> None:
    assert str(BOOL) == "bool"
    assert [str(kind) for kind in (U8, S16, U64)] == ["u8", "s16", "u64"]
    assert (S8.wrap(0xFF), U8.wrap(-1), S8.wrap(0x17F), U64.wrap(1 << 64)) == (-1, 255, 127, 0)
    assert S8.mask == U8.mask == 255
    assert value("dst == src ? dst : src").type == U64
    assert Compare("==", dst, src).type == BOOL


REFUSED = [
    ("", 1, "not pseudocode"),
    ("dst =", 5, "not pseudocode"),
    ("dst = dst +", 11, "not pseudocode"),
    ("dst = (u32)", 11, "not pseudocode"),
    ("dst = (u24)dst", 12, "not pseudocode"),
    ("dst = dst;", 10, "not pseudocode"),
    ("dst = dst s>>> 3", 14, "not pseudocode"),
    ("PC = 3", 4, "not pseudocode"),
    ("return 3", 8, "not pseudocode"),
    ("dst = é", 7, "not pseudocode"),
    # names
    ("dst = dts", 7, "unknown name 'dts'"),
    ("dst = old; old = dst", 7, "unknown name 'old'"),
    ("dst = le24((u16)dst)", 7, "unknown function 'le24'"),
    ("dst = packet(imm)", 7, "unknown function 'packet'"),
    ("dts = dst + src", 1, "dts is assigned, but nothing uses it"),
    ("r3 = dst", 1, "r3 is assigned, but nothing uses it"),
    ("a = dst; a = src; dst = a", 10, "a is assigned twice"),
    ("imm = (s32)dst", 1, "imm cannot be assigned"),
    ("packet = dst", 1, "packet cannot be assigned"),
    # widths
    ("dst = (u32)dst + src", 7, "u32 + u64: operands differ in width"),
    ("dst = dst + imm", 7, "u64 + s32: operands differ in width"),
    ("dst = dst - offset", 7, "u64 - s16: operands differ in width"),
    ("dst = dst << (u32)src", 7, "u64 << u32: operands differ in width"),
    ("PC += offset if (u32)dst == src", 17, "u32 == u64: operands differ in width"),
    ("dst = (dst == src) ? (u32)src : dst", 7, "the two arms are u32 and u64"),
    ("*(u8 *)dst = src", 1, "u64 is stored as u8: cast it"),
    ("dst = *(u64 *)(u32)src", 7, "an address has 64 bits, not 32"),
    ("dst = *(u64 *)(src + (u32)imm)", 16, "u64 + u32: operands differ in width"),
    ("dst = le16(dst)", 7, "le16 takes u16, not u64"),
    ("dst = map_by_fd(src)", 7, "map_by_fd takes s32, not u64"),
    ("dst = le16((u16)dst, (u16)src)", 7, "le16 takes 1 argument"),
    ("call helper_by_id((u8)imm)", 19, "helper_by_id takes s32, not u8"),
    ("PC += (u32)imm", 7, "a distance is s64, not u32"),
    ("call PC += src", 12, "a distance is s64, not u64"),
    # signedness
    ("dst = imm", 1, "a register holds 64 bits: say how s32 is extended"),
    ("dst = (s32)dst", 1, "a register holds 64 bits: say how s32 is extended"),
    ("dst = dst s/ src", 7, "u64 s/ u64: wrong signedness for s/"),
    ("dst = dst / (s64)src", 7, "u64 / s64: wrong signedness for /"),
    ("dst = dst % (s64)imm", 7, "u64 % s64: wrong signedness for %"),
    ("dst = (s64)dst >> src", 7, "s64 >> u64: wrong signedness for >>"),
    ("dst = dst s>> src", 7, "u64 s>> u64: wrong signedness for s>>"),
    ("PC += offset if dst s< src", 17, "u64 s< u64: wrong signedness for s<"),
    ("PC += offset if (s64)dst < (s64)src", 17, "s64 < s64: wrong signedness for <"),
    # truth values and numbers
    ("PC += offset if dst", 17, "a condition compares: write != 0"),
    ("PC += offset if dst & src", 17, "a condition compares: write != 0"),
    ("dst = dst ? src : 0", 7, "a condition compares: write != 0"),
    ("dst = dst == src", 1, "say how bool is extended"),
    ("dst = (u32)(dst == src)", 7, "a comparison has no number value"),
    ("dst = (dst == src) + 1", 8, "operands must be numbers"),
    ("a = 1; dst = a", 5, "nothing tells the type of 1"),
    ("PC += offset if 1 == 1", 22, "nothing tells the type of 1"),
    ("dst = 0x10000000000000000", 7, "does not fit in u64"),
    ("*(u8 *)dst = 256", 14, "256 does not fit in u8"),
    # atomic blocks
    ("lock { dst = src }", None, "must read or write one place of memory"),
    ("lock { a = *(u32 *)dst; src = a + *(u32 *)dst }", None, "each once"),
    ("lock { a = *(u32 *)dst; *(u32 *)src = a }", None, "must read or write one place"),
    ("lock { a = *(u32 *)dst; *(u64 *)dst = (u64)a }", None, "must read or write one place"),
    ("lock { a = *(u32 *)dst; *(u32 *)dst = a; *(u32 *)dst = a }", None, "each once"),
]


@pytest.mark.parametrize(("text", "column", "message"), REFUSED, ids=[text for text, _, _ in REFUSED])
def test_refused(text: str, column: int | None, message: str) -> None:
    with pytest.raises(PseudocodeError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert caught.value.column == column


TOKENS = [
    *("dst", "src", "r0", "imm", "offset", "old", "0", "(u32)", "(s64)", "*(u8 *)", "le16(", "(", ")"),
    *("=", "+", "s/", "s>", ">>", "?", ":", ";", "lock {", "}", "PC +=", "call", "if", "return", "helper_by_id(", "é"),
]


@given(st.text() | st.lists(st.sampled_from(TOKENS), max_size=20).map(" ".join))
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        statements = parse(text)
    except PseudocodeError as error:
        assert error.column is None or error.column >= 1
    else:
        assert statements


# The tree


@pytest.mark.parametrize("row", isa().instructions, ids=lambda row: row.name)
def test_every_expression_of_the_table_has_the_widths_that_its_parent_needs(row: Instruction) -> None:
    """What the rest of the project relies on, said again without the parser."""
    for node in walk(*row.means):
        if isinstance(node, Assign):
            assert node.value.type.bits == (64 if isinstance(node.target, Register) else node.target.type.bits)
        elif isinstance(node, Binary | Compare):
            assert node.left.type.bits == node.right.type.bits > 1
        elif isinstance(node, Choose):
            assert node.condition.type == BOOL
            assert node.then.type == node.otherwise.type
        elif isinstance(node, Load | Store):
            assert node.address.type.bits == 64
            assert not isinstance(node, Store) or node.value.type.bits == node.type.bits
        elif isinstance(node, Jump | CallLocal):
            assert node.distance.type == S64
        elif isinstance(node, Const):
            assert node.type.wrap(node.value) == node.value or node.type.signed


def test_reads_and_writes() -> None:
    tree = parse("lock { old = *(u64 *)(dst + offset); *(u64 *)(dst + offset) = old + src; src = old }")
    assert reads(*tree) == {"dst", "src", "offset"}
    assert writes(*tree) == {"src"}
    assert reads(*parse("dst = src")) == {"src"}
    assert writes(*parse("PC += offset if dst == 0")) == frozenset()


def test_walking_and_rebuilding() -> None:
    (tree,) = parse("dst = (dst == src) ? dst + src : src")
    assert list(walk(tree))[:3] == [tree, dst, value("(dst == src) ? dst + src : src")]
    assert sum(node == src for node in walk(tree)) == 3
    choice = value("(dst == src) ? dst + src : src")
    assert list(children(choice)) == [Compare("==", dst, src), Binary("+", dst, src), src]
    assert rebuild(choice, lambda node: node) is choice
    assert rebuild(choice, lambda node: r0 if node == src else node) == Choose(
        Compare("==", dst, src), Binary("+", dst, src), r0
    )
    (locked,) = parse("lock { old = *(u64 *)dst; *(u64 *)dst = old }")
    assert rebuild(locked, lambda node: node) is locked
    changed = rebuild(locked, lambda node: Return() if isinstance(node, Store) else node)
    assert isinstance(changed, Lock)
    assert changed.body[1] == Return()
