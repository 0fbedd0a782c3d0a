# SPDX-License-Identifier: Apache-2.0
"""Features of the platform (RFC 9669 sections 4.3.1, 5.4, 5.5): functions, maps, variables, code addresses, packets."""

from __future__ import annotations

from collections.abc import Iterator

from ...spec.facts import Kind, facts
from ...spec.table import Instruction, isa
from .covers import covers
from .draft import Draft, line, slug
from .registers import ALL, VALUES, prologue

#: Sixteen bytes that differ in every place.
_CONTENT = "a1 b2 c3 d4 e5 f6 07 18 29 3a 4b 5c 6d 7e 8f 90"
#: Numbers of variables: each bit alone, and all of them.
_NUMBERS = (*(1 << bit for bit in range(31)), -(1 << 31), -1)
#: Offsets into the value of a map: each bit alone, the limits of 8, 12, 15, 16 and 20 bits, and negative ones.
_OFFSETS = (*(1 << bit for bit in range(31)), 127, 0x7FF, 0x7FFF, 0xFFFF, 0x7FFFF, (1 << 31) - 1)
_NEGATIVE = (-1, -8, -129, -2049, -32769, -(1 << 20), -(1 << 31))
#: Places in a packet, as immediates: beside the limits of 8, 12, 13, 15 and 16 bits.
_PLACES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64, 127, 128, 255, 256, 512, 1024, 2047, 2048)
_FAR_PLACES = (4095, 4096, 8192, 16384, 32767, 32768)
#: Immediates outside of the packet, to which an index is added.
_REMOTE = (-1, -128, -129, -2048, -2049, -32768, -32769, -(1 << 31), 32767, 32768, 65535, 65536, (1 << 31) - 1)


def drafts() -> Iterator[Draft]:
    """Yield the vectors of wide instructions and of packet access."""
    for row in isa().instructions:
        what = facts(row)
        if what.kind is Kind.ADDRESS:
            yield _registers(row)
            if what.operation == "var_addr":
                yield _variables(row)
            if "next_imm" in row.reads:
                yield _map_values(row)
        elif what.kind is Kind.HELPER:
            yield _functions(row)
        elif what.kind is Kind.PACKET:
            yield _values(row)
            # Linux runs the first; the packet of the second is too long for it.
            yield _places(row, "places", _PLACES, 3000)
            last = (1 << 16) - what.width // 8
            yield _places(row, "far-places", (*_FAR_PLACES, last), 1 << 16)
            if "src" in row.operands:
                yield _indices(row)


def _registers(row: Instruction) -> Draft:
    """Each register receives an address or a handle: expected is the value at it, or the difference to a copy."""
    cases = {f"r{n}": {"d": str(n), "e": str((n + 1) % 10)} for n in range(10)}
    function = str(facts(row).operation)
    if function == "var_addr" or "next_imm" in row.reads:
        operands = {"imm": "7"} if function == "var_addr" else {"imm": "1", "next_imm": "8"}
        cases = {name: {"d": values["d"]} for name, values in cases.items()}
        use = f"{line(row, dst='{d}', **operands)}\nr{{d}} = *(u64 *)(r{{d}} + 0)\n"
        what = "each register receives the address of what is loaded through it; no other register changes"
    else:
        operands = {"imm": "there" if function == "code_addr" else "1"}
        both = [line(row, dst=hole, **operands) for hole in ("{d}", "{e}")]
        use = f"{both[0]}\n{both[1]}\nr{{d}} -= r{{e}}\nr{{e}} = {VALUES[8]:#x} ll\n"
        what = "each register receives what another one does; no other register changes"
    errata = ("code-addr-base",) if function == "code_addr" else ()
    return Draft(
        f"{slug(row)}/registers",
        what,
        (*covers(row), "rfc9669-3.1-dst-reg-range"),
        cases,
        f"{prologue()}{use}there:\nexit\n" if "there" in use else f"{prologue()}{use}exit\n",
        observe=ALL,
        maps=("00*16", _CONTENT) if function.startswith("map") else (),
        variables=((6, "00*8"), (7, _CONTENT)) if function == "var_addr" else (),
        errata=errata,
    )


def _variables(row: Instruction) -> Draft:
    asm = "".join(
        f"{line(row, dst='3', imm=str(number))}\nr3 = *(u8 *)(r3 + 0)\n*(u8 *)(r1 + {place}) = r3\n"
        for place, number in enumerate(_NUMBERS)
    )
    return Draft(
        f"{slug(row)}/numbers",
        "variables whose numbers have one bit each, one after the other in memory",
        covers(row),
        asm=f"{asm}r0 = 0\nr1 = 0\nr3 = 0\nexit\n",
        observe=("after",),
        memory=f"00*{len(_NUMBERS)}",
        variables=tuple((number, f"{place + 1:02x}") for place, number in enumerate(_NUMBERS)),
    )


