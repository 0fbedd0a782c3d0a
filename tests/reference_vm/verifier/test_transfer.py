# SPDX-License-Identifier: Apache-2.0
"""One instruction at a time: what the verifier says of the state after it holds for machines in the state before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from bpf_isa.reference_vm.executable import Executable
from bpf_isa.reference_vm.frames import FRAME_BYTES
from bpf_isa.reference_vm.machine import Machine
from bpf_isa.reference_vm.rows import LocalCall
from bpf_isa.reference_vm.verifier import operators, ranges
from bpf_isa.reference_vm.verifier.ranges import Range
from bpf_isa.reference_vm.verifier.state import (
    HALF,
    Place,
    Pointer,
    State,
    Value,
    called,
    joined,
    returned,
    state_includes,
    widened,
)
from bpf_isa.reference_vm.verifier.transfer import Mode, Transfer, Unsafe
from bpf_isa.spec import tree as t
from bpf_isa.spec.encoding import ByteOrder, Decoded, make
from bpf_isa.spec.table import Instruction, isa

from .scenes import SLOTS, SURROUNDINGS, has, scene, start_of, varied

ROWS = [row for row in isa().instructions if not any(isinstance(node, t.CallHelper) for node in t.walk(*row.means))]
ACCESSES = [row for row in ROWS if any(isinstance(node, t.Load | t.Store) for node in t.walk(*row.means))]
CONTROL = [row for row in ROWS if any(isinstance(node, t.Jump | t.CallLocal | t.Return) for node in row.means)]
NUMBERS = (0, 1, 2, 8, 16, 31, 63, 64, -1, -8, 255, (1 << 31) - 1, -1 << 31)
DISTANCE = 5


def instruction(random: Random, state: State) -> Decoded:
    """Return an instruction; an access leads into its region, mostly, and a jump or a call to slot 6."""
    row = random.choice(random.choice([ROWS, ACCESSES, ACCESSES, ACCESSES, CONTROL]))
    pointers = [n for n, value in enumerate(state.registers) if isinstance(value, Pointer)]
    fields = {
        name: random.choice([*range(10), *pointers]) if name in {"dst", "src"} else random.choice(NUMBERS)
        for name in row.operands
    }
    if row in CONTROL:
        fields |= {
            name: DISTANCE
            for node in row.means
            if isinstance(node, t.Jump | t.CallLocal)
            for name in t.reads(node.distance)
        }
    elif row in ACCESSES and "offset" in row.operands:
        fields |= _aimed(random, row, state, random.choice(pointers))
    return make(row, **fields)


def _aimed(random: Random, row: Instruction, state: State, base: int) -> dict[str, int]:
    """Return fields for an access near to something through the address in register ``base``."""
    node = next(node for node in t.walk(*row.means) if isinstance(node, t.Load | t.Store))
    (name,) = t.reads(node.address) - {"offset"}
    pointer = state.registers[base]
    assert isinstance(pointer, Pointer)
    low, high = SURROUNDINGS.bounds(pointer.place)
    kept = SLOTS if pointer.place.kind == "stack" else (low, low + 8)
    goal = random.choice([*kept, *kept, high - node.type.bits // 8]) + random.choice([0, 0, 0, 0, 1, 4, -4])
    offset = goal - random.choice([pointer.offset.signed_low, pointer.offset.signed_high])
    return {name: base, "offset": max(-1 << 15, min(offset, (1 << 15) - 1))}


def after(item: Decoded, state: State, byte_order: ByteOrder, mode: Mode = "checking") -> dict[bool, State] | None:
    """Return what the verifier says is known then, by whether a jump is taken; None if it refuses the instruction."""
    transfer = Transfer(state, SURROUNDINGS, byte_order, mode)
    try:
        match transfer.execute(0, item):
            case t.Jump(_, condition) if condition is not None:
                return dict(transfer.branches(condition))
            case t.CallLocal():
                return {True: called(transfer.state())}
            case t.Return() if len(state.stacks) > 1:
                return {True: returned(transfer.state())}
            case t.Jump() | t.Return():
                return {True: transfer.state()}
            case _:
                return {False: transfer.state()}
    except Unsafe:
        return None


def execute(item: Decoded, machine: Machine) -> bool:
    """Execute one instruction; return whether control does not go on behind it."""
    program = [item, *[None] * (item.instruction.slots - 1)]
    operation = Executable(program, machine.byte_order).operations[0]
    assert operation
    move = operation[0](machine.registers, machine)
    if isinstance(move, LocalCall):
        machine.frames.enter(machine.registers, 0)
    elif move is not None and not isinstance(move, int):
        machine.frames.leave(machine.registers)
    return move is not None


def values(state: State, machine: Machine) -> Iterator[tuple[Value, int]]:
    """Yield each value of ``state`` and the number that ``machine`` has there."""
    yield from zip(state.registers, machine.registers, strict=False)
    for kept, frame in zip(state.preserved, machine.frames.saved, strict=True):
        yield from zip(kept, frame.preserved, strict=True)
    for stack, region in zip(state.stacks, machine.frames.stacks, strict=True):
        for offset, size, value in stack:
            place = FRAME_BYTES + offset
            yield value, int.from_bytes(region.data[place : place + size], machine.byte_order)


def claims(state: State, machine: Machine, start: int = 0) -> Iterator[tuple[Range, int]]:
    """Yield each set of ``state`` and the number that must be in it: of addresses, the offset.

    Of values that are told by how far they are from that of a register, which was ``start``, it is this distance.
    """
    for value, number in values(state, machine):
        if isinstance(value, Pointer) and value.place.kind == "value":
            bits = value.place.number
            yield operators.cut(value.offset, bits), number - start & (1 << bits) - 1
        elif isinstance(value, Pointer):
            yield value.offset, number - start_of(machine, value.place) & t.U64.mask
        elif isinstance(value, Range):
            yield value, number


def check(state: State, machines: tuple[Machine, Machine]) -> None:
    """Check that both machines are in ``state``, and differ in nothing but in where memory is."""
    first, second = machines
    for (known, one), (_, other) in zip(claims(state, first), claims(state, second), strict=True):
        assert one == other
        assert has(known, one)
    for data, same in zip(_memory(first), _memory(second), strict=True):
        assert data == same
    for stack, *regions in zip(state.stacks, first.frames.stacks, second.frames.stacks, strict=True):
        contents = [bytearray(region.data) for region in regions]
        for offset, size, value in stack:
            if not isinstance(value, Range):
                for data in contents:
                    data[FRAME_BYTES + offset : FRAME_BYTES + offset + size] = bytes(size)
        assert contents[0] == contents[1], "what nothing is said of depends on where memory is"


def _memory(machine: Machine) -> list[bytearray]:
    """Return what is in memory other than stacks."""
    stacks = {region.base for region in machine.frames.stacks}
    return [region.data for region in machine.memory.regions.values() if region.base not in stacks]


@given(st.integers(0, 1 << 32), st.sampled_from(["little", "big"]))
def test_what_is_known_after_an_instruction_holds_then(seed: int, byte_order: ByteOrder) -> None:
    random = Random(seed)
    for _ in range(30):
        before = scene(random, random.choice([1, 1, 2, 3]))
        item = instruction(random, before.state)
        if any(getattr(item, name) == 10 for name in item.instruction.writes & {"dst", "src"}):
            continue
        known = after(item, before.state, byte_order)
        if known is not None:
            machines = before.machines(byte_order)
            check(before.state, machines)
            ways = {execute(item, machine) for machine in machines}
            assert len(ways) == 1, "the way depends on where memory is"
            check(known[ways.pop()], machines)


@given(st.integers(0, 1 << 32), st.sampled_from(["little", "big"]))
def test_how_far_a_register_moves_is_known_after_an_instruction(seed: int, byte_order: ByteOrder) -> None:
    random = Random(seed)
    for _ in range(30):
        before = scene(random, random.choice([1, 1, 2]))
        item = instruction(random, before.state)
        number = random.choice([random.randrange(10), item.dst, item.src])
        is_written = any(getattr(item, name) == 10 for name in item.instruction.writes & {"dst", "src"})
        if number == 10 or is_written or after(item, before.state, byte_order) is None:
            continue
        machine, _ = before.machines(byte_order)
        start = machine.registers[number]
        registers = list(before.state.registers)
        registers[number] = Pointer(HALF if start >> 32 == 0 else Place("value", 64), ranges.known(0))
        known = after(item, replace(before.state, registers=tuple(registers)), byte_order, "tracing")
        if known is not None:
            assert all(has(*claim) for claim in claims(known[execute(item, machine)], machine, start))


@given(st.integers(0, 1 << 32), st.lists(st.integers(-600, 600), max_size=4).map(sorted))
def test_what_is_known_where_ways_meet_holds_on_each(seed: int, stops: list[int]) -> None:
    random = Random(seed)
    for _ in range(5):
        one = scene(random, random.choice([1, 2, 3]))
        other = varied(random, one)
        a, b = one.state, other.state
        for state in (joined(a, b), widened(a, b, stops)):
            check(state, one.machines("little"))
            check(state, other.machines("little"))
            assert state_includes(state, a) and state_includes(state, b)
        if state_includes(a, b):
            check(a, other.machines("little"))
