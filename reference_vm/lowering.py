# SPDX-License-Identifier: Apache-2.0
"""From the typed tree of a row's meaning to Python source.

:class:`Lowering` lowers operators, casts and memory accesses; subclasses lower registers, fields and control flow, for
a function of one row (:mod:`.rows`) or code for many instructions (:mod:`.units`).

A value of ``type.bits`` bits is a Python integer that is congruent to it; a :class:`Term` has the interval of that
integer. Masks and sign extensions are emitted only where they are needed and the interval does not show that they have
no effect. A term with one possible value is a constant, so constant operands are folded.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final

from ..spec import tree as t
from ..spec.encoding import ByteOrder
from .faults import FaultKind, Trap


@dataclass(frozen=True, slots=True)
class Term:
    """Source of an expression, usable as an operand without parentheses, and the interval of its value."""

    text: str
    low: int
    high: int

    @property
    def known(self) -> bool:
        """Whether there is one possible value."""
        return self.low == self.high


TRUE, FALSE = Term("True", 1, 1), Term("False", 0, 0)


def number(value: int) -> Term:
    """Return the term of a number."""
    return Term(str(value) if value >= 0 else f"({value})", value, value)


def unsigned(term: Term, bits: int) -> Term:
    """Return the unsigned number of ``bits`` bits that is congruent to ``term``."""
    mask = (1 << bits) - 1
    if term.known:
        return number(term.low & mask)
    if term.low >= 0 and term.high <= mask:
        return term
    return Term(f"({term.text} & {mask:#x})", 0, mask)


def signed(term: Term, bits: int) -> Term:
    """Return the signed number of ``bits`` bits that is congruent to ``term``."""
    limit = 1 << (bits - 1)
    if -limit <= term.low and term.high < limit:
        return term
    bare = unsigned(term, bits)
    if bare.known:
        return number((bare.low ^ limit) - limit)
    if bare.high < limit:
        return bare
    return Term(f"(({bare.text} ^ {limit:#x}) - {limit:#x})", -limit, limit - 1)


class Lowering(ABC):
    """Lowers the statements of a row. The source uses the names in SUPPORT."""

    def __init__(self, byte_order: ByteOrder) -> None:
        self.byte_order = byte_order
        self.locals: dict[str, Term] = {}
        self._nonzero: list[t.Expr] = []

    # Implemented by subclasses

    @abstractmethod
    def register(self, name: t.RegisterName) -> Term:
        """Return the term that reads a register."""

    @abstractmethod
    def assign(self, name: t.RegisterName, value: Term) -> list[str]:
        """Return the lines that write ``value``, from 0 to 2**64 - 1, to a register."""

    @abstractmethod
    def field(self, field: t.Field) -> Term:
        """Return the term of a field of the instruction."""

    @abstractmethod
    def platform(self, name: str, args: list[Term]) -> Term:
        """Return the term of a platform function, one of :data:`.tree.PLATFORM_FUNCTIONS`."""

    @abstractmethod
    def load(self, size: int, address: Term) -> str:
        """Return the source that reads ``size`` bytes as an unsigned number."""

    @abstractmethod
    def store(self, size: int, address: Term, value: Term) -> list[str]:
        """Return the lines that write ``size`` bytes."""

    @abstractmethod
    def jump(self, distance: Term, condition: Term | None) -> list[str]:
        """Return the lines of a jump."""

    @abstractmethod
    def call_helper(self, by: str, helper: Term) -> list[str]:
        """Return the lines that call a helper function and write its result to R0."""

    @abstractmethod
    def call_local(self, distance: Term) -> list[str]:
        """Return the lines of a local call."""

    @abstractmethod
    def leave(self) -> list[str]:
        """Return the lines that return from a function."""

    # Statements

    def lines(self, statements: tuple[t.Stmt, ...]) -> list[str]:
        """Return the source of a row's meaning."""
        return [line for statement in statements for line in self.statement(statement)]

    def statement(self, node: t.Stmt) -> list[str]:
        """Return the source of one statement."""
        match node:
            case t.Assign(t.Register(name), value):
                return self.assign(name, unsigned(self.lower(value), 64))
            case t.Assign(target, value):
                term = self._canonical(value)
                bound = Term(f"v_{target.name}", term.low, term.high)
                self.locals[target.name] = bound
                return [f"{bound.text} = {term.text}"]
            case t.Store(kind, address, value):
                term = unsigned(self.lower(value), kind.bits)
                return self.store(kind.bits // 8, unsigned(self.lower(address), 64), term)
            case t.Jump(distance, condition):
                test = None if condition is None else self.lower(condition)
                return self.jump(self._canonical(distance), test)
            case t.CallHelper(by, helper):
                return self.call_helper(by, self._canonical(helper))
            case t.CallLocal(distance):
                return self.call_local(self._canonical(distance))
            case t.Return():
                return self.leave()
            case t.Lock(body):
                # A machine runs in one thread and shares its memory with no other.
                return self.lines(body)

    # Expressions

    def lower(self, node: t.Expr) -> Term:
        """Return the term of an expression, congruent to its value modulo 2**node.type.bits."""
        match node:
            case t.Const(value):
                return number(value)
            case t.Register(name):
                return self.register(name)
            case t.Field():
                return self.field(node)
            case t.Local(name):
                return self.locals[name]
            case t.Cast(kind, value):
                return self._canonical(value) if kind.bits > value.type.bits else self.lower(value)
            case t.Negate(value):
                term = self.lower(value)
                return number(-term.low) if term.known else Term(f"(-{term.text})", -term.high, -term.low)
            case t.Binary(op, left, right):
                return self._binary(op, left, right)
            case t.Compare(op, left, right):
                return self._compare(op, left, right)
            case t.Choose(condition, then, otherwise):
                return self._choose(condition, then, otherwise)
            case t.Load(kind, address):
                return Term(self.load(kind.bits // 8, unsigned(self.lower(address), 64)), 0, kind.mask)
            case t.Call(name, args):
                return self._call(name, args)

    def _canonical(self, node: t.Expr) -> Term:
        """Return the term of the value of ``node`` as a number of its type."""
        term = self.lower(node)
        return signed(term, node.type.bits) if node.type.signed else unsigned(term, node.type.bits)

    def _binary(self, op: str, left: t.Expr, right: t.Expr) -> Term:
        bits = left.type.bits
        if op in _SHIFTS:
            return _shift(op, self.lower(left), unsigned(self.lower(right), right.type.bits), bits)
        if op in _DIVISIONS:
            fit = signed if op.startswith("s") else unsigned
            return self._divide(op, fit(self.lower(left), bits), fit(self.lower(right), bits), right)
        a, b = self.lower(left), self.lower(right)
        if op in ("+", "-", "*"):
            return _ring(op, a, b)
        return _bitwise(op, a, b, bits)

    def _divide(self, op: str, a: Term, b: Term, divisor: t.Expr) -> Term:
        """Divide; with a trap for a zero divisor if the row does not exclude it."""
        if b.low <= 0 <= b.high and not self._is_nonzero(divisor):
            b = Term(f"divisor({b.text})", b.low, b.high)
            a = _unfolded(a)
        elif a.known and b.known:
            return number(_DIVISIONS[op](a.low, b.low))
        most = max(abs(a.low), abs(a.high))
        low = -most if a.low < 0 or b.low < 0 else 0
        if not op.startswith("s") or (a.low >= 0 and b.low >= 0):
            return Term(f"({a.text} {'//' if op.endswith('/') else '%'} {b.text})", low, most)
        return Term(f"{_DIVISIONS[op].__name__}({a.text}, {b.text})", low, most)

    def _compare(self, op: str, left: t.Expr, right: t.Expr) -> Term:
        bits = left.type.bits
        a, b = self.lower(left), self.lower(right)
        if op.startswith("s"):
            op = op[1:]
            a, b = _ordered_signed(a, b, bits)
        else:
            a, b = unsigned(a, bits), unsigned(b, bits)
        if (decided := _decide(op, a, b)) is not None:
            return TRUE if decided else FALSE
        return Term(f"({a.text} {op} {b.text})", 0, 1)

    def _choose(self, condition: t.Expr, then: t.Expr, otherwise: t.Expr) -> Term:
        test = self.lower(condition)
        if test.known:
            return self.lower(then if test.low else otherwise)
        known_nonzero = len(self._nonzero)
        if isinstance(condition, t.Compare) and condition.op == "!=" and _is_zero(condition.right):
            self._nonzero.append(condition.left)
        a = self.lower(then)
        del self._nonzero[known_nonzero:]
        b = self.lower(otherwise)
        return Term(f"({a.text} if {test.text} else {b.text})", min(a.low, b.low), max(a.high, b.high))

    def _is_nonzero(self, node: t.Expr) -> bool:
        """Whether an enclosing condition excludes that ``node`` is zero; signedness does not matter."""
        if isinstance(node, t.Cast) and node.type.bits >= node.value.type.bits and self._is_nonzero(node.value):
            return True
        return any(
            node == known
            or (
                isinstance(node, t.Cast)
                and isinstance(known, t.Cast)
                and node.value == known.value
                and node.type.bits == known.type.bits
            )
            for known in self._nonzero
        )

    def _call(self, name: str, args: tuple[t.Expr, ...]) -> Term:
        terms = [self._canonical(arg) for arg in args]
        if name not in t.BYTE_ORDER_FUNCTIONS:
            return self.platform(name, terms)
        bits = t.BYTE_ORDER_FUNCTIONS[name]
        (term,) = terms
        if name.startswith(self.byte_order[0] + "e"):
            return term
        if term.known:
            return number(swap(term.low, bits // 8))
        return Term(f"swap({term.text}, {bits // 8})", 0, (1 << bits) - 1)


def _is_zero(node: t.Expr) -> bool:
    return isinstance(node, t.Const) and node.value == 0


def _ring(op: str, a: Term, b: Term) -> Term:
    if op != "*" and b.low == b.high == 0:
        return a
    if op == "+":
        low, high = a.low + b.low, a.high + b.high
    elif op == "-":
        low, high = a.low - b.high, a.high - b.low
    else:
        corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
        low, high = min(corners), max(corners)
    return number(low) if low == high else Term(f"({a.text} {op} {b.text})", low, high)


def _bitwise(op: str, a: Term, b: Term, bits: int) -> Term:
    if op != "&" or (a.low < 0 and b.low < 0):
        a, b = unsigned(a, bits), unsigned(b, bits)
    if op == "&":
        high = min(term.high for term in (a, b) if term.low >= 0)
    else:
        high = (1 << max(a.high.bit_length(), b.high.bit_length())) - 1
    if a.known and b.known:
        return number(a.low & b.low if op == "&" else a.low | b.low if op == "|" else a.low ^ b.low)
    return Term(f"({a.text} {op} {b.text})", 0, high)


def _shift(op: str, value: Term, amount: Term, bits: int) -> Term:
    """Shift; with a trap for an amount as large as the width if the row does not exclude it."""
    value = signed(value, bits) if op == "s>>" else unsigned(value, bits)
    by, most = amount.text, amount.high
    if most >= bits:
        by, most = f"amount({by}, {bits})", bits - 1
        amount, value = Term(by, 0, most), _unfolded(value)
    elif value.known and amount.known:
        return number(value.low << amount.low if op == "<<" else value.low >> amount.low)
    if op == "<<":
        return Term(f"({value.text} << {by})", value.low << amount.low, value.high << most)
    ends = [end >> places for end in (value.low, value.high) for places in (amount.low, most)]
    return Term(f"({value.text} >> {by})", min(ends), max(ends))


def _unfolded(term: Term) -> Term:
    """Return ``term`` with wider bounds, so that an operation on it, which may trap, is not folded."""
    return Term(term.text, min(term.low, -1), max(term.high, 1))


def _ordered_signed(a: Term, b: Term, bits: int) -> tuple[Term, Term]:
    """Return two terms that compare as ``a`` and ``b`` do as signed numbers."""
    limit = 1 << (bits - 1)
    if all(-limit <= term.low and term.high < limit for term in (a, b)):
        return a, b

    def biased(term: Term) -> Term:
        if -limit <= term.low and term.high < limit and not term.known:
            return Term(f"({term.text} + {limit:#x})", term.low + limit, term.high + limit)
        bare = unsigned(term, bits)
        return number(bare.low ^ limit) if bare.known else Term(f"({bare.text} ^ {limit:#x})", 0, 2 * limit - 1)

    return biased(a), biased(b)


def _decide(op: str, a: Term, b: Term) -> bool | None:
    """Return the result of a comparison, or None if the bounds of its operands do not determine it."""
    match op:
        case "<":
            return True if a.high < b.low else False if a.low >= b.high else None
        case "<=":
            return True if a.high <= b.low else False if a.low > b.high else None
        case ">":
            return _decide("<", b, a)
        case ">=":
            return _decide("<=", b, a)
        case "==":
            return False if a.high < b.low or b.high < a.low else True if a.known and b.known else None
        case _:
            equal = _decide("==", a, b)
            return None if equal is None else not equal


# Functions that the source calls


def swap(value: int, size: int) -> int:
    """Return ``value`` with its ``size`` bytes in reverse order."""
    return int.from_bytes(value.to_bytes(size, "little"), "big")


def divide(a: int, b: int) -> int:
    """Return ``a / b``, truncated towards zero."""
    return a // b if (a < 0) == (b < 0) else -(-a // b)


def remainder(a: int, b: int) -> int:
    """Return the remainder of :func:`divide`: it has the sign of ``a``."""
    return -(-a % abs(b)) if a < 0 else a % abs(b)


def divisor(value: int) -> int:
    """Return ``value``, a divisor that may be zero.

    Raises:
        Trap: it is zero.
    """
    if value == 0:
        raise Trap(FaultKind.UNDEFINED_OPERATION, "the instruction divides by zero")
    return value


def amount(value: int, bits: int) -> int:
    """Return ``value``, the amount of a shift of ``bits`` bits, which may be too large.

    Raises:
        Trap: it is as large as the width.
    """
    if value >= bits:
        raise Trap(FaultKind.UNDEFINED_OPERATION, f"the instruction shifts {bits} bits by {value}")
    return value


def _floor_divide(a: int, b: int) -> int:
    return a // b


def _floor_remainder(a: int, b: int) -> int:
    return a % b


_SHIFTS = frozenset(["<<", ">>", "s>>"])
_DIVISIONS = {"/": _floor_divide, "%": _floor_remainder, "s/": divide, "s%": remainder}

#: The names that lowered source uses.
SUPPORT: Final = {function.__name__: function for function in (swap, divide, remainder, divisor, amount)}
