# SPDX-License-Identifier: Apache-2.0
"""Sets of numbers of one width, as a program's verifier knows them: two intervals and the bits that are known.

A :class:`Range` stands for every number that lies in its unsigned interval, whose two's complement reading lies in
its signed interval, and whose known bits are as told. Each operation gives a set that has all results of numbers from
its arguments; it may have more. The operators are those of :mod:`...spec.tree`, for any width.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple


class Range(NamedTuple):
    """Numbers of ``bits`` bits: unsigned in ``low..high``, signed in ``signed_low..signed_high``.

    A bit that is 0 in ``unknown`` is as in ``value``, which is 0 where ``unknown`` is 1.
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
    signed = _signed(number, bits)
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
    return _some(bits, low, high, -(1 << bits - 1), mask >> 1, 0, mask)


def signed(low: int, high: int, bits: int = 64) -> Range:
    """Return the numbers whose two's complement reading is from ``low`` to ``high``."""
    half = 1 << bits - 1
    if low < -half or high >= half:
        return anything(bits)
    return _some(bits, 0, 2 * half - 1, low, high, 0, 2 * half - 1)


def _signed(number: int, bits: int) -> int:
    return number - (1 << bits) if number >> (bits - 1) else number


def _made(bits: int, low: int, high: int, signed_low: int, signed_high: int, value: int, unknown: int) -> Range | None:
    """Return the set with what each part says of the others; None if it is empty."""
    mask, half = (1 << bits) - 1, 1 << bits - 1
    for _ in range(2):
        low, high = max(low, value), min(high, value | unknown)
        if low > high:
            return None
        if low >= half or high < half:
            low_s, high_s = (low - mask - 1, high - mask - 1) if low >= half else (low, high)
            signed_low, signed_high = max(signed_low, low_s), min(signed_high, high_s)
        if signed_low > signed_high:
            return None
        if signed_low >= 0 or signed_high < 0:
            low, high = max(low, signed_low & mask), min(high, signed_high & mask)
            if low > high:
                return None
        # Bits above the highest one in which the bounds differ are the same in all numbers between.
        differ = (1 << (low ^ high).bit_length()) - 1
        if (low ^ value) & ~unknown & ~differ & mask:
            return None
        value, unknown = (value | low) & ~differ | value & differ, unknown & differ
        value &= ~unknown
    return Range(bits, low, high, signed_low, signed_high, value, unknown)


def _some(bits: int, low: int, high: int, signed_low: int, signed_high: int, value: int, unknown: int) -> Range:
    """Return what :func:`_made` does; anything if that is empty, as it is for arguments that stand for no number.

    Whether parts of a set contradict each other is not always noticed when it is made.
    """
    return _made(bits, low, high, signed_low, signed_high, value, unknown) or anything(bits)


def of_bits(bits: int, value: int, unknown: int) -> Range:
    """Return the numbers that have the bits of ``value``, but for those of ``unknown``."""
    mask = (1 << bits) - 1
    return _some(bits, 0, mask, -(1 << bits - 1), mask >> 1, value & mask & ~unknown, unknown & mask)


# Sets


def includes(a: Range, b: Range) -> bool:
    """Whether what is known of ``a`` holds for ``b`` as well, so that ``b`` is part of ``a``."""
    return (
        a.low <= b.low
        and b.high <= a.high
        and a.signed_low <= b.signed_low
        and b.signed_high <= a.signed_high
        and not b.unknown & ~a.unknown
        and not (a.value ^ b.value) & ~a.unknown
    )


def join(a: Range, b: Range) -> Range:
    """Return a set that has all of both."""
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
    """Return what is in both; None if nothing is."""
    if (a.value ^ b.value) & ~(a.unknown | b.unknown):
        return None
    unknown = a.unknown & b.unknown
    return _made(
        a.bits,
        max(a.low, b.low),
        min(a.high, b.high),
        max(a.signed_low, b.signed_low),
        min(a.signed_high, b.signed_high),
        (a.value | b.value) & ~unknown,
        unknown,
    )


