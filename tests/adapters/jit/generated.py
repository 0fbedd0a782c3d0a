# SPDX-License-Identifier: Apache-2.0
"""Random programs that do something: loops that end, pointers that lead somewhere, calls; and some mistakes."""

from __future__ import annotations

from random import Random

from bpf_isa.spec import tree as t
from bpf_isa.spec.encoding import Decoded, Program, make
from bpf_isa.spec.table import Instruction, isa

MEMORY_BYTES = 64
MAP_BYTES = 24
STACK_USED = 64

_EDGES = [0, 1, -1, 2, 7, 31, 32, 63, 64, 127, 128, 255, 0x7FFF, -0x8000, 0xFFFF, 0x7FFFFFFF, -0x80000000, -0x7FFFFFFF]


def _has(row: Instruction, *kinds: type) -> bool:
    return any(isinstance(node, kinds) for node in t.walk(*row.means))


ROWS = isa().instructions
JUMPS = [row for row in ROWS if _has(row, t.Jump) and row.operands and "dst" in row.operands]
ATOMICS = [row for row in ROWS if _has(row, t.Lock)]
LOADS = [
    row
    for row in ROWS
    if _has(row, t.Load) and "src" in row.operands and "dst" in row.operands and not _has(row, t.Lock)
]
STORES = [row for row in ROWS if _has(row, t.Store) and not _has(row, t.Lock)]
PACKET = [row for row in ROWS if row.groups == {"packet"}]
PURE = [
    row
    for row in ROWS
    if not _has(row, t.Jump, t.Load, t.Store, t.CallHelper, t.CallLocal, t.Return)
    and not any(isinstance(node, t.Call) and node.name in t.PLATFORM_FUNCTIONS for node in t.walk(*row.means))
]
PLATFORM = [row for row in ROWS if _has(row, t.Call) and row.wide]

#: R7 leads to the input memory, R8 to a map, R9 to the stack, as long as nobody overwrites them.
_POINTERS = {7: MEMORY_BYTES, 8: MAP_BYTES}
_DATA = range(7)

#: Jumps of loops whose index grows, and whose index shrinks; what leaves the loop instead; the operands exchanged.
_BELOW, _ABOVE = ["JLT", "JLE", "JSLT", "JSLE"], ["JGT", "JGE", "JSGT", "JSGE"]
_OPPOSITE = {"JLT": "JGE", "JLE": "JGT", "JSLT": "JSGE", "JSLE": "JSGT", "JNE": "JEQ"}
_OPPOSITE |= {opposite: op for op, opposite in _OPPOSITE.items()}
_MIRRORED = dict(zip([*_BELOW, *_ABOVE], [*_ABOVE, *_BELOW], strict=True))


