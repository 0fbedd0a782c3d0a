# SPDX-License-Identifier: Apache-2.0
"""Atomic operations at every place: at each offset, unaligned, across boundaries, and on the stack to its lowest slot.

Machines have other displacements for them, or none, and on the stack compilers may leave the lock out. RFC 9669 does
not say that operands are aligned (erratum ``unaligned-access``). Programs fold the results into R0, so that runtimes
which show no more can answer as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ...reference_vm.frames import FRAME_BYTES
from ...spec.facts import Kind, facts
from ...spec.table import Instruction
from .acts import rows_of_kinds
from .covers import covering
from .draft import Draft, line, slug
from .places import BOUNDARIES, BOUNDARY_BYTES, MIXED, boundary


def drafts() -> Iterator[Draft]:
    """Yield the vectors of all atomic operations."""
    rows = rows_of_kinds(Kind.ATOMIC)
    for name, results in _RESULTS.items():
        chosen = [row for row in rows if _results(row) == results]
        for width in (32, 64):
            yield _at_offsets(name, [row for row in chosen if facts(row).width == width])
        yield _unaligned(name, chosen)
        yield _on_the_stack(name, chosen)


def _results(row: Instruction) -> frozenset[str]:
    return row.writes & {"src", "r0"}


#: The operations by the registers that they write: their programs have the same text.
_RESULTS = {"plain": frozenset[str](), "fetch": frozenset({"src"}), "exchange": frozenset({"r0"})}


def _holes(row: Instruction, asm: str) -> Mapping[str, str]:
    """Return what fills the holes of ``asm``: the operation around its base and offset, its width, r or w."""
    before, after = line(row, dst="@", src="4", offset="#").split("@ + #")
    bits = facts(row).width
    known = {"op": before, "operand": after, "bits": str(bits), "r": "r" if bits == 64 else "w"}
    known["dirt"] = "0x5a6b7c8d00000000" if bits == 32 else "0"
    return {name: text for name, text in known.items() if f"{{{name}}}" in asm}


def _at_offsets(name: str, rows: Sequence[Instruction]) -> Draft:
    """One operation at each aligned offset; what they fetch is added up. CMPXCHG finds its R0 every other time."""
    asm, size = "w3 = 0\n", facts(rows[0]).width // 8
    for number, at in enumerate(range(0, 128, size)):
        asm += f"{{r}}4 = {(0x1F2E3D4C * (2 * number + 1) & 0x7FFFFFFF) * (-1) ** number}\n"
        if name == "exchange":
            asm += f"r0 = *(u{{bits}} *)(r1 + {at})\n" if number % 2 else "{r}0 = 7\n"
        asm += f"{{op}}1 + {at}{{operand}}\n"
        asm += {"plain": "", "fetch": "{r}3 += {r}4\n", "exchange": "{r}3 += {r}0\n"}[name]
    return Draft(
        f"every-offset/atomic{size * 8}-{name}",
        f"{128 // size} aligned offsets from 0 to 127; r0 is the sum of what is fetched",
        covering(rows, "rfc9669-5.3-address", of_each=None),
        {slug(row): _holes(row, asm) for row in rows},
        f"{asm}{{r}}0 = {{r}}3\nexit\n",
        observe=("r0", "after"),
        memory=bytes((41 * at + 0x95) & 0xFF for at in range(128)).hex(),
    )


def _operation(name: str, base: str, offset: int, change: str) -> str:
    """Assembly of one operation with r4, whose results are folded into r0: what it fetches, and what is stored.

    CMPXCHG expects what is in memory but for the bits of ``change``, a register or number. Registers are used as far as
    the RFC settles them: in their lower halves, and no operand of CMPXCHG afterwards.
    """
    place = f"r{base} + {offset}"
    asm = f"{{op}}{base} + {offset}{{operand}}\n"
    if name == "fetch":
        asm += f"{{r}}3 = {{r}}4\n{MIXED}"
    elif name == "exchange":
        asm = f"r8 = r0\nr0 = *(u{{bits}} *)({place})\nr0 ^= {change}\n{asm}{{r}}3 = {{r}}0\nr0 = r8\n{MIXED}"
    return f"{asm}r3 = *(u{{bits}} *)({place})\n{MIXED}"


#: Double words around a boundary that are folded.
_WINDOW = range(-16, 72, 8)


def _unaligned(name: str, rows: Sequence[Instruction]) -> Draft:
    """Operations at one address after the other: within 64 bytes, or all that have bytes on both sides of a boundary.

    Operands within 64 bytes are apart from those beyond: some machines stop at the latter only.
    """
    asm = f"{boundary()}r0 = 0\n"
    for number, at in enumerate(_WINDOW):
        asm += f"r3 = {_value(number)} ll\n*(u64 *)(r7 + {at}) = r3\n"
    asm += "r6 = r7\nr6 += {start}\nr9 = {iterations}\nagain:\nr4 = r9\nr4 <<= 24\nr4 ^= 0x1f2e3d4c\n"
    asm += "r2 = r9\nr2 &= 1\n" if name == "exchange" else ""
    asm += f"{_operation(name, '6', 0, 'r2')}r6 += 1\nr9 -= 1\nif r9 != 0 goto again\n"
    asm += "".join(f"r3 = *(u64 *)(r7 + {at})\n{MIXED}" for at in _WINDOW)
    cases = {}
    for row in rows:
        size = facts(row).width // 8
        within = {"start": "0", "iterations": str(64 - size + 1), **BOUNDARIES["64-bytes"]}
        across = {"start": str(1 - size), "iterations": str(size - 1)}
        cases[f"{slug(row)}-within-64-bytes"] = {**_holes(row, asm), **within}
        for key, mask in BOUNDARIES.items():
            cases[f"{slug(row)}-across-{key}"] = {**_holes(row, asm), **across, **mask}
    return Draft(
        f"unaligned/atomic-{name}",
        "operands within 64 bytes, or on both sides of a multiple of so many bytes: r0 is a fold of all results",
        covering(rows, "rfc9669-5.3-address", of_each=None),
        cases,
        f"{asm}exit\n",
        memory=f"00*{BOUNDARY_BYTES + 64}",
        errata=("unaligned-access",),
    )


def _value(number: int) -> str:
    return f"{0x95A7B9CBDDEFF103 * (2 * number + 1) & 0xFFFFFFFFFFFFFFFF:#x}"


#: The base register, what is added to a copy of r10 in it, and the offset: together the lowest slot or the highest.
_DIRECT = tuple(("10", 0, at) for at in (-8, -FRAME_BYTES))
_COPIED = tuple(("2", moved, at - moved) for at in (-8, -FRAME_BYTES) for moved in (at, 0, -256, 16, -4096))


def _on_the_stack(name: str, rows: Sequence[Instruction]) -> Draft:
    """The lowest slot and the highest, by r10 and by copies of it, the caller's too, and what lies beside them."""
    own = "".join(_way(name, number, "r10", *way) for number, way in enumerate((*_DIRECT, *_COPIED)))
    callers = "".join(_way(name, number, "r6", *way) for number, way in enumerate(_COPIED))
    asm = f"r0 = 0\n{own}r1 = r10\nr2 = r0\ncall local function\nexit\nfunction:\nr6 = r1\nr0 = r2\n{callers}exit\n"
    return Draft(
        f"lowest-and-highest-slot/atomic-{name}",
        "operations on the stack, by r10, by copies of it and by a function: r0 is a fold of the results",
        covering(rows, "rfc9669-5.3-address", of_each=None),
        {slug(row): _holes(row, asm) for row in rows},
        asm,
        errata=("stack-and-call-depth", "calling-convention"),
    )


def _way(name: str, number: int, pointer: str, base: str, moved: int, offset: int) -> str:
    slot = moved + offset
    beside = slot + (8 if slot == -FRAME_BYTES else -8)
    asm = ""
    for at, value in ((slot, _value(number)), (beside, _value(number + 20))):
        asm += f"r3 = {value} ll\n*(u64 *)({pointer} - {-at}) = r3\n"
    asm += f"r2 = {pointer}\nr2 += {moved}\n" if base == "2" else ""
    asm += f"r4 = {_value(number + 40)} ll\n{_operation(name, base, offset, str(number % 2))}"
    # The level is not must anyway: here upper halves can be compared: of what is fetched, and of what R0 was.
    asm = asm.replace("{r}3 = {r}4", "r3 = r4").replace("{r}3 = {r}0", "r3 = r0")
    asm = asm.replace("r0 ^= ", "r7 = {dirt} ll\nr0 ^= r7\nr0 ^= ")
    return asm + "".join(f"r3 = *(u64 *)({pointer} - {-at})\n{MIXED}" for at in (slot, beside))
