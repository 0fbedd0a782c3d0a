# SPDX-License-Identifier: Apache-2.0
"""The machine that a program runs on: registers, memory, maps, platform variables and helper functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias, TypedDict, Unpack

from ..spec.encoding import ByteOrder
from .faults import FaultKind, Trap
from .frames import Frames
from .helpers import LINUX_HELPERS
from .maps import ArrayMap, Map
from .memory import (
    ADDRESS_MASK,
    CODE_WINDOW,
    INPUT_WINDOW,
    MAP_VALUE_WINDOW,
    MAP_WINDOW,
    VARIABLE_WINDOW,
    Memory,
    Region,
    window_address,
)

#: R0 to R10, and the five other numbers that fit the field, which only a table other than RFC 9669's can use.
REGISTER_SLOTS: Final = 16

#: A helper function: takes the machine and R1 to R5, returns R0. It may raise :class:`.faults.Trap`; other exceptions
#: propagate from the execution.
Helper: TypeAlias = "Callable[[Machine, int, int, int, int, int], int]"


class Platform(TypedDict, total=False):
    """What a program can use besides its input memory.

    ``maps`` are array maps; plain bytes are the one value of a map. Programs refer to them by index, both with
    map_by_fd and with map_by_idx. ``helpers`` are helper functions by static id, those of :mod:`.helpers` if none are
    given; ``btf_helpers`` those by BTF id; ``variables`` platform variables by id.
    """

    maps: Sequence[bytes | ArrayMap]
    helpers: Mapping[int, Helper]
    btf_helpers: Mapping[int, Helper] | None
    variables: Mapping[int, bytes] | None


class Machine:
    """The machine state of one program, and its platform.

    Args:
        byte_order: of the numbers in memory.
        memory: input; R1 is its address and R2 its length at entry, both 0 if there is none.
        frames: the calling convention of local calls.
        platform: see :class:`Platform`.
    """

    __slots__ = (
        "btf_helpers", "byte_order", "frames", "helpers", "input", "load1", "load2", "load4", "load8", "maps",
        "memory", "packet", "registers", "store1", "store2", "store4", "store8", "variables",
    )  # fmt: skip

    def __init__(
        self,
        *,
        byte_order: ByteOrder = "little",
        memory: bytes | None = None,
        frames: type[Frames] = Frames,
        **platform: Unpack[Platform],
    ) -> None:
        self.byte_order = byte_order
        self.registers = [0] * REGISTER_SLOTS
        self.memory = Memory(byte_order)
        loads, stores = self.memory.loads, self.memory.stores
        self.load1, self.load2, self.load4, self.load8 = loads[1], loads[2], loads[4], loads[8]
        self.store1, self.store2, self.store4, self.store8 = stores[1], stores[2], stores[4], stores[8]
        self.packet = window_address(INPUT_WINDOW)
        self.input: Region | None = None
        if memory:
            self.input = self.memory.add(Region("input memory", self.packet, bytearray(memory)))
            self.registers[1], self.registers[2] = self.packet, len(memory)
        self.helpers = {"static": platform.get("helpers", LINUX_HELPERS), "btf": platform.get("btf_helpers") or {}}
        self.maps = [self._add_map(index, definition) for index, definition in enumerate(platform.get("maps", ()))]
        self.variables = {
            number: self.memory.add(Region(f"variable {number}", window_address(VARIABLE_WINDOW, i), bytearray(value)))
            for i, (number, value) in enumerate((platform.get("variables") or {}).items())
        }
        self.frames = frames(self.memory)
        self.frames.enter_program(self.registers)

    def _add_map(self, index: int, definition: bytes | ArrayMap) -> Map:
        if not isinstance(definition, ArrayMap):
            definition = ArrayMap(bytes(definition))
        size, stride = definition.value_bytes, definition.stride
        data = bytearray(stride * definition.entries)
        for entry in range(definition.entries):
            data[entry * stride : entry * stride + size] = definition.initial[entry * size : (entry + 1) * size]
        if definition.entries == 1:
            del data[size:]
        name = f"value of map {definition.name or index}"
        base = window_address(MAP_VALUE_WINDOW, index)
        region = self.memory.add(Region(name, base, data, definition.writable))
        return Map(definition, window_address(MAP_WINDOW, index), region)

    # Platform functions, called by lowered code (RFC 9669, sections 4.3.1 and 5.4)

    def map_by_idx(self, index: int) -> int:
        """Return the handle of map number ``index``.

        Raises:
            Trap: there is no such map.
        """
        if not 0 <= index < len(self.maps):
            raise Trap(FaultKind.UNKNOWN_MAP, f"there is no map {index}; the machine has {len(self.maps)}")
        return self.maps[index].handle

    map_by_fd = map_by_idx

    def map_of(self, handle: int) -> Map:
        """Return the map that has ``handle``.

        Raises:
            Trap: there is none.
        """
        for candidate in self.maps:
            if candidate.handle == handle:
                return candidate
        raise Trap(FaultKind.UNKNOWN_MAP, f"{handle:#x} is no map")

    def map_val(self, handle: int) -> int:
        """Return the address of the first value of a map.

        Raises:
            Trap: no map has this handle.
        """
        return self.map_of(handle).region.base

    def var_addr(self, number: int) -> int:
        """Return the address of platform variable ``number``.

        Raises:
            Trap: there is no such variable.
        """
        if number not in self.variables:
            known = ", ".join(str(n) for n in self.variables) or "none"
            raise Trap(FaultKind.UNKNOWN_VARIABLE, f"there is no platform variable {number}; known are: {known}")
        return self.variables[number].base

    @staticmethod
    def code_addr(pc: int, distance: int) -> int:
        """Return the address of the instruction ``distance`` slots from slot ``pc + 1``; it is not readable."""
        return (window_address(CODE_WINDOW) + 8 * (pc + 1 + distance)) & ADDRESS_MASK

    def call_helper(self, by: str, number: int, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
        """Call helper function ``number``, an id of the kind ``by`` (``static`` or ``btf``), and return R0.

        Raises:
            Trap: there is no such function, or the function rejects its arguments.
        """
        function = self.helpers[by].get(number)
        if function is None:
            known = ", ".join(str(n) for n in sorted(self.helpers[by])) or "none"
            raise Trap(FaultKind.UNKNOWN_HELPER, f"there is no helper function with {by} id {number}; known: {known}")
        return function(self, r1, r2, r3, r4, r5) & ADDRESS_MASK
