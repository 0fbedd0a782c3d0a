# SPDX-License-Identifier: Apache-2.0
"""What the safety verifier finds: a proof, or where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .state import Place
from .surroundings import Surroundings


class NotProved(Exception):
    """A program that is not known to be safe; that need not mean that it is not.

    ``slot`` is where, ``instruction`` the name of its row, ``reason`` why, with the registers that matter.
    """

    def __init__(self, slot: int, instruction: str | None, reason: str) -> None:
        super().__init__(f"slot {slot}{f' ({instruction})' if instruction else ''}: {reason}")
        self.slot, self.instruction, self.reason = slot, instruction, reason


@dataclass(frozen=True, slots=True)
class Proof:
    """That a program is safe; it executes at most ``most_steps`` instructions (None: no bound is known).

    ``places`` has the region that the instruction at a slot accesses, if it is always the same. ``method`` found it,
    and executed ``looked_at`` instructions.
    """

    surroundings: Surroundings
    most_steps: int | None
    places: tuple[tuple[int, Place], ...]
    method: Literal["invariants", "paths"]
    looked_at: int
