# SPDX-License-Identifier: Apache-2.0
"""Faults of compilers that simplify operations with special operands.

An operation with its identity element (adding 0, moving a register to itself) is omitted, although a 32-bit one clears
the upper half; a signed division by a power of two becomes a shift, which rounds differently.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...reference_vm.contexts.fields import Condition
from ...spec import tree as t
from ...spec.facts import Kind, facts
from ...spec.table import Instruction, Operand
from .build import DIVISIONS, SHIFTS, coerce, const
from .mutant import Mutant
from .statements import Means

_FAMILY = "shortcut"
#: Powers of two that a compiler would divide by with a shift.
_POWERS = (1, 2, 16, 30)


def shortcuts(row: Instruction) -> Iterator[Mutant]:
    """Yield mutants of ``row`` that simplify the operation for special operands."""
    match row.means:
        case (t.Assign(t.Register("dst") as dst, value),) if facts(row).kind in (Kind.ALU, Kind.SWAP):
            yield from _left_out(row, dst, value)
            for label, when, new in _shifted_division(row, value):
                yield Mutant(row, _FAMILY, label, (t.Assign(dst, new),), when)


def _left_out(row: Instruction, dst: t.Register, value: t.Expr) -> Iterator[Mutant]:
    low = coerce(t.U64, coerce(t.U32, value))
    kept = t.Binary("|", t.Binary("&", dst, const(-1 << 32, t.U64)), low)
    effects: tuple[tuple[str, Means], ...] = (
        ("does nothing", ()),
        ("keeps the upper half of dst", (t.Assign(dst, kept),)),
    )
    for label, means in effects:
        for when in _encodings(row):
            yield Mutant(row, _FAMILY, label, means, when)
    if "src" in row.reads:
        for number in (0, 1, -1):
            test = _source_is(value, number)
            means = (t.Assign(dst, t.Choose(test, dst, coerce(t.U64, value))),)
            yield Mutant(row, _FAMILY, f"does nothing if src comes to {number}", means)


def _encodings(row: Instruction) -> Iterator[tuple[Condition, ...]]:
    if isinstance(row.fields["src"], Operand):
        yield (Condition("dst", "==", "src"),)
    if isinstance(row.fields["imm"], Operand):
        for number in (0, 1, -1):
            yield (Condition("imm", "==", number),)
        for mask in (31, 63):
            yield (Condition("imm", "==", 0, mask=mask),)


def _source_is(value: t.Expr, number: int) -> t.Expr:
    """Return a test whether the operand src, as the row uses it, is ``number``."""
    for node in t.walk(value):
        if isinstance(node, t.Binary) and node.op in SHIFTS:
            return t.Compare("==", node.right, const(number & (node.left.type.bits - 1), node.right.type))
    for node in t.walk(value):
        if isinstance(node, t.Cast) and node.value == t.Register("src"):
            return t.Compare("==", node, const(number, node.type))
    return t.Compare("==", t.Register("src"), const(number, t.U64))


_Division = tuple[str, tuple[Condition, ...], t.Expr]


def _shifted_division(row: Instruction, value: t.Expr) -> Iterator[_Division]:
    for node in t.walk(value):
        if isinstance(node, t.Binary) and node.op in DIVISIONS:
            left, right = node.left, node.right
            for power in _POWERS:
                if node.op == "%":
                    continue  # This simplification is correct.
                if node.op in ("s/", "/"):
                    signed = coerce(t.Type(True, left.type.bits), left)
                    new: t.Expr = t.Binary("s>>", signed, const(power, left.type))
                else:
                    new = t.Binary("&", left, const((1 << power) - 1, left.type))
                result = coerce(value.type, coerce(t.Type(False, left.type.bits), new))
                label = f"{'shifts' if '/' in node.op else 'masks'} instead of dividing by {1 << power}"
                if "imm" in row.reads:
                    yield label, (Condition("imm", "==", 1 << power),), result
                else:
                    test = t.Compare("==", right, const(1 << power, right.type))
                    yield label, (), t.Choose(test, result, value)
