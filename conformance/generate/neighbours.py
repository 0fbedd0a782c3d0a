# SPDX-License-Identifier: Apache-2.0
"""Pairs of instructions with jumps between or over them; numbers that are equal in many bits.

Runtimes fuse two instructions, and some machines execute the instruction after a jump before it (delay slots). Neither
may have an effect if the second instruction is a jump target, or if control leaves before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from .draft import Draft
from .registers import END, LONG_PATTERN, stored

_HEAD = 32
#: Instructions of all kinds on register {d}, with their number of slots. R6 is an address, r8 a number.
_KINDS: Mapping[str, tuple[str, int]] = {
    "mov": ("r{d} = 0x51", 1),
    "mov32": ("w{d} = w8", 1),
    "movsx": ("r{d} = (s8)r8", 1),
    "add": ("r{d} += 0x1234", 1),
    "xor32": ("w{d} ^= w8", 1),
    "mul": ("r{d} *= 77", 1),
    "lsh": ("r{d} <<= 3", 1),
    "arsh32": ("w{d} s>>= 3", 1),
    "be32": ("r{d} = be32 r{d}", 1),
    "lddw": ("r{d} = 0x1122334455667788 ll", 2),
    "ldx": ("r{d} = *(u32 *)(r6 + 8)", 1),
    "ldxsx": ("r{d} = *(s16 *)(r6 + 4)", 1),
    "st": ("*(u16 *)(r6 + 10) = -1234", 1),
    "stx": ("*(u64 *)(r6 + 16) = r{d}", 1),
    "atomic": ("lock *(u64 *)(r6 + 8) += r{d}", 1),
    "fetch": ("r{d} = atomic_fetch_xor((u64 *)(r6 + 8), r{d})", 1),
    "cmpxchg": ("r0 = cmpxchg_64(r6 + 16, r0, r{d})", 1),
    "call": ("call local give", 1),
}
#: Jumps to the next instruction, which are used as first ones only.
_FIRSTS: Mapping[str, tuple[str, int]] = {
    "condition": ("if r8 == 77 goto +0", 1),
    "ja": ("goto +0", 1),
    "ja32": ("gotol +0", 1),
}
#: Instructions that not every runtime has, in programs of their own.
_RARE = frozenset(["mul", "atomic", "fetch", "cmpxchg"])
#: Jumps to the second instruction. R8 is 5, loaded from memory.
_WAYS: Mapping[str, str] = {
    "jeq-taken": "if r8 == 5 goto",
    "jne-not-taken": "if r8 != 5 goto",
    "ja": "if r8 != 5 goto +1\ngoto",
}
_GIVE = "give:\nr0 = 0x7766554433221100 ll\nexit\n"


def drafts() -> Iterator[Draft]:
    """Yield the vectors of jumps between instructions, of calls, of copies, and of constants."""
    plain = {name: kind for name, kind in _KINDS.items() if name not in _RARE}
    rare = {name: kind for name, kind in _KINDS.items() if name in _RARE}
    for name, kind in {**plain, **_FIRSTS}.items():
        yield _between(name, [kind], plain, True)
    yield _between("rare-and-others", rare.values(), plain, True)
    yield _between("others-and-rare", {**plain, **_FIRSTS}.values(), rare, False)
    yield _between("rare-and-rare", rare.values(), rare, False)
    yield _behind_calls()
    yield _copies("plain", plain)
    yield _copies("rare", rare)
    yield _constants()


def _second(text: str) -> str:
    """Assembly of a second instruction: on r9, and on bytes that no first one stores to."""
    return (
        text.replace("{d}", "9").replace("(r6 + 10)", "(r6 + 28)").replace("*(u64 *)(r6 + 16) =", "*(u64 *)(r6 + 20) =")
    )


def _between(name: str, firsts: Iterable[tuple[str, int]], kinds: Mapping[str, tuple[str, int]], jumps: bool) -> Draft:
    """A jump over each of ``firsts`` to each of ``kinds``, and to jumps."""
    asm, place = "r6 = r1\nr8 = *(u8 *)(r6 + 7)\nr8 += -3\n", 0
    for first, slots in firsts:
        for second in [*(text for text, _ in kinds.values()), *(("condition", "ja") if jumps else ())]:
            asm += "r7 = 0xc3d2e1f0a5b49687 ll\nr9 = 0x8796a5b4c3d2e1f0 ll\nr0 = 0\n"
            # This jump reaches the instruction that JA jumps over.
            asm += f"if r8 == 77 goto past{place}\n" if second == "ja" else ""
            asm += f"{{jump}} +{slots}\n{first.replace('{d}', '7')}\n"
            if second == "condition":
                asm += "if r9 > r8 goto +1\nr9 += 99\n"
            elif second == "ja":
                asm += f"goto on{place}\npast{place}:\nr9 += 99\non{place}:\n"
            else:
                asm += f"{_second(second)}\n"
            asm += f"r7 ^= r0\n*(u64 *)(r6 + {_HEAD + 16 * place}) = r7\n"
            asm += f"*(u64 *)(r6 + {_HEAD + 8 + 16 * place}) = r9\n"
            place += 1
    calls = "call local" in asm
    return Draft(
        f"between/{name}",
        f"{place} instructions behind others, which a jump leads past or which fall through to them",
        ("rfc9669-4.3-relative-to-next", "rfc9669-4.3-fall-through", "rfc9669-4.3-jeq"),
        {way: {"jump": jump} for way, jump in _WAYS.items()},
        asm + END + (_GIVE if calls else ""),
        observe=("after",),
        memory=f"{LONG_PATTERN} 00*{16 * place}",
        errata=("calling-convention",) if calls else (),
    )


def _behind_calls() -> Draft:
    """An instruction after a call runs once, after it; those before and after an EXIT are jumped over."""
    asm, functions = "r6 = r1\nr8 = *(u8 *)(r6 + 7)\nr8 += -3\nr7 = 0\nr9 = 0\n", ""
    parts = {name: kind for name, kind in _KINDS.items() if name != "call"}
    results = 0
    for name, (part, slots) in parts.items():
        body = part.replace("{d}", "0").replace("r8", "r1").replace("w8", "w1").replace("r6", "r2")
        functions += f"behind_{name}:\nr0 = *(u64 *)(r2 + 8)\nif r1 != 5 goto +1\nexit\n{body}\nr0 ^= 1\nexit\n"
        functions += f"before_{name}:\nr0 = *(u64 *)(r2 + 0)\nif r1 == 5 goto +{slots}\n{body}\nexit\n"
        for function, behind, register in (
            ("behind", "0", 0),
            ("behind", "7", 7),
            ("before", "7", 0),
        ):
            for argument in ("r8", "6"):
                asm += f"r1 = {argument}\nr2 = r6\nr7 = 0x1122334455667788 ll\ncall local {function}_{name}\n"
                asm += f"{part.replace('{d}', behind)}\n*(u64 *)(r6 + {_HEAD + 8 * results}) = r{register}\n"
                results += 1
    return Draft(
        "behind/calls-and-exits",
        f"{len(parts)} kinds of instructions behind a call, before an EXIT and behind one",
        ("rfc9669-4.3.2-exit-returns-to-caller", "rfc9669-4.3.2-call-local", "rfc9669-4.3-exit"),
        asm=asm + END + functions,
        observe=("after",),
        memory=f"{LONG_PATTERN} 00*{8 * results}",
        errata=("calling-convention",),
    )


def _copies(name: str, kinds: Mapping[str, tuple[str, int]]) -> Draft:
    """A copy of a register keeps its value if the other register changes, in arithmetic, stores and conditions."""
    asm, place = "r6 = r1\nr8 = *(u8 *)(r6 + 7)\nr8 += -3\n", 0
    uses = ("r5 += r9", "r5 = r9", "if r9 == r5 goto +1\nr5 = 1", "w5 = w9")
    for text in (text for text, _ in kinds.values() if "{d}" in text):
        for changed, other in (("7", "9"), ("9", "7")):
            for copy in ("r9 = r7", "w9 = w7", "r9 = (s32)r7"):
                use = uses[place % len(uses)].replace("r9", f"r{other}").replace("w9", f"w{other}")
                asm += "r0 = 0\nr5 = 0x0123456789abcdef ll\nr7 = 0xc3d2e1f0a5b49687 ll\nr9 = 9\n"
                asm += f"{copy}\n{text.replace('{d}', changed)}\n{use}\n*(u64 *)(r6 + {_HEAD + 16 * place}) = r5\n"
                asm += f"*(u64 *)(r6 + {_HEAD + 8 + 16 * place}) = r{other}\n"
                place += 1
    return Draft(
        f"copies/{name}",
        "a register is copied, one of the two is changed, and the other one is used",
        ("rfc9669-4.1-mov-x-64", "rfc9669-4.1-mov-x-32", "rfc9669-4.1-movsx32-64"),
        asm=asm + END,
        observe=("after",),
        memory=f"{LONG_PATTERN} 00*{16 * place}",
    )


def _relatives(number: int) -> list[int]:
    """Return numbers similar to ``number``: equal in one half or in all bits but one, negated, inverted, swapped."""
    mask = (1 << 64) - 1
    high, low = number >> 32, number & 0xFFFFFFFF
    return [
        number,
        (high ^ 0x5A5A5A5A) << 32 | low,
        high << 32 | (low ^ 0x5A5A5A5A),
        low << 32 | high,
        ~number & mask,
        -number & mask,
        number ^ 1 << 63,
        number ^ 1,
        int.from_bytes(number.to_bytes(8, "little"), "big"),
        low,
        high << 32,
        (number + 0xFFFFFFFF) & mask,
        number ^ 0x0000FFFFFFFF0000,
    ]


def _constants() -> Draft:
    numbers: list[int] = []
    seed = 0x9E3779B97F4A7C15
    while len(numbers) < 560:
        seed = seed * 0xD1342543DE82EF95 + 0x2545F4914F6CDD1D & (1 << 64) - 1
        numbers += _relatives(seed)
    return Draft(
        "constants/many",
        f"{len(numbers)} different 64-bit numbers, many of which are alike in half of their bits or in all but one",
        ("rfc9669-5.4-imm64", "rfc9669-5.4-wide"),
        asm=stored(numbers, "r1") + END,
        observe=("after",),
        memory=f"00*{8 * len(numbers)}",
    )
