# SPDX-License-Identifier: Apache-2.0
"""Generated code around a vector's program: the entry code, and the epilogue that stores its registers.

The *scratch* map is all zero before a run. At :func:`register_at` the epilogue stores registers (64 bits: the system
call itself returns 32); at ``COMPLETED_AT`` it stores 1, to detect a run that does not reach it. ``DOOR_AT`` has the
number of the door that is taken, which is always 0: none.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct

from ...spec.asm.assemble import assemble
from ...spec.encoding import ByteOrder, decode
from ...spec.table import isa

#: Registers that a vector's expectation can name; R10 is read-only.
REGISTERS = tuple(f"r{number}" for number in range(10))
COMPLETED_AT = 8 * len(REGISTERS)
DOOR_AT = COMPLETED_AT + 8
SCRATCH_SIZE = DOOR_AT + 8

DOOR_SLOTS, FUNCTION_DOOR_SLOTS = 2, 3

_QUADWORD = {"little": Struct("<Q"), "big": Struct(">Q")}
#: Generated code names maps by these numbers, which are relocated to descriptors.
SCRATCH, MEMORY = 0, 1


def register_at(name: str) -> int:
    """Return the offset in the scratch map where the epilogue stores register ``name``."""
    return 8 * REGISTERS.index(name)


def quadword(value: bytes, at: int, byte_order: ByteOrder) -> int:
    """Return the unsigned 64-bit number at offset ``at`` of a map's value."""
    number: int = _QUADWORD[byte_order].unpack_from(value, at)[0]
    return number


@lru_cache(maxsize=1024)
def entry(length: int | None, byte_order: ByteOrder, context: str | None = None, room: int = 0) -> bytes:
    """Return the code that sets R1 and R2 to address and length of the input memory, to 0 and 0 if there is none.

    ``room`` is the number of bytes before it in its map. ``context`` is the register for the kernel's context of the
    packet, if the program reads one: R6, as the kernel requires, or R1, if the program moves it to R6.
    """
    lines = [f"{context} = r1"] if context not in {None, "r1"} else []
    if context == "r1":
        lines.append(f"r2 = {length or 0}")
    elif length is None:
        lines += ["r1 = 0", "r2 = 0"]
    else:
        lines += [f"r1 = map_val(map_by_fd({MEMORY})) + {room}", f"r2 = {length}"]
    return assemble("\n".join(lines), byte_order)


@lru_cache(maxsize=1024)
def epilogue(observed: frozenset[str], byte_order: ByteOrder) -> bytes:
    """Return the code that stores the registers ``observed`` and ends the program.

    Other registers may be uninitialised, and the kernel does not allow to read those.
    """
    stored = [name for name in REGISTERS if name in observed]
    free = [name for name in REGISTERS if name not in observed]
    lines = []
    if free:
        base = free[-1]
        lines.append(f"{base} = map_val(map_by_fd({SCRATCH})) + 0")
        lines += [f"*(u64 *)({base} + {register_at(name)}) = {name}" for name in stored]
    else:
        base, spilled, *others = reversed(stored)
        lines.append(f"*(u64 *)(r10 - 8) = {base}")
        lines.append(f"{base} = map_val(map_by_fd({SCRATCH})) + 0")
        lines += [f"*(u64 *)({base} + {register_at(name)}) = {name}" for name in (spilled, *others)]
        lines.append(f"{spilled} = *(u64 *)(r10 - 8)")
        lines.append(f"*(u64 *)({base} + {register_at(base)}) = {spilled}")
    lines += [f"*(u64 *)({base} + {COMPLETED_AT}) = 1", "r0 = 0", "exit"]
    return assemble("\n".join(lines), byte_order)


@lru_cache(maxsize=64)
def call_over(slots: int, byte_order: ByteOrder) -> bytes:
    """Return a call to the function that begins ``slots`` slots after it."""
    return assemble(f"call local +{slots}", byte_order)


@lru_cache(maxsize=1 << 12)
def jump(distance: int, byte_order: ByteOrder) -> bytes:
    """Return a jump over ``distance`` slots; where 16 bits hold no such offset, one with 32 bits."""
    near = isa().by_name["JA"].fields["offset"].admits(distance)
    return assemble(f"{'goto' if near else 'gotol'} +{distance}", byte_order)


@lru_cache(maxsize=1)
def choose_door(byte_order: ByteOrder) -> bytes:
    """Return the code that loads the number of a door into R0: 0, which the verifier does not know."""
    return assemble(f"r0 = map_val(map_by_fd({SCRATCH})) + 0\nr0 = *(u64 *)(r0 + {DOOR_AT})", byte_order)


@lru_cache(maxsize=8)
def pass_doors(distance: int, byte_order: ByteOrder, *, context: bool) -> bytes:
    """Return the code that skips ``distance`` slots if the number of the door is 0, as it always is.

    Otherwise it initialises all registers for the code after the doors; with ``context`` not R6.
    """
    registers = [number for number in range(3, len(REGISTERS)) if not (context and number == 6)]
    lines = [f"if r0 == 0 goto +{distance + len(registers)}", *(f"r{number} = 0" for number in registers)]
    return assemble("\n".join(lines), byte_order)


@lru_cache(maxsize=1 << 14)
def door(number: int, distance: int, byte_order: ByteOrder) -> bytes:
    """Return ``DOOR_SLOTS`` of code that go ``distance`` slots on from their end if the door has ``number``."""
    if isa().by_name["JA"].fields["offset"].admits(distance):
        return assemble(f"if r0 == {number} goto +{distance + 1}\ngoto +0", byte_order)
    return assemble(f"if r0 != {number} goto +1\ngotol +{distance}", byte_order)


@lru_cache(maxsize=1 << 10)
def function_door(number: int, distance: int, byte_order: ByteOrder) -> bytes:
    """Return ``FUNCTION_DOOR_SLOTS`` of code that end the program with a call, if the door has ``number``.

    The function begins ``distance`` slots after that code.
    """
    return assemble(f"if r0 != {number} goto +2\ncall local +{distance + 1}\nexit", byte_order)


@lru_cache(maxsize=1 << 10)
def references(code: bytes, byte_order: ByteOrder) -> tuple[tuple[int, int], ...]:
    """Return the slots of generated ``code`` that name a map, with the map."""
    program = decode(code, byte_order)
    return tuple(
        (slot, item.imm) for slot, item in enumerate(program) if item and item.instruction.name == "LD_MAP_FD_VALUE"
    )
