# SPDX-License-Identifier: Apache-2.0
"""Reasons: what they are as strings, and which are valid."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpf_isa.adapters.protocol import Blames, Reason

CODES = st.from_regex(r"[a-z][a-z0-9._-]*", fullmatch=True)


@given(CODES, st.text(), st.sampled_from(get_args(Blames)))
def test_a_reason_is_found_in_its_string(code: str, text: str, blames: Blames) -> None:
    reason = Reason(code, text, blames)
    assert reason.is_valid
    assert Reason.parse(str(reason), blames) == reason


@given(st.text())
def test_every_text_is_the_string_of_a_reason(text: str) -> None:
    assert str(Reason.parse(text)) == text


@pytest.mark.parametrize("text", ["No code: here", "a code: no", "code:none", ""])
def test_texts_without_a_code(text: str) -> None:
    assert Reason.parse(text) == Reason("", text)


@pytest.mark.parametrize("parts", [("Code", "x"), ("a b", "x"), ("a\n", "x"), ("a", "x", "everybody")])
def test_reasons_that_are_not_valid(parts: Any) -> None:
    assert not Reason(*parts).is_valid
