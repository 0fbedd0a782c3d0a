# SPDX-License-Identifier: Apache-2.0
"""From a typed tree back to pseudocode: ``render(row.means)``, the inverse of :mod:`.pseudocode`.

``parse(render(means)) == means`` for every tree that the notation can express. Derived trees that it cannot express (a
register by number, operands of a signedness that the operator does not take) are rendered as well, for messages.
Implicit conversions are left out, as in the rows.
"""

from __future__ import annotations

from collections.abc import Iterable

from . import tree as t

#: Precedence of operators, lowest first; atoms and unary expressions have the highest.
_LEVELS = (
    ("|",), ("^",), ("&",), ("==", "!="), ("<", "<=", ">", ">=", "s<", "s<=", "s>", "s>="),
    ("<<", ">>", "s>>"), ("+", "-"), ("*", "/", "s/", "%", "s%"),
)  # fmt: skip
_CHOOSE = 0
_LEVEL = {op: level for level, ops in enumerate(_LEVELS, 1) for op in ops}
_UNARY = len(_LEVELS) + 1
_ATOM = _UNARY + 1


def render(means: Iterable[t.Stmt]) -> str:
    """Return the pseudocode of ``means``, its statements separated by semicolons."""
    return "; ".join(_statement(statement) for statement in means)


def render_expression(expression: t.Expr, wanted: t.Type | None = None) -> str:
    """Return the pseudocode of ``expression`` where a bare number has the type ``wanted``."""
    return _at(_CHOOSE, expression, wanted)


def _statement(statement: t.Stmt) -> str:
    match statement:
        case t.Assign(t.Register(name), value):
            return f"{name} = {_at(_CHOOSE, _without_zero_extension(value), t.U64)}"
        case t.Assign(t.Local(name), value):
            return f"{name} = {_at(_CHOOSE, value, None)}"
        case t.Store(kind, address, value):
            return f"{_pointer(kind, address)} = {_at(_CHOOSE, value, kind)}"
        case t.Jump(distance, None):
            return f"PC += {_distance(distance)}"
        case t.Jump(distance, condition) if condition is not None:
            return f"PC += {_distance(distance)} if {_at(_CHOOSE, condition, None)}"
        case t.CallHelper(by, number):
            return f"call {'helper_by_id' if by == 'static' else 'helper_by_btf_id'}({_at(_CHOOSE, number, None)})"
        case t.CallLocal(distance):
            return f"call PC += {_distance(distance)}"
        case t.Return():
            return "return"
        case t.Lock(body):
            return f"lock {{ {render(body)} }}"
    raise TypeError(f"no statement: {statement!r}")


def _at(level: int, expression: t.Expr, wanted: t.Type | None) -> str:
    """Render ``expression``, in parentheses if its precedence is below ``level``."""
    own, text = _expression(expression, wanted)
    return text if own >= level else f"({text})"


def _expression(expression: t.Expr, wanted: t.Type | None) -> tuple[int, str]:
    match expression:
        case t.Const(value, kind):
            return (_ATOM, str(value)) if kind == wanted else (_UNARY, f"({kind}){value}")
        case t.Register(name) | t.Field(name) | t.Local(name):
            return _ATOM, name
        case t.Cast(kind, value):
            return _UNARY, f"({kind}){_at(_UNARY, value, kind)}"
        case t.Negate(value):
            return _UNARY, f"-{_at(_UNARY, value, wanted)}"
        case t.Binary(op, left, right):
            level = _LEVEL[op]
            a, b = _pair(level, left, level + 1, right, wanted)
            return level, f"{a} {op} {b}"
        case t.Compare(op, left, right):
            level = _LEVEL[op]
            a, b = _pair(level, left, level + 1, right, None)
            return level, f"{a} {op} {b}"
        case t.Choose(condition, then, otherwise):
            a, b = _pair(_CHOOSE, then, _CHOOSE, otherwise, wanted)
            return _CHOOSE, f"{_at(_CHOOSE + 1, condition, None)} ? {a} : {b}"
        case t.Load(kind, address):
            return _UNARY, _pointer(kind, address)
        case t.Call(name, ()):
            return _ATOM, name
        case t.Call(name, args):
            kinds = _parameters(name)
            return _ATOM, f"{name}({', '.join(_at(_CHOOSE, a, k) for a, k in zip(args, kinds, strict=True))})"
    raise TypeError(f"no expression: {expression!r}")


def _pair(left_level: int, left: t.Expr, right_level: int, right: t.Expr, wanted: t.Type | None) -> tuple[str, str]:
    """Render two operands; a bare number takes the type of the other one."""
    for_left = right.type if isinstance(left, t.Const) and not isinstance(right, t.Const) else wanted
    return _at(left_level, left, for_left), _at(right_level, right, left.type)


def _pointer(kind: t.Type, address: t.Expr) -> str:
    level, text = _address(address)
    return f"*({kind} *){text if level >= _UNARY else f'({text})'}"


def _address(address: t.Expr) -> tuple[int, str]:
    """Render a sum of pointer arithmetic, where fields are sign-extended."""
    if isinstance(address, t.Binary) and address.op == "+":
        level = _LEVEL["+"]
        (left_level, left), (right_level, right) = _address(address.left), _address(address.right)
        left = left if left_level >= level else f"({left})"
        return level, f"{left} + {right if right_level > level else f'({right})'}"
    return _expression(_without_sign_extension(address), t.U64)


def _distance(distance: t.Expr) -> str:
    return _at(_CHOOSE, _without_sign_extension(distance), t.S64)


def _without_sign_extension(expression: t.Expr) -> t.Expr:
    match expression:
        case t.Cast(t.S64, t.Field() as field):
            return field
    return expression


def _without_zero_extension(expression: t.Expr) -> t.Expr:
    match expression:
        case t.Cast(t.U64, value) if not value.type.signed and t.BOOL.bits < value.type.bits < t.U64.bits:
            # A bare number would have 64 bits here.
            return expression if isinstance(value, t.Const | t.Choose) and _is_bare(value) else value
    return expression


def _is_bare(expression: t.Expr) -> bool:
    """Whether the type of the numbers in ``expression`` depends on the context only."""
    if isinstance(expression, t.Choose):
        return _is_bare(expression.then) and _is_bare(expression.otherwise)
    return isinstance(expression, t.Const) or (isinstance(expression, t.Negate) and _is_bare(expression.value))


def _parameters(name: str) -> tuple[t.Type, ...]:
    if name in t.BYTE_ORDER_FUNCTIONS:
        return (t.Type(False, t.BYTE_ORDER_FUNCTIONS[name]),)
    return t.PLATFORM_FUNCTIONS[name]
