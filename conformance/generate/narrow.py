# SPDX-License-Identifier: Apache-2.0
"""Every instruction with a result of 32 bits or fewer, before instructions that need less than 64 bits of it.

Compilers leave out the extension of such a result if nothing reads the upper half, or if a later instruction extends
it anyway. So between the instruction and the first use of all 64 bits there is another one of every kind, a jump, a
join of two paths, the back edge of a loop, a call, or a return. The old upper half of each register is not 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import cycle

from ...spec.facts import Kind, facts
from ...spec.table import Instruction, isa
from . import jumps
from .covers import covers
from .draft import Draft, job, line, outcome, slug
from .registers import END
from .writers import BYTES, NUMBERS, Writer, on_lines, prepared, roles, writers

#: Memory: the numbers, numbers to compare with, places for stores, sums of results.
_OPERANDS_AT = BYTES * len(NUMBERS)
_PLACE = _OPERANDS_AT + 40
_SUMS_AT = _PLACE + 8
_NEAR, _SIGNED, _FAR, _WIDE, _ONES = (f"*(u64 *)(rB + {_OPERANDS_AT + 8 * n})" for n in range(5))
_MEMORY = f"{' '.join(NUMBERS)} 00*{_SUMS_AT - _OPERANDS_AT}"
#: The upper half of the numbers that results are compared with, and all bits of a lower half.
_UPPER, _LOW = 0x5A5A5A5A, 0xFFFFFFFF
#: What shows that a part compares the result.
_COMPARES = re.compile("{k}|{h}|{n}|rK")
#: Parts whose sum is stored.
_SUMMED = 8
#: Which register has which role: the result, the source, the numbers, one to compare with, a scratch register, the sum,
#: the memory, the counter. Kernel verifiers need little time where registers that are compared have been loaded anew.
_ROLES = {"T": 3, "S": 4, "P": 6, "K": 8, "X": 5, "A": 7, "B": 9, "C": 0}
_UPPER_ROLES = {**_ROLES, "T": 8, "K": 3}
_R0_ROLES = {**_ROLES, "T": 0, "C": 3}
#: Uses of all 64 bits of the result.
_READERS = (
    "rA += rT",
    "rX = rT; rX >>= 32; rA += rX; rA += rT",
    "rA += rT",
    f"rX = {_ONES}; if rT > rX goto +1; rA += 0x3001; rA += rT",
    "rA += rT",
    f"*(u64 *)(rB + {_PLACE}) = rT; rX = *(u64 *)(rB + {_PLACE}); rA += rX",
)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


#: What may follow; what stands before => is done before.
_COMPUTATIONS = [
    *(f"rX = rS => {r}X {sign}= {r}T; rA += rX" for r in "rw" for sign in ("<<", ">>", "s>>")),
    *(f"=> {r}T {text}" for r, text in zip("rwrwww", ("+= 0", "&= -1", "&= -1", "|= 0", "<<= 0", "-= 0"), strict=True)),
    *(f"=> *({kind} *)(rB + {_PLACE}) = rT; rX = *(u64 *)(rB + {_PLACE}); rA += rX" for kind in ("u8", "u16", "u32")),
    f"=> *(u32 *)(rB + {_PLACE}) = 7",
    "rX = *(u64 *)(rP + 8) => if wX s> 0 goto +1; rA += 7",
    f"rX = *(u64 *)(rP + 8); rK = {_NEAR} => if rX > rK goto +1; rA += 7",
    "rX = *(u64 *)(rP + 8); if rX == 77 goto +2 => goto +1; rA += 99",
    "rX = *(u64 *)(rP + 8); if rX == 77 goto +2 => gotol +1; rA += 99",
    *_lines("""
        => rX = 0x1122334455667788 ll; rA += rX
        => rX = *(s16 *)(rP + 16); rA += rX
        => rX = *(u32 *)(rP + 8); rA += rX
        => rT = rT
        => wT = wT
        => rX = rT; rA += rX
        => wX = wT; rA += rX
        => rX = (s32)rT; rA += rX
        => wX = (s16)wT; rA += rX
        => wT = 5
        rX = rS => wX += wT; rA += rX
        rX = rS => rX += rT; rA += rX
        => wT += wS
        => rT += rS
        => rT += 1
        => rT ^= -1
        => wT &= 255
        => rT = -rT
        => wT = -wT
        => rT <<= 1
        => rT s>>= 1
        => wT s>>= 31
        => rT = bswap64 rT
        => goto +0
        => gotol +0
    """),
]
_DIVISIONS = [
    *(f"rX = rS => {r}X {sign}= {r}T; rA += rX" for r in "rw" for sign in ("/", "s/", "%", "s%", "*")),
    *(f"=> {r}T {sign}= 3" for r, sign in zip("rwrw", ("/", "s/", "%", "s%"), strict=True)),
    *(f"=> {r}T {sign}= 1" for r, sign in zip("rw", "*/", strict=True)),
    *(f"=> rX = rS; {r}X {sign}= {r}T; rA += rX" for r in "rw" for sign in ("/", "*")),
    "=> rX = rS; rX /= 7; rA += rX",
    "=> rT *= rS",
    "=> wT s/= wS",
]
_ATOMICS = [
    *(
        f"=> {text}; rX = *(u64 *)(rB + {_PLACE}); rA += rX"
        for text in (
            f"lock *(u32 *)(rB + {_PLACE}) += wT",
            f"lock *(u32 *)(rB + {_PLACE}) ^= wT",
            f"lock *(u64 *)(rB + {_PLACE}) += rT",
            f"wT = xchg32_32(rB + {_PLACE}, wT)",
            f"wT = atomic_fetch_add((u32 *)(rB + {_PLACE}), wT)",
            f"rT = atomic_fetch_or((u64 *)(rB + {_PLACE}), rT)",
            f"rX = rS; lock *(u32 *)(rB + {_PLACE}) |= wX",
            f"rX = rS; wX = atomic_fetch_xor((u32 *)(rB + {_PLACE}), wX); rA += rX",
        )
    ),
]
#: Jumps, joins and loops; # is the number of the part.
_BLOCKS = [
    f"rX = *(u64 *)(rP + 8); rK = {_NEAR}; {part}"
    for part in _lines("""
        if wX s> 0 goto a#; rT = rK; goto b#; a#:; {make}; b#:
        if wX s> 0 goto a#; {make}; goto b#; a#:; rT = 0xfedcba9876543210 ll; b#:
        if wX & 1 goto a#; rT = *(u64 *)(rB + 0); goto b#; a#:; {make}; b#:
        if rX s> 0 goto a#; {make}; a#:
        {make}; if wX s> 0 goto a#; rT += rK; a#:
        {make}; if wT == {k} goto a#; rT = rK; a#:
        {make}; goto a#; a#:; if wX == 77 goto b#; rA += 1; b#:; gotol c#; c#:
        {make}; if wT == {k} goto a#; wX = wT; goto b#; a#:; wX = wT; wX += 1; b#:; rA += rX
        {make}; wX = 3; a#:; rA += rT; wX += -1; if wX != 0 goto a#
        wX = 3; a#:; rA += rT; {make}; wX += -1; if wX != 0 goto a#
        rX = 3; a#:; rA += rT; if rX == 0 goto b#; rX += -1; {make}; goto a#; b#:
        wX = 3; a#:; rA += rT; wX += -1; if wX == 0 goto b#; {make}; if wT s> -1 goto a#; b#:
        wX = 3; a#:; {make}; wX += -1; if wT == wK goto b#; rA += 5; b#:; if wX != 0 goto a#
    """)
]
#: Functions that get the result as an argument and read all 64 bits, and how they are called.
_ARGUMENTS = _lines("""
    {make}; call local sum
    {make}; call local upper
    {make}; call local compared
    {make}; call local jumping
    {make}; if wT s> 0 goto a#; a#:; call local sum
    {make}; r2 = rT; rT = rS; call local sum
    {make}; w2 = wT; rT = rS; call local sum
