# SPDX-License-Identifier: Apache-2.0
"""Call frames: the return address, the callee-saved registers and the stack of each local call.

RFC 9669 defines local calls but no stack; registers and sizes are those of the BPF ABI (erratum
``stack-and-call-depth``).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from .faults import FaultKind, Trap
from .memory import STACK_WINDOW, Memory, Region, window_address

FRAME_BYTES: Final = 512
MAX_FRAMES: Final = 8
FRAME_POINTER: Final = 10
#: R6 to R9 are callee-saved.
PRESERVED: Final = slice(6, 10)


class Frame(NamedTuple):
    """The state that a return restores: the slot after the call, and the caller's R6 to R9 and R10."""

    return_to: int
    preserved: list[int]
    frame_pointer: int


class Frames:
    """The calling convention of local calls; subclasses may have another one."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.saved: list[Frame] = []
        self.stacks: list[Region] = []

    def enter_program(self, registers: list[int]) -> None:
        """Set R10 to the end of the first frame's stack."""
        registers[FRAME_POINTER] = self.push_stack()

    def enter(self, registers: list[int], return_to: int) -> None:
        """Begin a local call that returns to slot ``return_to``.

        Raises:
            Trap: the maximum number of frames is in use.
        """
        if len(self.stacks) >= MAX_FRAMES:
            raise Trap(FaultKind.CALL_DEPTH, f"a call would need more than {MAX_FRAMES} frames")
        self.saved.append(Frame(return_to, registers[PRESERVED], registers[FRAME_POINTER]))
        registers[FRAME_POINTER] = self.push_stack()

    def leave(self, registers: list[int]) -> int | None:
        """Return from a function: return the slot after the call, or None if the program ends."""
        if not self.saved:
            return None
        self.pop_stack()
        frame = self.saved.pop()
        registers[PRESERVED] = frame.preserved
        registers[FRAME_POINTER] = frame.frame_pointer
        return frame.return_to

    def push_stack(self) -> int:
        """Map a zeroed stack and return its end."""
        depth = len(self.stacks)
        name = f"stack of frame {depth}"
        region = Region(name, window_address(STACK_WINDOW, depth), bytearray(FRAME_BYTES))
        self.stacks.append(self.memory.add(region))
        return region.end

    def pop_stack(self) -> None:
        """Unmap the stack of the innermost frame."""
        self.memory.remove(self.stacks.pop())
