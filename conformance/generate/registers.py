# SPDX-License-Identifier: Apache-2.0
"""Every instruction with registers in every role: all registers hold distinct values before and are compared after.

JIT compilers map BPF registers to machine registers, and some machines require certain ones for shifts, multiplication,
division and atomic operations. Errors in saving and swapping them change other registers, or overwrite operands before
they are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ...spec.facts import Kind, facts
from ...spec.table import Instruction, isa
from . import jumps
from .boundaries import hexed
from .covers import covers
from .draft import Draft, line, slug

#: r0 to r9 at the start: distinct, both halves distinct, sign bits of either half set in some.
VALUES = (
    0x8090A0B0C0D0E0F0,
    0x1122334455667788,
    0xF1E2D3C4B5A69788,
    0x0F0E0D0C8B0A0908,
    0x00000003000001C7,
    0xFFFFFFFE7FFFFFFD,
    0x6666666699999999,
    0x2468ACE012345677,
    0xA1B2C3D4E5F60718,
    0x7777777700000009,
)
#: Their names.
ALL = tuple(f"r{n}" for n in range(10))
#: Bytes that differ in every place; what begins at the eighth has its sign bit set, in each width and byte order.
PATTERN = "01 82 03 84 85 06 87 08 f9 fa fb fc 7d fe 7f f0 11 92 13 94 95 16 97 18"
PATTERN_BYTES = 24
LONG_PATTERN = f"{PATTERN} 29 aa 2b ac ad 2e af 30"
#: The end of programs whose results are in memory.
END = "".join(f"r{n} = 0\n" for n in range(10)) + "exit\n"


def prologue(skip: tuple[int, ...] = ()) -> str:
    """Return assembly that gives each of r0 to r9, except ``skip``, its number of :data:`VALUES`."""
    return "".join(f"r{n} = {value:#x} ll\n" for n, value in enumerate(VALUES) if n not in skip)


def stored(numbers: Iterable[int], base: str) -> str:
    """Return assembly that stores 64-bit numbers one after the other at register ``base``; it uses r3."""
    return "".join(
        f"r3 = {number:#x} ll\n*(u64 *)({base} + {8 * place}) = r3\n" for place, number in enumerate(numbers)
    )


def drafts() -> Iterator[Draft]:
    """Yield the vectors of arithmetic, byte swaps, moves of constants and conditional jumps."""
    conditions = jumps.known_conditions()
    for row in isa().instructions:
        what = facts(row)
        if what.kind in (Kind.ALU, Kind.SWAP):
            yield _computation(row)
            if what.kind is Kind.ALU and what.width == 32 and what.operation not in ("move", "extend", None):
                yield _negative_result(row)
            if "src" in row.operands:
                yield _frame_pointer(row)
        elif row in conditions:
            yield _condition(row)
            if "src" in row.operands:
                yield _frame_pointer_condition(row)
        elif what.kind is Kind.JUMP:
            yield _jump(row)
    yield _wide_constant()


def _computation(row: Instruction) -> Draft:
    if "src" in row.operands:
        text = line(row, dst="{d}", src="{s}")
        cases: dict[str, Mapping[str, str]] = {
            f"r{d}_r{s}": {"d": str(d), "s": str(s)} for d in range(10) for s in range(10)
        }
        if facts(row).operation == "extend":
            # The source is negative in its width: otherwise sign- and zero-extension are the same.
            text = f"r{{s}} = {{value}} ll\n{text}"
            cases = {n: {**c, "value": f"{VALUES[int(c['s'])] | 0x80808080:#x}"} for n, c in cases.items()}
        what = "each pair of registers, dst = src among them; no other register changes"
        roles: tuple[str, ...] = ("rfc9669-3.1-dst-reg-range", "rfc9669-3.1-src-reg-range")
    else:
        text = line(row, dst="{d}", imm="{imm}")
        numbers = ("5", "-7", "305419896") if "imm" in row.operands else ("",)
        cases = {
            f"r{d}" + (f"_{'m' if n.startswith('-') else ''}{n.lstrip('-')}" if n else ""): {"d": str(d)}
            | ({"imm": n} if n else {})
            for d in range(10)
            for n in numbers
        }
        what = "each register; no other register changes"
        roles = ("rfc9669-3.1-dst-reg-range",)
    asm = f"{prologue()}{text}\nexit\n"
    return Draft(f"{slug(row)}/registers", what, (*covers(row), *roles), cases, asm, observe=ALL)


def _negative_result(row: Instruction) -> Draft:
    """A 32-bit result with its sign bit set, in each register: sign-extension would set the upper half."""
    name = facts(row).operation or ""
    number = {"/": 1, "s/": 1, "*": 1, "<<": 0, ">>": 0, "&": -7, "%": -7, "s%": -7}.get(name, 5)
    cases = {f"r{d}": {"d": str(d), "s": str((d + 3) % 10)} for d in range(10)}
    if "src" not in row.operands:
        cases = {name: {"d": values["d"]} for name, values in cases.items()}
    value = 0x5A5A5A5A10000001 if name == "negate" else 0x5A5A5A5AF0000001
    asm = f"{prologue()}r{{d}} = {value:#x} ll\n"
    if "src" in row.operands:
        asm += f"r{{s}} = {number}\n{line(row, dst='{d}', src='{s}')}\nexit\n"
    else:
        asm += f"{line(row, dst='{d}', imm=str(number))}\nexit\n"
    what = "each register, with a result that is negative as a 32-bit number"
    return Draft(f"{slug(row)}/negative", what, covers(row), cases, asm, observe=ALL)


def _frame_pointer(row: Instruction) -> Draft:
    """R10 as source gives the same result as a copy of it; the difference is 0 for each stack address."""
    cases = {f"r{d}": {"d": str(d), "e": str((d + 1) % 10), "f": str((d + 2) % 10)} for d in range(10)}
    asm = (
        f"{prologue()}r{{f}} = r10\nr{{d}} = {VALUES[3]:#x} ll\nr{{e}} = r{{d}}\n"
        f"{line(row, dst='{d}', src='10')}\n{line(row, dst='{e}', src='{f}')}\n"
        "r{d} -= r{e}\nr{e} = 0\nr{f} = 0\nexit\n"
    )
    found = (*covers(row), "rfc9669-3.1-src-reg-range")
    what = "r10 as source operand is the value of r10"
    return Draft(f"{slug(row)}/frame-pointer", what, found, cases, asm, observe=ALL)


#: A value for registers that are no operands; its upper half is not 0.
_WIDE = 0x12345A5A00000010
#: Operands of a condition, by operation: the value of dst, that of src or imm, and that of all other registers, to
#: which a number below ten is added. With another register in place of either operand, the outcome is the opposite.
#: Negative numbers are sign-extended to 64 bits; for 32-bit comparisons upper halves are set.
_ALONE: Mapping[str, tuple[tuple[int, int, int], ...]] = {
    "==": ((-77, -77, -99),),
    "!=": ((-77, -77, -99),),
    "&": ((1 << 30, 1 << 30, _WIDE), (-(1 << 31), -(1 << 31), 16)),
    ">": ((-1, -2, -99), (2, 1, 16)),
    ">=": ((-2, -2, -99), (1, 1, 16)),
    "<": ((-(1 << 31) - 1, -(1 << 31), -99), (-2, -1, -99)),
    "<=": ((-(1 << 31) - 1, -(1 << 31), -99), (-1, -1, -99)),
    "s>": ((-1, -2, -99), (-98, -99, 16)),
    "s>=": ((-2, -2, -99), (-99, -99, 16)),
    "s<": ((-99, -98, 16), (-2, -1, -99)),
    "s<=": ((-99, -99, 16), (-1, -1, -99)),
}


#: Operands by operation, of a 64-bit condition that holds and of one that does not. The upper halves decide, or the
#: sign of an immediate; if possible, the lower halves alone have the opposite outcome.
_HALVES: Mapping[str, tuple[tuple[int, int], tuple[int, int]]] = {
    "==": ((8, 8), (0x1234567800000008, 8)),
    "!=": ((0x1234567800000008, 8), (8, 8)),
    "&": ((0x1234567800000000, -8), (0x1234567800000005, 8)),
    ">": ((0x1234567800000005, 8), (0xFFFFFFFC, -8)),
    ">=": ((0x1234567800000005, 8), (0xFFFFFFFC, -8)),
    "<": ((0xFFFFFFFC, -8), (0x1234567800000005, 8)),
    "<=": ((0xFFFFFFFC, -8), (0x1234567800000005, 8)),
    "s>": ((5, -8), (0x8234567800000009, 8)),
    "s>=": ((5, -8), (0x8234567800000009, 8)),
    "s<": ((0x8234567800000009, 8), (5, -8)),
    "s<=": ((0x8234567800000009, 8), (5, -8)),
}


def _condition(row: Instruction) -> Draft:
    """Either operand in each register, where any other register would change the outcome; and false conditions."""
    name = str(facts(row).operation)
    has_src = "src" in row.operands
    cases: dict[str, Mapping[str, str]] = {}
    upper = (0x7B5A5A5A, 0x12345678) if "<" in name else (0x12345678, 0x7B5A5A5A)
    for index, (value, other, rest) in enumerate(_ALONE[name]):
        for dst in range(10):
            # Each register is paired with each other one, with one of the operand pairs.
            turn = [src for src in range(10) if src != dst and (dst + src) % len(_ALONE[name]) == index]
            for src in turn if has_src else [dst]:
                operands = {"d": str(dst), "dv": _dirty(row, value, upper[0])}
                operands |= {"s": str(src), "sv": _dirty(row, other, upper[1])} if has_src else {"imm": _as_imm(other)}
                label = f"r{dst}_r{src}" if has_src else f"r{dst}_{index}"
                cases[label] = operands | {"base": hexed(rest), "m": _marker(dst, src, has_src)}
    for n in range(10):
        for part, (value, other) in zip(("holds", "holds-not"), _halves(row, name), strict=True):
            away = (n + 3) % 10
            operands = {"d": str(n), "dv": hexed(value), "base": hexed(_WIDE), "m": _marker(n, away, has_src)}
            operands |= {"s": str(away), "sv": _dirty(row, other, 0x7B5A5A5A)} if has_src else {"imm": _as_imm(other)}
            cases[f"{part}-r{n}"] = operands
        if has_src:
            pair = {"d": str(n), "dv": hexed(5), "base": hexed(_WIDE), "m": _marker(n, n, has_src)}
            cases[f"same-r{n}"] = pair | {"s": str(n), "sv": hexed(5)}
    asm = "".join(f"r{n} = {{base}} ll\nr{n} += {n}\n" for n in range(10)) + "r{d} = {dv} ll\n"
    if has_src:
        asm += f"r{{s}} = {{sv}} ll\n{line(row, dst='{d}', src='{s}', offset='taken')}\n"
    else:
        asm += f"{line(row, dst='{d}', imm='{imm}', offset='taken')}\n"
    # A register that is not compared shows whether the jump was taken.
    asm += "r{m} += 32\ntaken:\nexit\n"
    what = "either operand in each register, where another register's value would decide otherwise; none changes"
    found = (*covers(row), "rfc9669-3.1-dst-reg-range")
    return Draft(f"{slug(row)}/registers", what, found, cases, asm, observe=ALL)


def _halves(row: Instruction, name: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the operands of :data:`_HALVES`, and others for equality of lower halves."""
    holds, not_so = _HALVES[name]
    if facts(row).width == 64 or name not in ("==", "!="):
        return holds, not_so
    equal, unequal = (0x1234567800000008, 8), (0x1234567800000005, 8)
    return (equal, unequal) if name == "==" else (unequal, equal)


