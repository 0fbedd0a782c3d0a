# SPDX-License-Identifier: Apache-2.0
"""What is said of sets of numbers holds for the numbers in them."""

from __future__ import annotations

import operator
from collections.abc import Callable
from itertools import product
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bpf_isa.reference_vm.verifier import operators as o
from bpf_isa.reference_vm.verifier import ranges as r
from bpf_isa.spec import tree as t

from .scenes import has

BITS = st.sampled_from([8, 16, 32, 64])


@st.composite
def numbers(draw: st.DrawFn, bits: int) -> int:
    """A number, rather one near to where something changes."""
    edge = draw(st.sampled_from([0, 1 << bits - 1, 1 << bits // 2, (1 << bits) - 1, 1 << 7]))
    near = st.integers(edge - 5, edge + 5)
    return draw(near | st.integers(0, (1 << bits) - 1)) & ((1 << bits) - 1)


@st.composite
def sets(draw: st.DrawFn, bits: int) -> tuple[r.Range, int]:
    """A set with a number in it."""
    member = draw(numbers(bits))
    found = draw(st.sampled_from([r.known(member, bits), r.anything(bits)]))
    for _ in range(draw(st.integers(0, 2))):
        other = draw(numbers(bits))
        made = draw(st.sampled_from(["unsigned", "signed", "join"]))
        if made == "unsigned":
            bounds: r.Range | None = r.unsigned(min(member, other), max(member, other), bits)
        elif made == "signed":
            as_signed = [t.Type(True, bits).wrap(number) for number in (member, other)]
            bounds = r.signed(min(as_signed), max(as_signed), bits)
        else:
            bounds = r.join(found, r.known(other, bits))
        assert bounds is not None
        narrower = r.meet(found, bounds)
        found = bounds if found.constant is not None else narrower or bounds
        assert narrower is not None
    assert has(found, member)
    return found, member


def two(bits: int) -> st.SearchStrategy[tuple[tuple[r.Range, int], tuple[r.Range, int]]]:
    return st.tuples(sets(bits), sets(bits))


def truncated(a: int, b: int) -> int:
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


CONCRETE: dict[str, Callable[[int, int], int]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "&": operator.and_, "|": operator.or_,
    "^": operator.xor, "/": operator.floordiv, "%": operator.mod, "s/": truncated,
    "s%": lambda a, b: a - b * truncated(a, b), "<<": operator.lshift, ">>": operator.rshift, "s>>": operator.rshift,
}  # fmt: skip


@given(st.data(), BITS, st.sampled_from(sorted(CONCRETE)))
def test_results_of_operators_are_in_the_result(data: st.DataObject, bits: int, op: str) -> None:
    (a, x), (b, y) = data.draw(two(bits))
    if op in {"/", "%", "s/", "s%"}:
        assume(y != 0)
    if op in {"<<", ">>", "s>>"}:
        b, y = o.modulo(b, r.known(bits, bits)), y % bits
        assume(has(b, y))
    if op in {"s/", "s%", "s>>"}:
        x = t.Type(True, bits).wrap(x)
        y = y if op == "s>>" else t.Type(True, bits).wrap(y)
    assert has(o.OPERATORS[op](a, b), CONCRETE[op](x, y) & ((1 << bits) - 1))


def few_bits(random: Random) -> tuple[r.Range, list[int]]:
    """Some set of numbers of 4 bits, and all that are in it; not always are its parts as narrow as they can be."""
    low, high = sorted((random.choice([0, random.randrange(16)]), random.choice([15, random.randrange(16)])))
    least, most = sorted((random.choice([-8, random.randrange(-8, 8)]), random.choice([7, random.randrange(-8, 8)])))
    unknown = random.choice([15, random.randrange(16)])
    found = r.Range(4, low, high, least, most, random.randrange(16) & ~unknown, unknown)
    return found, [number for number in range(16) if has(found, number)]


@pytest.mark.parametrize("op", CONCRETE)
def test_all_results_of_operators_on_few_bits_are_in_the_result(op: str) -> None:
    random = Random(op)
    signed, unsigned = t.Type(True, 4), t.Type(False, 4)
    left = signed if op.startswith("s") else unsigned
    right = signed if op in {"s/", "s%"} else unsigned
    for _ in range(600):
        (a, xs), (b, ys) = few_bits(random), few_bits(random)
        if op in {"<<", ">>", "s>>"}:
            b, ys = o.both(b, r.known(3, 4)), [y & 3 for y in ys]
        found = o.OPERATORS[op](a, b)
        for x, y in product(map(left.wrap, xs), map(right.wrap, ys)):
            if y != 0 or op not in {"/", "%", "s/", "s%"}:
                assert has(found, CONCRETE[op](x, y) & 15), (a, b, x, y)


@given(st.data(), BITS, BITS, st.booleans())
def test_results_of_casts_are_in_the_result(data: st.DataObject, bits: int, other: int, by_sign: bool) -> None:
    a, x = data.draw(sets(bits))
    if other <= bits:
        assert has(o.cut(a, other), x & ((1 << other) - 1))
    else:
        wrapped = t.Type(by_sign, bits).wrap(x) & ((1 << other) - 1)
        assert has(o.extend(a, other, by_sign=by_sign), wrapped)


@given(st.data(), BITS)
def test_bytes_swapped_and_negated(data: st.DataObject, bits: int) -> None:
    a, x = data.draw(sets(bits))
    assert has(o.swap_bytes(a), int.from_bytes(x.to_bytes(bits // 8, "little"), "big"))
    assert has(o.negate(a), -x & ((1 << bits) - 1))


HOLDS: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


@given(st.data(), BITS, st.sampled_from(t.COMPARISONS))
def test_conditions_leave_what_they_hold_for(data: st.DataObject, bits: int, op: str) -> None:
    (a, x), (b, y) = data.draw(two(bits))
    kind = t.Type(op.startswith("s"), bits)
    holds = HOLDS[op.removeprefix("s")](kind.wrap(x), kind.wrap(y))
    narrowed = o.narrowed(op if holds else o.NEGATED[op], a, b)
    assert narrowed is not None
    assert has(narrowed[0], x) and has(narrowed[1], y)
    assert r.includes(a, narrowed[0]) and r.includes(b, narrowed[1])


@pytest.mark.parametrize("op", t.COMPARISONS)
def test_conditions_leave_all_few_bits_that_they_hold_for(op: str) -> None:
    random = Random(op)
    kind = t.Type(op.startswith("s"), 4)
    for _ in range(600):
        (a, xs), (b, ys) = few_bits(random), few_bits(random)
        narrowed = o.narrowed(op, a, b)
        for x, y in product(xs, ys):
            if HOLDS[op.removeprefix("s")](kind.wrap(x), kind.wrap(y)):
                assert narrowed and has(narrowed[0], x) and has(narrowed[1], y), (a, b, x, y)


def test_all_few_bits_are_in_casts_and_where_sets_meet() -> None:
    random = Random(4)
    for _ in range(2000):
        (a, xs), (b, ys) = few_bits(random), few_bits(random)
        low, by_zeros, by_sign = o.cut(a, 2), o.extend(a, 6, by_sign=False), o.extend(a, 6, by_sign=True)
        for x in xs:
            assert has(low, x & 3) and has(by_zeros, x) and has(by_sign, t.Type(True, 4).wrap(x) & 63), (a, x)
        joined, met, widened = r.join(a, b), r.meet(a, b), r.widen(a, b, [-5, 0, 3, 9])
        assert all(has(joined, number) and has(widened, number) for number in xs + ys)
        assert all(met and has(met, number) for number in set(xs).intersection(ys))
        assert not r.includes(a, b) or set(xs).issuperset(ys)


@given(st.data(), BITS, st.lists(st.integers(-1 << 63, 1 << 64), max_size=4))
def test_joined_widened_and_met(data: st.DataObject, bits: int, stops: list[int]) -> None:
    (a, x), (b, y) = data.draw(two(bits))
    for found in (r.join(a, b), r.widen(a, b, sorted(stops))):
        assert has(found, x) and has(found, y)
        assert r.includes(found, a) and r.includes(found, b)
    met = r.meet(a, b)
    assert met is None or (r.includes(a, met) and r.includes(b, met))
    if has(b, x):
        assert met is not None and has(met, x)


@given(st.data(), BITS)
def test_widening_comes_to_an_end(data: st.DataObject, bits: int) -> None:
    found, _ = data.draw(sets(bits))
    steps = 0
    while True:
        grown = r.widen(found, o.add(found, r.known(1, bits)), [10, 1000])
        if grown == found:
            break
        found = grown
        steps += 1
    assert steps < 4 * bits


def test_what_bounds_say_is_precise() -> None:
    words = o.shift_left(r.unsigned(0, 4095), r.known(3))
    assert (words.low, words.high, words.unknown) == (0, 32760, 0x7FF8)
    assert o.narrowed("<", o.add(words, r.known(8)), r.known(32768)) is not None
    met = o.narrowed("<", o.add(words, r.known(8)), r.known(32768))
    assert met is not None and met[0].high == 32760
    assert o.modulo(r.anything(64), r.known(10)).high == 9
    assert o.both(r.anything(64), r.known(0xF0)) == o.both(r.known(0xF0), r.anything(64))
    assert o.narrowed("s<", r.known(5), r.known(-1)) is None
    assert o.cut(r.signed(-3, 3), 32).signed_low == -3
    assert str(r.signed(-3, 3)) == "-3..3"
