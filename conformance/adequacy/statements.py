# SPDX-License-Identifier: Apache-2.0
"""Faults in statements: effects omitted, repeated, on a wrong target or in the wrong order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias, cast

from ...spec import tree as t
from .build import Edit, coerce, complement, const, falsehood, negation, renamed, reversed_bytes, through, truth
from .expressions import wrong_addresses
from .widths import results, widths

Means: TypeAlias = tuple[t.Stmt, ...]
Change: TypeAlias = tuple[str, Means]


def changes(statement: t.Stmt) -> Iterator[Change]:
    """Yield faulty replacements for ``statement``."""
    match statement:
        case t.Assign(t.Register() as target, value):
            yield f"does not write {target.name}", ()
            yield from _assigned(target, value)
        case t.Store():
            yield "does not store", ()
            yield from _stored(statement)
        case t.Jump(distance, condition):
            yield from _jumped(distance, condition)
        case t.CallHelper(by, number):
            yield "does not call", ()
            other: Literal["btf", "static"] = "btf" if by == "static" else "static"
            yield f"calls by {other} id", (t.CallHelper(other, number),)
        case t.CallLocal(distance):
            yield "does not call", ()
            yield "jumps instead of calling", (t.Jump(distance),)
            yield from ((label, (t.CallLocal(new),)) for label, new in distances(distance))
        case t.Return():
            yield "does not return", ()
            result = t.Register("r0")
            yield "sign-extends r0 from 32 bits", (t.Assign(result, through(result, t.S32, t.S64)), statement)
            yield "gives r1 for r0", (t.Assign(result, t.Register("r1")), statement)


def _assigned(target: t.Register, value: t.Expr) -> Iterator[Change]:
    for label, new in widths(value):
        yield label, (t.Assign(target, new),)
    others: tuple[t.RegisterName, ...] = ("src", "dst", "r0")
    for other in others:
        if other != target.name:
            register = t.Register(other)
            yield f"writes {other} for {target.name}", (t.Assign(register, value),)
            yield f"also writes {other}", (t.Assign(target, value), t.Assign(register, target))
    if target.name != "dst" and value.type.bits == t.U64.bits and isinstance(value, t.Cast):
        kept = t.Binary("&", target, const(-1 << 32, t.U64))
        low = through(value, t.U32, t.U64)
        yield f"keeps the upper half of {target.name}", (t.Assign(target, t.Binary("|", kept, low)),)


def _stored(store: t.Store) -> Iterator[Change]:
    kind, address, value = store.type, store.address, store.value
    for bits in (8, 16, 32, 64):
        other = t.Type(kind.signed, bits)
        if bits < kind.bits:
            yield f"stores {bits} bits only", (t.Store(other, address, coerce(other, value)),)
        elif bits > kind.bits:
            whole = value.value if isinstance(value, t.Cast) else value
            yield f"stores {bits} bits", (t.Store(other, address, coerce(other, whole)),)
    size = kind.bits // 8
    if kind.bits > t.U8.bits:
        yield "stores in the other byte order", (t.Store(kind, address, coerce(kind, reversed_bytes(value))),)
    for byte in range(size):
        lost = t.Binary("&", value, const(~(255 << 8 * byte), kind))
        yield f"loses byte {byte} of what it stores", (t.Store(kind, address, coerce(kind, lost)),)
    for label, new in wrong_addresses(address, size):
        yield label, (t.Store(kind, new, value),)
    for where, by in (("before", -1), ("after", size)):
        neighbour = t.Binary("+", address, const(by, address.type))
        # Two values: one of them differs from that of the adjacent byte.
        for byte in (0, 255):
            spill = t.Store(t.U8, neighbour, const(byte, t.U8))
            yield f"writes {byte} to the byte {where}", (store, spill)
    names: tuple[t.RegisterName, ...] = ("dst", "src")
    for name in names:
        register = t.Register(name)
        if any(node == register for node in t.walk(address)):
            yield f"writes the address back to {name}", (store, t.Assign(register, address))


def _jumped(distance: t.Expr, condition: t.Expr | None) -> Iterator[Change]:
    for label, new in distances(distance):
        yield label, (t.Jump(new, condition),)
    if condition is None:
        yield "does not jump", ()
        return
    yield "jumps if the condition does not hold", (t.Jump(distance, negation(condition)),)
    yield "always jumps", (t.Jump(distance, truth()),)
    yield "never jumps", (t.Jump(distance, falsehood()),)


def distances(distance: t.Expr) -> Iterator[Edit]:
    """Yield wrong distances; those with a wrong cast or field are edits of expressions."""
    for by in (-1, 1):
        yield f"jumps {by:+d} slots away", t.Binary("+", distance, const(by, t.S64))
    yield "jumps twice as far", t.Binary("+", distance, distance)
    yield "jumps in units of bytes", t.Binary("s>>", distance, const(3, t.S64))


def disorder(means: Means) -> Iterator[Change]:
    """Yield ``means`` with the effects of adjacent statements in the other order."""
    for index in range(len(means) - 1):
        first, second = means[index], means[index + 1]
        bound = {first.target} if isinstance(first, t.Assign) and isinstance(first.target, t.Local) else set()
        if not any(node in bound for node in t.walk(second)):
            yield "writes in the other order", (*means[:index], second, first, *means[index + 2 :])
    for index, statement in enumerate(means):
        if isinstance(statement, t.Lock):
            for label, body in (*disorder(statement.body), *_atomic(statement.body)):
                yield label, (*means[:index], t.Lock(body), *means[index + 1 :])


def _atomic(body: Means) -> Iterator[Change]:
    """Yield faults of read-modify-write: the fetched value, the order, the value written back."""
    match body:
        case (t.Assign() as loaded, t.Store() as store, *rest):
            old = loaded.target
        case _:
            return
    back = [statement for statement in rest if isinstance(statement, t.Assign)]
    names: tuple[t.RegisterName, ...] = ("src", "r0")
    for name in names:
        register = t.Register(name)
        if not any(statement.target == register for statement in back):
            yield f"fetches into {name}", (*body, t.Assign(register, coerce(t.U64, old)))
    for statement in back:
        others = [s for s in rest if s is not statement]
        fetched = t.Cast(t.U64, t.Load(store.type, store.address))
        yield "fetches the new value", (loaded, store, *others, t.Assign(statement.target, fetched))
        # The register is written first: the stored value is computed from its new value.
        yield "fetches before it computes", (loaded, statement, store, *others)
        for label, value in results(old):
            if store.type.bits < t.U64.bits:
                into = t.Assign(statement.target, renamed(value, {"dst": statement.target}))
                yield f"fetched: {label}", (loaded, store, *others, into)
        if isinstance(store.value, t.Choose):
            yield from _exchange(loaded, store, statement)


def _exchange(loaded: t.Assign, store: t.Store, back: t.Assign) -> Iterator[Change]:
    """Faults of compare-and-exchange."""
    choose = store.value
    assert isinstance(choose, t.Choose)
    equal, register = choose.condition, cast("t.Register", back.target)
    yield "writes R0 only if it differs", (loaded, store, t.Assign(register, t.Choose(equal, register, back.value)))
    yield "writes R0 only if it is equal", (loaded, store, t.Assign(register, t.Choose(equal, back.value, register)))
    yield "fetches into src", (loaded, store, t.Assign(t.Register("src"), back.value))
    flag = t.Choose(equal, const(1, t.U64), const(0, t.U64))
    yield "gives R0 whether it exchanged", (loaded, store, t.Assign(register, flag))
    yield "gives R0 the new value", (loaded, store, t.Assign(register, coerce(t.U64, store.value)))
    dst = t.Assign(t.Register("dst"), back.value)
    yield "fetches into dst", (loaded, store, dst)


def aliased(means: Means) -> Iterator[Change]:
    """Yield forms that write dst before they read src: wrong if the two are the same register."""
    match means:
        case (t.Assign(t.Register("dst") as dst, value),) if any(n == t.Register("src") for n in t.walk(value)):
            before = t.Local("before", t.U64)
            result = t.Assign(dst, renamed(value, {"dst": before}))
            yield "clears dst first", (t.Assign(before, dst), t.Assign(dst, const(0, t.U64)), result)
            yield "copies src to dst first", (t.Assign(dst, t.Register("src")), t.Assign(dst, value))


def disturbed(statement: t.Stmt) -> Iterator[Change]:
    """Yield ``statement`` with an effect that is wrong for all operands."""
    match statement:
        case t.Assign(t.Register() as target, value):
            yield f"writes {target.name} wrong", (t.Assign(target, complement(coerce(t.U64, value))),)
        case t.Store(kind, address, value):
            yield "stores wrong", (t.Store(kind, address, complement(value)),)
        case t.Jump(distance, None):
            yield "jumps wrong", (t.Jump(t.Binary("+", distance, const(1, t.S64))),)
        case t.Jump(distance, condition):
            assert condition is not None
            yield "jumps wrong", (t.Jump(distance, negation(condition)),)
        case t.CallHelper() | t.CallLocal():
            yield "does not call", ()
