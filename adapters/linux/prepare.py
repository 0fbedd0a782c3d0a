# SPDX-License-Identifier: Apache-2.0
"""Conversion of a vector to kernel calls.

The input memory is an array map, which the kernel allows to access with any offset, width and atomic operation. Where
an offset is beyond its length, so that the base must lie before it, there is room before it in the map: Linux 7.2
refuses accesses through a base before the map, wherever they lead. All loads are privileged.

There are three forms of the vector's program:

*whole*
    The program is the main program. Each EXIT of it (not those of its local functions) becomes a jump to an epilogue,
    which is placed before the first local function, because the kernel requires contiguous functions. The program has
    the whole stack and every call frame, and all its registers can be stored.

*whole, with doors*
    The whole form with :mod:`doors <.flow>` to code that the verifier would otherwise reject or remove. Run in addition
    to the whole form, or instead of it where that would be rejected or changed, if the verifier accepts it.

*function*
    The program follows, unchanged, a generated main program, which calls it as a function and stores R0. For programs
    that the RFC does not allow, or that the whole form would change (calls of the main program, jumps between
    functions): the kernel rejects this form if it rejects the program alone.
"""

from __future__ import annotations

import sys
from itertools import count
from typing import NamedTuple

from ...spec.control import control_of, is_instruction
from ...spec.encoding import SLOT_BYTES, ByteOrder, DecodeError, pack, unpack
from ..protocol import Job, Reason
from . import wrapping
from .calls import NO_MAP, Load, Origin, PreparedCalls, ProgramTypeName
from .flow import Doors, doors
from .reading import Reading, read, traits

#: The kernel's test run requires at least a link layer header.
SHORTEST_PACKET = 14
#: A packet, with headroom and the kernel's metadata, must fit in one page of 4096 bytes.
LONGEST_PACKET = 3500
#: Static ids of helper functions (``enum bpf_func_id``) by their names in vectors.
HELPERS = {"map_lookup_elem": 1, "map_update_elem": 2, "map_delete_elem": 3}
_CONTEXT = 6


class CannotPrepare(Exception):
    """The kernel cannot run this vector."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.reason = Reason(code, text, "platform")


def prepare(
    job: Job, byte_order: ByteOrder = sys.byteorder, plain: ProgramTypeName = "RAW_TRACEPOINT"
) -> PreparedCalls:
    """Return the kernel calls for ``job``.

    Args:
        job: the vector.
        byte_order: of the machine that makes the calls.
        plain: the program type for vectors that read no packet.

    Raises:
        CannotPrepare: the kernel cannot run it.
    """
    if job.byte_order != byte_order:
        raise CannotPrepare(
            "linux.byte-order", f"the program is {job.byte_order}-endian, the kernel {byte_order}-endian"
        )
    try:
        reading = read(job.code, byte_order)
    except DecodeError as error:
        raise CannotPrepare("linux.whole-slots", f"bpf(2) counts 64-bit slots, and here {error.message}") from None
    if not job.wants_rejection:
        _check_platform(job, reading)
    packet = bytes(SHORTEST_PACKET) if plain == "SOCKET_FILTER" else None
    if reading.packet:
        packet = job.memory or b""
        if len(packet) < SHORTEST_PACKET:
            raise CannotPrepare("linux.packet", f"the kernel's test run takes packets from {SHORTEST_PACKET} bytes on")
        if len(packet) > LONGEST_PACKET:
            raise CannotPrepare("linux.packet", f"the kernel's test run takes packets of up to {LONGEST_PACKET} bytes")
    return _Preparation(job, reading, byte_order).calls("SCHED_CLS" if reading.packet else plain, packet)


def _check_platform(job: Job, reading: Reading) -> None:
    """Reject helper functions and variables that differ between the kernel and the vector."""
    for slot, platform in reading.platform:
        item = reading.program[slot]
        assert item is not None
        if platform == "variable":
            raise CannotPrepare("linux.variable", "which variable an id stands for differs from kernel to kernel")
        if platform == "btf":
            raise CannotPrepare("linux.btf", "which function a BTF id stands for differs from kernel to kernel")
        if _helper(job, item.imm) is None:
            raise CannotPrepare("linux.helper", f"Linux has no helper like the one that the vector calls {item.imm}")


def _helper(job: Job, number: int) -> int | None:
    """Return Linux's number for the job's helper ``number``, None if Linux has no such helper.

    Numbers that the job does not define are Linux's own, if vectors may use them.
    """
    for helper in job.helpers:
        if helper.by == "static" and helper.number == number:
            return HELPERS.get(helper.does)
    return number if number in HELPERS.values() else None


class _Piece(NamedTuple):
    """Code of a load; ``origin`` is its first slot in the vector's program, None for generated code."""

    code: bytes
    origin: int | None = None


