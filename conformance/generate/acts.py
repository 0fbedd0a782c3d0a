# SPDX-License-Identifier: Apache-2.0
"""Every instruction with operands that tell it from similar ones, as a part of programs.

A part is put where code generators may go wrong: at the head of a loop, at a far place, behind a call. Its result is in
one register.
"""

from __future__ import annotations

from typing import NamedTuple

from ...spec.facts import DIVISIONS, SHIFTS, Kind, facts
from ...spec.table import Instruction, isa
from .draft import line

#: The immediate of conditions.
OTHER = -2
_OTHER = OTHER & (1 << 64) - 1
#: Pairs of numbers (dst, src) that tell each condition from all others: signed from unsigned ones, those of 64 bits
#: from those of 32, and those with :data:`OTHER` as src. A sum carries into the upper half, the lower half of a divisor
#: is 0.
PAIRS: tuple[tuple[int, int], ...] = (
    (_OTHER, _OTHER),
    (0x5A5A5A5AFFFFFFFE, _OTHER),
    (1, _OTHER),
    (_OTHER + 1, _OTHER),
    (_OTHER - 1, _OTHER),
    (0x8000000000000001, _OTHER),
    (0x00000001FFFFFF80, 0xFFFFFFFF7FFFFFFE),
    (0x00000000FFFFFFFF, 0x0000000000000001),
    (0xFEDCBA9876543210, 0x0000000100000000),
    (0xF1E2D3C412345678, 0x8877665544332223),
)
#: The eight-byte place that stores and atomic operations act on, relative to the base register.
SCRATCH = 0
#: What a part adds to its result where a jump was not taken.
_MISSED = 0x35A7
_IMMEDIATE = -1193046


class Roles(NamedTuple):
    """The numbers of the registers of a part.

    ``dst`` and ``src`` hold a pair of numbers. ``pair`` is the address of memory that has the second one at the offset
    ``second``, and ``base`` another address, with :data:`SCRATCH` at it. With ``bits`` of 32, parts use instructions of
    the group base32 besides their own.
    """

    dst: str = "3"
    src: str = "4"
    pair: str = "9"
    second: int = 8
    base: str = "6"
    bits: int = 64


class Act(NamedTuple):
    """One instruction as a part: assembly ``before`` it, its ``text``, and ``after`` it, for its result in dst.

    What is before needs the pair in dst and src.
    """

    row: Instruction
    before: str
    text: str
    after: str


def act(row: Instruction, label: str, roles: Roles) -> Act | None:
    """Return ``row`` as a part; None if it is none of a plain program. ``label`` is for its labels.

    A call is of the function :data:`GIVE`, and r1 its argument. CMPXCHG uses r0 as well.
    """
    r = "r" if roles.bits == 64 else "w"
    d, s, place = f"{r}{roles.dst}", f"{r}{roles.src}", f"*(u{roles.bits} *)(r{roles.base} + {SCRATCH})"
    store, fetch = f"{place} = r{roles.src}\n", f"r{{}} = {place}\n"
    before, after = "", ""
    fields = {"dst": roles.dst, "src": roles.src, "imm": str(_immediate(row))}
    match facts(row).kind:
        case Kind.ALU | Kind.SWAP:
            pass
        case Kind.CONSTANT:
            fields["imm64"] = "0x89abcdef01234567"
        case Kind.LOAD:
            fields |= {"src": roles.pair, "offset": str(roles.second)}
        case Kind.STORE:
            fields |= {"dst": roles.base, "src": roles.dst, "offset": str(SCRATCH)}
            before, after = store, fetch.format(roles.dst)
        case Kind.ATOMIC:
            fields |= {"dst": roles.base, "src": roles.dst, "offset": str(SCRATCH)}
            before, after = store, f"{fetch.format(roles.src)}{d} -= {s}\n"
            if facts(row).operation == "compare-exchange":
                # Some numbers match, and another one is stored. The operand afterwards is not specified.
                before += f"{r}0 = {d}\n{d} ^= 0x5a5a5a5a\n"
                after = f"{fetch.format(roles.src)}{d} = {s}\n{d} -= {r}0\n"
        case Kind.CONDITION:
            fields |= {"imm": str(OTHER), "offset": f"on{label}"}
            after = f"{d} ^= {_MISSED}\non{label}:\n"
        case Kind.JUMP:
            fields |= {"imm": f"on{label}", "offset": f"on{label}"}
            # No pair has this number, but no verifier knows: what the jump leads past is reachable.
            before, after = f"if {s} == 77 goto mid{label}\n", f"mid{label}:\n{d} ^= {_MISSED}\non{label}:\n"
        case Kind.CALL:
            fields["imm"] = "give"
            before, after = f"{r}1 = {d}\n", f"{d} = {r}0\n"
        case _:
            return None
    return Act(row, before, f"{line(row, **fields)}\n", after)


#: The function that parts call.
GIVE = "give:\nr0 = r1\nr0 ^= 0x12345678\nexit\n"


def _immediate(row: Instruction) -> int:
    operation, width = str(facts(row).operation), facts(row).width
    if operation in SHIFTS:
        return 43 if width == 64 else 13
    if operation in DIVISIONS:
        return -7 if operation.startswith("s") else 29
    return _IMMEDIATE


def pair_bytes(bits: int = 64) -> str:
    """Return the bytes of :data:`PAIRS`, as big-endian numbers of ``bits`` bits."""
    numbers = (number & (1 << bits) - 1 for pair in PAIRS for number in pair)
    return "".join(number.to_bytes(bits // 8, "big").hex() for number in numbers)


def rows_of_kinds(*kinds: Kind) -> list[Instruction]:
    """Return the rows of these kinds."""
    return [row for row in isa().instructions if facts(row).kind in kinds]
