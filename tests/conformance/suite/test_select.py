# SPDX-License-Identifier: Apache-2.0
"""Selecting vectors by expression, group and section."""

from pathlib import Path

import pytest

from bpf_isa.conformance.suite.select import (
    SelectionError,
    by_expression,
    by_groups,
    by_sections,
)
from bpf_isa.conformance.suite.suite import load_suite

SUITE = load_suite([Path(__file__).parents[1] / "data" / "sample.yaml"])


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("wraps", ["add64-x/wraps", "add32-k/base32-only/wraps"]),
        ("add64 and not wraps", ["add64-x/carries", "atomic-fetch-add64"]),
        ("(add64-x or add32) and wraps", ["add64-x/wraps", "add32-k/base32-only/wraps"]),
        ("add64 and wraps or small", ["add64-x/wraps", "add32-k/base32-only/small"]),
        ("not not small", ["add32-k/base32-only/small"]),
        ("not (add* or stx or atomic or calls or bswap*)", ["smod64-k/dividend-negative"]),
        ("*/small", ["add32-k/base32-only/small"]),
        ("wrap?", []),
        ("add64-[xk]/w*", ["add64-x/wraps"]),
        ("add", []),
        ("wrap", []),
        ("x/wraps", ["add64-x/wraps"]),
        ("fetch-add64", ["atomic-fetch-add64"]),
        ("only/ and not negative", ["add32-k/base32-only/small", "add32-k/base32-only/wraps"]),
        ("/SMALL", ["add32-k/base32-only/small"]),
        ("Add64-X/*", ["add64-x/wraps", "add64-x/carries"]),
        ("*", [vector.id for vector in SUITE.vectors]),
        ("not " * 50 + "add64-x/wraps", ["add64-x/wraps"]),
        ("(" * 50 + "add64-x/wraps" + ")" * 50, ["add64-x/wraps"]),
    ],
)
def test_expressions(expression: str, names: list[str]) -> None:
    assert [vector.id for vector in SUITE.select([by_expression(expression)])] == names


@pytest.mark.parametrize(
    "expression",
    [
        *("", "and", "add and", "not", "(add", "add)", "()", "add or or mul", "a b"),
        *("(" * 20_000, "not " * 20_000 + "add"),
    ],
    ids=lambda text: text[:20],
)
def test_expressions_that_say_nothing(expression: str) -> None:
    with pytest.raises(SelectionError, match="-k"):
        by_expression(expression)


@pytest.mark.parametrize(
    ("groups", "number"), [(["base32"], 3), (["atomic64", "divmul64"], 2), (["base64"], 5), (["packet"], 0)]
)
def test_groups_are_those_that_vectors_count_under(groups: list[str], number: int) -> None:
    assert len(SUITE.select([by_groups(groups)])) == number


def test_sections_include_those_below() -> None:
    assert [vector.id for vector in SUITE.select([by_sections(["5"])])] == [
        "stx-mem-h/neighbours/order",
        "atomic-fetch-add64",
    ]
    assert [vector.id for vector in SUITE.select([by_sections(["5.3"])])] == ["atomic-fetch-add64"]
    assert [vector.id for vector in SUITE.select([by_sections(["4.3", "3."])])] == [
        "bswap16/source-bit-set",
        "calls/local",
    ]


def test_all_tests_must_hold() -> None:
    both = [by_expression("wraps"), by_groups(["base32"])]
    assert [vector.id for vector in SUITE.select(both)] == ["add32-k/base32-only/wraps"]
