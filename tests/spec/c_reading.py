# SPDX-License-Identifier: Apache-2.0
"""The descriptions of RFC 9669, Appendix A, read as C.

Registers are ``u64``, ``imm`` and ``next_imm`` are ``s32``, ``offset`` is ``s16``, and C's usual arithmetic
conversions apply. Operators spelled with ``s`` convert their operands to signed ones of the same width. What is
undefined in C (division by zero, overflow of signed numbers, a shift by the width or more) is :class:`Undefined`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from lark import Lark, Token, Transformer, v_args

from bpf_isa.spec.tree import INTEGER_TYPES, S16, S32, S64, U32, U64, Type

from .operands import State, platform_address, swap_bytes

GRAMMAR = r"""
?start: statement | expression

?statement: NAME ASSIGN expression                        -> assign
          | "lock"? pointer ASSIGN expression             -> store
          | NAME ASSIGN ATOMIC "(" "(" TYPE "*" ")" "(" expression ")" "," [NAME ","] NAME ")" -> atomic
          | "goto" "+" NAME                               -> jump
          | "if" expression "goto" "+" NAME               -> branch
          | "call" "PC" "+=" NAME                         -> call_local
          | "call" "helper" "function" "by" KIND "ID"     -> call_helper
          | "return"                                      -> return_

?expression: any | any "?" expression ":" expression      -> choose
?any: all | any "||" all                                  -> either
?all: bit_or | all "&&" bit_or                            -> both
?bit_or: bit_xor | bit_or "|" bit_xor                     -> bit_or
?bit_xor: bit_and | bit_xor "^" bit_and                   -> bit_xor
?bit_and: equality | bit_and "&" equality                 -> bit_and
?equality: order | equality EQUALITY order                -> compare
?order: shift | order ORDER shift                         -> compare
?shift: sum | shift SHIFT sum                             -> shift
?sum: product | sum SUM product                           -> arithmetic
?product: unary | product PRODUCT unary                   -> arithmetic
?unary: "(" TYPE ")" unary                                -> cast
      | "-" unary                                         -> negate
      | pointer                                           -> load
      | NAME                                              -> name
      | NUMBER                                            -> number
      | NAME "(" expression ")"                           -> call
      | "(" expression ")"
pointer: "*" "(" TYPE "*" ")" unary

KIND: "static" | "BTF"
ATOMIC.4: /atomic_fetch_(add|or|and|xor)_(32|64)|(cmp)?xchg_(32|64)/
TYPE.3: /[us](8|16|32|64)\b/
ASSIGN.4: /[-+*|&^]=|(<<|s?>>)=|=(?!=)/
EQUALITY.4: /[=!]=/
ORDER.2: /s?[<>]=?/
SHIFT.3: /<<|s?>>/
SUM: "+" | "-"
PRODUCT.3: /\*|s?\/|s?%/
NUMBER: /0x[0-9a-f]+|[0-9]+/
NAME: /[a-z][a-z0-9_]*/

