# SPDX-License-Identifier: Apache-2.0
"""Jumps over exactly so many slots, with operands that tell each condition from all others.

Machines have branches that reach 2^7 to 2^20 bytes, and other ones, or several instructions, beyond. Where a compiler
takes the wrong form, or inverts a condition wrongly to jump over a jump, depends on the distance in bytes. Fillers are
instructions of three or four bytes on x86-64 and of four on most others, so that rows of distances reach the limits
exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ...spec.facts import Kind, facts
from ...spec.table import Instruction
from . import jumps
from .acts import OTHER, PAIRS, pair_bytes, rows_of_kinds
from .covers import covering
from .draft import Draft, line, slug
from .registers import VALUES

#: Distances of programs for all instructions, forward and backward: at the limits of host instructions that have 8 to
#: 16 bits for them, if each slot becomes as many bytes or is four of them long.
_FAR: Mapping[bool, Sequence[Sequence[tuple[int, ...]]]] = {
    True: (
        ((255,), (256,)),
        ((511, 512), (1023, 1024), (2047, 2048), (3071, 3072)),
        ((4095, 4096), (8191, 8192), (16383, 16384)),
        ((32766, 32767),),
    ),
    False: (
        ((256,), (257,)),
        ((512, 513), (1024, 1025), (2048, 2049), (3072, 3073)),
        ((4096, 4097), (8192, 8193), (16384, 16385), (32767, 32768)),
    ),
}
#: The same for programs with fewer instructions.
_MIDDLE: Mapping[bool, Sequence[tuple[int, ...]]] = {True: ((127,), (128,)), False: ((128,), (129,))}
#: GOTO leads back over more than this if GOTOL does not.
_GOTO_REACHES = 32700


class _Frame(NamedTuple):
    """A loop over all pairs of operands, for the jumps of a program; ``bits`` is the width of its instructions.

    ``load`` sets both operands in r3 and r4, and ``again`` does so once more, in two instructions: they are at the
    beginning of the memory. ``following`` goes on with the next pair, or ends. ``kept`` are the registers that are
    compared: but for r0, and r7, which counts, nothing changes them.
    """

    bits: int
    start: str
    load: str
    again: str
    following: str
    kept: tuple[str, ...]
    memory: str


def _wide() -> _Frame:
    """R6 is the address of the operands, r9 that of the present pair, and the lower half of r8 counts pairs."""
    pinned = "".join(f"r{n} = {VALUES[n]:#x} ll\n" for n in (0, 1, 5, 7))
    return _Frame(
        bits=64,
        # R2 is not 77, but no verifier knows: so all fillers can be reached.
        start=f"r6 = r1\nr9 = r1\nr9 += 24\nr2 = *(u64 *)(r1 + 16)\nr2 = be64 r2\n{pinned}"
        f"r8 = {VALUES[8] & ~0xFFFFFFFF:#x} ll\n",
        load="r3 = *(u64 *)(r9 + 0)\nr3 = be64 r3\nr4 = *(u64 *)(r9 + 8)\nr4 = be64 r4\n"
        "*(u64 *)(r6 + 0) = r3\n*(u64 *)(r6 + 8) = r4\n",
        again="r3 = *(u64 *)(r6 + 0)\nr4 = *(u64 *)(r6 + 8)\n",
        following="r3 = r0\nr3 >>= 57\nr0 <<= 7\nr0 |= r3\nr9 += 16\nr8 += 1\n"
        f"if w8 != {len(PAIRS)} goto again\nr3 = 0\nr4 = 0\nr6 = 0\nr9 = 0\nexit\n",
        kept=("r0", "r1", "r2", "r5", "r7", "r8"),
        memory=f"00*16 c1 42 c3 44 45 c6 47 c8 {pair_bytes()}",
    )


def _narrow() -> _Frame:
    """The same in base32, which cannot compute with addresses."""
    choose = "".join(
        f"if w8 != {place} goto not{place}\nr3 = *(u32 *)(r1 + {at})\nr4 = *(u32 *)(r1 + {at + 4})\nnot{place}:\n"
        for place, at in ((place, 12 + 8 * place) for place in range(len(PAIRS)))
    )
    pinned = "".join(f"w{n} = {VALUES[n] & 0x7FFFFFFF:#x}\n" for n in (0, 5, 6, 7, 9))
    return _Frame(
        bits=32,
        start=f"r2 = *(u32 *)(r1 + 8)\nr2 = be32 r2\n{pinned}w3 = 0\nw4 = 0\nw8 = 0\n",
        load=f"{choose}r3 = be32 r3\nr4 = be32 r4\n*(u32 *)(r1 + 0) = r3\n*(u32 *)(r1 + 4) = r4\n",
        again="r3 = *(u32 *)(r1 + 0)\nr4 = *(u32 *)(r1 + 4)\n",
        following=f"w3 = w0\nw3 >>= 25\nw0 <<= 7\nw0 |= w3\nw8 += 1\nif w8 != {len(PAIRS)} goto again\nexit\n",
        kept=("r0", "r2", "r5", "r6", "r7", "r8", "r9"),
        memory=f"00*8 c1 42 c3 44 {pair_bytes(32)}",
    )


_WIDE, _NARROW = _wide(), _narrow()


def drafts() -> Iterator[Draft]:
    """Yield the vectors of short and long distances, forward and backward."""
    conditions, unconditional = jumps.known_conditions(), rows_of_kinds(Kind.JUMP)
    every = [*conditions, *unconditional]
    for forward in (True, False):
        yield _near(conditions, forward)
        yield _near(unconditional, forward)
        direction = "forward" if forward else "backward"
        for width in (64, 32):
            rows = [row for row in every if facts(row).width == width]
            yield _far(_WIDE, f"{direction}-{width}-bits", rows, forward, _MIDDLE[forward])
        yield from (_far(_WIDE, direction, every, forward, some) for some in _FAR[forward])
        rows = [row for row in every if row.groups == {"base32"}]
        yield _far(_NARROW, f"{direction}-base32", rows, forward, _MIDDLE[forward])
        yield _far(_NARROW, f"{direction}-base32-pairs", rows, forward, _FAR[forward][1][:2])


def jump(row: Instruction, target: str) -> str:
    """Assembly of a jump to ``target``, if it is a condition one on the pair in r3 and r4."""
    return line(row, dst="3", src="4", imm=target if facts(row).kind is Kind.JUMP else str(OTHER), offset=target)


def direction_of(forward: bool) -> tuple[str, ...]:
    """Return the requirements that jumps in a direction cover."""
    return ("rfc9669-4.3-relative-to-next",) if forward else ("rfc9669-4.3-backward",)


# Short distances: one instruction in each case

#: Slots, and how many of them are fillers of three bytes on x86-64. Around 127 bytes there is each number of bytes.
_NEAR = (*((n, 0) for n in (15, 16, 17)), *((n, short) for n in range(31, 35) for short in range(4)))


def _near(rows: Sequence[Instruction], forward: bool) -> Draft:
    """Each distance has its own jump; all fillers are on one path that is not taken."""
    always = facts(rows[0]).kind is Kind.JUMP
    part, shortest = (_near_forward, _shortest_forward) if forward else (_near_backward, _shortest_backward)
    parts = "".join(part(always, place, n, short) for place, (n, short) in enumerate(_NEAR))
    parts += shortest(always, len(_NEAR))
    asm = f"{_WIDE.start}if r2 == 77 goto filler0\nagain:\n{_WIDE.load}{parts}{_WIDE.following}"
    asm += f"filler{len(_NEAR)}:\ngoto again\n"
    name = f"{'forward' if forward else 'backward'}-{'always' if always else 'conditions'}"
    return Draft(
        f"near/{name}",
        f"{len(_NEAR) + 1} jumps or more over 1 to 34 slots, with {len(PAIRS)} pairs of operands each",
        covering(rows, *direction_of(forward)),
        {slug(row): {"jump": jump(row, "").rstrip()} for row in rows},
        asm,
        observe=_WIDE.kept,
        memory=_WIDE.memory,
    )


def _weight(place: int) -> int:
    """What is added to r0 where a jump leads; it fits into 8 bits."""
    return 3 * place + 1


def _fillers(count: int, short: int, following: int) -> str:
    """``count`` slots, the last of which leads to the next fillers."""
    return repeated("w1 += 100", short) + repeated("r5 += 100", count - 1 - short) + f"goto filler{following}\n"


def repeated(text: str, count: int) -> str:
    """Return assembly that has ``text`` so many times."""
    return f".rept {count}\n{text}\n.endr\n" if count > 4 else f"{text}\n" * count


def _near_forward(always: bool, place: int, distance: int, short: int) -> str:
    return (
        f"{_WIDE.again}{_reach(always, f'past{place}')}{{jump}} taken{place}\npast{place}:\ngoto on{place}\n"
        f"filler{place}:\n{_fillers(distance - 1, short, place + 1)}"
        f"taken{place}:\nr0 += {_weight(place)}\non{place}:\n"
    )


def _near_backward(always: bool, place: int, distance: int, short: int) -> str:
    return (
        f"{_WIDE.again}goto jump{place}\ntaken{place}:\nr0 += {_weight(place)}\ngoto on{place}\nfiller{place}:\n"
        f"{_fillers(distance - 3, short, place + 1)}jump{place}:\n{{jump}} taken{place}\non{place}:\n"
    )


def _reach(always: bool, target: str) -> str:
    """Assembly that makes the instruction behind an unconditional jump reachable, for verifiers."""
    return f"if r2 == 77 goto {target}\n" if always else ""


def _shortest_forward(always: bool, place: int) -> str:
    """Over one slot, and over two."""
    asm = ""
    for more in ("", "r7 += 1\n"):
        asm += (
            f"{_WIDE.again}{_reach(always, f'past{place}')}{{jump}} taken{place}\npast{place}:\n{more}goto on{place}\n"
        )
        asm += f"taken{place}:\nr0 += {_weight(place)}\non{place}:\n"
        place += 1
    return asm


def _shortest_backward(always: bool, place: int) -> str:
    """To the instruction before the jump."""
    asm = f"{_WIDE.again}goto jump{place}\nbefore{place}:\ngoto taken{place}\njump{place}:\n{{jump}} before{place}\n"
    asm += f"goto on{place}\n" if not always else ""
    return f"{asm}taken{place}:\nr0 += {_weight(place)}\non{place}:\n"


# Long distances: a program for all instructions


def _far(
    frame: _Frame, name: str, rows: Sequence[Instruction], forward: bool, distances: Sequence[tuple[int, ...]]
) -> Draft:
    """All jumps of a program lead over the same number of slots, or over one of two.

    The jumps are three slots apart, and so are their targets. One more slot between the first half of them and the
    second makes the greater distance.
    """
    sites = [(group, row) for group in range(len(distances[0])) for row in rows]
    r = "r" if frame.bits == 64 else "w"
    count = f"{r}7 += 1\n"
    sources, targets = f"again:\n{frame.load}", ""
    for place, (group, row) in enumerate(sites):
        before, after = (sites[at][0] if 0 <= at < len(sites) else group for at in (place - 1, place + 1))
        sources += f"back{place}:\n" + (count if not forward and before < group else "")
        sources += f"{frame.again}{jump(row, f'far{place}')}\n"
        targets += f"far{place}:\n{r}0 += {place * 7919 % 32749 + 1}\n{count}"
        targets += (count if forward and group < after else "") + f"{{goto}} back{place + 1}\n"
    sources += f"back{len(sites)}:\n"
    fillers = f"filler:\n.rept {{fillers}}\n{r}5 += 100\n.endr\n{{goto}} again\n"
    begin = f"{frame.start}if {r}2 == 77 goto filler\ngoto again\n"
    # Between a jump and its target are all others, or theirs, and GOTO, fillers, GOTO.
    beside = 3 * len(sites) - 1
    if forward:
        asm = f"{begin}next:\n{frame.following}{sources}goto next\n{fillers}{targets}"
    else:
        asm = f"{begin}{targets}{fillers}{sources}{frame.following}"
        beside += 5 + sum(not text.endswith(":") for text in frame.load.splitlines())
    far = distances[-1][-1] > _GOTO_REACHES
    cases = {
        "-and-".join(map(str, some)): {"fillers": str(some[0] - beside), "goto": "gotol" if far else "goto"}
        for some in distances
    }
    what = f"{len(rows)} jumps {name} over so many slots, with {len(PAIRS)} pairs of operands each"
    found = covering(rows, *direction_of(forward), "rfc9669-3.1-offset-width")
    errata = ("program-size",) if distances[-1][-1] > 4000 else ()
    name = f"far-{name}/{'long' if errata else 'slots'}"
    return Draft(name, what, found, cases, asm, observe=frame.kept, memory=frame.memory, errata=errata)
