# SPDX-License-Identifier: Apache-2.0
"""Maps: what a program is given, and what a machine makes of it."""

from __future__ import annotations

from dataclasses import dataclass

from .memory import Region


@dataclass(frozen=True, slots=True)
class ArrayMap:
    """An array map of ``entries`` values, ``value_bytes`` each; all of them in ``initial``, one after the other.

    Values lie 8-aligned in memory, so ``stride`` is ``value_bytes`` rounded up. Programs can write to the values
    unless ``writable`` is false.
    """

    initial: bytes
    entries: int = 1
    name: str = ""
    writable: bool = True

    @property
    def value_bytes(self) -> int:
        """The size of a value."""
        return len(self.initial) // self.entries

    @property
    def stride(self) -> int:
        """The distance of two values in memory."""
        return -(-self.value_bytes // 8) * 8


@dataclass(frozen=True, slots=True)
class Map:
    """A map in a machine: its handle, an address that cannot be read, and where its values are."""

    definition: ArrayMap
    handle: int
    region: Region
