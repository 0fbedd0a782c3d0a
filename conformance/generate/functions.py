# SPDX-License-Identifier: Apache-2.0
"""Every instruction behind calls of functions, at the beginning and at the end of functions, deep in calls, and often.

Calls change registers that code generators know the values of, and a code generator may compile again what is executed
often. Operands and results are as in :mod:`.situations`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ...spec.facts import Kind, facts
from ...spec.table import Instruction
from .acts import PAIRS, Roles
from .draft import Draft
from .situations import FIRST_PAIR, START, following, load, mix, part_of, result, together, wide_draft

#: An operand is what the function returned, or the other one is; r7 is preserved.
_RETURNED = (Roles(dst="0", src="7"), Roles(dst="7", src="0"))
#: CMPXCHG needs r0 as well.
_EXCHANGED = Roles(dst="7", src="2")
#: Two functions, so that an EXIT is executed just after a call.
_SAME = "outer:\ncall local same\nexit\nsame:\nr0 = r1\nexit\n"
_PLAIN = Roles()


def drafts() -> Iterator[Draft]:
    """Yield the vectors of returns, of functions, of deep calls, and of many executions."""
    groups = [rows for rows in together() if facts(rows[0]).kind is not Kind.CALL]
    for rows in groups:
        yield _returned(rows)
        yield _helped(rows)
        yield _ends(rows)
        yield _deep(rows)
        conditions = [row for row in rows if facts(row).kind is Kind.CONDITION]
        yield _often([row for row in rows if row not in conditions])
        if conditions:
            yield _often(conditions)


def _exchanges(row: Instruction) -> bool:
    return facts(row).operation == "compare-exchange"


# Behind calls


def _returned(rows: Sequence[Instruction]) -> Draft:
    parts = ""
    for place, row in enumerate(rows):
        for name, roles in zip("ab", (_EXCHANGED,) * 2 if _exchanges(row) else _RETURNED, strict=True):
            part = part_of(row, f"{place}{name}", roles)
            parts += f"{load(roles)}{part.before}r1 = r0\ncall local outer\n{part.text}{part.after}"
            parts += f"r5 = {result(place)}\n{mix(roles, '5')}{result(place)} = r5\n"
    asm = f"{START}{FIRST_PAIR}again:\n{parts}{following()}"
    what = f"{len(rows)} instructions, each just after a call, on what it returned"
    return wide_draft("returned", rows, asm, what, len(rows), functions=_SAME)


_KEY = "*(u32 *)(r10 - 4) = 0\n"
_CALL = "r1 = map_by_fd(0)\nr2 = r10\nr2 += -4\ncall 3\n"


def _helped(rows: Sequence[Instruction]) -> Draft:
    """The helper function returns an error, a negative number, and r7 and r8 are preserved."""
    parts = ""
    across, returned = Roles(dst="7", src="8"), Roles(dst="0", src="8")
    for place, row in enumerate(rows):
        for name, roles in (("a", across), ("b", returned)):
            if roles is returned and ("dst" not in row.reads or facts(row).kind not in _ON_REGISTERS):
                continue
            part = part_of(row, f"{place}{name}", roles)
            parts += f"{load(roles)}{part.before}{_CALL}{part.text}{part.after}"
            parts += f"r5 = {result(place)}\n{mix(roles, '5')}{result(place)} = r5\n"
    # All other registers that are preserved are in use: the turns are counted on the stack.
    count = f"r5 = *(u64 *)(r10 - 16)\nr5 += 1\n*(u64 *)(r10 - 16) = r5\nr9 += 16\nif r5 != {len(PAIRS)} goto again\n"
    asm = f"{START}{FIRST_PAIR}{_KEY}*(u64 *)(r10 - 16) = 0\nagain:\n{parts}{count}"
    draft = wide_draft(
        "helped", rows, asm, f"{len(rows)} instructions, each just after a call of a helper function", len(rows)
    )
    return replace(
        draft,
        covers=(*draft.covers, "rfc9669-4.3.1-static-id"),
        maps=("00*8",),
        extension="linux-map-helpers",
        errata=("stack-and-call-depth",),
    )


_ON_REGISTERS = (Kind.ALU, Kind.SWAP, Kind.CONDITION)


# At the ends of functions


def _ends(rows: Sequence[Instruction]) -> Draft:
    """Each instruction is the first one of a function, and the last one before its EXIT; another function follows."""
    parts, functions = "", ""
    first, last = Roles(dst="1", src="2", pair="4", base="3"), Roles(dst="0", src="2", pair="4", base="3")
    for place, row in enumerate(rows):
        one, other = part_of(row, f"{place}a", first), part_of(row, f"{place}b", first if _exchanges(row) else last)
        # What r0 holds at the beginning of a function is not specified.
        outside, inside = ("", one.before) if _exchanges(row) else (one.before, "")
        parts += (
            f"{load(Roles('1', '2'))}r3 = r6\nr4 = r9\n{outside}call local function{place}\n"
            f"r5 = {result(place)}\nr5 += r0\nr0 = *(u64 *)(r6 + 0)\n{mix(Roles('0'), '5')}{result(place)} = r5\n"
        )
        functions += f"function{place}:\n{inside}{one.text}{one.after}r0 = r1\n"
        match facts(row).kind:
            case Kind.CONDITION:
                functions += f"goto test{place}\non{place}b:\nr0 += 77\nexit\ntest{place}:\n{other.text}exit\n"
            case Kind.JUMP:
                # The last instruction of the function leads back.
                functions += f"goto test{place}\non{place}b:\nr0 += 77\nexit\ntest{place}:\n{other.text}"
            case _:
                functions += f"{other.text}exit\n"
    asm = f"{START}{FIRST_PAIR}again:\n{parts}{following()}"
    what = f"{len(rows)} instructions, each the first and the last of a function"
    return wide_draft("functions", rows, asm, what, len(rows), functions=functions)


# Deep in calls

_DEEPEST = 8


def _deep(rows: Sequence[Instruction]) -> Draft:
    """A function that each of the frames calls, from the second to the eighth, and that returns the last result."""
    parts = ""
    for place, row in enumerate(rows):
        part = part_of(row, str(place), _PLAIN)
        parts += f"{load(_PLAIN)}{part.before}{part.text}{part.after}r7 = {result(place)}\n"
        parts += f"{mix(_PLAIN, '7')}{result(place)} = r7\n"
    work = f"work:\nr6 = r1\n{FIRST_PAIR}again:\n{parts}{following()}r0 = r7\nexit\n"
    asm = f"{START}r1 = r6\ncall local work\nr7 = r0\nr1 = r6\ncall local frame2\nr0 += r7\n{result(len(rows))} = r0\n"
    frames = ""
    for depth in range(2, _DEEPEST):
        frames += f"frame{depth}:\nr6 = r1\ncall local work\n"
        if depth < _DEEPEST - 1:
            frames += f"r7 = r0\nr1 = r6\ncall local frame{depth + 1}\nr0 += r7\n"
        frames += "exit\n"
    return wide_draft(
        "frames",
        rows,
        asm,
        f"{len(rows)} instructions in the second to the eighth frame",
        len(rows) + 1,
        functions=frames + work,
        errata=("calling-convention", "stack-and-call-depth"),
    )


# Many executions

_ROUNDS = 101
_TABLE = 16 * len(PAIRS)
#: The pairs on the stack: there, verifiers know numbers, and do not follow both ways of a condition a thousand times.
_ON_STACK = (
    "".join(
        f"r3 = {number:#x} ll\n*(u64 *)(r10 - {_TABLE - 8 * place}) = r3\n"
        for place, number in enumerate(number for pair in PAIRS for number in pair)
    )
    + "r6 = r1\n"
)
_FIRST_ON_STACK = f"r9 = r10\nr9 += -{_TABLE}\nr8 = 0\n"


def _often(rows: Sequence[Instruction]) -> Draft:
    """Each pair again and again, more than a thousand times in all. The results of a turn are added up in r7."""
    parts = "".join(_briefly(row, place) for place, row in enumerate(rows))
    known = facts(rows[0]).kind is Kind.CONDITION
    start, first = (_ON_STACK, _FIRST_ON_STACK) if known else (START, FIRST_PAIR)
    asm = f"{start}r7 = 0\nr2 = 0\nround:\n{first}again:\nr4 = *(u64 *)(r9 + 0)\nr5 = *(u64 *)(r9 + 8)\n{parts}"
    asm += f"r7 = be64 r7\n{following()}r2 += 1\nif r2 != {_ROUNDS} goto round\n{result(0)} = r7\n"
    errata = ("stack-and-call-depth",) if known else ()
    what = f"{len(rows)} instructions, each {len(PAIRS) * _ROUNDS} times"
    return wide_draft("thousand", rows, asm, what, 1, errata=errata)


def _briefly(row: Instruction, place: int) -> str:
    """Assembly with as few other instructions as can be."""
    kind = facts(row).kind
    roles = Roles(dst="4", src="5") if kind is Kind.CONDITION else Roles(src="5")
    part = part_of(row, str(place), roles)
    match kind:
        case Kind.CONDITION:
            return f"{part.text}r7 += {place * 7919 % 32749 + 1}\non{place}:\n"
        case Kind.JUMP:
            return f"r3 = r4\n{part.before}{part.text}{part.after}r7 += r3\n"
        case Kind.LOAD | Kind.CONSTANT:
            return f"{part.text}r7 += r3\n"
        case Kind.ATOMIC:
            # R5 is the source of the next ones.
            return f"r3 = r4\n{part.before}{part.text}{part.after}r7 += r3\nr5 = *(u64 *)(r9 + 8)\n"
        case _:
            return f"r3 = r4\n{part.before}{part.text}{part.after}r7 += r3\n"
