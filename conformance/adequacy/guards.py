# SPDX-License-Identifier: Apache-2.0
"""Faults that only some operands reveal.

A JIT compiler selects code by register numbers, by the size of immediates and offsets, and for special values. Each of
these mutants is wrong for one such selection only: a vector must meet its condition to notice it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TypeAlias, cast

from ...reference_vm.contexts.fields import Comparison, Condition, FieldName
from ...spec import tree as t
from ...spec.facts import Kind, facts
from ...spec.table import Instruction, Operand
from .build import SHIFTS, both, coerce, const, in_statements, negation
from .mutant import WRITABLE, Mutant
from .statements import Means, disturbed

_STACK_POINTER = 10
_PACKET_CONTEXT = 6
_Test: TypeAlias = tuple[Comparison, int]
_IMMEDIATES: tuple[_Test, ...] = (
    ("==", 0), ("==", 1), ("==", -1), ("==", 2), ("==", -(1 << 31)), ("==", (1 << 31) - 1), ("==", 127), ("==", 128),
    ("==", -128), ("==", -129), ("==", 255), ("==", 256), ("==", 2047), ("==", 2048), ("==", -2048), ("==", -2049),
    ("==", 4095), ("==", 4096), (">", 4096), ("==", 32767), ("==", 32768), ("==", -32768), ("==", -32769),
    ("==", 65535), ("==", 65536), (">", 65536), ("<", 0), ("<", -32769),
)  # fmt: skip
_OFFSETS: tuple[_Test, ...] = (
    ("==", 0), ("==", 1), ("==", -1), ("==", 127), ("==", 128), ("==", -128), ("==", -129), ("==", 255), ("==", 256),
    ("==", -256), ("==", -257), ("==", 2047), ("==", 2048), ("==", -2048), ("==", -2049), ("==", 4095), ("==", 4096),
    ("==", 32767), ("==", -32768), ("<", 0), (">", 0),
)  # fmt: skip
#: For jump distances, sizes matter more than exact numbers.
_JUMP_OFFSETS: tuple[_Test, ...] = (
    ("==", 0), ("==", 1), ("==", -1), (">", 127), ("<", -128), (">", 255), (">", 2047), ("<", -2048),
    (">", 4095), ("<", -4096), ("==", 32767), ("==", -32768), ("<", 0), (">", 0),
)  # fmt: skip
_JUMP_IMMEDIATES: tuple[_Test, ...] = (
    ("==", 0), ("==", 1), ("==", -1), (">", 127), ("<", -128), (">", 255), (">", 2047), ("<", -2048),
    (">", 32767), ("<", -32768), ("<", 0), (">", 0),
)  # fmt: skip
_UPPER_HALVES: tuple[_Test, ...] = (("==", 0), ("<", 0), ("==", -1), (">", 0))


def guarded(row: Instruction) -> Iterator[Mutant]:
    """Yield mutants of ``row`` that are wrong for some encodings, and for some values of operands."""
    effects = [change for change in in_statements(row.means, disturbed) if change[1]]
    for label, means in effects:
        for when in (*_register_guards(row), *_field_guards(row)):
            yield Mutant(row, "only for some encodings", label, means, when)
    yield from _by_value(row)
    yield from _by_address(row)


def _numbers(row: Instruction, name: FieldName) -> Iterable[int]:
    """Return the register numbers that a program can use in the field: R10 cannot be written.

    In packet access R6 and R10 hold addresses, which are not indices.
    """
    if facts(row).kind is Kind.PACKET:
        return [number for number in range(WRITABLE) if number != _PACKET_CONTEXT]
    return range(WRITABLE if name in row.writes else _STACK_POINTER + 1)


def _register_guards(row: Instruction) -> Iterator[tuple[Condition, ...]]:
    """Yield each register in each role, and each pair of registers."""
    names = [name for name in row.operands if name in ("dst", "src")]
    if len(names) == 1:
        for number in _numbers(row, cast("FieldName", names[0])):
            yield (Condition(cast("FieldName", names[0]), "==", number),)
    elif names:
        for dst in _numbers(row, "dst"):
            for src in _numbers(row, "src"):
                yield Condition("dst", "==", dst), Condition("src", "==", src)


def _field_guards(row: Instruction) -> Iterator[tuple[Condition, ...]]:
    jumps = any(isinstance(statement, t.Jump | t.CallLocal) for statement in row.means)
    # A jump to itself that is always taken does not terminate.
    endless = any(isinstance(statement, t.Jump) and statement.condition is None for statement in row.means)
    if isinstance(row.fields["offset"], Operand):
        for test in _JUMP_OFFSETS if jumps else _OFFSETS:
            if not endless or test != ("==", -1):
                yield (Condition("offset", *test),)
        if not jumps:
            yield (Condition("offset", "==", 1, mask=7),)
    if isinstance(row.fields["imm"], Operand):
        distance = jumps and not isinstance(row.fields["offset"], Operand)
        mask = _shift_mask(row)
        if mask:
            for amount in range(mask + 1):
                yield (Condition("imm", "==", amount, mask=mask),)
            yield (Condition("imm", ">", mask),)
            yield (Condition("imm", "<", 0),)
        elif not any(isinstance(statement, t.CallHelper) for statement in row.means) and not _imm_is_reference(row):
            for test in _JUMP_IMMEDIATES if distance else _IMMEDIATES:
                if not (distance and endless) or test != ("==", -1):
                    yield (Condition("imm", *test),)
    if isinstance(row.fields.get("next_imm"), Operand):
        for test in _UPPER_HALVES:
            yield (Condition("next_imm", *test),)
        if not _imm_is_reference(row):
            yield Condition("next_imm", "==", 0), Condition("imm", "<", 0)
            yield Condition("next_imm", "==", -1), Condition("imm", "<", 0)
            yield Condition("next_imm", "==", -1), Condition("imm", ">", 0)


def _imm_is_reference(row: Instruction) -> bool:
    """Whether imm is the number of a map, a variable or a place in the code."""
    return any(
        isinstance(node, t.Call) and node.name in t.PLATFORM_FUNCTIONS and node.args for node in t.walk(*row.means)
    )


def _shift_mask(row: Instruction) -> int:
    for node in t.walk(*row.means):
        if isinstance(node, t.Binary) and node.op in SHIFTS and isinstance(node.right, t.Binary):
            assert isinstance(node.right.right, t.Const)
            return node.right.right.value
    return 0


_Value: TypeAlias = tuple[str, t.Expr]


def _by_value(row: Instruction) -> Iterator[Mutant]:
    """Yield mutants that are wrong for special operand values."""
    tests = list(_value_tests(row))
    if not tests:
        return
    # The first effect that is computed from the operands is enough.
    for label, condition in tests:
        for what, means in in_statements(row.means, partial(_disturbed_if, condition=condition)):
            yield Mutant(row, "only for some values", f"{what} if {label}", means)
            break


def _disturbed_if(statement: t.Stmt, condition: t.Expr) -> Iterator[tuple[str, Means]]:
    for what, new in disturbed(statement):
        match statement, new:
            case t.Assign(target, right), (t.Assign(_, wrong),):
                yield what, (t.Assign(target, t.Choose(condition, wrong, coerce(wrong.type, right))),)
            case t.Store(kind, address, right), (t.Store(_, _, wrong),):
                yield what, (t.Store(kind, address, t.Choose(condition, wrong, coerce(wrong.type, right))),)
            case t.Jump(distance, holds), _ if holds is not None:
                yield what, (t.Jump(distance, t.Choose(condition, negation(holds), holds)),)


def _value_tests(row: Instruction) -> Iterator[_Value]:
    operands = _operands(row)
    shift = _shift_mask(row)
    for name, (value, bits) in operands.items():
        if shift and name == "src":
            yield from _amounts(value, bits, shift)
        else:
            for number in _values(bits):
                yield f"{name} is {_shown(number, bits)}", t.Compare("==", value, const(number, value.type))
        if bits == t.U32.bits:
            upper = t.Binary("s>>", coerce(t.S64, t.Register(name)), const(bits, t.U64))
            yield f"the upper half of {name} is not 0", t.Compare("!=", upper, const(0, t.S64))
            yield f"the upper half of {name} is all ones", t.Compare("==", upper, const(-1, t.S64))
    names = list(operands)
    if len(names) == 2 and not shift:
        (left, bits), (right, _) = (operands[name] for name in names)
        yield f"{names[0]} equals {names[1]}", t.Compare("==", left, coerce(left.type, right))
        yield from _pairs(names, left, right, bits)
    elif names and isinstance(row.fields["imm"], Operand) and not shift:
        left, bits = operands[names[0]]
        imm = coerce(left.type, t.Field("imm", t.S32))
        yield f"{names[0]} equals imm", t.Compare("==", left, imm)
        yield from _pairs([names[0], "imm"], left, imm, bits)


def _pairs(names: Sequence[str], left: t.Expr, right: t.Expr, bits: int) -> Iterator[_Value]:
    special = (0, 1, -1, 1 << (bits - 1), (1 << (bits - 1)) - 1)
    reachable = special if names[1] != "imm" or bits <= t.U32.bits else (0, 1, -1, -(1 << 31), (1 << 31) - 1)
    for a in special:
        for b in reachable:
            label = f"{names[0]} is {_shown(a, bits)} and {names[1]} is {_shown(b, bits)}"
            yield label, both(t.Compare("==", left, const(a, left.type)), t.Compare("==", right, const(b, right.type)))


def _amounts(value: t.Expr, bits: int, mask: int) -> Iterator[_Value]:
    masked = t.Binary("&", value, const(mask, value.type))
    for amount in range(mask + 1):
        yield f"the shift is by {amount}", t.Compare("==", masked, const(amount, value.type))
    unsigned = coerce(t.Type(False, bits), value)
    yield "the shift amount is too wide", t.Compare(">", unsigned, const(mask, unsigned.type))
    for low in (8, 16, 32):
        if low < bits:
            low_part = t.Binary("&", unsigned, const((1 << low) - 1, unsigned.type))
            fits = t.Compare("<", low_part, const(mask + 1, unsigned.type))
            beyond = t.Compare(">", unsigned, const((1 << low) - 1, unsigned.type))
            yield f"the shift amount is too wide, its low {low} bits are not", both(fits, beyond)


def _values(bits: int) -> list[int]:
    """Boundary values of a width, as section 4.1's operations have them."""
    numbers = {0, 1, 2, -1, 0x5555555555555555, 0xAAAAAAAAAAAAAAAA}
    for edge in (7, 8, 15, 16, 31, 32, 63):
        if edge < bits:
            numbers |= {(1 << edge) - 1, 1 << edge, (1 << edge) + 1}
    for sign in (7, 15, 31, 63):
        if sign < bits:
            numbers |= {-(1 << sign), -(1 << sign) - 1}
    mask = (1 << bits) - 1
    return sorted({number & mask for number in numbers})


