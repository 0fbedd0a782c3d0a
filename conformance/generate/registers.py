# SPDX-License-Identifier: Apache-2.0
"""Every instruction with registers in every role: all registers hold distinct values before and are compared after.

JITs map BPF registers to those of a machine that wants certain ones for shifts, multiplication, division and atomic
operations; where a mapping saves, swaps or forgets one of them, a register changes that should not, or an operand is
read after it was overwritten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...spec.table import Instruction, isa
from . import arithmetic, jumps
from .arithmetic import is_32_bit, operation, slug
from .draft import Draft, line

#: r0 to r9 at the start: distinct, both halves distinct, sign bits of either half set in some.
VALUES = (
    0x8090A0B0C0D0E0F0,
    0x1122334455667788,
    0xF1E2D3C4B5A69788,
    0x0F0E0D0C8B0A0908,
    0x00000003000001C7,
    0xFFFFFFFE7FFFFFFD,
    0x6666666699999999,
    0x0000000012345677,
    0xA1B2C3D4E5F60718,
    0x7777777700000009,
)
#: Rows whose operands machines want in certain registers: every pair is tried.
_SPECIAL = frozenset(["MUL", "DIV", "SDIV", "MOD", "SMOD", "LSH", "RSH", "ARSH"])
_ALL = tuple(f"r{n}" for n in range(10))


def prologue(skip: tuple[int, ...] = ()) -> str:
    """Return assembly that gives each of r0 to r9, except ``skip``, its number of :data:`VALUES`."""
    return "".join(f"r{n} = {value:#x} ll\n" for n, value in enumerate(VALUES) if n not in skip)


def drafts() -> Iterator[Draft]:
    """Yield the vectors of arithmetic, byte swaps, moves of constants and conditional jumps."""
    for row in isa().instructions:
        if row.section in ("4.1", "4.2"):
            yield _computation(row)
            if "src" in row.operands:
                yield _frame_pointer(row)
        elif row.section == "4.3" and "dst" in row.operands:
            yield _condition(row)
            if "src" in row.operands and not is_32_bit(row):
                yield _frame_pointer_condition(row)
    yield _wide_constant()


def pairs_of(row: Instruction) -> list[tuple[int, int]]:
    """Return the (dst, src) pairs to try with a row of two registers, dst in r0..r9 and src in r0..r9."""
    everything = [(dst, src) for dst in range(10) for src in range(10)]
    if operation(row) in _SPECIAL:
        return everything
    # Each register with itself, with its neighbours and with r0 and r5, in both roles.
    return [(d, s) for d, s in everything if d == s or (d - s) % 10 in (1, 9, 4) or 0 in (d, s) or d + s == 9]


def _computation(row: Instruction) -> Draft:
    section = "4.1" if row.section == "4.1" else "4.2"
    covers = arithmetic.covers(row) if section == "4.1" else byte_swap_covers(row)
    if "src" in row.operands:
        text = line(row, dst="{d}", src="{s}")
        cases: dict[str, Mapping[str, str]] = {f"r{d}_r{s}": {"d": str(d), "s": str(s)} for d, s in pairs_of(row)}
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
    return Draft(f"{slug(row)}/registers", what, (*covers, *roles), cases, asm, observe=_ALL)


def byte_swap_covers(row: Instruction) -> tuple[str, ...]:
    """Return the requirements of a byte swap row."""
    name = row.name.lower()
    found = [f"rfc9669-2.2-{name}", f"rfc9669-4.2-{name}", "rfc9669-4.2-dst-only", "rfc9669-4.2-end-width"]
    if not row.name.endswith("64"):
        found.append("rfc9669-4.2-end-zero-extends")
    found.append("rfc9669-4.2-bswap-unconditional" if name.startswith("bswap") else "rfc9669-4.2-source-selects-order")
    return tuple(found)


def _frame_pointer(row: Instruction) -> Draft:
    """R10 as source gives the same as a copy of it; the difference is 0 wherever the stack lies."""
    cases = {f"r{d}": {"d": str(d), "e": str((d + 1) % 10), "f": str((d + 2) % 10)} for d in range(10)}
    asm = (
        f"{prologue()}r{{f}} = r10\nr{{d}} = {VALUES[3]:#x} ll\nr{{e}} = r{{d}}\n"
        f"{line(row, dst='{d}', src='10')}\n{line(row, dst='{e}', src='{f}')}\n"
        "r{d} -= r{e}\nr{e} = 0\nr{f} = 0\nexit\n"
    )
    covers = (*arithmetic.covers(row), "rfc9669-3.1-src-reg-range")
    what = "r10 as source operand is the value of r10"
    return Draft(f"{slug(row)}/frame-pointer", what, covers, cases, asm, observe=_ALL)


def _condition(row: Instruction) -> Draft:
    covers = jumps.covers(row)
    cases: dict[str, Mapping[str, str]] = {}
    if "src" in row.operands:
        text = line(row, dst="{d}", src="{s}", offset="taken")
        for d in range(10):
            for s in range(10):
                if d == s or (d - s) % 10 in (1, 9, 4) or 0 in (d, s):
                    cases[f"r{d}_r{s}"] = {"d": str(d), "s": str(s)}
        what = "each register on either side; no register changes"
    else:
        text = line(row, dst="{d}", imm="{imm}", offset="taken")
        for d in range(10):
            same = VALUES[d] & 0xFFFFFFFF
            same -= (same >> 31) << 32
            for name, number in (("low-half", same), ("m1", -1)):
                cases[f"r{d}_{name}"] = {"d": str(d), "imm": str(number)}
        what = "each register; no register changes"
    # Which way control went must show without disturbing what is compared: a fall-through adds 1 to r9, or to r0
    # where r9 takes part.
    asm = f"{prologue()}{text}\nr{{m}} += 1\ntaken:\nexit\n"
    marked = {
        name: {**values, "m": "0" if "9" in (values["d"], values.get("s")) else "9"} for name, values in cases.items()
    }
    roles = ("rfc9669-3.1-dst-reg-range",)
    return Draft(f"{slug(row)}/registers", what, (*covers, *roles), marked, asm, observe=_ALL)


def _frame_pointer_condition(row: Instruction) -> Draft:
    """R10 compared with a copy of itself, on either side."""
    cases = {
        f"{side}-r{n}": {"d": d, "s": s, "n": n}
        for n in ("0", "1", "9")
        for side, d, s in (("dst", "10", n), ("src", n, "10"))
    }
    asm = f"r{{n}} = r10\n{line(row, dst='{d}', src='{s}', offset='taken')}\nr0 = 2\nexit\ntaken:\nr0 = 1\nexit\n"
    what = "r10 equals a copy of itself"
    return Draft(f"{slug(row)}/frame-pointer", what, jumps.covers(row), cases, asm)


def _wide_constant() -> Draft:
    row = isa().by_name["LD_IMM64"]
    cases = {f"r{d}": {"d": str(d)} for d in range(10)}
    asm = f"{prologue()}{line(row, dst='{d}', imm64='0x1fedcba987654321')}\nexit\n"
    covers = ("rfc9669-5.4-imm64", "rfc9669-3.1-dst-reg-range", "rfc9669-3.2-two-immediates")
    what = "each register; no other register changes"
    return Draft("ld-imm64/registers", what, covers, cases, asm, observe=_ALL)
