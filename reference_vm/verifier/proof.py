# SPDX-License-Identifier: Apache-2.0
"""Results of the safety verifier: a proof, or the instruction where it fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .state import Place
from .surroundings import Surroundings


class NotProved(Exception):
    """The program is not proved safe; it may be safe nevertheless.

    ``slot`` and ``instruction`` (the name of the row) are the position, ``reason`` is the reason with the registers.
    """

    def __init__(self, slot: int, instruction: str | None, reason: str) -> None:
        super().__init__(f"slot {slot}{f' ({instruction})' if instruction else ''}: {reason}")
        self.slot, self.instruction, self.reason = slot, instruction, reason


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that a program is safe; it executes at most ``most_steps`` instructions (None: no bound is known).

    ``places`` has the region that the instruction at a slot accesses, if it is always the same. ``method`` found the
    proof, after ``executed`` instructions on abstract states.
    """

    surroundings: Surroundings
    most_steps: int | None
    places: tuple[tuple[int, Place], ...]
    method: Literal["invariants", "paths"]
    executed: int
