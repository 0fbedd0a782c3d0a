# SPDX-License-Identifier: Apache-2.0
"""From the pseudocode of a row to its typed tree: ``parse("dst = (u32)dst + imm")``.

The grammar is ``pseudocode.lark``. Conversions between types have to be written as casts. Four things
are implicit, as in the RFC's examples:

* a number takes the type of what it is combined with;
* ``offset`` and ``imm`` are sign-extended where they are added to an address or to the program counter;
* an unsigned value narrower than a register is zero-extended when it is assigned to one;
* ``+ - * & | ^ == !=`` take operands that differ in signedness, since their bits do not depend on it.

Everything else (operands of two widths, unsigned division of signed values, a narrow signed value assigned to a
register, an unknown name, a name that nothing uses) is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from functools import cache
from pathlib import Path
from typing import cast

from lark import Lark, Token, Tree, UnexpectedInput

from . import tree as t
from .errors import InputError

FIELD_TYPES = {"offset": t.S16, "imm": t.S32, "next_imm": t.S32}
#: The registers that instructions name.
OPERANDS = frozenset(["dst", "src", "r0"])
_SIGN_BLIND = frozenset(["+", "-", "*", "&", "|", "^", "==", "!="])
_SHIFTS = frozenset(["<<", ">>", "s>>"])


class PseudocodeError(InputError):
    """Malformed or ill-typed pseudocode; the message says what is wrong, ``column`` (from 1) where."""

    def __init__(self, message: str, column: int | None = None) -> None:
        super().__init__(message if column is None else f"{message} (column {column})")
        self.column = column


@cache
def _parser() -> Lark:
    grammar = (Path(__file__).parent / "pseudocode.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", propagate_positions=True)


def parse(
    text: str, known: Mapping[str, t.Type] | None = None, registers: Container[str] = OPERANDS
) -> tuple[t.Stmt, ...]:
    """Return the typed tree of the pseudocode ``text``, which may use the names in ``known``, with these types.

    ``registers`` are those that it may name.

    Raises:
        PseudocodeError: the text does not follow the grammar, has an unknown or unused name, or mixes widths.
    """
    try:
        block = _parser().parse(text)
    except UnexpectedInput as error:
        context = error.get_context(text, 12).split("\n")[0].strip()
        raise PseudocodeError(f"not pseudocode near {context!r}", error.column) from None
    elaborator = _Elaborator(known or {}, registers)
    statements = elaborator.block(block.children)
    if idle := elaborator.names.keys() - elaborator.used:
        name = elaborator.names[min(idle)]
        raise PseudocodeError(f"{name} is assigned, but nothing uses it", name.column)
    return statements


_RawNode = Tree[Token] | Token


class _Elaborator:
    """Types the parse tree of one row, statement after statement."""

    def __init__(self, known: Mapping[str, t.Type], registers: Container[str]) -> None:
        self.registers = registers
        self.locals = dict(known)
        self.names: dict[str, Token] = {}
        self.used: set[str] = set()

    def block(self, statements: list[_RawNode]) -> tuple[t.Stmt, ...]:
        return tuple(self.statement(cast("Tree[Token]", statement)) for statement in statements)

    # Statements

    def statement(self, raw: Tree[Token]) -> t.Stmt:
        method: Callable[..., t.Stmt] = getattr(self, "_do_" + raw.data.strip("_"))
        return method(*raw.children)

    def _do_assign(self, name: Token, raw: _RawNode) -> t.Stmt:
        if name in self.registers:
            value = self.expression(raw, t.U64)
            return t.Assign(t.Register(cast("t.RegisterName", str(name))), self._to_register(value, name))
        if name in FIELD_TYPES or name == "packet":
            raise PseudocodeError(f"{name} cannot be assigned", name.column)
        if name in self.locals:
            raise PseudocodeError(f"{name} is assigned twice", name.column)
        value = self.expression(raw)
        self.locals[str(name)] = value.type
        self.names[str(name)] = name
        return t.Assign(t.Local(str(name), value.type), value)

    def _to_register(self, value: t.Expr, at: Token) -> t.Expr:
        kind = value.type
        if kind.bits == 64:
            return value
        if kind.signed or kind is t.BOOL:
            raise PseudocodeError(f"a register holds 64 bits: say how {kind} is extended, with a cast", at.column)
        return t.Cast(t.U64, value)

    def _do_store(self, pointer: Tree[Token], raw: _RawNode) -> t.Stmt:
        kind, address = self._pointer(pointer)
        value = self.expression(raw, kind)
        if value.type.bits != kind.bits:
            raise PseudocodeError(f"{value.type} is stored as {kind}: cast it", pointer.meta.column)
        return t.Store(kind, address, value)

    def _do_jump(self, distance: _RawNode, condition: _RawNode | None = None) -> t.Stmt:
        test = None
        if condition is not None:
            test = self.expression(condition)
            self._need(test.type == t.BOOL, "a condition compares: write != 0", condition)
        return t.Jump(self._distance(distance), test)

    def _do_call_helper(self, kind: Token, number: _RawNode) -> t.Stmt:
        value = self.expression(number, t.S32)
        self._need(value.type == t.S32, f"{kind} takes s32, not {value.type}", number)
        return t.CallHelper("static" if kind == "helper_by_id" else "btf", value)

    def _do_call_local(self, distance: _RawNode) -> t.Stmt:
        return t.CallLocal(self._distance(distance))

    def _do_return(self) -> t.Stmt:
        return t.Return()

    def _do_lock(self, *statements: _RawNode) -> t.Stmt:
        body = self.block(list(statements))
        accesses = [n for n in t.walk(*body) if isinstance(n, t.Load | t.Store)]
        places = {(access.type, access.address) for access in accesses}
        if len(places) != 1 or len({type(access) for access in accesses}) != len(accesses):
            raise PseudocodeError("lock { } must read or write one place of memory, or read it and write it, each once")
        return t.Lock(body)

    def _distance(self, raw: _RawNode) -> t.Expr:
        value = _extended(self.expression(raw, t.S64))
        self._need(value.type == t.S64, f"a distance is s64, not {value.type}", raw)
        return value

    # Expressions

    def expression(self, raw: _RawNode, wanted: t.Type | None = None) -> t.Expr:
        """Type ``raw``; ``wanted`` is the type of a bare number."""
        assert isinstance(raw, Tree)
        method: Callable[..., t.Expr] = getattr(self, "_get_" + raw.data)
        return method(raw, wanted, *raw.children)

    def _get_name(self, raw: Tree[Token], wanted: t.Type | None, name: Token) -> t.Expr:
        text = str(name)
        if text in self.registers:
            return t.Register(cast("t.RegisterName", text))
        if text in FIELD_TYPES:
            return t.Field(cast("t.FieldName", text), FIELD_TYPES[text])
        if text in self.locals:
            self.used.add(text)
            return t.Local(text, self.locals[text])
        if t.PLATFORM_FUNCTIONS.get(text) == ():
            return t.Call(text, (), t.U64)
        raise PseudocodeError(f"unknown name {text!r}", name.column)

    def _get_number(self, raw: Tree[Token], wanted: t.Type | None, number: Token) -> t.Expr:
        if wanted is None:
            raise PseudocodeError(f"nothing tells the type of {number}: cast it", number.column)
        value = int(number, 0)
        if value > t.Type(False, wanted.bits).mask:
            raise PseudocodeError(f"{number} does not fit in {wanted}", number.column)
        return t.Const(value, wanted)

    def _get_cast(self, raw: Tree[Token], wanted: t.Type | None, kind: Token, value: _RawNode) -> t.Expr:
        target = t.INTEGER_TYPES[str(kind)]
        operand = self.expression(value, target)
        self._need(operand.type != t.BOOL, "a comparison has no number value", raw)
        return t.Cast(target, operand)

    def _get_negate(self, raw: Tree[Token], wanted: t.Type | None, value: _RawNode) -> t.Expr:
        return t.Negate(self.expression(value, wanted))

    def _get_load(self, raw: Tree[Token], wanted: t.Type | None, pointer: Tree[Token]) -> t.Expr:
        return t.Load(*self._pointer(pointer))

    def _get_binary(
        self, raw: Tree[Token], wanted: t.Type | None, left: _RawNode, op: Token, right: _RawNode
    ) -> t.Expr:
        a, b = self._operands(left, right, str(op), wanted)
        return t.Binary(str(op), a, b)

    def _get_compare(
        self, raw: Tree[Token], wanted: t.Type | None, left: _RawNode, op: Token, right: _RawNode
    ) -> t.Expr:
        return t.Compare(str(op), *self._operands(left, right, str(op), None))

    def _get_choose(
        self, raw: Tree[Token], wanted: t.Type | None, condition: _RawNode, then: _RawNode, otherwise: _RawNode
    ) -> t.Expr:
        test = self.expression(condition)
        self._need(test.type == t.BOOL, "a condition compares: write != 0", raw)
        a, b = self._pair(then, otherwise, wanted)
        self._need(a.type == b.type, f"the two arms are {a.type} and {b.type}", raw)
        return t.Choose(test, a, b)

    def _get_call(self, raw: Tree[Token], wanted: t.Type | None, name: Token, *args: _RawNode) -> t.Expr:
        text = str(name)
        if text in t.BYTE_ORDER_FUNCTIONS:
            result = t.Type(False, t.BYTE_ORDER_FUNCTIONS[text])
            parameters: tuple[t.Type, ...] = (result,)
        elif t.PLATFORM_FUNCTIONS.get(text):
            parameters, result = t.PLATFORM_FUNCTIONS[text], t.U64
        else:
            raise PseudocodeError(f"unknown function {text!r}", name.column)
        self._need(len(args) == len(parameters), f"{text} takes {len(parameters)} argument(s)", raw)
        values = tuple(self.expression(arg, kind) for arg, kind in zip(args, parameters, strict=True))
        for value, kind in zip(values, parameters, strict=True):
            self._need(value.type == kind, f"{text} takes {kind}, not {value.type}", raw)
        return t.Call(text, values, result)

    # Helpers

    def _pointer(self, pointer: Tree[Token]) -> tuple[t.Type, t.Expr]:
        kind, raw = pointer.children
        address = self._address(raw)
        self._need(address.type.bits == 64, f"an address has 64 bits, not {address.type.bits}", pointer)
        return t.INTEGER_TYPES[str(kind)], address

    def _address(self, raw: _RawNode) -> t.Expr:
        """Type pointer arithmetic: the terms of a sum, where fields are sign-extended."""
        if isinstance(raw, Tree) and raw.data == "binary" and raw.children[1] == "+":
            left, right = self._address(raw.children[0]), self._address(raw.children[2])
            self._need(left.type.bits == right.type.bits, f"{left.type} + {right.type}: operands differ in width", raw)
            return t.Binary("+", left, right)
        return _extended(self.expression(raw, t.U64))

    def _pair(self, left: _RawNode, right: _RawNode, wanted: t.Type | None) -> tuple[t.Expr, t.Expr]:
        """Type two expressions; a bare number takes the type of the other one."""
        if isinstance(left, Tree) and left.data == "number":
            b = self.expression(right, wanted)
            return self.expression(left, b.type), b
        a = self.expression(left, wanted)
        return a, self.expression(right, a.type)

    def _operands(self, left: _RawNode, right: _RawNode, op: str, wanted: t.Type | None) -> tuple[t.Expr, t.Expr]:
        a, b = self._pair(left, right, wanted)
        widths = f"{a.type} {op} {b.type}"
        self._need(t.BOOL not in (a.type, b.type), f"{widths}: operands must be numbers", left)
        self._need(a.type.bits == b.type.bits, f"{widths}: operands differ in width", left)
        signed = op.startswith("s")
        if op in _SHIFTS:
            self._need(op == "<<" or a.type.signed == signed, f"{widths}: wrong signedness for {op}", left)
        elif op not in _SIGN_BLIND:
            fits = a.type.signed == b.type.signed == signed
            self._need(fits, f"{widths}: wrong signedness for {op}", left)
        return a, b

    def _need(self, condition: bool, message: str, where: _RawNode) -> None:
        if not condition:
            column = where.column if isinstance(where, Token) else where.meta.column
            raise PseudocodeError(message, column)


def _extended(value: t.Expr) -> t.Expr:
    """Sign-extend an instruction field to 64 bits."""
    return t.Cast(t.S64, value) if isinstance(value, t.Field) else value
