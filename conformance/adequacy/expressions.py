# SPDX-License-Identifier: Apache-2.0
"""Faults in one expression.

:func:`edits` yields replacements of the same type for one node; :func:`.build.places` applies it to all nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ...spec import tree as t
from .build import (
    DIVISIONS,
    SHIFTS,
    Edit,
    both,
    coerce,
    complement,
    const,
    falsehood,
    negation,
    reversed_bytes,
    through,
    truth,
)

#: Operators that replace each other.
_OPERATORS = (
    ("+", "-", "|", "^"),
    ("&", "|", "^", "+"),
    ("/", "s/", "%", "s%", "*"),
    ("*", "+"),
    ("<<", ">>", "s>>"),
)
_REPLACEMENTS = {
    op: tuple(dict.fromkeys(other for ops in _OPERATORS if op in ops for other in ops if other != op))
    for op in t.ARITHMETIC
}
_NARROW = (8, 16, 32)
#: The beginning of the names of mutants that access memory at aligned addresses only.
ALIGNS = "aligns the address"


def edits(expression: t.Expr) -> Iterator[Edit]:
    """Yield faulty replacements for ``expression`` itself (not for its children), each of the same type."""
    maker: Callable[..., Iterator[Edit]] = _MAKERS[type(expression)]
    for label, new in maker(expression):
        if new != expression:
            yield label, coerce(expression.type, new)


def _cast(cast_: t.Cast) -> Iterator[Edit]:
    kind, value = cast_.type, cast_.value
    if kind.bits > value.type.bits:
        swapped = t.Type(not value.type.signed, value.type.bits)
        extends = "zero-extends" if value.type.signed else "sign-extends"
        yield f"{extends} {_name(value)} from {value.type.bits} bits", through(value, swapped, kind)
        yield from _narrowed(value, value.type.bits, kind)
    if kind.bits < value.type.bits:
        yield from _narrowed(value, kind.bits, kind)
        upper = t.Binary(">>", coerce(t.Type(False, value.type.bits), value), const(kind.bits, value.type))
        yield f"takes the upper bits of {_name(value)}", t.Cast(kind, upper)
    if isinstance(value, t.Cast) and value.value.type.bits > value.type.bits:
        yield f"drops the cast to {value.type}", coerce(kind, value.value)


def _narrowed(value: t.Expr, below: int, kind: t.Type) -> Iterator[Edit]:
    for bits in _NARROW:
        if bits < below:
            yield f"zero-extends {_name(value)} from {bits} bits", through(value, t.Type(False, bits), kind)
            yield f"sign-extends {_name(value)} from {bits} bits", through(value, t.Type(True, bits), kind)


def _register(register: t.Register) -> Iterator[Edit]:
    name = register.name
    yield f"zero-extends {name} from 32 bits", through(register, t.U32, t.U64)
    yield f"sign-extends {name} from 32 bits", through(register, t.S32, t.S64)
    yield f"takes the upper half of {name}", t.Binary(">>", register, const(32, t.U64))
    yield f"reads 0 for {name}", const(0, t.U64)
    others: tuple[t.RegisterName, ...] = ("dst", "src", "r0", "r10")
    for other in others:
        if other != name:
            yield f"reads {other} for {name}", t.Register(other)


def _field(field: t.Field) -> Iterator[Edit]:
    name, kind = field.name, field.type
    yield f"reads 0 for {name}", const(0, kind)
    yield f"{name} is one too high", t.Binary("+", field, const(1, kind))
    yield f"{name} is one too low", t.Binary("-", field, const(1, kind))
    yield f"negates {name}", t.Negate(field)
    yield from _narrowed(field, kind.bits, kind)
    # Immediates of other machines: 12 bits (arm64, riscv), 20 bits (s390x, riscv), 15, and 31 bits.
    for bits in (12, 15, 20, 31):
        if bits < kind.bits:
            gap = const(kind.bits - bits, kind)
            signed = t.Binary("s>>", t.Binary("<<", field, gap), gap)
            yield f"sign-extends {name} from {bits} bits", signed
            yield f"zero-extends {name} from {bits} bits", t.Binary("&", field, const((1 << bits) - 1, kind))
    for bit in range(kind.bits):
        yield f"loses bit {bit} of {name}", t.Binary("&", field, const(~(1 << bit), kind))
    yield f"reads {name} in the other byte order", coerce(kind, reversed_bytes(field))


def _const(number: t.Const) -> Iterator[Edit]:
    value, kind = number.value, number.type
    yield f"{value + 1} for {value}", const(value + 1, kind)
    yield f"{value - 1} for {value}", const(value - 1, kind)
    if value & (value + 1) == 0 and value:  # a mask
        yield f"mask {value >> 1} for {value}", const(value >> 1, kind)
        yield f"mask {value << 1 | 1} for {value}", const(value << 1 | 1, kind)
        yield f"mask 255 for {value}", const(255, kind)


def _local(local: t.Local) -> Iterator[Edit]:
    yield f"reads 0 for {local.name}", const(0, local.type)
    yield f"reads src for {local.name}", coerce(local.type, t.Register("src"))
    yield f"reads r0 for {local.name}", coerce(local.type, t.Register("r0"))
    yield from _narrowed(local, local.type.bits, local.type)


def _negate(negate: t.Negate) -> Iterator[Edit]:
    value = negate.value
    yield "does not negate", value
    yield "complements instead of negating", complement(value)
    signed = coerce(t.Type(True, value.type.bits), value)
    yield "negates negative numbers only", t.Choose(t.Compare("s<", signed, const(0, signed.type)), negate, value)
    yield "negates positive numbers only", t.Choose(t.Compare("s>", signed, const(0, signed.type)), negate, value)


def _binary(binary: t.Binary) -> Iterator[Edit]:
    op, left, right = binary.op, binary.left, binary.right
    # The address that a platform chooses decides whether an addition to it carries.
    placed = isinstance(left, t.Call) and left.name in t.PLATFORM_FUNCTIONS
    placed = placed or (isinstance(left, t.Binary) and isinstance(left.left, t.Call))
    for other in () if placed else _REPLACEMENTS[op]:
        yield f"{other} for {op}", t.Binary(other, left, right)
    yield f"swaps the operands of {op}", t.Binary(op, right, left)
    yield f"gives the left operand of {op}", left
    yield f"gives the right operand of {op}", right
    if op in SHIFTS:
        yield from _shift(binary)
    elif op in ("+", "-", "*") and binary.type.bits == 64 and not isinstance(right, t.Const) and not placed:
        yield from _halves(binary)
    elif op in ("s/", "s%"):
        yield from _signed_division(binary)
    elif op == "&":
        yield "clears the bits of the right operand", t.Binary("&", left, complement(right))
    elif op == "|":
        yield "| for one operand complemented", t.Binary("|", left, complement(right))


def _shift(binary: t.Binary) -> Iterator[Edit]:
    op, left, right, width = binary.op, binary.left, binary.right, binary.type.bits
    if isinstance(right, t.Const):
        return
    unmasked = right.left if isinstance(right, t.Binary) and right.op == "&" else right
    byte = t.Binary("&", unmasked, const(255, unmasked.type))
    yield "shifts by the amount unmasked", t.Binary(op, left, unmasked)
    yield "shifts by the low byte of the amount", t.Binary(op, left, byte)
    yield (
        "shifts by the amount, at most by the width less one",
        t.Binary(op, left, t.Choose(t.Compare("<", byte, const(width, byte.type)), byte, const(width - 1, byte.type))),
    )
    yield "rotates", _rotated(binary)
    zero = t.Compare("==", t.Binary("&", unmasked, const(width - 1, unmasked.type)), const(0, unmasked.type))
    yield "takes a shift by 0 for one by the width", t.Choose(zero, const(0, left.type), binary)
    wide = t.Compare(">", coerce(t.Type(False, unmasked.type.bits), unmasked), const(width - 1, unmasked.type))
    yield "does not shift if the amount is too wide", t.Choose(wide, left, binary)
    if width == 64:
        amount = t.Binary("&", unmasked, const(31, unmasked.type))
        yield "shifts across halves by less than 32 only", t.Binary(op, left, amount)


def _rotated(binary: t.Binary) -> t.Expr:
    op, left, right = binary.op, coerce(t.Type(False, binary.type.bits), binary.left), binary.right
    width = const(binary.type.bits, right.type)
    other = t.Binary("&", t.Binary("-", width, right), const(binary.type.bits - 1, right.type))
    forth, back = ("<<", ">>") if op == "<<" else (">>", "<<")
    return t.Binary("|", t.Binary(forth, left, right), t.Binary(back, left, other))


def _halves(binary: t.Binary) -> Iterator[Edit]:
    """Faults of 64-bit arithmetic that is composed of 32-bit halves."""
    op, left, right = binary.op, coerce(t.U64, binary.left), coerce(t.U64, binary.right)
    low_left, low_right = through(left, t.U32, t.U64), through(right, t.U32, t.U64)
    high_left, high_right = (t.Binary(">>", side, const(32, t.U64)) for side in (left, right))
    if op == "*":
        yield "multiplies the low halves only", t.Binary("*", low_left, low_right)
        signed = t.Binary("*", through(left, t.S32, t.S64), through(right, t.S32, t.S64))
        yield "multiplies the low halves only, signed", signed
        for label, term in (
            ("low by high", t.Binary("*", low_left, high_right)),
            ("high by low", t.Binary("*", high_left, low_right)),
        ):
            yield f"loses the product {label}", t.Binary("-", binary, t.Binary("<<", term, const(32, t.U64)))
        return
    low = through(t.Binary(op, left, right), t.U32, t.U64)
    high = t.Binary("<<", t.Binary(op, high_left, high_right), const(32, t.U64))
    yield "loses the carry between halves", t.Binary("|", high, low)


def _signed_division(binary: t.Binary) -> Iterator[Edit]:
    op, left, right = binary.op, binary.left, binary.right
    kind = t.Type(True, binary.type.bits)
    remainder = t.Binary("s%", left, right)
    zero = const(0, kind)
    differ = t.Compare("s<", coerce(kind, t.Binary("^", left, right)), zero)
    inexact = both(differ, t.Compare("!=", remainder, const(0, remainder.type)))
    minimum, minus_one = const(1 << (kind.bits - 1), kind), const(-1, kind)
    overflow = both(t.Compare("==", coerce(kind, left), minimum), t.Compare("==", coerce(kind, right), minus_one))
    negative = t.Compare("s<", coerce(kind, left), zero)
    divisor_negative = t.Compare("s<", coerce(kind, right), zero)
    nowhere = coerce(binary.type, t.Load(t.U64, const(0, t.U64)))
    yield f"faults for INT_MIN {op} -1", t.Choose(overflow, nowhere, binary)
    if op == "s/":
        yield "rounds towards minus infinity", t.Choose(inexact, t.Binary("-", binary, const(1, kind)), binary)
        yield "gives 0 for INT_MIN / -1", t.Choose(overflow, const(0, binary.type), binary)
        yield "saturates INT_MIN / -1", t.Choose(overflow, const((1 << (kind.bits - 1)) - 1, binary.type), binary)
        yield "loses the sign of the quotient", t.Choose(differ, t.Negate(binary), binary)
        yield "ignores a negative divisor", t.Choose(divisor_negative, t.Negate(binary), binary)
        yield "ignores a negative dividend", t.Choose(negative, t.Negate(binary), binary)
    else:
        yield "takes the sign of the divisor", t.Choose(inexact, t.Binary("+", binary, right), binary)
        yield "gives INT_MIN for INT_MIN % -1", t.Choose(overflow, left, binary)
        yield "gives -1 for INT_MIN % -1", t.Choose(overflow, const(-1, binary.type), binary)
        yield "is never negative", t.Choose(negative, t.Negate(binary), binary)
        yield "flips the sign for a negative divisor", t.Choose(divisor_negative, t.Negate(binary), binary)
    yield (
        "divides through -1 as if through 1",
        t.Choose(
            t.Compare("==", coerce(kind, right), minus_one), left if op == "s/" else const(0, binary.type), binary
        ),
    )


def _compare(compare: t.Compare) -> Iterator[Edit]:
    op, left, right = compare.op, compare.left, compare.right
    for other in t.COMPARISONS:
        if other != op:
            yield f"{other} for {op}", t.Compare(other, left, right)
    yield f"swaps the operands of {op}", t.Compare(op, right, left)
    yield f"{op} always holds", truth()
    yield f"{op} never holds", falsehood()
    bits = left.type.bits
    signed, unsigned = t.Type(True, bits), t.Type(False, bits)
    difference = t.Binary("-", left, right)
    if "<" in op or ">" in op:
        ordered = difference if "<" in op else t.Binary("-", right, left)
        sign: t.Expr = t.Compare("s<", coerce(signed, ordered), const(0, signed))
        if "=" in op:
            sign = negation(t.Compare("s<", coerce(signed, t.Negate(ordered)), const(0, signed)))
        yield f"{op} looks at the sign of the difference only", sign
    yield from _compared_wide(compare)
    if isinstance(left, t.Binary) and left.op == "&" and op == "!=":
        yield "looks for all bits, not any", t.Compare("==", left, left.right)
    if bits == 64:
        low = tuple(through(side, t.U32) for side in (left, right))
        high = tuple(coerce(t.U32, t.Binary(">>", coerce(unsigned, side), const(32, t.U64))) for side in (left, right))
        equal_high = t.Compare("==", *high)
        yield f"{op} compares the low halves only", t.Compare(op, *low)
        yield f"{op} compares the high halves only", t.Compare(op, *high)
        if op not in ("==", "!="):
            signed_low = t.Compare(f"s{op.removeprefix('s')}", *low)
            yield f"{op} compares the low halves as signed", t.Choose(equal_high, signed_low, t.Compare(op, *high))


def _compared_wide(compare: t.Compare) -> Iterator[Edit]:
    """Compare whole registers where the row compares their low parts."""
    sides = (compare.left, compare.right)
    if not any(isinstance(side, t.Cast) and side.value.type.bits > side.type.bits for side in sides):
        return
    for label, extension in (("zero", t.U64), ("sign", t.S64)):
        wide = []
        for side in sides:
            if isinstance(side, t.Cast) and side.value.type.bits == t.U64.bits:
                wide.append(side.value)
            else:
                narrow = t.Type(extension.signed, side.type.bits)
                wide.append(through(side, narrow, extension))
        yield f"{compare.op} compares whole registers, {label}-extending the rest", t.Compare(compare.op, *wide)


def _choose(choose: t.Choose) -> Iterator[Edit]:
    yield "always takes the first arm", choose.then
    yield "always takes the second arm", choose.otherwise
    yield "swaps the arms", t.Choose(choose.condition, choose.otherwise, choose.then)
    if any(isinstance(node, t.Binary) and node.op in DIVISIONS for node in t.walk(choose.then)):
        kind = choose.type
        for label, value in (("all ones", const(-1, kind)), ("1", const(1, kind)), ("0", const(0, kind))):
            yield f"gives {label} for a divisor of 0", t.Choose(choose.condition, choose.then, value)
        nowhere = coerce(kind, t.Load(t.U64, const(0, t.U64)))
        yield "faults for a divisor of 0", t.Choose(choose.condition, choose.then, nowhere)
        dividend = coerce(kind, t.Register("dst"))
        yield "gives the dividend for a divisor of 0", t.Choose(choose.condition, choose.then, dividend)


def _load(load: t.Load) -> Iterator[Edit]:
    kind = load.type
    for bits in (8, 16, 32, 64):
        if bits < kind.bits:
            yield f"loads {bits} bits, zero-extended", coerce(kind, t.Load(t.Type(False, bits), load.address))
            yield f"loads {bits} bits, sign-extended", coerce(kind, t.Load(t.Type(True, bits), load.address))
    if kind.bits > t.U8.bits:
        yield "loads in the other byte order", reversed_bytes(load)
    if kind.bits == t.U64.bits:
        halves = t.Binary("|", t.Binary("<<", load, const(32, kind)), t.Binary(">>", load, const(32, kind)))
        yield "loads with the halves swapped", halves
    for byte in range(kind.bits // 8):
        yield f"loses byte {byte} of what it loads", t.Binary("&", load, const(~(255 << 8 * byte), kind))
    yield from ((label, t.Load(kind, address)) for label, address in wrong_addresses(load.address, kind.bits // 8))
    yield "gives 0 instead of loading", const(0, kind)
    yield "gives the address instead of loading", coerce(kind, load.address)


def wrong_addresses(address: t.Expr, size: int) -> Iterator[Edit]:
    """Yield wrong addresses near that of a datum of ``size`` bytes."""
    for by in sorted({-8, -1, 1, 8, -size, size}):
        yield f"accesses memory {by:+d} bytes away", t.Binary("+", address, const(by, address.type))
    for mask in (1, 3, 7):
        if mask < size:
            aligned = t.Binary("&", address, const(~mask, address.type))
            yield f"{ALIGNS} to {mask + 1} bytes", aligned
    fields = [node for node in t.walk(address) if isinstance(node, t.Cast) and isinstance(node.value, t.Field)]
    for field in fields:
        scaled = t.Binary("+", address, t.Binary("*", coerce(t.U64, field), const(size - 1, t.U64)))
        yield "scales the offset by the size", scaled
        twice = t.Binary("+", address, coerce(t.U64, field))
        yield "adds the offset twice", twice


def _call(call: t.Call) -> Iterator[Edit]:
    name, args = call.name, call.args
    if name in t.BYTE_ORDER_FUNCTIONS:
        width = t.BYTE_ORDER_FUNCTIONS[name]
        for other, bits in t.BYTE_ORDER_FUNCTIONS.items():
            if other == name:
                continue
            kind = t.Type(False, bits)
            whole = args[0].value if isinstance(args[0], t.Cast) else args[0]
            yield f"{other} for {name}", t.Call(other, (coerce(kind, whole),), kind)
            if bits < width:
                upper = t.Binary("&", args[0], const(~kind.mask, call.type))
                swapped = coerce(call.type, t.Call(other, (coerce(kind, whole),), kind))
                yield f"{name} swaps the low {bits} bits only", t.Binary("|", upper, swapped)
                pieces = t.Binary("<<", args[0], const(width // 2, call.type))
                rest = t.Binary(">>", args[0], const(width // 2, call.type))
                if bits == width // 2:
                    yield f"{name} swaps halves, not bytes", t.Binary("|", pieces, rest)
        yield f"{name} does nothing", args[0]
    elif name.startswith("map_by"):
        other = "map_by_idx" if name == "map_by_fd" else "map_by_fd"
        yield f"{other} for {name}", t.Call(other, args, call.type)
        yield f"gives the number instead of {name}", coerce(call.type, args[0])
    elif args:
        yield f"gives the argument instead of {name}", coerce(call.type, args[0])
        if name == "var_addr":
            yield f"code_addr for {name}", t.Call("code_addr", args, call.type)
        elif name == "code_addr":
            yield f"var_addr for {name}", t.Call("var_addr", args, call.type)


_MAKERS: dict[type[t.Node], Callable[..., Iterator[Edit]]] = {
    t.Cast: _cast,
    t.Register: _register,
    t.Field: _field,
    t.Const: _const,
    t.Local: _local,
    t.Negate: _negate,
    t.Binary: _binary,
    t.Compare: _compare,
    t.Choose: _choose,
    t.Load: _load,
    t.Call: _call,
}


def _name(value: t.Expr) -> str:
    match value:
        case t.Register(name) | t.Field(name) | t.Local(name):
            return name
        case t.Cast(_, inner):
            return _name(inner)
        case t.Load():
            return "the loaded value"
    return "the result"
