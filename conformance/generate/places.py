# SPDX-License-Identifier: Apache-2.0
"""Loads and stores at every place of an area, and across the boundaries of cache lines and pages.

Machines have displacements of several forms, some for aligned places only, and accesses that cross a boundary may take
two steps. Offsets are in the instruction, or in a register. Where the memory lies is not known: programs that need a
boundary find it by the low bits of the address.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from ...reference_vm.frames import FRAME_BYTES
from ...spec.facts import Kind, facts
from ...spec.table import Instruction
from .acts import rows_of_kinds
from .covers import covering
from .draft import Draft, line, slug
from .registers import END

#: The last access reaches beyond the offset 127.
_AREA = 136
#: The offsets 0 to 127 by the least number of bytes of which they are no multiple.
_OFFSETS = {
    "odd": range(1, 128, 2),
    "even": range(2, 128, 4),
    "multiples-of-4": range(4, 128, 8),
    "multiples-of-8": range(0, 128, 8),
}
#: Bytes that differ, with the sign bit set in every other one.
_CONTENT = bytes((37 * at + 0x83) & 0xFF for at in range(_AREA)).hex()
_STORED = "-1985229329"


def drafts() -> Iterator[Draft]:
    """Yield the vectors of loads and stores."""
    loads, stores = rows_of_kinds(Kind.LOAD), rows_of_kinds(Kind.STORE)
    for name, offsets in _OFFSETS.items():
        for aligned in (True, False):
            chosen = [[row for row in rows if _fits(row, offsets) == aligned] for rows in (loads, stores)]
            title = name if aligned else f"{name}-unaligned"
            errata = () if aligned else ("unaligned-access",)
            yield from (replace(draft, errata=errata) for draft in _at_offsets(title, offsets, *chosen))
    for step in (8, 1):
        yield _walk(loads, stores, step)
    for name, rows in (("loads", loads), ("stores", stores)):
        yield _across(name, [row for row in rows if facts(row).width > 8])
        yield _on_stacks(name, rows)


def _fits(row: Instruction, offsets: Iterable[int]) -> bool:
    """Whether all offsets are multiples of the size of what a row loads or stores."""
    return all(at * 8 % facts(row).width == 0 for at in offsets)


def _at_offsets(
    title: str, offsets: Sequence[int], loads: Sequence[Instruction], stores: Sequence[Instruction]
) -> Iterator[Draft]:
    if loads:
        yield _loads(title, offsets, loads)
    if stores:
        yield _stores(title, offsets, stores)


def _type(row: Instruction) -> str:
    """Return the type of what a row loads or stores, as assembly has it."""
    return f"{'s' if facts(row).extends else 'u'}{facts(row).width}"


def _is_narrow(row: Instruction) -> bool:
    """Whether 32-bit instructions can tell what a row has done."""
    return facts(row).width < 64 and not facts(row).extends


def _loads(title: str, offsets: Sequence[int], rows: Sequence[Instruction]) -> Draft:
    """One load at each offset; each result has its place behind the area."""
    asm = ""
    for place, at in enumerate(offsets):
        asm += f"r3 = *({{type}} *)(r1 + {at})\n*({{result}} *)(r1 + {_AREA + 8 * place}) = r3\n"
    return Draft(
        f"every-offset/loads-{title}",
        f"{len(offsets)} loads at offsets from 0 to 127; each result has its place behind what is loaded",
        covering(rows, of_each=None),
        {slug(row): {"type": _type(row), "result": "u32" if _is_narrow(row) else "u64"} for row in rows},
        f"{asm}w0 = 0\nexit\n",
        observe=("r0", "after"),
        memory=f"{_CONTENT} 00*{8 * len(offsets)}",
    )


def _stores(title: str, offsets: Sequence[int], rows: Sequence[Instruction]) -> Draft:
    """One store at each offset, upwards in one area and downwards in another; then it is loaded, and added up.

    So of each store, its first or its last byte remains, and all that it writes beside them.
    """
    asm = "{r}4 = {first}\n{r}0 = 0\n"
    for at in [*offsets, *(_AREA + at for at in reversed(offsets))]:
        asm += f"{{r}}4 += 0x1030507\n*({{type}} *)(r1 + {at}) = {{value}}\n"
        asm += f"r3 = *({{type}} *)(r1 + {at})\n{{r}}0 += {{r}}3\n"
    cases = {
        slug(row): {
            "type": _type(row),
            "value": "r4" if "src" in row.operands else _STORED,
            **({"r": "w", "first": "0x05060708"} if _is_narrow(row) else {"r": "r", "first": "0x0102030405060708 ll"}),
        }
        for row in rows
    }
    return Draft(
        f"every-offset/stores-{title}",
        f"{len(offsets)} stores at offsets from 0 to 127, in either order; r0 is the sum of what was there then",
        covering(rows, of_each=None),
        cases,
        f"{asm}exit\n",
        observe=("r0", "after"),
        memory=f"{_CONTENT} {_CONTENT}",
    )


def _access(row: Instruction, base: str, offset: int) -> str:
    """Assembly of one access; what was loaded, or what a store has left there, is in r3."""
    if facts(row).kind is Kind.LOAD:
        return f"{line(row, dst='3', src=base, offset=str(offset))}\n"
    store = line(row, dst=base, src="4", offset=str(offset), imm=_STORED)
    return f"r4 += 0x1030507\n{store}\nr3 = *(u64 *)(r{base} + {offset})\n"


def _walk(loads: Sequence[Instruction], stores: Sequence[Instruction], step: int) -> Draft:
    """All of them in a loop, at an address that moves on by ``step`` bytes."""
    rows = [*loads, *stores]
    asm = "r6 = r1\nr7 = r1\nr8 = 0\nr4 = 0x0102030405060708 ll\nagain:\n"
    for place, row in enumerate(rows):
        slot = f"*(u64 *)(r6 + {_AREA + 8 * place})"
        # A store that is loaded again shows the seven bytes behind those that it may write, too.
        asm += f"{_access(row, '7', 0)}r2 = {slot}\nr5 = r2\nr5 <<= 5\nr2 += r5\nr2 += r3\n{slot} = r2\n"
    asm += f"r7 += {step}\nr8 += {step}\nif r8 != 128 goto again\n{END}"
    return Draft(
        f"every-place/steps-of-{step}",
        f"all loads and stores at a moving address, {128 // step} times: a fold of what each finds",
        covering(rows),
        asm=asm,
        observe=("after",),
        memory=f"{_CONTENT} 00*{8 * len(rows)}",
        errata=("unaligned-access",) if step < 8 else (),
    )


#: Bytes before a boundary that programs use, and behind it.
_WINDOW = 16


def boundary() -> str:
    """Return assembly that puts the first address with a multiple of {size} and 16 bytes before it into r7.

    It uses r8; the program has {size} + 32 bytes of memory at r1.
    """
    return f"w8 = w1\nw8 += {_WINDOW}\nw8 = -w8\nw8 &= {{mask}}\nr7 = r1\nr7 += r8\nr7 += {_WINDOW}\n"


BOUNDARIES = {f"{size}-bytes": {"mask": str(size - 1)} for size in (64, 4096)}
#: Bytes of memory that has a boundary, with a window around it, wherever it lies.
BOUNDARY_BYTES = 4096 + 2 * _WINDOW
#: Assembly that folds r3 into r0.
MIXED = "r5 = r0\nr5 <<= 5\nr0 += r5\nr0 += r3\n"
#: Contents of a double word: no byte is that of its neighbour, and all are negative, or none is.
_CONTENTS = (0x8BF3A5D981C2B6E7, 0x1D42753A0F692C51)
#: What is added to the base register against an offset, for offsets of more bits.
_BASES = (0, 300, -4200)


def _values(row: Instruction) -> dict[str, str]:
    """Return what fills the holes of programs for loads or stores: the type, and two values to be stored."""
    if facts(row).kind is Kind.LOAD:
        return {"type": _type(row)}
    values = ("r4", "r4") if "src" in row.operands else (_STORED, "1985229328")
    return {"type": _type(row), "first": values[0], "second": values[1]}


def _accesses(is_load: bool, base: str, second: bool, *folded: str) -> str:
    """Assembly of one access for each of :data:`_BASES`; what was loaded is folded into r0, or what is ``folded``."""
    asm = ""
    for moved in _BASES:
        asm += f"r2 = {base}\nr2 += {-moved}\n"
        if is_load:
            asm += f"r3 = *({{type}} *)(r2 + {moved})\n{MIXED}"
        else:
            asm += f"r4 = -r4\nr4 += 0x1030507\n*({{type}} *)(r2 + {moved}) = {{{'second' if second else 'first'}}}\n"
            asm += "".join(f"r3 = *(u64 *)({place})\n{MIXED}" for place in folded)
    return asm


def _across(name: str, rows: Sequence[Instruction]) -> Draft:
    """Every access of which a part is on either side of a boundary."""
    asm = f"{boundary()}r4 = 0x0102030405060708 ll\nr0 = 0\n"
    for number, content in enumerate(_CONTENTS):
        swapped = int.from_bytes(content.to_bytes(8), "little")
        asm += f"r3 = {content:#x} ll\n*(u64 *)(r7 - 8) = r3\nr3 = {swapped:#x} ll\n*(u64 *)(r7 + 0) = r3\n"
        asm += f"r6 = r7\nr6 += {{start}}\nr9 = {{iterations}}\nagain{number}:\n"
        asm += _accesses(name == "loads", "r6", number == 1, "r7 - 8", "r7 + 0")
        asm += f"r6 += 1\nr9 -= 1\nif r9 != 0 goto again{number}\n"
    cases = {}
    for row in rows:
        size = facts(row).width // 8
        for boundary_name, mask in BOUNDARIES.items():
            values = {**_values(row), "start": str(1 - size), "iterations": str(size - 1), **mask}
            cases[f"{slug(row)}-{boundary_name}"] = values
    return Draft(
        f"across/{name}",
        "accesses of which a part lies before a multiple of so many bytes, and a part behind it",
        covering(rows, of_each=None),
        cases,
        f"{asm}r0 += r4\nexit\n",
        memory=f"00*{BOUNDARY_BYTES}",
        errata=("unaligned-access",),
    )


def _on_stacks(name: str, rows: Sequence[Instruction]) -> Draft:
    """The lowest and the highest double word of the program's stack, by itself and by two functions that it calls."""
    function, places = "", (-FRAME_BYTES, -8)
    for number, place in enumerate(places):
        near = f"r6 - {8 if place == -8 else FRAME_BYTES}"
        for content in _CONTENTS:
            function += f"r3 = {content if number else content ^ 0xFFFFFFFFFFFFFFFF:#x} ll\n*(u64 *)({near}) = r3\n"
            function += f"r8 = r6\nr8 += {place}\n{_accesses(name == 'loads', 'r8', number == 1, near)}"
    direct = "" if name == "loads" else "r4 = 0x7060504\n"
    for place, value in zip(places, ("first", "second"), strict=True):
        own = f"r10 - {-place}"
        direct += f"r3 = {_CONTENTS[place == -8]:#x} ll\n*(u64 *)({own}) = r3\n"
        direct += f"r3 = *({{type}} *)({own})\n" if name == "loads" else f"*({{type}} *)({own}) = {{{value}}}\n"
        direct += MIXED if name == "loads" else f"r3 = *(u64 *)({own})\n{MIXED}"
        direct += f"r8 = r10\nr8 += {place}\n{_accesses(name == 'loads', 'r8', place == -8, own)}"
    asm = (
        f"r1 = r10\nr2 = 0\nr4 = 0x0102030405060708 ll\ncall local function\n{direct}r6 = r0\nr1 = r10\nr2 = r0\n"
        f"r4 = -0x10203\ncall local through\nr0 += r6\nexit\n"
        f"through:\ncall local function\nexit\n"
        f"function:\nr6 = r1\nr0 = r2\n{function}r0 += r4\nexit\n"
    )
    return Draft(
        f"stacks/{name}",
        "the ends of the program's stack by r10 and by pointers in functions: r0 is a fold of what is found there",
        covering(rows, "rfc9669-4.3.2-call-local", of_each=None),
        {slug(row): _values(row) for row in rows},
        asm,
        errata=("stack-and-call-depth", "calling-convention"),
    )
