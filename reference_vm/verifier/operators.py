# SPDX-License-Identifier: Apache-2.0
"""The operators of :mod:`...spec.tree` on sets of numbers: each returns a superset of all results."""

from __future__ import annotations

from collections.abc import Callable

from .ranges import (
    Range,
    as_signed,
    join,
    known,
    made,
    meet,
    of_bits,
    signed,
    some,
    unsigned,
)


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
    # Known bits of a sum: see tnum_add in the kernel.
    sums = a.value + b.value
    unknown = (sums + a.unknown + b.unknown ^ sums | a.unknown | b.unknown) & mask
    return some(bits, low, high, signed_low, signed_high, sums & mask & ~unknown, unknown)


def negate(a: Range) -> Range:
    """Return the negated numbers, modulo the width."""
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
    return some(bits, low, high, signed_low, signed_high, difference & mask & ~unknown, unknown)


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
    return some(bits, low, high, signed_low, signed_high, 0, unknown)


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
    """Return the results of a shift by each of the amounts below the width."""
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
    unknown = as_signed(a.unknown, bits) >> amount & mask
    bounds = of_bits(bits, as_signed(a.value, bits) >> amount & mask & ~unknown, unknown)
    return meet(bounds, signed(a.signed_low >> amount, a.signed_high >> amount, bits)) or bounds


# Rows handle divisors of 0 and INT_MIN s/ -1; the sets have the results for all other operands.


def divide(a: Range, b: Range) -> Range:
    """Return the quotients of unsigned numbers."""
    return unsigned(a.low // max(b.high, 1), a.high // max(b.low, 1), a.bits)


def modulo(a: Range, b: Range) -> Range:
    """Return the remainders of unsigned numbers."""
    if a.high < b.low:
        return a
    return unsigned(0, min(a.high, max(b.high - 1, 0)), a.bits)


def divide_signed(a: Range, b: Range) -> Range:
    """Return the quotients of signed numbers, truncated towards 0."""
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
    """Return the numbers zero-extended or sign-extended to a greater width."""
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
    """Return both sets narrowed to where ``a op b`` holds; None if it never does."""
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
    """Return ``a`` without a number, if that is a bound; otherwise ``a``."""
    if number is None:
        return a
    bits, low, high, signed_low, signed_high, value, unknown = a
    if low == high == number:
        return None
    reading = as_signed(number, bits)
    return made(
        bits,
        low + (low == number),
        high - (high == number),
        signed_low + (signed_low == reading),
        signed_high - (signed_high == reading),
        value,
        unknown,
    )
