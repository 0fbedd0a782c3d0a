# SPDX-License-Identifier: Apache-2.0
"""Faults in local calls and returns, which belong to no single row."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any, NamedTuple, TypeAlias

from ...reference_vm.faults import FaultKind, Trap
from ...reference_vm.frames import FRAME_BYTES, FRAME_POINTER, MAX_FRAMES, PRESERVED, Frame, Frames
from ...reference_vm.memory import STACK_WINDOW, Region, window_address

_LOW = (1 << 32) - 1
_PAGE_BYTES = 4096


class FrameMutant(NamedTuple):
    """A runtime with faulty frames."""

    what: str
    frames: type[Frames]


def frame_mutants() -> Iterator[FrameMutant]:
    """Yield faults in local calls and returns."""
    yield FrameMutant("an exit in a function ends the program", _made(leave=lambda self, registers: None))
    for by in (-1, 1):
        yield FrameMutant(f"returns {by:+d} slots away", _returning(partial(_away, by)))
    yield FrameMutant("returns to the first caller", _returning(lambda self, back: self.log[0]))
    yield FrameMutant("has one place for the return address", _returning(lambda self, back: self.log[-1]))
    for number in range(PRESERVED.start, PRESERVED.stop):
        yield FrameMutant(f"does not restore r{number}", _restoring(number, lambda self, before, right: before))
        yield FrameMutant(f"clears r{number} on return", _restoring(number, _zero))
        lower = _restoring(number, lambda self, before, right: right & _LOW)
        yield FrameMutant(f"loses the upper half of r{number} on return", lower)
        first = _restoring(number, partial(_at_first_call, number))
        yield FrameMutant(f"restores r{number} as it was at the first call", first)
    yield FrameMutant("restores r6 to r9 in the other order", _leaving(_reversed))
    yield FrameMutant("does not restore r10", _restoring(FRAME_POINTER, lambda self, before, right: before))
    yield FrameMutant("clears r0 on return", _restoring(0, _zero))
    yield FrameMutant("gives back the r0 from before the call", _restoring(0, lambda self, before, right: self.r0))
    yield FrameMutant("does not switch the frame", _entering(partial(_overlapping, 0)))
    for apart in (FRAME_BYTES, FRAME_BYTES // 2, 8):
        what = f"puts frames {apart} bytes apart in one stack"
        yield FrameMutant(what, _entering(partial(_overlapping, apart)))
    yield FrameMutant("wipes the caller's stack on entry", _entering(partial(_wiped, -2)))
    yield FrameMutant("wipes the caller's stack on return", _leaving(partial(_wiped, -1)))
    for depth in range(1, MAX_FRAMES):
        yield FrameMutant(f"has room for {depth} frames", _limited(depth))


def stack_mutants() -> Iterator[FrameMutant]:
    """Yield stacks that are too small, or whose end is not in r10."""
    for size in (FRAME_BYTES - 8, FRAME_BYTES // 2, 64):
        yield FrameMutant(f"has a stack of {size} bytes", _stacked(size, 0))
    for by in (-8, -1, 1, 8):
        yield FrameMutant(f"r10 is {by:+d} bytes from the end of the stack", _stacked(FRAME_BYTES, by))


def boundless_mutants() -> Iterator[FrameMutant]:
    """Yield machines without a limit: programs that should be stopped continue."""
    yield FrameMutant("never runs out of frames", _limited(sys.maxsize))
    yield FrameMutant("has memory at address 0", _made(enter_program=_with_first_page))


def leaking_mutants() -> Iterator[FrameMutant]:
    """Yield machines that hand something of a program on to the next one."""
    yield FrameMutant("does not clear the stack for a program", _with_old_stacks())
    yield FrameMutant("does not clear the registers for a program", _with_old_registers())
    yield FrameMutant("has memory around the stack, which is never the same", _with_surroundings())


def _with_old_stacks() -> type[Frames]:
    """Return frames whose stacks are those of the last program, and stay when a function returns."""
    left: dict[int, Region] = {}

    def push_stack(self: Frames) -> int:
        depth = len(self.stacks)
        before = self.memory.region_at(window_address(STACK_WINDOW, depth))
        if before is not None:
            self.memory.remove(before)
        Frames.push_stack(self)
        new = self.stacks.pop()
        self.memory.remove(new)
        self.stacks.append(self.memory.add(left.setdefault(depth, new)))
        return new.end

    def pop_stack(self: Frames) -> None:
        self.stacks.pop()

    return _made(push_stack=push_stack, pop_stack=pop_stack)


def _with_old_registers() -> type[Frames]:
    left: list[int] = []

    def enter_program(self: Frames, registers: list[int]) -> None:
        if left:
            registers[0], registers[3:FRAME_POINTER] = left[0], left[3:]
        Frames.enter_program(self, registers)

    def leave(self: Frames, registers: list[int]) -> int | None:
        back = Frames.leave(self, registers)
        if back is None:
            left[:] = registers[:FRAME_POINTER]
        return back

    return _made(enter_program=enter_program, leave=leave)


def _with_surroundings() -> type[Frames]:
    times = count(1)

    def push_stack(self: Frames) -> int:
        Frames.push_stack(self)
        right = self.stacks.pop()
        self.memory.remove(right)
        around = bytes([next(times) % 256]) * _PAGE_BYTES
        data = bytearray(around + bytes(FRAME_BYTES) + around)
        self.stacks.append(self.memory.add(Region(right.name, right.base, data)))
        return right.base + _PAGE_BYTES + FRAME_BYTES

    return _made(push_stack=push_stack)


def _stacked(size: int, by: int) -> type[Frames]:
    def push_stack(self: Frames) -> int:
        Frames.push_stack(self)
        right = self.stacks.pop()
        self.memory.remove(right)
        self.stacks.append(self.memory.add(Region(right.name, right.base, bytearray(size))))
        return self.stacks[-1].end + by

    return _made(push_stack=push_stack)


class _Logging(Frames):
    """Frames that record every call: return addresses, saved registers, and the last r0."""

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


def _away(by: int, frames: _Logging, back: int) -> int:
    return back + by


#: A fault that changes frames or registers after a correct call or return.
_Damage: TypeAlias = Callable[[_Logging, list[int]], None]


def _entering(damage: _Damage) -> type[Frames]:
    """Return frames with a fault on calls."""

    def enter(self: _Logging, registers: list[int], return_to: int) -> None:
        _Logging.enter(self, registers, return_to)
        damage(self, registers)

    return _made(enter=enter)


def _leaving(damage: _Damage) -> type[Frames]:
    """Return frames with a fault on returns."""

    def leave(self: _Logging, registers: list[int]) -> int | None:
        back = Frames.leave(self, registers)
        if back is not None:
            damage(self, registers)
        return back

    return _made(leave=leave)


def _restoring(number: int, choose: Callable[[_Logging, int, int], int]) -> type[Frames]:
    """Return frames that give register ``number`` a wrong value on return.

    ``choose`` gets its value before the return, and its right value after it.
    """

    def leave(self: _Logging, registers: list[int]) -> int | None:
        before = registers[number]
        back = Frames.leave(self, registers)
        if back is not None:
            registers[number] = choose(self, before, registers[number])
        return back

    return _made(leave=leave)


def _zero(frames: _Logging, before: int, right: int) -> int:
    return 0


def _at_first_call(number: int, frames: _Logging, before: int, right: int) -> int:
    return frames.kept[0].preserved[number - PRESERVED.start]


def _reversed(frames: _Logging, registers: list[int]) -> None:
    registers[PRESERVED] = registers[PRESERVED][::-1]


def _overlapping(apart: int, frames: _Logging, registers: list[int]) -> None:
    registers[FRAME_POINTER] = frames.saved[-1].frame_pointer - apart


def _wiped(place: int, frames: _Logging, registers: list[int]) -> None:
    frames.stacks[place].data[:] = bytes(FRAME_BYTES)


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
