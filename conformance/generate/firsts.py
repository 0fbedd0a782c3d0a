# SPDX-License-Identifier: Apache-2.0
"""Every instruction as the first one of a program, on numbers: control comes back to it.

Runtimes treat the first instruction in another way: what they put before it must not run again, and nothing is known of
the registers there. At first, R1 is an address and R2 the length of the memory; only later results are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...spec.facts import DIVISIONS, SHIFTS, Kind, facts
from ...spec.table import Instruction
from .acts import OTHER, Roles, act, rows_of_kinds
from .covers import covering
from .draft import Draft, line, slug
from .situations import mix

#: Numbers for R2 and R1: those for R1 are four, and no addresses. They tell what :data:`.acts.PAIRS` tell.
_OTHER = OTHER & (1 << 64) - 1
_SECOND, _THIRD, _FOURTH = 0x0000000180000021, 0x0000000100000000, 1
_PAIRS = (
    *((number, _OTHER) for number in (_OTHER, 1, _OTHER - 1, _OTHER + 1, 0x8000000000000001, 0x5A5A5A5AFFFFFFFE)),
    *((number, _SECOND) for number in (0xF1E2D3C4B2345678, 0x8000000000000021, 0x0000000080000020, 0xFFFFFFFF80000021)),
    *((number, _SECOND) for number in (1 << 63, 0xFFFFFFFF00000042, 0x7EDCBA9800000021)),
    (0xFEDCBA98A6543210, _THIRD),
    *((number, _FOURTH) for number in (0xFEDCBA98A6543210, 0x0000000080000000)),
)
#: In memory, the pairs are behind the place that instructions access. At first there are these bytes.
_PLACE = "41*8"
_LENGTH = 8 + 16 * len(_PAIRS)
_START = f"r9 = r1\nr9 += 8\nr8 = {len(_PAIRS)}\nr7 = 0\nr6 = r1\n"
_LOAD = "r2 = *(u64 *)(r9 + 0)\nr2 = be64 r2\nr3 = *(u64 *)(r9 + 8)\nr3 = be64 r3\nr9 += 16\n"
_NEXT = f"next:\nif r8 == 0 goto done\nr8 += -1\n{_LOAD}"
_END = "done:\nr0 = r7\nexit\n"


def drafts() -> Iterator[Draft]:
    """Yield the vectors of instructions on numbers, and of those that access memory."""
    rows = rows_of_kinds(Kind.ALU, Kind.SWAP, Kind.CONSTANT, Kind.CONDITION)
    with_two = [row for row in rows if {"dst", "src"} <= set(row.operands)]
    yield _draft("two-operands", with_two, _numbers(True))
    yield _draft("one-operand", [row for row in rows if row not in with_two], _numbers(False))
    accessing = rows_of_kinds(Kind.LOAD, Kind.STORE, Kind.ATOMIC)
    # R0 is not set at the beginning.
    yield _draft("memory", [row for row in accessing if "r0" not in row.reads], _memory())


def _numbers(two: bool) -> str:
    """What is added to R2 shows whether a condition did not hold.

    Verifiers know that an address is not 0; with other numbers than this in R1, they refuse the programs.
    """
    back = "if r1 == 0 goto back\n"
    if two:
        back = "".join(f"r0 = {number:#x} ll\nif r1 == r0 goto back\n" for number in (_OTHER, _SECOND, _THIRD, _FOURTH))
    return (
        f"begin:\n{{act}}\nr2 += 13735\non:\n{back}{_START}goto next\n"
        f"back:\n{mix(Roles(dst='2'), '7')}{_NEXT}r1 = {'r3' if two else '0'}\ngoto begin\n{_END}"
    )


def _memory() -> str:
    return (
        f"begin:\n{{act}}\nr3 = {{first}} ll\nif r2 != r3 goto back\n{_START}goto next\n"
        f"back:\nr0 {{seen}}\n{mix(Roles(dst='0'), '7')}{mix(Roles(dst='2'), '7')}{_NEXT}"
        f"r0 = r2\nr3 ^= 0x43218765\n*(u64 *)(r1 + 0) = r3\ngoto begin\n{_END}"
    )


def _draft(name: str, rows: Sequence[Instruction], asm: str) -> Draft:
    cases = {f"{slug(row)}{f'-{imm}' if imm else ''}": _case(row, imm) for row in rows for imm in _immediates(row)}
    return Draft(
        f"firsts/{name}",
        f"the first instruction of a program, to which control comes back with {len(_PAIRS)} pairs of numbers",
        covering(rows, "rfc9669-4.3-backward"),
        {name: {hole: text for hole, text in case.items() if f"{{{hole}}}" in asm} for name, case in cases.items()},
        asm,
        memory=f"{_PLACE} " + " ".join(number.to_bytes(8, "big").hex() for pair in _PAIRS for number in pair),
        errata=("program-entry",),
    )


def _immediates(row: Instruction) -> tuple[str, ...]:
    """Return a second immediate as well, as one does not show all faults."""
    if "imm" not in row.operands or row.wide or facts(row).kind is Kind.STORE:
        return ("",)
    operation = str(facts(row).operation)
    if operation in DIVISIONS:
        return "", "-7" if "%" in operation else "1"
    return "", "0" if operation in SHIFTS else "33"


def _case(row: Instruction, imm: str) -> dict[str, str]:
    """Return the instruction, what R2 holds after it for the first time, and what sets R0, if that does not."""
    about = facts(row)
    is_load, fetches = about.kind is Kind.LOAD, about.kind is Kind.ATOMIC and bool(row.writes)
    part = act(row, "", Roles(dst="0" if is_load else "2", src="1", pair="1", second=0, base="1"))
    assert part is not None
    text = line(row, dst="2", src="1", imm=imm, offset="on") if imm else part.text
    return {
        "act": text.rstrip(),
        "first": "0x" + "41" * (about.width // 8) if fetches else str(_LENGTH),
        "seen": "+= 0" if is_load else "= *(u64 *)(r1 + 0)",
    }
