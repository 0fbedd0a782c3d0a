# SPDX-License-Identifier: Apache-2.0
"""Atomic operations (RFC 9669 section 5.3), one thread: results, fetched values, adjacent bytes, registers, offsets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...spec.facts import Kind, facts
from ...spec.table import Instruction, isa
from .boundaries import edges, hexed, signed
from .covers import covers
from .draft import Draft, line, slug
from .memory import BASE_OFFSETS, address_in, other_than_r1
from .registers import ALL, PATTERN, VALUES, prologue

_OPERANDS: Mapping[str, int] = {
    "0": 0,
    "1": 1,
    "m1": 0xFFFFFFFFFFFFFFFF,
    "2p31": 0x80000000,
    "s64min": 0x8000000000000000,
    "pos-neg": 0x123456789ABCDEF0,
}
#: Displacements that an access can carry, at the limits of the field and of 8, 9, 12 and 13 bits.
_OFFSETS = (
    *(-32768, -32760, -4097, -4096, -2049, -2048, -257, -256, -136, -129, -128, -8, -1),
    *(0, 1, 8, 120, 127, 128, 255, 256, 2047, 2048, 4095, 4096, 32760, 32767),
)


def drafts() -> Iterator[Draft]:
    """Yield the vectors of all atomic operations."""
    for row in isa().instructions:
        if facts(row).kind is not Kind.ATOMIC or not facts(row).operation:
            continue
        yield _operands(row)
        yield _neighbours(row)
        yield _register_pairs(row)
        if _fetches_narrow(row) or _compares(row):
            yield _operand_afterwards(row)
        yield _one_register(row)
        yield _offsets(row)
        yield _base_offsets(row)
        yield _on_the_stack(row)
        if _compares(row):
            yield _comparison(row)
            yield _r0_as_base(row)
            yield _r0_everywhere(row)
        if "atomic32" in row.groups:
            yield _base32_only(row)


def _compares(row: Instruction) -> bool:
    """Whether the row is CMPXCHG: the RFC does not specify its operand afterwards (erratum cmpxchg-and-fetch)."""
    return facts(row).operation == "compare-exchange"


def _fetches_narrow(row: Instruction) -> bool:
    """Whether the row fetches 32 bits to its operand.

    The RFC does not specify the upper half (erratum fetch32-zero-extends).
    """
    return "src" in row.writes and facts(row).width == 32


def _settled(row: Instruction, operand: str) -> str:
    """Return assembly before an operation that makes its result independent of what the RFC does not specify."""
    if _fetches_narrow(row):
        return f"w{operand} = w{operand}\n"
    return "w0 = w0\n" if _compares(row) and facts(row).width == 32 else ""


def _value(row: Instruction, number: int) -> int:
    """Return ``number`` as an operand; if 32 bits are fetched into it, its upper half is clear."""
    return number & 0xFFFFFFFF if _fetches_narrow(row) else number


def _visible(row: Instruction, *registers: str) -> tuple[str, ...]:
    """Return those of ``registers`` that are compared; not the operand r3 of CMPXCHG."""
    return tuple(name for name in registers if name != "r3" or not _compares(row))


def _store(row: Instruction, base: str, value: str) -> str:
    """A plain store that prepares the memory, in the width of the operation."""
    return f"*({_width(row)} *)(r{base} + 8) = r{value}"


def _width(row: Instruction) -> str:
    """Return the type of the operand in memory."""
    return f"u{facts(row).width}"


def _operands(row: Instruction) -> Draft:
    """Return all operands with all values in memory; r0, the operand and the memory are compared.

    What is beside the operand was stored in its width too: so the same numbers come out in both byte orders.
    """
    cases = {f"{a}_{b}": {"mem": hexed(x), "val": hexed(y)} for a, x in _OPERANDS.items() for b, y in _OPERANDS.items()}
    # The fetched value is the old value in memory, for each operation.
    if "src" in row.writes:
        operand = hexed(_value(row, VALUES[4]))
        cases |= {f"{value:x}_r4": {"mem": hexed(value), "val": operand} for value in edges(facts(row).width)}
    else:
        cases["max_r4"] = {"mem": hexed((1 << facts(row).width - 1) - 1), "val": hexed(VALUES[4])}
    cases |= {f"r5_{value:x}": {"mem": hexed(VALUES[5]), "val": hexed(value)} for value in edges(facts(row).width)}
    kind, size = _width(row), facts(row).width // 8
    asm = (
        f"r6 = r1\nr3 = {{mem}} ll\n{_store(row, '6', '3')}\n*({kind} *)(r6 + {8 - size}) = 0x11223344\n"
        f"*({kind} *)(r6 + {8 + size}) = 0x6f5e4d3c\nr3 = {{val}} ll\nr0 = {VALUES[0]:#x} ll\n"
        f"{line(row, dst='6', src='3', offset='8')}\nr4 = *({kind} *)(r6 + 8)\nr5 = *({kind} *)(r6 + {8 + size})\n"
        f"r6 = *({kind} *)(r6 + {8 - size})\nr5 += r6\nexit\n"
    )
    what = (
        "boundary values: what the registers hold, r4 the result in memory, r5 the sum of what is on either side of it"
    )
    observe = _visible(row, "r0", "r3", "r4", "r5")
    return Draft(f"{slug(row)}/operands", what, covers(row), cases, asm, observe=observe, memory=PATTERN)


def _neighbours(row: Instruction) -> Draft:
    """Carries and stores change the bytes of the operand only, at each aligned address."""
    cases = {f"at{at}": {"off": str(at)} for at in range(0, 24 - facts(row).width // 8 + 1, facts(row).width // 8)}
    number = hexed(_value(row, 0xFFFFFFFFFFFFFFFF))
    asm = f"r3 = {number} ll\nr0 = 0\n{line(row, dst='1', src='3', offset='{off}')}\nexit\n"
    what = "no byte beside the operand changes"
    found = (*covers(row), "rfc9669-5.3-address")
    observe = _visible(row, "r0", "r3", "after")
    return Draft(f"{slug(row)}/neighbours", what, found, cases, asm, observe=observe, memory=PATTERN)


def _register_pairs(row: Instruction) -> Draft:
    """Base and operand in every pair of registers, r0 in each role; all registers are compared."""
    cases = {
        f"r{base}_r{value}": {"b": str(base), "v": str(value), "o": other_than_r1(base)}
        for base in range(1 if _compares(row) else 0, 10)
        for value in range(10)
        if base != value
    }
    if _compares(row):
        # The operand is not compared; if it is R0, which receives the old value, another register is not.
        for values in cases.values():
            values["z"] = next(n for n in (values["v"], "9", "8") if n not in ("0", values["b"]))
    what = "each register as base and as operand; no other register changes, and the base is loaded from memory"
    return _on_pairs(row, "registers", what, cases, _settled(row, "{v}"), "r{z} = 0\n" if _compares(row) else "")


def _operand_afterwards(row: Instruction) -> Draft:
    """Each register as operand, whose final value depends on how the RFC is read."""
    cases = {
        f"r{value}": {"b": str(value % 9 + 1), "v": str(value), "o": other_than_r1(value % 9 + 1)}
        for value in range(1 if _compares(row) else 0, 10)
    }
    what = "each register as operand: all of it is replaced" if _fetches_narrow(row) else "the operand stays as it was"
    return _on_pairs(row, "operand-afterwards", what, cases, "", "")


def _on_pairs(
    row: Instruction, name: str, what: str, cases: Mapping[str, Mapping[str, str]], before: str, after: str
) -> Draft:
    # Memory holds R0, so that CMPXCHG stores its operand. In the end the base receives what is in memory.
    kind = _width(row)
    store = _store(row, "{b}", "0") if _compares(row) else f"*({kind} *)(r{{b}} + 8) = 0x76789abc"
    asm = (
        f"{address_in('{b}')}{store}\n{before}{line(row, dst='{b}', src='{v}', offset='8')}\n"
        f"r{{b}} = *({kind} *)(r{{b}} + 8)\n{after}exit\n"
    )
    return Draft(f"{slug(row)}/{name}", what, covers(row), cases, asm, observe=ALL, memory=PATTERN)


def _on_the_stack(row: Instruction) -> Draft:
    """R10 as base, with each register as operand; then all registers and the results are stored."""
    below = {n: 8 * (n + 1) for n in range(10)}
    fill = "".join(f"r0 = {VALUES[n] ^ (0x8181 << 16):#x} ll\n*(u64 *)(r10 - {at}) = r0\n" for n, at in below.items())
    act = "".join(f"{line(row, dst='10', src=str(n), offset=str(-at))}\n" for n, at in below.items())
    keep = "".join(f"*(u64 *)(r9 + {8 * n}) = r{n}\n" for n in range(9))
    keep += "r0 = *(u64 *)(r10 - 96)\n*(u64 *)(r9 + 72) = r0\n"
    keep += "".join(f"r0 = *(u64 *)(r10 - {at})\n*(u64 *)(r9 + {80 + 8 * n}) = r0\n" for n, at in below.items())
    asm = (
        f"*(u64 *)(r10 - 88) = r1\n{fill}{prologue()}{_match_on_the_stack(row)}{act}"
        f"*(u64 *)(r10 - 96) = r9\nr9 = *(u64 *)(r10 - 88)\n{keep}r9 = 0\nexit\n"
    )
    what = "on the stack with each register as operand: r0 to r9 and ten operands are in the memory afterwards"
    return Draft(
        f"{slug(row)}/stack",
        what,
        covers(row),
        {"r0-to-r9": {}},
        asm,
        observe=("after",),
        memory="00*160",
        errata=("stack-and-call-depth",),
    )


def _match_on_the_stack(row: Instruction) -> str:
    """Return stores for CMPXCHG after which R0 matches for the operands r1 to r4."""
    if not _compares(row):
        return ""
    return "".join(f"*({_width(row)} *)(r10 + {-8 * (n + 1)}) = r0\n" for n in (1, 2, 3, 4))


def _one_register(row: Instruction) -> Draft:
    """One register as base and as operand.

    The operand is an address, which differs from run to run: r0 is the difference between the value in memory and the
    result of ordinary instructions with the same operands, r1 the register itself, relative to the address if it must
    be unchanged.
    """
    load, store = f"r7 = *({_width(row)} *)(r6 + 8)", _store(row, "6", "8")
    asm = (
        f"r6 = r1\nr8 = {VALUES[6]:#x} ll\n{store}\n{load}\nr0 = r7\nr{{b}} = r6\n"
        f"{line(row, dst='{b}', src='{b}', offset='8')}\n{load}\n{line(ordinary(row), dst='8', src='6')}\n"
        f"r1 = r{{b}}\n{'' if 'src' in row.writes else 'r1 -= r6'}\nr7 -= r8\nr0 = r7\nexit\n"
    )
    cases = {f"r{n}": {"b": str(n)} for n in (0, 1, 2, 3, 4, 5, 9) if n or not _compares(row)}
    what = "one register as base and as operand: the address is used before the register is written"
    return Draft(f"{slug(row)}/same-register", what, covers(row), cases, asm, observe=("r0", "r1"), memory=PATTERN)


def ordinary(row: Instruction) -> Instruction:
    """Return the register instruction with the operation of an atomic one; a move for an exchange."""
    what = facts(row)
    operation = "move" if what.operation in ("exchange", "compare-exchange") else what.operation
    wanted = (Kind.ALU, operation, what.width)
    return next(other for other in isa().instructions if facts(other)[:3] == wanted and "src" in other.operands)


def _comparison(row: Instruction) -> Draft:
    """CMPXCHG: match and mismatch, with differences only inside or only outside of the width."""
    value = VALUES[5]
    changes = {"equal": 0, "bit0": 1, "bit31": 1 << 31, "bit32": 1 << 32, "bit63": 1 << 63, "all": (1 << 64) - 1}
    changes["upper-half"] = 0xFFFFFFFF00000000
    changes["lower-half"] = 0x00000000FFFFFFFF
    cases = {
        f"{name}_{operand}": {"r0in": hexed(value ^ change), "val": hexed(number)}
        for name, change in changes.items()
        for operand, number in (("pos-neg", _OPERANDS["pos-neg"]), ("same", value), ("0", 0))
    }
    asm = (
        f"r6 = r1\nr8 = {value:#x} ll\n*(u64 *)(r6 + 8) = r8\nr0 = {{r0in}} ll\nr3 = {{val}} ll\n"
        f"{line(row, dst='6', src='3', offset='8')}\nr6 = 0\nexit\n"
    )
    found = (*covers(row), "rfc9669-5.3-cmpxchg-mismatch")
    what = "stored only if R0 matches in the width of the operation; R0 receives the old value in either case"
    return Draft(f"{slug(row)}/comparison", what, found, cases, asm, observe=("r0", "r3", "after"), memory=PATTERN)


def _r0_as_base(row: Instruction) -> Draft:
    """CMPXCHG with R0 as base: memory holds the address itself, and is compared with it.

    r0 is the stored value, r1 the difference of R0 and the address in the width of the operation: 0.
    """
    cut, kind = "w7 = w7\n" if facts(row).width == 32 else "", _width(row)
    asm = (
        f"r6 = r1\nr0 = r6\nr0 += {{adjust}}\n*({kind} *)(r6 + 8) = r0\nr7 = r0\nr{{v}} = {VALUES[8]:#x} ll\n"
        f"{line(row, dst='0', src='{v}', offset='{off}')}\nr1 = r0\n"
        f"{cut}r1 -= r7\nr0 = *({kind} *)(r6 + 8)\nexit\n"
    )
    cases = {f"r{n}": {"v": str(n), "off": "8", "adjust": "0"} for n in (1, 2, 3, 4, 5, 9)}
    for offset in (0, -128, 128, 4096):
        cases[signed(offset)] = {"v": "2", "off": str(offset), "adjust": str(8 - offset)}
    what = "R0 as base, matching: the address is used before R0 receives the old value"
    return Draft(f"{slug(row)}/r0-base", what, covers(row), cases, asm, observe=("r0", "r1"), memory=PATTERN)


def _r0_everywhere(row: Instruction) -> Draft:
    """CMPXCHG with R0 as base and operand, on memory that does not match: nothing is stored, R0 is replaced."""
    asm = (
        f"r6 = r1\nr8 = {VALUES[5]:#x} ll\n*(u64 *)(r6 + 8) = r8\nr0 = r6\n"
        f"{line(row, dst='0', src='0', offset='8')}\nr6 = 0\nexit\n"
    )
    what, cases = "R0 as base and as operand", {"mismatch": dict[str, str]()}
    return Draft(f"{slug(row)}/r0-everywhere", what, covers(row), cases, asm, observe=("r0", "after"), memory=PATTERN)


def _offsets(row: Instruction) -> Draft:
    """The base register is moved against the offset, so that each offset reaches the same bytes."""
    cases = {signed(offset): {"off": str(offset), "base": str(8 - offset)} for offset in _OFFSETS}
    kind = _width(row)
    asm = (
        f"r6 = r1\n*({kind} *)(r6 + 8) = 0x76789abc\nr6 += {{base}}\nr3 = {_value(row, VALUES[4]):#x} ll\nr0 = 0\n"
        f"{line(row, dst='6', src='3', offset='{off}')}\nr4 = *({kind} *)(r1 + 8)\nr6 = 0\nexit\n"
    )
    what = "offsets at the limits of their field and of fewer bits; r4 is what is in memory"
    found = (*covers(row), "rfc9669-5.3-address", "rfc9669-3.1-offset-signed")
    return Draft(
        f"{slug(row)}/offsets", what, found, cases, asm, observe=_visible(row, "r0", "r3", "r4"), memory=PATTERN
    )


def _base_offsets(row: Instruction) -> Draft:
    """Each base register with displacements of each size; CMPXCHG on R0 is :func:`_r0_as_base`'s."""
    cases = {
        f"r{base}_{signed(offset)}": {
            "b": str(base),
            "o": other_than_r1(base),
            "v": "2" if base == 1 else "1",
            "off": str(offset),
            "adjust": str(8 - offset),
        }
        for base in range(1 if _compares(row) else 0, 10)
        for offset in BASE_OFFSETS
    }
    kind = _width(row)
    asm = (
        f"{address_in('{b}')}*({kind} *)(r{{b}} + 8) = 77\n{_settled(row, '{v}')}r{{b}} += {{adjust}}\n"
        f"{line(row, dst='{b}', src='{v}', offset='{off}')}\nr{{b}} -= {{adjust}}\n"
        f"r{{b}} = *({kind} *)(r{{b}} + 8)\n{'r{v} = 0' if _compares(row) else ''}\nexit\n"
    )
    what = "each base register with displacements of each size; in the end the base is loaded from memory"
    found = (*covers(row), "rfc9669-5.3-address")
    return Draft(f"{slug(row)}/base-offsets", what, found, cases, asm, observe=ALL, memory=PATTERN)


def _base32_only(row: Instruction) -> Draft:
    """Programs of base32 and atomic32 instructions only."""
    numbers = ("0", "1", "-1", "0x7fffffff", "-2147483648", "0x12345678")
    cases = {f"op{index}": {"val": number} for index, number in enumerate(numbers)}
    cases["match"] = {"val": "0x11223344"}
    # CMPXCHG matches in the last case only: there R0 is what is in memory.
    asm = (
        "w0 = 0x11223344\nw3 = {val}\nif w3 == 0x11223344 goto matching\nw0 = 5\nmatching:\n"
        "w4 = 0x11223344\n*(u32 *)(r1 + 8) = r4\n"
        f"{line(row, dst='1', src='3', offset='8')}\n"
        "if w0 != 0x11223344 goto done\nw0 = w3\ndone:\nexit\n"
    )
    what = "in a program of 32-bit instructions only"
    return Draft(f"{slug(row)}/base32", what, covers(row), cases, asm, observe=("r0", "after"), memory=PATTERN)
