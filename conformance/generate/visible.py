# SPDX-License-Identifier: Apache-2.0
"""Stores whose effect is seen elsewhere than right behind them: by another function, or when the program has ended.

A compiler that removes stores that nobody reads has to know who may read them. Zeros stored over something are among
them: clearing a register, or memory that is believed to be clear, is often done in another way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ...spec.facts import Kind, facts
from ...spec.table import Instruction
from .acts import rows_of_kinds
from .covers import covering
from .draft import Draft, line, slug

#: The end of programs whose results are in memory. It names no other register: one that nothing uses is where the
#: address of the memory is kept for runtimes that show r0 only.
_END = "r0 = 0\nexit\n"
_WIDTHS = (8, 16, 32, 64)
_FRAMES = ("stack-and-call-depth", "calling-convention")
_VALUE, _OLD, _IMM = 0x81C2A3E4958687B8, 0x9ABCDEF09ABCDEF0, "-1985229329"


def drafts() -> Iterator[Draft]:
    """Yield the vectors of stores of zeros, of last stores, and of parts of a double word written by two functions."""
    narrow = {name: text.replace("{r}", "w") for name, text in _ZEROS.items()} | _LOW_ZEROS
    yield _zeros("narrow", narrow, (8, 16, 32))
    yield _zeros("wide", {name: text.replace("{r}", "r") for name, text in _ZEROS.items()} | _WIDE_ZEROS, _WIDTHS)
    yield _zeros_on_the_stack()
    stores, atomics = rows_of_kinds(Kind.STORE), rows_of_kinds(Kind.ATOMIC)
    for name, rows in (
        ("stores", stores),
        ("atomic32", [row for row in atomics if facts(row).width == 32]),
        ("atomic64", [row for row in atomics if facts(row).width == 64]),
    ):
        yield _read_by_the_caller(name, rows)
        yield from (_before_the_end(row) for row in rows)
    yield _shared_double_word()


#: Assembly that puts 0 into r4; r5 is 0, which was loaded from memory, and r2 is not.
_ZEROS = {
    "constant": "{r}4 = 0",
    "xor": "{r}4 ^= {r}4",
    "difference": "{r}4 -= {r}4",
    "mask": "{r}4 &= 0",
    "loaded": "{r}4 = {r}5",
    "shift": "{r}4 = 1\n{r}4 >>= 1",
    "sum": "{r}4 = -1\n{r}4 += 1",
    "condition": "{r}4 = {r}5\nif {r}4 == 0 goto +1\n{r}4 = {r}2",
}
#: Registers whose low bytes only are 0.
_LOW_ZEROS = {"high-bytes": "w4 = 0x7f000000"}
_WIDE_ZEROS = {"upper-half": "r4 = 0x7777777700000000 ll", "lower-half-cleared": "w4 = 0"}
#: Their widths in which they are not.
_NOT_ZERO = {("high-bytes", 32), ("upper-half", 64)}


def _zeros(name: str, ways: Mapping[str, str], widths: Sequence[int]) -> Draft:
    """Each store has two double words of its own; whatever is loaded from there afterwards is added up in r0."""
    asm, at = "r5 = *(u8 *)(r1 + 0)\nw2 = 0x11223344\nw0 = 0\n", 8
    for width in widths:
        size = width // 8
        for way in (None, *ways):
            if (way, width) in _NOT_ZERO:
                continue
            for place in range(0, 8, size):
                before = "" if way is None else f"{ways[way]}\n"
                asm += f"{before}*(u{width} *)(r1 + {at + place}) = {'0' if way is None else 'r4'}\n"
                asm += f"r3 = *(u{width} *)(r1 + {at + place})\nw0 += w3\n"
                at += 16
    found = [f"rfc9669-5.1-{kind}-mem-{size}" for kind in ("st", "stx") for size in ("b", "h", "w", "dw")]
    return Draft(
        f"zeros/{name}",
        f"{(at - 8) // 16} stores of 0 over other bytes, by immediates and by registers that became 0 in other ways",
        tuple(one for one in found if 64 in widths or not one.endswith("dw")),
        asm=f"{asm}exit\n",
        observe=("r0", "after"),
        memory=f"00*8 {bytes((29 * n + 0x41) & 0xFF | 1 for n in range(at - 8)).hex()}",
    )


def _zeros_on_the_stack() -> Draft:
    """Whole double words, and parts of them, on a stack that was filled before."""
    asm, results = "r6 = r1\nr2 = 0\nr5 = *(u8 *)(r6 + 0)\n", 8
    for width in _WIDTHS:
        for value in ("0", "r2", "r5"):
            for place in range(0, 8, width // 8):
                asm += f"r3 = {_VALUE:#x} ll\n" + "".join(f"*(u64 *)(r10 - {at}) = r3\n" for at in (24, 16, 8))
                asm += f"*(u{width} *)(r10 - {16 - place}) = {value}\nr3 = *(u64 *)(r10 - 16)\nr4 = *(u64 *)(r10 - 8)\n"
                asm += f"r3 += r4\nr4 = *(u64 *)(r10 - 24)\nr3 += r4\n*(u64 *)(r6 + {results}) = r3\n"
                results += 8
    return Draft(
        "zeros/on-the-stack",
        "stores of 0 on the stack: the sum of the double word that they are in and of those on either side of it",
        ("rfc9669-5.1-st-mem-b", "rfc9669-5.1-stx-mem-dw", "rfc9669-5.1-store-size"),
        asm=asm + _END,
        observe=("after",),
        memory=f"00*{results}",
        errata=_FRAMES,
    )


def _write(row: Instruction, base: str, offset: int) -> str:
    """Assembly of a row that writes memory, from r2."""
    return f"{line(row, dst=base, src='2', offset=str(offset), imm=_IMM)}\n"


def _expects_r0(row: Instruction) -> bool:
    """Whether a row compares R0 with the memory."""
    return "r0" in row.writes


def _read_by_the_caller(name: str, rows: Sequence[Instruction]) -> Draft:
    """Functions that end with a store: its caller loads what is there right after the call."""
    main, functions, results, moved = "r6 = r1\n", "", 16, "r1 += -16\n"
    for number, row in enumerate(rows):
        kind = f"u{facts(row).width}"
        for target, load in (("r6", "(r6 + 0)"), ("r10", "(r10 - 16)")):
            for loaded in dict.fromkeys((kind, "u64")):
                store = f"r3 = {_OLD:#x} ll\n*(u64 *){load} = r3\n"
                main += f"{store}r1 = {target}\n{'' if target == 'r6' else moved}"
                main += f"r2 = {_VALUE:#x} ll\ncall local write{number}\nr3 = *({loaded} *){load}\n"
                main += f"*(u64 *)(r6 + {results}) = r3\n"
                results += 8
        before = f"r0 = *({kind} *)(r1 + 0)\n" if _expects_r0(row) else "r0 = 0\n"
        functions += f"write{number}:\n{before}{_write(row, '1', 0)}exit\n"
    return Draft(
        f"last-store/read-by-the-caller-of-{name}",
        f"{len(rows)} functions that end with a store: what their caller loads from there right after the call",
        covering(rows, "rfc9669-4.3.2-exit-returns-to-caller"),
        asm=f"{main}{_END}{functions}",
        observe=("after",),
        memory=f"00*{results}",
        errata=_FRAMES,
    )


def _before_the_end(row: Instruction) -> Draft:
    """The last instruction before each of two EXITs, the last one of a function, and the last two of all."""
    kind = f"u{facts(row).width}"
    again = f"r0 = *({kind} *)(r6 + 0)\n" if _expects_r0(row) else "r0 = 3\n"
    store = f"r2 = {_VALUE:#x} ll\n{again}{_write(row, '6', 0)}"
    asm = (
        "r6 = r1\nr7 = *(u8 *)(r6 + 15)\nif r7 == {first} goto other\nif r7 == {second} goto function\n"
        f"{store}exit\nother:\n{store}{_write(row, '6', 8).replace(_IMM, '77')}exit\n"
        f"function:\nr1 = r6\nr2 = {_VALUE:#x} ll\ncall local write\nexit\n"
        f"write:\n{again.replace('r6', 'r1')}{_write(row, '1', 0)}exit\n"
    )
    cases = {
        "first-exit": {"first": "1", "second": "1"},
        "second-exit": {"first": "5", "second": "1"},
        "of-a-function": {"first": "1", "second": "5"},
    }
    return Draft(
        f"{slug(row)}/last-store",
        "what is stored right before the end of the program is in the memory",
        covering([row], "rfc9669-4.3-exit"),
        cases,
        asm,
        observe=("after",),
        memory="9abcdef09abcdef0 f1e2d3c4b5a69705",
    )


def _shared_double_word() -> Draft:
    """A double word on the stack, of which the callee writes a part and the caller another, or loads it."""
    asm, results = "r6 = r1\n", 0
    for width in _WIDTHS:
        for place in range(0, 8, width // 8):
            through = "through" if (place // (width // 8)) % 2 else "put"
            at = 16 - place
            asm += f"r3 = {_OLD:#x} ll\n*(u64 *)(r10 - 16) = r3\nr1 = r10\nr1 += -{at}\nr2 = {_VALUE:#x} ll\n"
            asm += f"call local {through}{width}\nr3 = *(u64 *)(r10 - 16)\n*(u64 *)(r6 + {results}) = r3\n"
            asm += f"*(u{width} *)(r10 - {at}) = 0x5a6b7c8d\nr1 = r10\nr1 += -16\ncall local get\n"
            asm += f"*(u64 *)(r6 + {results + 8}) = r0\n"
            results += 16
    functions = "get:\nr0 = *(u64 *)(r1 + 0)\nexit\n"
    for width in _WIDTHS:
        functions += f"put{width}:\nr0 = 0\n*(u{width} *)(r1 + 0) = r2\nexit\n"
        functions += f"through{width}:\n*(u64 *)(r10 - 16) = -1\ncall local put{width}\nexit\n" if width < 64 else ""
    return Draft(
        "last-store/parts-of-a-double-word",
        "the callee writes a part of its caller's double word, which the caller loads; then the other way round",
        ("rfc9669-4.3.2-call-local", "rfc9669-5.1-store-size", "rfc9669-5.1-address-offset"),
        asm=f"{asm}{_END}{functions}",
        observe=("after",),
        memory=f"00*{results}",
        errata=_FRAMES,
    )
