# SPDX-License-Identifier: Apache-2.0
"""The typed tree of an instruction's meaning.

A row of ``isa.yaml`` has its meaning as pseudocode; :mod:`.pseudocode` parses and checks it and builds the nodes of
this module. All backends (interpreter, JIT, solver, abstract domain, mutants) work on these nodes, not on the text.

Values are bit patterns of ``type.bits`` bits. Signedness acts in two places only: a widening :class:`Cast` extends
by the sign of its *operand's* type, and operators spelled with ``s`` read their operands as two's complement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal, TypeAlias, get_args


@dataclass(frozen=True, slots=True)
class Type:
    """An integer type in the notation of RFC 9669 section 2.1, such as ``u32``; ``BOOL`` is a truth value."""

    signed: bool
    bits: int

    def __str__(self) -> str:
        return "bool" if self.bits == 1 else f"{'s' if self.signed else 'u'}{self.bits}"

    @property
    def mask(self) -> int:
        """All ones in the width of the type."""
        return (1 << self.bits) - 1

    def wrap(self, value: int) -> int:
        """Return the number of this type that has the low bits of ``value``."""
        value &= self.mask
        return value - (1 << self.bits) if self.signed and value >> (self.bits - 1) else value


U8, U16, U32, U64 = (Type(False, bits) for bits in (8, 16, 32, 64))
S8, S16, S32, S64 = (Type(True, bits) for bits in (8, 16, 32, 64))
BOOL = Type(False, 1)
INTEGER_TYPES = {str(t): t for t in (U8, U16, U32, U64, S8, S16, S32, S64)}

RegisterName: TypeAlias = Literal["dst", "src", "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10"]
REGISTERS: Final[frozenset[str]] = frozenset(get_args(RegisterName))
FieldName: TypeAlias = Literal["offset", "imm", "next_imm"]

ARITHMETIC = ("+", "-", "*", "/", "s/", "%", "s%", "&", "|", "^", "<<", ">>", "s>>")
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "s<", "s<=", "s>", "s>=")

#: Byte order functions of section 2.2: name to width in bits. They take and return an unsigned number of that width.
BYTE_ORDER_FUNCTIONS = {f"{kind}{bits}": bits for kind in ("le", "be", "bswap") for bits in (16, 32, 64)}
#: What the platform supplies (sections 5.4 and 5.5): name to argument types; each returns a 64-bit address or map.
PLATFORM_FUNCTIONS: dict[str, tuple[Type, ...]] = {
    "map_by_fd": (S32,),
    "map_by_idx": (S32,),
    "map_val": (U64,),
    "var_addr": (S32,),
    "code_addr": (S32,),
    "packet": (),
}


@dataclass(frozen=True, slots=True)
class Const:
    """A number written in the pseudocode, as a value of ``type``."""

    value: int
    type: Type


@dataclass(frozen=True, slots=True)
class Register:
    """A 64-bit register: one that a field of the instruction names (``dst``, ``src``), or one by its number.

    Rows of the table use R0 only by its number; trees derived from them may use others.
    """

    name: RegisterName
    type: Type = U64


@dataclass(frozen=True, slots=True)
class Field:
    """A signed field of the instruction (section 3.1): ``offset`` is s16, ``imm`` and ``next_imm`` are s32."""

    name: FieldName
    type: Type


@dataclass(frozen=True, slots=True)
class Local:
    """A name bound by an earlier :class:`Assign` of the same row."""

    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Cast:
    """Conversion to ``type``: truncates, or extends by the signedness of the operand's type."""

    type: Type
    value: Expr


@dataclass(frozen=True, slots=True)
class Negate:
    """Two's complement negation in the operand's width."""

    value: Expr

    @property
    def type(self) -> Type:
        """The type of the operand."""
        return self.value.type


@dataclass(frozen=True, slots=True)
class Binary:
    """Arithmetic on operands of one width; wraps around.

    ``s/`` and ``s%`` truncate towards zero; INT_MIN ``s/`` -1 is INT_MIN and INT_MIN ``s%`` -1 is 0 (section 4.1).
    Rows exclude divisors of zero and shift amounts as large as the width.
    """

    op: str
    left: Expr
    right: Expr

    @property
    def type(self) -> Type:
        """The type of the left operand; unsigned if the operands' signedness differs."""
        left, right = self.left.type, self.right.type
        if self.op in ("<<", ">>", "s>>") or left.signed == right.signed:
            return left
        return Type(False, left.bits)


