# SPDX-License-Identifier: Apache-2.0
"""From the typed tree of a row to LLVM IR: operators, casts, memory accesses and atomicity.

Nothing here knows any instruction. What surrounds an instruction (registers, memory, traps) is left to a subclass,
:class:`.functions.FunctionLowering`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator

from ....spec import tree as t
from ....spec.encoding import ByteOrder, Decoded
from ....spec.folding import FOLDED
from ..layout import Trap
from .emit import Emitter, Operand, literal

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
#: Operators that LLVM can apply to memory in one step; the first two in either order of operands.
_READ_MODIFY_WRITE = {"+": "add", "&": "and", "|": "or", "^": "xor", "-": "sub"}
_COMMUTATIVE = frozenset("+&|^")


def may_stop(node: t.Node) -> bool:
    """Whether evaluating ``node`` can end the program: it must not happen where it would not have been reached."""
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


class RowLowering(Emitter):
    """Lowers the meaning of one instruction after the other into the block being written.

    ``byte_order`` is that of the machine, ``swapped`` says that the host has the other one.
    """

    def __init__(self, byte_order: ByteOrder, numbers: Iterator[int], *, swapped: bool) -> None:
        super().__init__(numbers)
        self.byte_order, self.swapped = byte_order, swapped
        self.item: Decoded
        self.slot = 0
        self.locals: dict[str, Operand] = {}
        #: Whether the statement is in a lock block: its access to memory is atomic, and ordered with all others.
        self.locked = False

    # What surrounds an instruction

    @abstractmethod
    def read(self, register: int) -> Operand:
        """Return the value of a register."""

    @abstractmethod
    def write(self, register: int, value: Operand) -> None:
        """Set a register."""

    @abstractmethod
    def field(self, name: t.FieldName) -> Operand:
        """Return a field of the instruction: its number, or a value that is known when the program runs."""

    @abstractmethod
    def pointer(
        self, address: Operand, size: int, *, expression: t.Expr, reads: bool = False, writes: bool = False
    ) -> str:
        """Return the host's pointer to ``size`` bytes at ``address``, having checked that they are there."""

    @abstractmethod
    def platform(self, call: t.Call) -> Operand:
        """Return the value of a function of the platform."""

    @abstractmethod
    def trap_if(self, condition: Operand, trap: Trap) -> None:
        """Stop the program at this instruction if ``condition`` holds."""

    @abstractmethod
    def settle(self, node: t.Expr) -> None:
        """Prepare for blocks of which not all are executed: what ``node`` reads must be known to all of them."""

    @abstractmethod
    def atomic_pointer(
        self, pointer: str, address: Operand, size: int, *, writes: bool = True
    ) -> tuple[str, Callable[[], None]]:
        """Prepare for atomic access; return the pointer, and how to end it."""

    @abstractmethod
    def control(self, statement: t.Jump | t.CallHelper | t.CallLocal | t.Return) -> None:
        """Lower what leaves the straight line."""

    # Statements

    def statement(self, node: t.Stmt) -> None:
        """Lower one statement."""
        match node:
            case t.Assign(t.Register(name), value):
                self.write(self.index(name), self.expression(value))
            case t.Assign(t.Local(name), value):
                self.locals[name] = self.expression(value)
            case t.Store(kind, address, value):
                where = self.expression(address)
                what = self.expression(value)
                pointer = self.pointer(where, kind.bits // 8, writes=True, expression=address)
                self._put_atomic(kind, pointer, where, what) if self.locked else self._put(kind, pointer, what)
            case t.Lock(body):
                self._lock(body)
            case t.Jump() | t.CallHelper() | t.CallLocal() | t.Return():
                self.control(node)

    def index(self, name: t.RegisterName) -> int:
        """Return the number of the register that ``name`` stands for in the instruction."""
        return self.item.dst if name == "dst" else self.item.src if name == "src" else int(name[1:])

    def _get(self, kind: t.Type, pointer: str) -> Operand:
        value: Operand = self.value(f"load i{kind.bits}, ptr {pointer}, align 1")
        return self.byte_swap(kind.bits, value) if self.swapped else value

    def _put(self, kind: t.Type, pointer: str, value: Operand) -> None:
        if self.swapped:
            value = self.byte_swap(kind.bits, value)
        self.line(f"store i{kind.bits} {literal(value, kind.bits)}, ptr {pointer}, align 1")

    # Expressions

    def expression(self, node: t.Expr) -> Operand:
        """Lower ``node``; a number that results is the unsigned reading of its bits."""
        match node:
            case t.Const(value, kind):
                return value & kind.mask
            case t.Register(name):
                return self.read(self.index(name))
            case t.Field(name, kind):
                number = self.field(name)
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
                return self.compare(_PREDICATES[op], left.type.bits, self.expression(left), self.expression(right))
            case t.Choose():
                return self._choose(node)
            case t.Load(kind, address):
                where = self.expression(address)
                pointer = self.pointer(where, kind.bits // 8, reads=True, expression=address)
                return self._get_atomic(kind, pointer, where) if self.locked else self._get(kind, pointer)
            case t.Call(name, args) if name in t.BYTE_ORDER_FUNCTIONS:
                number = self.expression(args[0])
                if name.startswith("bswap") or (name[:2] == "be") != (self.byte_order == "big"):
                    return self.byte_swap(t.BYTE_ORDER_FUNCTIONS[name], number)
                return number
            case t.Call():
                return self.platform(node)

    def cast(self, value: Operand, old: t.Type, new: t.Type) -> Operand:
        """Convert ``value``: cut it, or extend it by the signedness of the type it has."""
        if isinstance(value, int):
            return old.wrap(value) & new.mask
        if new.bits == old.bits:
            return value
        instruction = "trunc" if new.bits < old.bits else "sext" if old.signed else "zext"
        return self.value(f"{instruction} i{old.bits} {value} to i{new.bits}")

    def _arithmetic(self, op: str, bits: int, left: Operand, right: Operand) -> Operand:
        if isinstance(left, int) and isinstance(right, int):
            return FOLDED[op](left, right) & ((1 << bits) - 1)
        return self.binary(ARITHMETIC[op], bits, left, right)

    def _divide(self, op: str, bits: int, left: Operand, right: Operand) -> Operand:
        """Divide; INT_MIN by -1, which LLVM leaves undefined, is INT_MIN with remainder 0 (section 4.1)."""
        if isinstance(right, str) or right == 0:
            self.trap_if(self.compare("eq", bits, right, 0), Trap.UNDEFINED_OPERATION)
        if op in {"/", "%"} or (isinstance(right, int) and right != (1 << bits) - 1):
            return self.binary(ARITHMETIC[op], bits, left, right)
        minus_one = self.compare("eq", bits, right, -1)
        result = self.binary(ARITHMETIC[op], bits, left, self.select(minus_one, bits, 1, right))
        return self.select(minus_one, bits, self.binary("sub", bits, 0, left) if op == "s/" else 0, result)

    def _shift(self, op: str, bits: int, left: Operand, amount: Operand, written: t.Expr) -> Operand:
        if not is_masked(written, bits) and not (isinstance(amount, int) and amount < bits):
            self.trap_if(self.compare("uge", bits, amount, bits), Trap.UNDEFINED_OPERATION)
        return self.binary(ARITHMETIC[op], bits, left, amount)

    def _choose(self, node: t.Choose) -> Operand:
        condition, bits = self.expression(node.condition), node.type.bits
        if not (may_stop(node.then) or may_stop(node.otherwise)):
            return self.select(condition, bits, self.expression(node.then), self.expression(node.otherwise))
        then, otherwise, join = self.label(), self.label(), self.label()
        self.settle(node)
        self.branch(condition, then, otherwise)
        incoming = []
        for label, arm in ((then, node.then), (otherwise, node.otherwise)):
            self.begin(label)
            value = self.expression(arm)
            incoming.append(f"[{literal(value, bits)}, %{self.block}]")
            self.line(f"br label %{join}")
        self.begin(join)
        return self.value(f"phi i{bits} {', '.join(incoming)}")

    # Atomicity

    def _lock(self, body: tuple[t.Stmt, ...]) -> None:
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
                size = kind.bits // 8
                pointer = self.pointer(where, size, reads=True, writes=True, expression=address)
                self._atomic(kind, pointer, where, old, value)
                body = tuple(rest)
        self.locked = True
        for statement in body:
            self.statement(statement)
        self.locked = False

    def _get_atomic(self, kind: t.Type, pointer: str, address: Operand) -> Operand:
        place, done = self.atomic_pointer(pointer, address, kind.bits // 8, writes=False)
        ordered = f"seq_cst, align {kind.bits // 8}"
        value = self._in_memory(kind.bits, self.value(f"load atomic i{kind.bits}, ptr {place} {ordered}"))
        done()
        return value

    def _put_atomic(self, kind: t.Type, pointer: str, address: Operand, value: Operand) -> None:
        place, done = self.atomic_pointer(pointer, address, kind.bits // 8)
        what = literal(self._in_memory(kind.bits, value), kind.bits)
        self.line(f"store atomic i{kind.bits} {what}, ptr {place} seq_cst, align {kind.bits // 8}")
        done()

    def _atomic(self, kind: t.Type, pointer: str, address: Operand, old: str, value: t.Expr) -> None:
        """Replace what is at ``pointer`` by ``value``, which may use the local name ``old`` for what was there."""
        bits = kind.bits
        place, done = self.atomic_pointer(pointer, address, bits // 8)
        before: Operand
        match value:
            case t.Binary(op, t.Local(name), other) if (
                name == old and op in _READ_MODIFY_WRITE and not _uses(other, old) and not self.swapped
            ):
                before = self._modify(_READ_MODIFY_WRITE[op], bits, place, self.expression(other))
            case t.Binary(op, other, t.Local(name)) if (
                name == old and op in _COMMUTATIVE and not _uses(other, old) and not self.swapped
            ):
                before = self._modify(_READ_MODIFY_WRITE[op], bits, place, self.expression(other))
            case t.Choose(t.Compare("==", t.Local(name), expected), new, t.Local(name2)) if (
                name == name2 == old and not _uses(expected, old) and not _uses(new, old)
            ):
                before = self._compare_exchange(bits, place, self.expression(expected), self.expression(new))[0]
            case _ if not _uses(value, old):
                before = self._modify("xchg", bits, place, self._in_memory(bits, self.expression(value)))
                before = self._in_memory(bits, before)
            case _:
                before = self._retry(kind, place, old, value)
        self.locals[old] = before
        done()

    def _in_memory(self, bits: int, value: Operand) -> Operand:
        return self.byte_swap(bits, value) if self.swapped else value

    def _modify(self, op: str, bits: int, place: str, value: Operand) -> str:
        return self.value(f"atomicrmw {op} ptr {place}, i{bits} {literal(value, bits)} seq_cst")

    def _compare_exchange(self, bits: int, place: str, expected: Operand, new: Operand) -> tuple[Operand, str]:
        """Return what was at ``place``, and whether it was as expected and has been replaced."""
        old, fresh = (literal(self._in_memory(bits, value), bits) for value in (expected, new))
        pair = self.value(f"cmpxchg ptr {place}, i{bits} {old}, i{bits} {fresh} seq_cst seq_cst")
        found = self.value(f"extractvalue {{i{bits}, i1}} {pair}, 0")
        return self._in_memory(bits, found), self.value(f"extractvalue {{i{bits}, i1}} {pair}, 1")

    def _retry(self, kind: t.Type, place: str, old: str, value: t.Expr) -> Operand:
        """Compute the new value from what was there, until nobody came between."""
        bits = kind.bits
        first = self._in_memory(bits, self.value(f"load atomic i{bits}, ptr {place} monotonic, align {bits // 8}"))
        outside, loop, after = self.block, self.label(), self.label()
        self.line(f"br label %{loop}")
        self.begin(loop)
        at = len(self.lines)
        self.line("")
        current = f"%{self.label()}"
        self.locals[old] = current
        found, success = self._compare_exchange(bits, place, current, self.expression(value))
        self.branch(success, after, loop)
        self.lines[at] = f"{current} = phi i{bits} [{literal(first, bits)}, %{outside}], [{found}, %{self.block}]"
        self.begin(after)
        return current


def _uses(node: t.Expr, name: str) -> bool:
    return any(isinstance(n, t.Local) and n.name == name for n in t.walk(node))
