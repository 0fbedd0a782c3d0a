# SPDX-License-Identifier: Apache-2.0
"""Random programs that look after their memory accesses, most of the time: with masks, conditions and counted loops."""

from __future__ import annotations

from random import Random

from bpf_isa.spec.asm.assemble import assemble_program
from bpf_isa.spec.encoding import Program

from ...programs import INPUT_BYTES, MAP_BYTES

SIZES = {1: "u8", 2: "u16", 4: "u32", 8: "u64"}
#: What addresses are in: r6 has the input memory, r7 the value of a map, r10 ends the stack.
BASES = {"r6": INPUT_BYTES, "r7": MAP_BYTES, "r10": 64}
DATA = ("r0", "r3", "r4", "r5")
OPERATORS = ("+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=", "s>>=", "s/=", "s%=")
CONDITIONS = ("==", "!=", "<", "<=", ">", ">=", "s<", "s<=", "s>", "s>=", "&")


class _Builder:
    def __init__(self, random: Random) -> None:
        self.random = random
        self.lines: list[str] = []
        self.labels = 0
        self.calls = False

    def label(self) -> str:
        self.labels += 1
        return f"l{self.labels}"

    def data(self) -> str:
        return self.random.choice(DATA)

    def number(self) -> int:
        return self.random.choice(
            [0, 1, 2, 7, 8, 15, 16, 31, 63, 64, 255, -1, -8, 0x7FFFFFFF, self.random.randrange(99)]
        )

    def compute(self) -> None:
        register, other = self.data(), self.data()
        if self.random.random() < 0.3:
            register, other = register.replace("r", "w"), other.replace("r", "w")
        operand = self.random.choice([other, str(self.number())])
        self.lines.append(f"{register} {self.random.choice(OPERATORS)} {operand}")

    def guard(self, index: str, room: int) -> str | None:
        """Add what keeps ``index`` below ``room``, or a little more by mistake; return the label to go on at."""
        kind = self.random.randrange(5)
        room += self.random.choice([0, 0, 0, 0, 0, 1])
        if kind == 0:
            self.lines.append(f"{index} %= {room}")
            return None
        if kind == 1:
            self.lines.append(f"{index} &= {(1 << room.bit_length() - 1) - 1}")
            return None
        out = self.label()
        if kind == 2:
            self.lines.append(f"if {index} >= {room} goto {out}")
        elif kind == 3:
            self.lines += [f"if {index} s>= {room} goto {out}", f"if {index} s< 0 goto {out}"]
        else:
            self.lines += [f"{index.replace('r', 'w')} <<= 0", f"if {index.replace('r', 'w')} > {room - 1} goto {out}"]
        return out

    def access(self) -> None:
        random = self.random
        base, size = random.choice(list(BASES)), random.choice([1, 2, 4, 8])
        room = BASES[base] - size + 1
        offset = random.randrange(min(room, 8)) - (64 if base == "r10" else 0)
        out, address = None, base
        if random.random() < 0.6:
            index, address = self.data(), "r8"
            out = self.guard(index, room - offset - (64 if base == "r10" else 0))
            self.lines += [f"r8 = {base}", f"r8 += {index}"]
        place = f"*({SIZES[size]} *)({address} {'-' if offset < 0 else '+'} {abs(offset)})"
        kind = random.random()
        if kind < 0.45:
            self.lines.append(f"{self.data()} = {place}")
        elif kind < 0.8:
            self.lines.append(f"{place} = {random.choice([self.data(), self.number()])}")
        else:
            self.lines.append(f"lock *({random.choice(['u32', 'u64'])} *){place.split(')', 1)[1]} += {self.data()}")
        if out:
            self.lines.append(f"{out}:")

    def keep(self) -> None:
        """Put an address or a number on the stack, and get it back after something else."""
        slot = f"*(u64 *)(r10 - {self.random.choice([72, 80])})"
        self.lines.append(f"{slot} = {self.random.choice(['r6', 'r7', self.data()])}")
        self.block(3)
        self.lines.append(f"r8 = {slot}")
        self.lines.append(f"{self.data()} = *(u8 *)(r8 + {self.random.randrange(4)})")

    def loop(self, depth: int) -> None:
        head, counter = self.label(), f"*(u64 *)(r10 - {88 + 8 * depth})"
        rounds = self.random.randrange(1, 9)
        kind = self.random.randrange(3)
        if kind == 0:
            self.lines += [f"{counter} = {rounds}", f"{head}:"]
            self.block(depth + 1)
            self.lines += [f"r8 = {counter}", "r8 += -1", f"{counter} = r8", f"if r8 != 0 goto {head}"]
        elif kind == 1:
            counter = self.random.choice(["r9", "w9"])
            self.lines += [f"{counter} = {rounds}", f"{head}:"]
            self.block(3)
            self.lines += [f"{counter} += -1", f"if {counter} {self.random.choice(['!=', 's>', '>'])} 0 goto {head}"]
        else:
            step = self.random.choice([1, 2, 4, 8])
            self.lines += ["r8 = r6", "r9 = r6", f"r9 += {INPUT_BYTES - self.random.choice([0, 0, 8])}", f"{head}:"]
            self.lines += [
                f"r3 = *({SIZES[step]} *)(r8 + {self.random.choice([0, 0, 0, 1])})",
                "r0 += r3",
                f"r8 += {step}",
            ]
            self.lines.append(f"if r8 {self.random.choice(['<', '!='])} r9 goto {head}")

    def conditional(self, depth: int) -> None:
        out, register = self.label(), self.data()
        register = self.random.choice([register, register.replace("r", "w")])
        other = self.random.choice([str(self.number()), self.data().replace("r", register[0])])
        self.lines.append(f"if {register} {self.random.choice(CONDITIONS)} {other} goto {out}")
        self.block(depth + 1)
        self.lines.append(f"{out}:")

    def block(self, depth: int) -> None:
        for _ in range(self.random.randrange(1, 4)):
            choice = self.random.random()
            if choice < 0.4 or depth >= 4:
                self.compute()
            elif choice < 0.7:
                self.access()
            elif choice < 0.8:
                self.conditional(depth)
            elif choice < 0.9 and depth < 3:
                self.loop(depth)
            elif choice < 0.95 and depth < 3:
                self.keep()
            elif depth < 2:
                self.calls = True
                self.lines.append("call local function")


def guarded(random: Random) -> Program:
    """Return a program."""
    builder = _Builder(random)
    builder.lines += ["r6 = r1", "r7 = map_val(map_by_fd(0)) + 0", "r0 = 1"]
    builder.lines += [f"{register} = *(u64 *)(r6 + {8 * n})" for n, register in enumerate(DATA[1:])]
    for _ in range(2):
        builder.block(0)
    builder.lines.append("exit")
    if builder.calls:
        builder.lines += ["function:"]
        builder.block(3)
        builder.lines += [f"r0 = {random.choice(['r3', 'r10', '1'])}", "exit"]
    return assemble_program("\n".join(builder.lines))