""")
_TAKING: Mapping[str, str] = {
    "sum": "r0 = r3; r0 += r2; exit",
    "upper": "r3 >>= 32; r0 = r3; exit",
    "compared": "r0 = 1; r2 = 0xffffffff ll; if r3 > r2 goto +1; r0 = 2; exit",
    "jumping": "r0 = 7; if w3 s> 5 goto +1; r0 = 9; r0 += r3; exit",
}
#: Functions that return the result, of which their callers read all 64 bits.
_RETURNING: Mapping[str, str] = {
    "last": "{made}; exit",
    "before_jump": "{made}; goto a#; a#:; exit",
    "before_condition": "{made}; if w0 s> 5 goto a#; a#:; exit",
    "on_one_path": "if w4 s> 0 goto a#; {made}; a#:; exit",
    "on_one_exit": "if w4 s> 0 goto a#; {made}; exit; a#:; r0 += r4; exit",
    "through": "call local last; exit",
}
#: Functions that change all of R6 to R9, that use them for 32 bits, and that call others.
_CALLEES: Mapping[str, str] = {
    "all": "".join(f"r{n} = {0x1111111122222222 * (n - 5):#x} ll; " for n in range(6, 10)) + "exit",
    "lower": "".join(f"w{n} = {n}; " for n in range(6, 10)) + "exit",
    "deep": "r6 = 6; r7 = r6; call local all; r8 = r7; r9 = r6; call local lower; exit",
}
_COVERS = ("4.1-alu32-zero-extends", "5.1-ldx-zero-extends", "4.1-movsx-32-zero-extends")


def drafts() -> Iterator[Draft]:
    """Yield the vectors: one for each instruction and each kind of what follows."""
    found = [writer for writer in writers() if writer.narrow]
    plain = [writer for writer in found if not writer.atomic]
    atomic = [writer for writer in found if writer.atomic]
    named = [writer for writer in found if not writer.in_r0]
    parts = [*map(_part, (*_conditions(), *_COMPUTATIONS)), *_BLOCKS]
    more = ("4.3-jmp32-width", "4.3-jmp-width", "4.1-lsh", "4.3-ja", "4.3-backward")
    yield _before(
        "jumps-and-arithmetic",
        plain,
        [*parts, *(part.replace("make", "same") for part in parts[::12])],
        _UPPER_ROLES,
        more,
    )
    yield _before("divisions", plain, [*map(_part, _DIVISIONS)], _ROLES, ("4.1-div", "4.1-mod", "4.1-sdiv"))
    atomics = [*map(_part, _ATOMICS)]
    yield _before("atomic-operations", plain, atomics, _UPPER_ROLES, ("5.3-size-w-32",))
    yield _before("others-if-atomic", atomic, [*atomics, *parts], _R0_ROLES, ("5.3-size-w-32",))
    yield _calls(named)
    yield _preserved(named)
    yield from map(_packet, (row for row in isa().instructions if facts(row).kind is Kind.PACKET))
    yield _exits("exit", found, "exit\n")
    yield _exits("a-condition-and-exit", found, "if w0 s> 5 goto last\nexit\nlast:\nexit\n")


def _conditions() -> list[str]:
    """Return jumps on the result, compared with a number that some results are above and some below."""
    found = []
    for place, row in enumerate(jumps.known_conditions()):
        what = facts(row)
        imm, number = ("{n}", _FAR) if what.operation == "&" else ("{k}", _NEAR)
        if str(what.operation).startswith("s"):
            imm, number = "{h}", _SIGNED
        if what.width == 64:
            number = _WIDE
            if place % 3:
                continue
        # The result is either operand of conditions on two registers.
        dst, src = "KT" if place % 4 > 1 and "src" in row.operands else "TK"
        load = f"rK = {number}" if "src" in row.operands else ""
        found.append(f"{load} => {line(row, dst=dst, src=src, imm=imm, offset='+1')}; rA += 0x101")
    return found


def _part(follower: str) -> str:
    before, after = follower.split("=>")
    return f"{before}; {{make}}; {after}"


def _before(
    name: str, makers: Sequence[Writer], parts: Sequence[str], names: Mapping[str, int], more: tuple[str, ...]
) -> Draft:
    """Return a loop over the numbers with all ``parts``, each of which is followed by a use of 64 bits."""
    words = prepared("P", "S", "T") if makers[0].atomic else ""
    body, size = _summed(f"rT = *(u64 *)(rP + 0); {words}; {part}; {_reader(n)}" for n, part in enumerate(parts))
    what = f"{len(parts)} times a result of 32 bits or fewer is read with all 64 bits, after other instructions"
    return _draft(f"before/{name}", what, makers, _loop(body), size, [names], more)


def _reader(place: int) -> str:
    """Return a use; neighbouring parts and groups of parts have different ones."""
    return _READERS[(place + place // len(_READERS)) % len(_READERS)]


def _summed(parts: Iterable[str]) -> tuple[str, int]:
    """Return the assembly of ``parts``, with a sum stored after every few of them, and the end of the sums.

    In every second part that does not compare the result, the operands of the instruction are others.
    """
    asm, at, listed = "", _SUMS_AT, list(parts)
    for place, part in enumerate(listed):
        text = part if place % 2 or _COMPARES.search(part) else part.replace("{make}", "{other}")
        asm += on_lines(text, place)
        if place % _SUMMED == _SUMMED - 1 or place == len(listed) - 1:
            asm += on_lines(f"rX = *(u64 *)(rB + {at}); rX += rA; *(u64 *)(rB + {at}) = rX; rA = 0")
            at += 8
    return asm, at


def _functions(bodies: Mapping[str, str]) -> str:
    return "".join(on_lines(f"{name}:; {text}", place) for place, (name, text) in enumerate(bodies.items(), 1000))


def _loop(body: str, functions: str = "") -> str:
    """Return a program that runs ``body`` for each of the numbers; all are loaded, so that no compiler knows them."""
    asm = "rB = r1\nrP = r1\nrA = 0\nrC = 0\n"
    for place, number in enumerate(("{near}", "{signed}", "{far}", "{wide}", "0xffffffff")):
        asm += f"rX = {number} ll\n*(u64 *)(rB + {_OPERANDS_AT + 8 * place}) = rX\n"
    asm += f"again:\nrS = *(u64 *)(rP + 8)\n{body}"
    return f"{asm}rP += {BYTES}\nrC += 1\nif rC != {len(NUMBERS)} goto again\n{END}{functions}"


def _draft(
    name: str,
    what: str,
    makers: Sequence[Writer],
    asm: str,
    size: int,
    rotations: Sequence[Mapping[str, int]],
    more: tuple[str, ...],
    errata: tuple[str, ...] = (),
) -> Draft:
    """Return the vectors of ``makers``; the registers of one are in the roles of one of ``rotations``."""
    varying = [role for role in _ROLES if len({names[role] for names in rotations}) > 1]
    text = roles(asm, **{role: f"{{{role.lower()}}}" if role in varying else rotations[0][role] for role in _ROLES})
    cases = {}
    for maker, names in zip(makers, cycle(rotations), strict=False):
        values = dict(zip(("make", "other", "same"), maker.on(names["T"], names["S"], names["P"]), strict=True))
        values |= dict(zip(("made", "made_other"), maker.on(0, 4, 2), strict=False))
        values |= _numbers(maker)
        values |= {role.lower(): str(names[role]) for role in varying}
        cases[maker.name] = {hole: value for hole, value in values.items() if f"{{{hole}}}" in text}
    covers = tuple(f"rfc9669-{part}" for part in (*_COVERS, *more))
    memory = f"{_MEMORY} 00*{size - _SUMS_AT}"
    return Draft(name, what, covers, cases, text, observe=("after",), memory=memory, errata=errata)


def _numbers(maker: Writer) -> Mapping[str, str]:
    """Return the numbers that the results of ``maker`` are compared with: such that some are above, some below."""
    results = sorted(_results(maker))
    k = results[len(results) // 2]
    h = sorted(results, key=_signed)[len(results) // 2]
    upper = {"near": k, "signed": h, "far": k ^ _LOW}
    return {
        **{name: str(_signed(number)) for name, number in zip("khn", upper.values(), strict=True)},
        **{name: f"{_UPPER << 32 | number:#x}" for name, number in upper.items()},
        "wide": f"{k:#x}",
    }


def _signed(number: int) -> int:
    return number - (number >> 31 << 32)


@cache
def _results(maker: Writer) -> tuple[int, ...]:
    """Return the lower halves of the results of ``maker``."""
    text, *_ = maker.on(_R0_ROLES["T"], _R0_ROLES["S"], _R0_ROLES["P"])
    words = prepared("P", "S", "T") if maker.atomic else ""
    body = on_lines(f"rT = *(u64 *)(rP + 0); {words}; {text}; *(u64 *)(rP + 0) = rT")
    asm = roles(re.sub(r"{\w+}", "0", _loop(body)), **_R0_ROLES)
    draft = Draft(maker.name, "", (), asm=asm, observe=("after",), memory=_MEMORY)
    memory = outcome(draft, job(draft, "all", "little")).memory or b""
    return tuple(int.from_bytes(memory[at : at + 4], "little") for at in range(0, _OPERANDS_AT, BYTES))


def _calls(makers: Sequence[Writer]) -> Draft:
    """The result is an argument, or it is returned."""
    names = {**_ROLES, "C": 8, "K": 0}
    given = f"rT = *(u64 *)(rP + 0); rS = *(u64 *)(rP + 8); {prepared('P', 'S', 'T')}; r2 = 0"
    parts = [f"{given}; {part}; rA += r0" for part in _ARGUMENTS]
    given = "r1 = *(u64 *)(rP + 0); r2 = rP; r4 = *(u64 *)(rP + 8)"
    uses = ("rA += r0", "r0 >>= 32; rA += r0", "r5 = 0xffffffff ll; if r0 > r5 goto +1; rA += 0x3001")
    parts += [f"{given}; call local {name}; {uses[n % 3]}" for n, name in enumerate((*_RETURNING, *_RETURNING))]
    body, size = _summed(parts)
    returning = {name: f"r0 = r1; {prepared('2', '4', '1')}; {text}" for name, text in _RETURNING.items()}
    what = "functions get a result of 32 bits or fewer, or return one, and all 64 bits are read"
    more = ("4.3.2-call-local", "4.3.2-exit-returns-to-caller")
    asm = _loop(body, _functions({**_TAKING, **returning}))
    return _draft("before/calls", what, makers, asm, size, [names], more)


def _preserved(makers: Sequence[Writer]) -> Draft:
    """The result is in R6 to R9 during calls of functions that use the same register."""
    body, at = "", _SUMS_AT
    for name in _CALLEES:
        for jump, use in (("", ""), ("", "rT >>= 32"), ("if wT s> 5 goto +0", "")):
            body += on_lines(
                f"rT = *(u64 *)(rP + 0); rS = *(u64 *)(rP + 8); {prepared('P', 'S', 'T')}; {{make}}; {jump}"
            )
            body += on_lines(f"call local {name}; {use}; rX = *(u64 *)(rB + {at}); rX += rT; *(u64 *)(rB + {at}) = rX")
        at += 8
    rotations = [
        {**_ROLES, "A": 0, "K": 0, **dict(zip("TPBC", (*range(first, 10), *range(6, first)), strict=True))}
        for first in range(6, 10)
    ]
    what = "a result of 32 bits or fewer is in one of R6 to R9 while functions use that register"
    more = ("4.3.2-call-local",)
    asm = _loop(body, _functions(_CALLEES))
    return _draft("before/calls-that-preserve", what, makers, asm, at, rotations, more, ("calling-convention",))


def _exits(name: str, makers: Sequence[Writer], end: str) -> Draft:
    """The result is what the program returns; nothing else is compared, so that no generated end follows it."""
    asm = f"r0 = *(u64 *)(r1 + 0)\nr4 = *(u64 *)(r1 + 8)\n{on_lines(prepared('1', '4', '0'))}{{make}}\n{end}"
    cases = {
        f"{maker.name}-{letter}": {"make": text, "numbers": numbers}
        for maker in makers
        for letter, text, numbers in zip("ab", maker.on(0, 4, 1), NUMBERS, strict=False)
    }
    covers = tuple(f"rfc9669-{part}" for part in ("4.3-exit", *_COVERS))
    what = "a result of 32 bits or fewer is what the program returns"
    return Draft(f"before/{name}", what, covers, cases, asm, memory="{numbers}")


def _packet(row: Instruction) -> Draft:
    """A number from a packet is the result, with 0 and other numbers in its highest bit."""
    names = {"T": 0, "S": 8, "K": 9, "X": 2, "A": 7}
    followers = [
        re.sub(r"= \*\(u64 \*\)\(rB.*=>", "= 0x5a5a5a5af2030405 ll =>", text)
        for text in (*_conditions()[::2], *_COMPUTATIONS)
    ]
    parts = [text for text in followers if not re.search("rB|rP|rX.*=>", text)]
    asm = "rA = 0; rS = 0x5a5a5a5a00000005 ll; "
    for place, text in enumerate(parts):
        before, after = text.split("=>")
        load = line(row, src="2", imm=str(place % 5))
        asm += f"{before}; r2 = 0; rT = 0x5a5a5a5a5a5a5a5a ll; {load}; {after}; {_READERS[place % 3]}; "
    body = on_lines(re.sub("{[khn]}", "-234683390", asm))
    asm = roles(f"r6 = r1\n{body}r0 = r7\nr1 = 0\nr6 = 0\nexit\n", **names)
    what = f"{len(parts)} times a number from a packet is read with all 64 bits, after other instructions"
    memory = "f2 03 04 85 f6 07 08 89 0a 0b 0c 0d 8e 0f"
    errata = ("packet-access-undefined",)
    return Draft(f"before/{slug(row)}", what, covers(row), asm=asm, memory=memory, errata=errata)
