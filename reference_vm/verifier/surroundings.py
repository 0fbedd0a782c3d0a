# SPDX-License-Identifier: Apache-2.0
"""The memory regions that a program may access."""

from __future__ import annotations

from dataclasses import dataclass

from ..frames import FRAME_BYTES
from .state import Place


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The memory of a program: the size of the input memory; the size of the values of each map, and whether they are
    writable; the size of each platform variable, by its number; and whether the input memory is writable. In bytes."""

    memory_bytes: int = 0
    maps: tuple[tuple[int, bool], ...] = ()
    variables: tuple[tuple[int, int], ...] = ()
    memory_is_writable: bool = True

    def __str__(self) -> str:
        parts = [f"{self.memory_bytes} bytes of memory{'' if self.memory_is_writable else ' (read-only)'}"]
        parts += [f"map {n} of {size} bytes{'' if w else ' (read-only)'}" for n, (size, w) in enumerate(self.maps)]
        parts += [f"variable {number} of {size} bytes" for number, size in self.variables]
        return ", ".join(parts)

    def bounds(self, place: Place) -> tuple[int, int]:
        """Return the offsets of the start and the end of the region."""
        match place.kind:
            case "stack":
                return -FRAME_BYTES, 0
            case "input":
                return 0, self.memory_bytes
            case "map":
                return 0, self.maps[place.number][0]
            case "variable":
                return 0, dict(self.variables)[place.number]
            case _:
                return 0, 0

    def is_writable(self, place: Place) -> bool:
        """Whether stores to the region are allowed."""
        if place.kind == "input":
            return self.memory_is_writable
        return place.kind != "map" or self.maps[place.number][1]
