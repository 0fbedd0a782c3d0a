# SPDX-License-Identifier: Apache-2.0
"""Every instruction in loops, functions and deep frames, among constant operands; jumps with far targets.

Facts about registers at compile time are invalid after an instruction that changes them, and where paths join. Hot code
may be compiled again, functions have frames, and far jumps have another encoding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ...spec.facts import Kind, facts
from ...spec.table import Instruction, isa
from . import jumps
from .covers import covering
from .draft import Draft, line, slug

_PATTERN = "01 82 03 84 85 06 87 08 f9 fa fb fc 7d fe 7f f0 11 92 13 94 95 16 97 00"
_PATTERN_BYTES = 24
#: Most instructions per program.
_MOST = 16
#: The value of r3 before an instruction that is no condition, which is not its value afterwards.
_KNOWN = "-1193046"
#: Uses of r3 that show its value, and the value that a compiler assumes: arithmetic, a store, a condition.
_USE = (
    "r7 ^= r3\nr8 = r7\nr8 <<= 7\nr7 += r8\n*(u64 *)(r6 + 16) = r3\nr8 = *(u64 *)(r6 + 16)\nr7 += r8\n"
    f"if r3 == {_KNOWN} goto +1\nr7 += 3\n"
)
#: Nested calls, down to the eighth frame.
_DESCEND = "".join(f"call local frame{n}\nexit\nframe{n}:\n" for n in range(2, 9))
_TIMES = 301
#: Conditions that hold and conditions that do not, of r3 = 5 with 4 in r2, 5 in r4, 6 in r5 and 8 in r7: by operation
#: the numbers to compare with.
_HOLDS = {
    "==": (5, 6), "!=": (4, 5), "&": (5, 8), ">": (4, 5), ">=": (5, 6), "<": (6, 5), "<=": (5, 4),
    "s>": (4, 5), "s>=": (5, 6), "s<": (6, 5), "s<=": (5, 4),
}  # fmt: skip
_HOLDERS = {4: "2", 5: "4", 6: "5", 8: "7"}


def drafts() -> Iterator[Draft]:
    """Yield the vectors of loops, of functions, and of far jumps."""
    for rows in _together():
        yield _often(rows)
        yield _deep(rows)
    conditions = jumps.known_conditions()
    for name, rows in (
        ("64-bits", [row for row in conditions if facts(row).width == 64]),
        ("32-bits", [row for row in conditions if facts(row).width == 32]),
    ):
        yield _moved(name, rows)
        yield _loaded(name, rows)
    for holds in (True, False):
        yield _all_forward(conditions, holds)
        yield _all_backward(conditions, holds)


def _together() -> Iterator[Sequence[Instruction]]:
    """Yield instructions that share a program: they are in the same groups, apart from base32 and base64."""
    found: dict[tuple[str, frozenset[str]], list[Instruction]] = {}
    for row in isa().instructions:
        if _act(row):
            # Linux rejects the unreachable code after unconditional jumps.
            kind = row.name if facts(row).kind is Kind.JUMP else ""
            found.setdefault((kind, row.groups - {"base32", "base64"}), []).append(row)
    for rows in found.values():
        for first in range(0, len(rows), _MOST):
            yield rows[first : first + _MOST]


def _act(row: Instruction) -> str:
    """Assembly of ``row`` on r3, r4 and the memory at r6, with its outcome in r3 or r7; empty for other rows."""
    match facts(row).kind:
        case Kind.ALU | Kind.SWAP:
            return f"{line(row, dst='3', src='4', imm='29')}\n"
        case Kind.LOAD:
            return f"{line(row, dst='3', src='6', offset='8')}\n"
        case Kind.STORE:
            return f"{line(row, dst='6', src='3', offset='16', imm='-77')}\nr3 = *(u64 *)(r6 + 16)\n"
        case Kind.ATOMIC:
            return f"{line(row, dst='6', src='3', offset='8')}\nr3 ^= r0\n"
        case Kind.PACKET:
            return f"{line(row, src='4', imm='2')}\nr3 = r0\n"
        case Kind.CONSTANT:
            return f"{line(row, dst='3', imm64='0x89abcdef01234567')}\n"
        case Kind.JUMP:
            return f"{line(row, offset='+1', imm='+1')}\nr7 += 5\n"
        case Kind.CONDITION:
            return f"{line(row, dst='3', src='4', imm=_other(row), offset='+1')}\nr7 += 5\n"
        case _:
            return ""


def _operands(row: Instruction) -> str:
    """Assembly that sets r0, r3 and r4 to constants; a condition holds for some of the later values of r3."""
    if facts(row).kind in (Kind.CONDITION, Kind.JUMP):
        return f"r3 = 28\nr4 = {_other(row)}\nr0 = 0\n"
    return f"r3 = {_KNOWN}\nr4 = {5 if facts(row).kind is Kind.PACKET else 29}\nr0 = 7\n"


def _other(row: Instruction) -> str:
    """Return the operand to compare r3 with, which is 28 to 31 in the loop: the condition holds in some iterations."""
    return "1" if facts(row).operation == "&" else "29"


def _part(row: Instruction, place: int, before: str) -> str:
    """Assembly of one instruction, whose result is added to a double word after the pattern."""
    slot = f"*(u64 *)(r6 + {_PATTERN_BYTES + 8 * place})"
    return f"r7 = {slot}\n{_operands(row)}{before}{_act(row)}{_USE}{slot} = r7\n"


def _often(rows: Sequence[Instruction]) -> Draft:
    """A loop; an operand of conditions changes with each iteration."""
    asm = "r6 = r1\nr9 = 0\nr3 = 0\nagain:\n"
    for place, row in enumerate(rows):
        vary = "r8 = r9\nr8 &= 3\nr3 += r8\n" if facts(row).kind in (Kind.CONDITION, Kind.JUMP) else ""
        asm += _part(row, place, f"{vary}r8 = *(u8 *)(r6 + 0)\n")
    asm += f"r9 += 1\nif r9 != {_TIMES} goto again\n"
    what = f"{_TIMES} times in a loop, with operands that are the same each time, and in uses of the result"
    return _draft(rows, "loop", what, asm)


def _deep(rows: Sequence[Instruction]) -> Draft:
    """In the eighth frame, where two paths with different constants in the registers join."""
    asm = f"{_DESCEND}r6 = r1\nr9 = *(u8 *)(r6 + 23)\nr9 -= {{byte}}\n"
    for place, row in enumerate(rows):
        asm += _part(row, place, f"if r9 != 0 goto act{place}\nr3 = 30\nr4 = 2\nr0 = 3\nact{place}:\n")
    what = "in the eighth frame, at the target of a jump, with other constants in the registers on either way"
    cases = {"taken": {"byte": "85"}, "not-taken": {"byte": "0"}}
    errata = ("calling-convention", "stack-and-call-depth")
    return _draft(rows, "deep", what, asm, ("rfc9669-4.3.2-call-local",), cases, errata)


def _draft(
    rows: Sequence[Instruction],
    name: str,
    what: str,
    asm: str,
    more: tuple[str, ...] = (),
    cases: Mapping[str, Mapping[str, str]] | None = None,
    errata: tuple[str, ...] = (),
) -> Draft:
    if facts(rows[0]).kind is Kind.PACKET:
        errata = ("packet-access-undefined", *errata)
    found = covering(rows, of_each=None)
    return Draft(
        f"{name}/{slug(rows[0])}-to-{slug(rows[-1])}",
        f"{what}: a double word of memory for each of {', '.join(row.name for row in rows)}",
        (*found, *more),
        cases or {"constants": {}},
        f"{asm}r0 = 0\nr6 = 0\nexit\n",
        observe=("r0", "after"),
        memory=f"{_PATTERN} 00*{8 * len(rows)}",
        errata=errata,
    )


def _compare(row: Instruction, holds: bool, target: str) -> str:
    """A condition on r3 = 5 that holds or does not."""
    number = _HOLDS[str(facts(row).operation)][0 if holds else 1]
    return line(row, dst="3", src=_HOLDERS[number], imm=str(number), offset=target)


#: The registers that :func:`_compare` needs; a zero from memory prevents constant folding of the conditions.
_PREPARE = "r6 = *(u8 *)(r1 + 0)\nr2 = 4\nr3 = 5\nr3 += r6\nr4 = 5\nr5 = 6\nr7 = 8\nr0 = 0\n"


def _moved(name: str, rows: Sequence[Instruction]) -> Draft:
    """Distances of more than 8 bits, forward and back, each after a condition that does not hold."""
    there, back = "", ""
    for place, row in enumerate(rows):
        for holds in (False, True):
            there += f"{_compare(row, holds, f'far{place}')}\n"
        there += f"r0 = {1000 + place}\nexit\nnear{place}:\n"
        back += f"far{place}:\nr0 += 1\n"
        for holds in (False, True):
            back += f"{_compare(row, holds, f'near{place}')}\n"
        back += f"r0 = {2000 + place}\nexit\n"
    asm = f"{_PREPARE}if r6 == 7 goto filler\n{there}exit\nfiller:\n.rept 300\nr0 += 1\n.endr\nexit\n{back}"
    found = covering(rows, "rfc9669-4.3-backward", "rfc9669-3.1-offset-width")
    what = (
        f"{len(rows)} conditional jumps over 300 slots forward and back, with a condition that holds and one that does "
        "not; r0 is above 1000 if one forward went wrong, above 2000 if one back did: its place among them"
    )
    return Draft(f"beyond-8-bits/{name}", what, tuple(found), {"there-and-back": {}}, asm, memory="00")


#: Instructions between the load of an operand and the condition.
_BETWEEN = ("", "r8 = 0x8877665544332211 ll\n", "r8 += r3\n", "r8 = *(u8 *)(r6 + 5)\n", "goto +0\n")


def _loaded(name: str, rows: Sequence[Instruction]) -> Draft:
    """In a function, after instructions of other kinds, with an operand that was just loaded."""
    asm = "r6 = r1\ncall local function\nexit\nfunction:\nr6 = r1\nr8 = 0\n"
    for place, row in enumerate(rows):
        number = _other(row)
        asm += f"r4 = {number}\nr7 = 0\n"
        for bit, (start, between) in enumerate((start, between) for start in (7, 8) for between in _BETWEEN):
            jump = line(row, dst="3", src="4", imm=number, offset="+1")
            asm += f"r3 = *(u8 *)(r6 + {start})\n{between}{jump}\nr7 += {1 << bit}\n"
        asm += f"*(u16 *)(r6 + {_PATTERN_BYTES + 2 * place}) = r7\n"
    found = covering(rows, "rfc9669-4.3.2-call-local")
    return Draft(
        f"loaded/{name}",
        f"{len(rows)} conditional jumps in a function, with operands from memory: of ten bits for each, those that "
        "were not taken are set",
        tuple(found),
        asm=f"{asm}r0 = 0\nr6 = 0\nexit\n",
        observe=("after",),
        memory=f"{_PATTERN} 00*{2 * len(rows)}",
        errata=("calling-convention",),
    )


def _all_forward(rows: Sequence[Instruction], holds: bool) -> Draft:
    """Each jump leads 32767 slots forward, to one that leads 32768 slots back, after the first."""
    conditions = "".join(f"{_compare(row, holds, '+32767')}\nr0 += 1\n" for row in rows)
    between = 32768 - 2 * len(rows) - 2
    asm = (
        f"{_PREPARE}if r6 == 7 goto filler\n{conditions}exit\nfiller:\n.rept {between}\nr0 += 2\n.endr\nexit\n"
        f".rept {len(rows)}\nr0 += 256\ngoto -32768\n.endr\n"
    )
    return _far(rows, "forward", holds, asm)


def _all_backward(rows: Sequence[Instruction], holds: bool) -> Draft:
    """Each jump leads 32768 slots back, to one that leads 32767 slots forward, after the first."""
    conditions = "".join(f"{_compare(row, holds, '-32768')}\nr0 += 1\n" for row in rows)
    between = 32768 - 2 * len(rows) - 2
    asm = (
        f"{_PREPARE}if r6 == 7 goto filler\ngoto +32767\n.rept {len(rows)}\nr0 += 256\ngoto +32767\n.endr\n"
        f"filler:\n.rept {between}\nr0 += 2\n.endr\nexit\n{conditions}exit\n"
    )
    return _far(rows, "backward", holds, asm)


def _far(rows: Sequence[Instruction], direction: str, holds: bool, asm: str) -> Draft:
    name = f"far-jumps/{direction}-{'taken' if holds else 'not-taken'}"
    what = (
        f"every conditional jump, {direction} as far as can be; r0 counts jumps by 256, and by 1 where there was none"
    )
    found = covering(rows, "rfc9669-3.1-offset-width", "rfc9669-4.3-ja-range")
    return Draft(name, what, tuple(found), asm=asm, memory="00", errata=("program-size",))