def _functions(row: Instruction) -> Draft:
    """Functions that add up their arguments, R1 to R5 with growing weights; R6 to R9 are compared."""
    arguments = "".join(f"r{n} = {n}\n" for n in range(1, 6))
    asm = "".join(
        f"{arguments}r1 = {place}\n{line(row, imm=str(number))}\n*(u8 *)(r6 + {place}) = r0\n"
        for place, number in enumerate(_NUMBERS)
    )
    kept = "".join(f"r{n} = {VALUES[n]:#x} ll\n" for n in (7, 8, 9))
    scratch = "".join(f"r{n} = 0\n" for n in range(7) if n != 6)
    by = str(facts(row).operation)
    return Draft(
        f"{slug(row)}/numbers",
        "functions whose ids have one bit each: results are in memory; r6 to r9 keep their values",
        (f"rfc9669-4.3.1-{by}-id", "rfc9669-4.3-call"),
        asm=f"r6 = r1\n{kept}{asm}{scratch}r6 = 0\nexit\n",
        observe=("r7", "r8", "r9", "after"),
        memory=f"00*{len(_NUMBERS)}",
        helpers=tuple((by, number) for number in _NUMBERS),
        errata=("calling-convention",),
    )


def _map_values(row: Instruction) -> Draft:
    """The offset is subtracted before the access: each load is of the first byte."""
    asm = "".join(
        f"{line(row, dst='3', imm='1', next_imm=str(number))}\nr4 = {number & (1 << 64) - 1:#x} ll\nr3 -= r4\n"
        f"r3 = *(u8 *)(r3 + 0)\n*(u8 *)(r1 + {place}) = r3\n"
        for place, number in enumerate((*_OFFSETS, *_NEGATIVE))
    )
    return Draft(
        f"{slug(row)}/offsets",
        "offsets of one bit each and beside the limits of widths, taken off again before the access",
        covers(row),
        asm=f"{asm}r0 = 0\nr1 = 0\nr3 = 0\nexit\n",
        observe=("after",),
        memory=f"00*{len(_OFFSETS) + len(_NEGATIVE)}",
        maps=("00*16", _CONTENT),
    )


def _packet(row: Instruction, name: str, what: str, asm: str, memory: str) -> Draft:
    """Return a vector whose loads are added up, one bit to the left each time, in r7."""
    return Draft(
        f"{slug(row)}/{name}",
        what,
        covers(row),
        asm=f"r6 = r1\nr7 = 0\nr8 = {VALUES[8]:#x} ll\nr9 = {VALUES[7]:#x} ll\n{asm}r1 = 0\nr6 = 0\nexit\n",
        observe=("r0", "r7", "r8", "r9"),
        memory=memory,
        errata=("packet-access-undefined",),
    )


_KEEP = "r7 <<= 1\nr7 += r0\n"


def _load(row: Instruction, place: int, imm: int) -> str:
    """Return assembly of a load at offset ``place``: with an index in r2 for IND, with it as imm for ABS."""
    if "src" in row.operands:
        return f"r2 = {place - imm & (1 << 64) - 1:#x} ll\n{line(row, src='2', imm=str(imm))}\n"
    return f"{line(row, imm=str(place))}\n"


def _values(row: Instruction) -> Draft:
    """Boundary values at several offsets."""
    numbers = ("00*4", "ff*4", "80 00*3", "7f ff*3", "81 92 a3 b4")
    asm = "".join(f"{_load(row, 4 * place, 0)}{_KEEP}" for place in range(len(numbers)))
    return _packet(row, "values", "0, the ends of the range, and all ones, added up in r7", asm, " ".join(numbers))


def _places(row: Instruction, name: str, places: tuple[int, ...], size: int) -> Draft:
    asm = "".join(f"{_load(row, place, place)}{_KEEP}" for place in places)
    if "src" in row.operands and name == "places":
        asm += "".join(f"{_load(row, 5, imm)}{_KEEP}" for imm in _REMOTE)
    what = f"{len(places)} places in a packet of {size} bytes, added up in r7"
    return _packet(row, name, what, asm, _content(places, size))


def _content(places: tuple[int, ...], size: int) -> str:
    """Return ``size`` bytes, four different ones at each place and the same everywhere else."""
    text, end = "", 0
    for place in places:
        new = min(place + 4, size) - max(end, place)
        text += f" ee*{place - end}" if place > end else ""
        text += "".join(f" {(37 * (place + 4 - new + n) + 81 * len(text)) % 251 + 1:02x}" for n in range(new))
        end = min(place + 4, size)
    return (f"{text} ee*{size - end}" if size > end else text).strip()


def _indices(row: Instruction) -> Draft:
    """Each register but R6, which is the packet, as index; and indices of more than 32 bits."""
    asm = "".join(f"r{n} = {n + 3}\n{line(row, src=str(n), imm='-1')}\n{_KEEP}" for n in (0, 1, 2, 3, 4, 5, 8, 9))
    asm += f"r8 = r7\nr7 = 2\n{line(row, src='7', imm='1')}\nr7 = r8\n{_KEEP}r8 = {VALUES[8]:#x} ll\n"
    for index, imm in ((0x80000005, -(1 << 31)), (-5, 11), (0x7FFFFFFF, -0x7FFFFFF9)):
        asm += f"r2 = {index & (1 << 64) - 1:#x} ll\n{line(row, src='2', imm=str(imm))}\n{_KEEP}"
    asm += f"r9 = {VALUES[7]:#x} ll\n"
    return _packet(row, "indices", "each register as index, but r6; added up in r7", asm, _CONTENT)
