# SPDX-License-Identifier: Apache-2.0
"""Features of program points: what the context of an instruction is, as far as the program tells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Literal, NamedTuple

from ...spec.control import target_of
from ...spec.facts import Kind, facts
from ...spec.table import Instruction
from ..frames import FRAME_POINTER, PRESERVED
from .fields import LABELS, labels
from .kinds import DEMANDING, KINDS, ORIGINS, demanding, kind_of, origin_of, uses
from .points import Point

_SIZES: Final = (1024, 4096, 32768)


class Feature(NamedTuple):
    """A property of program points: all ``values`` that it may have, and ``of``, which yields those of a point."""

    what: str
    values: tuple[str, ...]
    of: Callable[[Point], Iterable[str]]


def _before(point: Point) -> Iterator[str]:
    yield from _kind(point, point.around.before(point.slot))


def _after(point: Point) -> Iterator[str]:
    yield from _kind(point, point.around.after(point.slot))


def _second_after(point: Point) -> Iterator[str]:
    after = point.around.after(point.slot)
    if after is not None:
        yield from _kind(point, point.around.after(after))


def _kind(point: Point, slot: int | None) -> Iterator[str]:
    item = point.around.item(slot)
    if item is not None:
        yield kind_of(item.instruction)


def _used_by(point: Point) -> Iterator[str]:
    item = point.around.item(next(point.around.forward(point.slot), None))
    if item is not None and uses(point.item).writes & uses(item).reads:
        yield kind_of(item.instruction)


def _fed_by(point: Point) -> Iterator[str]:
    if point.around.falls_into(point.slot):
        item = point.around.item(point.around.before(point.slot))
        if item is not None and uses(item).writes & uses(point.item).reads:
            yield kind_of(item.instruction)


def _block(point: Point) -> Iterator[str]:
    if point.around.begins_block(point.slot):
        yield "first"
    if point.around.ends_block(point.slot):
        yield "last"


def _reached(point: Point) -> Iterator[str]:
    arrivals = point.around.arrivals.get(point.slot, ())
    if any(arrival.is_call for arrival in arrivals):
        yield "a call"
    jumps = [arrival.source for arrival in arrivals if not arrival.is_call]
    if any(source < point.slot for source in jumps):
        yield "a forward jump"
    if any(source >= point.slot for source in jumps):
        yield "a backward jump"
    if jumps and point.around.falls_into(point.slot):
        yield "a jump and the instruction before"


def _slot(point: Point) -> Iterator[str]:
    if point.slot == 0:
        yield "0"
    yield from (f"from {size}" for size in _SIZES if point.slot >= size)


def _size(point: Point) -> Iterator[str]:
    yield from (f"more than {size} slots" for size in _SIZES if len(point.around.program) > size)


def _function(point: Point) -> Iterator[str]:
    """The last instruction of a function, or the one before its exit, in front of another function."""
    after = point.around.after(point.slot)
    following = point.around.item(after)
    if after is not None and following is not None and facts(following.instruction).kind is Kind.EXIT:
        after = point.around.after(after)
    if after is not None and any(arrival.is_call for arrival in point.around.arrivals.get(after, ())):
        yield "its end, before another function"


def _imm(point: Point) -> Iterable[str]:
    return labels(point.item.imm) if is_number_of(point.item.instruction, "imm") else ()


def _offset(point: Point) -> Iterable[str]:
    return labels(point.item.offset) if is_number_of(point.item.instruction, "offset") else ()


def is_number_of(row: Instruction, name: str) -> bool:
    """Whether the field ``name`` of ``row`` is a number, not a distance, nor the name of something."""
    if name not in row.operands or facts(row).kind in (Kind.ADDRESS, Kind.HELPER, Kind.CALL, Kind.JUMP):
        return False
    return name == "imm" or facts(row).kind is not Kind.CONDITION


def _distance(point: Point) -> Iterable[str]:
    target = target_of(point.slot, point.item)
    return () if target is None else labels(target - point.slot - 1)


def _bank(number: int) -> str:
    if number == FRAME_POINTER:
        return "r10"
    return "r6 to r9" if number >= PRESERVED.start else "r0 to r5"


def _dst(point: Point) -> Iterator[str]:
    if "dst" in point.item.instruction.operands:
        yield _bank(point.item.dst)


def _src(point: Point) -> Iterator[str]:
    if "src" in point.item.instruction.operands:
        yield _bank(point.item.src)


def _registers(point: Point) -> Iterator[str]:
    if {"dst", "src"} <= set(point.item.instruction.operands):
        yield "one" if point.item.dst == point.item.src else "two"


def _origin(point: Point, name: Literal["dst", "src"]) -> Iterator[str]:
    row = point.item.instruction
    if name in row.reads and name in row.operands:
        at = point.around.definition(point.slot, point.item.register(name))
        item = point.around.item(at)
        yield "unknown" if item is None else origin_of(item.instruction)


def _first(point: Point) -> Iterator[str]:
    yield from _origin(point, "dst")


def _second(point: Point) -> Iterator[str]:
    yield from _origin(point, "src")


def _operand_across(point: Point) -> Iterator[str]:
    for register in uses(point.item).reads - {FRAME_POINTER}:
        at = point.around.definition(point.slot, register)
        if at is not None:
            yield from _passed(point, at, point.slot)


def _result_across(point: Point) -> Iterator[str]:
    for register in uses(point.item).writes:
        at = point.around.first_use(point.slot, register)
        if at is not None:
            yield from _passed(point, point.slot, at)


def _passed(point: Point, first: int, last: int) -> Iterator[str]:
    """Yield what is between two slots and may use registers of its own."""
    for slot in range(first + 1, last):
        item = point.around.item(slot)
        name = None if item is None else demanding(item.instruction)
        if name is not None:
            yield name


_BANKS: Final = ("r0 to r5", "r6 to r9", "r10")

#: The features that the program alone tells, by name.
FEATURES: Final[Mapping[str, Feature]] = {
    "before": Feature("the kind of the instruction before", KINDS, _before),
    "after": Feature("the kind of the instruction after", KINDS, _after),
    "second after": Feature("the kind of the instruction after that", KINDS, _second_after),
    "used by": Feature("the kind of the next instruction, which reads the result", KINDS, _used_by),
    "fed by": Feature("the kind of the instruction before, whose result it reads", KINDS, _fed_by),
    "block": Feature("the place in the basic block", ("first", "last"), _block),
    "reached by": Feature(
        "how control reaches it",
        ("a call", "a forward jump", "a backward jump", "a jump and the instruction before"),
        _reached,
    ),
    "slot": Feature("its slot", ("0", *(f"from {size}" for size in _SIZES)), _slot),
    "program": Feature("the size of the program", tuple(f"more than {size} slots" for size in _SIZES), _size),
    "function": Feature("the place in the function", ("its end, before another function",), _function),
    "imm": Feature("the immediate", LABELS, _imm),
    "offset": Feature("the offset of a memory access", LABELS, _offset),
    "distance": Feature("the distance of a jump or call, in slots", LABELS, _distance),
    "dst": Feature("the first register", _BANKS, _dst),
    "src": Feature("the second register", _BANKS, _src),
    "registers": Feature("whether they are one register or two", ("one", "two"), _registers),
    "first operand": Feature("where the value of dst comes from", (*ORIGINS, "unknown"), _first),
    "second operand": Feature("where the value of src comes from", (*ORIGINS, "unknown"), _second),
    "operand across": Feature("what is between an operand's definition and it", DEMANDING, _operand_across),
    "result across": Feature("what is between it and the first use of its result", DEMANDING, _result_across),
}
