# SPDX-License-Identifier: Apache-2.0
"""No character that could deceive a reader is left in a text, and nothing else is changed."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from bpf_isa.spec.plain import plain, plain_data

#: Classes of the bidirectional algorithm that no letter has: embeddings, overrides, isolates and their ends.
REORDERING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def is_harmful(character: str) -> bool:
    """By Unicode's own data: controls, halves of pairs, separators of lines, marks of direction, invisible formats."""
    return (
        unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        or unicodedata.bidirectional(character) in REORDERING
        or character in "\u200b\u200c\u200d\u200e\u200f\u061c\u2060\ufeff\u00ad"
    )


def test_every_harmful_character_is_replaced() -> None:
    harmful = [chr(code) for code in range(0x110000) if is_harmful(chr(code))]
    assert len(harmful) > 2048 + 65
    for character in harmful:
        assert plain(character).isascii() and plain(character).startswith("\\"), hex(ord(character))
        assert plain(character, lines=True) == ("\n" if character == "\n" else plain(character))


@given(st.text())
def test_nothing_harmful_is_left_and_the_rest_stays(text: str) -> None:
    for shown in (plain(text), plain(text, lines=True).replace("\n", "")):
        assert not any(map(is_harmful, shown))
        shown.encode("utf-8")
    assert plain(plain(text)) == plain(text)
    letters = "".join(character for character in text if character.isprintable())
    assert plain(letters) == letters


def test_escapes() -> None:
    assert plain("a\x1b[31m\n") == "a\\u001b[31m\\u000a"
    assert plain("\U000e0041") == "\\U000e0041"
    assert plain("größer ≤ 日本 😀 עברית") == "größer ≤ 日本 😀 עברית"


def test_data() -> None:
    data = {"a\x1b": ["\u202e", 1, None, {"b": "c\nd"}], "e": 1.5}
    assert plain_data(data) == {"a\\u001b": ["\\u202e", 1, None, {"b": "c\nd"}], "e": 1.5}
