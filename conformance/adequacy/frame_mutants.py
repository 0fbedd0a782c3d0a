# SPDX-License-Identifier: Apache-2.0
"""Faults in the discipline of local calls and returns, which no single row has."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ...reference_vm.faults import FaultKind, Trap
from ...reference_vm.frames import FRAME_BYTES, FRAME_POINTER, MAX_FRAMES, PRESERVED, Frame, Frames
from ...reference_vm.memory import Region

_LOW = (1 << 32) - 1
_PAGE_BYTES = 4096


class FrameMutant(NamedTuple):
    """A runtime with a faulty discipline of local calls."""

    what: str
    frames: type[Frames]


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
