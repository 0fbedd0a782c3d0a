# SPDX-License-Identifier: Apache-2.0
"""Programs that execute one instruction many times, with other operand values or addresses each time.

The results are in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ...spec.facts import Kind, facts
from ...spec.table import Instruction, isa
from . import jumps, memory
from .boundaries import edges
from .covers import covering, covers
from .draft import Draft, line, slug
from .registers import PATTERN, PATTERN_BYTES, VALUES

#: Operands that are compared and exchanged: the ends of the ranges of numbers.
_ENDS = {32: (0, 1, -1, -(1 << 31), (1 << 31) - 1), 64: (0, 1, -1, -(1 << 63), (1 << 63) - 1)}


def drafts() -> Iterator[Draft]:
    """Yield the vectors of conditional jumps, loads, stores and CMPXCHG."""
    for row in isa().instructions:
        what = facts(row)
        if what.kind is Kind.CONDITION and what.operation == "&" and "imm" in row.operands:
            yield _single_bits(row)
        elif what.kind in (Kind.LOAD, Kind.STORE) and not what.locked:
            yield _places(row)
            if "src" in row.operands and what.kind is Kind.STORE:
                yield _stored(row)
        elif what.operation == "compare-exchange":
            yield _compared(row)
            yield _exchanges(row)
    yield _to_themselves()


def _single_bits(row: Instruction) -> Draft:
    asm = "r0 = 0\n"
    for bit in range(32):
        number = (1 << bit) - ((1 << 32) if bit == 31 else 0)
        asm += f"r3 = {1 << bit:#x} ll\nr0 += r0\n{line(row, dst='3', imm=str(number), offset='+1')}\nr0 += 1\n"
    what = "each bit alone, which is set: each bit of r0 is a jump that was not taken, the first is the highest"
    return Draft(f"{slug(row)}/single-bits", what, covers(row), asm=f"{asm}exit\n")


def _to_themselves() -> Draft:
    """Distances of -1 lead to the jump itself: an infinite loop if it were taken."""
    rows = jumps.known_conditions()
    asm = "r0 = 0\n"
    for row in rows:
        a, b = jumps.HOLDS[str(facts(row).operation)][1]
        setting = f"r3 = {a}\n" + (f"r4 = {b}\n" if "src" in row.operands else "")
        asm += f"{setting}{line(row, dst='3', src='4', imm=str(b), offset='-1')}\nr0 += 1\n"
    what = "conditions that do not hold for jumps to themselves; r0 counts them"
    found = covering(rows, "rfc9669-4.3-backward")
    name, program = "jumps-to-themselves/not-taken", f"{asm}exit\n"
    return Draft(name, what, tuple(found), asm=program, errata=("jump-to-itself",))


def _access(row: Instruction, base: str, value: str, offset: int) -> str:
    """Assembly of a load into, or store of, register ``value`` through register ``base``."""
    if memory.is_load(row):
        return line(row, dst=value, src=base, offset=str(offset))
    return line(row, dst=base, src=value, offset=str(offset), imm="305419896")


def _places(row: Instruction) -> Draft:
    asm = "r3 = r1\n"
    for place in range(8):
        asm += f"r4 = {VALUES[place]:#x} ll\n{_access(row, '3', '4', 0)}\n"
        if memory.is_load(row):
            asm += f"*(u64 *)(r1 + {PATTERN_BYTES + 8 * place}) = r4\nr3 += 1\n"
        else:
            asm += "r3 += 17\n"
    content = f"{PATTERN} 00*64" if memory.is_load(row) else "a5*136"
    draft = _draft(row, "places", "each address modulo 8; the result is in memory", asm, content)
    if facts(row).width == 8:
        return draft
    return replace(draft, errata=("unaligned-access",))


def _stored(row: Instruction) -> Draft:
    width = facts(row).width // 8
    numbers = list(dict.fromkeys(value & (1 << 8 * width) - 1 for value in edges(64)))
    asm = "".join(
        f"r4 = {value | (0x5A << 8 * width) % (1 << 64):#x} ll\n{_access(row, '1', '4', 0)}\n"
        f"r4 = *(u64 *)(r1 + 0)\n*(u64 *)(r1 + {8 + 8 * place}) = r4\n"
        for place, value in enumerate(numbers)
    )
    what = f"{len(numbers)} numbers at the edges of widths, one after the other in memory"
    return _draft(row, "edges", what, asm, f"a5*{8 + 8 * len(numbers)}")


def _exchange(row: Instruction, name: str, what: str, operands: list[tuple[int, int]]) -> Draft:
    """Each of ``operands`` is the value of memory and R0, and the value to be stored, in r4.

    The results are pairs in memory: the stored value, and R0.
    """
    dirty = 0x5A5A5A5A << 32 if facts(row).width == 32 else 0
    asm = ""
    for place, (datum, operand) in enumerate(operands):
        x, y = ((number & (1 << facts(row).width) - 1) | dirty for number in (datum, operand))
        asm += f"r0 = {x:#x} ll\n*(u{facts(row).width} *)(r1 + 0) = r0\nr4 = {y:#x} ll\n"
        asm += f"{line(row, dst='1', src='4', offset='0')}\n"
        asm += f"r5 = *(u64 *)(r1 + 0)\n*(u64 *)(r1 + {8 + 16 * place}) = r5\n"
        asm += f"*(u64 *)(r1 + {16 + 16 * place}) = r0\n"
    return _draft(row, name, what, asm, f"00*{8 + 16 * len(operands)}")


def _compared(row: Instruction) -> Draft:
    numbers = edges(facts(row).width)
    operands = [(VALUES[5], value) for value in numbers] + [(value, VALUES[4]) for value in numbers]
    what = f"{len(operands)} pairs of numbers at the edges of widths: what was stored, and R0"
    return _exchange(row, "edges", what, operands)


def _exchanges(row: Instruction) -> Draft:
    ends = _ENDS[facts(row).width]
    what = "each end of the range of numbers exchanged for each: what was stored, and R0"
    return _exchange(row, "ends", what, [(datum, operand) for datum in ends for operand in ends])


def _draft(row: Instruction, name: str, what: str, asm: str, content: str) -> Draft:
    """Return a vector whose results are in the memory at r1, which initially holds ``content``."""
    registers = "r0 = 0\nr1 = 0\nr3 = 0\nexit\n"
    return Draft(f"{slug(row)}/{name}", what, covers(row), asm=f"{asm}{registers}", observe=("after",), memory=content)
