# SPDX-License-Identifier: Apache-2.0
"""Contexts, which ones there are, and which ones an instruction can be in."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Final, NamedTuple

from ...spec.control import control_of
from ...spec.errors import InputError
from ...spec.facts import Kind, facts
from ...spec.table import FIELD_RANGES, Instruction, Operand, isa
from .features import FEATURES, is_number_of
from .fields import labels, numbers
from .kinds import kind_of
from .moments import MOMENTS, access
from .points import Point

#: The slots of the longest program; distances are shorter.
_MOST_SLOTS: Final = 1 << 16
_CALLS: Final = (Kind.HELPER, Kind.CALL)
#: The width of registers in bits.
WORD: Final = 64
#: Kinds that read registers which their meaning does not name.
_ALSO_READING: Final = (*_CALLS, Kind.EXIT)


class Context(NamedTuple):
    """A value of a feature of program points, or of executions."""

    feature: str
    value: str

    def __str__(self) -> str:
        return f"{self.feature}: {self.value}"

    @property
    def is_dynamic(self) -> bool:
        """Whether only an execution shows it."""
        return self.feature in MOMENTS


@cache
def all_contexts() -> tuple[Context, ...]:
    """Return all contexts, by feature."""
    values = {name: feature.values for name, feature in FEATURES.items()}
    values |= {name: feature.values for name, feature in MOMENTS.items()}
    return tuple(Context(name, value) for name, some in values.items() for value in some)


def context(text: str) -> Context:
    """Return the context that is written ``feature: value``.

    Raises:
        InputError: there is none.
    """
    name, _, value = text.partition(": ")
    found = Context(name, value)
    if found not in all_contexts():
        raise InputError(f"there is no context {text!r}; reference_vm/contexts/features.py and moments.py have all")
    return found


def held(point: Point) -> frozenset[Context]:
    """Return the contexts that the instruction at ``point`` is in, as far as the program tells."""
    return frozenset(Context(name, value) for name, feature in FEATURES.items() for value in feature.of(point))


@lru_cache(maxsize=1 << 16)
def is_possible(row: Instruction, where: Context) -> bool:
    """Whether an instruction of ``row`` can be in the context, so that a program shows what it does there."""
    about, value = facts(row), where.value
    writes, reads = bool(row.writes) or about.kind in _CALLS, bool(row.reads & {"dst", "src", "r0"})
    match where.feature:
        case "before" | "after" | "second after":
            return value not in _of_packets()
        case "used by":
            usable = value in _reading() and (value not in _addressing() or _makes_address(row))
            return writes and control_of(row).continues and usable
        case "fed by":
            feeds = value in _writing() and (_feeds_numbers(row) or value in _making_addresses())
            # An address is no number that a vector can expect.
            takes = value != "address" or access(row) is not None or about.kind in _CALLS
            return (reads or about.kind in _ALSO_READING) and feeds and takes
        case "imm" | "offset" | "distance" as name:
            return value in _possible_numbers(row, name)
        case "slot" if value == "0":
            # What they read is not set at the start of a program.
            return about.kind not in (Kind.EXIT, Kind.PACKET, Kind.HELPER) and "r0" not in row.reads
        case "dst" | "src" as name:
            return isinstance(row.fields[name], Operand) and (value != "r10" or name not in row.writes | _context(row))
        case "registers":
            return {"dst", "src"} <= set(row.operands)
        case "first operand" | "second operand" as name:
            register = "dst" if name == "first operand" else "src"
            found = access(row)
            # Addresses are not known when a program is written.
            is_base = found is not None and found.base == register
            return register in row.reads and register in row.operands and not (is_base and value == "constant")
        case "operand across":
            # Calls change the registers of arguments and of the result.
            survives = value != "call" or bool({"dst", "src"} & row.reads)
            return survives and (reads or about.kind in _ALSO_READING)
        case "result across":
            return writes and (value != "call" or bool({"dst", "src"} & row.writes))
        case "memory":
            found = access(row)
            crossing = value.startswith("crosses")
            return found is not None and not (crossing and (found.size == 1 or about.locked))
    return True


def _makes_address(row: Instruction) -> bool:
    """Whether the result of ``row`` may be an address."""
    about = facts(row)
    computed = about.operation in ("+", "-") or (about.operation == "move" and "src" in row.operands)
    return about.width == WORD and (
        about.kind in (Kind.ADDRESS, Kind.LOAD, *_CALLS) or (about.kind is Kind.ALU and computed)
    )


@cache
def _addressing() -> frozenset[str]:
    """Return the kinds that read an address only."""
    return frozenset(kind_of(row) for row in isa().instructions if access(row) and not _feeds_numbers(row))


@cache
def _making_addresses() -> frozenset[str]:
    """Return the kinds that may give an address. Verifiers refuse other computations with addresses."""
    return frozenset(kind_of(row) for row in isa().instructions if _makes_address(row))


def _feeds_numbers(row: Instruction) -> bool:
    """Whether ``row`` has a register operand that is no address."""
    found = access(row)
    return found is None or bool((row.reads & {"dst", "src", "r0"}) - {found.base})


def _context(row: Instruction) -> frozenset[str]:
    return frozenset(["src"]) if facts(row).kind is Kind.PACKET else frozenset()


@cache
def _of_packets() -> frozenset[str]:
    """Return the kinds that only some platforms have (section 5.5)."""
    return frozenset(kind_of(row) for row in isa().instructions if facts(row).kind is Kind.PACKET)


@cache
def _reading() -> frozenset[str]:
    """Return the kinds that read a register."""
    return frozenset(
        kind_of(row)
        for row in isa().instructions
        if facts(row).kind is not Kind.PACKET and (row.reads & {"dst", "src", "r0"} or facts(row).kind in _ALSO_READING)
    )


@cache
def _writing() -> frozenset[str]:
    """Return the kinds that write a register and continue."""
    return frozenset(
        kind_of(row)
        for row in isa().instructions
        if facts(row).kind is not Kind.PACKET and (row.writes or facts(row).kind in _CALLS)
    )


@lru_cache(maxsize=1024)
def _possible_numbers(row: Instruction, name: str) -> frozenset[str]:
    if name == "distance":
        field = next((one.field for one in control_of(row).references if one.kind != "code address"), None)
        if field is None:
            return frozenset()
        low, high = FIELD_RANGES[field]
        # What always jumps or calls itself does not end.
        never = set() if facts(row).kind is Kind.CONDITION else {-1}
        found = numbers(max(low, 2 - _MOST_SLOTS), min(high, _MOST_SLOTS - 2)) - never
        return frozenset().union(*map(labels, found))
    if not is_number_of(row, name):
        return frozenset()
    return frozenset().union(*map(labels, numbers(*FIELD_RANGES[name])))
