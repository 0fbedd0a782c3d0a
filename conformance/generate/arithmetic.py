# SPDX-License-Identifier: Apache-2.0
"""Arithmetic (RFC 9669 section 4.1) over boundary operands, one vector per instruction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...spec.facts import DIVISIONS, SHIFTS, Kind, facts
from ...spec.table import Instruction, isa
from .boundaries import AMOUNTS, CORE, IMMEDIATES, edges, hexed, immediate_pairs, pairs, singles
from .covers import covers
from .draft import Draft, line, slug

#: Values that shifts move: each half and each end is set or clear in some of them.
_SHIFTED = ("1", "m1", "s64min", "2p31", "pos-neg", "neg-pos", "s64max")
#: Values that a 32-bit program can load with one instruction, sign bit set or clear.
_BASE32_VALUES = ("0", "1", "m1", "m3", "s32max", "s32min", "12345678")


def drafts() -> Iterator[Draft]:
    """Yield the vectors of all arithmetic instructions: 64-bit inputs first, then programs of base32 only."""
    rows = [row for row in isa().instructions if facts(row).kind is Kind.ALU]
    for row in rows:
        yield _shift_amounts(row) if facts(row).operation in SHIFTS else _with_wide_inputs(row)
    for row in rows:
        if row.groups & {"base32", "divmul32"}:
            yield _base32_only(row)


def _with_wide_inputs(row: Instruction) -> Draft:
    """All 64 bits of both operands are set, also if the operation uses 32 of them."""
    head = "r0 = {dst} ll\n"
    if "src" in row.operands:
        asm = f"r1 = {{src}} ll\n{head}{line(row, dst='0', src='1')}\nexit\n"
        chosen: Mapping[str, Mapping[str, str]]
        if facts(row).operation == "extend":
            chosen = {name: {"dst": hexed(~value), "src": hexed(value)} for name, value in singles()}
        else:
            chosen = {name: {"dst": hexed(a), "src": hexed(b)} for name, a, b in pairs()}
    elif "imm" in row.operands:
        asm = f"{head}{line(row, dst='0', imm='{imm}')}\nexit\n"
        chosen = {name: {"dst": hexed(a), "imm": str(b)} for name, a, b in immediate_pairs()}
    else:
        asm = f"{head}{line(row, dst='0')}\nexit\n"
        chosen = {name: {"dst": hexed(value)} for name, value in singles()}
    if facts(row).operation in DIVISIONS:
        chosen = {**chosen, **_powers(row)}
    return Draft(f"{slug(row)}/operands", "results for pairs of boundary values", covers(row), chosen, asm)


def _powers(row: Instruction) -> Mapping[str, Mapping[str, str]]:
    """Division by each power of two of a number that is negative and odd, at either width."""
    if "imm" in row.operands:
        divisors = {f"2p{bit}": str((1 << bit) - ((1 << 32) if bit == 31 else 0)) for bit in range(32)}
    else:
        divisors = {f"2p{bit}": hexed(1 << bit) for bit in range(facts(row).width)}
    hole = "imm" if "imm" in row.operands else "src"
    return {f"odd_{name}": {"dst": "0x87654321a7654321", hole: divisor} for name, divisor in divisors.items()}


def _shift_amounts(row: Instruction) -> Draft:
    """Every amount that a mask can leave, and amounts that need the mask."""
    values = {name: CORE[name] for name in _SHIFTED}
    requirement = f"rfc9669-4.1-shift-mask-{facts(row).width}", covers(row)[0]
    asm = f"r0 = {{dst}} ll\n{line(row, dst='0', src='1', imm='{imm}')}\nexit\n"
    amounts, hole = {f"by{n}": n for n in AMOUNTS}, "imm"
    if "src" in row.operands:
        asm, hole = f"r1 = {{src}} ll\n{asm}", "src"
        amounts |= {"2p32": 1 << 32, "2p32p1": (1 << 32) + 1, "2p63": 1 << 63}
    amounts |= {"m1": -1, "m32": -32, "m64": -64}
    chosen = {}
    for index, (amount_name, amount) in enumerate(amounts.items()):
        for step in (0, 2):
            name = _SHIFTED[(index + step) % len(_SHIFTED)]
            text = hexed(amount) if hole == "src" else str(amount)
            chosen[f"{amount_name}_{name}"] = {"dst": hexed(values[name]), hole: text}
    for value in edges(facts(row).width):
        chosen[f"by7_{value:x}"] = {"dst": hexed(value), hole: hexed(7) if hole == "src" else "7"}
    return Draft(f"{slug(row)}/amounts", "every shift amount, within the mask and beyond it", requirement, chosen, asm)


def _base32_only(row: Instruction) -> Draft:
    """Programs without any 64-bit instruction, for runtimes that have none."""
    numbers = {name: IMMEDIATES[name] for name in _BASE32_VALUES}
    hole = next((name for name in ("src", "imm") if name in row.operands), None)
    setting = "w1 = {src}\n" if hole == "src" else ""
    asm = f"w0 = {{dst}}\n{setting}{line(row, dst='0', src='1', imm='{imm}')}\nexit\n"
    chosen: dict[str, Mapping[str, str]] = {}
    for a, x in numbers.items():
        if hole is None:
            chosen[a] = {"dst": str(x)}
            continue
        for b, y in numbers.items():
            if hole == "src" or b != "s32max":
                chosen[f"{a}_{b}"] = {"dst": str(x), hole: str(y)}
    return Draft(f"{slug(row)}/base32", "results in a program of 32-bit instructions only", covers(row), chosen, asm)
