# SPDX-License-Identifier: Apache-2.0
"""Random states of the safety verifier, each with two machines that are in it and differ in where their memory is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from bpf_isa.reference_vm.frames import FRAME_BYTES
from bpf_isa.reference_vm.machine import Machine
from bpf_isa.reference_vm.maps import ArrayMap, Map
from bpf_isa.reference_vm.verifier import ranges
from bpf_isa.reference_vm.verifier.ranges import Range
from bpf_isa.reference_vm.verifier.safety import surroundings_of
from bpf_isa.reference_vm.verifier.state import ADDRESS, Kept, Place, Pointer, Stack, State, Value
from bpf_isa.reference_vm.verifier.surroundings import Surroundings
from bpf_isa.spec import tree as t
from bpf_isa.spec.encoding import ByteOrder

#: Numbers near to which something changes.
EDGES = (0, 7, 8, 16, 32, 64, 1 << 7, 1 << 8, 1 << 15, 1 << 16, 1 << 31, 1 << 32, 1 << 63)
#: Offsets into a stack that values are kept at; some overlap others.
SLOTS = (-512, -511, -504, -32, -24, -20, -16, -15, -12, -8, -4, -1)


def has(found: Range, number: int) -> bool:
    """Whether ``number`` is in ``found``, in each way in which it is told."""
    as_signed = t.Type(True, found.bits).wrap(number)
    return (
        found.low <= number <= found.high
        and found.signed_low <= as_signed <= found.signed_high
        and number & ~found.unknown == found.value
    )


def machine(byte_order: ByteOrder) -> Machine:
    """Return a machine with a region of each kind."""
    maps = (bytes(24), ArrayMap(bytes(8), writable=False))
    return Machine(byte_order=byte_order, memory=bytes(64), maps=maps, variables={1: bytes(16)})


SURROUNDINGS: Surroundings = surroundings_of(machine("little"))


def start_of(machine: Machine, place: Place) -> int:
    """Return the address that offset 0 of a region stands for."""
    match place.kind:
        case "stack":
            return machine.frames.stacks[place.number].end
        case "input":
            return machine.packet
        case "map":
            return machine.maps[place.number].region.base
        case "variable":
            return machine.variables[place.number].base
        case _:
            return machine.maps[place.number].handle


@dataclass(frozen=True, slots=True)
class Choice:
    """A value, and what it is: a number in it, or the offset of an address, or a number for each of the machines."""

    value: Value
    numbers: tuple[int, int]

    def of(self, machine: Machine, which: int) -> int:
        """Return the number that machine ``which`` has."""
        start = start_of(machine, self.value.place) if isinstance(self.value, Pointer) else 0
        return start + self.numbers[which] & t.U64.mask


@dataclass(frozen=True, slots=True)
class Scene:
    """What there is in each frame: what is kept in its stack, and, of callers, R6 to R9; and the registers now."""

    registers: tuple[Choice, ...]
    kept: tuple[tuple[tuple[Kept, Choice], ...], ...]
    preserved: tuple[tuple[Choice, ...], ...]
    noise: int

    @property
    def state(self) -> State:
        """What the verifier knows."""
        stacks: tuple[Stack, ...] = tuple(tuple(kept for kept, _ in stack) for stack in self.kept)
        return State(_values(self.registers), stacks, tuple(map(_values, self.preserved)))

    def machines(self, byte_order: ByteOrder) -> tuple[Machine, Machine]:
        """Return two machines in the state; what it says nothing about is the same in both."""
        first, second = machine(byte_order), machine(byte_order)
        for which, one in enumerate((first, second)):
            frames, random = one.frames, Random(self.noise)
            for _ in self.preserved:
                frames.enter(one.registers, 0)
            if which:
                move(one)
            for region in one.memory.regions.values():
                region.data[:] = random.randbytes(len(region.data))
            for region, kept in zip(frames.stacks, self.kept, strict=True):
                for (offset, size, _), choice in kept:
                    number = choice.of(one, which) & (1 << 8 * size) - 1
                    place = FRAME_BYTES + offset
                    region.data[place : place + size] = number.to_bytes(size, byte_order)
            for frame, choices in zip(frames.saved, self.preserved, strict=True):
                frame.preserved[:] = [choice.of(one, which) for choice in choices]
            one.registers[: len(self.registers)] = [choice.of(one, which) for choice in self.registers]
        return first, second


def _values(choices: Iterable[Choice]) -> tuple[Value, ...]:
    return tuple(choice.value for choice in choices)


def move(machine: Machine) -> None:
    """Put each region of ``machine`` somewhere else."""
    memory, frames = machine.memory, machine.frames
    new = {}
    for number, region in enumerate(list(memory.regions.values()), start=1):
        memory.remove(region)
        new[region.name] = memory.add(region._replace(base=region.base + (number << 56)))
    assert machine.input
    machine.input = new[machine.input.name]
    machine.packet = machine.input.base
    machine.maps = [Map(item.definition, item.handle + (1 << 55), new[item.region.name]) for item in machine.maps]
    machine.variables = {number: new[region.name] for number, region in machine.variables.items()}
    frames.stacks[:] = [new[region.name] for region in frames.stacks]
    frames.saved[:] = [
        frame._replace(frame_pointer=region.end) for frame, region in zip(frames.saved, frames.stacks, strict=False)
    ]


def scene(random: Random, frames: int) -> Scene:
    """Return a random scene with so many frames."""
    frame_pointer = Choice(Pointer(Place("stack", frames - 1), ranges.known(0)), (0, 0))
    return Scene(
        registers=(*(_any(random, frames) for _ in range(10)), frame_pointer),
        kept=tuple(_stack(random, frames) for _ in range(frames)),
        preserved=tuple(tuple(_any(random, frame) for _ in range(4)) for frame in range(1, frames)),
        noise=random.getrandbits(32),
    )


def _any(random: Random, frames: int) -> Choice:
    kind = random.random()
    if kind < 0.5:
        return _number(random, 64)
    return _pointer(random, frames) if kind < 0.9 else _foreign(random)


def _foreign(random: Random) -> Choice:
    """Return a number that depends on where memory is, in a way that is not known."""
    return Choice(ADDRESS, (random.getrandbits(64), random.getrandbits(64)))


def _number(random: Random, bits: int) -> Choice:
    mask = (1 << bits) - 1

    def some() -> int:
        edge = random.choice([*EDGES, -1, random.getrandbits(bits)])
        return edge + random.randint(-5, 5) & mask

    number = some()
    found = ranges.known(number, bits) if random.random() < 0.3 else ranges.anything(bits)
    for _ in range(random.randrange(3)):
        low, high = sorted((number, random.choice([some(), number + random.randint(-20, 20) & mask])))
        least, most = sorted(t.Type(True, bits).wrap(one) for one in (low, high))
        bits_known = ranges.of_bits(bits, number, random.getrandbits(bits) | random.getrandbits(bits))
        other = random.choice([ranges.unsigned(low, high, bits), ranges.signed(least, most, bits), bits_known])
        found = ranges.meet(found, other) or found
    if random.random() < 0.2:
        found = ranges.join(found, ranges.known(some(), bits))
    assert has(found, number)
    return Choice(found, (number, number))


def _pointer(random: Random, frames: int) -> Choice:
    places = [Place("stack", random.randrange(frames))] * 5 + [Place("input")] * 3
    place = random.choice([*places, Place("map", 0), Place("map", 1), Place("variable", 1), Place("handle", 1)])
    if place.kind == "handle":
        return Choice(Pointer(place, ranges.known(0)), (0, 0))
    low, high = SURROUNDINGS.bounds(place)
    offset = random.choice([low, high, high - 8, high - 16, (low + high) // 2]) + random.choice([0, 0, 0, 1, 4, -1, -4])
    other = offset + random.choice([0, 0, 1, 4, 8, 16, -8, random.randint(-30, 30)])
    found = ranges.signed(min(offset, other), max(offset, other))
    if random.random() < 0.3:
        found = ranges.join(ranges.known(offset), ranges.known(other))
    return Choice(Pointer(place, found), (offset, offset))


def _stack(random: Random, frames: int) -> tuple[tuple[Kept, Choice], ...]:
    found: list[tuple[Kept, Choice]] = []
    for offset in sorted(random.sample(SLOTS, 6)):
        size = random.choice([1, 2, 4, 8, 8, 8])
        kind = random.randrange(3)
        if offset + size > 0 or (found and offset < found[-1][0].offset + found[-1][0].size):
            continue
        if kind == 1 and size == 8:
            choice = _pointer(random, frames)
        else:
            choice = _foreign(random) if kind == 2 else _number(random, 8 * size)
        found.append((Kept(offset, size, choice.value), choice))
    return tuple(found)


def varied(random: Random, one: Scene) -> Scene:
    """Return a scene that is nearly ``one``."""
    other = scene(random, len(one.kept))
    registers, kept = list(one.registers), list(one.kept)
    if random.random() < 0.5:
        number = random.randrange(10)
        registers[number] = other.registers[number]
    for number in range(len(kept)):
        if random.random() < 0.3:
            kept[number] = other.kept[number]
        elif random.random() < 0.5:
            kept[number] = tuple(random.sample(kept[number], random.randrange(len(kept[number]) + 1)))
    preserved = other.preserved if random.random() < 0.2 else one.preserved
    return Scene(tuple(registers), tuple(tuple(sorted(stack, key=_place)) for stack in kept), preserved, other.noise)


def _place(item: tuple[Kept, Choice]) -> tuple[int, int]:
    return item[0][:2]
