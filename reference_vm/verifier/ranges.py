# SPDX-License-Identifier: Apache-2.0
"""The abstract domain of numbers of one width: an unsigned interval, a signed interval and known bits (tnum).

A :class:`Range` is the set of numbers in its unsigned interval whose two's complement reading is in its signed
interval and whose known bits match. Ranges form a lattice: :func:`join`, :func:`meet` and
:func:`widen`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple


class Range(NamedTuple):
    """Numbers of ``bits`` bits: unsigned in ``low..high``, signed in ``signed_low..signed_high``.

    ``value`` and ``unknown`` are a tnum: bits that are 0 in ``unknown`` are known, other bits of ``value`` are 0.
    """

    bits: int
    low: int
    high: int
    signed_low: int
    signed_high: int
    value: int
    unknown: int

    @property
    def constant(self) -> int | None:
        """The number, if there is only one."""
        return self.low if self.low == self.high else None

    def __str__(self) -> str:
        if self.low == self.high:
            return str(self.signed_low)
        if self.signed_low < 0 or self.high > self.signed_high:
            return f"{self.signed_low}..{self.signed_high}"
        return f"{self.low}..{self.high}"


def known(number: int, bits: int = 64) -> Range:
    """Return the set of one number."""
    number &= (1 << bits) - 1
    signed = as_signed(number, bits)
    return Range(bits, number, number, signed, signed, number, 0)


@cache
def anything(bits: int) -> Range:
    """Return the set of all numbers."""
    return Range(bits, 0, (1 << bits) - 1, -(1 << bits - 1), (1 << bits - 1) - 1, 0, (1 << bits) - 1)


def unsigned(low: int, high: int, bits: int = 64) -> Range:
    """Return the numbers from ``low`` to ``high``."""
    mask = (1 << bits) - 1
    if low < 0 or high > mask:
        return anything(bits)
    return some(bits, low, high, -(1 << bits - 1), mask >> 1, 0, mask)


def signed(low: int, high: int, bits: int = 64) -> Range:
    """Return the numbers whose two's complement reading is from ``low`` to ``high``."""
    half = 1 << bits - 1
    if low < -half or high >= half:
        return anything(bits)
    return some(bits, 0, 2 * half - 1, low, high, 0, 2 * half - 1)


def as_signed(number: int, bits: int) -> int:
    """Return the two's complement reading of a number of ``bits`` bits."""
    return number - (1 << bits) if number >> (bits - 1) else number


def made(bits: int, low: int, high: int, signed_low: int, signed_high: int, value: int, unknown: int) -> Range | None:
    """Return the set, with each part narrowed by the others; None if it is empty."""
    mask, half = (1 << bits) - 1, 1 << bits - 1
    for _ in range(2):
        low, high = max(low, value), min(high, value | unknown)
        if low > high:
            return None
        if low == high:
            number = as_signed(low, bits)
            agrees = signed_low <= number <= signed_high and not (low ^ value) & ~unknown
            return Range(bits, low, low, number, number, low, 0) if agrees else None
        if low >= half or high < half:
            low_s, high_s = (low - mask - 1, high - mask - 1) if low >= half else (low, high)
            signed_low, signed_high = max(signed_low, low_s), min(signed_high, high_s)
        if signed_low > signed_high:
            return None
        if signed_low >= 0 or signed_high < 0:
            low, high = max(low, signed_low & mask), min(high, signed_high & mask)
            if low > high:
                return None
        # Bits above the highest one in which the bounds differ are the same in the whole interval.
        differ = (1 << (low ^ high).bit_length()) - 1
        if (low ^ value) & ~unknown & ~differ & mask:
            return None
        value, unknown = (value | low) & ~differ | value & differ, unknown & differ
        value &= ~unknown
    return Range(bits, low, high, signed_low, signed_high, value, unknown)


def some(bits: int, low: int, high: int, signed_low: int, signed_high: int, value: int, unknown: int) -> Range:
    """Return the set of :func:`made`, or that of all numbers if it is empty.

    Operands may be empty sets whose contradiction :func:`made` has not found.
    """
    return made(bits, low, high, signed_low, signed_high, value, unknown) or anything(bits)


def of_bits(bits: int, value: int, unknown: int) -> Range:
    """Return the numbers whose bits are those of ``value`` where ``unknown`` is 0."""
    mask = (1 << bits) - 1
    return some(bits, 0, mask, -(1 << bits - 1), mask >> 1, value & mask & ~unknown, unknown & mask)


# Sets


def includes(a: Range, b: Range) -> bool:
    """Whether ``b`` is a subset of ``a``."""
    return (
        a.low <= b.low
        and b.high <= a.high
        and a.signed_low <= b.signed_low
        and b.signed_high <= a.signed_high
        and not b.unknown & ~a.unknown
        and not (a.value ^ b.value) & ~a.unknown
    )


def join(a: Range, b: Range) -> Range:
    """Return a superset of both."""
    unknown = a.unknown | b.unknown | (a.value ^ b.value)
    return Range(
        a.bits,
        min(a.low, b.low),
        max(a.high, b.high),
        min(a.signed_low, b.signed_low),
        max(a.signed_high, b.signed_high),
        a.value & ~unknown,
        unknown,
    )


def meet(a: Range, b: Range) -> Range | None:
    """Return the intersection; None if it is empty."""
    if (a.value ^ b.value) & ~(a.unknown | b.unknown):
        return None
    unknown = a.unknown & b.unknown
    return made(
        a.bits,
        max(a.low, b.low),
        min(a.high, b.high),
        max(a.signed_low, b.signed_low),
        min(a.signed_high, b.signed_high),
        (a.value | b.value) & ~unknown,
        unknown,
    )


def widen(old: Range, new: Range, stops: Sequence[int]) -> Range:
    """Return a superset of both; a bound that has changed moves to the next of the thresholds ``stops``, sorted.

    So every chain of widenings is finite.
    """
    mask, half = (1 << old.bits) - 1, 1 << old.bits - 1
    new = join(old, new)
    low, high, signed_low, signed_high = new[1:5]
    if low < old.low:
        low = _stop_below(low, 0, stops)
    if high > old.high:
        high = _stop_above(high, mask, stops)
    if signed_low < old.signed_low:
        signed_low = _stop_below(signed_low, -half, stops)
    if signed_high > old.signed_high:
        signed_high = _stop_above(signed_high, half - 1, stops)
    return Range(old.bits, low, high, signed_low, signed_high, new.value, new.unknown)


def _stop_below(number: int, least: int, stops: Sequence[int]) -> int:
    at = bisect_right(stops, number)
    return max(stops[at - 1], least) if at else least


def _stop_above(number: int, most: int, stops: Sequence[int]) -> int:
    at = bisect_left(stops, number)
    return min(stops[at], most) if at < len(stops) else most
