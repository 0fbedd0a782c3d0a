# SPDX-License-Identifier: Apache-2.0
"""Constant folding: the value of an expression of which all leaves are constants or fields of the instruction."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Final

from . import tree as t
from .encoding import Decoded

#: Operators that do not depend on signedness.
FOLDED: Final[dict[str, Callable[[int, int], int]]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "&": operator.and_, "|": operator.or_,
    "^": operator.xor,
}  # fmt: skip


def fold(node: t.Expr, item: Decoded) -> int | None:
    """Return the bits of an expression, or None if it uses more than constants and the fields of ``item``."""
    match node:
        case t.Const(value, kind):
            return value & kind.mask
        case t.Field(name, kind):
            number: int = getattr(item, name)
            return number & kind.mask
        case t.Cast(kind, inner):
            bits = fold(inner, item)
            return None if bits is None else inner.type.wrap(bits) & kind.mask
        case t.Negate(inner):
            bits = fold(inner, item)
            return None if bits is None else -bits & inner.type.mask
        case t.Binary(op, left, right) if op in FOLDED:
            a, b = fold(left, item), fold(right, item)
            return None if a is None or b is None else FOLDED[op](a, b) & left.type.mask
        case t.Binary("<<" | ">>" | "s>>" as op, left, right):
            a, b = fold(left, item), fold(right, item)
            if a is None or b is None or b >= left.type.bits:
                return None
            signed = t.Type(op == "s>>", left.type.bits).wrap(a)
            return (a << b if op == "<<" else signed >> b) & left.type.mask
        case t.Call(name, (inner,), kind) if name.startswith("bswap"):
            bits = fold(inner, item)
            return None if bits is None else int.from_bytes(bits.to_bytes(kind.bits // 8, "little"), "big")
        case _:
            return None