def _dirty(row: Instruction, value: int, upper: int) -> str:
    """Return a 64-bit operand; for a 32-bit condition with an upper half that has the opposite outcome."""
    return hexed((value & 0xFFFFFFFF) | upper << 32 if facts(row).width == 32 else value)


def _as_imm(value: int) -> str:
    return str((value & 0xFFFFFFFF) - ((value & 0x80000000) << 1))


def _marker(dst: int, src: int, has_src: bool) -> str:
    """Return a register that is not compared."""
    return str(next(n for n in range(10) if n != dst and not (has_src and n == src)))


def _frame_pointer_condition(row: Instruction) -> Draft:
    """R10 compared with its value and with the numbers beside it, on either side; the other registers are 0 or -1.

    The value of r10 is not known: its lower half may be 0 or the smallest number, where adjacent numbers wrap around,
    and it may have any bits in common with them. So in 32 bits the other registers are also the ends of the range.
    """
    steps = {"below": -1, "at": 0, "above": 1}
    others = {"0": 0, "m1": -1}
    if facts(row).width == 32 or facts(row).operation == "&":
        steps = {"at": 0}
        others |= {"s32max": (1 << 31) - 1, "s32min": -(1 << 31)}
    elif facts(row).operation in ("==", "!="):
        steps["above-32-bits"] = 1 << 32
    cases = {
        f"{side}-{where}-{rest}": {"d": d, "s": s, "step": str(step), "rest": str(number)}
        for where, step in steps.items()
        for side, d, s in (("dst", "10", "3"), ("src", "3", "10"))
        for rest, number in others.items()
    }
    asm = (
        "r0 = {rest}\nr1 = {rest}\nr2 = {rest}\nr3 = r10\nr9 = {step} ll\nr3 += r9\nr9 = {rest}\n"
        f"{line(row, dst='{d}', src='{s}', offset='taken')}\nr0 = 2\nr3 = 0\nexit\ntaken:\nr0 = 1\nr3 = 0\nexit\n"
    )
    what = "r10 against a copy of it, and against the numbers beside it"
    return Draft(f"{slug(row)}/frame-pointer", what, covers(row), cases, asm)


def _jump(row: Instruction) -> Draft:
    """An unconditional jump: R0 is negative, all other registers differ from it and from 0."""
    asm = f"{prologue()}{line(row, offset='on', imm='on')}\nr9 = 9\nexit\non:\nexit\n"
    what = "no register changes"
    return Draft(f"{slug(row)}/registers", what, covers(row), asm=asm, observe=ALL)


def _wide_constant() -> Draft:
    row = isa().by_name["LD_IMM64"]
    cases = {f"r{d}": {"d": str(d)} for d in range(10)}
    asm = f"{prologue()}{line(row, dst='{d}', imm64='0x1fedcba987654321')}\nexit\n"
    found = ("rfc9669-5.4-imm64", "rfc9669-3.1-dst-reg-range", "rfc9669-3.2-two-immediates")
    what = "each register; no other register changes"
    return Draft("ld-imm64/registers", what, found, cases, asm, observe=ALL)
