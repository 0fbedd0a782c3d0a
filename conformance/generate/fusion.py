# SPDX-License-Identifier: Apache-2.0
"""Pairs of instructions that compilers make one of, in a straight line, and with jumps to the second one.

Two instructions are one only if their widths, amounts and registers fit, if nothing jumps between them, and if nothing
reads what is between them. Pairs here fit or narrowly miss. Each is run in a straight line, behind a jump over the
first instruction that is taken or not, as a loop of which the second one is the head, and with a jump from behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import cycle, product
from typing import NamedTuple

from ...spec.asm.assemble import assemble_program
from .draft import Draft
from .registers import END

#: Double words, three of which are r3, r4 and r5 for each turn; with the bytes reversed they are as good.
_NUMBERS = (
    "8796b4a5f0e1d2c3 efcdab8967452301 1100ff7f0180feff",
    "80ffffff01000000 feffff7fffffffff 0200000081000000",
    "8000008fffffff7f 0180ffff00000080 ffffffff00000080",
    "112233448596a7f8 112233448596a7f8 1122334405162778",
)
_BYTES = 24
#: Memory: the numbers, a byte that decides jumps, a place for stores, sums.
_FLAG = _BYTES * len(_NUMBERS)
_PLACE = _FLAG + 16
_SUMS_AT = _PLACE + 16
_MEMORY = f"{' '.join(_NUMBERS)} 0500000000000000 a1b2c3d4e5f60718 192a3b4c5d6e7f80 b1c2d3e4f5061728"
#: Parts whose sums are stored. Results in r3, r4 and r5 are added up in r7, r8 and r9.
_SUMMED = 8
_SUMS = {3: 7, 4: 8, 5: 9}


class _Pair(NamedTuple):
    """What comes first, the second instruction, what that one jumps over, and what is done before.

    They work on r3, r4 and r5, with r6 as the address of their numbers, and r1 + PLACE as that of other bytes. What is
    done before sets r5 to an address.
    """

    first: str
    second: str
    behind: str = ""
    before: str = ""


def _pairs(text: str) -> list[_Pair]:
    return [_Pair(*(part.strip() for part in line.split("//"))) for line in text.strip().splitlines()]


def _moves() -> Iterator[_Pair]:
    """A move and an operation, of one width or of two."""
    operands = cycle(("5", "{r}5", "-3", "{r}4", "{r}3"))
    for move in ("r3 = r4", "w3 = w4", "r3 = (s32)r4", "w3 = -7"):
        for sign, r in product(("+", "-", "|", "^", "&", "<<", ">>", "s>>"), "rw"):
            operand = next(operands).replace("{r}", r)
            amount = "7" if operand == "-3" else operand
            yield _Pair(move, f"{r}3 {sign}= {amount if sign in ('<<', '>>', 's>>') else operand}")
        yield _Pair(move, "r3 = -r3")
        yield _Pair(move, "w3 = -w3")


def _shifts() -> Iterator[_Pair]:
    """Shifts there and back, by equal amounts or not, of one width or of two."""
    amounts = cycle(((16, 16), (8, 24), (24, 24), (31, 30), (24, 8)))
    for (there, back), r, s, _ in product((("<<", ">>"), ("<<", "s>>"), (">>", "<<"), ("s>>", ">>")), "rw", "rw", "ab"):
        a, b = next(amounts)
        yield _Pair(f"{r}3 {there}= {a}", f"{s}3 {back}= {b}")
    between = cycle(("", "; w3 = w3", "; r4 = r3", "; r3 += 1"))
    for back, (a, b) in product((">>", "s>>"), ((32, 32), (48, 48), (56, 56), (32, 31), (32, 48), (48, 32))):
        yield _Pair(f"r3 <<= {a}{next(between)}", f"r3 {back}= {b}")
        yield _Pair(f"r5 = r3; r5 <<= {a}", f"r5 {back}= {b}")


def _loads() -> Iterator[_Pair]:
    """A load and an extension, a mask or a swap."""
    extensions = (
        "w3 = w3", "r3 = (s8)r3", "w3 = (s8)w3", "r3 = (s16)r3", "w3 = (s16)w3", "r3 = (s32)r3", "r3 &= 255",
        "w3 &= 0xffff", "w3 s>>= 7",
    )  # fmt: skip
    for kind, extension in product(("u8", "u16", "u32", "u64", "s8", "s16", "s32"), extensions):
        yield _Pair(f"r3 = *({kind} *)(r6 + 8)", extension)


def _stores() -> Iterator[_Pair]:
    """A store, and a load of the same bytes, of some of them, or of more."""
    for (stored, loaded), text in zip(
        product(("u8", "u16", "u32", "u64"), ("u8", "s16", "u32", "u64", "s32")),
        cycle(("r3", "-77", "r4")),
        strict=False,
    ):
        yield _Pair(f"*({stored} *)(r1 + PLACE) = {text}", f"r3 = *({loaded} *)(r1 + PLACE)")


def _constants() -> Iterator[_Pair]:
    """A constant of 64 bits, and what it is used for."""
    numbers = cycle(("0xffffffff", "0x80000000", "0xffffffff00000000", "0x0123456789abcdef", "-1", "0x100000000"))
    for use in (
        "r3 += r4", "r3 -= r4", "r3 &= r4", "r3 |= r4", "r3 ^= r4", "w3 += w4", "w3 &= w4", "r4 += r3", "w4 = w4",
        "r4 >>= 32", "r4 += -1", "w4 += 1", "r4 = -r4", "r4 = 0x1122334455667788 ll", "r5 = 0x1122334455667788 ll",
        "*(u64 *)(r1 + PLACE) = r4", "*(u32 *)(r1 + PLACE) = r4", "r3 = r4", "w3 = w4", "r4 = bswap64 r4",
    ):  # fmt: skip
        yield _Pair(f"r4 = {next(numbers)} ll", use)
    for r, sign in product("rw", ("==", "!=", ">", "<=", "s<", "s>=", "&")):
        yield _Pair(f"r4 = {next(numbers)} ll", f"if {r}3 {sign} {r}4 goto +1", "r5 += 77")
        yield _Pair(f"{r}4 = -2", f"if {r}3 {sign} {r}4 goto +1", "r5 += 77")


def _conditions() -> Iterator[_Pair]:
    """A condition and a move, or another condition; a result and a condition on it."""
    chosen = cycle(("r5 = r4", "w5 = w4", "r5 = 1", "r3 = -r3", "w3 = w4", "r5 += r3"))
    for r, sign in product("rw", ("==", "!=", ">", ">=", "<", "<=", "s>", "s>=", "s<", "s<=", "&")):
        yield _Pair(f"if {r}3 {sign} {r}4 goto +1", next(chosen))
    for r, sign, s, other in product("rw", (">", "s<"), "rw", ("==", "s>")):
        yield _Pair(f"if {r}3 {sign} {r}4 goto +2", f"if {s}3 {other} {s}5 goto +1", "r5 += 77")
    tests = cycle(("== 0", "s< 0", "!= 0", "s> 0"))
    for r, s, sign in product("rw", "rw", ("+", "-", "&", "^", "<<")):
        yield _Pair(f"{r}3 {sign}= {r}4", f"if {s}3 {next(tests)} goto +1", "r5 += 77")


#: Masks, swaps, sums, and addresses.
_OTHERS = """
    r3 &= 255 // r3 &= 0xfff0
    r3 &= 255 // w3 &= -16
    w3 &= -256 // r3 &= 0xffff
    w3 &= 0x7fffffff // w3 &= -2
    r3 &= -256 // w3 &= -1
    r3 &= -1 // w3 |= 0
    w3 &= -1 // r3 |= 0
    r3 &= 0x7fffffff // r3 <<= 33
    w3 &= 255 // r3 <<= 40
    r3 |= 255 // w3 &= 255
    w3 |= -256 // r3 &= -1
    r3 ^= -1 // w3 ^= -1
    w3 ^= -1 // r3 ^= -1
    r3 ^= -1 // r3 += 1
    w3 ^= -1 // w3 += 1
    r3 = -r3 // w3 = -w3
    w3 = -w3 // r3 = -r3
    r3 = -r3 // r3 += r4
    w3 = -w3 // r3 += r4
    r3 += 5 // r3 -= 5
    w3 += 5 // r3 -= 5
    r3 += 0x7fffffff // r3 += 0x7fffffff
    w3 += 0x7fffffff // w3 += 0x7fffffff
    r3 += r4 // r3 -= r4
    r3 += r4 // w3 -= w4
    r4 <<= 3 // r3 += r4
    w4 <<= 3 // r3 += r4
    w4 <<= 2 // w3 += w4
    r4 = r3 // r3 = r4
    w4 = w3 // r3 = r4
    r4 = r3 // w3 = w4
    r5 = r3; r3 = r4 // r4 = r5
    r5 = r3; w3 = w4 // w4 = w5
    r3 ^= r4; r4 ^= r3 // r3 ^= r4
    r4 = 33 // r3 <<= r4
    w4 = 33 // w3 >>= w4
    r4 = 31 // w3 s>>= w4
    r4 &= 63 // r3 >>= r4
    w4 &= 31 // w3 <<= w4
    r3 = (s32)r3 // w3 = w3
    w3 = w3 // r3 = (s32)r3
    r3 = (s8)r3 // r3 = (s16)r3
    w3 = (s16)w3 // r3 = (s32)r3
    r3 = (s8)r4 // r4 = (s16)r3
    w3 = w3 // r3 <<= 32
    w3 = w4 // r3 >>= 1
    r3 = bswap64 r3 // r3 >>= 32
    r3 = bswap64 r3 // r3 >>= 48
    r3 = bswap64 r3 // w3 = w3
    r3 = bswap64 r3 // r3 = bswap64 r3
    r3 = be64 r3 // r3 = bswap64 r3
    r3 = be64 r3 // r3 = (s16)r3
    r3 = *(u64 *)(r6 + 8) // r3 = be64 r3
    r3 = *(u64 *)(r6 + 0) // r3 >>= 32
    r3 = *(u32 *)(r6 + 4) // r3 <<= 32
    r3 = *(u32 *)(r6 + 4); r4 = *(u32 *)(r6 + 8); r4 <<= 32 // r3 |= r4
