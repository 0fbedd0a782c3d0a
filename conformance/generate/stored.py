# SPDX-License-Identifier: Apache-2.0
"""Loads after stores, and what a runtime may assume about the stored bytes.

Machines forward pending stores to loads; compilers remove redundant loads and dead stores. Both must detect overlapping
accesses: with other widths, at other offsets, through other registers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .draft import Draft
from .registers import END

_WIDTHS = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "s8": 1, "s16": 2, "s32": 4}
#: Where results begin; the stores under test are below.
_HEAD = 32
_ATOMICS = {
    4: {
        "add": "lock *(u32 *)(r6 + 8) += w4",
        "fetch-or": "w4 = atomic_fetch_or((u32 *)(r6 + 8), w4)",
        "xchg": "w4 = xchg32_32(r6 + 8, w4)",
        "cmpxchg": "w0 = cmpxchg32_32(r6 + 8, w0, w5)",
    },
    8: {
        "add": "lock *(u64 *)(r6 + 8) += r4",
        "fetch-or": "r4 = atomic_fetch_or((u64 *)(r6 + 8), r4)",
        "xchg": "r4 = xchg_64(r6 + 8, r4)",
        "cmpxchg": "r0 = cmpxchg_64(r6 + 8, r0, r5)",
    },
}


def drafts() -> Iterator[Draft]:
    """Yield the vectors of loads after stores, of repeated loads and stores, and of equal parts of addresses."""
    for width in (1, 2, 4, 8):
        yield _overlapping(width)
    yield _again()
    yield _signed_and_unsigned()
    yield _in_a_loop()
    yield _overwritten()
    yield _far_apart()
    yield _beside_registers()


def _overlapping(width: int) -> Draft:
    """Every load that overlaps the store, immediately after it."""
    places = [(kind, at) for kind, size in _WIDTHS.items() for at in range(8 - size + 1, 8 + width)]
    asm = "r6 = r1\nr8 = 0x9abcdef09abcdef0 ll\nr5 = 0x81c2a3e4958687b8 ll\nr9 = 0\n"
    for place, (kind, at) in enumerate(places):
        asm += "*(u64 *)(r6 + 8) = r8\nr0 = r8\nr4 = r5\nr9 += 1\n"
        asm += f"{{store}}\nr3 = *({kind} *)(r6 + {at})\n*(u64 *)(r6 + {_HEAD + 8 * place}) = r3\n"
    kind = f"u{8 * width}"
    stores = {"st": f"*({kind} *)(r6 + 8) = -1985229329", "stx": f"*({kind} *)(r6 + 8) = r5", **_ATOMICS.get(width, {})}
    cases = {name: {"store": text} for name, text in stores.items()}
    what = f"{len(places)} loads that meet at least one byte of {width} that have just been stored"
    covers = ("rfc9669-5.1-store-size", "rfc9669-5.1-host-byte-order", "rfc9669-5.1-address-offset")
    memory = f"{'c3 5a ' * 16}00*{8 * len(places)}"
    return Draft(
        f"stored/{kind}-then-load",
        what,
        covers,
        cases,
        asm + END,
        observe=("after",),
        memory=memory,
        errata=("unaligned-access", "memory-byte-order"),
    )


#: Changes of memory between two loads of the same bytes at r6 + 8; r7 and r2 are copies of r6.
_CHANGES = (
    "*(u64 *)(r7 + 8) = r5",
    "*(u64 *)(r6 + 8) = r5",
    "*(u64 *)(r6 + 4) = r5",
    "*(u32 *)(r6 + 8) = r5",
    "*(u8 *)(r6 + 8) = r5",
    "*(u8 *)(r7 + 8) = -77",
    "*(u64 *)(r6 + 8) = -1985229329",
    "*(u16 *)(r7 + 8) = r5",
    "lock *(u64 *)(r6 + 8) += r5",
    "lock *(u32 *)(r7 + 8) ^= w5",
    "r4 = atomic_fetch_add((u64 *)(r6 + 8), r4)",
    "r4 = xchg_64(r7 + 8, r4)",
    "r0 = cmpxchg_64(r6 + 8, r0, r5)",
    "w0 = cmpxchg32_32(r7 + 8, w0, w5)",
    "r1 = r6\nr2 = r5\ncall local store",
)
#: Changes of the base register of a load, from r6 + 8 to r6 + 16.
_MOVES = ("r9 += 8", "r9 = r7\nr9 += 8", "r9 += r2", "r9 = *(u64 *)(r10 - 8)")


def _again() -> Draft:
    """The same load twice, with a change of memory or of its base between."""
    parts = []
    for change in _CHANGES:
        parts.append(f"r3 = *({{type}} *)(r6 + 8)\n{change}\nr3 = *({{type}} *)(r6 + 8)\n")
    for move in _MOVES:
        parts.append(f"r9 = r6\nr2 = 8\nr3 = *({{type}} *)(r9 + 8)\n{move}\nr3 = *({{type}} *)(r9 + 8)\n")
    for base, other in (("10", "9"), ("9", "10")):
        load = f"r3 = *({{type}} *)(r{base} - 16)\n"
        parts.append(f"r9 = r10\n*(u64 *)(r10 - 16) = 77\n{load}*(u64 *)(r{other} - 16) = r5\n{load}")
        parts.append(f"r9 = r10\n*(u64 *)(r10 - 16) = 77\n{load}*(u32 *)(r{other} - 16) = -77\n{load}")
    # An address that is stored has no expected value; its difference to another load of it is 0.
    itself = "r3 = *({type} *)(r7 + 8)\n*(u64 *)(r7 + 8) = r7\nr3 = *({type} *)(r7 + 8)\nr5 = *({type} *)(r6 + 8)\n"
    parts.append(f"{itself}r3 -= r5\n*(u64 *)(r6 + 8) = 0\n")
    asm = "r6 = r1\nr7 = r1\nr9 = r6\nr9 += 8\n*(u64 *)(r10 - 8) = r9\n"
    for place, part in enumerate(parts):
        asm += "r5 = 0x81c2a3e4958687b8 ll\nr4 = r5\n*(u64 *)(r6 + 8) = -1698898192\nr0 = -1698898192\n"
        asm += f"{part}*(u64 *)(r6 + {_HEAD + 8 * place}) = r3\n"
    # No part uses r8: a runtime that shows r0 only has its end, which reads the memory, keep the address there.
    asm += f"{END.replace('r8 = 0', 'r0 = 0')}store:\n*(u64 *)(r1 + 8) = r2\nr0 = 0\nexit\n"
    return Draft(
        "loaded/again",
        f"{len(parts)} loads that are done twice, because the memory or the address has changed between",
        ("rfc9669-5.1-address-offset", "rfc9669-5.1-stx-mem-dw", "rfc9669-5.3-add-64", "rfc9669-4.3.2-call-local"),
        {kind: {"type": kind} for kind in _WIDTHS},
        asm,
        observe=("after",),
        memory=f"{'c3 5a ' * 16}00*{8 * len(parts)}",
        errata=("stack-and-call-depth", "calling-convention", "unaligned-access"),
    )


def _signed_and_unsigned() -> Draft:
    """The same bytes as signed and as unsigned numbers, one right after the other; then in another width."""
    kinds = [("u8", "s8"), ("s8", "u8"), ("u16", "s16"), ("s16", "u16"), ("u32", "s32"), ("s32", "u32")]
    kinds += [
        ("u8", "u16"),
        ("u32", "u8"),
        ("u64", "u32"),
        ("u16", "u64"),
        ("s16", "s8"),
        ("s8", "s32"),
        ("u64", "s32"),
    ]
    asm = "r6 = r1\n"
    for place, (one, other) in enumerate(kinds):
        asm += f"r3 = *({one} *)(r6 + 0)\nr4 = *({other} *)(r6 + 0)\n*(u64 *)(r6 + {8 + 16 * place}) = r3\n"
        asm += f"*(u64 *)(r6 + {16 + 16 * place}) = r4\n"
    return Draft(
        "loaded/signed-and-unsigned",
        "the same bytes loaded as signed and as unsigned numbers, and in several widths",
        ("rfc9669-5.1-ldx-mem-b", "rfc9669-5.2-ldx-memsx-b", "rfc9669-5.2-ldx-memsx-w"),
        asm=asm + END,
        observe=("after",),
        memory=f"81 92 a3 b4 c5 d6 e7 f8 00*{16 * len(kinds)}",
    )


def _in_a_loop() -> Draft:
    """A load whose bytes change in each iteration: it is not loop-invariant."""
    asm = "r6 = r1\nr7 = r1\n"
    for place, change in enumerate(_CHANGES):
        asm += f"r8 = 4\nr9 = 0\nr3 = 0x1122334455667788 ll\n*(u64 *)(r6 + 8) = r3\nagain{place}:\n"
        asm += "r3 = *({type} *)(r6 + 8)\nr9 <<= 3\nr9 ^= r3\nr5 = r9\nr5 ^= 0x5a5a5a5a\nr4 = r5\n"
        asm += f"r0 = *(u64 *)(r7 + 8)\n{change}\nr8 -= 1\nif r8 != 0 goto again{place}\n"
        asm += f"*(u64 *)(r6 + {_HEAD + 8 * place}) = r9\n"
    asm += f"{END}store:\n*(u64 *)(r1 + 8) = r2\nr0 = 0\nexit\n"
    return Draft(
        "loaded/in-a-loop",
        f"{len(_CHANGES)} loops, each with a load of what the turn before it stored",
        ("rfc9669-5.1-address-offset", "rfc9669-5.1-stx-mem-dw", "rfc9669-4.3-backward"),
        {kind: {"type": kind} for kind in _WIDTHS},
        asm,
        observe=("after",),
        memory=f"{'c3 5a ' * 16}00*{8 * len(_CHANGES)}",
        errata=("calling-convention", "unaligned-access"),
    )


#: Reads between a store and one that overwrites it; the result is in r3.
_READS: Mapping[str, str] = {
    **{f"{kind}-{base}": f"r3 = *({kind} *)(r{base} + 8)" for kind in _WIDTHS for base in (6, 7)},
    **{f"{kind}-inside": f"r3 = *({kind} *)(r6 + {16 - size})" for kind, size in _WIDTHS.items() if size < 8},
    "across": "r3 = *(u64 *)(r6 + 4)",
    "fetch": "r3 = 0\nr3 = atomic_fetch_add((u64 *)(r6 + 8), r3)",
    "xchg": "r3 = 0\nr3 = xchg_64(r7 + 8, r3)",
    "cmpxchg": "r0 = 0\nr0 = cmpxchg_64(r6 + 8, r0, r5)\nr3 = r0",
    "base": "r7 += 8\nr3 = *(u64 *)(r7 + 0)\nr7 += -8",
}


def _overwritten() -> Draft:
    asm = "r6 = r1\nr7 = r1\nr8 = 0x9abcdef09abcdef0 ll\nr5 = 0x81c2a3e4958687b8 ll\n"
    for place, read in enumerate(_READS.values()):
        asm += f"*(u64 *)(r6 + 8) = r5\n{read}\n*(u64 *)(r6 + 8) = r8\n*(u64 *)(r6 + {_HEAD + 8 * place}) = r3\n"
    count = _HEAD + 8 * len(_READS)
    parts = (
        "*(u64 *)(r6 + 8) = r5\n*(u32 *)(r6 + 8) = r8",
        "*(u64 *)(r6 + 8) = r5\n*(u8 *)(r6 + 15) = r8",
        "*(u32 *)(r6 + 8) = 5\n*(u64 *)(r6 + 4) = r8",
        "r9 = r6\n*(u32 *)(r9 + 8) = r5\nr9 += 4\n*(u32 *)(r9 + 8) = r8",
    )
    for place, part in enumerate(parts):
        asm += f"*(u64 *)(r6 + 8) = 0\n{part}\nr3 = *(u64 *)(r6 + 8)\n*(u64 *)(r6 + {count + 8 * place}) = r3\n"
    return Draft(
        "stored/overwritten",
        f"{len(_READS)} loads between two stores to the same place, and {len(parts)} stores of which a part remains",
        ("rfc9669-5.1-stx-mem-dw", "rfc9669-5.1-store-size", "rfc9669-5.3-fetch"),
        asm=asm + END,
        observe=("after",),
        memory=f"{'c3 5a ' * 16}00*{8 * (len(_READS) + len(parts))}",
        errata=("unaligned-access", "memory-byte-order"),
    )


_APART = (64, 128, 256, 512, 1024, 2048, 4096, 8192)


def _far_apart() -> Draft:
    """Addresses with equal low bits do not alias."""
    asm = "r6 = r1\nr7 = r1\nr0 = 0\nr5 = 0x81c2a3e4958687b8 ll\n"
    for distance in _APART:
        asm += f"r7 = r6\nr7 += {distance}\n"
        for kind in ("u64", "u32", "u8"):
            asm += f"r5 += 0x10101\n*({kind} *)(r7 + 0) = r5\nr3 = *({kind} *)(r6 + 0)\nr0 += r3\n"
            asm += f"r5 += 0x10101\n*({kind} *)(r6 + {distance}) = r5\nr3 = *({kind} *)(r6 + 0)\nr0 += r3\n"
            asm += f"r5 += 0x10101\n*({kind} *)(r6 + 0) = r5\nr3 = *({kind} *)(r7 + 0)\nr0 ^= r3\nr0 <<= 1\n"
    return Draft(
        "stored/far-apart",
        "stores and loads whose addresses are alike in their low 6 to 13 bits",
        ("rfc9669-5.1-address-offset", "rfc9669-5.1-stx-mem-dw"),
        asm=asm + END.replace("r0 = 0\n", ""),
        memory="00*8200",
    )


def _beside_registers() -> Draft:
    """A full stack, then a number in every register: registers that a runtime spills do not overlap the stack."""
    asm = "r2 = r10\nr2 += -512\nr3 = 1\nfill:\n*(u64 *)(r2 + 0) = r3\nr2 += 8\nr3 += 1\nif r3 != 65 goto fill\n"
    asm += "".join(f"r{n} = {0x1111111111111111 * n + 0x0100:#x} ll\n" for n in range(10))
    asm += "".join(f"r{n} += {n + 1}\n" for n in range(10))
    asm += "r0 += r9\nr0 ^= r8\nr0 += r7\nr0 ^= r6\n" + "".join(f"r{n} = {n}\n" for n in range(6, 10))
    asm += "r2 = r10\nr2 += -512\nr3 = 0\nsum:\nr4 = *(u64 *)(r2 + 0)\nr5 = r0\nr5 <<= 5\nr0 += r5\nr0 ^= r4\nr2 += 8\n"
    asm += "r3 += 1\nif r3 != 64 goto sum\nr2 = 0\nr5 = 0\nexit\n"
    return Draft(
        "stored/beside-registers",
        "64 double words on the stack stay while every register is written",
        ("rfc9669-5.1-stx-mem-dw", "rfc9669-3.1-registers"),
        asm=asm,
        errata=("stack-and-call-depth",),
    )
