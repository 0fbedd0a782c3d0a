# SPDX-License-Identifier: Apache-2.0
"""Faults of loaders that accept a program that must be rejected, and run another program in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

from ...reference_vm.frames import FRAME_POINTER
from ...spec import tree as t
from ...spec.control import targets
from ...spec.encoding import Decoded, Slot, pack, slots_of
from ...spec.table import FIELD_RANGES, Fixed, Instruction, Isa
from .bench import Refusal
from .program_mutants import distance_field, leading

#: Returns the program that a loader runs in place of one that must be rejected; None if it rejects it.
_Loads: TypeAlias = Callable[[Refusal], bytes | None]


class LoaderMutant(NamedTuple):
    """A runtime that loads programs that must be rejected."""

    what: str
    loads: _Loads


def loader_mutants(table: Isa) -> Iterator[LoaderMutant]:
    """Yield loaders that accept programs that must be rejected."""
    exits = slots_of(_plain(table.by_name["EXIT"]))
    nothing = slots_of(_plain(table.by_name["JA"]))
    yield LoaderMutant("runs the empty program", lambda refusal: None if refusal.job.code else pack(exits))
    yield LoaderMutant("ignores bytes after the last slot", _truncated)
    yield LoaderMutant("takes the end of the program for an exit", _retargeting(lambda target, size: target, exits))
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
    yield LoaderMutant("passes over calls of functions that are not there", _without(_calls_helper, nothing))
    for row in table.instructions:
        for name in ("dst", "src"):
            if name in row.writes and not isinstance(row.fields[name], Fixed):
                # The instruction is replaced by one without an effect: the value of r10 does not matter here.
                yield LoaderMutant(f"lets {row.name} write r10 ({name})", _without(_writes_r10(row, name), nothing))


def _plain(row: Instruction) -> Decoded:
    values = {name: rule.value for name, rule in row.fields.items() if isinstance(rule, Fixed)}
    return Decoded(row, **values)


def _truncated(refusal: Refusal) -> bytes | None:
    code = refusal.job.code
    return code[: len(code) // 8 * 8] if len(code) % 8 else None


_Target: TypeAlias = Callable[[int, int], int]


def _retargeting(choose: _Target, more: tuple[Slot, ...]) -> _Loads:
    return lambda refusal: _moved(refusal, choose, more)


def _moved(refusal: Refusal, choose: _Target, more: tuple[Slot, ...]) -> bytes | None:
    """Return the program with ``more`` at its end, and the targets of jumps chosen by ``choose``."""
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


def _into_second(by: int, more: tuple[Slot, ...]) -> _Loads:
    def loads(refusal: Refusal) -> bytes | None:
        program = refusal.program or ()
        return _moved(refusal, lambda to, size: to + by if 0 <= to < size and program[to] is None else to, more)

    return loads


def _completed(more: tuple[Slot, ...]) -> _Loads:
    def loads(refusal: Refusal) -> bytes | None:
        if [broken.error.rule for broken in refusal.broken] != ["missing-second-slot"]:
            return None
        return pack([*refusal.slots, Slot(0, 0, 0, 0, 0), *more])

    return loads


def _second_slots_cleared(refusal: Refusal) -> bytes | None:
    return refusal.replaced(
        {
            broken.index + 1: (Slot(0, 0, 0, 0, broken.second.imm),)
            for broken in refusal.broken
            if broken.second is not None and broken.error.slot == broken.index + 1
        }
    )


def _passing_over(table: Isa, instead: tuple[Slot, ...]) -> _Loads:
    return lambda refusal: refusal.replaced(
        {broken.index: instead for broken in refusal.broken if broken.slot.opcode not in table.by_opcode}
    )


def _naming_others(refusal: Refusal) -> bytes | None:
    """Return the program with map 0, and the first variable, in place of missing ones."""
    job, changes = refusal.job, {}
    for index, item in _items(refusal):
        functions = {node.name for node in t.walk(*item.instruction.means) if isinstance(node, t.Call)}
        known = [variable.number for variable in job.variables] if "var_addr" in functions else range(len(job.maps))
        if functions & {"map_by_fd", "map_by_idx", "var_addr"} and item.imm not in known and known:
            changes[index] = slots_of(item._replace(imm=known[0]))
    return refusal.replaced(changes)


def _without(concerned: Callable[[Decoded], bool], nothing: tuple[Slot, ...]) -> _Loads:
    """Return a loader that replaces instructions by ones without an effect."""
    return lambda refusal: refusal.replaced(
        {index: nothing * item.instruction.slots for index, item in _items(refusal) if concerned(item)}
    )


def _calls_helper(item: Decoded) -> bool:
    return any(isinstance(part, t.CallHelper) for part in item.instruction.means)


def _writes_r10(row: Instruction, name: str) -> Callable[[Decoded], bool]:
    return lambda item: item.instruction is row and getattr(item, name) == FRAME_POINTER


def _items(refusal: Refusal) -> Iterator[tuple[int, Decoded]]:
    """Yield the instructions of a program that decodes, with their slots."""
    for index, item in enumerate(refusal.program or ()):
        if item is not None:
            yield index, item
