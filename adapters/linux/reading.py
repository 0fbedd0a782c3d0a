# SPDX-License-Identifier: Apache-2.0
"""The properties of a program that its kernel calls depend on: exits, jumps, calls, maps and platform features.

All of it is derived from the meanings of rows. Undefined instructions of a program are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, NamedTuple, TypeAlias

from ...spec import tree
from ...spec.control import control_of, targets
from ...spec.encoding import ByteOrder, Decoded, DecodeError, Program, decode, identify, unpack
from ...spec.table import Instruction, isa

#: How an instruction names a map: by descriptor or by index.
MapReference: TypeAlias = Literal["map_by_fd", "map_by_idx"]
#: Platform features that an instruction needs.
Platform: TypeAlias = Literal["helper", "btf", "variable"]


class Traits(NamedTuple):
    """The properties of a row, besides its control flow.

    A ``copy`` only sets dst to src. ``bases`` are the fields with the address registers of memory accesses.
    """

    map: MapReference | None
    platform: Platform | None
    packet: bool
    copy: bool
    bases: frozenset[str]


@cache
def traits(row: Instruction) -> Traits:
    """Return the traits of ``row``."""
    nodes = tuple(tree.walk(*row.means))
    names = {node.name for node in nodes if isinstance(node, tree.Call)}
    helpers = [node for node in nodes if isinstance(node, tree.CallHelper)]
    platform: Platform | None = "variable" if "var_addr" in names else None
    if helpers:
        platform = "helper" if helpers[0].by == "static" else "btf"
    addresses = [node.address for node in nodes if isinstance(node, tree.Load | tree.Store)]
    return Traits(
        map="map_by_fd" if "map_by_fd" in names else "map_by_idx" if "map_by_idx" in names else None,
        platform=platform,
        packet="packet" in names,
        copy=row.means == (tree.Assign(tree.Register("dst"), tree.Register("src")),),
        bases=tree.reads(*addresses) & {"dst", "src"},
    )


@dataclass(slots=True)
class Reading:
    """The properties of a program.

    ``program`` is indexed by slot; second slots and undefined instructions (``malformed``) are None.
    ``ends`` are the slots of EXIT, ``jumps`` triples of slot, target and whether there is a condition, ``calls`` pairs
    of a slot and the first slot of the function that it calls or takes the address of, ``addresses`` the first slots of
    functions whose address is taken, ``maps`` pairs of slot and kind of reference, ``platform`` pairs of slot and what
    must be supplied.
    """

    program: Program
    malformed: bool
    ends: list[int] = field(default_factory=list)
    jumps: list[tuple[int, int, bool]] = field(default_factory=list)
    calls: list[tuple[int, int]] = field(default_factory=list)
    addresses: set[int] = field(default_factory=set)
    maps: list[tuple[int, MapReference]] = field(default_factory=list)
    platform: list[tuple[int, Platform]] = field(default_factory=list)
    packet: bool = False

    @property
    def functions(self) -> list[int]:
        """First slots of the functions that the program calls or takes the address of, ascending."""
        return sorted({target for _, target in self.calls})

    def instructions(self) -> Iterator[tuple[int, Decoded]]:
        """Yield the instructions with their slots."""
        for slot, item in enumerate(self.program):
            if item is not None:
                yield slot, item


def read(code: bytes, byte_order: ByteOrder) -> Reading:
    """Read a program.

    Raises:
        DecodeError: the length is not a multiple of 8; after any other error the program is ``malformed``.
    """
    try:
        reading = Reading(decode(code, byte_order), malformed=False)
    except DecodeError as error:
        if error.rule == "bad-length":
            raise
        reading = _read_what_can_be(code, byte_order)
    for slot, item in reading.instructions():
        row, control = traits(item.instruction), control_of(item.instruction)
        if isinstance(control.transfer, tree.Return):
            reading.ends.append(slot)
        for kind, target, _ in targets(slot, item):
            if kind == "jump":
                reading.jumps.append((slot, target, control.continues))
            else:
                reading.calls.append((slot, target))
            if kind == "code address":
                reading.addresses.add(target)
        if row.map:
            reading.maps.append((slot, row.map))
        if row.platform:
            reading.platform.append((slot, row.platform))
        reading.packet |= row.packet
    return reading


def _read_what_can_be(code: bytes, byte_order: ByteOrder) -> Reading:
    slots = unpack(code, byte_order)
    reading = Reading([], malformed=False)
    program = reading.program
    while len(program) < len(slots):
        found = identify(slots, len(program))
        if not isinstance(found, DecodeError):
            program += [found, None] if found.instruction.wide else [found]
        elif _packet_opcode(slots[len(program)].opcode):
            # A packet access with invalid fields continues at the next slot.
            reading.packet = True
            program.append(None)
        else:
            reading.malformed = True
            program.append(None)
    return reading


@cache
def _packet_opcode(opcode: int) -> bool:
    return any(traits(row).packet for row in isa().by_opcode.get(opcode, ()))