def widen(old: Range, new: Range, stops: Sequence[int]) -> Range:
    """Return a set that has ``new``; a bound that ``old`` does not have goes on to the next of ``stops``, sorted.

    Repeated, this comes to an end after as many steps as there are stops and bits.
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


# Operators


def add(a: Range, b: Range) -> Range:
    """Return the sums, modulo the width."""
    bits = a.bits
    mask, half = (1 << bits) - 1, 1 << bits - 1
    low, high = a.low + b.low, a.high + b.high
    if low > mask:
        low, high = low - mask - 1, high - mask - 1
    if high > mask:
        low, high = 0, mask
    signed_low, signed_high = a.signed_low + b.signed_low, a.signed_high + b.signed_high
    if signed_low < -half or signed_high >= half:
        signed_low, signed_high = -half, half - 1
    # Bits are known up to where a carry may come in.
    sums = a.value + b.value
    unknown = (sums + a.unknown + b.unknown ^ sums | a.unknown | b.unknown) & mask
    return _some(bits, low, high, signed_low, signed_high, sums & mask & ~unknown, unknown)


def negate(a: Range) -> Range:
    """Return the numbers that add up to 0 with one of ``a``."""
    return sub(known(0, a.bits), a)


def sub(a: Range, b: Range) -> Range:
    """Return the differences, modulo the width."""
    bits = a.bits
    mask, half = (1 << bits) - 1, 1 << bits - 1
    low, high = a.low - b.high, a.high - b.low
    if high < 0:
        low, high = low + mask + 1, high + mask + 1
    if low < 0:
        low, high = 0, mask
    signed_low, signed_high = a.signed_low - b.signed_high, a.signed_high - b.signed_low
    if signed_low < -half or signed_high >= half:
        signed_low, signed_high = -half, half - 1
    difference = a.value - b.value
    unknown = ((difference + a.unknown) ^ (difference - b.unknown) | a.unknown | b.unknown) & mask
    return _some(bits, low, high, signed_low, signed_high, difference & mask & ~unknown, unknown)


def multiply(a: Range, b: Range) -> Range:
    """Return the products, modulo the width."""
    bits = a.bits
    mask, half = (1 << bits) - 1, 1 << bits - 1
    low, high = a.low * b.low, a.high * b.high
    if high > mask:
        low, high = 0, mask
    corners = [x * y for x in a[3:5] for y in b[3:5]]
    signed_low, signed_high = min(corners), max(corners)
    if signed_low < -half or signed_high >= half:
        signed_low, signed_high = -half, half - 1
    zeros = _trailing_zeros(a) + _trailing_zeros(b)
    unknown = mask & ~((1 << min(zeros, bits)) - 1)
    return _some(bits, low, high, signed_low, signed_high, 0, unknown)


def _trailing_zeros(a: Range) -> int:
    some = a.value | a.unknown
    return (some & -some).bit_length() - 1 if some else a.bits


def both(a: Range, b: Range) -> Range:
    """Return the results of ``&``."""
    value = a.value & b.value
    bounds = of_bits(a.bits, value, (a.value | a.unknown) & (b.value | b.unknown) & ~value)
    return meet(bounds, unsigned(0, min(a.high, b.high), a.bits)) or bounds


def either(a: Range, b: Range) -> Range:
    """Return the results of ``|``."""
    value = a.value | b.value
    bounds = of_bits(a.bits, value, (a.unknown | b.unknown) & ~value)
    return meet(bounds, unsigned(max(a.low, b.low), (1 << a.bits) - 1, a.bits)) or bounds


def exclusive(a: Range, b: Range) -> Range:
    """Return the results of ``^``."""
    unknown = a.unknown | b.unknown
    return of_bits(a.bits, (a.value ^ b.value) & ~unknown, unknown)


def _by_amount(shift: Callable[[Range, int], Range], a: Range, amount: Range) -> Range:
    """Return the results of shifting by each of the amounts, of which there are fewer than bits."""
    low, high = amount.low, min(amount.high, a.bits - 1)
    result = shift(a, low)
    for number in range(low + 1, high + 1):
        if not (number ^ amount.value) & ~amount.unknown:
            result = join(result, shift(a, number))
    return result


def shift_left(a: Range, amount: Range) -> Range:
    """Return the results of ``<<``."""
    return _by_amount(_left, a, amount)


def _left(a: Range, amount: int) -> Range:
    bits = a.bits
    mask = (1 << bits) - 1
    bounds = of_bits(bits, a.value << amount & mask, a.unknown << amount & mask)
    if a.high << amount <= mask:
        return meet(bounds, unsigned(a.low << amount, a.high << amount, bits)) or bounds
    low, high = a.signed_low << amount, a.signed_high << amount
    if -(1 << bits - 1) <= low and high < 1 << bits - 1:
        return meet(bounds, signed(low, high, bits)) or bounds
    return bounds


def shift_right(a: Range, amount: Range) -> Range:
    """Return the results of ``>>``."""
    return _by_amount(_right, a, amount)


def _right(a: Range, amount: int) -> Range:
    bounds = of_bits(a.bits, a.value >> amount, a.unknown >> amount)
    return meet(bounds, unsigned(a.low >> amount, a.high >> amount, a.bits)) or bounds


def shift_right_signed(a: Range, amount: Range) -> Range:
    """Return the results of ``s>>``."""
    return _by_amount(_right_signed, a, amount)


def _right_signed(a: Range, amount: int) -> Range:
    bits = a.bits
    mask = (1 << bits) - 1
    unknown = _signed(a.unknown, bits) >> amount & mask
    bounds = of_bits(bits, _signed(a.value, bits) >> amount & mask & ~unknown, unknown)
    return meet(bounds, signed(a.signed_low >> amount, a.signed_high >> amount, bits)) or bounds


# Divisors of 0 and INT_MIN s/ -1 are no business of these: results for the other operands are included.


def divide(a: Range, b: Range) -> Range:
    """Return the quotients of unsigned numbers."""
    return unsigned(a.low // max(b.high, 1), a.high // max(b.low, 1), a.bits)


def modulo(a: Range, b: Range) -> Range:
    """Return the remainders of unsigned numbers."""
    if a.high < b.low:
        return a
    return unsigned(0, min(a.high, max(b.high - 1, 0)), a.bits)


def divide_signed(a: Range, b: Range) -> Range:
    """Return the quotients of signed numbers, rounded towards 0."""
    most = max(abs(a.signed_low), abs(a.signed_high))
    if b.signed_low > 0:
        corners = [_truncated(x, y) for x in a[3:5] for y in b[3:5]]
        return signed(min(corners), max(corners), a.bits)
    return signed(-most, most, a.bits)


def _truncated(a: int, b: int) -> int:
    return abs(a) // b if a >= 0 else -(abs(a) // b)


def modulo_signed(a: Range, b: Range) -> Range:
    """Return the remainders of signed numbers, which have the sign of the dividend."""
    most = max(abs(b.signed_low), abs(b.signed_high), 1) - 1
    low = max(a.signed_low, -most) if a.signed_low < 0 else 0
    high = min(a.signed_high, most) if a.signed_high > 0 else 0
    return signed(min(low, 0), max(high, 0), a.bits)


OPERATORS: dict[str, Callable[[Range, Range], Range]] = {
    "+": add, "-": sub, "*": multiply, "&": both, "|": either, "^": exclusive, "/": divide, "s/": divide_signed,
    "%": modulo, "s%": modulo_signed, "<<": shift_left, ">>": shift_right, "s>>": shift_right_signed,
}  # fmt: skip


def swap_bytes(a: Range) -> Range:
    """Return the numbers with their bytes in reverse."""
    size = a.bits // 8
    value, unknown = (int.from_bytes(part.to_bytes(size, "little"), "big") for part in (a.value, a.unknown))
    return of_bits(a.bits, value, unknown)


# Widths


def cut(a: Range, bits: int) -> Range:
    """Return the low ``bits`` of the numbers."""
    mask = (1 << bits) - 1
    bounds = of_bits(bits, a.value & mask, a.unknown & mask)
    if a.low >> bits == a.high >> bits:
        return meet(bounds, unsigned(a.low & mask, a.high & mask, bits)) or bounds
    if -(1 << bits - 1) <= a.signed_low and a.signed_high < 1 << bits - 1:
        return meet(bounds, signed(a.signed_low, a.signed_high, bits)) or bounds
    return bounds


def extend(a: Range, bits: int, *, by_sign: bool) -> Range:
    """Return the numbers in a greater width: extended by zeros, or by their signs."""
    if by_sign and a.signed_low < 0:
        high_bits = (1 << bits) - (1 << a.bits)
        sign = 1 << a.bits - 1
        value = a.value | (high_bits if a.value & sign else 0)
        unknown = a.unknown | (high_bits if a.unknown & sign else 0)
        bounds = of_bits(bits, value, unknown)
        return meet(bounds, signed(a.signed_low, a.signed_high, bits)) or bounds
    return Range(bits, a.low, a.high, a.low, a.high, a.value, a.unknown)


# Conditions

NEGATED = {
    "==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">",
    "s<": "s>=", "s>=": "s<", "s>": "s<=", "s<=": "s>",
}  # fmt: skip
_SWAPPED = {">": "<", ">=": "<=", "s>": "s<", "s>=": "s<="}


def narrowed(op: str, a: Range, b: Range) -> tuple[Range, Range] | None:
    """Return what is left of both if ``a op b`` holds; None if it never does."""
    if op in _SWAPPED:
        swapped = narrowed(_SWAPPED[op], b, a)
        return swapped and (swapped[1], swapped[0])
    bits = a.bits
    mask, half = (1 << bits) - 1, 1 << bits - 1
    new_a: Range | None
    new_b: Range | None
    if op == "==":
        new_a = meet(a, b)
        return new_a and (new_a, new_a)
    if op == "!=":
        new_a, new_b = _without(a, b.constant), _without(b, a.constant)
    elif op in {"<", "<="}:
        strict = op == "<"
        if b.high < strict or a.low + strict > mask:
            return None
        new_a = meet(a, unsigned(0, b.high - strict, bits))
        new_b = meet(b, unsigned(a.low + strict, mask, bits))
    else:
        strict = op == "s<"
        if b.signed_high - strict < -half or a.signed_low + strict >= half:
            return None
        new_a = meet(a, signed(-half, b.signed_high - strict, bits))
        new_b = meet(b, signed(a.signed_low + strict, half - 1, bits))
    return None if new_a is None or new_b is None else (new_a, new_b)


def _without(a: Range, number: int | None) -> Range | None:
    """Return ``a`` without a number, as far as bounds can tell that it is missing."""
    if number is None:
        return a
    bits, low, high, signed_low, signed_high, value, unknown = a
    if low == high == number:
        return None
    as_signed = _signed(number, bits)
    return _made(
        bits,
        low + (low == number),
        high - (high == number),
        signed_low + (signed_low == as_signed),
        signed_high - (signed_high == as_signed),
        value,
        unknown,
    )
