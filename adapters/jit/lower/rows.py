# SPDX-License-Identifier: Apache-2.0
"""From the typed tree of a row to LLVM IR: statements, operators and casts; without code for a single instruction."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ....spec import tree as t
from ....spec.folding import FOLDED
from ..layout import Trap
from .accesses import Accesses
from .emit import Operand, literal
from .memory import Memory
from .state import FunctionState

ARITHMETIC = {
    "+": "add", "-": "sub", "*": "mul", "&": "and", "|": "or", "^": "xor", "/": "udiv", "s/": "sdiv", "%": "urem",
    "s%": "srem", "<<": "shl", ">>": "lshr", "s>>": "ashr",
}  # fmt: skip
_PREDICATES = {
    "==": "eq", "!=": "ne", "<": "ult", "<=": "ule", ">": "ugt", ">=": "uge", "s<": "slt", "s<=": "sle", "s>": "sgt",
    "s>=": "sge",
}  # fmt: skip
_DIVISIONS = frozenset(["/", "s/", "%", "s%"])
_SHIFTS = frozenset(["<<", ">>", "s>>"])

#: Statements that transfer control.
Transfer: TypeAlias = t.Jump | t.CallHelper | t.CallLocal | t.Return


def may_stop(node: t.Node) -> bool:
    """Whether ``node`` can trap, so that it must not be evaluated speculatively."""
    return any(
        isinstance(n, t.Load) or (isinstance(n, t.Binary) and n.op in _DIVISIONS | _SHIFTS) for n in t.walk(node)
    )


def is_masked(amount: t.Expr, bits: int) -> bool:
    """Whether ``amount`` is known to be below ``bits``, as that of a shift must be."""
    match amount:
        case t.Binary("&", _, t.Const(mask)) | t.Binary("&", t.Const(mask), _):
            return mask < bits
        case _:
            return False


class Rows:
    """Lowers the meanings of instructions into the current block."""

    def __init__(self, state: FunctionState, memory: Memory) -> None:
        self.state, self.emit, self.registers, self.memory = state, state.emit, state.registers, memory
        self.accesses = Accesses(state)
        self.locals: dict[str, Operand] = {}
        #: Whether the statement is in a lock block: its access to memory is atomic, and ordered with all others.
        self.locked = False

    def instruction(self, transfer: Callable[[Transfer], None]) -> None:
        """Lower the current instruction of ``state``; ``transfer`` lowers transfers of control."""
        self.locals.clear()
        for statement in self.state.item.instruction.means:
            self._statement(statement, transfer)

    # Statements

    def _statement(self, node: t.Stmt, transfer: Callable[[Transfer], None]) -> None:
        match node:
            case t.Assign(t.Register(name), value):
                self.registers.write(self.state.item.register(name), self.expression(value))
            case t.Assign(t.Local(name), value):
                self.locals[name] = self.expression(value)
            case t.Store(kind, address, value):
                where = self.expression(address)
                what = self.expression(value)
                pointer = self.memory.pointer(where, kind.bits // 8, writes=True, expression=address)
                (self.accesses.store_atomic if self.locked else self.accesses.store)(kind, pointer, what)
            case t.Lock(body):
                self._lock(body, transfer)
            case t.Jump() | t.CallHelper() | t.CallLocal() | t.Return():
                transfer(node)

    def _lock(self, body: tuple[t.Stmt, ...], transfer: Callable[[Transfer], None]) -> None:
        """Lower a body that reads a place, stores to the same place, then assigns registers, to one atomic access.

        In a body of another shape, such as one that only reads, each access is atomic by itself. No other access to
        memory is moved across either.
        """
        match body:
            case (t.Assign(t.Local(old), t.Load(kind, address)), t.Store(kind2, address2, value), *rest) if (
                (kind, address) == (kind2, address2)
                and not may_stop(value)
                and all(isinstance(statement, t.Assign) for statement in rest)
            ):
                where = self.expression(address)
                pointer = self.memory.pointer(where, kind.bits // 8, reads=True, writes=True, expression=address)
                self.accesses.replace(kind, pointer, old, value, self)
                body = tuple(rest)
        self.locked = True
        for statement in body:
            self._statement(statement, transfer)
        self.locked = False

    # Expressions

    def expression(self, node: t.Expr) -> Operand:
        """Lower ``node``; a constant result is unsigned."""
        match node:
            case t.Const(value, kind):
                return value & kind.mask
            case t.Register(name):
                return self.registers.read(self.state.item.register(name))
            case t.Field(name, kind):
                number = self.state.field(name)
                return number & kind.mask if isinstance(number, int) else number
            case t.Local(name):
                return self.locals[name]
            case t.Cast(kind, inner):
                return self.cast(self.expression(inner), inner.type, kind)
            case t.Negate(inner):
                return self._arithmetic("-", inner.type.bits, 0, self.expression(inner))
            case t.Binary(op, left, right):
                if op in _DIVISIONS:
                    return self._divide(op, left.type.bits, self.expression(left), self.expression(right))
                if op in _SHIFTS:
                    return self._shift(op, left.type.bits, self.expression(left), self.expression(right), right)
                return self._arithmetic(op, left.type.bits, self.expression(left), self.expression(right))
            case t.Compare(op, left, right):
                return self.emit.compare(_PREDICATES[op], left.type.bits, self.expression(left), self.expression(right))
            case t.Choose():
                return self._choose(node)
            case t.Load(kind, address):
                where = self.expression(address)
                pointer = self.memory.pointer(where, kind.bits // 8, reads=True, expression=address)
                return (self.accesses.load_atomic if self.locked else self.accesses.load)(kind, pointer)
            case t.Call(name, args) if name in t.BYTE_ORDER_FUNCTIONS:
                number = self.expression(args[0])
                if name.startswith("bswap") or (name[:2] == "be") != (self.state.style.byte_order == "big"):
                    return self.emit.byte_swap(t.BYTE_ORDER_FUNCTIONS[name], number)
                return number
            case t.Call():
                return self.state.platform(node)

    def cast(self, value: Operand, old: t.Type, new: t.Type) -> Operand:
        """Convert ``value``: truncate it, or extend it by the signedness of its type."""
        if isinstance(value, int):
            return old.wrap(value) & new.mask
        if new.bits == old.bits:
            return value
        instruction = "trunc" if new.bits < old.bits else "sext" if old.signed else "zext"
        return self.emit.value(f"{instruction} i{old.bits} {value} to i{new.bits}")

    def _arithmetic(self, op: str, bits: int, left: Operand, right: Operand) -> Operand:
        if isinstance(left, int) and isinstance(right, int):
            return FOLDED[op](left, right) & ((1 << bits) - 1)
        result = self.emit.binary(ARITHMETIC[op], bits, left, right)
        self.registers.track(result, op, left, right)
        return result

    def _divide(self, op: str, bits: int, left: Operand, right: Operand) -> Operand:
        """Divide; INT_MIN by -1, which LLVM leaves undefined, is INT_MIN with remainder 0 (section 4.1)."""
        if isinstance(right, str) or right == 0:
            self.state.trap_if(self.emit.compare("eq", bits, right, 0), Trap.UNDEFINED_OPERATION)
        if op in {"/", "%"} or (isinstance(right, int) and right != (1 << bits) - 1):
            return self.emit.binary(ARITHMETIC[op], bits, left, right)
        minus_one = self.emit.compare("eq", bits, right, -1)
        result = self.emit.binary(ARITHMETIC[op], bits, left, self.emit.select(minus_one, bits, 1, right))
        return self.emit.select(minus_one, bits, self.emit.binary("sub", bits, 0, left) if op == "s/" else 0, result)

    def _shift(self, op: str, bits: int, left: Operand, amount: Operand, written: t.Expr) -> Operand:
        if not is_masked(written, bits) and not (isinstance(amount, int) and amount < bits):
            self.state.trap_if(self.emit.compare("uge", bits, amount, bits), Trap.UNDEFINED_OPERATION)
        return self.emit.binary(ARITHMETIC[op], bits, left, amount)

    def _choose(self, node: t.Choose) -> Operand:
        condition, bits = self.expression(node.condition), node.type.bits
        if not (may_stop(node.then) or may_stop(node.otherwise)):
            return self.emit.select(condition, bits, self.expression(node.then), self.expression(node.otherwise))
        then, otherwise, join = self.emit.label(), self.emit.label(), self.emit.label()
        named = (part.name for part in t.walk(node) if isinstance(part, t.Register))
        self.registers.settle(self.state.item.register(name) for name in named)
        self.emit.branch(condition, then, otherwise)
        incoming = []
        for label, arm in ((then, node.then), (otherwise, node.otherwise)):
            self.emit.begin(label)
            value = self.expression(arm)
            incoming.append(f"[{literal(value, bits)}, %{self.emit.block}]")
            self.emit.line(f"br label %{join}")
        self.emit.begin(join)
        return self.emit.value(f"phi i{bits} {', '.join(incoming)}")
