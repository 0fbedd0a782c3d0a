# SPDX-License-Identifier: Apache-2.0
"""Registers and memory that hold another value than a copy of them, after one of the two was written.

Compilers remember that two registers are equal, what was stored where, and what is in a register during a call. Each
must be forgotten when an instruction, or the function that was called, writes one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .draft import Draft
from .registers import END, VALUES
from .writers import BYTES, NUMBERS, Writer, on_lines, prepared, roles, writers

#: The numbers that are used, and where memory has places for stores and results.
_USED = NUMBERS[:3]
_PLACE = BYTES * len(_USED)
_SUMS_AT = _PLACE + 16
_SPILLED = f"*(u64 *)(rB + {_PLACE})"
#: Parts whose sum is stored.
_SUMMED = 4
#: The register that is written, the other operand, the numbers, the copy, a scratch register, the sum, the memory, the
#: counter.
_ROLES = {"T": 3, "S": 4, "P": 6, "D": 8, "X": 5, "A": 7, "B": 9, "C": 2}
_R0_ROLES = {**_ROLES, "T": 0}
#: What is known of the register when it is written, and what is used then.
_COPIES = (
    "rD = rT; {make}; rA += rD",
    "wD = wT; {make}; rA += rD",
    "rD = (s32)rT; {make}; rA += rD",
    "wD = (s8)wT; {make}; rA += rD",
    "rX = rT; rD = rX; {make}; rA += rD; rA += rX",
    "rD = rT; {make}; if rD == rT goto +1; rA += 0x701",
    "rD = rT; {make}; if wD != wT goto +1; rA += 0x701",
    "rD = rT; {make}; rD -= rT; rD <<= 1; rA += rD",
    "rD = rT; {make}; rX = 1; rX <<= rD; rA += rX",
    "rD = rT; {make}; rX = rT; rT = rD; rA += rX",
    "rD = rT; {make}; wT = wD",
    f"rD = rT; {{make}}; {_SPILLED} = rD; rX = {_SPILLED}; rA += rX",
    f"{_SPILLED} = rT; {{make}}; rD = {_SPILLED}; rA += rD",
    f"{_SPILLED} = rT; {{make}}; rX = rT; rT = {_SPILLED}; rA += rX",
    f"*(u32 *)(rB + {_PLACE}) = rT; {{make}}; rD = *(u32 *)(rB + {_PLACE}); rA += rD",
    "rX = *(u64 *)(rP + 8); rD = rT; if wX s> 0 goto a#; {make}; a#:; rA += rD",
    "rX = *(u64 *)(rP + 8); rD = rT; if wX s> 0 goto a#; {make}; rD = rT; a#:; rA += rD",
    "rD = rT; rX = 2; a#:; {make}; rA += rD; rX += -1; if rX != 0 goto a#",
    "{make}; rD = rT; {make}; rX = rD; rX ^= rT; rA += rX",
    "rD = rT; rT = rD; {make}; rA += rD",
    "rD = rT; wT = wD; {make}; rA += rD",
    "rX = rS; {make}; rX -= rS; rA += rX",
)
#: The same with the stack.
_STACK_SPILLS = (
    "*(u64 *)(r10 - 8) = rT; {make}; rD = *(u64 *)(r10 - 8); rA += rD",
    "*(u64 *)(r10 - 16) = rT; {make}; *(u64 *)(r10 - 8) = rT; rD = *(u64 *)(r10 - 16); rA += rD",
    "rX = *(u64 *)(rP + 8); *(u64 *)(r10 - 8) = rT; {make}; if wX s> 0 goto a#; rT = *(u64 *)(r10 - 8); a#:",
    "*(u64 *)(r10 - 8) = rT; *(u32 *)(r10 - 8) = rS; {make}; rD = *(u64 *)(r10 - 8); rA += rD",
    "rD = rT; *(u64 *)(r10 - 8) = rD; rD = 5; {make}; rD += rT; rX = *(u64 *)(r10 - 8); rA += rX; rA += rD",
)

#: Functions that change one of R6 to R9, by what they do; N is the register.
_CHANGES: Mapping[str, str] = {
    "constant": "rN = 5; exit",
    "lower_half": "wN = -1; exit",
    "wide": "rN = 0xfedcba9876543210 ll; exit",
    "argument": "rN = r1; rN += 7; exit",
    "loaded": "rN = *(u64 *)(r1 + 0); rN ^= -1; *(u64 *)(r1 + 0) = rN; exit",
    "sometimes": "if r2 & 1 goto +1; rN = r2; exit",
    "loop": "rN = 3; aN#:; r2 += rN; rN += -1; if rN != 0 goto aN#; exit",
    "deeper": "rN = r1; call local constant_N; r1 = rN; rN = 8; exit",
}
#: Calls, what was in R0 before, and what is known of it and of memory after; r6 is the address of numbers.
_CALLS = (
    "r0 = 77; r7 = r0; call local five; r7 += r0",
    "r0 = *(u64 *)(r6 + 0); r7 = r0; call local five; r7 += r0; if r0 == r7 goto +1; r7 += 3",
    "call local five; r7 = r0; call local six; r7 <<= 8; r7 += r0",
    "r7 = 5; call local six; if r0 == r7 goto +1; r7 += 77",
    "r7 = *(u64 *)(r9 + PLACE); r1 = r9; call local count; r8 = *(u64 *)(r9 + PLACE); r7 <<= 8; r7 += r8; r7 += r0",
    "r1 = r9; call local count; r7 = r0; r1 = r9; call local count; r7 <<= 8; r7 += r0",
    "*(u64 *)(r9 + PLACE) = 9; r1 = r9; call local count; r7 = *(u64 *)(r9 + PLACE); r7 += r0",
    "r1 = *(u64 *)(r6 + 0); call local either; r7 = r0; if r0 == 5 goto +1; r7 += 77; if r0 == 6 goto +1; r7 += 770",
    "r1 = *(u64 *)(r6 + 8); call local either; r7 = 5; r7 -= r0; r7 <<= r0",
    "r7 = 3; r0 = 1; a#:; r1 = r0; call local double; r7 += -1; if r7 != 0 goto a#; r7 = r0",
    "r7 = 3; r8 = 0; a#:; r1 = r7; call local double; r8 += r0; r7 += -1; if r7 != 0 goto a#; r7 = r8",
    "r0 = 5; r7 = 0; r8 = *(u64 *)(r6 + 8); if r8 s> 0 goto +1; call local six; r7 += r0",
    "r1 = *(u64 *)(r6 + 0); r7 = r1; call local change_argument; r7 += r0",
    "r1 = *(u64 *)(r6 + 0); r7 = r1; r8 = r7; call local change_argument; r7 -= r8; r7 += r0",
)
_CALLED: Mapping[str, str] = {
    "five": "r0 = 5; exit",
    "six": "r0 = 6; exit",
    "count": "r0 = *(u64 *)(r1 + PLACE); r0 += 1; *(u64 *)(r1 + PLACE) = r0; r0 += 10; exit",
    "either": "r0 = 5; if r1 s> 0 goto +1; r0 = 6; exit",
    "double": "r1 += r1; r0 = r1; exit",
    "change_argument": "r1 += 1; r0 = r1; r1 = 0; exit",
}


def drafts() -> Iterator[Draft]:
    """Yield the vectors of copies, of registers during calls, and of what helper functions leave behind."""
    found = list(writers())
    plain = [writer for writer in found if not writer.atomic]
    atomic = [writer for writer in found if writer.atomic]
    covers = ("4.1-mov-x-64", "4.1-mov-x-32", "4.1-movsx32-64")
    yield _copied("registers", plain, _COPIES, _ROLES, covers)
    yield _copied("registers-and-atomics", atomic, _COPIES, _R0_ROLES, covers)
    some = [writer for n, writer in enumerate(plain) if n % 7 == 0]
    yield _copied("stack", some, _STACK_SPILLS, _ROLES, ("5.1-stx-mem-dw",), ("stack-and-call-depth",))
    for depth in (1, 2, 4, 7):
        yield _called(depth)
    yield _returned()


def _copied(
    name: str,
    makers: Sequence[Writer],
    parts: Sequence[str],
    names: Mapping[str, int],
    covers: tuple[str, ...],
    errata: tuple[str, ...] = (),
) -> Draft:
    """Return a loop over the numbers, in which T is written after something is known of it."""
    body, at = "", _SUMS_AT
    words = prepared("P", "S", "T") if makers[0].atomic else ""
    for place, part in enumerate(parts):
        text = part.replace("{make}", "{other}") if place % 2 else part
        body += on_lines(f"rT = *(u64 *)(rP + 0); {words}; {text}; rA += rT", place)
        if place % _SUMMED == _SUMMED - 1 or place == len(parts) - 1:
            body += on_lines(f"rX = *(u64 *)(rB + {at}); rX += rA; *(u64 *)(rB + {at}) = rX; rA = 0")
            at += 8
    asm = on_lines("rB = r1; rP = r1; rA = 0; rC = 0; again:; rS = *(u64 *)(rP + 8)") + body
    asm += on_lines(f"rP += {BYTES}; rC += 1; if rC != {len(_USED)} goto again") + END
    cases = {}
    for maker in makers:
        first, second, _ = maker.on(names["T"], names["S"], names["P"])
        cases[maker.name] = {"make": first, "other": second}
    return Draft(
        f"copied/{name}",
        f"{len(parts)} copies keep their values when the register is written that they are of",
        tuple(f"rfc9669-{part}" for part in covers),
        cases,
        roles(asm, **names),
        observe=("after",),
        memory=f"{' '.join(_USED)} 00*{at - _PLACE}",
        errata=errata,
    )


#: The first number in memory is for functions, the second one is not known to compilers.
_AREA = "01020384f5f60788 1122334485f6d718"
_MOST_FRAMES = 8


def _called(depth: int) -> Draft:
    """Functions that change R6 to R9, called in the frame with this number; its callers keep theirs as well."""
    parts, functions, at = "*(u64 *)(r10 - 8) = r1\n", "", 16
    for number in range(6, 10):
        for place, (name, text) in enumerate(_CHANGES.items()):
            if name == "deeper" and depth == _MOST_FRAMES - 1:
                continue
            functions += on_lines(f"{name}_{number}:; r0 = 0; {text}".replace("N", str(number)), place)
            # Which of them are equal, and which are constants, depends on the part.
            a, b, c, d = (6 + (number + place + n) % 4 for n in range(4))
            parts += on_lines(
                f"r1 = *(u64 *)(r10 - 8); r{a} = *(u64 *)(r1 + 8); r{b} = r{a}; r{c} = {VALUES[place]:#x} ll; "
                f"r{d} = {place + 70}; r2 = r{a}; call local {name}_{number}; r1 = *(u64 *)(r10 - 8); {_FOLDED}; "
                f"*(u64 *)(r1 + {at}) = r0"
            )
            at += 8
    kept = "; ".join(f"r{n} = {VALUES[n] ^ 85:#x} ll" for n in range(7, 10))
    asm = f"{parts}{END}"
    if depth > 1:
        asm = on_lines(f"r6 = r1; {kept}; call local frame2; r1 = r6; r6 = 0; {_FOLDED}; *(u64 *)(r1 + 0) = r0") + END
        for level in range(2, depth):
            own = "; ".join(f"r{n} = {VALUES[n] ^ level:#x} ll" for n in range(6, 10))
            asm += on_lines(f"frame{level}:; {own}; call local frame{level + 1}; {_FOLDED}; exit")
        asm += f"frame{depth}:\n{parts}r0 = 0\nexit\n"
    return Draft(
        f"calls/r6-to-r9-in-frame-{depth}",
        "functions change one of R6 to R9 in several ways; all of them are the same after each call",
        ("rfc9669-4.3.2-call-local", "rfc9669-4.3.2-exit-returns-to-caller"),
        asm=asm + functions,
        observe=("after",),
        memory=f"{_AREA} 00*{at - 16}",
        errata=("calling-convention", "stack-and-call-depth"),
    )


_FOLDED = "; ".join(f"r0 += r{n}; r2 = r0; r2 >>= 51; r0 <<= 13; r0 |= r2" for n in range(6, 10))


def _returned() -> Draft:
    """Functions return what is in R0, and change what memory holds."""
    asm, at = "r6 = r1\nr9 = r1\n", _SUMS_AT
    for place, part in enumerate((*_CALLS, "r6 += BYTES", *_CALLS)):
        asm += on_lines(_placed(part), place)
        if "call" in part:
            asm += f"*(u64 *)(r9 + {at}) = r7\n"
            at += 8
    functions = "".join(on_lines(f"{name}:; {_placed(text)}") for name, text in _CALLED.items())
    return Draft(
        "calls/r0-and-memory",
        f"what is known of R0 and of memory before and after each of {len(_CALLS)} calls",
        ("rfc9669-4.3.2-call-local", "rfc9669-4.3.2-exit-returns-to-caller"),
        asm=asm + END + functions,
        observe=("after",),
        memory=f"{' '.join(_USED)} 00*{at - _PLACE}",
    )


def _placed(text: str) -> str:
    return text.replace("PLACE", str(_PLACE)).replace("BYTES", str(BYTES))
