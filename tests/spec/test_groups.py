# SPDX-License-Identifier: Apache-2.0
"""Conformance groups, section 2.4."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpf_isa.spec.asm.assemble import assemble_program
from bpf_isa.spec.groups import asked, closure, minimal, reported, required
from bpf_isa.spec.table import isa

GROUPS = ("base32", "base64", "atomic32", "atomic64", "divmul32", "divmul64", "packet")
some_groups = st.frozensets(st.sampled_from(GROUPS))


def test_the_groups_of_the_rfc() -> None:
    assert set(isa().groups) == set(GROUPS)


@pytest.mark.parametrize(
    ("groups", "supported"),
    [
        ("", "base32"),
        ("base32", "base32"),
        ("base64", "base64 base32"),
        ("atomic32", "atomic32 base32"),
        ("atomic64", "atomic64 atomic32 base32"),
        ("divmul64", "divmul64 divmul32 base32"),
        ("packet base64", "packet base64 base32"),
    ],
)
def test_closure(groups: str, supported: str) -> None:
    assert closure(groups.split()) == set(supported.split())


def test_unknown_group() -> None:
    with pytest.raises(KeyError, match="base128"):
        closure(["base128"])
    with pytest.raises(KeyError, match="base128"):
        asked(["base128"])


def test_what_a_runtime_is_asked_about() -> None:
    """Appendix A calls packet accesses implementation-specific: nobody is asked about them who does not claim them."""
    assert asked(None) == set(GROUPS) - {"packet"}
    assert asked(["atomic64"]) == {"atomic64", "atomic32", "base32"}
    assert asked(["packet"]) == {"packet", "base32"}


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("", "base32"),
        ("exit", "base32"),
        ("w0 = 1; exit", "base32"),
        ("r0 = 1; exit", "base64"),
        ("w0 = 1; w0 *= 3; exit", "divmul32"),
        ("r0 = 1; r0 *= 3; exit", "divmul64 base64"),
        ("w0 = 1; r0 /= r1; w0 /= w1; exit", "divmul64"),
        ("lock *(u32 *)(r1 + 0) += w2; exit", "atomic32"),
        ("lock *(u32 *)(r1 + 0) += w2; lock *(u64 *)(r1 + 0) += r2; exit", "atomic64"),
        ("r0 = *(u8 *)skb[3]; exit", "packet"),
        ("r0 = 1 ll; r0 = *(u32 *)(r1 + 0); exit", "base64"),
        ("r0 = le64 r0", "base64"),
        ("r0 = le32 r0", "base32"),
    ],
)
def test_required(text: str, groups: str) -> None:
    assert required(assemble_program(text)) == set(groups.split())


@given(some_groups)
def test_a_minimal_set_has_the_same_closure_and_nothing_to_spare(groups: frozenset[str]) -> None:
    least = minimal(groups)
    assert closure(least) == closure(groups)
    assert all(closure(least - {group}) != closure(least) for group in least - {"base32"})
    assert minimal(least) == least


@given(some_groups, some_groups)
def test_closure_grows_with_the_groups(some: frozenset[str], more: frozenset[str]) -> None:
    assert closure(some) <= closure(some | more) == closure(some) | closure(more)
    assert closure(closure(some)) == closure(some)


@pytest.mark.parametrize(
    ("groups", "under"),
    [
        ("base32", "base32"),
        ("base64", "base64"),
        ("base64 atomic64", "atomic64"),
        ("base32 divmul32", "divmul32"),
        ("base64 atomic32 divmul64", "atomic32 divmul64"),
    ],
)
def test_reported(groups: str, under: str) -> None:
    assert reported(groups.split()) == set(under.split())
