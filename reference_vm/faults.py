# SPDX-License-Identifier: Apache-2.0
"""How a program ends: :class:`Returned`, or a :class:`Fault` of one of the kinds in :class:`FaultKind`.

RFC 9669 leaves open what happens to a program that accesses memory it does not have or calls a helper function that
does not exist. Here such a program stops before the instruction at fault has had any effect on memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class FaultKind(StrEnum):
    """Everything that can stop a program; no other kind exists."""

    OUT_OF_BOUNDS = "out-of-bounds"
    """A load or store touches a byte that no region of memory has."""
    READ_ONLY = "read-only"
    """A store into a region that can only be read."""
    FRAME_POINTER_WRITE = "frame-pointer-write"
    """An instruction that would write to R10."""
    BAD_JUMP = "bad-jump"
    """A jump or local call to outside of the program or to the second slot of a wide instruction."""
    FELL_OFF_END = "fell-off-end"
    """Execution went past the last instruction."""
    UNDEFINED_INSTRUCTION = "undefined-instruction"
    """The bytes of the program are no instructions; nothing was executed."""
    UNDEFINED_OPERATION = "undefined-operation"
    """A row of the instruction table divides by zero or shifts by the width or more; no row of RFC 9669 does."""
    BUDGET = "budget"
    """The program has executed as many instructions as it was allowed to and has not ended."""
    CALL_DEPTH = "call-depth"
    """A local call that would need one stack frame more than there are."""
    UNKNOWN_HELPER = "unknown-helper"
    """A call of a helper function that the machine does not have."""
    UNKNOWN_MAP = "unknown-map"
    """A map that the machine does not have, or an argument of a helper function that should be a map and is none."""
    UNKNOWN_VARIABLE = "unknown-variable"
    """A platform variable that the machine does not have."""


class Trap(Exception):
    """Raised by whatever executes an instruction; the engine adds where it was and makes a :class:`Fault` of it.

    ``region`` is the name of the region nearest to ``address``.
    """

    def __init__(self, kind: FaultKind, reason: str, address: int | None = None, region: str | None = None) -> None:
        super().__init__(reason)
        self.kind, self.reason, self.address, self.region = kind, reason, address, region
        #: Where it was, if whatever raised it knows better than the engine: slot and instructions completed.
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
    """The program came to its end: the EXIT of its first frame."""

    @property
    def r0(self) -> int:
        """The result, an unsigned 64-bit number."""
        return self.registers[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault(Outcome):
    """The program was stopped at slot ``pc``.

    ``instruction`` is the name of its row (None past the end or where no instruction is), ``reason`` a sentence,
    ``address`` what was accessed and ``region`` the name of the nearest region, for faults of memory.
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
