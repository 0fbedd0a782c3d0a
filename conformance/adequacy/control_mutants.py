# SPDX-License-Identifier: Apache-2.0
"""Faults that no single row has: in local calls and returns, in counting slots, and in what a loader lets pass.

A :class:`FrameMutant` stands in for the discipline of local calls, a :class:`ProgramMutant` changes instructions of a
program that is right, a :class:`LoaderMutant` makes a program that should be rejected into the one that a careless
loader would run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ...reference_vm.faults import FaultKind, Trap
from ...reference_vm.frames import FRAME_BYTES, FRAME_POINTER, MAX_FRAMES, PRESERVED, Frame, Frames
from ...reference_vm.memory import Region
from ...spec import tree as t
from ...spec.control import control_of, targets
from ...spec.encoding import Decoded, Program, Slot, pack, slots_of
from ...spec.table import FIELD_RANGES, Fixed, Instruction, Isa
from .bench import Case, Refusal

_LOW = (1 << 32) - 1
_PAGE_BYTES = 4096


class FrameMutant(NamedTuple):
    """A runtime with a faulty discipline of local calls."""

    what: str
    frames: type[Frames]


class ProgramMutant(NamedTuple):
    """A runtime that takes some instructions of a program for others; ``change`` gives them by slot."""

    what: str
    row: str
    change: Callable[[Case], Mapping[int, Decoded]]


class LoaderMutant(NamedTuple):
    """A runtime that loads what it should not; ``loads`` gives the program it runs, None if it would not load it."""

    what: str
    loads: Callable[[Refusal], bytes | None]


# Local calls


def frame_mutants() -> Iterator[FrameMutant]:
    """Yield faulty disciplines of local calls and returns."""
    yield FrameMutant("an exit in a function ends the program", _made(leave=lambda self, registers: None))
    for by in (-1, 1):
        yield FrameMutant(f"returns {by:+d} slots away", _returning(_away(by)))
    yield FrameMutant("returns to the first caller", _returning(lambda self, back: self.log[0]))
    yield FrameMutant("has one place for the return address", _returning(lambda self, back: self.log[-1]))
    for number in range(PRESERVED.start, PRESERVED.stop):
        yield FrameMutant(f"does not restore r{number}", _restoring(_left(number)))
        yield FrameMutant(f"clears r{number} on return", _restoring(_set(number, lambda value: 0)))
        yield FrameMutant(f"loses the upper half of r{number} on return", _restoring(_set(number, _lower)))
        yield FrameMutant(f"restores r{number} as it was at the first call", _restoring(_first(number)))
    yield FrameMutant("restores r6 to r9 in the other order", _restoring(_reversed))
    yield FrameMutant("does not restore r10", _restoring(_left(FRAME_POINTER)))
    yield FrameMutant("clears r0 on return", _restoring(_set(0, lambda value: 0)))
    yield FrameMutant("gives back the r0 from before the call", _restoring(_r0_from_before))
    for number in (FRAME_POINTER, FRAME_BYTES, FRAME_BYTES // 2, 8):
        if number == FRAME_POINTER:
            yield FrameMutant("does not switch the frame", _entering(_same_frame))
        else:
            yield FrameMutant(f"puts frames {number} bytes apart in one stack", _entering(_overlapping(number)))
    for when, fault in (("on entry", _entering(_wiped)), ("on return", _restoring(_wiped_back))):
        yield FrameMutant(f"wipes the caller's stack {when}", fault)
    for depth in range(1, MAX_FRAMES):
        yield FrameMutant(f"has room for {depth} frames", _limited(depth))


def stack_mutants() -> Iterator[FrameMutant]:
    """Yield stacks that are too small, or not where r10 says."""
    for size in (FRAME_BYTES - 8, FRAME_BYTES // 2, 64):
        yield FrameMutant(f"has a stack of {size} bytes", _stacked(size, 0))
    for by in (-8, -1, 1, 8):
        yield FrameMutant(f"r10 is {by:+d} bytes from the end of the stack", _stacked(FRAME_BYTES, by))


def boundless_mutants() -> Iterator[FrameMutant]:
    """Yield machines without a limit that they should have: programs that should be stopped go on."""
    yield FrameMutant("never runs out of frames", _limited(sys.maxsize))
    yield FrameMutant("has memory at address 0", _made(enter_program=_with_first_page))


def _stacked(size: int, by: int) -> type[Frames]:
    def push_stack(self: Frames) -> int:
        Frames.push_stack(self)
        right = self.stacks.pop()
        self.memory.remove(right)
        self.stacks.append(self.memory.add(Region(right.name, right.base, bytearray(size))))
        return self.stacks[-1].end + by

    return _made(push_stack=push_stack)


class _Logging(Frames):
    """Remembers what it has been asked to keep."""

    def __init__(self, memory: Any) -> None:
        super().__init__(memory)
        self.log: list[int] = []
        self.kept: list[Frame] = []
        self.r0 = 0

    def enter(self, registers: list[int], return_to: int) -> None:
        super().enter(registers, return_to)
        self.log.append(return_to)
        self.kept.append(self.saved[-1])
        self.r0 = registers[0]


def _made(**methods: Callable[..., Any]) -> type[Frames]:
    """Return a class of frames with other methods."""
    return type("FaultyFrames", (_Logging,), methods)


def _returning(choose: Callable[[_Logging, int], int]) -> type[Frames]:
    def leave(self: _Logging, registers: list[int]) -> int | None:
        back = Frames.leave(self, registers)
        return None if back is None else choose(self, back)

    return _made(leave=leave)


def _away(by: int) -> Callable[[_Logging, int], int]:
    return lambda self, back: back + by


def _restoring(damage: Callable[[_Logging, list[int], list[int]], None]) -> type[Frames]:
    """Return frames that damage registers on return: ``damage`` gets them as before and as they should be."""

    def leave(self: _Logging, registers: list[int]) -> int | None:
        before = registers.copy()
        back = Frames.leave(self, registers)
        if back is not None:
            damage(self, before, registers)
        return back

    return _made(leave=leave)


def _left(number: int) -> Callable[[_Logging, list[int], list[int]], None]:
    def damage(self: _Logging, before: list[int], registers: list[int]) -> None:
        registers[number] = before[number]

    return damage


def _set(number: int, change: Callable[[int], int]) -> Callable[[_Logging, list[int], list[int]], None]:
    def damage(self: _Logging, before: list[int], registers: list[int]) -> None:
        registers[number] = change(registers[number])

    return damage


def _lower(value: int) -> int:
    return value & _LOW


def _first(number: int) -> Callable[[_Logging, list[int], list[int]], None]:
    def damage(self: _Logging, before: list[int], registers: list[int]) -> None:
        registers[number] = self.kept[0].preserved[number - PRESERVED.start]

    return damage


def _reversed(self: _Logging, before: list[int], registers: list[int]) -> None:
    registers[PRESERVED] = registers[PRESERVED][::-1]


def _r0_from_before(self: _Logging, before: list[int], registers: list[int]) -> None:
    registers[0] = self.r0


def _wiped_back(self: _Logging, before: list[int], registers: list[int]) -> None:
    self.stacks[-1].data[:] = bytes(FRAME_BYTES)


def _entering(damage: Callable[[_Logging, list[int]], None]) -> type[Frames]:
    def enter(self: _Logging, registers: list[int], return_to: int) -> None:
        _Logging.enter(self, registers, return_to)
        damage(self, registers)

    return _made(enter=enter)


def _same_frame(self: _Logging, registers: list[int]) -> None:
    registers[FRAME_POINTER] = self.saved[-1].frame_pointer


def _overlapping(apart: int) -> Callable[[_Logging, list[int]], None]:
    def damage(self: _Logging, registers: list[int]) -> None:
        registers[FRAME_POINTER] = self.saved[-1].frame_pointer - apart

    return damage


def _wiped(self: _Logging, registers: list[int]) -> None:
    self.stacks[-2].data[:] = bytes(FRAME_BYTES)


def _with_first_page(self: _Logging, registers: list[int]) -> None:
    Frames.enter_program(self, registers)
    page = bytearray(_PAGE_BYTES)
    self.memory.regions[0] = Region("the first page", 0, page)
    self.memory.readable[0] = self.memory.writable[0] = page


def _limited(depth: int) -> type[Frames]:
    def enter(self: Frames, registers: list[int], return_to: int) -> None:
        if len(self.stacks) >= depth:
            raise Trap(FaultKind.CALL_DEPTH, f"a call would need more than {depth} frames")
        self.saved.append(Frame(return_to, registers[PRESERVED], registers[FRAME_POINTER]))
        registers[FRAME_POINTER] = self.push_stack()

    return _made(enter=enter)


# Programs that are right


def program_mutants(table: Isa) -> Iterator[ProgramMutant]:
    """Yield faults in finding the targets of jumps and calls."""
    for row in table.instructions:
        if distance_field(row) is not None:
            yield ProgramMutant("counts instructions, not slots", row.name, _counting(row))


def distance_field(row: Instruction) -> str | None:
    """Return the field that holds the distance of a jump or call, if the row is one."""
    return next((one.field for one in control_of(row).references if one.kind != "code address"), None)


def _leading(item: Decoded, distance: int) -> Decoded:
    """Return a jump or call over another distance."""
    if distance_field(item.instruction) == "offset":
        return item._replace(offset=distance)
    return item._replace(imm=distance)


def _counting(row: Instruction) -> Callable[[Case], Mapping[int, Decoded]]:
    field = distance_field(row)
    assert field is not None

    def change(case: Case) -> Mapping[int, Decoded]:
        program = case.executable.program
        changes = {}
        for slot, item in case.at(row.name):
            there = _instructions_away(program, slot + 1, getattr(item, field))
            if there != slot + 1 + getattr(item, field):
                changes[slot] = _leading(item, there - slot - 1)
        return changes

    return change


def _instructions_away(program: Program, start: int, count: int) -> int:
    """Return the slot ``count`` instructions from ``start``; past the end if there are not so many."""
    slot, step = start, 1 if count > 0 else -1
    while count and 0 <= slot < len(program):
        slot += step
        while 0 <= slot < len(program) and program[slot] is None:
            slot += step
        count -= step
    return slot


# Programs that are wrong


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
            slots += slots_of(_leading(item, distance))
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
