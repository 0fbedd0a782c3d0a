# SPDX-License-Identifier: Apache-2.0
"""The default helper functions of a machine: Linux's for maps, with Linux's static ids.

RFC 9669 section 4.3.1 leaves helper functions to the platform. All maps here are array maps: keys are 32-bit numbers
in the machine's byte order, and every key below the number of entries has a value.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from types import MappingProxyType
from typing import Final, Protocol

from .maps import Map
from .memory import Memory

#: Flags of an update: any, only if the key is not there, only if it is.
BPF_NOEXIST: Final = 1
BPF_EXIST: Final = 2


class Machine(Protocol):
    """The part of a machine that these functions use."""

    @property
    def memory(self) -> Memory:
        """The memory that programs can access."""

    @property
    def load4(self) -> Callable[[int], int]:
        """Reads a 32-bit number at an address."""

    def map_of(self, handle: int) -> Map:
        """Return the map that has ``handle``.

        Raises:
            Trap: no map has.
        """


def map_lookup_elem(machine: Machine, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return the address of the value of the key at R2 in the map R1; 0 if the map has no such key."""
    table = machine.map_of(r1)
    key = machine.load4(r2)
    return table.region.base + key * table.definition.stride if key < table.definition.entries else 0


def map_update_elem(machine: Machine, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Copy the bytes at R3 to the value of the key at R2 in the map R1; R4 holds flags.

    Returns 0, or minus EINVAL for unknown flags, E2BIG for a key out of range, EEXIST for an existing key with
    BPF_NOEXIST.
    """
    table = machine.map_of(r1)
    if r4 > BPF_EXIST:
        return -errno.EINVAL
    key = machine.load4(r2)
    if key >= table.definition.entries:
        return -errno.E2BIG
    if r4 == BPF_NOEXIST:
        return -errno.EEXIST
    value = machine.memory.read(r3, table.definition.value_bytes)
    machine.memory.write(table.region.base + key * table.definition.stride, value)
    return 0


def map_delete_elem(machine: Machine, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return minus EINVAL: keys of an array map cannot be deleted."""
    machine.map_of(r1)
    machine.load4(r2)
    return -errno.EINVAL


LINUX_HELPERS: Final = MappingProxyType({1: map_lookup_elem, 2: map_update_elem, 3: map_delete_elem})
