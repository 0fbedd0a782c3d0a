# SPDX-License-Identifier: Apache-2.0
"""Memory of a machine: disjoint regions at explicit 64-bit addresses.

The address space is divided into windows of 4 GiB. A region begins at the start of a window and ends inside it, and no
two adjacent windows are used. So all addresses within a 16-bit offset of a region are unmapped, a shift finds the
region of an address, and an address truncated to 32 bits is unmapped.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

from ..spec.encoding import ByteOrder
from .faults import FaultKind, Trap

WINDOW_BITS: Final = 32
OFFSET_MASK: Final = (1 << WINDOW_BITS) - 1
ADDRESS_MASK: Final = (1 << 64) - 1

#: First window of each use; a use takes every second window from there.
INPUT_WINDOW: Final = 0x10
STACK_WINDOW: Final = 0x100
VARIABLE_WINDOW: Final = 0x1000
CODE_WINDOW: Final = 0x8000
MAP_WINDOW: Final = 0x10_0000
MAP_VALUE_WINDOW: Final = 0x20_0000

Load: TypeAlias = Callable[[int], int]
Store: TypeAlias = Callable[[int, int], None]
Access: TypeAlias = Literal["read", "write"]


def window_address(first: int, index: int = 0) -> int:
    """Return the address of window number ``index`` of the use that begins at window ``first``."""
    return (first + 2 * index) << WINDOW_BITS


class Region(NamedTuple):
    """Bytes of memory at ``base``; ``name`` is for messages."""

    name: str
    base: int
    data: bytearray
    writable: bool = True

    @property
    def end(self) -> int:
        """The address after the last byte."""
        return self.base + len(self.data)


class Memory:
    """The regions of a machine, with a load and a store for each width in its byte order.

    ``loads[n](address)`` returns the unsigned number in the ``n`` bytes at ``address``, ``stores[n](address, value)``
    writes it; ``n`` is 1, 2, 4 or 8 and addresses need no alignment. Both raise :class:`.faults.Trap`.
    """

    __slots__ = ("byte_order", "loads", "readable", "regions", "stores", "writable")

    def __init__(self, byte_order: ByteOrder) -> None:
        self.byte_order = byte_order
        self.regions: dict[int, Region] = {}
        #: Bytes by window, for the accessors: of all regions, and of those that can be written.
        self.readable: dict[int, bytearray] = {}
        self.writable: dict[int, bytearray] = {}
        codes = _CODES[byte_order]
        self.loads: dict[int, Load] = {size: _loader(code, size, self.readable, self.regions) for size, code in codes}
        self.stores: dict[int, Store] = {size: _storer(code, size, self.writable, self.regions) for size, code in codes}

    def add(self, region: Region) -> Region:
        """Map ``region``.

        Raises:
            ValueError: its base is not the start of a window, it is longer than a window, or its window or an adjacent
                one is in use.
        """
        window = region.base >> WINDOW_BITS
        if region.base & OFFSET_MASK or len(region.data) > OFFSET_MASK or not 0 < window < 1 << 32:
            raise ValueError(f"{region.name}: {region.base:#x} with {len(region.data)} bytes is not within one window")
        for taken in (window - 1, window, window + 1):
            if taken in self.regions:
                raise ValueError(f"{region.name} at {region.base:#x} is too near to {self.regions[taken].name}")
        self.regions[window] = region
        self.readable[window] = region.data
        if region.writable:
            self.writable[window] = region.data
        return region

    def remove(self, region: Region) -> None:
        """Unmap ``region``."""
        window = region.base >> WINDOW_BITS
        del self.regions[window], self.readable[window]
        self.writable.pop(window, None)

    def region_at(self, address: int) -> Region | None:
        """Return the region that has the byte at ``address``."""
        region = self.regions.get(address >> WINDOW_BITS)
        return region if region and address < region.end else None

    def read(self, address: int, size: int) -> bytes:
        """Return ``size`` bytes.

        Raises:
            Trap: a byte is in no region.
        """
        offset = address & OFFSET_MASK
        region = self.regions.get(address >> WINDOW_BITS)
        if region is None or offset + size > len(region.data):
            raise self.denied("read", address, size)
        return bytes(region.data[offset : offset + size])

    def write(self, address: int, data: bytes) -> None:
        """Write ``data``.

        Raises:
            Trap: a byte is in no region, or in a read-only one.
        """
        offset = address & OFFSET_MASK
        region = self.regions.get(address >> WINDOW_BITS)
        if region is None or not region.writable or offset + len(data) > len(region.data):
            raise self.denied("write", address, len(data))
        region.data[offset : offset + len(data)] = data

    def denied(self, access: Access, address: int, size: int) -> Trap:
        """Return the trap for an invalid access of ``size`` bytes at ``address``."""
        return _denied(self.regions, access, address, size)


# struct checks the upper bound: it raises if the region ends too early. The functions refer to the dictionaries and not
# to the memory, so that there is no reference cycle.


def _loader(code: struct.Struct, size: int, readable: Mapping[int, bytearray], regions: Mapping[int, Region]) -> Load:
    unpack = code.unpack_from

    def load(address: int) -> int:
        try:
            value: int = unpack(readable[address >> WINDOW_BITS], address & OFFSET_MASK)[0]
        except (KeyError, struct.error):
            raise _denied(regions, "read", address, size) from None
        return value

    return load


def _storer(code: struct.Struct, size: int, writable: Mapping[int, bytearray], regions: Mapping[int, Region]) -> Store:
    pack = code.pack_into

    def store(address: int, value: int) -> None:
        try:
            pack(writable[address >> WINDOW_BITS], address & OFFSET_MASK, value)
        except (KeyError, struct.error):
            raise _denied(regions, "write", address, size) from None

    return store


def _denied(regions: Mapping[int, Region], access: Access, address: int, size: int) -> Trap:
    what = f"{access} of {_bytes(size)} at {address:#x}"
    if not regions:
        return Trap(FaultKind.OUT_OF_BOUNDS, f"{what}: the machine has no memory", address)
    region = min(regions.values(), key=lambda r: max(r.base - address, address - r.end, 0))
    place = f"{region.name} ({region.base:#x} to {region.end:#x})"
    if region.base <= address and address + size <= region.end:
        return Trap(FaultKind.READ_ONLY, f"{what}: {place} is read-only", address, region.name)
    if address < region.base:
        where = f"{_bytes(region.base - address)} before the start of"
    elif address < region.end:
        where = f"{_bytes(address + size - region.end)} past the end of"
    else:
        where = f"{_bytes(address - region.end)} after the end of"
    if abs(address - region.base) > OFFSET_MASK:
        where = "far from any region; the nearest is"
    return Trap(FaultKind.OUT_OF_BOUNDS, f"{what}: {where} {place}", address, region.name)


def _bytes(count: int) -> str:
    return "1 byte" if count == 1 else f"{count} bytes"


_CODES: Final = {
    order: tuple((size, struct.Struct(sign + code)) for size, code in ((1, "B"), (2, "H"), (4, "I"), (8, "Q")))
    for order, sign in (("little", "<"), ("big", ">"))
}
