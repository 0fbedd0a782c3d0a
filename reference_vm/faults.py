# SPDX-License-Identifier: Apache-2.0
"""How a program ends: :class:`Returned`, or a :class:`Fault` of one of the kinds in :class:`FaultKind`.

RFC 9669 does not define an access to unmapped memory or a call of a helper function that does not exist. Here the
program stops before that instruction has an effect on memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class FaultKind(StrEnum):
    """All kinds of faults."""

    OUT_OF_BOUNDS = "out-of-bounds"
    """A load or store of a byte outside all memory regions."""
    READ_ONLY = "read-only"
    """A store into a read-only region."""
    FRAME_POINTER_WRITE = "frame-pointer-write"
    """An instruction that would write to R10."""
    BAD_JUMP = "bad-jump"
    """A jump or local call out of the program or to the second slot of a wide instruction."""
    FELL_OFF_END = "fell-off-end"
    """Execution went past the last instruction."""
    UNDEFINED_INSTRUCTION = "undefined-instruction"
    """The program has undefined instructions; nothing was executed."""
    UNDEFINED_OPERATION = "undefined-operation"
    """A row of the instruction table divides by zero or shifts by the width or more; no row of RFC 9669 does."""
    BUDGET = "budget"
    """The program has executed all instructions of its budget and has not ended."""
    CALL_DEPTH = "call-depth"
    """A local call beyond the maximum number of stack frames."""
    UNKNOWN_HELPER = "unknown-helper"
    """A call of a helper function that the machine does not have."""
    UNKNOWN_MAP = "unknown-map"
    """A map that the machine does not have, or an argument of a helper function that should be a map and is none."""
    UNKNOWN_VARIABLE = "unknown-variable"
    """A platform variable that the machine does not have."""


class Trap(Exception):
    """Raised by the execution of an instruction; the engine adds the position and returns a :class:`Fault`.

    ``region`` is the name of the region nearest to ``address``.
    """

    def __init__(self, kind: FaultKind, reason: str, address: int | None = None, region: str | None = None) -> None:
        super().__init__(reason)
        self.kind, self.reason, self.address, self.region = kind, reason, address, region
        #: Slot and number of completed instructions, if set by the code that raised it and not by the engine.
        self.place: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The state in which a program ended.

    ``registers`` are R0 to R10 as unsigned numbers; ``memory`` is the input memory (None if there was none), ``maps``
    the values of the maps; ``steps`` counts the instructions completed.
    """

    registers: tuple[int, ...]
    memory: bytes | None = field(repr=False)
    maps: tuple[bytes, ...] = field(repr=False)
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned(Outcome):
    """The program ended with EXIT in its first frame."""

    @property
    def r0(self) -> int:
        """The result, an unsigned 64-bit number."""
        return self.registers[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault(Outcome):
    """The program was stopped at slot ``pc``.

    ``instruction`` is the name of its row (None past the end or without an instruction), ``reason`` a sentence. For
    memory faults, ``address`` is the accessed address and ``region`` the name of the nearest region.
    """

    kind: FaultKind
    pc: int
    instruction: str | None
    reason: str
    address: int | None = None
    region: str | None = None

    def __str__(self) -> str:
        where = f"slot {self.pc}" + (f" ({self.instruction})" if self.instruction else "")
        return f"{self.kind} at {where}: {self.reason}"
