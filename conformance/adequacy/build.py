# SPDX-License-Identifier: Apache-2.0
"""Constructors of well-typed trees, of which the mutation operators are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain, count
from typing import TypeAlias, TypeVar, cast

from ...spec import tree as t

Edit: TypeAlias = tuple[str, t.Expr]
NodeT = TypeVar("NodeT", bound=t.Node)

DIVISIONS = frozenset(["/", "s/", "%", "s%"])
SHIFTS = frozenset(["<<", ">>", "s>>"])


def const(value: int, kind: t.Type) -> t.Const:
    """Return the number ``value``, wrapped to the width of ``kind``."""
    return t.Const(value & kind.mask, kind)


def coerce(kind: t.Type, value: t.Expr) -> t.Expr:
    """Return ``value`` as a value of ``kind``: itself, or a cast of it."""
    return value if value.type == kind else t.Cast(kind, value)


def through(value: t.Expr, *kinds: t.Type) -> t.Expr:
    """Return ``value`` cast to each of ``kinds`` in turn, the first one first."""
    for kind in kinds:
        value = coerce(kind, value)
    return value


def both(condition: t.Expr, other: t.Expr) -> t.Expr:
    """Return the conjunction of two truth values."""
    return t.Choose(condition, other, falsehood())


def falsehood() -> t.Expr:
    """Return a comparison that never holds."""
    return t.Compare("!=", const(0, t.U32), const(0, t.U32))


def truth() -> t.Expr:
    """Return a comparison that always holds."""
    return t.Compare("==", const(0, t.U32), const(0, t.U32))


def complement(value: t.Expr) -> t.Expr:
    """Return ``value`` with every bit inverted."""
    return t.Binary("^", value, const(-1, value.type))


def negation(condition: t.Expr) -> t.Expr:
    """Return a condition that holds where ``condition`` does not."""
    opposite = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
    opposite |= {f"s{a}": f"s{b}" for a, b in opposite.items() if a not in ("==", "!=")}
    if isinstance(condition, t.Compare):
        return t.Compare(opposite[condition.op], condition.left, condition.right)
    return t.Choose(condition, falsehood(), truth())


def places(node: NodeT, change: Callable[[t.Expr], Iterator[Edit]]) -> Iterator[tuple[str, NodeT]]:
    """Yield copies of ``node`` with one expression below it changed, once for each change.

    ``change`` yields replacements, of the same type, for an expression.
    """
    for index, child in enumerate(t.children(node)):
        if isinstance(node, t.Assign) and child is node.target:
            continue
        edits: Iterator[tuple[str, t.Node]] = places(child, change)
        if not isinstance(child, _STATEMENTS):
            edits = chain(change(child), edits)
        for label, new in edits:
            yield label, _with_child(node, index, new)


_STATEMENTS = (t.Assign, t.Store, t.Jump, t.CallHelper, t.CallLocal, t.Return, t.Lock)


def _with_child(node: NodeT, index: int, new: t.Node) -> NodeT:
    number = count()
    return cast("NodeT", t.rebuild(node, lambda child: new if next(number) == index else child))


def in_statements(
    means: tuple[t.Stmt, ...], change: Callable[[t.Stmt], Iterator[tuple[str, tuple[t.Stmt, ...]]]]
) -> Iterator[tuple[str, tuple[t.Stmt, ...]]]:
    """Yield copies of ``means`` with one statement, also one within a lock, replaced by others."""
    for index, statement in enumerate(means):
        before, after = means[:index], means[index + 1 :]
        for label, new in change(statement):
            yield label, (*before, *new, *after)
        if isinstance(statement, t.Lock):
            for label, body in in_statements(statement.body, change):
                yield label, (*before, t.Lock(body), *after)


def renamed(node: NodeT, names: Mapping[str, t.Node]) -> NodeT:
    """Return ``node`` with the registers and fields in ``names`` replaced."""
    if isinstance(node, t.Register | t.Field) and node.name in names:
        return cast("NodeT", names[node.name])
    return cast("NodeT", t.rebuild(node, lambda child: renamed(child, names)))


def reversed_bytes(value: t.Expr) -> t.Expr:
    """Return ``value`` with its bytes in the opposite order, as an unsigned number."""
    kind = t.Type(False, value.type.bits)
    return t.Call(f"bswap{kind.bits}", (coerce(kind, value),), kind)


def total(node: NodeT) -> NodeT:
    """Return ``node`` with every division and shift defined for all operands.

    Rows guard divisors and mask shift amounts, mutants may not. The results of the bare operations are those of z3 and
    RISC-V for divisions: all ones for a division by zero, the dividend for a remainder. A shift by the width or more
    gives 0, or copies of the sign bit.
    """
    node = cast("NodeT", t.rebuild(node, total))
    if not isinstance(node, t.Binary):
        return node
    if node.op in DIVISIONS and not (isinstance(node.right, t.Const) and node.right.value):
        instead = node.left if "%" in node.op else const(-1, node.type)
        safe = t.Compare("!=", node.right, const(0, node.right.type))
        return cast("NodeT", t.Choose(safe, node, coerce(node.type, instead)))
    if node.op in SHIFTS and not _amount_fits(node.right, node.type.bits):
        unsigned = coerce(t.Type(False, node.right.type.bits), node.right)
        safe = t.Compare("<", unsigned, const(node.type.bits, unsigned.type))
        fill: t.Expr = const(0, node.type)
        if node.op == "s>>":
            fill = t.Binary("s>>", node.left, const(node.type.bits - 1, node.right.type))
        return cast("NodeT", t.Choose(safe, node, fill))
    return node


def _amount_fits(amount: t.Expr, width: int) -> bool:
    match amount:
        case t.Const(value):
            return value < width
        case t.Binary("&", left, right):
            return _amount_fits(left, width) or _amount_fits(right, width)
    return False
