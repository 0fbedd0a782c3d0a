# SPDX-License-Identifier: Apache-2.0
"""The operators of the pseudocode on bit-vectors, in forms that z3 solves quickly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import z3

from ...spec import tree as t

#: A z3 term. The solver's Python interface carries no types.
Term: TypeAlias = Any


def _ordered(operation: Callable[[Term, Term], Term], a: Term, b: Term) -> Term:
    """Return the same term for both orders of the operands."""
    return operation(a, b) if a.get_id() <= b.get_id() else operation(b, a)


def _narrow_operands(kind: int, a: Term, b: Term) -> tuple[Term, Term] | None:
    """Return the 32-bit operands if both 64-bit terms are extensions."""
    if all(x.size() == t.U64.bits and x.decl().kind() == kind and x.arg(0).size() == t.U32.bits for x in (a, b)):
        return a.arg(0), b.arg(0)
    return None


# Division is expensive for the solver, more so in greater widths. Extended operands are divided in their own width, and
# division by 1 is avoided.


def _unsigned(op: str, a: Term, b: Term) -> Term:
    narrow = _narrow_operands(z3.Z3_OP_ZERO_EXT, a, b)
    if narrow is None:
        return z3.If(b == 1, *((a, z3.UDiv(a, b)) if op == "/" else (0 * a, z3.URem(a, b))))
    if op == "%":
        return z3.ZeroExt(32, z3.URem(*narrow))
    return z3.If(b == 0, z3.BitVecVal(-1, 64), z3.ZeroExt(32, z3.UDiv(*narrow)))


def _signed(op: str, a: Term, b: Term) -> Term:
    if op == "s%":
        b = _without_sign(b)
    narrow = _narrow_operands(z3.Z3_OP_SIGN_EXT, a, b)
    if narrow is None:
        return z3.If(b == 1, *((a, a / b) if op == "s/" else (0 * a, z3.SRem(a, b))))
    if op == "s%":
        return z3.SignExt(32, z3.SRem(*narrow))
    overflow = z3.And(a == -(1 << 31), b == -1)
    return z3.If(z3.Or(overflow, b == 0), z3.If(b == 0, _by_zero(a), -a), z3.SignExt(32, narrow[0] / narrow[1]))


def _without_sign(divisor: Term) -> Term:
    """Return the divisor without a negation: remainders do not depend on its sign."""
    if divisor.decl().kind() == z3.Z3_OP_BNEG:
        return divisor.arg(0)
    if divisor.decl().kind() == z3.Z3_OP_SIGN_EXT and divisor.arg(0).decl().kind() == z3.Z3_OP_BNEG:
        inner = divisor.arg(0).arg(0)
        return z3.SignExt(divisor.size() - inner.size(), inner)
    return divisor


def _by_zero(dividend: Term) -> Term:
    """Return z3's result of a signed division by zero."""
    return z3.If(dividend < 0, z3.BitVecVal(1, 64), z3.BitVecVal(-1, 64))


#: By operator: a function of two terms.
OPERATIONS: dict[str, Any] = {
    "+": lambda a, b: _ordered(lambda x, y: x + y, a, b),
    "-": lambda a, b: a - b,
    "*": lambda a, b: _ordered(lambda x, y: x * y, a, b),
    "/": lambda a, b: _unsigned("/", a, b),
    "s/": lambda a, b: _signed("s/", a, b),
    "%": lambda a, b: _unsigned("%", a, b),
    "s%": lambda a, b: _signed("s%", a, b),
    "&": lambda a, b: _ordered(lambda x, y: x & y, a, b),
    "|": lambda a, b: _ordered(lambda x, y: x | y, a, b),
    "^": lambda a, b: _ordered(lambda x, y: x ^ y, a, b),
    "<<": lambda a, b: a << b,
    ">>": z3.LShR,
    "s>>": lambda a, b: a >> b,
    "==": lambda a, b: _ordered(lambda x, y: x == y, a, b),
    "!=": lambda a, b: _ordered(lambda x, y: x != y, a, b),
    "<": z3.ULT,
    "<=": z3.ULE,
    ">": z3.UGT,
    ">=": z3.UGE,
    "s<": lambda a, b: a < b,
    "s<=": lambda a, b: a <= b,
    "s>": lambda a, b: a > b,
    "s>=": lambda a, b: a >= b,
}
