# SPDX-License-Identifier: Apache-2.0
"""Boundary values of operands, each with a name for case ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product

#: 64-bit patterns for full cross products: ends of ranges, sign bits, halves that differ, alternating bits.
CORE: Mapping[str, int] = {
    "0": 0,
    "1": 1,
    "m1": 0xFFFFFFFFFFFFFFFF,
    "s32max": 0x7FFFFFFF,
    "2p31": 0x80000000,
    "u32max": 0xFFFFFFFF,
    "2p32": 0x100000000,
    "s32min": 0xFFFFFFFF80000000,
    "s64max": 0x7FFFFFFFFFFFFFFF,
    "s64min": 0x8000000000000000,
    "pos-neg": 0x123456789ABCDEF0,
    "neg-pos": 0xFEDCBA9876543210,
}

#: More 64-bit patterns: values next to powers of two at the widths of the instruction set.
NEIGHBOURS: Mapping[str, int] = {
    **{
        f"2p{bit}{sign}1": (1 << bit) + step
        for bit in (7, 8, 15, 16, 31, 32, 63)
        for sign, step in (("m", -1), ("p", 1))
    },
    **{f"2p{bit}": 1 << bit for bit in (7, 8, 16)},
    "2": 2,
    "m13": 0xFFFFFFFFFFFFFFF3,
    "ff": 0xFF,
    "a5": 0xAAAAAAAAAAAAAAAA,
    "5a": 0x5555555555555555,
    "s8min": 0xFFFFFFFFFFFFFF80,
    "s16min": 0xFFFFFFFFFFFF8000,
    "high-only": 0xDEADBEEF00000000,
    "high-ones": 0xFFFFFFFF00000000,
    "high-ones-1": 0xFFFFFFFF00000001,
    "low-ones-high-1": 0x1FFFFFFFF,
    "2p15": 0x8000,
    "below-s8min": 0xFFFFFFFFFFFFFF7F,
    "below-s16min": 0xFFFFFFFFFFFF7FFF,
    "below-s32min": 0xFFFFFFFF7FFFFFFF,
}

#: 32-bit immediates, as signed numbers: those that differ under zero-extension and sign-extension among them.
IMMEDIATES: Mapping[str, int] = {
    "0": 0,
    "1": 1,
    "m1": -1,
    "m3": -3,
    "7f": 0x7F,
    "80": 0x80,
    "s32max": 0x7FFFFFFF,
    "s32min": -0x80000000,
    "a5": -0x55555556,
    "12345678": 0x12345678,
}

#: Numbers at the edges of 7, 8, 15, 16, 31, 32 and 63 bits, small ones and alternating bits.
EDGES: tuple[int, ...] = (
    *(0, 1, 2, -1, 0x5555555555555555, 0xAAAAAAAAAAAAAAAA),
    *(number for bit in (7, 8, 15, 16, 31, 32, 63) for number in ((1 << bit) - 1, 1 << bit, (1 << bit) + 1)),
    *(number for bit in (7, 15, 31, 63) for number in (-(1 << bit), -(1 << bit) - 1)),
)

#: Shift amounts, within the width and beyond it.
AMOUNTS: tuple[int, ...] = (*range(65), 95, 96, 127, 128, 255, 256)


def hexed(value: int) -> str:
    """Return a 64-bit pattern as vectors write it."""
    return f"{value & 0xFFFFFFFFFFFFFFFF:#x}"


def named(number: int) -> str:
    """Return ``number`` as names of cases have it: m1 for -1."""
    return str(number).replace("-", "m")


def signed(number: int) -> str:
    """Return ``number`` as names of cases have it that always include the sign: m1 or p1."""
    return named(number) if number < 0 else f"p{number}"


def edges(width: int) -> list[int]:
    """Return :data:`EDGES` as unsigned numbers of ``width`` bits, each once; the upper half of narrow ones is dirty."""
    dirty = 0x5A5A5A5A << 32 if width == 32 else 0
    return [value | dirty for value in dict.fromkeys(value & (1 << width) - 1 for value in EDGES)]


def pairs() -> Iterator[tuple[str, int, int]]:
    """Yield (case name, dst, src): pairs of core values, and of one with each value of :data:`NEIGHBOURS`."""
    for (a, x), (b, y) in product(CORE.items(), repeat=2):
        yield f"{a}_{b}", x, y
    core = [(name, CORE[name]) for name in ("m1", "pos-neg", "s64min", "u32max", "1", "s32max")]
    for index, (name, value) in enumerate(NEIGHBOURS.items()):
        for (other, number), swap in ((core[index % len(core)], False), (core[(index + 1) % len(core)], True)):
            yield (f"{other}_{name}", number, value) if swap else (f"{name}_{other}", value, number)


def immediate_pairs() -> Iterator[tuple[str, int, int]]:
    """Yield (case name, dst, imm) for core values and immediates, and :data:`NEIGHBOURS` with one immediate each."""
    for (a, x), (b, y) in product(CORE.items(), IMMEDIATES.items()):
        yield f"{a}_{b}", x, y
    immediates = list(IMMEDIATES.items())
    for index, (name, value) in enumerate(NEIGHBOURS.items()):
        other, number = immediates[(5 * index + 3) % len(immediates)]
        yield f"{name}_{other}", value, number


def singles() -> Iterable[tuple[str, int]]:
    """Return (case name, value) of all values."""
    return [*CORE.items(), *NEIGHBOURS.items()]
