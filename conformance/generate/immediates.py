# SPDX-License-Identifier: Apache-2.0
"""Immediates at the limits of machine encodings (RFC 9669 sections 3.1, 4.1, 4.3 and 5.1).

A JIT compiler uses short encodings for immediates in their range and longer ones otherwise. Errors occur next to the
limits of these ranges, and for divisors that it replaces by multiplications and shifts.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...spec.facts import DIVISIONS, SHIFTS, Kind, facts
from ...spec.table import Instruction, isa
from .boundaries import IMMEDIATES, hexed, named
from .covers import covers
from .draft import Draft, line, slug
from .registers import ALL, prologue

_MIN, _MAX = -(1 << 31), (1 << 31) - 1
#: Limits of fields of 8, 9, 12, 13, 16, 20, 21 and 24 bits, signed and unsigned; values shifted by 12 or 16 bits; those
#: that round up if the low 12 bits are signed; small factors that address computations or shifts can replace.
LIMITS = (
    *(2, 3, 4, 5, 8, 9, 127, 128, 129, -127, -128, -129, 255, 256, 257, -255, -256, -257),
    *(2047, 2048, -2048, -2049, 4095, 4096, -4095, -4096, 0xFF000, 0xFFF000, 0x1000000, 0x7FFFF7FF, 0x7FFFF800),
    *(32767, 32768, -32768, -32769, 65535, 65536, 0xFF0000, 0x12340000, -65536, 0x7FFFF, -0x80001, 0x800000),
    *(_MAX, _MIN, _MIN + 1, -2, 0x1FFFFF),
)
#: Divisors and factors: powers of two and adjacent numbers, numbers whose inverses need one more bit than the width.
FACTORS = (
    *(2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 25, 27, 28, 60, 100, 125, 128, 255, 256, 625, 641, 1000, 1024, 4096),
    *(10000, 32768, 65535, 65536, 65537, 1000000007, 0x40000000, 0x55555555, 0x7FFFFFFE, _MAX),
    *(_MIN, _MIN + 1, -2, -3, -4, -5, -7, -8, -10, -16, -128, -641, -65536, -0x40000000),
)
#: Identity elements, zero elements, and -1.
_SIMPLE = (0, 1, -1)
_SHIFTS = (2, 3, 12, 16, 20, 21, 24, 31, 32, 33, 48, 63, 64, 127, 128, 255, 256, 4096, _MAX, _MIN, -1, -8, -128)
_DIVIDENDS = ("0xffffffffffffffff", "0x7ffffffe7ffffffe", "0xfedcba9876543210")
#: The smallest number of either width is one that signed division by -1 cannot negate.
_SIGNED_DIVIDENDS = {64: "0x8000000000000000", 32: "0x7ffffffe80000000"}
_VALUES = ("0xfedcba9876543210", "0xffffffff00000001")


def drafts() -> Iterator[Draft]:
    """Yield the vectors of arithmetic, conditional jumps and stores with an immediate, and of 64-bit constants."""
    for row in isa().instructions:
        if facts(row).kind is Kind.CONSTANT:
            yield _halves(row)
        if "imm" not in row.operands or row.wide:
            continue
        what = facts(row)
        if what.kind is Kind.ALU:
            yield _arithmetic(row)
        elif what.kind is Kind.CONDITION:
            yield _condition(row)
        elif what.kind is Kind.STORE:
            yield _store(row)


def _arithmetic(row: Instruction) -> Draft:
    """Each immediate with several numbers: the last of them is known, the others are not.

    A zero from memory prevents constant folding of the others. All other registers are set, too: machine code for some
    immediates may need a scratch register.
    """
    name = facts(row).operation
    factors = name == "*" or name in DIVISIONS
    limits = _SHIFTS if name in SHIFTS else LIMITS
    numbers = dict.fromkeys((*_SIMPLE, *(FACTORS if factors else ()), *limits))
    registers = ("r3", "r4", "r5") if factors else ("r3", "r4")
    asm = f"r6 = *(u8 *)(r1 + 0)\n{prologue(skip=(6, *(int(register[1:]) for register in registers)))}"
    values = _DIVIDENDS if factors else _VALUES
    if name in ("s/", "s%"):
        values = (_SIGNED_DIVIDENDS[facts(row).width], *_DIVIDENDS[1:])
    for register, value in zip(registers, values, strict=True):
        asm += f"{register} = {value} ll\n" + (f"{register} ^= r6\n" if register != registers[-1] else "")
        asm += f"{line(row, dst=register[1:], imm='{imm}')}\n"
    cases = {named(number): {"imm": str(number)} for number in numbers}
    what = f"{len(registers)} numbers with immediates at the limits of what machines encode; no other register changes"
    return Draft(f"{slug(row)}/limits", what, covers(row), cases, f"{asm}exit\n", observe=ALL, memory="00")


def _condition(row: Instruction) -> Draft:
    """The immediate and the numbers next to it as dst, then the same with a known upper half.

    A zero from memory prevents constant folding of the first ones.
    """
    cases = {named(number): {"imm": str(number)} for number in (*IMMEDIATES.values(), *LIMITS)}
    asm, bit = f"r6 = *(u8 *)(r1 + 0)\n{prologue(skip=(0, 3, 4, 6))}r0 = 0\n", 1
    for beginning in ("r3 += r6\n", "w3 = w3\nr4 = 0x5a5a5a5a00000000 ll\nr3 |= r4\n"):
        asm += f"r3 = {{imm}}\n{beginning}"
        for step in ("", "r3 += 1\n", "r3 -= 2\n"):
            asm += f"{step}{line(row, dst='3', imm='{imm}', offset='+1')}\nr0 += {bit}\n"
            bit *= 2
    what = (
        "the immediate, the next and the last number, alone and beside an upper half: each bit of r0 is a condition "
        "that did not hold; no other register changes"
    )
    return Draft(f"{slug(row)}/limits", what, covers(row), cases, f"{asm}exit\n", observe=ALL, memory="00")


def _halves(row: Instruction) -> Draft:
    """Either half of a 64-bit constant."""
    cases = {}
    for number in LIMITS:
        half = number & 0xFFFFFFFF
        cases[named(number)] = {
            "low": hexed(0x5A5A1234 << 32 | half),
            "high": hexed(half << 32 | 0x76543210),
        }
    asm = f"{prologue()}{line(row, dst='0', imm64='{low}')}\n{line(row, dst='3', imm64='{high}')}\nexit\n"
    what = "the number as the lower and as the upper half of a 64-bit constant; no other register changes"
    found = ("rfc9669-5.4-imm64", "rfc9669-3.2-two-immediates")
    return Draft(f"{slug(row)}/limits", what, found, cases, asm, observe=ALL)


def _store(row: Instruction) -> Draft:
    """All immediates, one after the other in memory."""
    size = facts(row).width // 8
    numbers = (*LIMITS, *_SIMPLE)
    asm = prologue(skip=(1,)) + "".join(
        f"{line(row, dst='1', imm=str(number), offset=str(size * place))}\n" for place, number in enumerate(numbers)
    )
    what = f"{len(numbers)} immediates, one after the other in memory; no register changes"
    return Draft(
        f"{slug(row)}/limits",
        what,
        covers(row),
        asm=f"{asm}exit\n",
        observe=(*(register for register in ALL if register != "r1"), "after"),
        memory=f"00*{size * len(numbers)}",
    )
