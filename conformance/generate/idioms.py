# SPDX-License-Identifier: Apache-2.0
"""Idioms of two or three instructions that compilers and runtimes combine into fewer or cheaper ones.

A pair of shifts is an extension, a mask and a shift are one instruction of some machines, two moves cancel. Each
depends on conditions on widths, amounts and registers; programs meet or narrowly miss them. Operands are loaded from
memory, so that constant folding is impossible.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain

from .draft import Draft
from .registers import END, stored

#: The values of r3 and r4.
_NUMBERS = (
    (0xC3D2E1F0A5B49687, 0x0123456789ABCDEF),
    (0x00000001FFFFFF80, 0xFFFFFFFF7FFFFFFE),
    (0x7FFFFFFF00000080, 0x80000000FFFF8001),
)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


_SHIFTS = (
    *(f"r3 {a}= {n}; r3 {b}= {n}" for n in (8, 16, 24, 32, 40, 48, 56, 63) for a, b in (("<<", ">>"), ("<<", "s>>"))),
    *(f"w3 {a}= {n}; w3 {b}= {n}" for n in (8, 16, 24, 31) for a, b in (("<<", ">>"), ("<<", "s>>"))),
    *(f"r3 {a}= {n}; r3 <<= {n}" for n in (8, 32, 48) for a in (">>", "s>>")),
    *(f"r3 <<= 32; r3 {b}= {n}" for n in (29, 31, 33) for b in (">>", "s>>")),
    *_lines("""
        r3 <<= 48; r3 >>= 32
        r3 <<= 16; r3 >>= 48
        w3 <<= 24; w3 s>>= 16
        r3 <<= 24; w3 s>>= 24
        w3 <<= 16; r3 s>>= 16
        r3 <<= 32; w3 >>= 1
        r3 <<= 32; r4 >>= 32
        r3 <<= 32; r4 s>>= 32
        r3 <<= 48; r4 >>= 48
        r4 = r3; r4 <<= 32; r4 s>>= 32
        r4 = r3; r4 <<= 32; r3 s>>= 32
    """),
    *(f"{r}3 {a}= {n}; {r}3 {a}= {n}" for r, n in (("r", 40), ("w", 20), ("r", 3)) for a in ("<<", ">>", "s>>")),
    *_lines("""
        r3 <<= 3; w3 <<= 3
        w3 <<= 3; r3 <<= 3
        r3 >>= 1; w3 >>= 1
        w3 s>>= 1; r3 s>>= 1
    """),
)
_MASKS = (
    *_lines("""
        r3 &= 255; r3 <<= 40
        r3 &= -256; r3 >>= 8
        r3 &= 0xffff; r3 &= 0xff00
        r3 |= 255; r3 &= 255
        r3 &= 1; r3 ^= 1
        w3 &= 255; r3 <<= 60
        r3 >>= 56; r3 &= 15
        r3 s>>= 60; r3 &= 255
        r3 >>= 4; r3 &= -16
        r3 &= 0x7fffffff; w3 = w3
        w3 = w3; r3 &= -1
        w3 = w3; r3 &= -256
        r3 &= -256; w3 = w3
        w3 &= -1; r3 |= 0
        r4 = 0xffffffff ll; r3 &= r4
        r4 = 0xffff ll; r3 &= r4
        r4 = 0xffffffff00000000 ll; r3 &= r4
        r3 ^= -1; r3 += 1
        r3 = -r3; r3 ^= -1
        w3 ^= -1; r3 += 1
        r3 ^= -1; w3 ^= -1
        r4 = -1; r3 ^= r4
        r3 = -r3; r3 = -r3
        r3 = -r3; w3 = -w3
        w3 = -w3; r3 = -r3
        w3 = -w3; w3 = -w3
        r4 ^= -1; r3 &= r4
    """),
)
_SUMS = (
    *_lines("""
        r3 += 5; r3 -= 5
        w3 += 5; r3 -= 5
        w3 += 5; w3 -= 5
        r3 += 0x7fffffff; r3 += 0x7fffffff
        w3 += 0x7fffffff; w3 += 0x7fffffff
        r3 -= -0x80000000; r3 -= -0x80000000
        w3 += -1; r3 += 1
        r4 = 0x80000000 ll; r3 += r4
        r4 = -0x80000000; r3 += r4
        r4 = 0xffffffff80000000 ll; w3 += w4
        r3 += r4; r3 -= r4
        w3 += w4; r3 -= r4
        r3 -= r4; r3 += r4
        r3 += r3; r3 += r3
        r3 <<= 2; r3 += r4
        r4 <<= 3; r3 += r4
        w4 <<= 3; r3 += r4
        r4 = r4; r3 += r4; r3 += 0x1234
        w3 = w3; r3 += r4
        r4 >>= 7; r3 -= r4
    """),
)
_MOVES = (
    *_lines("""
        r4 = r3; r3 = r4
        w4 = w3; r3 = r4
        w4 = w3; w3 = w4
        r4 = r3; w3 = w4
        r3 = r4; r4 = r3
        w3 = w4; r4 = r3
        r3 = 7; r3 = r4
        r3 = r4; r3 = 7
        r4 = r3; r4 += 3; r3 = r4
        r4 = r3; r3 += 3
        r3 = r4; r4 = 7; r3 += r4
        r3 ^= r4; r4 ^= r3; r3 ^= r4
        w3 ^= w4; w4 ^= w3; w3 ^= w4
        r5 = r3; r3 = r4; r4 = r5
        r3 += r4; r4 = r3; r3 -= r4
        r3 = (s32)r3; w3 = w3
        w3 = w3; r3 = (s32)r3
        r3 = (s8)r3; r3 = (s16)r3
        r3 = (s16)r3; r3 = (s8)r3
        w3 = (s8)w3; r3 = (s32)r3
        r3 = (s8)r3; w3 = w3
        r3 = (s32)r4; r4 = (s32)r3
        r3 = (s16)r4; r4 = (s8)r3
        r3 >>= 8; r3 = (s8)r3
        r3 = (s32)r3; r3 += r4
        r3 &= 255; r3 = (s8)r3
        r3 = (s8)r3; r3 &= 255
    """),
)
_SWAPS = (
    *(
        f"r3 = {swap} r3; r3 = {swap} r3"
        for swap in ("be16", "be32", "be64", "le16", "le32", "bswap16", "bswap32", "bswap64")
    ),
    *_lines("""
        r3 = bswap64 r3; r3 >>= 32
        r3 = bswap64 r3; r3 >>= 48
        r3 = bswap32 r3; r3 >>= 16
        r3 = be64 r3; r3 = bswap64 r3
        r3 = bswap32 r3; r3 = bswap64 r3
        r3 <<= 48; r3 = bswap64 r3
        r3 = le16 r3; r3 = be16 r3
        r3 = be32 r3; r3 = be16 r3
        r3 = bswap16 r3; r3 <<= 16; r3 = bswap32 r3
        r4 = be32 r4; r3 = be32 r3; r3 -= r4
        r3 = be16 r3; r3 = (s16)r3
    """),
)
_CHOICES = (
    *(f"if {r}3 {sign} {r}4 goto +1; {r}3 = {r}4" for r in "rw" for sign in (">", "<", "s>", "s<", ">=", "s<=")),
    *(
        f"r5 = 0; if {r}3 {sign} {number} goto +1; r5 = 1; r3 = r5"
        for r in "rw"
        for sign in ("==", "s<", ">")
        for number in (0, -128)
    ),
    *_lines("""
        if r3 s> 0 goto +1; r3 = -r3
        if w3 s> 0 goto +1; w3 = -w3
        if r3 s> -1 goto +1; r3 = 0
        if r3 & 1 goto +1; r3 |= 1
        r3 &= 128; if r3 == 0 goto +1; r3 = 1
        r3 -= r4; if r3 == 0 goto +1; r3 = 1
        r3 s>>= 63; if r3 == 0 goto +1; r3 = 1
        r3 += -0x1234; if r3 < 0x5678 goto +1; r3 = 1
        r3 >>= 32; if r3 != 0 goto +1; r3 = 1
        if r3 == r4 goto +2; r3 = r4; r4 = 7
    """),
)
_PLACES = (
    *(
        f"r3 = *({kind} *)(r6 + 0); r3 {a}= {n}; r3 {b}= {n}"
        for kind, n in (("u32", 32), ("u16", 48), ("u8", 56))
        for a, b in (("<<", "s>>"), ("<<", ">>"))
    ),
    *_lines("""
        r3 = *(u8 *)(r6 + 0); r3 = (s8)r3
        r3 = *(s8 *)(r6 + 0); r3 &= 255
        r3 = *(u16 *)(r6 + 0); r3 = be16 r3
        r3 = *(u64 *)(r6 + 0); r3 = be64 r3
        r3 = *(u32 *)(r6 + 0); r3 = be64 r3
        r3 = *(u64 *)(r6 + 0); w3 = w3
        r3 = *(u64 *)(r6 + 0); r3 >>= 32
        r3 = *(u64 *)(r6 + 0); r3 &= 255
        r3 = *(s32 *)(r6 + 0); w3 = w3
        r3 = *(s16 *)(r6 + 0); r3 = (s32)r3
        r3 = *(u8 *)(r6 + 0); r4 = *(u8 *)(r6 + 1); r4 <<= 8; r3 |= r4
        r3 = *(u32 *)(r6 + 0); r4 = *(u32 *)(r6 + 4); r3 <<= 32; r3 |= r4
        r5 = r6; r5 += 8; r3 = *(u64 *)(r5 - 8); r4 = *(u64 *)(r5 + 0)
        r5 = r6; r5 += -8; r3 = *(u64 *)(r5 + 8); r4 = *(u32 *)(r5 + 16)
        r5 = 8; r5 += r6; r3 = *(u32 *)(r5 + 0); r4 = *(u32 *)(r5 - 4)
        r5 = 1; r5 <<= 3; r5 += r6; r3 = *(u64 *)(r5 + 0)
        *(u64 *)(r10 - 8) = r3; r3 = *(u64 *)(r10 - 8)
        *(u32 *)(r10 - 8) = r3; *(u32 *)(r10 - 4) = r4; r3 = *(u64 *)(r10 - 8)
        *(u8 *)(r10 - 8) = r3; r3 >>= 8; *(u8 *)(r10 - 7) = r3; r3 = *(u16 *)(r10 - 8)
        *(u64 *)(r10 - 8) = 0; *(u8 *)(r10 - 6) = r3; r3 = *(u64 *)(r10 - 8)
        r3 = be32 r3; *(u32 *)(r10 - 8) = r3; r3 = *(u32 *)(r10 - 8)
        r3 = *(u64 *)(r6 + 0); r3 += 1; *(u64 *)(r10 - 8) = r3; r4 = *(u32 *)(r10 - 8)
        r3 = *(u32 *)(r6 + 0); r3 += r4; *(u32 *)(r10 - 8) = r3; r4 = *(u32 *)(r10 - 8)
        r5 = r3; r3 = *(u16 *)(r6 + 0); r3 += r5; r4 = r3
    """),
)
_DIVISIONS = (
    *_lines("""
        r3 *= 3; r3 *= 5
        w3 *= 3; r3 *= 5
        r3 *= 0x10000; r3 *= 0x10000
        r3 *= 0x7fffffff; r3 *= 0x7fffffff
        r3 *= 8; r3 /= 8
        r3 *= 8; r3 s/= 8
        w3 *= 8; w3 /= 8
        r3 <<= 3; r3 /= 8
        r3 /= 8; r3 <<= 3
        r3 /= 8; r3 /= 8
        r3 /= 10; r3 /= 10
        r3 s/= 8; r3 s/= 8
        r3 s/= -2; r3 s/= -2
        r3 /= 0x10000; r3 /= 0x10000
        w3 /= 8; r3 /= 8
        r3 /= 8; w3 /= 8
        r3 %= 8; r3 %= 4
        r3 %= 16; r3 &= 7
        r3 s%= 8; r3 &= 7
        r3 s%= 8; r3 += 8
        r3 %= 10; r3 /= 3
        r3 /= 10; r3 *= 10
        r5 = r3; r3 /= 10; r5 %= 10; r4 = r5
        r5 = r3; r3 s/= r4; r5 s%= r4; r4 = r5
        r5 = r3; r3 /= r4; r3 *= r4; r5 -= r3; r4 = r5
        w5 = w3; w3 s/= w4; w5 s%= w4; w4 = w5
        r3 *= r4; r3 += r4
        w3 *= w4; r3 += r4
        r3 *= r3; r3 *= r3
        r3 *= -1; r3 += 1
        w3 = w3; w4 = w4; r3 *= r4
        r3 = (s32)r3; r4 = (s32)r4; r3 *= r4
        r3 *= r4; r3 >>= 32
        w3 = w3; w4 = w4; r3 *= r4; r3 >>= 32
    """),
)


def drafts() -> Iterator[Draft]:
    """Yield the vectors of idioms."""
    found = ("rfc9669-4.1-lsh", "rfc9669-4.1-rsh", "rfc9669-4.1-arsh", "rfc9669-4.1-and", "rfc9669-4.1-or")
    yield _together("shifts-and-masks", (*_SHIFTS, *_MASKS), found)
    found = ("rfc9669-4.1-add", "rfc9669-4.1-sub", "rfc9669-4.1-mov", "rfc9669-4.1-movsx32-64", "rfc9669-4.2-bswap64")
    yield _together("sums-moves-and-swaps", (*_SUMS, *_MOVES, *_SWAPS), found)
    yield _together("choices", _CHOICES, ("rfc9669-4.3-jgt", "rfc9669-4.3-jslt", "rfc9669-4.3-fall-through"))
    yield _together("loads-and-stores", _PLACES, ("rfc9669-5.1-address-offset", "rfc9669-5.1-store-size"))
    found = ("rfc9669-4.1-mul", "rfc9669-4.1-div", "rfc9669-4.1-mod", "rfc9669-4.1-sdiv", "rfc9669-4.1-smod")
    yield _together("products-and-quotients", _DIVISIONS, found)


def _together(name: str, idioms: Sequence[str], covers: tuple[str, ...]) -> Draft:
    """Return a loop that runs all idioms on each pair of numbers, and stores r3, and r4 if it is written."""
    asm = f"r6 = r1\n{stored(chain(*_NUMBERS), 'r6')}"
    asm += "r9 = r1\nr8 = 0\nagain:\n"
    at = head = 16 * len(_NUMBERS)
    for idiom in idioms:
        asm += "r3 = *(u64 *)(r6 + 0)\nr4 = *(u64 *)(r6 + 8)\n"
        asm += "".join(f"{part.strip()}\n" for part in idiom.split(";"))
        for register in ("r3", "r4") if _CHANGES_R4.search(idiom) else ("r3",):
            asm += f"*(u64 *)(r9 + {at}) = {register}\n"
            at += 8
    asm += f"r6 += 16\nr9 += {at - head}\nr8 += 1\nif r8 != {len(_NUMBERS)} goto again\n"
    asm += END
    stack = "r10" in asm
    return Draft(
        f"idioms/{name}",
        f"{len(idioms)} small sequences that are often replaced by others, on numbers from memory",
        covers,
        asm=asm,
        observe=("after",),
        memory=f"00*{head + len(_NUMBERS) * (at - head)}",
        errata=("stack-and-call-depth",) if stack else (),
    )


_CHANGES_R4 = re.compile(r"(?:^|; )[rw]4 \S*=")