"""
#: Pairs with an address in r5, which is set before: of the numbers, or of the place for stores.
_ADDRESSES = """
    r5 += 8 // r3 = *(u64 *)(r5 + 0)
    r5 += 8 // r3 = *(u32 *)(r5 + 4)
    r5 += 8 // r3 = *(s16 *)(r5 - 2)
    r5 -= -8 // r3 = *(u8 *)(r5 + 3)
    r5 += 8; r5 += -16 // r3 = *(u64 *)(r5 + 8)
    r5 = r6; r5 += 8 // r3 = *(u64 *)(r5 - 8)
    r3 = *(u64 *)(r5 + 0) // r5 += 8
    r5 = r6 // r3 = *(u64 *)(r5 + 8)
"""
_STORED_ADDRESSES = """
    r5 += 8 // *(u32 *)(r5 + 0) = r3
    r5 += 8 // *(u16 *)(r5 + 2) = 77
    r5 -= -8 // *(u8 *)(r5 - 1) = r3
    r5 += 8; *(u64 *)(r5 + 0) = r4 // r3 = *(u64 *)(r5 + 0)
    *(u64 *)(r5 + 8) = r3 // r5 += 8
"""
_SWAPS = """
    r3 = be16 r3 // r3 = (s16)r3
    r3 = be16 r3 // r3 <<= 48
    r3 = be32 r3 // r3 >>= 16
    r3 = be32 r3 // w3 = w3
    r3 = be32 r3 // r3 = be16 r3
    r3 = le16 r3 // r3 = be16 r3
    r3 = le32 r3 // r3 <<= 32
    r3 = bswap16 r3 // r3 &= 255
    r3 = bswap16 r3 // r3 = bswap16 r3
    r3 = bswap16 r3 // r3 <<= 16
    r3 = bswap32 r3 // r3 = bswap32 r3
    r3 = bswap32 r3 // r3 = bswap64 r3
    r3 = bswap64 r3 // r3 = bswap32 r3
    r3 = bswap32 r3 // r3 = (s32)r3
    r3 = *(u16 *)(r6 + 0) // r3 = be16 r3
    r3 = *(u32 *)(r6 + 0) // r3 = be32 r3
    r3 = *(u32 *)(r6 + 0) // r3 = bswap32 r3
    r3 = be32 r3 // *(u32 *)(r1 + PLACE) = r3
    w3 = w4 // r3 = bswap32 r3
    r3 >>= 16 // r3 = bswap16 r3
