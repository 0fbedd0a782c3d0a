# SPDX-License-Identifier: Apache-2.0
"""Classification of rows: kind, operation and width, computed from the meaning and the fields.

All code that selects rows uses this; names, mnemonics and section numbers are only shown to readers.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import NamedTuple

from . import tree as t
from .table import Instruction


class Kind(Enum):
    """The kinds of instructions."""

    ALU = "computes a register from registers and an immediate"
    SWAP = "changes the byte order of a register"
    CONSTANT = "sets a register to a number of 64 bits"
    ADDRESS = "sets a register to what the platform knows: a map, a variable, the address of code"
    LOAD = "reads memory into a register"
    STORE = "writes memory"
    ATOMIC = "reads and writes one place of memory"
    PACKET = "reads the packet"
    CONDITION = "jumps if a condition holds"
    JUMP = "jumps"
    HELPER = "calls a function of the platform"
    CALL = "calls a function of the program"
    EXIT = "returns"


class Facts(NamedTuple):
    """The properties of a row.

    ``operation`` is, for ALU and ATOMIC, the operator of the pseudocode (``+``, ``s/``) or ``negate``, ``move``,
    ``extend``, ``exchange``, ``compare-exchange``; for CONDITION the comparison operator, or ``&`` for a bit test; for
    SWAP and ADDRESS the function; for HELPER the kind of id. It is None for any other meaning.

    ``width`` is the number of bits computed, compared, swapped or accessed; ``extends`` the number of bits that are
    sign-extended, or 0. ``locked`` says that the memory access is atomic.
    """

    kind: Kind
    operation: str | None
    width: int
    extends: int
    locked: bool


SHIFTS = frozenset(["<<", ">>", "s>>"])
DIVISIONS = frozenset(["/", "s/", "%", "s%"])
#: The classes of instructions that operate on 32 bits (sections 4.1 and 4.3).
_NARROW = frozenset(["ALU", "JMP32"])


@cache
def facts(row: Instruction) -> Facts:
    """Return the facts of ``row``."""
    nodes = tuple(t.walk(*row.means))
    kind = _kind(row, nodes)
    locked = any(isinstance(node, t.Lock) for node in nodes)
    return Facts(kind, _operation(kind, nodes), _width(row, kind, nodes), _extends(nodes), locked)


def _kind(row: Instruction, nodes: tuple[t.Node, ...]) -> Kind:
    by_statement = {t.CallHelper: Kind.HELPER, t.CallLocal: Kind.CALL, t.Return: Kind.EXIT}
    for node in nodes:
        if isinstance(node, t.Jump):
            return Kind.JUMP if node.condition is None else Kind.CONDITION
        if type(node) in by_statement:
            return by_statement[type(node)]
    functions = [node.name for node in nodes if isinstance(node, t.Call)]
    if "packet" in functions:
        return Kind.PACKET
    if any(name in t.PLATFORM_FUNCTIONS for name in functions):
        return Kind.ADDRESS
    loads, stores = (any(isinstance(node, kind) for node in nodes) for kind in (t.Load, t.Store))
    if loads or stores:
        return Kind.LOAD if not stores else Kind.ATOMIC if loads else Kind.STORE
    return Kind.CONSTANT if row.wide else Kind.SWAP if functions else Kind.ALU


def _operation(kind: Kind, nodes: tuple[t.Node, ...]) -> str | None:
    match kind:
        case Kind.SWAP | Kind.ADDRESS:
            return next(node.name for node in nodes if isinstance(node, t.Call))
        case Kind.HELPER:
            return next(node.by for node in nodes if isinstance(node, t.CallHelper))
        case Kind.CONDITION:
            return next(_comparison(node.condition) for node in nodes if isinstance(node, t.Jump))
        case Kind.ATOMIC:
            return next(_computation(node.value, atomic=True) for node in nodes if isinstance(node, t.Store))
        case Kind.ALU:
            found = next((_computation(node.value) for node in nodes if isinstance(node, t.Assign)), None)
            return "extend" if found == "move" and _extends(nodes) else found
        case _:
            return None


def _width(row: Instruction, kind: Kind, nodes: tuple[t.Node, ...]) -> int:
    for node in nodes:
        if isinstance(node, t.Load | t.Store):
            return node.type.bits
        if kind is Kind.SWAP and isinstance(node, t.Call):
            return t.BYTE_ORDER_FUNCTIONS[node.name]
    return 32 if row.instruction_class in _NARROW else 64


def _extends(nodes: tuple[t.Node, ...]) -> int:
    for node in nodes:
        match node:
            case t.Cast(kind, t.Load(loaded)) if loaded.signed and loaded.bits < kind.bits:
                return loaded.bits
            case t.Cast(kind, t.Cast(narrow, t.Register())) if narrow.signed and narrow.bits < kind.bits:
                return narrow.bits
    return 0


def _comparison(condition: t.Expr | None) -> str | None:
    match condition:
        case t.Compare("!=", t.Binary("&", left, right), t.Const(0)) if _is_operand(left) and _is_operand(right):
            return "&"
        case t.Compare(op, left, right) if _is_operand(left) and _is_operand(right):
            return op
        case _:
            return None


def _computation(value: t.Expr, *, atomic: bool = False) -> str | None:
    """Return the operation of a value; the check of a divisor for zero and the mask of a shift amount belong to it."""
    match value:
        case t.Cast(_, inner):
            return _computation(inner, atomic=atomic)
        case t.Choose(t.Compare("==", t.Local(), _), _, t.Local()) if atomic:
            return "compare-exchange"
        case t.Choose(t.Compare("!=", _, t.Const(0)), then, _):
            inside = _computation(then)
            return inside if inside in DIVISIONS else None
        case t.Negate(inner) if _is_operand(inner):
            return "negate"
        case t.Binary(op, left, t.Binary("&", amount, t.Const())) if op in SHIFTS:
            return op if _is_operand(left) and _is_operand(amount) else None
        case t.Binary(op, left, right) if _is_operand(left) and _is_operand(right):
            return op
        case t.Register() | t.Field():
            return "exchange" if atomic else "move"
        case _:
            return None


def _is_operand(node: t.Expr) -> bool:
    """Whether ``node`` is a register, a field or the old value in memory, with or without casts."""
    while isinstance(node, t.Cast):
        node = node.value
    return isinstance(node, t.Register | t.Field | t.Local)
