# SPDX-License-Identifier: Apache-2.0
"""Generated vectors: cases that rely on how the RFC is read are vectors of their own, of a lower level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from bpf_isa.conformance.generate.draft import Draft, DraftError
from bpf_isa.conformance.generate.levels import with_levels

COVERS = ("rfc9669-4.2-le16", "rfc9669-4.2-end-zero-extends")
NARROW, WIDE = {"dst": "0x1234"}, {"dst": "0x123456"}


def swapped(**cases: Mapping[str, str]) -> Draft:
    return Draft("le16/numbers", "numbers are swapped", COVERS, cases, "r0 = {dst} ll\nr0 = le16 r0\nexit\n")


def test_cases_that_differ_in_what_they_rely_on_are_parted() -> None:
    draft = swapped(a=NARROW, b=WIDE, c={"dst": "7"})
    must, other = with_levels(draft)
    assert (must.id, must.level, must.errata, list(must.cases)) == ("le16/numbers", "must", (), ["a", "c"])
    assert must.covers == ("rfc9669-4.2-le16",)
    assert (other.id, other.level) == ("le16/numbers/end-clears-upper-bits", "interpretation")
    assert (other.errata, list(other.cases)) == (("end-clears-upper-bits",), ["b"])
    assert other.covers == COVERS
    assert replace(must, id=draft.id, cases=draft.cases, covers=COVERS) == draft


def test_a_draft_whose_cases_are_all_alike_keeps_its_id() -> None:
    (draft,) = with_levels(swapped(b=WIDE))
    assert (draft.id, draft.level, draft.errata) == ("le16/numbers", "interpretation", ("end-clears-upper-bits",))
    (draft,) = with_levels(swapped(a=NARROW))
    assert (draft.id, draft.level, draft.covers) == ("le16/numbers", "must", COVERS[:1])


def test_a_draft_of_a_lower_level_cites_all_that_it_relies_on() -> None:
    (draft,) = with_levels(replace(swapped(a=NARROW, b=WIDE), errata=("calling-convention",)))
    assert (draft.id, draft.level) == ("le16/numbers", "abi")
    assert draft.errata == ("calling-convention", "end-clears-upper-bits")


def test_a_draft_may_not_rely_on_what_nothing_promises() -> None:
    draft = replace(swapped(b=WIDE), asm="r0 = {dst} ll\nr0 = le16 r0\nr0 += r3\nexit\n")
    with pytest.raises(DraftError, match=r"le16/numbers/b \(little-endian\): it relies on a register"):
        list(with_levels(draft))


def test_what_should_be_rejected_stays_as_it_is() -> None:
    draft = Draft("malformed/x", "no opcode", ("x",), code="ff", errata=("reserved-opcodes",), rejected=True)
    assert list(with_levels(draft)) == [draft]