"""
_DIVISIONS = """
    r3 *= r4 // r3 += r5
    r3 *= r4 // w3 += w5
    w3 *= w4 // r3 += r5
    w3 *= w4 // w3 -= w5
    r3 *= 3 // r3 *= 5
    w3 *= 3 // r3 *= 5
    r3 *= 8 // r3 /= 8
    w3 *= 8 // w3 /= 8
    r3 *= 8 // w3 s/= 8
    r3 /= 8 // r3 <<= 3
    r3 <<= 3 // r3 s/= 8
    r3 /= 10 // r3 /= 10
    w3 /= 8 // r3 /= 8
    r5 = r3; r3 /= 10 // r5 %= 10
    r5 = r3; r3 /= r4 // r5 %= r4
    w5 = w3; w3 s/= w4 // w5 s%= w4
    r5 = r3; r3 s/= 7 // r5 s%= 7
    r3 %= 16 // r3 &= 7
    r3 s%= 8 // r3 += 8
    w3 = w3; w4 = w4 // r3 *= r4
    r3 = (s32)r3; r4 = (s32)r4 // r3 *= r4
    r3 *= r4 // r3 >>= 32
    r3 = r4 // r3 *= 77
    w3 = w4 // r3 /= 3
    r4 = 7 // r3 %= r4
    w4 = -7 // w3 /= w4
