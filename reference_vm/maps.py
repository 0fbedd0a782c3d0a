# SPDX-License-Identifier: Apache-2.0
"""Maps: definitions, and maps of a machine."""

from __future__ import annotations

from dataclasses import dataclass

from .memory import Region


@dataclass(frozen=True, slots=True)
class ArrayMap:
    """An array map of ``entries`` values of ``value_bytes`` bytes; ``initial`` has all of them.

    Values are aligned to 8 bytes in memory: ``stride`` is ``value_bytes`` rounded up. Programs can write to the values
    if ``writable``.
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
        """The distance between two values in memory, in bytes."""
        return -(-self.value_bytes // 8) * 8


@dataclass(frozen=True, slots=True)
class Map:
    """A map of a machine: its handle, an unreadable address, and the region with its values."""

    definition: ArrayMap
    handle: int
    region: Region