%import common.WS
%ignore WS
"""

VARIABLES = {"dst": U64, "src": U64, "r0": U64, "imm": S32, "next_imm": S32, "offset": S16}
OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "/": lambda a, b: abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1),
    "%": lambda a, b: abs(a) % abs(b) * (-1 if a < 0 else 1),
    "<<": operator.lshift,
    ">>": operator.rshift,
}


class Undefined(Exception):
    """C does not define the result."""


@dataclass(frozen=True)
class Expression:
    """A typed expression; ``value`` gives the number that it stands for in a state."""

    type: Type
    value: Callable[[State], int]


Statement: TypeAlias = Callable[[State], None]
Condition: TypeAlias = Callable[[State], bool]


def _converted(operand: Expression, kind: Type) -> Callable[[State], int]:
    value, wrap = operand.value, kind.wrap
    return value if operand.type == kind else lambda state: wrap(value(state))


def _promoted(kind: Type) -> Type:
    return S32 if kind.bits < 32 else kind


def _common(left: Expression, right: Expression) -> Type:
    """The type of the usual arithmetic conversions."""
    a, b = _promoted(left.type), _promoted(right.type)
    if a.bits != b.bits:
        return a if a.bits > b.bits else b
    return Type(a.signed and b.signed, a.bits)


def _defined(number: int, kind: Type) -> int:
    if kind.signed and kind.wrap(number) != number:
        raise Undefined(f"{number} overflows {kind}")
    return kind.wrap(number)


def _binary(left: Expression, op: str, right: Expression) -> Expression:
    if op in ("<<", ">>", "s>>"):
        return _shift(left, op, right)
    kind = _common(left, right)
    if op.startswith("s"):
        kind = Type(True, kind.bits)
    a, b, compute = _converted(left, kind), _converted(right, kind), OPERATIONS[op.removeprefix("s")]
    if op.removeprefix("s") in ("==", "!=", "<", "<=", ">", ">="):
        return Expression(S32, lambda state: int(compute(a(state), b(state))))

    def value(state: State) -> int:
        x, y = a(state), b(state)
        if y == 0 and op in ("/", "%", "s/", "s%"):
            raise Undefined("division by zero")
        if op.endswith("%"):
            _defined(OPERATIONS["/"](x, y), kind)
        return _defined(compute(x, y), kind)

    return Expression(kind, value)


def _shift(left: Expression, op: str, right: Expression) -> Expression:
    kind = Type(op == "s>>" or _promoted(left.type).signed, _promoted(left.type).bits)
    a, b, compute = _converted(left, kind), right.value, OPERATIONS[op.removeprefix("s")]

    def value(state: State) -> int:
        x, amount = a(state), b(state)
        if not 0 <= amount < kind.bits:
            raise Undefined(f"a shift by {amount}")
        return _defined(compute(x, amount), kind)

    return Expression(kind, value)


@v_args(inline=True)
class _Compiler(Transformer[Token, "Expression | Statement"]):
    """From the parse tree to functions of a state."""

    # Expressions

    def name(self, name: Token) -> Expression:
        return Expression(VARIABLES[name], operator.attrgetter(name))

    def number(self, text: Token) -> Expression:
        number = int(text, 0)
        candidates = (S32, U32, S64, U64) if text.startswith("0x") else (S32, S64)
        return Expression(next(kind for kind in candidates if kind.wrap(number) == number), lambda state: number)

    def cast(self, kind: Token, operand: Expression) -> Expression:
        return Expression(INTEGER_TYPES[kind], _converted(operand, INTEGER_TYPES[kind]))

    def negate(self, operand: Expression) -> Expression:
        return _binary(Expression(S32, lambda state: 0), "-", operand)

    def pointer(self, kind: Token, address: Expression) -> tuple[Type, Callable[[State], int]]:
        return INTEGER_TYPES[kind], _converted(address, U64)

    def load(self, pointer: tuple[Type, Callable[[State], int]]) -> Expression:
        kind, address = pointer
        return Expression(kind, lambda state: kind.wrap(state.load(address(state), kind.bits)))

    def call(self, name: Token, argument: Expression) -> Expression:
        if swap := re.fullmatch(r"(?:hto)?(le|be|bswap)(\d+)", name):
            function, kind = swap[1], Type(False, int(swap[2]))
            value = _converted(argument, kind)
            return Expression(kind, lambda state: swap_bytes(function, value(state), kind.bits, state.byte_order))
        return Expression(U64, lambda state: platform_address(name, argument.value(state)))

    def arithmetic(self, left: Expression, op: Token, right: Expression) -> Expression:
        return _binary(left, op, right)

    shift = compare = arithmetic

    def bit_or(self, left: Expression, right: Expression) -> Expression:
        return _binary(left, "|", right)

    def bit_xor(self, left: Expression, right: Expression) -> Expression:
        return _binary(left, "^", right)

    def bit_and(self, left: Expression, right: Expression) -> Expression:
        return _binary(left, "&", right)

    def both(self, left: Expression, right: Expression) -> Expression:
        return Expression(S32, lambda state: int(bool(left.value(state)) and bool(right.value(state))))

    def either(self, left: Expression, right: Expression) -> Expression:
        return Expression(S32, lambda state: int(bool(left.value(state)) or bool(right.value(state))))

    def choose(self, condition: Expression, then: Expression, otherwise: Expression) -> Expression:
        kind = _common(then, otherwise)
        a, b = _converted(then, kind), _converted(otherwise, kind)
        return Expression(kind, lambda state: a(state) if condition.value(state) else b(state))

    # Statements

    def assign(self, name: Token, op: Token, operand: Expression) -> Statement:
        before = self.name(name)
        value = _converted(operand if op == "=" else _binary(before, op.removesuffix("="), operand), before.type)
        return lambda state: setattr(state, name, value(state))

    def store(self, pointer: tuple[Type, Callable[[State], int]], op: Token, operand: Expression) -> Statement:
        kind, address = pointer
        value = (operand if op == "=" else _binary(self.load(pointer), op.removesuffix("="), operand)).value
        return lambda state: state.store(address(state), kind.bits, value(state))

    def atomic(
        self, result: Token, op: Token, function: Token, pointed: Token, address: Expression, *names: Token | None
    ) -> Statement:
        kind, (expected, name) = INTEGER_TYPES[pointed], names
        assert op == "=" and name is not None and function.endswith(f"_{kind.bits}")
        operation = {"add": "+", "or": "|", "and": "&", "xor": "^"}.get(function.split("_")[-2])

        def run(state: State) -> None:
            place, operand = _converted(address, U64)(state), kind.wrap(getattr(state, name))
            old = state.load(place, kind.bits)
            if expected is None or kind.wrap(getattr(state, expected)) == old:
                state.store(place, kind.bits, OPERATIONS[operation](old, operand) if operation else operand)
            setattr(state, result, old)

        return run

    def jump(self, distance: Token) -> Statement:
        return lambda state: setattr(state, "event", ("jump", getattr(state, distance)))

    def branch(self, condition: Expression, distance: Token) -> Statement:
        jump = self.jump(distance)
        return lambda state: jump(state) if condition.value(state) else None

    def call_local(self, distance: Token) -> Statement:
        return lambda state: setattr(state, "event", ("call local", getattr(state, distance)))

    def call_helper(self, kind: Token) -> Statement:
        return lambda state: setattr(state, "event", (f"call {kind.lower()}", state.imm))

    def return_(self) -> Statement:
        return lambda state: setattr(state, "event", ("return", 0))


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", transformer=_Compiler(), maybe_placeholders=True)


def read_description(text: str) -> Statement:
    """Return what a description of Appendix A does to a state; running it may raise :class:`Undefined`."""
    statement: object = _parser().parse(text)
    assert callable(statement), f"{text!r} does nothing"
    return statement


def read_condition(text: str) -> Condition:
    """Return the condition that a C expression states about operands."""
    expression: object = _parser().parse(text)
    assert isinstance(expression, Expression), f"{text!r} is no expression"
    return lambda state: bool(expression.value(state))
