# SPDX-License-Identifier: Apache-2.0
"""Loads and stores (RFC 9669 sections 5.1 and 5.2): widths, offsets, alignment, adjacent bytes, registers, stack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...spec.facts import Kind, facts
from ...spec.table import Instruction, isa
from .boundaries import IMMEDIATES, signed
from .covers import covers
from .draft import Draft, line, slug
from .registers import ALL, PATTERN, VALUES, prologue

#: Offsets at the ends of the field, around the limits of displacements of 8, 9, 12 and 13 bits, and small ones.
OFFSETS = (
    *(-32768, -32767, -4097, -4096, -2049, -2048, -257, -256, -129, -128, -127, -8, -4, -2, -1),
    *(0, 1, 2, 3, 4, 5, 7, 8, 127, 128, 129, 255, 256, 2047, 2048, 4095, 4096, 32760, 32766, 32767),
)
#: None, one beyond what 8 bits hold and one of the greatest; the other tables have 8.
BASE_OFFSETS = (0, -136, 32767)


def drafts() -> Iterator[Draft]:
    """Yield the vectors of regular and sign-extending loads and stores."""
    for row in isa().instructions:
        if facts(row).kind not in (Kind.LOAD, Kind.STORE):
            continue
        yield _offsets(row)
        if facts(row).width > 8 and not facts(row).locked:
            yield _unaligned(row)
        yield _register_pairs(row)
        yield _base_offsets(row)
        if is_load(row):
            yield _values(row)
            yield _into_base(row)
        elif "imm" in row.operands:
            yield _immediates(row)
        else:
            yield _stored_registers(row)
            yield _stored_address(row)
        yield _stack_ends(row)
        if "base32" in row.groups:
            yield _base32_only(row)


def is_load(row: Instruction) -> bool:
    """Whether the row reads memory into a register."""
    return facts(row).kind is Kind.LOAD


def address_in(base: str) -> str:
    """Return assembly that puts the address of the memory in a register, and known values in the others.

    It needs no other place to keep the address in. {o} is :func:`other_than_r1`, which gets what r1 would have.
    """
    return f"{prologue(skip=(1,))}r{base} = r1\nr{{o}} = {VALUES[1]:#x} ll\n"


def other_than_r1(base: int) -> str:
    """Return the register that is set after the address is in ``base``: r1, or another one if that is the base."""
    return "0" if base == 1 else "1"


def _access(row: Instruction, base: str, value: str, offset: str, imm: str = "305419896") -> str:
    """Assembly of one access through register ``base``, to or from register ``value`` (numbers or holes)."""
    if is_load(row):
        return line(row, dst=value, src=base, offset=offset)
    return line(row, dst=base, src=value, offset=offset, imm=imm)


def _observed(row: Instruction) -> tuple[str, ...]:
    return ("r0",) if is_load(row) else ("r0", "after")


def _moved(row: Instruction, name: str, what: str, places: Mapping[int, tuple[int, ...]], **more: Any) -> Draft:
    """Accesses at ``places``, given by offset: the base register is moved against the offset to get there."""
    cases = {
        f"{signed(offset)}_at{place}": {"off": str(offset), "base": str(place - offset)}
        for offset, wanted in places.items()
        for place in wanted
    }
    asm = f"r6 = r1\nr6 += {{base}}\nr0 = {VALUES[0]:#x} ll\n{_access(row, '6', '0', '{off}')}\nexit\n"
    found = (*covers(row), "rfc9669-3.1-offset-signed", "rfc9669-3.1-offset-width")
    return Draft(f"{slug(row)}/{name}", what, found, cases, asm, observe=_observed(row), memory=PATTERN, **more)


def _offsets(row: Instruction) -> Draft:
    what = "offsets at the limits of their field; no byte beside the addressed ones changes"
    return _moved(row, "offsets", what, dict.fromkeys(OFFSETS, (8,)))


def _unaligned(row: Instruction) -> Draft:
    what = "addresses that are no multiple of the width; no byte beside the addressed ones changes"
    places = dict.fromkeys((-3, 0, 5), (9, 10, 11, 13))
    return _moved(row, "unaligned", what, places, errata=("unaligned-access",))


def _register_pairs(row: Instruction) -> Draft:
    """Base and value in each pair of registers; r2 to r9 and r0 hold known values, and so does the base after it."""
    pairs = [(b, v) for b in range(10) for v in range(10) if b != v]
    cases: dict[str, Mapping[str, str]] = {}
    has_value = is_load(row) or "src" in row.operands
    for base, value in pairs if has_value else [(b, 0) for b in range(10)]:
        name = f"r{base}_r{value}" if has_value else f"r{base}"
        cases[name] = {"b": str(base), "o": other_than_r1(base)} | ({"v": str(value)} if has_value else {})
    # An address has no expected value: the base register is overwritten at the end.
    asm = f"{address_in('{b}')}{_access(row, '{b}', '{v}', '8')}\nr{{b}} = 0\nexit\n"
    what = "each register as base and as value; no other register changes"
    observe = ALL if is_load(row) else (*ALL, "after")
    return Draft(f"{slug(row)}/registers", what, covers(row), cases, asm, observe=observe, memory=PATTERN)


def _base_offsets(row: Instruction) -> Draft:
    """Some addressing modes of machines exclude base registers or sizes of displacements."""
    cases = {
        f"r{base}_{signed(offset)}": {
            "b": str(base),
            "o": other_than_r1(base),
            "v": "1" if base == 0 else "0",
            "off": str(offset),
            "adjust": str(8 - offset),
        }
        for base in range(10)
        for offset in BASE_OFFSETS
    }
    has_value = is_load(row) or "src" in row.operands
    if not has_value:
        cases = {name: {key: text for key, text in values.items() if key != "v"} for name, values in cases.items()}
    asm = f"{address_in('{b}')}r{{b}} += {{adjust}}\n{_access(row, '{b}', '{v}', '{off}')}\nr{{b}} = 0\nexit\n"
    what = "each base register with displacements of each size; no other register changes"
    observe = ALL if is_load(row) else (*ALL, "after")
    return Draft(f"{slug(row)}/base-offsets", what, covers(row), cases, asm, observe=observe, memory=PATTERN)


def _values(row: Instruction) -> Draft:
    """Loads of values with all combinations of sign bits, into a register whose bits are set."""
    patterns = ("00*8", "ff*8", "80 00*7", "00*7 80", "7f ff*7", "ff*7 7f", "00*3 80 00*4", "00 80 00 80 7f 80 ff 7f")
    names = ("zero", "ones", "first-top", "last-top", "first-7f", "last-7f", "fourth-top", "mixed")
    cases = {name: {"bytes": pattern} for name, pattern in zip(names, (_flat(p) for p in patterns), strict=True)}
    asm = f"r6 = r1\nr0 = {VALUES[0]:#x} ll\n{_access(row, '6', '0', '0')}\nexit\n"
    what = "what is loaded replaces all 64 bits of the register"
    return Draft(f"{slug(row)}/values", what, covers(row), cases, asm, memory="{bytes}")


def _flat(pattern: str) -> str:
    parts = []
    for token in pattern.split():
        byte, _, count = token.partition("*")
        parts.append(byte * int(count or 1))
    return "".join(parts)


def _into_base(row: Instruction) -> Draft:
    """The destination is the base register."""
    cases = {f"r{n}": {"b": str(n)} for n in range(10)}
    asm = f"r{{b}} = r1\n{_access(row, '{b}', '{b}', '8')}\nr0 = r{{b}}\nexit\n"
    what = "the register that holds the address receives the value"
    return Draft(f"{slug(row)}/into-base", what, covers(row), cases, asm, memory=PATTERN)


def _immediates(row: Instruction) -> Draft:
    cases = {name: {"imm": str(number)} for name, number in IMMEDIATES.items()}
    asm = f"r0 = 9\n{_access(row, '1', '0', '8', imm='{imm}')}\nexit\n"
    found = covers(row)
    what = "the low bytes of the immediate, sign-extended where the store is wider"
    return Draft(f"{slug(row)}/immediates", what, found, cases, asm, observe=("r0", "after"), memory=PATTERN)


def _stored_registers(row: Instruction) -> Draft:
    cases = {f"r{n}": {"v": f"{value:#x}"} for n, value in enumerate(VALUES)}
    asm = f"r3 = {{v}} ll\nr0 = 9\n{_access(row, '1', '3', '8')}\nexit\n"
    what = "the low bytes of the register, and nothing beside them"
    return Draft(f"{slug(row)}/values", what, covers(row), cases, asm, observe=("r0", "after"), memory=PATTERN)


def _stored_address(row: Instruction) -> Draft:
    """R10, or the base register itself, leaves the same bytes as a copy of it stored through another base."""
    store = [line(row, dst=dst, src=src, offset=offset) for dst, src, offset in (("{b}", "{v}", "0"), ("7", "8", "8"))]
    asm = (
        f"r7 = r1\nr{{b}} = r1\nr8 = r{{v}}\n{store[0]}\n{store[1]}\nr0 = *(u64 *)(r7 + 0)\nr4 = *(u64 *)(r7 + 8)\n"
        "r0 ^= r4\nr8 = 0\n*(u64 *)(r7 + 0) = 0\n*(u64 *)(r7 + 8) = 0\nexit\n"
    )
    cases = {"r10": {"b": "1", "v": "10"}} | {f"base-r{n}": {"b": str(n), "v": str(n)} for n in (0, 1, 2, 5, 9)}
    what = "r10 and the base itself are stored as a copy of them is"
    return Draft(f"{slug(row)}/address", what, covers(row), cases, asm, memory="00*16")


def _stack_ends(row: Instruction) -> Draft:
    """The first and the last bytes of the 512 that a stack frame has."""
    size = facts(row).width // 8
    cases = {"first": {"off": "-512"}, "last": {"off": f"-{size}"}, "middle": {"off": "-256"}}
    fill = "".join(f"*(u64 *)(r10 - {at}) = r3\n" for at in (512, 504, 264, 256, 248, 16, 8))
    if is_load(row):
        asm = f"r3 = {VALUES[2]:#x} ll\n{fill}r0 = 0\n{_access(row, '10', '0', '{off}')}\nexit\n"
    else:
        back = "".join(f"r4 = *(u64 *)(r10 - {at})\nr0 *= 31\nr0 ^= r4\n" for at in (512, 504, 264, 256, 248, 16, 8))
        store = _access(row, "10", "5", "{off}", imm="-2023406815")
        asm = f"r3 = {VALUES[2]:#x} ll\n{fill}r5 = {VALUES[6]:#x} ll\n{store}\nr0 = 7\n{back}exit\n"
    what = "the stack from its first byte to its last, relative to r10"
    return Draft(f"{slug(row)}/stack", what, covers(row), cases, asm, errata=("stack-and-call-depth",))


def _base32_only(row: Instruction) -> Draft:
    """Programs of 32-bit instructions only: r1 is the address of the memory, and no register is wider than its load."""
    cases = {f"at{at}": {"off": str(at)} for at in (0, 4, 8, 12)}
    if is_load(row):
        asm = f"{_access(row, '1', '0', '{off}')}\nexit\n"
    else:
        asm = f"w0 = 0x9abcdef0\n{_access(row, '1', '0', '{off}')}\nexit\n"
    what = "in a program of 32-bit instructions only"
    return Draft(f"{slug(row)}/base32", what, covers(row), cases, asm, observe=_observed(row), memory=PATTERN)
