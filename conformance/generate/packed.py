# SPDX-License-Identifier: Apache-2.0
"""Programs with a hundred small parts: one instruction on each pair of registers, with another pair of numbers each.

Each part loads its operands from a table in memory, and stores its result in a place of its own. So one vector notices
what hundreds of vectors with one part do, though it does not tell as clearly what is wrong: it is for short suites.

Programs for 64-bit instructions, and for the upper halves of 32-bit ones, use 64-bit loads and stores (*wide*). Those
for the lower halves need no group but the row's and base32 (*narrow*).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, product
from typing import NamedTuple

from ...spec.facts import Kind, facts
from ...spec.table import Instruction, isa
from .boundaries import edges
from .draft import Draft
from .immediates import FACTORS, LIMITS
from .parts import Form, Program, beside, draft, forms, kind_of_operation
from .registers import VALUES

_MIN, _MAX = -(1 << 31), (1 << 31) - 1
#: Shift amounts, and some that are too wide: the low 8, 16 or 32 bits of some are not.
_AMOUNTS = (*range(65), 95, 96, 127, 128, 255, 0x105, 0x10007, 0x100000003, 0x8000000000000006, (1 << 64) - 1)
#: Immediates that Linux rejects: amounts that are too wide, of 32-bit shifts and of both, and a divisor.
_TOO_WIDE_32, _TOO_WIDE, _ZERO = (
    (32, 33, 63),
    (64, 65, 95, 127, 128, 135, 255, 256, 4096, _MAX, _MIN, -1, -8, -128),
    (0,),
)
_SPECIAL_IMMEDIATES = (0, 1, -1, _MIN, _MAX)
#: Dividends that show another divisor: of either sign in both widths.
_LARGE = (0xFEDCBA98F6543211, 0x7EDCBA9976543217, 0x9234567881234567)
#: Numbers whose upper half has all bits set.
_UPPER_ONES = (0xFFFFFFFF00000000, 0xFFFFFFFF00001234)


class Operands(NamedTuple):
    """The registers of one part, the numbers in them, and the immediate."""

    dst: int
    src: int
    a: int
    b: int
    imm: int = 5


def drafts() -> Iterator[Draft]:
    """Yield the vectors of arithmetic, byte swaps and conditional jumps."""
    rows = isa().instructions
    for form in forms(row for row in rows if facts(row).kind in (Kind.ALU, Kind.SWAP, Kind.CONDITION)):
        yield _packed(form, wide=True)
        if facts(form.row).width < 64:
            yield _packed(form, wide=False)
        if "src" in form.row.operands:
            yield _frame_pointer_compared(form) if _is_condition(form) else _frame_pointer(form)
        elif kind_of_operation(form.row):
            yield _extreme(form)


def _is_condition(form: Form) -> bool:
    return facts(form.row).kind is Kind.CONDITION


def _packed(form: Form, *, wide: bool) -> Draft:
    program = Program(wide=wide)
    parts = list(_operands(form.row, program.registers))
    program.tabulate(number for part in parts for number in (part.a, part.b))
    for part in parts:
        _part(form, program, part)
    if wide:
        for dst, src in ((3, 4), (5, 6)):
            beside(program, (dst, src), _line(form, Operands(dst, src, 0, 0), "+0"))
    what = f"{len(parts)} parts: each register, or pair of registers, and boundary values; each result is stored"
    return draft(form, program, "wide" if wide else "narrow", what)


def _line(form: Form, part: Operands, offset: str = "+1") -> str:
    return form.line(dst=str(part.dst), src=str(part.src), imm=str(part.imm), offset=offset)


def _part(form: Form, program: Program, part: Operands) -> None:
    used = (part.dst, part.src) if "src" in form.row.operands else (part.dst,)
    program.spare(*used)
    program.load(part.dst, part.a)
    if part.src in used[1:] and part.src != part.dst:
        program.load(part.src, part.b)
    if _is_condition(form):
        _flag(form, program, part)
        return
    program.add(_line(form, part))
    program.store(part.dst)


def _flag(form: Form, program: Program, part: Operands) -> None:
    """A conditional jump that leaves 1 in memory if it is taken, else 2."""
    flag = program.free(part.dst, part.src)
    program.add(f"{program.name(flag)} = 1", _line(form, part), f"{program.name(flag)} = 2")
    program.store(flag, 1)


def _operands(row: Instruction, registers: tuple[int, ...]) -> Iterator[Operands]:
    """Yield a part for each register or pair of registers, and for each pair of numbers."""
    if "src" not in row.operands:
        for dst, (a, imm) in zip(cycle(registers), _with_immediates(row), strict=False):
            yield Operands(dst, dst, a, a, imm)
        return
    # Register 9 has the address of the memory as long as it can.
    pairs = sorted(product(registers, registers), key=lambda pair: 9 in pair)
    different, same = [pair for pair in pairs if len(set(pair)) == 2], [pair for pair in pairs if len(set(pair)) == 1]
    numbers = _pairs(row)
    count = max(len(different), len(numbers))
    for (dst, src), (a, b), _ in zip(cycle(different), cycle(numbers), range(count), strict=False):
        yield Operands(dst, src, a, b)
    for (dst, _), number in zip(same, _values(row)[1:], strict=False):
        yield Operands(dst, dst, number, number)


def _special(width: int) -> tuple[int, ...]:
    return (0, 1, -1, 1 << width - 1, (1 << width - 1) - 1)


def _values(row: Instruction) -> list[int]:
    return edges(64) if facts(row).width == 64 else [*edges(32), *_UPPER_ONES]


def _pairs(row: Instruction) -> list[tuple[int, int]]:
    """Return numbers for dst and src: each boundary value as either, and each pair of special ones."""
    numbers = _values(row)
    if kind_of_operation(row) == "shift":
        return list(zip(cycle(numbers), _AMOUNTS, strict=False))
    special = _special(facts(row).width)
    pairs = list(product(special, special))
    pairs += [(number, numbers[(place * 5 + 1) % len(numbers)]) for place, number in enumerate(numbers)]
    pairs += [(numbers[(place * 7 + 3) % len(numbers)], number) for place, number in enumerate(numbers)]
    return [pair for pair in pairs if not _overflows(row, *pair)]


def _overflows(row: Instruction, a: int, b: int) -> bool:
    """Whether it is a division whose result is a matter of interpretation (erratum signed-division-overflow)."""
    width = facts(row).width
    mask = (1 << width) - 1
    return kind_of_operation(row) == "signed division" and (a & mask, b & mask) == (1 << width - 1, mask)


def _with_immediates(row: Instruction) -> list[tuple[int, int]]:
    """Return numbers for dst, and immediates but those that Linux rejects."""
    numbers, kind, width = _values(row), kind_of_operation(row), facts(row).width
    if "imm" not in row.operands:
        return [(number, 0) for number in numbers]
    if kind == "shift":
        return list(zip(cycle(numbers), (*range(width), *range(1, width, 2)), strict=False))
    factors = FACTORS if kind or facts(row).operation == "*" else ()
    limits = dict.fromkeys((*_SPECIAL_IMMEDIATES, *LIMITS, *factors, *(1 << bit for bit in range(31))))
    found = list(zip(cycle(_LARGE if kind else numbers), limits, strict=False))
    found += product(_special(width), _SPECIAL_IMMEDIATES)
    found += zip(numbers, cycle((7, -3, 10)), strict=False)
    return [(a, imm) for a, imm in found if (imm or not kind) and not _overflows(row, a, imm)]


def _extreme(form: Form) -> Draft:
    """Immediates that Linux rejects."""
    program, width, is_shift = Program(wide=True), facts(form.row).width, kind_of_operation(form.row) == "shift"
    numbers = _LARGE if is_shift else tuple(dict.fromkeys(n % (1 << 64) for n in (*_special(width), *_LARGE)))
    program.tabulate(numbers)
    immediates = ((*_TOO_WIDE_32, *_TOO_WIDE) if width == 32 else _TOO_WIDE) if is_shift else _ZERO
    for (imm, number), dst in zip(product(immediates, numbers), cycle(program.registers), strict=False):
        _part(form, program, Operands(dst, dst, number, number, imm))
    what = "shift amounts that are too wide" if is_shift else "division by an immediate of 0"
    return draft(form, program, "too-wide" if is_shift else "by-0", f"{what}, in each register")


def _frame_pointer(form: Form) -> Draft:
    """R10 as source gives the same result as a copy of it: the difference is 0 for each stack address."""
    program = Program(wide=True)
    for dst in program.registers:
        other, copy = (dst + 1) % 10, (dst + 2) % 10
        program.spare(dst, other, copy)
        program.add(f"r{copy} = r10", f"r{dst} = {VALUES[3]:#x} ll", f"r{other} = r{dst}")
        program.add(form.line(dst=str(dst), src="10"), form.line(dst=str(other), src=str(copy)))
        program.add(f"r{dst} -= r{other}")
        program.store(dst)
    return draft(form, program, "frame-pointer", "r10 as source operand is the value of r10, for each register as dst")


def _frame_pointer_compared(form: Form) -> Draft:
    """R10 compared with a copy of it in each register, on either side, and with itself."""
    program = Program(wide=True)
    for n in program.registers:
        program.spare(n)
        for dst, src in ((10, n), (n, 10), (10, 10)):
            program.add(f"r{n} = r10")
            _flag(form, program, Operands(dst, src, 0, 0))
    return draft(form, program, "frame-pointer", "r10 against a copy of it in each register, and against itself")