@dataclass(frozen=True, slots=True)
class Compare:
    """Comparison of operands of one width; operators spelled with ``s`` are signed."""

    op: str
    left: Expr
    right: Expr

    @property
    def type(self) -> Type:
        """A truth value."""
        return BOOL


@dataclass(frozen=True, slots=True)
class Choose:
    """``condition ? then : otherwise``; only the chosen arm is evaluated."""

    condition: Expr
    then: Expr
    otherwise: Expr

    @property
    def type(self) -> Type:
        """The type of both arms."""
        return self.then.type


@dataclass(frozen=True, slots=True)
class Load:
    """The value of ``type`` in memory at ``address``, in the byte order of the machine."""

    type: Type
    address: Expr


@dataclass(frozen=True, slots=True)
class Call:
    """A function of section 2.2 (byte order) or 5.4 (maps, variables, code addresses)."""

    name: str
    args: tuple[Expr, ...]
    type: Type


Expr: TypeAlias = Const | Register | Field | Local | Cast | Negate | Binary | Compare | Choose | Load | Call


@dataclass(frozen=True, slots=True)
class Assign:
    """Write a 64-bit value to a register, or bind a local name."""

    target: Register | Local
    value: Expr


@dataclass(frozen=True, slots=True)
class Store:
    """Write ``value`` (of the width of ``type``) to memory at ``address``, in the byte order of the machine."""

    type: Type
    address: Expr
    value: Expr


@dataclass(frozen=True, slots=True)
class Jump:
    """``PC += distance``, if ``condition`` holds; in 64-bit slots from the next instruction (section 4.3)."""

    distance: Expr
    condition: Expr | None = None


@dataclass(frozen=True, slots=True)
class CallHelper:
    """Call the helper function that ``number`` identifies by static id or by BTF id (section 4.3.1)."""

    by: Literal["static", "btf"]
    number: Expr


@dataclass(frozen=True, slots=True)
class CallLocal:
    """Call the function ``distance`` slots from the next instruction (section 4.3.2)."""

    distance: Expr


@dataclass(frozen=True, slots=True)
class Return:
    """Return to the caller, or end the program (section 4.3)."""


@dataclass(frozen=True, slots=True)
class Lock:
    """Statements whose memory accesses are one atomic operation (section 5.3).

    The body has at most one load and at most one store, at least one of them, both of the same type and address; it may
    assign registers.
    """

    body: tuple[Stmt, ...]


Stmt: TypeAlias = Assign | Store | Jump | CallHelper | CallLocal | Return | Lock
Node: TypeAlias = Expr | Stmt

NODE_TYPES = (
    Const, Register, Field, Local, Cast, Negate, Binary, Compare, Choose, Load, Call,
    Assign, Store, Jump, CallHelper, CallLocal, Return, Lock,
)  # fmt: skip
_NAMES = {kind: tuple(field.name for field in fields(kind)) for kind in NODE_TYPES}


def children(node: Node) -> Iterator[Node]:
    """Yield the nodes directly under ``node``, in the order of evaluation as written."""
    for name in _NAMES[type(node)]:
        value = getattr(node, name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, NODE_TYPES):
                yield item


def walk(*nodes: Node) -> Iterator[Node]:
    """Yield each of ``nodes`` and all nodes below it, parents first."""
    for node in nodes:
        yield node
        yield from walk(*children(node))


def rebuild(node: Node, change: Callable[[Node], Node]) -> Node:
    """Return ``node`` with each direct child ``c`` replaced by ``change(c)``; the node itself if none changes."""
    new: dict[str, Any] = {}
    for name in _NAMES[type(node)]:
        value = getattr(node, name)
        if isinstance(value, tuple):
            items = tuple(change(item) if isinstance(item, NODE_TYPES) else item for item in value)
            if any(a is not b for a, b in zip(items, value, strict=True)):
                new[name] = items
        elif isinstance(value, NODE_TYPES):
            item = change(value)
            if item is not value:
                new[name] = item
    return replace(node, **new) if new else node


def reads(*nodes: Node) -> frozenset[str]:
    """Return the names of registers and fields whose values ``nodes`` use."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, Register | Field):
            found.add(node.name)
        elif isinstance(node, Assign):
            found |= reads(node.value)
        else:
            found |= reads(*children(node))
    return frozenset(found)


def writes(*nodes: Node) -> frozenset[str]:
    """Return the names of registers that ``nodes`` assign."""
    return frozenset(
        node.target.name for node in walk(*nodes) if isinstance(node, Assign) and isinstance(node.target, Register)
    )
