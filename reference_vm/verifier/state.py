# SPDX-License-Identifier: Apache-2.0
"""The abstract state at a program point: values of registers, and values spilled to the stacks.

A value is a set of numbers (:class:`.ranges.Range`), an address in a region (:class:`Pointer`), or :data:`ADDRESS`: any
number that depends on the addresses of memory, on which the result must not depend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

from . import ranges
from .ranges import Range


class Place(NamedTuple):
    """A region of memory: the stack of frame ``number``, the input, the values of a map, or a variable.

    A ``handle`` denotes a map and has no bytes. A ``value`` has none either: it is the symbolic value of a register at
    a loop header (:mod:`.bounds`); :data:`HALF` is its lower half.
    """

    kind: Literal["stack", "input", "map", "variable", "handle", "value"]
    number: int = 0

    def __str__(self) -> str:
        names = {
            "stack": f"the stack of frame {self.number}",
            "input": "the input memory",
            "map": f"the value of map {self.number}",
            "variable": f"variable {self.number}",
            "handle": f"map {self.number}",
            "value": "a value",
        }
        return names[self.kind]


#: A value of which only the lower 32 bits are followed.
HALF: Final = Place("value", 32)


class Pointer(NamedTuple):
    """Addresses ``offset`` bytes from the start of a region; of a stack, from its end, where R10 points."""

    place: Place
    offset: Range

    def __str__(self) -> str:
        return f"an address in {self.place} plus {self.offset}"


class Address(NamedTuple):
    """The type of :data:`ADDRESS`."""

    def __str__(self) -> str:
        return "a number that depends on where memory is"


ADDRESS: Final = Address()
Value: TypeAlias = Range | Pointer | Address


class Kept(NamedTuple):
    """A value spilled to ``size`` bytes of a stack, at ``offset`` from its end; other bytes hold numbers."""

    offset: int
    size: int
    value: Value


Stack: TypeAlias = "tuple[Kept, ...]"


@dataclass(frozen=True, slots=True)
class State:
    """Registers R0 to R10; the stack of each frame, and R6 to R9 of each caller."""

    registers: tuple[Value, ...]
    stacks: tuple[Stack, ...]
    preserved: tuple[tuple[Value, ...], ...] = ()

    def size(self) -> int:
        """Return the number of values."""
        return len(self.registers) + sum(map(len, self.stacks)) + sum(map(len, self.preserved))


# Values


def includes(a: Value, b: Value) -> bool:
    """Whether ``a`` includes ``b``."""
    if isinstance(a, Range):
        return isinstance(b, Range) and ranges.includes(a, b)
    if isinstance(a, Pointer):
        return isinstance(b, Pointer) and a.place == b.place and ranges.includes(a.offset, b.offset)
    return True


def _combine(a: Value, b: Value, combine: Callable[[Range, Range], Range]) -> Value:
    if a is b or a == b:
        return a
    if isinstance(a, Range) and isinstance(b, Range):
        return combine(a, b)
    if isinstance(a, Pointer) and isinstance(b, Pointer) and a.place == b.place:
        return Pointer(a.place, combine(a.offset, b.offset))
    return ADDRESS


# Stacks


def _overlap(kept: Kept, low: int, high: int) -> bool:
    return kept.offset < high and low < kept.offset + kept.size


def load(stack: Stack, low: int, high: int, size: int) -> Value:
    """Return the value of ``size`` bytes somewhere between offsets ``low`` and ``high``."""
    found = [kept for kept in stack if _overlap(kept, low, high)]
    for kept in found:
        if (kept.offset, kept.size) == (low, size) and high == low + size:
            return kept.value
    if any(not isinstance(kept.value, Range) for kept in found):
        return ADDRESS
    return ranges.anything(8 * size)


def store(stack: Stack, low: int, high: int, size: int, value: Value) -> Stack | None:
    """Return the stack with ``size`` bytes somewhere between offsets ``low`` and ``high`` changed.

    None if that cannot be tracked: an address is stored at an unknown offset, or part of one may be overwritten.
    """
    exact = high == low + size
    if not exact and not isinstance(value, Range):
        return None
    new: list[Kept] = []
    for kept in stack:
        if not _overlap(kept, low, high):
            new.append(kept)
        elif not isinstance(kept.value, Range):
            if not exact:
                return None
            for start, end in ((kept.offset, low), (high, kept.offset + kept.size)):
                if start < end:
                    new.append(Kept(start, end - start, ADDRESS))
    if exact:
        new.append(Kept(low, size, value))
    return tuple(sorted(new, key=_place_of))


def _place_of(kept: Kept) -> tuple[int, int]:
    return kept[:2]


def unknown(stack: Stack) -> Stack:
    """Return the stack after a store to an unknown address, which may have overwritten any value."""
    return tuple(kept._replace(value=ADDRESS) for kept in stack if not isinstance(kept.value, Range))


def _stack_includes(a: Stack, b: Stack) -> bool:
    theirs = {_place_of(kept): kept.value for kept in b}
    ours = {_place_of(kept): kept.value for kept in a}
    for place, value in ours.items():
        if not isinstance(value, Address) and (place not in theirs or not includes(value, theirs[place])):
            return False
    return all(
        isinstance(value, Range) or (place in ours and includes(ours[place], value)) for place, value in theirs.items()
    )


def _stacks_combined(a: Stack, b: Stack, combine: Callable[[Range, Range], Range]) -> Stack:
    if a == b:
        return a
    first = {_place_of(kept): kept.value for kept in a}
    second = {_place_of(kept): kept.value for kept in b}
    new: list[Kept] = []
    for offset, size in sorted(first.keys() | second.keys()):
        pair = [values[offset, size] for values in (first, second) if (offset, size) in values]
        value = _combine(pair[0], pair[1], combine) if len(pair) == 2 else pair[0]
        if len(pair) == 1:
            if isinstance(value, Range):
                continue
            value = ADDRESS
        new.append(Kept(offset, size, value))
    tainted = [kept for kept in new if not isinstance(kept.value, Range)]
    if not tainted:
        return tuple(new)
    return tuple(
        kept
        for kept in new
        if not isinstance(kept.value, Range)
        or not any(_overlap(other, kept.offset, kept.offset + kept.size) for other in tainted)
    )


# States


def state_includes(a: State, b: State) -> bool:
    """Whether ``a`` includes ``b``; both have the same frames."""
    if a is b:
        return True
    return (
        all(map(includes, a.registers, b.registers))
        and all(map(_stack_includes, a.stacks, b.stacks))
        and all(all(map(includes, x, y)) for x, y in zip(a.preserved, b.preserved, strict=True))
    )


def _combined(a: State, b: State, combine: Callable[[Range, Range], Range]) -> State:
    def values(x: Iterable[Value], y: Iterable[Value]) -> tuple[Value, ...]:
        return tuple(_combine(v, w, combine) for v, w in zip(x, y, strict=True))

    return State(
        values(a.registers, b.registers),
        tuple(_stacks_combined(x, y, combine) for x, y in zip(a.stacks, b.stacks, strict=True)),
        tuple(values(x, y) for x, y in zip(a.preserved, b.preserved, strict=True)),
    )


def joined(a: State, b: State) -> State:
    """Return the join of two states."""
    return _combined(a, b, ranges.join)


def widened(old: State, new: State, stops: Sequence[int]) -> State:
    """Return the widening of ``old`` by ``new``."""
    return _combined(old, new, lambda a, b: ranges.widen(a, b, stops))


def returned(state: State) -> State:
    """Return the state after a return: the innermost stack is gone, R6 to R10 are the caller's."""
    depth = len(state.stacks) - 1

    def alive(value: Value) -> Value:
        return ADDRESS if isinstance(value, Pointer) and value.place == ("stack", depth) else value

    registers = [*map(alive, state.registers[:6]), *state.preserved[-1]]
    stacks = tuple(tuple(kept._replace(value=alive(kept.value)) for kept in stack) for stack in state.stacks[:-1])
    registers.append(Pointer(Place("stack", depth - 1), ranges.known(0)))
    return State(tuple(registers), stacks, state.preserved[:-1])


def called(state: State) -> State:
    """Return the state at the entry of a called function."""
    registers = (*state.registers[:10], Pointer(Place("stack", len(state.stacks)), ranges.known(0)))
    return State(registers, (*state.stacks, ()), (*state.preserved, state.registers[6:10]))
