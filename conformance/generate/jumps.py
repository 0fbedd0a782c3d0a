# SPDX-License-Identifier: Apache-2.0
"""Conditional jumps (RFC 9669 section 4.3) over boundary operands, taken and not, forward and backward."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...spec.facts import Kind, facts
from ...spec.table import Instruction, isa
from .boundaries import IMMEDIATES, hexed, immediate_pairs, pairs
from .covers import covers
from .draft import Draft, line, slug

#: Operands for which a condition holds, and for which it does not.
HOLDS: Mapping[str, tuple[tuple[int, int], tuple[int, int]]] = {
    "==": ((5, 5), (6, 5)),
    "!=": ((6, 5), (5, 5)),
    "&": ((7, 5), (2, 5)),
    ">": ((-1, 5), (5, -1)),
    ">=": ((-1, 5), (5, -1)),
    "<": ((5, -1), (-1, 5)),
    "<=": ((5, -1), (-1, 5)),
    "s>": ((5, -1), (-1, 5)),
    "s>=": ((5, -1), (-1, 5)),
    "s<": ((-1, 5), (5, -1)),
    "s<=": ((-1, 5), (5, -1)),
}


def known_conditions() -> list[Instruction]:
    """Return the conditional jumps whose operation has operands in the tables of this package."""
    return [row for row in isa().instructions if facts(row).kind is Kind.CONDITION and facts(row).operation in HOLDS]


#: r0 is 1 if the jump is taken, 2 if it falls through.
_FORWARD = "{head}\nr0 = 3\n{jump}\nr0 = 2\nexit\nr0 = 4\nexit\ntaken:\nr0 = 1\nexit\n"
_BACKWARD = (
    "r0 = 3\ngoto start\nr0 = 4\nexit\ntaken:\nr0 = 1\nexit\nr0 = 5\nexit\nstart:\n{head}\n{jump}\nr0 = 2\nexit\n"
)
_BASE32 = "{head}\nw0 = 3\n{jump}\nw0 = 2\nexit\nw0 = 4\nexit\ntaken:\nw0 = 1\nexit\n"
_BASE32_NUMBERS = ("0", "1", "m1", "m3", "s32max", "s32min", "12345678")


def drafts() -> Iterator[Draft]:
    """Yield the vectors of all conditional jumps."""
    rows = [row for row in isa().instructions if facts(row).kind is Kind.CONDITION]
    for row in rows:
        yield _operands(row, "forward", _FORWARD)
        yield _operands(row, "backward", _BACKWARD)
        if facts(row).width == 32:
            yield _base32_only(row)


def _operands(row: Instruction, direction: str, program: str) -> Draft:
    head = "r3 = {dst} ll"
    chosen: dict[str, Mapping[str, str]] = {}
    if "src" in row.operands:
        head = f"r4 = {{src}} ll\n{head}"
        jump = line(row, dst="3", src="4", offset="taken")
        chosen = {name: {"dst": hexed(a), "src": hexed(b)} for name, a, b in pairs()}
    else:
        jump = line(row, dst="3", imm="{imm}", offset="taken")
        chosen = {name: {"dst": hexed(a), "imm": str(b)} for name, a, b in immediate_pairs()}
    if direction == "backward":
        kept = {f"{a}_{b}" for a in _FEW for b in _FEW_IMM}
        chosen = {name: values for name, values in chosen.items() if name in kept}
    asm = program.format(head=head, jump=jump)
    what = f"taken or not, {direction}, for pairs of boundary values"
    extra = ("rfc9669-4.3-backward",) if direction == "backward" else ()
    return Draft(f"{slug(row)}/{direction}", what, (*covers(row), *extra), chosen, asm)


_FEW = ("0", "m1", "s32min", "neg-pos")
_FEW_IMM = (*_FEW, "1")


def _base32_only(row: Instruction) -> Draft:
    numbers = {name: IMMEDIATES[name] for name in _BASE32_NUMBERS}
    hole = "src" if "src" in row.operands else "imm"
    head = "w3 = {dst}" + ("\nw4 = {src}" if hole == "src" else "")
    jump = line(row, dst="3", src="4", imm="{imm}", offset="taken")
    chosen = {f"{a}_{b}": {"dst": str(x), hole: str(y)} for a, x in numbers.items() for b, y in numbers.items()}
    what = "taken or not, in a program of 32-bit instructions only"
    return Draft(f"{slug(row)}/base32", what, covers(row), chosen, _BASE32.format(head=head, jump=jump))
