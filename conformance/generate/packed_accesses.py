# SPDX-License-Identifier: Apache-2.0
"""Programs with a hundred small parts, as those of :mod:`.packed`: loads, stores, atomic operations, constants.

Each part has another pair of registers, another offset, and another value. The base is moved against the offset; all
addresses are multiples of the size of the access.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, product
from typing import NamedTuple

from ...spec.facts import Kind, facts
from ...spec.table import Instruction, isa
from .boundaries import edges
from .draft import Draft
from .immediates import LIMITS
from .memory import OFFSETS
from .parts import Form, Program, beside, draft, forms
from .registers import VALUES

#: What is in memory where nothing was stored.
_FILL = "a5"


class Access(NamedTuple):
    """One part: the registers for the address and for the value, the offset, and the value as number or immediate.

    ``old`` is what is in memory before an atomic operation.
    """

    base: int
    value: int
    offset: int
    number: int
    imm: int
    old: int


def drafts() -> Iterator[Draft]:
    """Yield the vectors of loads, stores, atomic operations and 64-bit constants."""
    rows = isa().instructions
    for form in forms(row for row in rows if facts(row).kind in (Kind.LOAD, Kind.STORE, Kind.ATOMIC)):
        yield _packed(form, wide=True)
        if form.row.groups <= {"base32", "atomic32"}:
            yield _packed(form, wide=False)
        if facts(form.row).kind is Kind.STORE and "src" in form.row.operands:
            yield _own_address(form)
    for form in forms(row for row in rows if facts(row).kind is Kind.CONSTANT):
        yield _constants(form)


def _packed(form: Form, *, wide: bool) -> Draft:
    row, program = form.row, Program(wide=wide)
    numbers = [*_special(facts(row).width), *edges(64), *VALUES]
    program.tabulate(numbers)
    parts = list(_accesses(row, program, numbers))
    for part in parts:
        _access(form, program, part)
    if wide:
        _beside(form, program)
    what = f"{len(parts)} parts: each pair of registers, offsets and boundary values; each result is stored"
    return draft(form, program, "wide" if wide else "narrow", what, _FILL)


def _special(width: int) -> list[int]:
    """Return what fills eight bytes with the special numbers of a width."""
    numbers = (0, (1 << width) - 1, 1 << width - 1, (1 << width - 1) - 1)
    return [sum(number << at for at in range(0, 64, width)) for number in numbers]


def _is_load(row: Instruction) -> bool:
    return facts(row).kind is Kind.LOAD


def _compares(row: Instruction) -> bool:
    return facts(row).operation == "compare-exchange"


def _accesses(row: Instruction, program: Program, numbers: list[int]) -> Iterator[Access]:
    bases = program.registers if program.wide else (program.base,)
    pairs = [(n, n) for n in bases]
    if "src" in row.operands:
        # Register 9 has the address of the memory as long as it can.
        pairs = sorted(product(bases, program.registers), key=lambda pair: 9 in pair)
        pairs = [(a, b) for a, b in pairs if (a != b or _is_load(row)) and not (_compares(row) and a == 0)]
    count = max(len(pairs), len(numbers), len(LIMITS) if "imm" in row.operands else 0)
    old = numbers[:4] * 2 + numbers[4:]
    parts = zip(cycle(pairs), cycle(OFFSETS), cycle(numbers), cycle(LIMITS), cycle(old), range(count), strict=False)
    for (base, value), offset, number, imm, before, _ in parts:
        yield Access(base, value, offset, number, imm, before)


def _access(form: Form, program: Program, part: Access) -> None:
    row, size = form.row, facts(form.row).width // 8
    if program.wide:
        program.spare(part.base, part.value, *((0,) if _compares(row) else ()))
    place = program.place_of(part.number) if _is_load(row) else program.reserve(16) + max(4, size)
    if facts(row).kind is Kind.ATOMIC:
        program.load(part.value, part.old)
        program.add(f"*(u{8 * size} *)(r{program.base} + {place}) = r{part.value}")
    if _compares(row):
        # In a third of the parts it does not match.
        program.load(0, part.number if part.offset % 3 == 0 else part.old)
    if "src" in row.reads and not (_is_load(row) or (_compares(row) and part.value == 0)):
        program.load(part.value, part.number)
    if program.wide:
        program.add(f"r{part.base} = r{program.base}", f"r{part.base} += {place - part.offset}")
    program.add(_line(form, part.base, part.value, part.offset if program.wide else place, part.imm))
    if _is_load(row):
        program.store(part.value)
    elif facts(row).kind is Kind.ATOMIC:
        # The upper half of what 32 bits were fetched to is a matter of interpretation.
        program.store(0 if _compares(row) else part.value, size if row.writes & {"r0", "src"} else 0)


def _line(form: Form, base: int, value: int, offset: int, imm: int = -77) -> str:
    dst, src = (value, base) if _is_load(form.row) else (base, value)
    return form.line(dst=str(dst), src=str(src), offset=str(offset), imm=str(imm))


def _beside(form: Form, program: Program) -> None:
    """All other registers stay as they are."""
    for base, value in ((4, 3), (6, 5)):
        program.spare(base, value)
        place = 0 if _is_load(form.row) else program.reserve(16) + 8
        kept = {*program.registers} - {base} - ({0, value} if form.row.writes & {"r0", "src"} else set())
        beside(program, (base, value), f"r{base} = r{program.base}\n{_line(form, base, value, place)}", kept)


def _own_address(form: Form) -> Draft:
    """The base itself is stored: what differs from a copy of it, stored through another base, is in memory."""
    program = Program(wide=True)
    for n in program.registers:
        program.spare(n)
        copy, own, other = program.free(n), program.reserve(8), program.reserve(8)
        program.add(f"r{n} = r{program.base}", f"r{copy} = r{n}")
        program.add(_line(form, n, n, own), _line(form, program.base, copy, other))
        program.add(*(f"r{r} = *(u64 *)(r{program.base} + {at})" for r, at in ((n, own), (copy, other))))
        program.add(f"r{n} ^= r{copy}", f"*(u64 *)(r{program.base} + {own}) = r{n}")
        program.add(f"*(u64 *)(r{program.base} + {other}) = 0")
    return draft(form, program, "own-address", "each register, as base, stores the address in itself", _FILL)


def _constants(form: Form) -> Draft:
    """Each limit as either half of a constant, in each register."""
    program = Program(wide=True)
    halves = [n & 0xFFFFFFFF for n in LIMITS]
    numbers = [number for half in halves for number in (half << 32 | 0x76543210, 0x5A5A1234 << 32 | half)]
    for number, register in zip(numbers, cycle(program.registers), strict=False):
        program.spare(register)
        program.add(form.line(dst=str(register), imm64=f"{number:#x}"))
        program.store(register)
    for register in (3, 4):
        beside(program, (register,), form.line(dst=str(register), imm64="0x1fedcba987654321"))
    return draft(form, program, "wide", f"{len(numbers)} constants, in each register")
