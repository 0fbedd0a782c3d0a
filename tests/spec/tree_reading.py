# SPDX-License-Identifier: Apache-2.0
"""The typed tree of a row's ``means``, run on a state: written for the tests, from the words of ``spec/tree.py``."""

from __future__ import annotations

from bpf_isa.spec import tree as t

from .operands import State, platform_address, swap_bytes

Locals = dict[str, int]


def run(statements: tuple[t.Stmt, ...], state: State) -> None:
    """Run the statements of a row on ``state``."""
    _run(statements, state, {})


def _run(statements: tuple[t.Stmt, ...], state: State, names: Locals) -> None:
    for statement in statements:
        match statement:
            case t.Assign(t.Register(name), value):
                setattr(state, name, _bits(value, state, names))
            case t.Assign(t.Local(name), value):
                names[name] = _bits(value, state, names)
            case t.Store(kind, address, value):
                state.store(_bits(address, state, names), kind.bits, _bits(value, state, names))
            case t.Jump(distance, condition):
                if condition is None or _bits(condition, state, names):
                    state.event = ("jump", _signed(distance, state, names))
            case t.CallHelper(by, number):
                state.event = (f"call {by}", _signed(number, state, names))
            case t.CallLocal(distance):
                state.event = ("call local", _signed(distance, state, names))
            case t.Return():
                state.event = ("return", 0)
            case t.Lock(body):
                _run(body, state, names)


def _bits(node: t.Expr, state: State, names: Locals) -> int:
    """Return the value of an expression as an unsigned pattern of the bits of its type."""
    match node:
        case t.Const(value, kind):
            return value & kind.mask
        case t.Register(name, kind):
            pattern: int = getattr(state, name)
            return pattern
        case t.Field(name, kind):
            operand: int = getattr(state, name)
            return operand & kind.mask
        case t.Local(name, _):
            return names[name]
        case t.Cast(kind, value):
            return value.type.wrap(_bits(value, state, names)) & kind.mask
        case t.Negate(value):
            return -_bits(value, state, names) & node.type.mask
        case t.Binary(op, left, right):
            return _binary(op, left.type.bits, _bits(left, state, names), _bits(right, state, names))
        case t.Compare(op, left, right):
            return int(_compare(op, left.type.bits, _bits(left, state, names), _bits(right, state, names)))
        case t.Choose(condition, then, otherwise):
            return _bits(then if _bits(condition, state, names) else otherwise, state, names)
        case t.Load(kind, address):
            return state.load(_bits(address, state, names), kind.bits)
        case t.Call(name, args, kind):
            if name in t.BYTE_ORDER_FUNCTIONS:
                family = name.rstrip("0123456789")
                return swap_bytes(family, _bits(args[0], state, names), kind.bits, state.byte_order)
            return platform_address(name, *(arg.type.wrap(_bits(arg, state, names)) for arg in args))


def _signed(node: t.Expr, state: State, names: Locals) -> int:
    return t.Type(True, node.type.bits).wrap(_bits(node, state, names))


def _binary(op: str, bits: int, x: int, y: int) -> int:
    signed, unsigned = t.Type(True, bits), t.Type(False, bits)
    match op:
        case "+":
            result = x + y
        case "-":
            result = x - y
        case "*":
            result = x * y
        case "/":
            result = x // y
        case "%":
            result = x % y
        case "s/" | "s%":
            a, b = signed.wrap(x), signed.wrap(y)
            quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
            result = quotient if op == "s/" else a - b * quotient
        case "&":
            result = x & y
        case "|":
            result = x | y
        case "^":
            result = x ^ y
        case "<<":
            assert y < bits, "an unmasked shift"
            result = x << y
        case ">>":
            assert y < bits, "an unmasked shift"
            result = x >> y
        case "s>>":
            assert y < bits, "an unmasked shift"
            result = signed.wrap(x) >> y
        case _:
            raise AssertionError(op)
    return unsigned.wrap(result)


def _compare(op: str, bits: int, x: int, y: int) -> bool:
    if op.startswith("s"):
        signed = t.Type(True, bits)
        return _compare(op.removeprefix("s"), bits, signed.wrap(x), signed.wrap(y))
    match op:
        case "==":
            return x == y
        case "!=":
            return x != y
        case "<":
            return x < y
        case "<=":
            return x <= y
        case ">":
            return x > y
        case ">=":
            return x >= y
    raise AssertionError(op)
