# SPDX-License-Identifier: Apache-2.0
"""Executes the statements of a row on bit-vectors.

Platform functions and helper functions are uninterpreted functions. Memory faults are not modelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import z3

from ...spec import tree as t
from ...spec.encoding import ByteOrder
from .operations import OPERATIONS, Term


@dataclass(slots=True)
class State:
    """The state that an instruction can change.

    ``registers`` are 64-bit terms, ``memory`` is an array from 64-bit addresses to bytes. ``control`` is the distance
    of a jump, and the kind and number of a call, 64 bits each. ``address`` is the first accessed address, or None.
    """

    registers: list[Term]
    memory: Term
    control: list[Term] = field(default_factory=list)
    address: Term = None


class Machine:
    """Executes the statements of a row on terms.

    Args:
        fields: terms for the fields, as wide as their types.
        dst: number of the destination register.
        src: number of the source register.
        byte_order: of the memory.
        start: the state before, which is not changed.
    """

    def __init__(self, fields: Mapping[str, Term], dst: int, src: int, byte_order: ByteOrder, start: State) -> None:
        self.fields = fields
        self.numbers = {"dst": dst, "src": src}
        self.big = byte_order == "big"
        zero = z3.BitVecVal(0, 64)
        self.state = State(list(start.registers), start.memory, [zero, zero, zero])
        self.locals: dict[str, Term] = {}

    def run(self, means: tuple[t.Stmt, ...]) -> State:
        """Execute ``means``; return the state afterwards."""
        for statement in means:
            self.do(statement)
        return self.state

    def do(self, statement: t.Stmt) -> None:
        """Execute one statement."""
        state = self.state
        match statement:
            case t.Assign(t.Register(name), value):
                state.registers[self.number(name)] = self.get(value)
            case t.Assign(t.Local(name), value):
                self.locals[name] = self.get(value)
            case t.Store(kind, address, value):
                self.store(self.get(address), self.get(value), kind.bits // 8)
            case t.Jump(distance, condition):
                there = self.get(distance)
                here = state.control[0]
                state.control[0] = there if condition is None else z3.If(self.get(condition), there, here)
            case t.CallHelper(by, number):
                self.call(1 if by == "static" else 2, z3.SignExt(32, self.get(number)))
            case t.CallLocal(distance):
                self.call(3, self.get(distance))
            case t.Return():
                self.call(4, z3.BitVecVal(0, 64))
            case t.Lock(body):
                self.run(body)

    def call(self, kind: int, number: Term) -> None:
        """Call a function, which is uninterpreted."""
        state, word = self.state, z3.BitVecSort(64)
        arguments = [state.registers[n] for n in range(1, 6)]
        state.control[1:] = [z3.BitVecVal(kind, 64), number]
        if kind <= 2:
            result = z3.Function(f"helper{kind}", *[word] * 7)
            state.registers[0] = result(number, *arguments)
            for n in range(1, 6):
                state.registers[n] = z3.BitVec(f"scratch{n}", 64)

    def number(self, name: str) -> int:
        """Return the number of the register ``name``."""
        return self.numbers[name] if name in self.numbers else int(name[1:])

    def get(self, expression: t.Expr) -> Term:
        """Return the value of ``expression``: a truth value or a bit-vector as wide as its type."""
        match expression:
            case t.Const(value, kind):
                return z3.BitVecVal(value, kind.bits)
            case t.Register(name):
                return self.state.registers[self.number(name)]
            case t.Field(name):
                return self.fields[name]
            case t.Local(name):
                return self.locals[name]
            case t.Cast(kind, value):
                return self.cast(self.get(value), value.type, kind)
            case t.Negate(value):
                return -self.get(value)
            case t.Binary(op, left, right):
                return OPERATIONS[op](self.get(left), self.get(right))
            case t.Compare(op, left, right):
                return OPERATIONS[op](self.get(left), self.get(right))
            case t.Choose(condition, then, otherwise):
                return z3.If(self.get(condition), self.get(then), self.get(otherwise))
            case t.Load(kind, address):
                return self.load(self.get(address), kind.bits // 8)
            case t.Call(name, args):
                return self.function(name, [self.get(arg) for arg in args])
        raise TypeError(f"no expression: {expression!r}")

    def cast(self, value: Term, old: t.Type, new: t.Type) -> Term:
        """Truncate or extend ``value``."""
        if new.bits <= old.bits:
            return z3.Extract(new.bits - 1, 0, value) if new.bits < old.bits else value
        extend = z3.SignExt if old.signed else z3.ZeroExt
        return extend(new.bits - old.bits, value)

    def function(self, name: str, args: list[Term]) -> Term:
        """Apply a function of the pseudocode."""
        if name in t.BYTE_ORDER_FUNCTIONS:
            swaps = name.startswith("bswap") or name.startswith("le") == self.big
            return self.reversed(args[0]) if swaps else args[0]
        if name == "packet":
            return packet()
        sorts = [arg.sort() for arg in args]
        return z3.Function(name, *sorts, z3.BitVecSort(64))(*args)

    def reversed(self, value: Term) -> Term:
        """Return ``value`` with its bytes in the other order."""
        parts = [z3.Extract(8 * n + 7, 8 * n, value) for n in range(value.size() // 8)]
        return z3.Concat(*parts) if len(parts) > 1 else value

    def load(self, address: Term, size: int) -> Term:
        """Read ``size`` bytes."""
        if self.state.address is None:
            self.state.address = address
        parts = [z3.Select(self.state.memory, address + n) for n in range(size)]
        if not self.big:
            parts.reverse()
        return z3.Concat(*parts) if size > 1 else parts[0]

    def store(self, address: Term, value: Term, size: int) -> None:
        """Write ``size`` bytes."""
        if self.state.address is None:
            self.state.address = address
        for n in range(size):
            low = 8 * (size - 1 - n if self.big else n)
            byte = z3.Extract(low + 7, low, value)
            self.state.memory = z3.Store(self.state.memory, address + n, byte)


def packet() -> Term:
    """Return the address of the packet: any multiple of 4 GiB, which makes offsets in it easy to compare."""
    return z3.Concat(z3.BitVec("packet", 32), z3.BitVecVal(0, 32))
