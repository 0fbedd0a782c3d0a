# SPDX-License-Identifier: Apache-2.0
"""One instruction after the other with operands that differ in one respect: values, places.

Each needs one instruction only, so a program tries many; what comes of each stays in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ...spec.table import Instruction, isa
from . import jumps, memory
from .addresses import HOLDS
from .arithmetic import is_32_bit, operation, slug
from .atomics import bits
from .draft import Draft, line
from .registers import VALUES
from .surroundings import covers

_SIGNS = (7, 15, 31, 63)
#: Numbers at the edges of 7, 8, 15, 16, 31, 32 and 63 bits, small ones and alternating bits.
EDGES: tuple[int, ...] = (
    *(0, 1, 2, -1, 0x5555555555555555, 0xAAAAAAAAAAAAAAAA),
    *(number for bit in (7, 8, 15, 16, 31, 32, 63) for number in ((1 << bit) - 1, 1 << bit, (1 << bit) + 1)),
    *(number for bit in _SIGNS for number in (-(1 << bit), -(1 << bit) - 1)),
)
#: Those that are no operands in the tables of arithmetic and of jumps.
_RARE = (0x8000, -129, -0x8001, -0x80000001)
#: What is both compared and exchanged: the ends of the ranges of numbers.
_ENDS = {32: (0, 1, -1, -(1 << 31), (1 << 31) - 1), 64: (0, 1, -1, -(1 << 63), (1 << 63) - 1)}


def drafts() -> Iterator[Draft]:
    """Yield the vectors of arithmetic, byte swaps, conditional jumps, loads, stores and atomic operations."""
    for row in isa().instructions:
        if row.section in ("4.1", "4.2") and row.reads & {"dst", "src"}:
            yield _computation(row)
            if operation(row) in ("DIV", "SDIV", "MOD", "SMOD"):
                yield _powers(row)
        elif row.section == "4.3" and "dst" in row.operands:
            yield _condition(row)
            if row.name.startswith("JSET") and "imm" in row.operands:
                yield _single_bits(row)
        elif row.section in ("5.1", "5.2"):
            yield _places(row)
            if "src" in row.operands and not memory.is_load(row):
                yield _stored(row)
        elif row.section == "5.3":
            yield _atomic_values(row)
            if "r0" in row.writes:
                yield _exchanges(row)
    yield _to_themselves()


def _edges(width: int) -> list[int]:
    """Return :data:`EDGES` as unsigned numbers of ``width`` bits, each once."""
    return list(dict.fromkeys(value & (1 << width) - 1 for value in EDGES))


def _number(row: Instruction, value: int) -> str:
    """Return a register for ``value``; a 32-bit instruction gets a dirty upper half."""
    return f"{(value & 0xFFFFFFFF) | 0x5A5A5A5A << 32 if is_32_bit(row) else value & (1 << 64) - 1:#x}"


def _computation(row: Instruction) -> Draft:
    if operation(row) in ("LSH", "RSH", "ARSH"):
        # Amounts have tables of their own.
        operands = [(value, VALUES[4]) for value in _edges(32 if is_32_bit(row) else 64)]
    else:
        operands = [(value, VALUES[4]) for value in _RARE]
        operands += [(VALUES[5], value) for value in _RARE] if "src" in row.operands else []
    asm = "".join(
        f"r3 = {_number(row, dst)} ll\n"
        + (f"r4 = {_number(row, src)} ll\n" if "src" in row.operands else "")
        + f"{line(row, dst='3', src='4', imm='5')}\n*(u64 *)(r1 + {8 * place}) = r3\n"
        for place, (dst, src) in enumerate(operands)
    )
    what = f"the results of {len(operands)} numbers at the edges of widths, one after the other in memory"
    return _draft(row, "edges", what, asm, f"00*{8 * len(operands)}")


def _powers(row: Instruction) -> Draft:
    """Division by each power of two of a number that is negative and odd; then by 0, which r0 and r4 are not.

    r0 is 0 before, so that it cannot stand for the divisor.
    """
    bits = 32 if row.name.endswith("_K") or is_32_bit(row) else 64
    divisors = [1 << bit for bit in range(bits - 1)] + [-1 << bits - 1]
    asm = "r0 = 0\n"
    for place, divisor in enumerate([*divisors, 0]):
        asm += "r0 = 5\n" if not divisor else ""
        asm += f"r3 = {0x87654321A7654321:#x} ll\n"
        asm += f"r4 = {_number(row, divisor)} ll\n" if "src" in row.operands else "r4 = 6\n" if not divisor else ""
        asm += f"{line(row, dst='3', src='4', imm=str(divisor))}\n*(u64 *)(r1 + {8 * place}) = r3\n"
    what = f"division by {len(divisors)} powers of two and by 0, one after the other in memory"
    return _draft(row, "powers-of-two", what, asm, f"00*{8 * len(divisors) + 8}")


def _condition(row: Instruction) -> Draft:
    operands = [(value, 5) for value in _RARE]
    if "src" in row.operands:
        operands += [(5, value) for value in _RARE]
    asm = "r0 = 0\n"
    for dst, src in operands:
        asm += f"r3 = {_number(row, dst)} ll\n"
        asm += f"r4 = {_number(row, src)} ll\n" if "src" in row.operands else ""
        asm += f"r0 += r0\n{line(row, dst='3', src='4', imm='5', offset='+1')}\nr0 += 1\n"
    what = "numbers at the edges of widths: each bit of r0 is a condition that did not hold, the first is the highest"
    return Draft(f"{slug(row)}/edges", what, covers(row), {"all": {}}, f"{asm}exit\n")


def _single_bits(row: Instruction) -> Draft:
    asm = "r0 = 0\n"
    for bit in range(32):
        number = (1 << bit) - ((1 << 32) if bit == 31 else 0)
        asm += f"r3 = {1 << bit:#x} ll\nr0 += r0\n{line(row, dst='3', imm=str(number), offset='+1')}\nr0 += 1\n"
    what = "each bit alone, which is set: each bit of r0 is a jump that was not taken, the first is the highest"
    return Draft(f"{slug(row)}/single-bits", what, covers(row), {"all": {}}, f"{asm}exit\n")


def _to_themselves() -> Draft:
    """Distances of -1 lead to the jump itself, for ever if it were taken."""
    rows = [row for row in isa().instructions if row.section == "4.3" and "dst" in row.operands]
    asm = "r0 = 0\n"
    for row in rows:
        a, b = HOLDS[row.name.split("_", maxsplit=1)[0][:-2]][1]
        setting = f"r3 = {a}\n" + (f"r4 = {b}\n" if "src" in row.operands else "")
        asm += f"{setting}{line(row, dst='3', src='4', imm=str(b), offset='-1')}\nr0 += 1\n"
    what = "conditions that do not hold for jumps to themselves; r0 counts them"
    found = [*dict.fromkeys(jumps.covers(row)[0] for row in rows), "rfc9669-4.3-backward"]
    return Draft("jumps-to-themselves/not-taken", what, tuple(found), {"all": {}}, f"{asm}exit\n")


def _access(row: Instruction, base: str, value: str, offset: int) -> str:
    """Assembly of a load into, or store of, register ``value`` through register ``base``."""
    if memory.is_load(row):
        return line(row, dst=value, src=base, offset=str(offset))
    return line(row, dst=base, src=value, offset=str(offset), imm="305419896")


#: Bytes that differ in every place, with sign bits set and clear.
_PATTERN = "01 82 03 84 85 06 87 08 f9 fa fb fc 7d fe 7f f0 11 92 13 94 95 16 97 18"
_PATTERN_BYTES = 24


def _places(row: Instruction) -> Draft:
    asm = "r3 = r1\n"
    for place in range(8):
        asm += f"r4 = {VALUES[place]:#x} ll\n{_access(row, '3', '4', 0)}\n"
        if memory.is_load(row):
            asm += f"*(u64 *)(r1 + {_PATTERN_BYTES + 8 * place}) = r4\nr3 += 1\n"
        else:
            asm += "r3 += 17\n"
    content = f"{_PATTERN} 00*64" if memory.is_load(row) else "a5*136"
    draft = _draft(row, "places", "each address modulo 8; what comes of it is in memory", asm, content)
    if memory.width(row) == 1:
        return draft
    return replace(draft, level="interpretation", errata=("unaligned-access",))


def _stored(row: Instruction) -> Draft:
    width = memory.width(row)
    numbers = _edges(8 * width)
    asm = "".join(
        f"r4 = {value | (0x5A << 8 * width) % (1 << 64):#x} ll\n{_access(row, '1', '4', 0)}\n"
        f"r4 = *(u64 *)(r1 + 0)\n*(u64 *)(r1 + {8 + 8 * place}) = r4\n"
        for place, value in enumerate(numbers)
    )
    what = f"{len(numbers)} numbers at the edges of widths, one after the other in memory"
    return _draft(row, "edges", what, asm, f"a5*{8 + 8 * len(numbers)}")


def _atomic_sweep(row: Instruction, name: str, what: str, operands: list[tuple[int, int]]) -> Draft:
    """Each of ``operands`` is what memory holds, and the operand in r4.

    The operation is on what r1 points to, and R0 is what is there: CMPXCHG stores r4. Pairs of numbers go to memory:
    the datum and what was fetched.
    """
    dirty = 0x5A5A5A5A << 32 if bits(row) == 32 else 0
    fetched = "r0" if "r0" in row.writes else "r4"
    asm = ""
    for place, (datum, operand) in enumerate(operands):
        x, y = ((number & (1 << bits(row)) - 1) | dirty for number in (datum, operand))
        asm += f"r0 = {x:#x} ll\n*(u{bits(row)} *)(r1 + 0) = r0\nr4 = {y:#x} ll\n"
        asm += f"{line(row, dst='1', src='4', offset='0')}\n"
        asm += f"r5 = *(u64 *)(r1 + 0)\n*(u64 *)(r1 + {8 + 16 * place}) = r5\n"
        asm += f"*(u64 *)(r1 + {16 + 16 * place}) = {fetched}\n"
    return _draft(row, name, what, asm, f"00*{8 + 16 * len(operands)}")


def _atomic_values(row: Instruction) -> Draft:
    operands = [(VALUES[5], value) for value in _edges(bits(row))]
    operands += [(value, VALUES[4]) for value in (_edges(bits(row)) if "r0" in row.writes else _ENDS[bits(row)])]
    what = f"{len(operands)} pairs of numbers at the edges of widths: results, and what was fetched"
    return _atomic_sweep(row, "edges", what, operands)


def _exchanges(row: Instruction) -> Draft:
    ends = _ENDS[bits(row)]
    what = "each end of the range of numbers exchanged for each: results, and what was fetched"
    return _atomic_sweep(row, "ends", what, [(datum, operand) for datum in ends for operand in ends])


def _draft(row: Instruction, name: str, what: str, asm: str, content: str) -> Draft:
    """Return a vector whose results are in the memory at r1, at the beginning of which ``content`` is."""
    registers = "r0 = 0\nr1 = 0\nr3 = 0\nexit\n"
    return Draft(
        f"{slug(row)}/{name}", what, covers(row), {"all": {}}, f"{asm}{registers}", observe=("after",), memory=content
    )
