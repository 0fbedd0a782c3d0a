# SPDX-License-Identifier: Apache-2.0
"""What an instruction is run on in the tests of meanings, and what it left behind."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

ByteOrder: TypeAlias = Literal["little", "big"]
MASK64 = (1 << 64) - 1


@dataclass
class State:
    """The operands of one instruction before it, and what it made of them after it.

    Registers are 64-bit patterns; imm and next_imm are s32 and offset is s16. Each byte of memory has at first a
    value that depends on its address; ``memory`` holds the bytes that have another one now. ``event`` records what
    cannot be seen in registers and memory: a jump with its distance, a call, a return.
    """

    dst: int = 0
    src: int = 0
    r0: int = 0
    imm: int = 0
    next_imm: int = 0
    offset: int = 0
    byte_order: ByteOrder = "little"
    memory: dict[int, int] = field(default_factory=dict)
    event: tuple[str, int] | None = None

    def copy(self) -> State:
        """Return a state to run on that shares nothing with this one."""
        return replace(self, memory=dict(self.memory))

    def load(self, address: int, bits: int) -> int:
        """Return the unsigned number in memory at ``address``."""
        places = [(address + i) & MASK64 for i in range(bits // 8)]
        return int.from_bytes([self.memory.get(place, _initial_byte(place)) for place in places], self.byte_order)

    def store(self, address: int, bits: int, value: int) -> None:
        """Write the low ``bits`` of ``value`` to memory at ``address``."""
        raw = (value & ((1 << bits) - 1)).to_bytes(bits // 8, self.byte_order)
        for i, byte in enumerate(raw):
            place = (address + i) & MASK64
            self.memory[place] = byte
            if byte == _initial_byte(place):
                del self.memory[place]


def _initial_byte(address: int) -> int:
    return (address * 0x9D + 0x53) & 0xFF


def swap_bytes(name: str, value: int, bits: int, byte_order: ByteOrder) -> int:
    """Return what the function ``le``, ``be`` or ``bswap`` of section 2.2 makes of an unsigned number."""
    if name == {"little": "le", "big": "be"}[byte_order]:
        return value
    return int.from_bytes(value.to_bytes(bits // 8, "little"), "big")


def platform_address(name: str, *args: int) -> int:
    """Stand in for a function of the platform (section 5.4): a 64-bit number that tells name and arguments apart."""
    number = sum(map(ord, name))
    for arg in args:
        number = (number * 0x9E3779B97F4A7C15 + (arg & MASK64) + 1) & MASK64
    return number