class _Preparation:
    """Builds the loads of one job."""

    def __init__(self, job: Job, reading: Reading, byte_order: ByteOrder) -> None:
        self.job, self.reading, self.order = job, reading, byte_order
        self.memory = job.memory or None
        self.code = bytearray(job.code)
        self.first_map = 1 if self.memory is None else 2
        context = ("r1" if _takes_context(reading) else "r6") if reading.packet else None
        self.room = _room(reading, len(self.memory)) if self.memory else 0
        self.entry = wrapping.entry(self.memory and len(self.memory), byte_order, context, self.room)
        self.references = self._references()

    def calls(self, program_type: ProgramTypeName, packet: bytes | None) -> PreparedCalls:
        """Return the calls for the form that fits.

        Raises:
            CannotPrepare: no form shows the observed registers.
        """
        observed = self.job.observe & frozenset(wrapping.REGISTERS)
        alone = self.job.wants_rejection and not self.reading.packet
        end = min(self.reading.functions, default=len(self.reading.program))
        if alone or self.reading.malformed or not _fits_whole(self.reading, end):
            if not self.job.wants_rejection and observed - {"r0"}:
                raise CannotPrepare("linux.registers", "only r0 can be seen of a program that calls its first slot")
            observed = frozenset({"r0"})
            loads = [self._function(observed)]
        else:
            needed = doors(self.reading, end)
            loads = [self._whole(end, observed)._replace(fallback=needed.required)]
            if needed:
                loads.insert(0 if needed.required else 1, self._whole(end, observed, needed)._replace(optional=True))
        values = [bytes(wrapping.SCRATCH_SIZE)]
        values += [] if self.memory is None else [bytes(self.room) + self.memory]
        values += [spec.value for spec in self.job.maps]
        return PreparedCalls(
            program_type=program_type,
            maps=tuple(values),
            indexed=(*range(self.first_map, len(values)), NO_MAP) if self.reading.maps else (),
            packet=packet,
            loads=tuple(loads),
            reads=(wrapping.SCRATCH, wrapping.MEMORY) if self.memory is not None else (wrapping.SCRATCH,),
            registers=tuple(name for name in wrapping.REGISTERS if name in observed),
        )

    def _references(self) -> tuple[tuple[int, int], ...]:
        """Return the slots that name the vector's maps, with the map; replace map and helper numbers by the kernel's.

        Numbers of maps that the vector does not have are replaced by one that the kernel does not have either.
        """
        for slot, platform in self.reading.platform:
            item = self.reading.program[slot]
            if platform == "helper" and item is not None and (number := _helper(self.job, item.imm)) is not None:
                _put_imm(self.code, slot, number, self.order)
        found = []
        maps = len(self.job.maps)
        for slot, kind in self.reading.maps:
            item = self.reading.program[slot]
            assert item is not None
            named = 0 <= item.imm < maps
            if kind == "map_by_fd":
                found.append((slot, self.first_map + item.imm if named else NO_MAP))
            elif not named:
                _put_imm(self.code, slot, maps, self.order)
        return tuple(found)

    def _function(self, observed: frozenset[str]) -> Load:
        """Return the program as a function of a generated main program."""
        epilogue = wrapping.epilogue(observed, self.order)
        call = wrapping.call_over(len(epilogue) // SLOT_BYTES, self.order)
        pieces = [_Piece(self.entry), _Piece(call), _Piece(epilogue), _Piece(bytes(self.code), 0)]
        return self._load(pieces, functions=(0, *self.reading.functions))

    def _whole(self, end: int, observed: frozenset[str], needed: Doors | None = None) -> Load:
        """Return the program with an epilogue in place of its EXITs, and with doors if they are ``needed``.

        Local functions begin at slot ``end``.
        """
        epilogue = wrapping.epilogue(observed, self.order)
        inserted = len(epilogue) // SLOT_BYTES
        main = self.code[: end * SLOT_BYTES]
        for slot in self.reading.ends:
            if slot < end:
                _put(main, slot, wrapping.jump(end - slot - 1, self.order))
        for slot, _ in self.reading.calls:
            item = self.reading.program[slot]
            if slot < end and item is not None:
                _put_imm(main, slot, item.imm + inserted, self.order)
        before = self.entry + self._doors(needed, inserted) if needed else self.entry
        functions = _Piece(bytes(self.code[end * SLOT_BYTES :]), end)
        pieces = [_Piece(before), _Piece(bytes(main), 0), _Piece(epilogue), functions]
        return self._load(pieces, functions=tuple(self.reading.functions))

    def _doors(self, needed: Doors, inserted: int) -> bytes:
        """Return the doors to the program after them, whose functions are moved by ``inserted`` slots."""
        after = wrapping.DOOR_SLOTS * len(needed.slots) + wrapping.FUNCTION_DOOR_SLOTS * len(needed.functions)
        parts = [wrapping.choose_door(self.order), wrapping.pass_doors(after, self.order, context=self.reading.packet)]
        numbers = count(1)
        for slot in needed.slots:
            after -= wrapping.DOOR_SLOTS
            parts.append(wrapping.door(next(numbers), after + slot, self.order))
        for slot in needed.functions:
            after -= wrapping.FUNCTION_DOOR_SLOTS
            parts.append(wrapping.function_door(next(numbers), after + inserted + slot, self.order))
        return b"".join(parts)

    def _load(self, pieces: list[_Piece], functions: tuple[int, ...]) -> Load:
        """Join ``pieces``; ``functions`` are the slots of the vector's program at which functions begin."""
        relocations: list[tuple[int, int]] = []
        origins: list[Origin] = []
        starts = {0}
        at = 0
        for piece in pieces:
            length = len(piece.code) // SLOT_BYTES
            if piece.origin is None:
                relocations += [(at + slot, index) for slot, index in wrapping.references(piece.code, self.order)]
            elif piece.code:
                moved = at - piece.origin
                slots = range(piece.origin, piece.origin + length)
                origins.append(Origin(at, piece.origin, length))
                if self.references:
                    relocations += [(moved + slot, index) for slot, index in self.references if slot in slots]
                if self.reading.addresses:
                    starts |= {moved + slot for slot in functions if slot in slots}
            at += length
        return Load(
            code=b"".join(piece.code for piece in pieces),
            relocations=tuple(relocations),
            origins=tuple(origins),
            functions=tuple(sorted(starts)) if self.reading.addresses else (),
        )


def _room(reading: Reading, length: int) -> int:
    """Return the bytes before an input memory of ``length`` bytes into which the bases of accesses to it may point."""
    offsets = [item.offset for _, item in reading.instructions() if traits(item.instruction).bases]
    return -(-max((offset for offset in offsets if offset >= length), default=0) // 8) * 8


def _takes_context(reading: Reading) -> bool:
    """Whether a program that reads packets moves their context from R1 to R6 itself, as on Linux."""
    moves = uses = False
    for _, item in reading.instructions():
        row = traits(item.instruction)
        moves |= row.copy and item.dst == _CONTEXT and item.src == 1
        uses |= any(getattr(item, base) == 1 for base in row.bases)
    return moves and not uses


def _fits_whole(reading: Reading, end: int) -> bool:
    """Whether an epilogue can be inserted before slot ``end``: no jump or fall-through crosses it."""
    program = reading.program
    if not 0 < end <= len(program):
        return False
    last = program[end - 1]
    if last is None or control_of(last.instruction).continues:
        return False

    def within(target: int) -> bool:
        return is_instruction(program, target)

    return all(within(target) and (slot < end) == (target < end) for slot, target, _ in reading.jumps) and all(
        within(target) for _, target in reading.calls
    )


def _put(code: bytearray, slot: int, new: bytes) -> None:
    code[slot * SLOT_BYTES : slot * SLOT_BYTES + len(new)] = new


def _put_imm(code: bytearray, slot: int, imm: int, byte_order: ByteOrder) -> None:
    (fields,) = unpack(bytes(code[slot * SLOT_BYTES : (slot + 1) * SLOT_BYTES]), byte_order)
    _put(code, slot, pack([fields._replace(imm=imm)], byte_order))
