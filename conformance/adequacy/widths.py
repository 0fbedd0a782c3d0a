# SPDX-License-Identifier: Apache-2.0
"""Faults in the width of a whole operation: 32-bit instructions computed with 64 bits and 64-bit ones with 32 bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Literal, TypeAlias

from ...spec import tree as t
from .build import SHIFTS, Edit, coerce, const, through

Reach: TypeAlias = Literal["whole", "zero", "sign"]
_REACHES: dict[Reach, str] = {"whole": "all of", "zero": "zero-extended", "sign": "sign-extended"}


def widths(value: t.Expr) -> Iterator[Edit]:
    """Yield other widths for ``value``, which a statement assigns to a register."""
    if isinstance(value, t.Cast) and value.value.type.bits < value.type.bits:
        yield from _widened(value.value)
        yield from results(value.value)
    elif value.type.bits == t.U64.bits:
        yield from _narrowed_operation(value)
        yield from results(coerce(t.U32, value))


def results(narrow: t.Expr) -> Iterator[Edit]:
    """Yield faulty ways to put a value of less than 64 bits into a register: all but zero-extension of u32."""
    bits = narrow.type.bits
    unsigned = coerce(t.Type(False, bits), narrow)
    upper = const(-1 << bits, t.U64)
    yield f"zero-extends the result from {bits} bits", coerce(t.U64, unsigned)
    yield f"sign-extends the result from {bits} bits", through(narrow, t.Type(True, bits), t.S64)
    kept = t.Binary("&", t.Register("dst"), upper)
    yield f"keeps the bits of dst above {bits}", t.Binary("|", kept, coerce(t.U64, unsigned))
    yield f"sets the bits of the result above {bits}", t.Binary("|", upper, coerce(t.U64, unsigned))


def _widened(value: t.Expr) -> Iterator[Edit]:
    """Yield a narrow operation computed with 64 bits, with whole or extended operands, truncated or not."""
    names = sorted(t.reads(value))
    for choice in product(_REACHES, repeat=len(names)):
        reach = dict(zip(names, choice, strict=True))
        wide = _wide(value, reach.__getitem__)
        if wide is None:
            return
        words = ", ".join(f"{_REACHES[way]} {name}" for name, way in reach.items())
        yield f"operates on 64 bits ({words})", wide
        yield f"operates on 64 bits ({words}) and truncates", through(wide, t.Type(False, value.type.bits), t.U64)


def _wide(value: t.Expr, reach: Callable[[str], Reach]) -> t.Expr | None:
    """Return ``value`` computed on 64 bits; None if a node has no wider form."""
    signed = value.type.signed
    kind = t.S64 if signed else t.U64
    match value:
        case t.Cast(t.Type(bits=bits), t.Register(name) as register):
            return _reached(register, reach(name), bits)
        case t.Field(name) if name == "imm":
            return _reached(coerce(t.S64, value), "sign" if reach(name) == "whole" else reach(name), 32)
        case t.Cast(_, inner) if inner.type.bits <= value.type.bits:
            return _wide(inner, reach)
        case t.Const(number, old):
            return const(old.wrap(number), kind)
        case t.Negate(inner):
            wide = _wide(inner, reach)
            return None if wide is None else t.Negate(wide)
        case t.Binary(op, left, right):
            a = _wide(left, reach)
            b = coerce(t.U64, coerce(t.U32, right)) if op in SHIFTS else _wide(right, reach)
            return None if a is None or b is None else t.Binary(op, coerce(kind, a), coerce(kind, b))
        case t.Choose(condition, then, otherwise):
            c, a, b = _wide_condition(condition, reach), _wide(then, reach), _wide(otherwise, reach)
            return None if a is None or b is None else t.Choose(c, coerce(kind, a), coerce(kind, b))
    return None


def _wide_condition(condition: t.Expr, reach: Callable[[str], Reach]) -> t.Expr:
    if isinstance(condition, t.Compare):
        a, b = _wide(condition.left, reach), _wide(condition.right, reach)
        if a is not None and b is not None:
            return t.Compare(condition.op, a, coerce(a.type, b))
    return condition


def _reached(value: t.Expr, reach: Reach, bits: int) -> t.Expr:
    if reach == "whole":
        return value
    signed = reach == "sign"
    return through(value, t.Type(signed, bits), t.Type(signed, 64))


def _narrowed_operation(value: t.Expr) -> Iterator[Edit]:
    """Yield a 64-bit operation computed with 32 bits, as in the ALU class."""
    narrow = _narrow(value)
    if narrow is not None:
        for label, result in results(narrow):
            yield f"operates on 32 bits and {label}", result


def _narrow(value: t.Expr) -> t.Expr | None:
    match value:
        case t.Register():
            return t.Cast(t.U32, value)
        case t.Const(number, kind):
            return const(number, t.Type(kind.signed, 32))
        case t.Cast(t.Type(signed=signed), inner):
            low = inner if inner.type.bits <= t.U32.bits else _narrow(inner)
            return None if low is None else coerce(t.Type(signed, 32), low)
        case t.Negate(inner):
            low = _narrow(inner)
            return None if low is None else t.Negate(low)
        case t.Binary(op, left, right):
            a, b = _narrow(left), _narrow(right)
            return None if a is None or b is None else t.Binary(op, a, b)
        case t.Choose(t.Compare(op, left, right), then, otherwise):
            sides = [_narrow(side) if side.type.bits == t.U64.bits else side for side in (left, right)]
            arms = [_narrow(arm) for arm in (then, otherwise)]
            if None in sides or None in arms:
                return None
            (a, b), (c, d) = sides, arms
            assert a and b and c and d
            return t.Choose(t.Compare(op, a, b), c, coerce(c.type, d))
    return None
