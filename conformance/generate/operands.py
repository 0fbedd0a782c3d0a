# SPDX-License-Identifier: Apache-2.0
"""Operands loaded from memory, in loops: their values are not known at compile time.

With constant operands a compiler may fold an operation, and not emit its code at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain

from ...spec.facts import DIVISIONS, SHIFTS, Kind, facts
from ...spec.table import Instruction, isa
from .covers import covering, covers
from .draft import Draft, line, slug
from .registers import END, stored

#: Double words that are boundary values in one byte order or in both.
_DATA = (
    "0000000000000000 ffffffffffffffff 0100000000000000 00000080ffffffff 0000000000000080 2100000001000000 "
    "f0debc9a78563412 070000f000000000 0200000000000000 1f00000000000000 2000000000000000"
)
_COUNT = len(_DATA.split())
_AREA = 8 * _COUNT
_IMMEDIATES = (0, 1, -1, 2, 127, -128, 128, 4096, 32768, 0x12345678, (1 << 31) - 1, -(1 << 31))
_AMOUNTS = (0, 1, 8, 31, 32, 33, 63)


def drafts() -> Iterator[Draft]:
    """Yield the vectors of arithmetic, byte swaps and conditional jumps."""
    rows = [row for row in isa().instructions if _computes(row)]
    division = [row for row in rows if {"divmul32", "divmul64"} & row.groups]
    yield _each_register("arithmetic", [row for row in rows if row not in division], _PAIRS)
    yield _each_register("division", division, _PAIRS)
    divisions = [row for row in division if facts(row).operation in DIVISIONS]
    yield _divided_by_0([row for row in divisions if "imm" in row.operands])
    by_registers = [row for row in divisions if "src" in row.operands]
    yield _divided_by_loaded_0("loaded-0", by_registers)
    yield from (_divided_by_loaded_0(slug(row), [row]) for row in by_registers)
    conditions = [row for row in isa().instructions if facts(row).kind is Kind.CONDITION]
    yield _each_register("conditions", [row for row in conditions if "src" in row.operands], _COMPARED)
    yield _each_register("conditions-k", [row for row in conditions if "imm" in row.operands], _COMPARED)
    for row in isa().instructions:
        if _computes(row) and ("src" in row.operands or "dst" in row.reads):
            yield _computation(row)
        elif row in conditions:
            yield _condition(row)


def _computes(row: Instruction) -> bool:
    return facts(row).kind in (Kind.ALU, Kind.SWAP)


def _immediates(row: Instruction) -> tuple[int, ...]:
    """Return the immediates of the program; one that is not used for rows without an immediate."""
    if "imm" not in row.operands:
        return (0,)
    if facts(row).operation in SHIFTS:
        return tuple(amount for amount in _AMOUNTS if amount < facts(row).width)
    # Linux rejects a division by the constant 0, which has a separate vector.
    return _IMMEDIATES[1:] if facts(row).operation in DIVISIONS else _IMMEDIATES


def _divided_by_0(rows: Sequence[Instruction]) -> Draft:
    """Numbers from memory divided by an immediate of 0."""
    asm, place = "", 2
    for row in rows:
        for number in range(2):
            asm += f"r3 = *(u64 *)(r1 + {8 * number})\n{line(row, dst='3', imm='0')}\n*(u64 *)(r1 + {8 * place}) = r3\n"
            place += 1
    found = ("rfc9669-4.1-div-by-zero", "rfc9669-4.1-mod-by-zero-64", "rfc9669-4.1-mod-by-zero-32")
    what = "numbers from memory divided by an immediate of 0: the results follow them there"
    memory = f"070000f0f0debc9a efcdab8967452301 00*{8 * (place - 2)}"
    asm += "r0 = 0\nr1 = 0\nr3 = 0\nexit\n"
    return Draft("divided-by-0/from-memory", what, found, asm=asm, observe=("after",), memory=memory)


_ABOUT_ZERO = re.compile("by-zero|zero-tests")
#: Dividends, the first of which is the divisor too: zero, some that are negative in either width, the smallest ones.
_DIVIDENDS = "0000000000000000 070000f0f0debc9a efcdab8967452301 0000000000000080 0000008000000080 ffffffffffffffff"


def _divided_by_loaded_0(name: str, rows: Sequence[Instruction]) -> Draft:
    """Numbers from memory divided by zeros from memory; of 32-bit operations also by those with an upper half."""
    numbers = len(_DIVIDENDS.split())
    zero, upper = "r4 = *(u64 *)(r1 + 0)\n", "r4 = *(u64 *)(r1 + 8)\nr4 <<= 32\n"
    asm, place = "", numbers
    for row in rows:
        for number in range(numbers):
            for divisor in (zero, upper) if facts(row).width == 32 else (zero,):
                asm += f"r3 = *(u64 *)(r1 + {8 * number})\n{divisor}"
                asm += f"{line(row, dst='3', src='4')}\n*(u64 *)(r1 + {8 * place}) = r3\n"
                place += 1
    found = filter(_ABOUT_ZERO.search, covering(rows, of_each=None))
    what = "numbers from memory divided by zeros from there: the results follow them; the program goes on"
    memory = f"{_DIVIDENDS} ff*{8 * (place - numbers)}"
    asm += "r0 = 77\nexit\n"
    return Draft(f"divided-by-0/{name}", what, tuple(found), asm=asm, observe=("r0", "after"), memory=memory)


def _loop(row: Instruction, body: str, step: int) -> str:
    """Run ``body`` for each number as dst, or for each pair; it leaves results ``step`` bytes long at r9."""
    pairs = "src" in row.operands
    asm = "r6 = r1\nr9 = r1\nr7 = 0\nouter:\n"
    if pairs:
        asm += "r8 = 0\ninner:\nr4 = r6\nr4 += r8\nr4 = *(u64 *)(r4 + 0)\n"
    asm += f"r5 = r6\nr5 += r7\n{body}r9 += {step}\n"
    if pairs:
        asm += f"r8 += 8\nif r8 != {_AREA} goto inner\n"
    return f"{asm}r7 += 8\nif r7 != {_AREA} goto outer\n" + END


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
    what = "operands from memory, in a loop; the result of each, or of each pair, follows them there"
    memory = f"{_DATA} 00*{_COUNT * size}"
    return Draft(f"{slug(row)}/from-memory", what, covers(row), asm=asm, observe=("after",), memory=memory)


#: Values of dst and src: the results of the second pair are negative 32-bit numbers if possible.
_PAIRS = ((0x10203048F0000083, 0xF0E0D0C0FFFFFF02), (0x5A6B7C8D7C000001, 0x0F1E2D3C80000003))
#: Pairs that compare differently with 32 and 64 bits, signed and unsigned.
_COMPARED = (
    (0x0000000200000005, 0x0000000180000001),
    (0xFFFFFFFFFFFFFFFB, 0xFFFFFFFFFFFFFFFD),
    (0x00000001FFFFFFFB, 0x00000002FFFFFFFB),
    (0x0000000100000002, 0x0000000100000001),
    (0xFFFFFFFFFFFFFFFD, 0xFFFFFFFFFFFFFFFB),
)


def _each_register(name: str, rows: Sequence[Instruction], pairs: Sequence[tuple[int, int]]) -> Draft:
    """All of ``rows`` in each register, with its neighbour, and some with themselves.

    The final dst is stored, and {u}, which depends on src and on whether a jump is taken. This is done for each pair of
    numbers. The addresses of a pair and of its results are on the stack, so that they need no register between two
    parts.
    """
    asm = f"*(u64 *)(r10 - 8) = r1\n*(u64 *)(r10 - 16) = r1\n{stored(chain(*pairs), 'r1')}"
    asm += "*(u64 *)(r10 - 24) = 0\nagain:\n"
    for place, row in enumerate(rows):
        result = 16 * len(pairs) + 16 * place
        asm += "r{t} = *(u64 *)(r10 - 8)\nr{s} = *(u64 *)(r{t} + 8)\nr{d} = *(u64 *)(r{t} + 0)\n"
        asm += f"r{{u}} = 1\n{line(row, dst='{d}', src='{s}', imm=str(_imm(row)), offset='+1')}\n"
        asm += "r{u} = 2\n" if facts(row).kind is Kind.CONDITION else ""
        asm += f"r{{t}} = *(u64 *)(r10 - 16)\n*(u64 *)(r{{t}} + {result}) = r{{d}}\n"
        asm += f"r{{u}} ^= r{{s}}\n*(u64 *)(r{{t}} + {result + 8}) = r{{u}}\n"
    for at, step in ((8, 16), (16, 16 * len(rows)), (24, 1)):
        asm += f"r{{t}} = *(u64 *)(r10 - {at})\nr{{t}} += {step}\n*(u64 *)(r10 - {at}) = r{{t}}\n"
    asm += f"if r{{t}} != {len(pairs)} goto again\n"
    asm += END
    cases = {}
    for n in range(10):
        others = {"t": str((n + 5) % 10), "u": str((n + 7) % 10)}
        cases[f"r{n}_r{(n + 1) % 10}"] = {"d": str(n), "s": str((n + 1) % 10), **others}
        if n in (0, 1, 4, 9) and any("src" in row.operands for row in rows):
            cases[f"r{n}_r{n}"] = {"d": str(n), "s": str(n), **others}
    found = covering(rows)
    what = f"{len(rows)} instructions in each register, alone and with others, on numbers from memory"
    return Draft(
        f"each-register/{name}",
        what,
        found,
        cases,
        asm,
        observe=("after",),
        memory=f"00*{16 * len(pairs) * (1 + len(rows))}",
        errata=("stack-and-call-depth",),
    )


def _imm(row: Instruction) -> int:
    """An immediate for all registers: an amount for shifts, otherwise between the numbers that are compared."""
    if facts(row).operation in SHIFTS:
        return 5
    return -0x1234567 if facts(row).kind is Kind.ALU else -5