class Generator:
    """Writes one program with the choices of ``random``; ``mistakes`` is how likely each instruction is a bad one."""

    def __init__(self, random: Random, *, size: int, mistakes: float) -> None:
        self.random, self.mistakes = random, mistakes
        self.program: Program = []
        self.calls: list[int] = []
        self.names = isa().by_name
        self.room = size

    def generate(self) -> Program:
        """Return a program: its main function and a few local ones."""
        functions = [0]
        self.function(main=True)
        for _ in range(self.random.randrange(3)):
            functions.append(len(self.program))
            self.room = 8
            self.function(main=False)
        for slot in self.calls:
            target = self.random.choice(functions[1:] or functions)
            self.patch(slot, imm=target - slot - 1)
        return self.program

    def add(self, row: str | Instruction, **fields: int) -> int:
        """Append an instruction and return its slot."""
        item = make(self.names[row] if isinstance(row, str) else row, **fields)
        slot = len(self.program)
        self.program.append(item)
        if item.instruction.wide:
            self.program.append(None)
        return slot

    def patch(self, slot: int, **fields: int) -> None:
        """Change fields of an instruction."""
        item = self.program[slot]
        assert item is not None
        operands = {name: getattr(item, name) for name in item.instruction.operands}
        self.program[slot] = make(item.instruction, **{**operands, **fields})

    def function(self, *, main: bool) -> None:
        if main:
            self.add("MOV64_X", dst=7, src=1)
            self.add("LD_MAP_IDX_VALUE", dst=8, imm=0)
            for register in (0, 3, 4, 5, 6):
                self.constant(register)
        self.add("MOV64_X", dst=9, src=10)
        self.block(depth=0)
        self.add("EXIT")

    def constant(self, register: int) -> None:
        if self.random.random() < 0.3:
            self.add("MOV64_K", dst=register, imm=self.number())
        else:
            self.add("LD_IMM64", dst=register, imm=self.number(), next_imm=self.number())

    def number(self) -> int:
        random = self.random
        return random.choice(_EDGES) if random.random() < 0.5 else random.randrange(-(1 << 31), 1 << 31)

    def block(self, depth: int) -> None:
        for _ in range(self.random.randrange(1, 6)):
            self.room -= 1
            choice = self.random.random()
            if self.room <= 0 or choice < 0.35:
                self.pure()
            elif choice < 0.65:
                self.access()
            elif choice < 0.75:
                self.conditional(depth)
            elif choice < 0.85:
                self.loop(depth)
            elif choice < 0.88:
                self.sweep()
            elif choice < 0.91:
                self.scan()
            elif choice < 0.95:
                self.calls.append(self.add("CALL_LOCAL", imm=0))
            else:
                self.other()

    def data(self) -> int:
        return self.random.choice(_DATA)

    def pure(self) -> None:
        row = self.random.choice(PURE)
        fields = {"dst": self.data(), "src": self.random.choice([*_DATA, *_DATA, 7, 10])}
        if self.random.random() < self.mistakes:
            fields["dst"] = self.random.choice([7, 8, 9, 10])
        fields |= {"imm": self.number(), "next_imm": self.number()}
        self.add(row, **{name: fields[name] for name in row.operands})

    def access(self) -> None:
        """Add a load, store or atomic access of the right place, or of the wrong one."""
        random = self.random
        row = random.choice([*LOADS, *STORES, *STORES, *ATOMICS])
        node = next(node for node in t.walk(*row.means) if isinstance(node, t.Load | t.Store))
        size = node.type.bits // 8
        base = random.choice([7, 7, 8, 9, 10])
        offset = (
            random.randrange(0, _POINTERS[base] - size + 1)
            if base in _POINTERS
            else -random.randrange(size, STACK_USED)
        )
        if random.random() < self.mistakes:
            offset = random.choice([-size, 1 - size, _POINTERS.get(base, 0) - size + 1, 4096, -513, -0x8000, 0x7FFF])
        pointer = "src" if row in LOADS else "dst"
        fields = {"dst": self.data(), "src": self.data(), pointer: base, "offset": offset, "imm": self.number()}
        self.add(row, **{name: fields[name] for name in row.operands})

    def conditional(self, depth: int) -> None:
        slot = self.jump(self.data(), self.data())
        if depth < 3:
            self.block(depth + 1)
        if self.random.random() < 0.3:
            end = self.add(self.random.choice(["JA", "JA32"]))
            self.finish(slot)
            self.block(3)
            self.finish(end)
        else:
            self.finish(slot)

    def jump(self, dst: int, src: int) -> int:
        row = self.random.choice(JUMPS)
        fields = {"dst": dst, "src": src, "offset": 0, "imm": self.number()}
        return self.add(row, **{name: fields[name] for name in row.operands})

    def finish(self, slot: int) -> None:
        """Let the jump at ``slot`` lead to here, or by mistake to somewhere near."""
        distance = len(self.program) - slot - 1
        if self.random.random() < self.mistakes:
            distance += self.random.choice([-3, -1, 1, 100])
        item = self.program[slot]
        assert item is not None
        self.patch(slot, **{"imm" if item.instruction.name == "JA32" else "offset": distance})

    def loop(self, depth: int) -> None:
        counter = -STACK_USED - 8 * (depth + 1)
        self.add("ST_MEM_DW", dst=10, offset=counter, imm=self.random.randrange(1, 6))
        start = len(self.program)
        if depth < 2:
            self.block(depth + 1)
        register = self.data()
        self.add("LDX_MEM_DW", dst=register, src=10, offset=counter)
        self.add("ADD64_K", dst=register, imm=-1)
        self.add("STX_MEM_DW", dst=10, src=register, offset=counter)
        self.add("JNE64_K", dst=register, imm=0, offset=start - len(self.program) - 1)

    def sweep(self) -> None:
        """Add a loop that walks over memory in equal steps, to its end or a little farther; R3 is the pointer."""
        random = self.random
        base, step = random.choice([7, 8]), random.choice([1, 2, 4, 8, 8, 12, -8, -1])
        room = _POINTERS[base]
        rounds = random.randrange(1, room // abs(step) + 1)
        self.add("MOV64_X", dst=3, src=base)
        self.add("ADD64_K", dst=3, imm=random.choice([0, 0, 4]) if step > 0 else room - 8)
        self.add("MOV64_K", dst=4, imm=rounds + (random.random() < self.mistakes))
        self.add("MOV64_K", dst=5, imm=step)
        start = len(self.program)
        for _ in range(random.randrange(1, 4)):
            self.sweeping_access(random.choice([0, 0, 1, 4]))
        if random.random() < 0.3:
            slot = self.jump(random.choice([0, 6]), 4)
            self.add("XOR64_X", dst=0, src=6)
            self.finish(slot)
        if random.random() < 0.3:
            self.add("ADD64_X", dst=3, src=5)
        else:
            self.add("ADD64_K", dst=3, imm=step)
        self.add("ADD64_K", dst=4, imm=-1)
        self.add("JNE64_K", dst=4, imm=0, offset=start - len(self.program) - 1)

    def sweeping_access(self, offset: int) -> None:
        """Add a load, store or atomic access at R3 plus ``offset``."""
        row = self.random.choice([*LOADS, *STORES, *ATOMICS])
        pointer, other = ("src", "dst") if row in LOADS else ("dst", "src")
        fields = {pointer: 3, other: self.random.choice([0, 6]), "offset": offset, "imm": self.number()}
        self.add(row, **{name: fields[name] for name in row.operands})

    def scan(self) -> None:
        """Add a loop over an index that is compared with a bound, first or last in each iteration.

        R3 is the pointer, R4 the index, R2 the bound and R5 the step.
        """
        random = self.random
        base, room = random.choice([*_POINTERS.items(), (9, STACK_USED)])
        step = random.choice([1, 1, 2, 3, 8, -1, -2, -8])
        ends = [random.randrange(4), room - random.randrange(10)]
        start, bound = ends if step > 0 else ends[::-1]
        if random.random() < self.mistakes:
            bound = random.choice([bound + 1, room + 8, start, *_EDGES])
        if random.random() < self.mistakes:
            start = random.choice([bound, bound + 1, room, room + 100, *_EDGES])
        for register, number in ((4, start), (2, bound), (5, step)):
            self.add("MOV64_K", dst=register, imm=t.S32.wrap(number))
        op = random.choice([*(_BELOW if step > 0 else _ABOVE), "JNE"])
        begin, first = len(self.program), random.random() < 0.5
        exits = [self.compare(_OPPOSITE[op])] if first else []
        self.add("MOV64_X", dst=3, src=base)
        self.add("ADD64_X", dst=3, src=4)
        for _ in range(random.randrange(1, 3)):
            offset = random.choice([0, 0, 0, 1, -1]) - (STACK_USED if base == 9 else 0)
            self.sweeping_access(offset)
        if random.random() < 0.3:
            exits.append(self.jump(random.choice([0, 6]), 4))
        if random.random() < 0.5:
            self.add("ADD64_X", dst=4, src=5)
        else:
            self.add("ADD64_K", dst=4, imm=step)
        back = self.add("JA", offset=0) if first else self.compare(op)
        self.patch(back, offset=begin - back - 1)
        for slot in exits:
            self.finish(slot)

    def compare(self, op: str) -> int:
        """Add a jump on a comparison of index and bound, written in either way."""
        if op in _MIRRORED and self.random.random() < 0.5:
            return self.add(f"{_MIRRORED[op]}64_X", dst=2, src=4, offset=0)
        return self.add(f"{op}64_X", dst=4, src=2, offset=0)

    def other(self) -> None:
        random = self.random
        choice = random.randrange(4)
        if choice == 0:
            self.add(random.choice(PLATFORM), dst=self.data(), imm=random.choice([0, 0, 1, 2]))
        elif choice == 1:
            row = random.choice(PACKET)
            fields = {"src": self.data(), "imm": random.randrange(MEMORY_BYTES - 3)}
            if "src" in row.operands:
                self.add("MOV64_K", dst=fields["src"], imm=random.randrange(3))
            self.add(row, **{name: fields[name] for name in row.operands})
        elif choice == 2:
            # A map lookup: the key 0, in R1 the map; the value's address goes to R8.
            self.add("ST_MEM_W", dst=10, offset=-4, imm=random.choice([0, 0, 0, 1]))
            self.add("LD_MAP_FD", dst=1, imm=random.choice([0, 1]))
            self.add("MOV64_X", dst=2, src=10)
            self.add("ADD64_K", dst=2, imm=-4)
            self.add("CALL_HELPER", imm=1)
            self.add("MOV64_X", dst=8, src=0)
        else:
            self.add(random.choice(["CALL_HELPER", "CALL_BTF"]), imm=random.choice([77, 77, 77, -1]))


def wild(random: Random, size: int) -> Program:
    """Return instructions with any operands, in no order at all; jumps stay near."""
    program: Program = []
    while len(program) < size:
        row = random.choice(ROWS)
        fields = {"dst": random.randrange(11), "src": random.randrange(11), "offset": random.choice(_NEAR)}
        fields |= {"imm": random.choice([*_NEAR, random.choice(_EDGES)]), "next_imm": random.choice(_EDGES)}
        program.append(make(row, **{name: fields[name] for name in row.operands}))
        if row.wide:
            program.append(None)
    return program


_NEAR = [-8, -4, -3, -2, -1, 0, 0, 1, 1, 2, 2, 3, 4, 5, 8]


def weigh(machine: object, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Return a number in which each argument counts differently."""
    return r1 + 2 * r2 + 3 * r3 + 4 * r4 + 5 * r5


def listing(program: Program) -> str:
    """Return ``program`` for a message."""
    return "\n".join(f"{slot:3} {_show(item)}" for slot, item in enumerate(program) if item)


def _show(item: Decoded) -> str:
    fields = ", ".join(f"{name}={getattr(item, name)}" for name in item.instruction.operands)
    return f"{item.instruction.name}({fields})"
