# SPDX-License-Identifier: Apache-2.0
"""Random programs, for tests that compare two ways of running one.

Rows are chosen from the table by what their meaning does; no instruction is known by name. All programs
decode, jump to instructions only and have input memory of :data:`INPUT_BYTES` bytes in R1 at entry.

* :func:`structured` programs end: they consist of straight code, conditionals, counted loops and local calls, and their
  memory accesses are mostly in bounds.
* :func:`maze` programs compute and jump anywhere, on conditions that hold about every other time, and may not end.
* :func:`tangled` programs jump anywhere and may fault in every way or not end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from random import Random

from bpf_isa.reference_vm.machine import Machine
from bpf_isa.spec import tree as t
from bpf_isa.spec.encoding import Decoded, Program, make
from bpf_isa.spec.table import FIELD_RANGES, Instruction, isa

INPUT_BYTES = 64
STACK_BYTES = 512
MAP_BYTES = 24
#: Helper functions by static id and by BTF id that programs call.
HELPER = 7
#: What `structured` keeps for itself: counters of loops, and the address of the input memory.
COUNTERS = (6, 7, 8)
INPUT = 9
#: Numbers that matter to some instruction.
NUMBERS = (0, 1, 2, 3, 5, 7, 8, 15, 16, 31, 32, 33, 63, 64, 127, 128, 255, 0x7FFF, 0x8000, 0x7FFF_FFFF)


def mix(machine: Machine, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """A helper function: its result depends on all of its arguments, and it writes to the first map."""
    value = r1 + 3 * r2 + 5 * r3 + 7 * r4 + 11 * r5
    machine.store1(machine.maps[0].region.base, value & 255)
    return value


#: What a machine needs to run these programs.
SURROUNDINGS = {
    "memory": bytes(range(1, INPUT_BYTES + 1)),
    "maps": (bytes(range(100, 100 + MAP_BYTES)), bytes(8)),
    "helpers": {HELPER: mix},
    "btf_helpers": {HELPER: mix},
    "variables": {1: bytes(16)},
}


def rows(accept: Callable[[Instruction, list[t.Node]], bool]) -> list[Instruction]:
    """Return the rows that ``accept`` by themselves and all nodes of their meaning."""
    return [row for row in isa().instructions if accept(row, list(t.walk(*row.means)))]


def _has(nodes: list[t.Node], *kinds: type[t.Node]) -> bool:
    return any(isinstance(node, kinds) for node in nodes)


@cache
def plain() -> list[Instruction]:
    """Rows that compute: no memory, no control, nothing from the platform."""
    return rows(
        lambda row, nodes: (
            not _has(nodes, t.Load, t.Store, t.Jump, t.CallHelper, t.CallLocal, t.Return)
            and not any(isinstance(node, t.Call) and node.name in t.PLATFORM_FUNCTIONS for node in nodes)
        )
    )


@cache
def accesses() -> list[Instruction]:
    """Rows that access memory at a register plus offset."""
    return rows(lambda row, nodes: _has(nodes, t.Load, t.Store) and "offset" in row.operands)


@cache
def packet_accesses() -> list[Instruction]:
    """Rows that read the input memory by name."""
    return rows(lambda row, nodes: any(isinstance(node, t.Call) and node.name == "packet" for node in nodes))


@cache
def platform() -> list[Instruction]:
    """Rows that load the address of something that the platform has."""
    names = set(t.PLATFORM_FUNCTIONS) - {"packet"}
    return rows(lambda row, nodes: any(isinstance(node, t.Call) and node.name in names for node in nodes))


@cache
def jumps() -> list[Instruction]:
    """Rows that jump."""
    return rows(lambda row, nodes: _has(nodes, t.Jump))


@cache
def conditions() -> list[Instruction]:
    """Rows that jump if a condition holds."""
    return [row for row in jumps() if any(isinstance(s, t.Jump) and s.condition for s in row.means)]


@cache
def helper_calls() -> list[Instruction]:
    """Rows that call a helper function."""
    return rows(lambda row, nodes: _has(nodes, t.CallHelper))


@cache
def only(kind: type[t.Node]) -> Instruction:
    """Return the one row whose meaning has a node of ``kind``."""
    (row,) = rows(lambda row, nodes: _has(nodes, kind))
    return row


def distance_field(row: Instruction) -> str:
    """Return the field that holds the distance of a jump or local call."""
    for node in row.means:
        if isinstance(node, t.Jump | t.CallLocal):
            (name,) = t.reads(node.distance)
            return name
    raise AssertionError(f"{row.name} has no distance")


def access_base(row: Instruction) -> str:
    """Return the register field that holds the address of a memory access."""
    address = next(node.address for node in t.walk(*row.means) if isinstance(node, t.Load | t.Store))
    (name,) = t.reads(address) - {"offset"}
    return name


def access_bytes(row: Instruction) -> int:
    """Return how many bytes an access has."""
    return next(node.type.bits // 8 for node in t.walk(*row.means) if isinstance(node, t.Load | t.Store))


def _number(random: Random, low: int, high: int) -> int:
    """Return a number from ``low`` to ``high``, rather one at which something changes."""
    if random.random() < 0.7:
        value = random.choice(NUMBERS) * random.choice((1, -1))
        if low <= value <= high:
            return value
    return random.randint(low, high)


def operands(random: Random, row: Instruction, registers: Sequence[int], **given: int) -> Decoded:
    """Return ``row`` with random operands: ``registers``, and numbers where nothing is ``given``."""
    values: dict[str, int] = {}
    for name in row.operands:
        if name in given:
            values[name] = given[name]
        elif name in ("dst", "src"):
            values[name] = random.choice(registers)
        else:
            values[name] = _number(random, *FIELD_RANGES[name])
    return make(row, **values)


class _Placed(list[Decoded | None]):
    """A program under construction, by slot."""

    def add(self, item: Decoded) -> int:
        """Append an instruction and return its slot."""
        self.append(item)
        if item.instruction.wide:
            self.append(None)
        return len(self) - item.instruction.slots

    def aim(self, slot: int, target: int) -> None:
        """Make the jump or call at ``slot`` lead to ``target``."""
        item = self[slot]
        assert item is not None
        fields = {name: getattr(item, name) for name in item.instruction.operands}
        self[slot] = make(item.instruction, **(fields | {distance_field(item.instruction): target - slot - 1}))


class _Structured:
    """Builds a program of nested blocks."""

    FREE = (0, 1, 2, 3, 4, 5)

    def __init__(self, random: Random, size: int) -> None:
        self.random, self.size = random, size
        self.program = _Placed()
        self.calls: list[int] = []

    def access(self) -> None:
        """Add a memory access in bounds."""
        random = self.random
        row = random.choice(accesses())
        base, low, high = random.choice(((INPUT, 0, INPUT_BYTES), (10, -STACK_BYTES, 0)))
        given = {name: random.choice(self.FREE) for name in row.operands if name in ("dst", "src")}
        given[access_base(row)] = base
        given["offset"] = random.randint(low, high - access_bytes(row))
        self.program.add(operands(random, row, self.FREE, **given))

    def conditional(self, depth: int) -> None:
        """Add a block that is jumped over if a condition holds, perhaps to another one."""
        row = self.random.choice(conditions())
        branch = self.program.add(operands(self.random, row, self.FREE, **{distance_field(row): 0}))
        self.block(depth)
        if self.random.random() < 0.5:
            over = self.program.add(make(isa().by_name["JA"]))
            self.program.aim(branch, len(self.program))
            self.block(depth)
            self.program.aim(over, len(self.program))
        else:
            self.program.aim(branch, len(self.program))

    def loop(self, depth: int) -> None:
        """Add a block that is repeated."""
        by_name, counter = isa().by_name, COUNTERS[depth - 1]
        self.program.add(make(by_name["MOV64_K"], dst=counter, imm=self.random.randint(1, 6)))
        head = len(self.program)
        self.block(depth)
        self.program.add(make(by_name["ADD64_K"], dst=counter, imm=-1))
        self.program.aim(self.program.add(make(by_name["JNE64_K"], dst=counter)), head)

    def block(self, depth: int) -> None:
        """Add statements."""
        random = self.random
        for _ in range(random.randint(0 if depth else 1, max(1, self.size >> depth))):
            kind = random.random()
            if kind < 0.15 and depth < len(COUNTERS):
                self.loop(depth + 1)
            elif kind < 0.3 and depth < len(COUNTERS):
                self.conditional(depth + 1)
            elif kind < 0.35:
                self.calls.append(self.program.add(make(only(t.CallLocal))))
            elif kind < 0.4:
                self.program.add(operands(random, random.choice(helper_calls()), self.FREE, imm=HELPER))
            elif kind < 0.65:
                self.access()
            else:
                self.program.add(operands(random, random.choice(plain()), self.FREE))

    def function(self, depth: int) -> None:
        """Add a function that all calls without a target so far lead to."""
        calls, self.calls = self.calls, []
        start = len(self.program)
        if depth < len(COUNTERS):
            self.block(depth)
        self.program.add(make(only(t.Return)))
        for slot in calls:
            self.program.aim(slot, start)


def structured(random: Random, size: int = 12) -> Program:
    """Return a program that ends, of about ``size`` statements and up to three local functions."""
    builder = _Structured(random, size)
    builder.program.add(make(isa().by_name["MOV64_X"], dst=INPUT, src=1))
    builder.function(0)
    # A function calls only the one after it, so no call is recursive; the last one has no body.
    for depth in (1, 1, len(COUNTERS)):
        if builder.calls:
            builder.function(depth)
    return list(builder.program)


def maze(random: Random, size: int = 12) -> Program:
    """Return a program of ``size`` places, each of which changes R0 and jumps to another place or goes on."""
    program = _Placed()
    by_name = isa().by_name
    places: list[int] = []
    exits: list[int] = []
    for _ in range(size):
        places.append(len(program))
        program.add(make(by_name["MUL64_K"], dst=0, imm=random.choice((3, 5, 0x6C07_8965))))
        program.add(make(by_name["ADD64_K"], dst=0, imm=random.randint(1, 99)))
        row = by_name[random.choice(("JSET64_K", "JSET32_K", "JA"))]
        bit = {"imm": 1 << random.randint(2, 30)} if "imm" in row.operands else {}
        exits.append(program.add(make(row, **bit)))
    program.add(make(only(t.Return)))
    for slot in exits:
        program.aim(slot, random.choice(places))
    return list(program)


def tangled(random: Random, size: int = 24) -> Program:
    """Return a program of about ``size`` instructions that may do anything that decodes."""
    program = _Placed()
    places: list[int] = []
    registers = (*range(11), *range(6))
    for _ in range(size):
        kind = random.random()
        if kind < 0.4:
            row = random.choice(plain())
        elif kind < 0.65:
            row = random.choice(jumps())
        elif kind < 0.7:
            row = only(t.CallLocal)
        elif kind < 0.75:
            row = only(t.Return)
        elif kind < 0.9:
            row = random.choice(accesses())
        else:
            row = random.choice(random.choice((packet_accesses(), platform(), helper_calls())))
        given: dict[str, int] = {}
        if row in accesses():
            given = {access_base(row): random.choice((1, 10, 10)), "offset": random.randint(-16, 16)}
        elif row in helper_calls():
            given = {"imm": HELPER}
        elif row not in plain() and "imm" in row.operands and row not in jumps():
            given = {"imm": random.choice((0, 1, 1, 2))}
        places.append(program.add(operands(random, row, registers, **given)))
    program.add(make(only(t.Return)))
    for slot in places:
        item = program[slot]
        assert item is not None
        if item.instruction in jumps() or item.instruction is only(t.CallLocal):
            program.aim(slot, random.choice(places))
    return list(program)
