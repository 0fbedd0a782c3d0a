# SPDX-License-Identifier: Apache-2.0
"""Constant folding gives what an execution computes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpf_isa.spec import tree as t
from bpf_isa.spec.encoding import Decoded
from bpf_isa.spec.folding import fold
from bpf_isa.spec.pseudocode import parse
from bpf_isa.spec.table import FIELD_RANGES, isa

from . import tree_reading
from .operands import State

ROW = isa().by_name["LD_IMM64"]
OFFSETS, IMMEDIATES = (st.integers(*FIELD_RANGES[name]) for name in ("offset", "imm"))


@pytest.mark.parametrize(
    "value",
    [
        "(u64)(u32)next_imm << 32 | (u64)(u32)imm",
        "(s64)imm s>> 3",
        "(u64)((u32)imm >> 7)",
        "(u64)((u32)imm << 31)",
        "(u64)-(s32)(s16)imm",
        "(u64)(u8)offset * 5 - (u64)imm",
        "(u64)((u32)imm & 255 ^ (u32)imm)",
        "bswap64((u64)imm)",
        "(u64)bswap16((u16)imm)",
    ],
)
@given(OFFSETS, IMMEDIATES, IMMEDIATES)
def test_folding(value: str, offset: int, imm: int, next_imm: int) -> None:
    means = parse(f"dst = {value}")
    (statement,) = means
    assert isinstance(statement, t.Assign)
    state = State(offset=offset, imm=imm, next_imm=next_imm)
    tree_reading.run(means, state)
    assert fold(statement.value, Decoded(ROW, offset=offset, imm=imm, next_imm=next_imm)) == state.dst


@pytest.mark.parametrize(
    "value", ["dst + 1", "*(u64 *)imm", "(u64)imm / (u64)offset", "(u64)imm << (u64)imm", "code_addr(imm)"]
)
def test_what_is_not_folded(value: str) -> None:
    (statement,) = parse(f"dst = {value}")
    assert isinstance(statement, t.Assign)
    assert fold(statement.value, Decoded(ROW, imm=64)) is None
