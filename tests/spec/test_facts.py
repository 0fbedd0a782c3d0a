# SPDX-License-Identifier: Apache-2.0
"""Facts of rows come from what rows mean, whatever they are called and wherever the RFC describes them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from bpf_isa.spec.facts import Facts, Kind, facts
from bpf_isa.spec.pseudocode import parse
from bpf_isa.spec.table import Instruction, isa

FACTS = {
    "SDIV32_K": Facts(Kind.ALU, "s/", 32, 0, False),
    "LSH64_X": Facts(Kind.ALU, "<<", 64, 0, False),
    "NEG64": Facts(Kind.ALU, "negate", 64, 0, False),
    "MOV32_K": Facts(Kind.ALU, "move", 32, 0, False),
    "MOVSX32_16": Facts(Kind.ALU, "extend", 32, 16, False),
    "BSWAP16": Facts(Kind.SWAP, "bswap16", 16, 0, False),
    "LD_IMM64": Facts(Kind.CONSTANT, None, 64, 0, False),
    "LD_MAP_IDX_VALUE": Facts(Kind.ADDRESS, "map_val", 64, 0, False),
    "LDX_MEMSX_H": Facts(Kind.LOAD, None, 16, 16, False),
    "ST_MEM_B": Facts(Kind.STORE, None, 8, 0, False),
    "ATOMIC_FETCH_XOR32": Facts(Kind.ATOMIC, "^", 32, 0, True),
    "ATOMIC_CMPXCHG64": Facts(Kind.ATOMIC, "compare-exchange", 64, 0, True),
    "LD_IND_H": Facts(Kind.PACKET, None, 16, 0, False),
    "JSET32_K": Facts(Kind.CONDITION, "&", 32, 0, False),
    "JSGE64_X": Facts(Kind.CONDITION, "s>=", 64, 0, False),
    "JA32": Facts(Kind.JUMP, None, 32, 0, False),
    "CALL_BTF": Facts(Kind.HELPER, "btf", 64, 0, False),
    "CALL_LOCAL": Facts(Kind.CALL, None, 64, 0, False),
    "EXIT": Facts(Kind.EXIT, None, 64, 0, False),
}


@pytest.mark.parametrize("name", FACTS)
def test_facts(name: str) -> None:
    assert facts(isa().by_name[name]) == FACTS[name]


@pytest.mark.parametrize("row", isa().instructions, ids=lambda row: row.name)
def test_a_name_and_a_section_make_no_difference(row: Instruction) -> None:
    assert facts(replace(row, name="X", section="9", asm=("x",), mnemonic=())) == facts(row)


def test_each_operation_has_as_many_rows_as_the_rfc_gives_it() -> None:
    """At either width with an immediate and with a register; NEG and MOVSX are others."""
    rows = Counter(facts(row).operation for row in isa().instructions if facts(row).kind is Kind.ALU)
    assert rows.pop("negate") == 2
    assert rows.pop("extend") == 5
    assert set(rows.values()) == {4}
    assert None not in rows


@pytest.mark.parametrize(
    ("means", "operation"),
    [
        ("dst = dst + src", "+"),
        ("dst = (dst << (src & 63)) | (dst >> (src & 63))", None),
        ("dst = dst & (src ^ dst)", None),
        ("dst = (dst != 0) ? dst + src : dst", None),
        ("dst = dst << ((dst + src) & 63)", None),
    ],
)
def test_only_an_operation_on_the_operands_is_one(means: str, operation: str | None) -> None:
    row = isa().by_name["ADD64_X"].with_means(parse(means))
    assert facts(row).operation == operation
