# SPDX-License-Identifier: Apache-2.0
"""Few vectors that notice what all do, and a choice that lasts."""

from collections.abc import Collection, Sequence

from hypothesis import given
from hypothesis import strategies as st

from bpf_isa.conformance.adequacy.cover import cover

VECTORS = "abcdefgh"
#: For each thing the vectors that notice it.
MATRICES = st.lists(st.frozensets(st.sampled_from(VECTORS), max_size=4), max_size=12)
CHOICES = st.frozensets(st.sampled_from(VECTORS + "z"))


def noticed(things: Sequence[Collection[str]], chosen: Collection[str]) -> int:
    return sum(not set(noticing).isdisjoint(chosen) for noticing in things)


@given(MATRICES, CHOICES, CHOICES)
def test_enough_is_noticed_and_nobody_is_superfluous(
    things: list[frozenset[str]], kept: frozenset[str], fixed: frozenset[str]
) -> None:
    chosen = cover(things, kept, fixed=fixed)
    assert chosen.isdisjoint(fixed)
    possible = sum(map(bool, things))
    assert noticed(things, chosen | fixed) == possible
    for one in chosen:
        assert noticed(things, (chosen | fixed) - {one}) < possible


@given(MATRICES, CHOICES, st.none() | st.integers(0, 4))
def test_what_was_chosen_stays(things: list[frozenset[str]], kept: frozenset[str], most: int | None) -> None:
    chosen = cover(things, kept, most=most)
    assert cover(things, chosen, most=most) == chosen
    assert most is None or len(chosen) <= most


@given(MATRICES, CHOICES, st.frozensets(st.integers(0, 11)))
def test_a_new_vector_changes_nothing_where_nothing_is_missing(
    things: list[frozenset[str]], kept: frozenset[str], notices: frozenset[int]
) -> None:
    known = [noticing for noticing in things if noticing]
    chosen = cover(known, kept)
    more = [noticing | ({"new"} if number in notices else set()) for number, noticing in enumerate(known)]
    assert cover(more, chosen) == chosen


@given(MATRICES, st.data())
def test_where_a_vector_goes_the_others_stay_that_are_needed(things: list[frozenset[str]], data: st.DataObject) -> None:
    chosen = cover(things, ())
    if chosen:
        gone = data.draw(st.sampled_from(sorted(chosen)))
        left = [noticing - {gone} for noticing in things]
        needed = {one for one in chosen if any(noticing == {one} for noticing in left)}
        again = cover(left, chosen)
        assert needed <= again
        assert noticed(left, again) == sum(map(bool, left))


def test_the_vector_that_notices_most_comes_first() -> None:
    assert cover([{"a"}, {"a", "b"}, {"b", "c"}, {"b"}], (), most=1) == {"b"}
    assert cover([{"a"}, {"a", "b"}, {"b", "c"}, {"b"}], ()) == {"a", "b"}


def test_where_room_is_scarce_those_go_that_alone_notice_the_least() -> None:
    assert cover([{"a"}, {"b"}, {"b"}, {"c"}, {"c"}], "abc", most=2) == {"b", "c"}
    assert cover([{"a"}, {"b"}], "ab", most=0) == frozenset()
