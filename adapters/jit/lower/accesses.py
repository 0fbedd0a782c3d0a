# SPDX-License-Identifier: Apache-2.0
"""Loads and stores at pointers of the host, in the byte order of the machine, atomic or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from ....spec import tree as t
from ..layout import Word
from .emit import RARELY, Operand, literal
from .state import FunctionState

#: Operators that LLVM can apply to memory in one step; all but the last in either order of operands.
_READ_MODIFY_WRITE = {"+": "add", "&": "and", "|": "or", "^": "xor", "-": "sub"}
_COMMUTATIVE = frozenset("+&|^")


class Evaluator(Protocol):
    """Lowers expressions, which may use the local names of the instruction."""

    locals: dict[str, Operand]

    def expression(self, node: t.Expr) -> Operand:
        """Lower ``node``."""


class Accesses:
    """Writes accesses. Atomic ones are sequentially consistent: no other access is moved across them."""

    def __init__(self, state: FunctionState) -> None:
        self.emit, self.context, self.swapped = state.emit, state.context, state.style.swapped
        self._has_copy = False

    def _in_memory(self, bits: int, value: Operand) -> Operand:
        """Convert between the byte order of the host and that of the machine."""
        return self.emit.byte_swap(bits, value) if self.swapped else value

    def load(self, kind: t.Type, pointer: str) -> Operand:
        """Return what is at ``pointer``."""
        return self._in_memory(kind.bits, self.emit.value(f"load i{kind.bits}, ptr {pointer}, align 1"))

    def store(self, kind: t.Type, pointer: str, value: Operand) -> None:
        """Store ``value``."""
        value = self._in_memory(kind.bits, value)
        self.emit.line(f"store i{kind.bits} {literal(value, kind.bits)}, ptr {pointer}, align 1")

    # Atomic

    def load_atomic(self, kind: t.Type, pointer: str) -> Operand:
        """Return what is at ``pointer``."""
        bits = kind.bits
        with self._aligned(bits, pointer, writes=False) as place:
            found = self.emit.value(f"load atomic i{bits}, ptr {place} seq_cst, align {bits // 8}")
            return self._in_memory(bits, found)

    def store_atomic(self, kind: t.Type, pointer: str, value: Operand) -> None:
        """Store ``value``."""
        bits = kind.bits
        with self._aligned(bits, pointer) as place:
            what = literal(self._in_memory(bits, value), bits)
            self.emit.line(f"store atomic i{bits} {what}, ptr {place} seq_cst, align {bits // 8}")

    def replace(self, kind: t.Type, pointer: str, old: str, value: t.Expr, rows: Evaluator) -> None:
        """Replace what is at ``pointer`` by ``value``; what was there gets the local name ``old``."""
        with self._aligned(kind.bits, pointer) as place:
            rows.locals[old] = self._replace(kind.bits, place, old, value, rows)

    def _replace(self, bits: int, place: str, old: str, value: t.Expr, rows: Evaluator) -> Operand:
        match value:
            case t.Binary(op, t.Local(name), other) if (
                name == old and op in _READ_MODIFY_WRITE and not _uses(other, old) and not self.swapped
            ):
                return self._modify(_READ_MODIFY_WRITE[op], bits, place, rows.expression(other))
            case t.Binary(op, other, t.Local(name)) if (
                name == old and op in _COMMUTATIVE and not _uses(other, old) and not self.swapped
            ):
                return self._modify(_READ_MODIFY_WRITE[op], bits, place, rows.expression(other))
            case t.Choose(t.Compare("==", t.Local(name), expected), new, t.Local(name2)) if (
                name == name2 == old and not _uses(expected, old) and not _uses(new, old)
            ):
                return self._compare_exchange(bits, place, rows.expression(expected), rows.expression(new))[0]
            case _ if not _uses(value, old):
                before = self._modify("xchg", bits, place, self._in_memory(bits, rows.expression(value)))
                return self._in_memory(bits, before)
            case _:
                return self._retry(bits, place, old, value, rows)

    def _modify(self, op: str, bits: int, place: str, value: Operand) -> str:
        return self.emit.value(f"atomicrmw {op} ptr {place}, i{bits} {literal(value, bits)} seq_cst")

    def _compare_exchange(self, bits: int, place: str, expected: Operand, new: Operand) -> tuple[Operand, str]:
        """Return what was at ``place``, and whether it was as expected and has been replaced."""
        old, fresh = (literal(self._in_memory(bits, value), bits) for value in (expected, new))
        pair = self.emit.value(f"cmpxchg ptr {place}, i{bits} {old}, i{bits} {fresh} seq_cst seq_cst")
        found = self.emit.value(f"extractvalue {{i{bits}, i1}} {pair}, 0")
        return self._in_memory(bits, found), self.emit.value(f"extractvalue {{i{bits}, i1}} {pair}, 1")

    def _retry(self, bits: int, place: str, old: str, value: t.Expr, rows: Evaluator) -> Operand:
        """Compute the new value from what was there, until no other access came between."""
        emit = self.emit
        first = self._in_memory(bits, emit.value(f"load atomic i{bits}, ptr {place} monotonic, align {bits // 8}"))
        outside, loop, after = emit.block, emit.label(), emit.label()
        emit.line(f"br label %{loop}")
        emit.begin(loop)
        at = len(emit.lines)
        emit.line("")
        current = f"%{emit.label()}"
        rows.locals[old] = current
        found, success = self._compare_exchange(bits, place, current, rows.expression(value))
        emit.branch(success, after, loop)
        emit.lines[at] = f"{current} = phi i{bits} [{literal(first, bits)}, %{outside}], [{found}, %{emit.block}]"
        emit.begin(after)
        return current

    @contextmanager
    def _aligned(self, bits: int, pointer: str, *, writes: bool = True) -> Iterator[str]:
        """Give ``pointer``, or for a misaligned place that of a copy, kept under a lock until it is written back.

        Processors do not agree on atomic accesses to misaligned places: they are atomic among each other here.
        """
        emit = self.emit
        aligned, misaligned, join = emit.label(), emit.label(), emit.label()
        number = emit.value(f"ptrtoint ptr {pointer} to i64")
        rest = emit.value(f"and i64 {number}, {bits // 8 - 1}")
        if not self._has_copy:
            self._has_copy = True
            emit.lines.insert(2, "%copy = alloca i64, align 8")
        before = emit.block
        is_misaligned = emit.compare("ne", 64, rest, 0)
        emit.branch(is_misaligned, misaligned, join, RARELY)
        locked = self._lock(misaligned, aligned)
        emit.line(f"store i{bits} {emit.value(f'load i{bits}, ptr {pointer}, align 1')}, ptr %copy")
        emit.line(f"br label %{join}")
        emit.begin(join)
        yield emit.value(f"phi ptr [{pointer}, %{before}], [%copy, %{locked}]")
        back, after = emit.label(), emit.label()
        emit.branch(is_misaligned, back, after, RARELY)
        emit.begin(back)
        if writes:
            emit.line(f"store i{bits} {emit.value(f'load i{bits}, ptr %copy')}, ptr {pointer}, align 1")
        lock = self.context.read(Word.LOCK, "ptr")
        emit.line(f"store atomic i32 0, ptr {lock} release, align 4")
        emit.line(f"br label %{after}")
        emit.begin(after)

    def _lock(self, first: str, attempt: str) -> str:
        """Write blocks ``first`` and ``attempt``, which take the lock; return the label of the block that has it."""
        self.emit.begin(first)
        lock = self.context.read(Word.LOCK, "ptr")
        self.emit.line(f"br label %{attempt}")
        self.emit.begin(attempt)
        taken = self.emit.value(f"atomicrmw xchg ptr {lock}, i32 1 acquire")
        locked = self.emit.label()
        self.emit.branch(self.emit.compare("eq", 32, taken, 0), locked, attempt)
        self.emit.begin(locked)
        return locked


def _uses(node: t.Expr, name: str) -> bool:
    return any(isinstance(n, t.Local) and n.name == name for n in t.walk(node))
