# SPDX-License-Identifier: Apache-2.0
"""Faults in what a loader lets pass: a program that should be rejected becomes one that a careless loader would run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ...reference_vm.frames import FRAME_POINTER
from ...spec import tree as t
from ...spec.control import targets
from ...spec.encoding import Decoded, Slot, pack, slots_of
from ...spec.table import FIELD_RANGES, Fixed, Instruction, Isa
from .bench import Refusal
from .program_mutants import distance_field, leading

_LOW = (1 << 32) - 1
_PAGE_BYTES = 4096


class LoaderMutant(NamedTuple):
    """A runtime that loads what it should not; ``loads`` gives the program it runs, None if it would not load it."""

    what: str
    loads: Callable[[Refusal], bytes | None]


def loader_mutants(table: Isa) -> Iterator[LoaderMutant]:
    """Yield loaders that let pass what they should not."""
    exits = slots_of(_plain(table.by_name["EXIT"]))
    nothing = slots_of(_plain(table.by_name["JA"]))
    yield LoaderMutant("runs the empty program", lambda refusal: None if refusal.job.code else pack(exits))
    yield LoaderMutant("ignores bytes after the last slot", _truncated)
    yield LoaderMutant(
        "takes the end of the program for an exit", lambda r: _moved(r, lambda target, size: target, exits)
    )
    yield LoaderMutant("jumps past the end as if to an exit", _retargeting(min, exits))
    yield LoaderMutant(
        "jumps before the beginning as if to it", _retargeting(lambda target, size: max(target, 0), exits)
    )
    yield LoaderMutant(
        "jumps before the beginning as if to an exit",
        _retargeting(lambda target, size: size if target < 0 else target, exits),
    )
    yield LoaderMutant("jumps into second slots, taking them for nothing", _into_second(1, exits))
    yield LoaderMutant("jumps into second slots, taking them for the first", _into_second(-1, exits))
    yield LoaderMutant("takes a missing second slot for zeros", _completed(exits))
    yield LoaderMutant("looks at nothing but imm in second slots", _second_slots_cleared)
    yield LoaderMutant("passes over opcodes that it does not know", _passing_over(table, nothing))
    yield LoaderMutant("takes maps and variables that are not there for others", _naming_others)
    yield LoaderMutant("passes over calls of functions that are not there", _not_calling(nothing))
    for row in table.instructions:
        for name in ("dst", "src"):
            if name in row.writes and not isinstance(row.fields[name], Fixed):
                # What the instruction does to r10 does not matter here: it does nothing.
                yield LoaderMutant(f"lets {row.name} write r10 ({name})", _writing_r10(row, name, nothing))


def _plain(row: Instruction) -> Decoded:
    values = {name: rule.value for name, rule in row.fields.items() if isinstance(rule, Fixed)}
    return Decoded(row, **values)


def _truncated(refusal: Refusal) -> bytes | None:
    code = refusal.job.code
    return code[: len(code) // 8 * 8] if len(code) % 8 else None


_Target = Callable[[int, int], int]


def _retargeting(choose: _Target, more: tuple[Slot, ...]) -> Callable[[Refusal], bytes | None]:
    return lambda refusal: _moved(refusal, choose, more)


def _moved(refusal: Refusal, choose: _Target, more: tuple[Slot, ...]) -> bytes | None:
    """Return the program with ``more`` at its end, and jumps leading where ``choose`` says."""
    program = refusal.program
    if program is None:
        return None
    slots: list[Slot] = []
    for index, item in enumerate(program):
        if item is None:
            continue
        field = distance_field(item.instruction)
        if field is not None:
            ((_, target, _),) = targets(index, item)
            distance = choose(target, len(program)) - index - 1
            low, high = FIELD_RANGES[field]
            if not low <= distance <= high:
                return None
            slots += slots_of(leading(item, distance))
        else:
            slots += slots_of(item)
    return pack([*slots, *more])


def _into_second(by: int, more: tuple[Slot, ...]) -> Callable[[Refusal], bytes | None]:
    def loads(refusal: Refusal) -> bytes | None:
        program = refusal.program
        if program is None:
            return None
        return _moved(refusal, lambda to, size: to + by if 0 <= to < size and program[to] is None else to, more)

    return loads


def _completed(more: tuple[Slot, ...]) -> Callable[[Refusal], bytes | None]:
    def loads(refusal: Refusal) -> bytes | None:
        broken = refusal.broken
        if len(broken) != 1 or broken[0].error.rule != "missing-second-slot":
            return None
        return pack([*refusal.slots, Slot(0, 0, 0, 0, 0), *more])

    return loads


def _second_slots_cleared(refusal: Refusal) -> bytes | None:
    slots, changed = refusal.slots.copy(), False
    for broken in refusal.broken:
        if broken.second is not None and broken.error.slot == broken.index + 1:
            slots[broken.index + 1] = Slot(0, 0, 0, 0, broken.second.imm)
            changed = True
    return pack(slots) if changed else None


def _passing_over(table: Isa, instead: tuple[Slot, ...]) -> Callable[[Refusal], bytes | None]:
    def loads(refusal: Refusal) -> bytes | None:
        slots = refusal.slots.copy()
        unknown = [broken.index for broken in refusal.broken if broken.slot.opcode not in table.by_opcode]
        for index in unknown:
            slots[index : index + 1] = instead
        return pack(slots) if unknown else None

    return loads


def _naming_others(refusal: Refusal) -> bytes | None:
    """Return the program with map 0, and the first variable, in place of those that are not there."""
    if refusal.program is None:
        return None
    slots, job, changed = refusal.slots.copy(), refusal.job, False
    for index, item in enumerate(refusal.program):
        functions = (
            {n.name for n in t.walk(*item.instruction.means) if isinstance(n, t.Call)} if item is not None else set()
        )
        known = [variable.number for variable in job.variables] if "var_addr" in functions else range(len(job.maps))
        if functions & {"map_by_fd", "map_by_idx", "var_addr"} and item and item.imm not in known and known:
            slots[index] = slots[index]._replace(imm=known[0])
            changed = True
    return pack(slots) if changed else None


def _not_calling(instead: tuple[Slot, ...]) -> Callable[[Refusal], bytes | None]:
    def loads(refusal: Refusal) -> bytes | None:
        slots, changed = refusal.slots.copy(), False
        for index, item in enumerate(refusal.program or ()):
            if item is not None and any(isinstance(part, t.CallHelper) for part in item.instruction.means):
                slots[index : index + 1] = instead
                changed = True
        return pack(slots) if changed else None

    return loads


def _writing_r10(row: Instruction, name: str, instead: tuple[Slot, ...]) -> Callable[[Refusal], bytes | None]:
    def loads(refusal: Refusal) -> bytes | None:
        program = refusal.program
        if program is None:
            return None
        found = [
            index
            for index, item in enumerate(program)
            if item is not None and item.instruction is row and getattr(item, name) == FRAME_POINTER
        ]
        slots = refusal.slots.copy()
        for index in found:
            slots[index : index + row.slots] = instead * row.slots
        return pack(slots) if found else None

    return loads
