# SPDX-License-Identifier: Apache-2.0
"""Kinds of instructions, as code generators treat them alike, and the registers that an instruction uses."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from ...spec.encoding import Decoded
from ...spec.facts import DIVISIONS, SHIFTS, Kind, facts
from ...spec.table import Instruction, isa

_PLAIN: Final = {
    Kind.SWAP: "byte swap",
    Kind.CONSTANT: "64-bit constant",
    Kind.ADDRESS: "address",
    Kind.PACKET: "packet access",
    Kind.JUMP: "unconditional jump",
    Kind.HELPER: "helper call",
    Kind.CALL: "local call",
    Kind.EXIT: "exit",
}
#: The registers of arguments, which a called function may change (errata calling-convention).
ARGUMENTS: Final = frozenset(range(1, 6))
_RESULT: Final = 0


@lru_cache(maxsize=4096)
def kind_of(row: Instruction) -> str:
    """Return the kind of ``row``: ``shift32``, ``condition64``, ``fetching atomic``."""
    about = facts(row)
    match about.kind:
        case Kind.ALU:
            return _computation(about.operation or "") + str(about.width)
        case Kind.CONDITION:
            return f"condition{about.width}"
        case Kind.LOAD:
            return "sign-extending load" if about.extends else "load"
        case Kind.STORE:
            return "store" if "src" in row.reads else "store of an immediate"
        case Kind.ATOMIC:
            return "fetching atomic" if row.writes else "atomic"
        case kind:
            return _PLAIN[kind]


def _computation(operation: str) -> str:
    if operation in SHIFTS:
        return "shift"
    if operation in DIVISIONS:
        return "division"
    return {"move": "move", "extend": "sign extension", "*": "multiplication"}.get(operation, "arithmetic")


#: Where an operand comes from, by what sets it.
ORIGINS: Final = ("constant", "copied", "loaded", "computed", "returned")


def origin_of(row: Instruction) -> str:
    """Return which of :data:`ORIGINS` an operand has that an instruction of ``row`` sets."""
    about = facts(row)
    match about.kind:
        case Kind.ALU if about.operation == "move":
            return "copied" if "src" in row.operands else "constant"
        case Kind.CONSTANT:
            return "constant"
        case Kind.LOAD:
            return "loaded"
        case Kind.HELPER | Kind.CALL:
            return "returned"
    return "computed"


#: Instructions for which code generators need certain registers of the host, or save registers.
DEMANDING: Final = ("division", "call", "atomic")


def demanding(row: Instruction) -> str | None:
    """Return which of :data:`DEMANDING` an instruction of ``row`` is, if any."""
    about = facts(row)
    if about.operation in DIVISIONS:
        return "division"
    if about.kind in (Kind.HELPER, Kind.CALL):
        return "call"
    return "atomic" if about.kind is Kind.ATOMIC else None


#: All kinds, in the order of the table.
KINDS: Final = tuple(dict.fromkeys(kind_of(row) for row in isa().instructions))


class Uses(NamedTuple):
    """The numbers of the registers that an instruction reads and writes, calls included."""

    reads: frozenset[int]
    writes: frozenset[int]


@lru_cache(maxsize=1 << 15)
def uses(item: Decoded) -> Uses:
    """Return the registers that ``item`` uses. A call reads its arguments and writes what is not preserved."""
    row = item.instruction
    reads = {item.register(name) for name in ("dst", "src", "r0") if name in row.reads}
    writes = {item.register(name) for name in ("dst", "src", "r0") if name in row.writes}
    kind = facts(row).kind
    if kind in (Kind.HELPER, Kind.CALL):
        return Uses(frozenset(reads | ARGUMENTS), frozenset({_RESULT, *ARGUMENTS}))
    if kind is Kind.EXIT:
        return Uses(frozenset({_RESULT}), frozenset())
    return Uses(frozenset(reads), frozenset(writes))
