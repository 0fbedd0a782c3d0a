# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies for instructions, programs and bytes that are nearly programs."""

from __future__ import annotations

from hypothesis import strategies as st

from bpf_isa.spec.encoding import ByteOrder, Decoded, Slot, make, pack
from bpf_isa.spec.table import Fixed, Instruction, Operand, isa

BYTE_ORDERS: tuple[ByteOrder, ...] = ("little", "big")
byte_orders = st.sampled_from(BYTE_ORDERS)


@st.composite
def instructions(draw: st.DrawFn) -> Decoded:
    """Any row with any operands."""
    row = draw(st.sampled_from(isa().instructions))
    return make(row, **{name: draw(_values(row, name)) for name in row.operands})


def _values(row: Instruction, name: str) -> st.SearchStrategy[int]:
    rule = row.fields[name]
    assert isinstance(rule, Operand)
    return st.integers(rule.low, rule.high)


def programs() -> st.SearchStrategy[list[Decoded]]:
    """Instructions in any order; jumps go anywhere."""
    return st.lists(instructions(), max_size=12)


_OPCODES = sorted(isa().by_opcode)
_FIXED = {
    name: sorted({rule.value for row in isa().instructions if isinstance(rule := row.fields[name], Fixed)})
    for name in ("dst", "src", "offset", "imm")
}
#: Slots whose every field has a value that some instruction knows, or one beside it: wrong in few places.
_near_slots = st.builds(
    Slot,
    st.sampled_from(_OPCODES) | st.integers(0, 255),
    st.integers(0, 11),
    st.integers(0, 11),
    st.sampled_from(_FIXED["offset"]) | st.integers(-3, 3),
    st.sampled_from(_FIXED["imm"]) | st.integers(-3, 3),
)


def code() -> st.SearchStrategy[bytes]:
    """Bytes in little-endian order: arbitrary, or a program with something wrong in it."""
    near = st.lists(_near_slots, max_size=8).map(pack)
    cut = st.tuples(near, st.binary(max_size=7)).map(b"".join)
    return st.binary(max_size=64) | near | cut
