# SPDX-License-Identifier: Apache-2.0
"""Operands that are read from memory, in loops: no compiler knows them, so that what it does at run time is tested.

Where a program has its operands as constants, a compiler may compute the results itself and never emit the code that
other programs get.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...spec.table import Instruction, isa
from .arithmetic import is_32_bit, operation, slug
from .draft import Draft, line
from .surroundings import covers

#: Double words whose bytes make numbers at the edges of widths in one byte order or the other, or in both.
_DATA = (
    "0000000000000000 ffffffffffffffff 0100000000000000 00000080ffffffff 0000000000000080 2100000001000000 "
    "f0debc9a78563412 070000f000000000"
)
_COUNT = len(_DATA.split())
_AREA = 8 * _COUNT
_IMMEDIATES = (1, -1, 2, 127, -128, 128, 4096, 32768, 0x12345678, (1 << 31) - 1, -(1 << 31))
_AMOUNTS = (0, 1, 8, 31, 32, 33, 63)


def drafts() -> Iterator[Draft]:
    """Yield the vectors of arithmetic, byte swaps and conditional jumps."""
    for row in isa().instructions:
        if row.section in ("4.1", "4.2") and ("src" in row.operands or "dst" in row.reads):
            yield _computation(row)
        elif row.section == "4.3" and "dst" in row.operands:
            yield _condition(row)


def _immediates(row: Instruction) -> tuple[int, ...]:
    """The immediates that stand in the program; one that is not used where there is none."""
    if "imm" not in row.operands:
        return (0,)
    if operation(row) in ("LSH", "RSH", "ARSH"):
        return tuple(amount for amount in _AMOUNTS if amount < (32 if is_32_bit(row) else 64))
    return _IMMEDIATES


def _loop(row: Instruction, body: str, step: int) -> str:
    """Run ``body`` for each number as dst, or for each pair; it leaves results ``step`` bytes long at r9."""
    pairs = "src" in row.operands
    asm = "r6 = r1\nr9 = r1\nr7 = 0\nouter:\n"
    if pairs:
        asm += "r8 = 0\ninner:\nr4 = r6\nr4 += r8\nr4 = *(u64 *)(r4 + 0)\n"
    asm += f"r5 = r6\nr5 += r7\n{body}r9 += {step}\n"
    if pairs:
        asm += f"r8 += 8\nif r8 != {_AREA} goto inner\n"
    return f"{asm}r7 += 8\nif r7 != {_AREA} goto outer\n" + "".join(f"r{n} = 0\n" for n in range(10)) + "exit\n"


def _computation(row: Instruction) -> Draft:
    body, numbers = "", _immediates(row)
    for place, number in enumerate(numbers):
        body += f"r3 = *(u64 *)(r5 + 0)\n{line(row, dst='3', src='4', imm=str(number))}\n"
        body += f"*(u64 *)(r9 + {_AREA + 8 * place}) = r3\n"
    return _draft(row, _loop(row, body, 8 * len(numbers)), 8 * len(numbers))


def _condition(row: Instruction) -> Draft:
    body, numbers = "r3 = *(u64 *)(r5 + 0)\n", _immediates(row)
    for place, number in enumerate(numbers):
        body += f"r0 = 1\n{line(row, dst='3', src='4', imm=str(number), offset='+1')}\nr0 = 2\n"
        body += f"*(u8 *)(r9 + {_AREA + place}) = r0\n"
    return _draft(row, _loop(row, body, len(numbers)), len(numbers))


def _draft(row: Instruction, asm: str, size: int) -> Draft:
    size *= _COUNT if "src" in row.operands else 1
    what = "operands from memory, in a loop; what comes of each, or of each pair, follows them there"
    memory = f"{_DATA} 00*{_COUNT * size}"
    return Draft(f"{slug(row)}/from-memory", what, covers(row), {"all": {}}, asm, observe=("after",), memory=memory)
