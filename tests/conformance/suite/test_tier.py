# SPDX-License-Identifier: Apache-2.0
"""The short tiers of the suite: what is in them, and how they are selected."""

from pathlib import Path

import pytest

from bpf_isa.conformance.suite.instructions import names_in
from bpf_isa.conformance.suite.model import Vector
from bpf_isa.conformance.suite.select import SelectionError
from bpf_isa.conformance.suite.suite import load_suite, load_tier
from bpf_isa.conformance.suite.tier import Tier, by_tier, check_own, list_of, members
from bpf_isa.spec.groups import closure
from bpf_isa.spec.table import isa

SAMPLE = Path(__file__).parents[1] / "data" / "sample.yaml"
SHORT = [Tier.SMOKE, Tier.QUICK]


def of(tier: Tier) -> tuple[Vector, ...]:
    return load_tier(tier).vectors


def executed(vectors: tuple[Vector, ...]) -> set[str]:
    """The instructions of programs that run."""
    return {name for one in vectors if one.little.expect.returns for name in names_in(one.little.code)}


@pytest.mark.parametrize(("tier", "most"), [(Tier.SMOKE, 150), (Tier.QUICK, 2500)])
def test_a_tier_has_no_more_vectors_than_it_may(tier: Tier, most: int) -> None:
    vectors = of(tier)
    assert 0 < len(vectors) <= most
    assert sorted(one.id for one in vectors) == sorted(members(tier))


@pytest.mark.parametrize("tier", SHORT)
def test_a_list_has_each_vector_once(tier: Tier) -> None:
    lines = list_of(tier).read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# SPDX") and lines[1].startswith("#")
    assert tuple(lines[2:]) == members(tier) and len(set(lines)) == len(lines)


@pytest.mark.parametrize("tier", SHORT)
def test_every_instruction_is_in_a_tier(tier: Tier) -> None:
    assert executed(of(tier)) == set(isa().by_name)


@pytest.mark.parametrize("tier", SHORT)
def test_a_runtime_with_few_groups_gets_answers_about_all_their_instructions(tier: Tier) -> None:
    """With base32 alone beside it, each group has its instructions in programs that need no other group.

    LE32 does nothing to 32-bit registers of little-endian machines.
    """
    for group in ("base32", "base64", "atomic32", "atomic64", "divmul32"):
        possible = tuple(one for one in of(tier) if closure(one.groups) <= closure([group]))
        mine = {row.name for row in isa().instructions if group in row.groups}
        assert mine - {"LE32"} <= executed(possible)


@pytest.mark.parametrize("tier", SHORT)
def test_some_programs_are_to_be_rejected(tier: Tier) -> None:
    rejected = [one for one in of(tier) if one.little.expect.rejected]
    assert 10 < len(rejected) < len(of(tier))


def test_programs_of_the_smallest_tier_are_short() -> None:
    assert max(len(one.little.code) for one in of(Tier.SMOKE)) <= 64 * 8


def test_all_of_the_suite_is_a_tier() -> None:
    assert [one.id for one in of(Tier.FULL)] == [one.id for one in load_suite().vectors]


def test_other_vectors_have_no_tiers() -> None:
    assert len(load_tier("full", [SAMPLE]).vectors) == 10
    check_own("full")
    with pytest.raises(SelectionError, match="--tier quick is a part of the suite of this package"):
        load_tier("quick", [SAMPLE])


def test_what_is_no_tier_is_refused() -> None:
    for call in (load_tier, check_own, lambda name: by_tier(name, frozenset())):
        with pytest.raises(SelectionError, match="--tier slow: the tiers are smoke, quick, full"):
            call("slow")


def test_a_list_that_does_not_fit_the_suite_is_refused() -> None:
    suite = frozenset(members(Tier.SMOKE))
    missing = min(suite)
    with pytest.raises(SelectionError, match=f"{missing} is no vector of the suite: bpf-isa generate smoke"):
        by_tier("smoke", suite - {missing})