def _shown(number: int, bits: int) -> str:
    number &= (1 << bits) - 1
    signed = t.Type(True, bits).wrap(number)
    return str(signed) if -1000 < signed < 1000 else hex(number)


def _operands(row: Instruction) -> dict[t.RegisterName, tuple[t.Expr, int]]:
    """Return the registers whose values the row computes with (not addresses): the value at its width, the width."""
    names: tuple[t.RegisterName, ...] = ("dst", "src", "r0")
    widths: dict[str, int] = {}
    for node, parent in _values_read(row.means):
        narrow = isinstance(parent, t.Cast) and parent.type.bits < t.U64.bits
        bits = parent.type.bits if narrow and isinstance(parent, t.Cast) else t.U64.bits
        widths[node.name] = max(bits, widths.get(node.name, 0))
    return {
        name: (coerce(t.Type(False, widths[name]), t.Register(name)), widths[name]) for name in names if name in widths
    }


def _values_read(means: Means) -> Iterator[tuple[t.Register, t.Node | None]]:
    def visit(node: t.Node, parent: t.Node | None) -> Iterator[tuple[t.Register, t.Node | None]]:
        if isinstance(node, t.Register):
            yield node, parent
        for child in t.children(node):
            is_address = isinstance(node, t.Load | t.Store) and child is node.address
            is_target = isinstance(node, t.Assign) and child is node.target
            if not is_address and not is_target:
                yield from visit(child, node)

    for statement in means:
        yield from visit(statement, None)


