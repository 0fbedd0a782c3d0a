# SPDX-License-Identifier: Apache-2.0
"""Rendering a tree gives pseudocode that means the same tree."""

import pytest

from bpf_isa.spec import tree as t
from bpf_isa.spec.pseudocode import parse
from bpf_isa.spec.table import Instruction, isa
from bpf_isa.spec.unparse import render, render_expression


@pytest.mark.parametrize("row", isa().instructions, ids=lambda row: row.name)
def test_every_row_survives_the_round_trip(row: Instruction) -> None:
    assert parse(render(row.means)) == row.means


@pytest.mark.parametrize(
    "text",
    [
        "dst = dst - (src - 1)",
        "dst = dst - src - 1",
        "dst = (dst + src) * 2",
        "dst = -(dst + src)",
        "dst = -dst * src",
        "dst = (dst | src) ^ dst & 255",
        "dst = dst << (src << 1)",
        "dst = (u32)(dst >> 32)",
        "dst = (src != 0 ? dst : src) + 1",
        "dst = src != 0 ? dst : src < 1 ? 1 : 2",
        "dst = (s64)*(s8 *)(src + offset)",
        "dst = *(u64 *)*(u64 *)src",
        "dst = *(u64 *)(src + (dst + offset))",
        "*(u8 *)dst = 255",
        "PC += offset if ((u32)dst & imm) != 0",
        "PC += 1 if (s64)dst s> -(s64)src",
        "dst = (u32)1",
        "dst = (u32)(imm == 0 ? 1 : imm)",
        "r0 = be16(*(u16 *)(packet + src + imm)); src = r0",
        "lock { old = *(u32 *)dst; *(u32 *)dst = old + (u32)src; src = old }",
    ],
)
def test_parentheses_stand_where_the_grammar_needs_them_and_nowhere_else(text: str) -> None:
    assert render(parse(text)) == text


def test_what_the_notation_cannot_say_is_shown_all_the_same() -> None:
    clobber = t.Assign(t.Register("r7"), t.Binary("s/", t.Register("r7"), t.Const(3, t.U64)))
    assert render([clobber]) == "r7 = r7 s/ 3"


def test_a_number_is_cast_where_its_place_does_not_tell_its_type() -> None:
    assert render_expression(t.Const(7, t.U16)) == "(u16)7"
    assert render_expression(t.Const(7, t.U16), t.U16) == "7"