"""
_ATOMICS = """
    r3 = atomic_fetch_add((u64 *)(r1 + PLACE), r3) // r3 += r4
    r3 = atomic_fetch_or((u64 *)(r1 + PLACE), r3) // w3 = w3
    r3 = xchg_64(r1 + PLACE, r3) // r4 = r3
    lock *(u64 *)(r1 + PLACE) += r3 // r4 = *(u64 *)(r1 + PLACE)
    *(u64 *)(r1 + PLACE) = r3 // lock *(u64 *)(r1 + PLACE) ^= r4
    lock *(u32 *)(r1 + PLACE) += w3 // lock *(u32 *)(r1 + PLACE) += w4
    r3 = r4 // r3 = atomic_fetch_xor((u64 *)(r1 + PLACE), r3)
    r3 = *(u64 *)(r1 + PLACE) // lock *(u64 *)(r1 + PLACE) += r3
"""
#: Ways to the pair: what is done before it, and a jump to the second instruction, in front of slots of the first one.
_WAYS = {
    "straight-on": ("r0 += 0", "r0 += {}"),
    "taken": ("r0 += 0", "if r0 == 5 goto +{}"),
    "not-taken": ("r0 += 0", "if r0 != 5 goto +{}"),
    "unconditional": ("if r0 != 5 goto +1", "goto +{}"),
}
_MOST_SLOTS = 5


def drafts() -> Iterator[Draft]:
    """Yield the vectors of each kind of pairs."""
    addresses = [_Pair(*pair[:2], before="r5 = r6\nr5 += 8\n") for pair in _pairs(_ADDRESSES)]
    addresses += [_Pair(*pair[:2], before=f"r5 = r1\nr5 += {_PLACE - 8}\n") for pair in _pairs(_STORED_ADDRESSES)]
    for name, pairs, covers in (
        ("moves-and-shifts", [*_moves(), *_shifts()], ("4.1-mov", "4.1-lsh", "4.1-alu32-zero-extends")),
        ("memory-accesses", [*_loads(), *_stores(), *addresses], ("5.1-ldx-zero-extends", "5.1-address-offset")),
        ("constants-and-conditions", [*_constants(), *_conditions()], ("5.4-imm64", "4.3-jgt", "4.3-jslt")),
        ("masks-and-sums", _pairs(_OTHERS), ("4.1-and", "4.1-add", "4.1-movsx")),
        ("swaps", _pairs(_SWAPS), ("4.2-be16", "4.2-bswap32")),
        ("products-and-quotients", _pairs(_DIVISIONS), ("4.1-mul", "4.1-div", "4.1-mod")),
        ("atomic-operations", _pairs(_ATOMICS), ("5.3-fetch", "5.3-add-64")),
    ):
        forward = _program(f"r0 = *(u8 *)(r1 + {_FLAG})\n{{guard}}\n{{jumpN}}\nFIRSTSECOND", pairs)
        yield _draft(f"{name}/forward", pairs, covers, forward, _forward(forward))
        again = _program("r0 = 2\nFIRSTsecond#:\nSECONDr0 += -1\nif r0 != 0 goto second#\n", pairs)
        yield _draft(f"{name}/loop", pairs, covers, again, {"twice": {}})
        enter = f"r0 = *(u8 *)(r1 + {_FLAG})\nif r0 == 5 goto behind#\nFIRSTsecond#:\nSECOND"
        behind = _program(enter, pairs, "behind#:\ngoto second#\n")
        yield _draft(f"{name}/from-behind", pairs, covers, behind, {"taken": {}})


def _forward(asm: str) -> dict[str, dict[str, str]]:
    cases = {}
    for name, (guard, jump) in _WAYS.items():
        values = {"guard": guard, **{f"jump{n}": jump.format(n) for n in range(1, _MOST_SLOTS)}}
        cases[name] = {hole: value for hole, value in values.items() if f"{{{hole}}}" in asm}
    return cases


def _draft(
    name: str, pairs: Sequence[_Pair], covers: Sequence[str], asm: str, cases: dict[str, dict[str, str]]
) -> Draft:
    what = f"{len(pairs)} pairs of instructions that are often made one, with jumps to the second of them"
    sums = 8 * len(_SUMS) * -(-len(pairs) // _SUMMED)
    found = tuple(f"rfc9669-{part}" for part in (*covers, "4.3-relative-to-next"))
    return Draft(f"pair/{name}", what, found, cases, asm, observe=("after",), memory=f"{_MEMORY} 00*{sums}")


def _program(form: str, pairs: Sequence[_Pair], end: str = "") -> str:
    """Return a loop over the numbers with all ``pairs`` in it, each in the place of FIRST and SECOND of ``form``."""
    asm, at = "r6 = r1\nr7 = 0\nr8 = 0\nr9 = 0\nr2 = 0\nagain:\n", _SUMS_AT
    for place, pair in enumerate(pairs):
        asm += _part(form, pair).replace("#", str(place))
        if place % _SUMMED == _SUMMED - 1 or place == len(pairs) - 1:
            for total in _SUMS.values():
                asm += f"r0 = *(u64 *)(r1 + {at})\nr0 += r{total}\n*(u64 *)(r1 + {at}) = r0\nr{total} = 0\n"
                at += 8
    asm += f"r6 += {_BYTES}\nr2 += 1\nif r2 != {len(_NUMBERS)} goto again\n{END}"
    return asm + "".join(end.replace("#", str(place)) for place in range(len(pairs)) if end)


def _part(form: str, pair: _Pair) -> str:
    first, second = (_lines(text) for text in (pair.first, f"{pair.second}; {pair.behind}"))
    used = [n for n in _SUMS if re.search(rf"[rw]{n}\b", first + second) and not (n == 5 and pair.before)]
    asm = "".join(f"r{n} = *(u64 *)(r6 + {8 * place})\n" for place, n in enumerate(_SUMS) if n in used) + pair.before
    slots = str(len(assemble_program(first)))
    asm += form.replace("jumpN", f"jump{slots}").replace("FIRST", first).replace("SECOND", second)
    asm += "".join(f"r{_SUMS[n]} += r{n}\n" for n in used)
    return asm + (
        f"r3 = *(u64 *)(r1 + {_PLACE})\nr7 += r3\n"
        if f"(r1 + {_PLACE})" in first + second or "r1" in pair.before
        else ""
    )


def _lines(text: str) -> str:
    found = (line.strip().replace("PLACE", str(_PLACE)) for line in text.split(";"))
    return "".join(f"{line}\n" for line in found if line)