def _by_address(row: Instruction) -> Iterator[Mutant]:
    """Yield mutants that are wrong for some alignments, and for some values in memory."""
    accesses = [n for n in t.walk(*row.means) if isinstance(n, t.Load | t.Store)]
    if not accesses:
        return
    access = accesses[0]
    size = access.type.bits // 8
    atomic = any(isinstance(statement, t.Lock) for statement in row.means)
    tests = []
    for place in range(0, 8, size if atomic else 1):
        low = t.Binary("&", access.address, const(7, t.U64))
        tests.append((f"the address is {place} modulo 8", t.Compare("==", low, const(place, t.U64))))
    value = next((n for n in accesses if isinstance(n, t.Load)), None)
    if value is not None:
        loaded: t.Expr = value
        if atomic:
            first = cast("t.Lock", row.means[0]).body[0]
            if isinstance(first, t.Assign) and isinstance(first.target, t.Local):
                loaded = first.target
        for number in (0, -1, 1 << (value.type.bits - 1), (1 << (value.type.bits - 1)) - 1):
            label = f"memory holds {_shown(number, value.type.bits)}"
            tests.append((label, t.Compare("==", loaded, const(number, loaded.type))))
    for label, condition in tests:
        for what, means in in_statements(row.means, partial(_disturbed_if, condition=condition)):
            yield Mutant(row, "only for some values", f"{what} if {label}", means)
