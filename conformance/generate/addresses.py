# SPDX-License-Identifier: Apache-2.0
"""R10 in every role, and addresses as operands.

Addresses differ from run to run. So each result is compared with that for a copy of the address in another register,
and vectors expect their difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...spec.facts import Kind, facts
from ...spec.table import Instruction, isa
from . import atomics, jumps
from .covers import covers
from .draft import Draft, line, slug
from .registers import ALL, VALUES

#: At the end no register holds an address.
_NUMBERS = "".join(f"r{n} = {n}\n" for n in range(10))


def drafts() -> Iterator[Draft]:
    """Yield the vectors of conditional jumps, loads, stores and atomic operations."""
    conditions = jumps.known_conditions()
    for row in isa().instructions:
        what = facts(row)
        if row in conditions:
            yield _immediate_condition(row) if "imm" in row.operands else _condition(row)
        elif what.kind is Kind.LOAD:
            yield _load_from_stack(row)
        elif what.kind is Kind.STORE and "src" in row.operands:
            yield _store_on_stack(row)
            yield _store_own_address(row)
            yield _store_frame_pointer(row)
        elif what.kind is Kind.ATOMIC and what.operation:
            yield _atomic_addresses(row)
            if "r0" in row.writes:
                yield _exchange_on_stack(row)


def _condition(row: Instruction) -> Draft:
    """R10 against a copy of it in each register, on either side, and against itself."""
    asm = f"{_NUMBERS}r{{m}} = 0\nr{{n}} = r10\n"
    for bit, (dst, src) in enumerate((("10", "{n}"), ("{n}", "10"), ("10", "10"))):
        asm += f"{line(row, dst=dst, src=src, offset='+1')}\nr{{m}} += {1 << bit}\n"
    cases = {f"r{n}": {"n": str(n), "m": "0" if n else "9"} for n in range(10)}
    what = "r10 against a copy of it, on either side, and against itself: a bit of r0 for each jump that was not taken"
    found = (*covers(row), "rfc9669-3.1-dst-reg-range", "rfc9669-3.1-src-reg-range")
    return Draft(f"{slug(row)}/r10", what, found, cases, f"{asm}r{{n}} = 7\nr0 = r{{m}}\nexit\n")


def _immediate_condition(row: Instruction) -> Draft:
    """R10 and a copy of it give the same condition for any value; then numbers for which the condition is known."""
    asm = "r0 = 0\nr3 = r10\n"
    for number in (0, -1, 512):
        for register, step in (("10", "+= 1"), ("3", "-= 1")):
            asm += f"{line(row, dst=register, imm=str(number), offset='+1')}\nr0 {step}\n"
    for (value, number), weight in zip(jumps.HOLDS[str(facts(row).operation)], (16, 32), strict=True):
        asm += f"r3 = {value}\n{line(row, dst='3', imm=str(number), offset='+1')}\nr0 += {weight}\n"
    what = "r10 against numbers: as often taken as with a copy of it"
    found = (*covers(row), "rfc9669-3.1-dst-reg-range")
    return Draft(f"{slug(row)}/r10", what, found, asm=f"{asm}exit\n")


def _load_from_stack(row: Instruction) -> Draft:
    fill = "".join(f"r0 = {value:#x} ll\n*(u64 *)(r10 - {8 * n + 8}) = r0\n" for n, value in enumerate(VALUES))
    loads = "".join(f"{line(row, dst=str(n), src='10', offset=str(-8 * n - 8))}\n" for n in range(10))
    what = "from the stack into each register"
    return _draft(
        row,
        "on-the-stack",
        what,
        f"{fill}{loads}exit\n",
    )


def _store_own_address(row: Instruction) -> Draft:
    """The base itself is stored: the difference to a copy of it stored through another base."""
    own = line(row, dst="{b}", src="{b}", offset="8")
    copy = line(row, dst="{p}", src="{q}", offset="0")
    asm = (
        f"r{{b}} = r1\nr{{p}} = r{{b}}\nr{{q}} = r{{b}}\n{own}\n{copy}\n"
        "r{b} = *(u64 *)(r{p} + 0)\nr{q} = *(u64 *)(r{p} + 8)\nr{b} ^= r{q}\n"
        f"*(u64 *)(r{{p}} + 0) = r{{b}}\n*(u64 *)(r{{p}} + 8) = 0\n{_NUMBERS}exit\n"
    )
    cases = {f"r{n}": {"b": str(n), "p": "8" if n == 9 else "9", "q": "1" if n == 0 else "0"} for n in range(10)}
    what = "the base itself: what differs from a copy of it, stored through another base, is in memory"
    return _draft(row, "own-address", what, asm, cases, memory="11*8 22*8")


def _store_frame_pointer(row: Instruction) -> Draft:
    """R10 through each base, r10 among them: the differences to copies of it are in memory."""
    texts = []
    for n in range(10):
        p, copy = [r for r in (9, 8, 7) if r != n][:2]
        own = line(row, dst=str(n), src="10", offset="0")
        other = line(row, dst=str(p), src=str(copy), offset="8")
        texts.append(
            f"r{p} = *(u64 *)(r10 - 8)\nr{n} = r{p}\nr{copy} = r10\n{own}\n{other}\n"
            f"r{n} = *(u64 *)(r{p} + 0)\nr{copy} = *(u64 *)(r{p} + 8)\nr{n} ^= r{copy}\n"
            f"*(u64 *)(r{p} + {16 + 8 * n}) = r{n}\n"
        )
    both = f"{line(row, dst='10', src='10', offset='-16')}\nr3 = r10\n{line(row, dst='10', src='3', offset='-24')}\n"
    asm = (
        f"*(u64 *)(r10 - 8) = r1\n*(u64 *)(r10 - 16) = 1\n*(u64 *)(r10 - 24) = 0\n{''.join(texts)}{both}"
        "r3 = *(u64 *)(r10 - 16)\nr4 = *(u64 *)(r10 - 24)\nr3 ^= r4\nr5 = *(u64 *)(r10 - 8)\n*(u64 *)(r5 + 96) = r3\n"
        "*(u64 *)(r5 + 0) = 0\n*(u64 *)(r5 + 8) = 0\n" + "".join(f"r{n} = {n}\n" for n in range(10)) + "exit\n"
    )
    what = "r10 through each base: what differs from a copy of it is in memory, for r0 at the 16th byte"
    return _draft(
        row,
        "r10",
        what,
        asm,
        memory="11*8 22*8 00*88",
    )


def _store_on_stack(row: Instruction) -> Draft:
    fill = "".join(f"*(u64 *)(r10 - {8 * n + 8}) = -1515870811\n" for n in range(10))
    setting = "".join(f"r{n} = {value:#x} ll\n" for n, value in enumerate(VALUES))
    stores = "".join(f"{line(row, dst='10', src=str(n), offset=str(-8 * n - 8))}\n" for n in range(10))
    loads = "".join(f"r{n} = *(u64 *)(r10 - {8 * n + 8})\n" for n in range(10))
    what = "to the stack from each register; then each register is loaded from there"
    return _draft(
        row,
        "on-the-stack",
        what,
        f"{fill}{setting}{stores}{loads}exit\n",
    )


def _atomic_addresses(row: Instruction) -> Draft:
    """Addresses as operands: R10 through each base, each base itself, and for CMPXCHG each operand through R0.

    The stored value is compared with the result of ordinary instructions with the same operands, the value of R0 or the
    operand afterwards with the old value in memory.
    """
    exchanges, fetches = "r0" in row.writes, "src" in row.writes
    pairs = [(n, n) for n in range(1 if exchanges else 0, 10)]
    if not fetches:
        pairs += [(n, 10) for n in range(1 if exchanges else 0, 11)]
    if exchanges:
        pairs += [(0, n) for n in range(11)]
    texts = [_atomic_address(row, base, operand, 16 + 16 * place) for place, (base, operand) in enumerate(pairs)]
    asm = (
        f"*(u64 *)(r10 - 8) = r1\n{''.join(texts)}r9 = *(u64 *)(r10 - 8)\n*(u64 *)(r9 + 0) = 0\n"
        f"*(u64 *)(r9 + 8) = 0\n{_NUMBERS}exit\n"
    )
    what = f"{len(pairs)} pairs of registers, where addresses are operands: what differs from ordinary instructions"
    return _draft(
        row,
        "addresses",
        what,
        asm,
        memory=f"00*{16 + 16 * len(pairs)}",
    )


def _atomic_address(row: Instruction, base: int, operand: int, kept: int) -> str:
    """Assembly of one operation with base and operand in these registers; its results are stored at ``kept``."""
    bits = facts(row).width
    exchanges, fetches = "r0" in row.writes, "src" in row.writes
    p, t, plain = [n for n in (9, 8, 7, 6, 5) if n not in (base, operand)][:3]
    place = f"(r{p} + 0)" if base < 10 else "(r10 - 16)"
    address = "r10" if operand == 10 else f"r{p}"
    lines = [f"r{p} = *(u64 *)(r10 - 8)"]
    if operand not in (base, 10):
        lines.append(f"r{operand} = {VALUES[operand]:#x} ll")
    lines.append(f"r{plain} = r{p}" if exchanges and base == 0 else f"r{plain} = {VALUES[6]:#x} ll")
    lines.append(f"*(u{bits} *){place} = r{plain}")
    if base < 10:
        lines.append(f"r{base} = r{p}")
    if exchanges and base:
        lines.append(f"r0 = r{plain}")
    lines.append(line(row, dst=str(base), src=str(operand), offset="0" if base < 10 else "-16"))
    # If the operand is overwritten, its old value: the address.
    source = address if operand in (base, 10) else f"r{operand}"
    result = "0" if exchanges else str(operand)
    lines += [f"r{t} = r{result}"]
    if exchanges or fetches:
        lines += [f"w{plain} = w{plain}"] if bits == 32 else []
        lines += [f"r{t} -= r{plain}"]
    else:
        lines += [f"r{t} -= {address}"]
    lines += [f"*(u64 *)(r{p} + {kept}) = r{t}"]
    lines += [line(atomics.ordinary(row), dst=str(plain), src=source.removeprefix("r"))]
    lines += [f"r{t} = *(u{bits} *){place}", f"r{t} -= r{plain}", f"*(u64 *)(r{p} + {kept + 8}) = r{t}"]
    return "\n".join(lines) + "\n"


def _exchange_on_stack(row: Instruction) -> Draft:
    """CMPXCHG with R10 as base and each operand: the final R0 and the stored value, one after the other."""
    bits = facts(row).width
    text = ""
    for n in range(10):
        p, t = [number for number in (9, 8, 7) if number != n][:2]
        text += (
            f"r{p} = *(u64 *)(r10 - 8)\nr{t} = {VALUES[(n + 3) % 10]:#x} ll\n*(u{bits} *)(r10 - 16) = r{t}\n"
            f"r{n} = {VALUES[n]:#x} ll\nr0 = r{t}\n{line(row, dst='10', src=str(n), offset='-16')}\n"
            f"*(u64 *)(r{p} + {16 * n}) = r0\nr{t} = *(u64 *)(r10 - 16)\n*(u64 *)(r{p} + {16 * n + 8}) = r{t}\n"
        )
    asm = f"*(u64 *)(r10 - 8) = r1\n*(u64 *)(r10 - 16) = 0\n{text}{_NUMBERS}exit\n"
    what = "on the stack with each register as operand: R0 and what is stored, one after the other in memory"
    return _draft(row, "on-the-stack", what, asm, memory="00*160")


def _draft(
    row: Instruction,
    name: str,
    what: str,
    asm: str,
    cases: Mapping[str, Mapping[str, str]] | None = None,
    *,
    memory: str | None = None,
) -> Draft:
    stack = "r10" in asm
    return Draft(
        f"{slug(row)}/{name}",
        what,
        (*covers(row), "rfc9669-3.1-dst-reg-range", "rfc9669-3.1-src-reg-range"),
        cases or {"all": {}},
        asm,
        observe=ALL if memory is None else (*ALL, "after"),
        memory=memory,
        errata=("stack-and-call-depth",) if stack else (),
    )
