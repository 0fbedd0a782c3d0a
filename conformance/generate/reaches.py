# SPDX-License-Identifier: Apache-2.0
"""Jumps and calls at successive distances, so that one of them is exactly at the limit of a host instruction.

Between a jump and its target are instructions of four bytes in most machine code, and few others. One more of them
each time leads from what a host branch reaches to what it does not. Chains of jumps have lengths that depend on each
other: a compiler that shortens one of them brings others within reach.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...reference_vm.faults import Returned
from ...reference_vm.interpreter import execute
from ...spec.asm.assemble import assemble
from ...spec.facts import Kind, facts
from ...spec.table import Instruction
from . import jumps
from .acts import PAIRS, pair_bytes, rows_of_kinds
from .covers import covering
from .distances import direction_of, jump, repeated
from .draft import Draft
from .registers import VALUES

#: Jumps whose distances are swept: operation, width and whether the second operand is a register.
_SWEPT = (("==", 64, True), ("s>", 64, False), ("&", 32, False), ("<=", 32, True))
#: Numbers of fillers. Host branches reach 2^11 and 2^12 bytes. What else is between a condition and its target is as
#: long as up to 22 fillers.
_FILLERS = {
    "conditions": (*range(490, 514), *range(1002, 1026)),
    "always": (*range(507, 512), *range(1019, 1024)),
}
#: It has four bytes, also where instructions with small numbers have two.
FILLER = "r5 += 100"
_PADS = 16
_COUNTER = VALUES[8] & ~0xFFFFFFFF
_LOAD = "r3 = *(u64 *)(r9 + 0)\nr3 = be64 r3\nr4 = *(u64 *)(r9 + 8)\nr4 = be64 r4\n"
_KEPT = ("r0", "r1", "r2", "r5", "r8")


def drafts() -> Iterator[Draft]:
    """Yield the vectors of jumps, of calls, and of chains of jumps."""
    swept = [_row(*what) for what in _SWEPT]
    for forward in (True, False):
        yield _swept("conditions", swept, forward)
        yield _swept("always", rows_of_kinds(Kind.JUMP), forward)
    for forward in (True, False):
        yield _called("slots", forward, _CALLED[forward])
        yield _called("long", forward, _FAR_CALLED[forward])
    for forward in (True, False):
        for name in _LEAPS:
            yield from (_chained(name, apart, forward) for apart in _APART)
    yield _to_themselves()


def _row(operation: str, width: int, register: bool) -> Instruction:
    return next(
        row
        for row in jumps.known_conditions()
        if facts(row)[1:3] == (operation, width) and ("src" in row.operands) == register
    )


def _start(pinned: Sequence[int]) -> str:
    """Pairs of numbers are at r9; r2 is not 77, but no verifier knows."""
    return (
        "r9 = r1\nr9 += 8\nr2 = *(u64 *)(r1 + 0)\nr2 = be64 r2\n"
        + "".join(f"r{n} = {VALUES[n]:#x} ll\n" for n in pinned)
        + f"r8 = {_COUNTER:#x} ll\n"
    )


_MEMORY = f"c1 42 c3 44 45 c6 47 c8 {pair_bytes()}"
_ROTATE = "r7 = r0\nr7 >>= 57\nr0 <<= 7\nr0 |= r7\n"
_END = "r3 = 0\nr4 = 0\nr6 = 0\nr7 = 0\nr9 = 0\nexit\n"


def _swept(name: str, rows: Sequence[Instruction], forward: bool) -> Draft:
    """The jumps take turns. Each leads to one of the last instructions, which count up to where they end.

    Nothing else is between a jump and its target but fillers and the other jumps.
    """
    count = len(rows)
    turn = f"r7 = r8\nw7 &= {count - 1}\n"
    dispatch = turn + "".join(f"if w7 == {place} goto site{place}\n" for place in range(1, count))
    sites = "".join(
        f"site{place}:\n{jump(row, f'to{place}')}\n" + ("goto next\n" if facts(row).kind is Kind.CONDITION else "")
        for place, row in enumerate(rows)
    )
    apart = _PADS // count
    pads = "".join(f"to{place}:\n{repeated('r0 += 100', apart)}" for place in range(count))
    fillers = f"filler:\n.rept {{n}}\n{FILLER}\n.endr\ngoto again\n"
    begin = f"{_start((0, 1, 5))}if r2 == 77 goto filler\ngoto again\n"
    begin += (
        f"next:\n{_ROTATE}r8 += 1\n{turn}if w7 != 0 goto again\nr9 += 16\nif w8 != {count * len(PAIRS)} goto again\n"
    )
    begin += f"{_END}again:\n{_LOAD}{dispatch}"
    if forward:
        asm = f"{begin}{sites}{fillers}{pads}goto next\n"
    else:
        asm = f"{begin}goto site0\n{pads}goto next\n{fillers}{sites}"
    direction = "forward" if forward else "backward"
    return Draft(
        f"swept/{direction}-{name}",
        f"{count} jumps {direction} over a number of instructions, with {len(PAIRS)} pairs of operands each",
        covering(rows, *direction_of(forward)),
        {str(n): {"n": str(n)} for n in _FILLERS[name]},
        asm,
        observe=_KEPT,
        memory=_MEMORY,
    )


# Calls

#: Slots that calls lead over. Of two of them that differ by one, the functions are two slots apart.
_CALLED = {
    True: (3071, 3070, 2048, 2047, 1024, 1023, 512, 511, 256, 255, 128, 127, 32, 31, 16, 15),
    False: (16, 17, 32, 33, 128, 129, 256, 257, 512, 513, 1024, 1025, 2048, 2049, 3071, 3072),
}
_FAR_CALLED = {
    True: (32768, 32767, 16384, 16383, 8192, 8191, 4096, 4095),
    False: (4096, 4097, 8192, 8193, 16384, 16385, 32768, 32769),
}
_BETWEEN_CALLS = 3


def _called(name: str, forward: bool, distances: Sequence[int]) -> Draft:
    """A function that calls each of the others, which return their own numbers; forward, it is the main program.

    Each function is as long as it has to be for the next one to begin where it should.
    """
    calls = "".join(f"call local over{distance}\nr7 <<= {_BETWEEN_CALLS}\nr7 += r0\n" for distance in distances)
    calls = f"r7 = 0\n{calls}r0 = r7\n"
    kept = "".join(f"r{n} = {VALUES[n]:#x} ll\n" for n in (6, 8, 9))
    sign = 1 if forward else -1
    # Relative to the first call.
    starts = {3 * place + 1 + sign * distance: distance for place, distance in enumerate(distances)}
    first, *following = sorted(starts)
    ends = [*following, following[-1] + 2 if forward else -1]
    functions = "".join(
        f"over{starts[start]}:\nr0 = {number}\n{repeated('r0 += 1', end - start - 2)}exit\n"
        for number, (start, end) in enumerate(zip([first, *following], ends, strict=True), 1)
    )
    if forward:
        # R0, the fillers, r7 and EXIT are between the last call and the first function.
        rest = repeated("r6 += 1", first - 3 * len(distances) - 3)
        asm = f"{kept}{calls}{rest}r7 = 0\nexit\n{functions}"
    else:
        asm = f"{kept}call local caller\nexit\n{functions}caller:\n{calls}exit\n"
    direction = "forward" if forward else "backward"
    found = ("rfc9669-4.3.2-call-distance", "rfc9669-4.3.2-call-local", "rfc9669-4.3.2-exit-returns-to-caller")
    return Draft(
        f"called/{direction}-{name}",
        f"{len(distances)} functions, {direction} over {min(distances)} to {max(distances)} slots",
        found if forward else (*found, "rfc9669-4.3.2-call-backward"),
        asm=asm,
        observe=("r0", "r6", "r8", "r9"),
        errata=("program-size",) if name == "long" else (),
    )


# Chains

_BLOCKS = 40
_LEAPS = {"conditions": "if r3 s> r4 goto", "always": "if r3 s> r4 goto +1\ngoto"}
_SEEDS = 3
#: On x86-64, 5 to 8 blocks with one or two instructions of three or four bytes are 120 to 136 bytes long, or not.
_APART = (5, 6, 7, 8)
_BLOCK_FILLERS = {"short": "w1 += 100", "long": "r1 += 100"}


def _chained(name: str, apart: int, forward: bool) -> Draft:
    """Blocks that each end with a jump over some of the next ones, which is taken in about half of the cases.

    What a jump leads over holds other jumps, with lengths that depend on what they lead over.
    """
    count, blocks = _BLOCKS + apart, []
    for place in range(count):
        block = f"block{place}:\nr3 += r5\nr0 += {2 * place + 1}\n"
        block += f"{_LEAPS[name]} block{place + apart}\n" if place < _BLOCKS else ""
        block += ".rept {n}\n{filler}\n.endr\n"
        blocks.append(block if forward or place + 1 == count else f"{block}goto block{place + 1}\n")
    begin = f"{_start((0, 1))}r5 = 0x9e3779b97f4a7c15 ll\ngoto again\n"
    begin += f"end:\n{_ROTATE}r9 += 16\nr8 += 1\nif w8 != {_SEEDS} goto again\n{_END}again:\n{_LOAD}"
    blocks[-1] += "goto end\n"
    asm = begin + "".join(blocks if forward else [*("goto block0\n",), *reversed(blocks)])
    direction = "forward" if forward else "backward"
    return Draft(
        f"chained/{direction}-{name}-over-{apart}",
        f"{_BLOCKS} jumps {direction}, each over {apart - 1} blocks with others in them",
        covering([_row("s>", 64, True)], *direction_of(forward), "rfc9669-4.3-ja"),
        {f"{n}-{kind}": {"n": str(n), "filler": text} for n in (1, 2) for kind, text in _BLOCK_FILLERS.items()},
        asm,
        observe=_KEPT,
        memory=_MEMORY,
    )


# Jumps to themselves


def _to_themselves() -> Draft:
    """Each condition with all pairs for which it does not hold, but might in place of another one."""
    rows, asm = jumps.known_conditions(), "r0 = 0\n"
    for row in rows:
        for dst, src in PAIRS:
            operands = f"r3 = {dst:#x} ll\nr4 = {src:#x} ll\n"
            if not _holds(row, operands):
                asm += f"{operands}{jump(row, '-1')}\nr0 += 1\n"
    found = covering(rows, *direction_of(False), "rfc9669-4.3-fall-through")
    what = "conditions that do not hold, of jumps to themselves; r0 counts them"
    return Draft("to-themselves/not-taken", what, found, asm=f"{asm}exit\n", errata=("jump-to-itself",))


def _holds(row: Instruction, operands: str) -> bool:
    outcome = execute(assemble(f"r0 = 1\n{operands}{jump(row, '+1')}\nr0 = 0\nexit"))
    return isinstance(outcome, Returned) and outcome.r0 == 1
