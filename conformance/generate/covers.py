# SPDX-License-Identifier: Apache-2.0
"""The requirements that vectors about a row cover.

For instructions of RFC 9669 they follow from the facts of the row. For others they are those of its requirements that
are about the fewest instructions.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from ...spec.errors import InputError
from ...spec.facts import DIVISIONS, SHIFTS, Facts, Kind, facts
from ...spec.requirements import requirements_of, rows_of
from ...spec.table import Instruction

#: Words of requirements, by operation.
_COMPUTATIONS = {
    "+": "add", "-": "sub", "*": "mul", "/": "div", "s/": "sdiv", "%": "mod", "s%": "smod", "&": "and", "|": "or",
    "^": "xor", "<<": "lsh", ">>": "rsh", "s>>": "arsh", "negate": "neg", "move": "mov", "extend": "movsx",
    "exchange": "xchg", "compare-exchange": "cmpxchg",
}  # fmt: skip
_CONDITIONS = {
    "==": "jeq", "!=": "jne", "&": "jset", ">": "jgt", ">=": "jge", "<": "jlt", "<=": "jle", "s>": "jsgt",
    "s>=": "jsge", "s<": "jslt", "s<=": "jsle",
}  # fmt: skip
#: Words for widths of memory accesses.
_SIZES = {8: "b", 16: "h", 32: "w", 64: "dw"}


class UncoveredError(InputError):
    """No requirement is about a row, so that no vector can cover it."""


def covering(rows: Iterable[Instruction], *more: str, of_each: int | None = 1) -> tuple[str, ...]:
    """Return the requirements of ``rows``, that of the operation of each (or ``of_each``, None: all), and ``more``."""
    return (*dict.fromkeys(found for row in rows for found in covers(row)[:of_each]), *more)


@cache
def covers(row: Instruction) -> tuple[str, ...]:
    """Return the requirements of ``row``, that of its operation first.

    Raises:
        UncoveredError: there are none.
    """
    found = tuple(f"rfc9669-{part}" for part in _of(row, facts(row)))
    if found and found[0] in requirements_of(row):
        return found
    numbers = {name: len(rows_of(name)) for name in requirements_of(row)}
    if not numbers:
        raise UncoveredError(f"{row.name}: no entry of requirements.yaml is about this instruction: add one")
    return tuple(name for name, number in numbers.items() if number == min(numbers.values()))


def _of(row: Instruction, what: Facts) -> list[str]:
    match what.kind:
        case Kind.ALU:
            return _arithmetic(row, what)
        case Kind.SWAP:
            return _swap(what)
        case Kind.CONDITION:
            return _condition(row, what)
        case Kind.LOAD | Kind.STORE:
            return _access(row, what)
        case Kind.ATOMIC:
            return _atomic(row, what)
        case Kind.PACKET:
            return [f"5.5-{'ind' if 'src' in row.operands else 'abs'}-{_SIZES[what.width]}"]
        case Kind.CONSTANT:
            return ["5.4-imm64", "5.4-wide"]
        case Kind.ADDRESS:
            return _address(row, what)
        case Kind.JUMP:
            return ["4.3-ja32" if what.width == 32 else "4.3-ja"]
        case _:
            return []


def _arithmetic(row: Instruction, what: Facts) -> list[str]:
    if what.operation not in _COMPUTATIONS:
        return []
    word, width, has_imm = _COMPUTATIONS[what.operation], what.width, "imm" in row.operands
    found = [word, f"alu{width}-width"]
    if width == 32:
        found.append("alu32-zero-extends")
    elif has_imm:
        found.append("alu64-imm-sign-extends")
    if what.operation in SHIFTS:
        found.append(f"shift-mask-{width}")
    elif what.operation in DIVISIONS:
        found += _division(what.operation, word, width, has_imm)
    elif what.operation in ("+", "-", "*", "negate"):
        found.append(f"wrap-{width}")
    elif what.operation == "extend":
        found.append(f"movsx{what.extends}-{width}")
        found += ["movsx-32-zero-extends"] if width == 32 else []
    elif what.operation == "move":
        found.append(f"mov-{'k' if has_imm else 'x'}-{width}")
    return [f"4.1-{part}" for part in found]


def _division(operation: str, word: str, width: int, has_imm: bool) -> list[str]:
    signed, remainder = operation.startswith("s"), operation.endswith("%")
    found = [f"mod-by-zero-{width}" if remainder else "sdiv-by-zero" if signed else "div-by-zero"]
    if signed:
        found.append(f"{word}-overflow-{width}")
        found += ["smod-truncates"] if remainder else []
    return [*found, f"{word}-imm-{width}" if has_imm else "div-zero-tests-operand"]


def _swap(what: Facts) -> list[str]:
    name = what.operation or ""
    found = [f"2.2-{name}", f"4.2-{name}", "4.2-dst-only", "4.2-end-width"]
    found += ["4.2-end-zero-extends"] if what.width < 64 else []
    return [*found, "4.2-bswap-unconditional" if name.startswith("bswap") else "4.2-source-selects-order"]


def _condition(row: Instruction, what: Facts) -> list[str]:
    if what.operation not in _CONDITIONS:
        return []
    found = [_CONDITIONS[what.operation], "fall-through", "jmp32-width" if what.width == 32 else "jmp-width"]
    if "imm" in row.operands:
        found.append("jmp32-imm" if what.width == 32 else "jmp-imm-sign-extends")
    return [f"4.3-{part}" for part in found]


def _access(row: Instruction, what: Facts) -> list[str]:
    if what.locked:
        return []
    size, load = _SIZES[what.width], what.kind is Kind.LOAD
    if what.extends:
        return [f"5.2-ldx-memsx-{size}", f"5-size-{size}", "5.1-address-offset", "5-mode-memsx"]
    name = "ldx" if load else "stx" if "src" in row.operands else "st"
    found = [f"5.1-{name}-mem-{size}", f"5-size-{size}", "5.1-address-offset", "5-mode-mem"]
    found.append("5.1-ldx-zero-extends" if load else "5.1-store-size")
    return [*found, "5.1-host-byte-order"] if what.width > 8 else found


def _atomic(row: Instruction, what: Facts) -> list[str]:
    if what.operation not in _COMPUTATIONS:
        return []
    width, compares, fetches = what.width, what.operation == "compare-exchange", "src" in row.writes
    prefix = "fetch-" if fetches and what.operation != "exchange" else ""
    found = [f"{prefix}{_COMPUTATIONS[what.operation]}-{width}", "class-and-mode", "imm-selects"]
    found.append("size-w-32" if width == 32 else "size-dw-64")
    if fetches:
        found += ["fetch", "fetch-32-zero-extends"] if width == 32 else ["fetch"]
    elif compares:
        found += ["cmpxchg-loads-r0", "cmpxchg-keeps-src"]
        found += ["cmpxchg-32-zero-extends", "cmpxchg-32-low-half"] if width == 32 else []
    else:
        found.append("no-fetch-keeps-src")
    return [f"5.3-{part}" for part in found]


def _address(row: Instruction, what: Facts) -> list[str]:
    name = (what.operation or "").replace("_", "-")
    if name == "map-val":
        name += "-by-idx" if "map_by_idx" in row.means_text else "-by-fd"
    return [f"5.4-{name}", "5.4-subtype"]
