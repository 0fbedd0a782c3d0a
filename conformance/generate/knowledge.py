# SPDX-License-Identifier: Apache-2.0
"""What is known of a register after a condition, a mask or a join of paths, and what is not.

On the edge on which ``w3 == 5`` holds, the lower half is 5 and the upper half is anything; a register that is 5 or -1
is no constant. Compilers leave out conditions that they take to be decided, and replace registers by numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, count

from ...spec.facts import facts
from ...spec.table import Instruction
from . import jumps
from .draft import Draft, line
from .registers import END, stored
from .writers import on_lines

_JUNK = 0x5A5A5A5A00000000
_LOW = 0xFFFFFFFF
_MINUS_2 = -2 & (1 << 64) - 1
#: Numbers that are compared, and what they are compared with where that is a register: equal in all bits, in the lower
#: half only, near each other, of different signs in one of the widths.
_PAIRS = (
    (5, 5),
    (_JUNK | 5, 5),
    (4, _JUNK | 5),
    (_MINUS_2, _MINUS_2),
    (_MINUS_2 & _LOW, _MINUS_2),
    (_MINUS_2 - 1, _MINUS_2),
    (_JUNK | _MINUS_2 & _LOW, 5),
    (1 << 63 | 5, _MINUS_2),
    (0, 1 << 32),
)
#: Memory: the pairs, a place for stores, sums.
_BYTES = 16
_PLACE = _BYTES * len(_PAIRS)
_SUMS_AT = _PLACE + 8
_STORED = f"*(u64 *)(r1 + {_PLACE})"
#: Uses of r3, whose value is added to r7 then: first those of all its bits.
_USES = (
    "r7 += r3",
    "r5 = r3; r5 >>= 32; r7 += r5",
    f"{_STORED} = r3; r5 = {_STORED}; r7 += r5",
    "w5 = w3; r7 += r5",
    "r5 = 1; r5 <<= r3; r7 += r5",
    "r3 += 1; r7 += r3",
    "r5 = (s32)r3; r7 += r5",
    "r3 -= r4; r7 += r3",
)
_OF_ALL_BITS = 3
#: Two ways to set r3, which paths bring together; r4 is a number that is not known.
_JOINED = (
    ("r3 = 5", "r3 = 0x100000005 ll"),
    ("r3 = 0xffffffff ll", "r3 = -1"),
    ("w3 = -1", "r3 = -1"),
    ("r3 = 0x80000000 ll", "r3 = -2147483648"),
    ("r3 = 5", "r3 = 9"),
    ("r3 = 5", "w3 = 5"),
    ("r3 = 5", "r3 = r4"),
    ("r3 = r4", "r3 = 5"),
    ("w3 = w4", "r3 = r4"),
    ("r3 = 0", "r3 = 0xffffffff00000000 ll"),
    ("r3 = 0x0123456789abcdef ll", "r3 = 0x0123456789abcde0 ll"),
    ("r3 = (s32)r4", "w3 = w4"),
)
_JOIN_USES = (
    *_USES,
    "r5 = r4; r5 &= r3; r7 += r5",
    "w5 = 77; w5 >>= w3; r7 += r5",
    "w3 += 1; r7 += r3",
    "if r3 == 5 goto +1; r7 += 3",
    "if w3 == 5 goto +1; r7 += 3",
    "if r3 != -1 goto +1; r7 += 3",
    "if r3 s< 0 goto +1; r7 += 3",
    "if r4 > r3 goto +1; r7 += 3",
)
_DIVIDING_USES = (
    "r5 = r4; r5 /= r3; r7 += r5",
    "w5 = w4; w5 %= w3; r7 += r5",
    "r3 *= r4; r7 += r3",
    "r3 s/= 3; r7 += r3",
)
#: Instructions after which the bounds of r3 are known, in one width or in both.
_BOUNDS = (
    "w3 &= 15", "r3 &= 15", "r3 &= -16", "w3 &= -16", "r3 >>= 60", "r3 s>>= 60", "w3 >>= 28", "w3 s>>= 28",
    "r3 = (s8)r3", "w3 = (s8)w3", "r3 = *(u8 *)(r6 + 0)", "r3 = *(s8 *)(r6 + 0)", "r3 |= -16", "r3 = (s32)r3",
    "w3 = w3", "r3 >>= 32",
)  # fmt: skip
_BOUNDED = (15, -1, 7)


_Cases = Mapping[str, Mapping[str, str]]


def drafts() -> Iterator[Draft]:
    """Yield the vectors of conditions, of bounds and of joins."""
    rows = jumps.known_conditions()
    for width in (32, 64):
        firsts = [row for row in rows if facts(row).width == width]
        for form, number in (("imm", "{n}"), ("src", "")):
            first = [row for row in firsts if form in row.operands]
            second = [row for row in rows if form in row.operands]
            cases = {"5": {"n": "5", "m": "5"}, "minus-2": {"n": "-2", "m": "-1"}} if number else {"pairs": {}}
            yield _implied(f"{width}-bits-{'k' if number else 'x'}", first, second, cases)
    yield _valued([row for row in rows if "imm" in row.operands], {"5": {"n": "5"}, "minus-2": {"n": "-2"}})
    yield _valued([row for row in rows if "src" in row.operands], {"pairs": {}})
    yield _bounded([row for row in rows if "imm" in row.operands])
    yield _joined("joins", _JOIN_USES, ("4.1-mov", "5.4-imm64"))
    yield _joined("joins-and-divisions", _DIVIDING_USES, ("4.1-div", "4.1-mod"))


def _loop(parts: Iterable[Sequence[str]], sums: Sequence[int]) -> tuple[str, int]:
    """Return a loop over the pairs with all ``parts``, after each of which ``sums`` are stored, and their end.

    Operands are loaded anew for each text of a part: that keeps the work of verifiers small.
    """
    asm = f"{stored(chain(*_PAIRS), 'r1')}r6 = r1\nr9 = 0\n" + "".join(f"r{n} = 0\n" for n in sums) + "again:\n"
    at, numbers = _SUMS_AT, count()
    for part in parts:
        for text in part:
            r4 = "r4 = *(u64 *)(r6 + 8)" if re.search("[rw]4", text) else ""
            asm += on_lines(f"r3 = *(u64 *)(r6 + 0); {r4}; {text}", next(numbers))
        for total in sums:
            asm += on_lines(f"r0 = *(u64 *)(r1 + {at}); r0 += r{total}; *(u64 *)(r1 + {at}) = r0; r{total} = 0")
            at += 8
    return f"{asm}r6 += {_BYTES}\nr9 += 1\nif r9 != {len(_PAIRS)} goto again\n{END}", at


def _test(row: Instruction, target: str, number: str = "{n}") -> str:
    return line(row, dst="3", src="4", imm=number, offset=target)


def _implied(name: str, firsts: Sequence[Instruction], seconds: Sequence[Instruction], cases: _Cases) -> Draft:
    """Conditions on either edge of another one on the same registers: some are decided then, others are not."""
    parts = []
    for place, first in enumerate(firsts):
        chosen = enumerate(seconds[place % 2 :: 2])
        tests = ((_test(first, "+3"), _test(second, "+1", "{m}"), 1 << bit) for bit, second in chosen)
        parts.append([f"{a}; {b}; r7 += {bit}; goto +2; {b}; r8 += {bit}" for a, b, bit in tests])
    asm, size = _loop(parts, (7, 8))
    what = f"{len(seconds) // 2} conditions on either edge of each of {len(firsts)} others on the same registers"
    return _draft(
        f"conditions/{name}", what, ("4.3-jmp32-width", "4.3-jmp-width", "4.3-fall-through"), asm, size, cases
    )


def _valued(rows: Sequence[Instruction], cases: _Cases) -> Draft:
    """Uses of a register on either edge of a condition on it."""
    parts = []
    for place, row in enumerate(rows):
        uses = [*_USES[:_OF_ALL_BITS], _USES[_OF_ALL_BITS + place % (len(_USES) - _OF_ALL_BITS)]]
        parts.append([f"{_test(row, 'a#')}; {use}; a#:" for use in uses])
        parts.append([f"{_test(row, '+1')}; goto a#; {use}; a#:" for use in uses])
    asm, size = _loop(parts, (7,))
    name = "k" if "imm" in rows[0].operands else "x"
    what = f"uses of a register, or of both, on either edge of each of {len(rows)} conditions"
    return _draft(f"values/{name}", what, ("4.3-jeq", "4.3-jne", "4.3-jmp32-width"), asm, size, cases)


def _bounded(rows: Sequence[Instruction]) -> Draft:
    """Conditions after what limits the values of a register in one width or in both."""
    parts = []
    for place, text in enumerate(_BOUNDS):
        tests = [_test(row, "+1", str(_BOUNDED[(place + n) % len(_BOUNDED)])) for n, row in enumerate(rows)]
        parts.append([f"{text}; {test}; r7 += {1 << bit}" for bit, test in enumerate(tests)])
    asm, size = _loop(parts, (7,))
    what = f"{len(rows)} conditions after each of {len(_BOUNDS)} instructions that limit what is in the register"
    return _draft("conditions/after-bounds", what, ("4.1-and", "4.1-movsx", "4.3-jmp32-width"), asm, size, {"all": {}})


def _joined(name: str, uses: Sequence[str], covers: tuple[str, ...]) -> Draft:
    """Uses of a register after paths meet on which it was set in different ways."""
    parts = [
        [f"r5 = *(u64 *)(r6 + 0); if r5 s> 4 goto a#; {a}; goto b#; a#:; {b}; b#:; {use}; r4 = 0" for use in uses]
        for a, b in _JOINED
    ]
    asm, size = _loop(parts, (7,))
    what = f"{len(uses)} uses of a register that two paths set in each of {len(_JOINED)} pairs of ways"
    return _draft(f"values/{name}", what, (*covers, "4.3-fall-through"), asm, size, {"all": {}})


def _draft(name: str, what: str, covers: tuple[str, ...], asm: str, size: int, cases: _Cases) -> Draft:
    found = tuple(f"rfc9669-{part}" for part in covers)
    return Draft(f"known/{name}", what, found, cases, asm, observe=("after",), memory=f"00*{size}")
