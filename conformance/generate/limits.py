# SPDX-License-Identifier: Apache-2.0
"""Immediates, 64-bit constants and offsets at all limits of what machines encode.

Machines have fields of 5 to 26 bits, signed or not, build constants of pieces that are sign-extended, and encode bit
masks (``reference_vm/contexts/fields.py``). A program has one instruction with all these numbers, and adds up results
in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import cycle, product

from ...reference_vm.contexts.fields import LIMITS, numbers
from ...spec.facts import DIVISIONS, SHIFTS, Kind, facts
from ...spec.table import FIELD_RANGES, Instruction, isa
from .acts import Roles, rows_of_kinds
from .covers import covering
from .draft import Draft, line, slug
from .registers import END, VALUES
from .situations import mix

_MASK64 = (1 << 64) - 1
#: Constants whose lower part has a sign bit, which makes the upper part one less, and constants without a lower part.
_BUILT = tuple(sign * number for number in (0x12340000, 0x12345000, 0x12345800, 0x12348000) for sign in (1, -1))
_NUMBERS = (*sorted(numbers(*FIELD_RANGES["imm"])), *_BUILT)
_LEAST, _GREATEST = FIELD_RANGES["imm"]
#: The limits themselves, without the numbers beside them.
_LIMITS = tuple(n for n in _NUMBERS if str(n) in LIMITS or n in (_LEAST, _GREATEST, 0x7FFF0000, 0x7FFFF800, *_BUILT))
#: Values of the other operand: sums and differences carry into the upper half with the first ones, or do not.
_VALUES = (0xA5A5A5A5FFFFFFFF, 0x5122334400000000, 0x1122334455667788, 0x8123456700000001, 0x6543210F80000010)
_DIVIDENDS = (0xFFFFFFFFFFFFFFFF, 0x7EDCBA9880000000, 0x7EDCBA98FFFFFFFF, 0xFEDCBA9876543210)
#: After so many numbers, the sum of results is stored.
_STORED_AFTER = 8
#: What is done with a number for the other operand of a condition: bits that are inverted, and what is added then.
_DIFFERENCES = (
    *((0, by) for by in (0, -1, 1)),
    *((bit, by) for bit in (1 << 63, 1 << 32) for by in (-1, 1)),
    *((bits, 0) for bits in (1 << 32, 1 << 31, 0xFFFFFFFF, _MASK64)),
)
_REGISTERS = ("3", "0", "8")
#: The end of programs that leave no address in a register but r1.
_NARROW_END = "w0 = 0\nexit\n"


def drafts() -> Iterator[Draft]:
    """Yield the vectors of arithmetic, conditions, stores, constants and offsets."""
    with_imm = [row for row in isa().instructions if "imm" in row.operands and not row.wide]
    computing = [row for row in with_imm if facts(row).kind is Kind.ALU]
    divisions = [row for row in computing if facts(row).operation in DIVISIONS]
    shifts = [row for row in computing if facts(row).operation in SHIFTS]
    others = [row for row in computing if row not in divisions and row not in shifts]
    yield _arithmetic("plain", others, _NUMBERS, _VALUES)
    # Linux refuses to divide by the immediate 0, and to shift by the width or more.
    yield _arithmetic("divisions", divisions, [n for n in _NUMBERS if n], _DIVIDENDS)
    for width in (32, 64):
        rows = [row for row in shifts if facts(row).width == width]
        yield _arithmetic(f"shifts{width}", rows, range(width), _VALUES)
        yield _arithmetic(f"shifts{width}-beyond", rows, [n for n in _LIMITS if not 0 <= n < width], _VALUES)
    yield _narrow_arithmetic([row for row in others if row.groups == {"base32"}])
    conditions = [row for row in with_imm if facts(row).kind is Kind.CONDITION]
    yield _conditions(conditions, 64)
    yield _conditions([row for row in conditions if row.groups == {"base32"}], 32)
    yield from (_stores(row) for row in with_imm if facts(row).kind is Kind.STORE)
    yield _constants()
    yield _offsets()


def _before(row: Instruction, **operands: str) -> str:
    """Return the assembly of an instruction up to its ``@``."""
    return line(row, **operands).partition("@")[0]


def _added_up(parts: Sequence[str], store: Callable[[int], str]) -> str:
    """Return ``parts`` with a store behind each :data:`_STORED_AFTER`."""
    groups = range(0, len(parts), _STORED_AFTER)
    return "".join("".join(parts[at : at + _STORED_AFTER]) + store(n) for n, at in enumerate(groups))


def _draft(
    name: str, rows: Sequence[Instruction], what: str, asm: str, memory: str, cases: Mapping[str, Mapping[str, str]]
) -> Draft:
    return Draft(f"limits/{name}", what, covering(rows), cases, asm, observe=("after",), memory=memory)


def _zeros(parts: Sequence[object], size: int) -> str:
    return f"00*{size * -(-len(parts) // _STORED_AFTER)}"


def _big_endian(numbers: Iterable[int], size: int) -> str:
    return " ".join((number & (1 << 8 * size) - 1).to_bytes(size, "big").hex() for number in numbers)


# Arithmetic


def _arithmetic(name: str, rows: Sequence[Instruction], imms: Sequence[int], values: Sequence[int]) -> Draft:
    """Each number with each value, in one of three registers; the values come from memory."""
    head = 8 * len(values)
    parts = _computing(imms, Roles())
    asm = "r6 = r1\nr9 = r1\nr7 = 0\nr2 = 0\nagain:\nr4 = *(u64 *)(r9 + 0)\nr4 = be64 r4\n"
    asm += _added_up(parts, lambda n: f"*(u64 *)(r6 + {head + 8 * n}) = r7\n")
    # Without this, a wrong bit of one iteration may be cancelled by that of another.
    asm += "r3 = r7\nr3 >>= 7\nr7 ^= r3\nr3 = r7\nr3 <<= 3\nr7 += r3\n"
    asm += f"r9 += 8\nr2 += 1\nif r2 != {len(values)} goto again\n{END}"
    what = f"{len(parts)} immediates with {len(values)} numbers each"
    return _draft(name, rows, what, asm, f"{_big_endian(values, 8)} {_zeros(parts, 8)}", _arithmetic_cases(rows))


def _narrow_arithmetic(rows: Sequence[Instruction]) -> Draft:
    """The same with one value, in base32."""
    roles = Roles(bits=32)
    parts = _computing(_LIMITS, roles)
    asm = "w7 = 0\nr4 = *(u32 *)(r1 + 0)\nr4 = be32 r4\n"
    asm += _added_up(parts, lambda n: f"*(u32 *)(r1 + {4 + 4 * n}) = r7\n") + _NARROW_END
    what = f"{len(parts)} immediates in a program of 32-bit instructions"
    memory = f"{_big_endian(_VALUES[:1], 4)} {_zeros(parts, 4)}"
    return _draft("base32", rows, what, asm, memory, _arithmetic_cases(rows))


def _computing(imms: Sequence[int], roles: Roles) -> list[str]:
    r = "r" if roles.bits == 64 else "w"
    return [
        f"{r}{register} = {r}4\n{{a{register}}}{number}\n{mix(roles._replace(dst=register), '7')}"
        for number, register in zip(imms, cycle(_REGISTERS))
    ]


def _arithmetic_cases(rows: Sequence[Instruction]) -> dict[str, dict[str, str]]:
    return {slug(row): {f"a{n}": _before(row, dst=n, imm="@") for n in _REGISTERS} for row in rows}


# Conditions


def _conditions(rows: Sequence[Instruction], bits: int) -> Draft:
    """Each number with its neighbours; a bit of each sum is a jump that was not taken."""
    is_wide, mask = bits == 64, (1 << bits) - 1
    r, suffix = ("r", " ll") if is_wide else ("w", "")
    parts = [
        f"{r}3 = {number & mask:#x}{suffix}\n{r}3 ^= {r}4\n{r}3 += {r}5\n{{a}}{number} goto +1\n"
        f"{r}7 += {1 << place % _STORED_AFTER}\n"
        for place, number in enumerate(_LIMITS)
    ]
    asm = f"{r}7 = 0\n{r}2 = 0\nagain:\n"
    iterations = dict.fromkeys((inverted & mask, by) for inverted, by in _DIFFERENCES)
    for number, (inverted, by) in enumerate(iterations):
        asm += f"{r}4 = {inverted:#x}{suffix}\n{r}5 = {by}\n"
        asm += f"if {r}2 == {number} goto chosen\n" if number + 1 < len(iterations) else "chosen:\n"
    size = bits // 8
    asm += _added_up(parts, lambda n: f"{r}3 = {r}7\n{r}3 <<= 3\n{r}7 += {r}3\n*(u{bits} *)(r1 + {size * n}) = r7\n")
    asm += f"{r}2 += 1\nif {r}2 != {len(iterations)} goto again\n{END if is_wide else _NARROW_END}"
    what = f"{len(parts)} immediates with {len(iterations)} numbers each"
    cases = {slug(row): {"a": _before(row, dst="3", imm="@", offset="+1")} for row in rows}
    return _draft(f"conditions{bits}", rows, what, asm, _zeros(parts, size), cases)


# Stores, and 64-bit constants


def _stores(row: Instruction) -> Draft:
    size = facts(row).width // 8
    asm = "".join(
        f"{line(row, dst='1', imm=str(number), offset=str(2 * size * place))}\n"
        for place, number in enumerate(_NUMBERS)
    )
    what = f"{len(_NUMBERS)} immediates in memory, with other bytes between them"
    return _draft(slug(row), [row], what, asm + _NARROW_END, f"a5*{2 * size * len(_NUMBERS)}", {"all": {}})


#: Parts of 64-bit constants that have their own instruction on Arm, MIPS and POWER (16 bits), and on LoongArch (12 and
#: 20 bits): nothing, all ones, the sign bit, and all others.
_PIECES = ((16, 16, 16, 16), (12, 20, 20, 12))


def _wide_numbers() -> Iterator[int]:
    for number in _LIMITS:
        yield from (
            number & _MASK64,
            (number & 0xFFFFFFFF) << 32 | 0x01234567,
            (number & 0xFFFFFFFF) | 0x89ABCDEF << 32,
        )
    for widths in _PIECES:
        for pieces in product(*((0, (1 << width) - 1, 1 << width - 1, (1 << width - 1) - 1) for width in widths)):
            number = 0
            for width, piece in zip(widths, pieces, strict=True):
                number = number << width | piece
            yield number


def _constants() -> Draft:
    (row,) = rows_of_kinds(Kind.CONSTANT)
    parts = [
        f"{line(row, dst=register, imm64=hex(number))}\n{mix(Roles(dst=register), '7')}"
        for number, register in zip(dict.fromkeys(_wide_numbers()), cycle(_REGISTERS))
    ]
    asm = "r6 = r1\nr7 = 0\n" + _added_up(parts, lambda n: f"*(u64 *)(r6 + {8 * n}) = r7\n") + END
    return _draft(slug(row), [row], f"{len(parts)} constants", asm, _zeros(parts, 8), {"all": {}})


# Offsets

_OFFSETS = [n for n in sorted(numbers(*FIELD_RANGES["offset"])) if str(n) in LIMITS or n in FIELD_RANGES["offset"]]
_WORDS = 4


def _offsets() -> Draft:
    """Each offset leads to one of four words, from a base register that is moved against it.

    All numbers there, of any width and byte order, are negative. Each instruction is executed twice: CMPXCHG with the
    number that is there, and with another one.
    """
    rows = rows_of_kinds(Kind.LOAD, Kind.STORE, Kind.ATOMIC)
    parts = []
    for place, offset in enumerate(_OFFSETS):
        at = 8 * (place % _WORDS)
        word, act = f"*(u64 *)(r6 + {at})", f"{{a}}{offset}{{z}}\n{{settle}}\n"
        parts.append(
            f"r0 = r7\nr0 |= r9\n{word} = r0\nr3 = r0\nr3 >>= 1\nr3 |= r9\nr5 = r6\nr5 += {at - offset}\n{act}"
            f"r7 += r0\nr7 += r3\nr0 += 1\n{act}r3 += r0\n{mix(Roles(), '7')}r5 = {word}\nr7 += r5\n"
        )
    asm = f"r6 = r1\nr7 = {VALUES[7]:#x} ll\nr9 = 0x8080808080808080 ll\n"
    asm += _added_up(parts, lambda n: f"*(u64 *)(r6 + {8 * (_WORDS + n)}) = r7\n") + END
    cases = {}
    for row in rows:
        base, value = ("5", "3") if facts(row).kind is not Kind.LOAD else ("3", "5")
        before, _, after = line(row, dst=base, src=value, offset="@", imm="305419896").partition("@")
        # The operand of CMPXCHG is not specified afterwards.
        settle = "r3 = r9" if facts(row).operation == "compare-exchange" else "r3 += r7"
        cases[slug(row)] = {"a": before, "z": after, "settle": settle}
    memory = f"00*{8 * _WORDS} {_zeros(parts, 8)}"
    return _draft("offsets", rows, f"{len(parts)} offsets, to four words in memory", asm, memory, cases)
