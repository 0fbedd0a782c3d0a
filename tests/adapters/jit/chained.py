# SPDX-License-Identifier: Apache-2.0
"""Random loops over memory of which each iteration needs what the one before has computed, most of them so simply that
several iterations can be done at once."""

from __future__ import annotations

from random import Random

MEMORY_BYTES = 768
MAP_BYTES = 640
#: Where results go, in the input memory; and where the loops begin.
_RESULTS, _BEGIN = 8, 64
#: Where on the stack the loop around the loop has its counter.
_ROUND = "- 8"
_TEMPORARY = ("r4", "r5", "r9")
_SIZES = {1: "u8", 2: "u16", 4: "u32", 8: "u64"}
_SIGNED = {1: "s8", 2: "s16", 4: "s32"}
_RUNNING = ("+=", "+=", "^=", "&=", "|=", "*=", "-=")
_OTHER = ("+=", "-=", "*=", "&=", "|=", "^=", "/=", "s%=")
_SHIFTS = ("<<=", ">>=", "s>>=")
_SWAPS = ("be16", "be32", "be64", "le16", "le32", "le64", "bswap16", "bswap32", "bswap64")


class _Body:
    """The lines of one iteration."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.lines: list[str] = []
        self.size = {"r7": random.choice([1, 2, 4, 8, 8, 8]), "r8": random.choice([1, 2, 4, 8, 8, 8])}
        if random.random() < 0.4:
            self.size["r8"] = self.size["r7"]
        #: What has to be subtracted from offsets, since the pointer is already at the next place.
        self.moved = {"r7": 0, "r8": 0}
        self.known = ["r0", "r3", "r6", "r2"]

    def operand(self) -> str:
        if self.random.random() < 0.2:
            return str(self.random.choice([0, 1, 3, -1, 255, 0x7FFFFFFF, self.random.randrange(-99, 99)]))
        return self.random.choice([*self.known, *self.known[4:]])

    def compute(self, register: str, operators: tuple[str, ...]) -> None:
        operand = self.operand()
        if self.random.random() < 0.3:
            register, operand = register.replace("r", "w"), operand.replace("r", "w")
        self.lines.append(f"{register} {self.random.choice(operators)} {operand}")

    def place(self) -> tuple[str, str, int]:
        base = self.random.choice(["r7", "r7", "r8"])
        size = self.size[base]
        offset = -self.moved[base]
        if self.random.random() < 0.2:
            offset += self.random.choice([size, -size, 3 * size, 4 * size, -3 * size, -4 * size, 1])
        return f"({base} {'-' if offset < 0 else '+'} {abs(offset)})", base, size

    def load(self) -> None:
        place, _, size = self.place()
        register = self.random.choice(_TEMPORARY)
        kind = _SIGNED[size] if size < 8 and self.random.random() < 0.3 else _SIZES[size]
        self.lines.append(f"{register} = *({kind} *){place}")
        self.known.append(register)

    def store(self, what: str = "") -> None:
        place, _, size = self.place()
        what = what or self.random.choice([*self.known, *self.known, str(self.random.randrange(-9, 9))])
        self.lines.append(f"*({_SIZES[size]} *){place} = {what}")

    def change(self) -> None:
        register = self.random.choice(_TEMPORARY)
        if register not in self.known and self.random.random() < 0.9:
            self.lines.append(f"{register} = {self.operand()}")
            self.known.append(register)
        match self.random.randrange(6):
            case 0:
                self.lines.append(
                    f"{register} {self.random.choice(_SHIFTS)} {self.random.choice(['3', '31', *self.known])}"
                )
            case 1:
                self.lines.append(f"{register} = {self.random.choice(_SWAPS)} {register}")
            case 2:
                self.lines.append(f"{register} = {self.random.choice(['-', '(s8)', '(s32)'])}{register}")
            case 3:
                self.compute(register, _OTHER)
            case _:
                self.compute(register, _OTHER[:6])

    def move(self, pointer: str) -> None:
        self.lines.append(f"{pointer} += {self.size[pointer]}")
        self.moved[pointer] += self.size[pointer]


def chained(random: Random, count: int | None) -> str:
    """Return a program that does ``count`` iterations, or if that is None, as many as the memory's first word says.

    In the end all it has computed is in the input memory and in R0.
    """
    body = _Body(random)
    second = random.random() < 0.15
    steps = [body.load, *random.choices([body.load, body.store, body.change, body.change], k=random.randrange(1, 5))]
    steps += [lambda: body.compute("r0", _RUNNING), lambda: body.store(random.choice(["r0", "r0", ""]))]
    if second:
        steps.insert(random.randrange(1, len(steps)), lambda: body.compute("r9", _RUNNING))
    ends = [lambda: body.move("r7"), lambda: body.move("r8")]
    if random.random() < 0.3:
        random.shuffle(steps)
        for end in ends:
            steps.insert(random.randrange(len(steps)), end)
    else:
        steps += ends
    for step in steps:
        step()
    begin = _BEGIN + random.choice([0, 0, random.randrange(16)])
    near = body.size["r7"] * random.choice([-4, -3, -1, 0, 1, 3, 4])
    apart = random.choice([near, near, random.randrange(-48, 48), 320])
    other = random.choice(["r8 = r7", "r8 = r7", "r8 = r10", "r8 = map_val(map_by_fd(0)) + 0"])
    lines = [
        f"r6 = {random.choice([3, -7, random.randrange(1 << 63)])} ll",
        "r2 = *(u64 *)(r1 + 0)" if count is None else f"r2 = {count}",
        f"r0 = {random.choice([0, 1, -1, random.randrange(1 << 63)])} ll",
        f"r9 = {random.choice([0, random.randrange(1 << 63)])} ll",
        *("r4 = 4", "r5 = 5", f"r3 = {random.choice([0, 0, 0, 5])}"),
        f"r7 = r1\nr7 += {begin}",
        f"{other}\nr8 += {apart if other == 'r8 = r7' else -480 if other == 'r8 = r10' else 32}",
    ]
    kind = random.randrange(4)
    if kind == 0:
        test = random.choice([">=", "s>=", "=="])
        lines += ["again:", f"if r3 {test} r2 goto end", *body.lines, "r3 += 1", "goto again"]
    elif kind == 1:
        lines += ["if r2 == 0 goto end", "again:", *body.lines, "r2 += -1", "if r2 != 0 goto again"]
    else:
        test = random.choice(["<", "s<", "!=", "<="])
        lines += ["if r2 <= r3 goto end", "again:", *body.lines, "r3 += 1", f"if r3 {test} r2 goto again"]
    lines.append("end:")
    if random.random() < 0.2:
        lines = [f"*(u64 *)(r10 {_ROUND}) = 0", "whole:", *lines, f"r6 = *(u64 *)(r10 {_ROUND})", "r6 += 1"]
        lines += [f"*(u64 *)(r10 {_ROUND}) = r6", "if r6 < 3 goto whole"]
    lines += [f"*(u64 *)(r1 + {_RESULTS + 8 * at}) = {name}" for at, name in enumerate(["r0", "r3", *_TEMPORARY])]
    return "\n".join([*lines, "exit"])
