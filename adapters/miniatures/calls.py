# SPDX-License-Identifier: Apache-2.0
"""Faulty calling conventions of local calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ...reference_vm.frames import FRAME_BYTES, FRAME_POINTER, PRESERVED, Frame, Frames

_SIGN, _LOW = 1 << 31, (1 << 32) - 1


class SharedStack(Frames):
    """A local call gives the callee the stack of its caller."""

    def enter(self, registers: list[int], return_to: int) -> None:
        """Begin a local call and leave R10 as it is."""
        pointer = registers[FRAME_POINTER]
        super().enter(registers, return_to)
        registers[FRAME_POINTER] = pointer


class NothingPreserved(Frames):
    """R6 to R9 are not restored after a local call."""

    def leave(self, registers: list[int]) -> int | None:
        """Return from a function without restoring its caller's registers."""
        if self.saved:
            self.saved[-1] = Frame(self.saved[-1].return_to, registers[PRESERVED], self.saved[-1].frame_pointer)
        return super().leave(registers)


class SignedResult(Frames):
    """The result of a local call is sign-extended from 32 bits, as that of a function in C that returns an int."""

    def leave(self, registers: list[int]) -> int | None:
        """Return from a function, and extend R0 if the program goes on."""
        if self.saved:
            low = registers[0] & _LOW
            registers[0] = low | (-(low & _SIGN) & ~_LOW & (1 << 64) - 1)
        return super().leave(registers)


class LowStack(Frames):
    """R10 is the lowest address of the stack in place of its end."""

    def push_stack(self) -> int:
        """Map a zeroed stack and return its beginning."""
        return super().push_stack() - FRAME_BYTES


#: Calling conventions by the name that the museum has for them.
CONVENTIONS: Final[Mapping[str, type[Frames]]] = {
    "shared-stack": SharedStack,
    "nothing-preserved": NothingPreserved,
    "signed-result": SignedResult,
    "low-stack": LowStack,
}
