# SPDX-License-Identifier: Apache-2.0
"""Parts of the programs about contexts: an instruction of a row with operands, neighbours, and what shows its effects.

The registers of all parts: r9 is the address of the memory, r6 the place of the operands of this iteration. r0 to r4
hold numbers that nothing is known about, r5 is free. The registers of the instruction are in the holes ``{d}`` and
``{s}``; what it writes is seen in ``{o}``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Final, NamedTuple

from ...reference_vm.contexts.kinds import KINDS, kind_of
from ...spec.facts import DIVISIONS, SHIFTS, Kind, facts
from ...spec.table import Instruction, isa
from .draft import line, slug
from .registers import END, stored

#: Pairs of operands. They tell signed from unsigned numbers, 32 from 64 bits, each comparison from the others,
#: also after what :func:`feeding` does with them.
PAIRS: Final = (
    (0x4000_0001_9ABC_DEF3, 0x0000_0001_0000_0021),
    (0xFFFF_FFFF_8765_4321, 0x1234_5678_8765_4321),
    (0xFFFF_FFFF_FFFF_FFF9, 0x0000_0000_0000_0002),
    (0x0100_0000_0000_0018, 0x0300_0000_0000_0000),
    (0x0000_0000_0000_000F, 0x0000_0000_0000_0007),
    (0x0000_0000_0000_0007, 0x0000_0000_0000_0007),
)
#: The most instructions of a program. The memory has a result for each, pairs, a 1, 32 bytes that instructions access,
#: and 8 that neighbours access.
MOST: Final = 12
_PAIRS: Final = 8 * MOST
_ONE: Final = _PAIRS + 16 * len(PAIRS)
ACCESSED: Final = _ONE + 8
BESIDE: Final = ACCESSED + 32
MEMORY: Final = f"00*{BESIDE + 8}"
#: Where an instruction accesses memory, from r9.
_PLACE: Final = ACCESSED + 8


class Part(NamedTuple):
    """An instruction: what sets its operands, itself, and the registers that hold numbers afterwards.

    ``values`` and ``addresses`` are the holes of operands that are numbers and addresses. ``falls`` says that control
    may jump to a label instead; where it does not, it leaves a mark.
    """

    row: Instruction
    imm: str
    before: str
    act: str
    numbers: tuple[str, ...]
    values: tuple[str, ...]
    addresses: tuple[str, ...]
    falls: bool = False

    @property
    def is_seen(self) -> bool:
        """Whether it writes a number into the register of a hole."""
        return bool({"dst", "src"} & self.row.writes)

    @property
    def written(self) -> str:
        """The hole of the number that it writes, or marks."""
        if "src" in self.row.writes:
            return "s"
        return "d" if "dst" in self.row.writes or self.falls else ""


def parts(row: Instruction) -> Iterator[Part]:
    """Yield the parts of ``row``: one, or one for each of several immediates; none if it needs a program of its own."""
    kind = facts(row).kind
    operand = {"d": f"r{{d}} = *(u64 *)(r5 + {_PAIRS})\n", "s": f"r{{s}} = *(u64 *)(r5 + {_PAIRS + 8})\n"}
    base = {hole: f"r{{{hole}}} = r9\n" for hole in "ds"}
    has_src = "src" in row.operands
    if kind in (Kind.ALU, Kind.SWAP):
        for imm in _immediates(row):
            act = line(row, dst="{d}", src="{s}", imm=imm)
            both = ("d", "s") if has_src else ("d",)
            yield Part(row, imm, "".join(operand[hole] for hole in both), f"{act}\n", both, both, ())
    elif kind is Kind.CONSTANT:
        act = line(row, dst="{d}", imm64="0x89abcdef81234567")
        yield Part(row, "", operand["d"], f"{act}\n", ("d",), ("d",), ())
    elif kind is Kind.LOAD:
        act = line(row, dst="{d}", src="{s}", offset=str(_PLACE))
        yield Part(row, "", operand["d"] + base["s"], f"{act}\n", ("d",), (), ("s",))
    elif kind is Kind.STORE:
        act = line(row, dst="{d}", src="{s}", offset=str(_PLACE), imm="-1985229329")
        value = ("s",) if has_src else ()
        yield Part(row, "", base["d"] + "".join(operand[hole] for hole in value), f"{act}\n", value, value, ("d",))
    elif kind is Kind.ATOMIC:
        act = line(row, dst="{d}", src="{s}", offset=str(_PLACE))
        yield Part(row, "", base["d"] + operand["s"], f"{act}\n", ("s", "0") if "r0" in row.writes else ("s",),
                   ("s",), ("d",))  # fmt: skip
    elif kind is Kind.CONDITION:
        for imm in _immediates(row):
            act = line(row, dst="{d}", src="{s}", imm=imm, offset="LABEL")
            both = ("d", "s") if has_src else ("d",)
            yield Part(row, imm, "".join(operand[hole] for hole in both), f"{act}\n", both, both, (), falls=True)
    elif kind is Kind.JUMP:
        yield Part(row, "", operand["d"], f"{line(row, offset='LABEL', imm='LABEL')}\n", ("d",), (), (), falls=True)


def _immediates(row: Instruction) -> Sequence[str]:
    about = facts(row)
    if "imm" not in row.operands:
        return ("0",)
    if about.operation in SHIFTS:
        return ("5",)
    if about.operation in DIVISIONS:
        return ("1", "-7") if about.width == 64 else ("1", "7")
    if about.kind is Kind.CONDITION:
        return ("-2023406815", "7")
    return ("-1985229329",)


def shown(part: Part, result: int) -> str:
    """Assembly that adds the numbers of a part, and of the memory that it accesses, to its result at ``r9 + result``.

    Numbers are added and subtracted in turn: the same error in several pairs, or in two numbers, does not cancel out.
    ``{a}`` is the number of the register with the address of that memory.
    """
    text = f"r5 = *(u64 *)(r9 + {result})\n"
    sources = [_register(part, hole) for hole in part.numbers]
    sources += [f"*(u64 *)(r{{a}} + {_PLACE + by})" for by in (0, 8) if part.addresses]
    for number, source in enumerate(sources):
        register = source if source[0] == "r" else "r1"
        text += "" if register == source else f"r1 = {source}\n"
        text += f"r5 {'+-'[number % 2]}= {register}\n"
    text += f"*(u64 *)(r9 + {result}) = r5\n"
    return f"r{{o}} ^= -1\nLABEL:\n{text}" if part.falls else text


def title(some: Sequence[Part]) -> str:
    """Return the name of parts that share a program."""
    first, last = some[0], some[-1]
    return f"{slug(first.row)}-{_slugged(first)}to-{slug(last.row)}"


def _slugged(part: Part) -> str:
    return f"{part.imm}-".replace("-", "m", 1) if part.imm.startswith("-") else f"{part.imm}-" if part.imm else ""


def _register(part: Part, hole: str) -> str:
    if hole not in "ds":
        return f"r{hole}"
    return f"r{{{'o' if hole == part.written else hole}}}"


def operands(part: Part) -> str:
    """Assembly that puts the pair of this iteration into r0 to r3, and into the memory that ``part`` accesses."""
    text = f"r5 = r9\nr5 += r6\nr0 = *(u64 *)(r5 + {_PAIRS + 8})\nr1 = *(u64 *)(r5 + {_PAIRS})\n"
    text += f"r2 = r0\nr3 = r1\nr4 = *(u64 *)(r9 + {_ONE})\n*(u64 *)(r9 + {BESIDE}) = r1\n"
    accessed = (f"*(u64 *)(r9 + {ACCESSED + by}) = r{1 if by % 16 else 0}\n" for by in range(0, 32, 8))
    return text + "".join(accessed if part.addresses else ())


def loop(body: str, results: int) -> str:
    """Return a program that runs ``body`` for each pair. At the end there are results only, in little-endian order."""
    start = f"r9 = r1\nr1 += {_PAIRS}\n{stored([*chain(*PAIRS), 1], 'r1')}r6 = 0\nagain:\n"
    end = "".join(f"r1 = *(u64 *)(r9 + {8 * n})\nr1 = le64 r1\n*(u64 *)(r9 + {8 * n}) = r1\n" for n in range(results))
    end += "".join(f"*(u64 *)(r9 + {at}) = 0\n" for at in range(_PAIRS, BESIDE + 8, 8))
    return f"{start}{body}r6 += 16\nif r6 != {16 * len(PAIRS)} goto again\n{end}{END}"


def neighbours() -> Mapping[str, str]:
    """Return an instruction of each kind that changes nothing but r2 and the memory beside, by kind.

    Calls are left out: they change r0 to r5.
    """
    found: dict[str, str] = {}
    for row in isa().instructions:
        text = _neighbour(row)
        if text:
            found.setdefault(kind_of(row), text)
    return {kind: found[kind] for kind in KINDS if kind in found}


def _neighbour(row: Instruction) -> str:
    kind = facts(row).kind
    has_src = "src" in row.operands
    match kind:
        case Kind.ALU if has_src or kind_of(row) == "arithmetic64":
            return line(row, dst="2", src="3", imm="77")
        case Kind.SWAP | Kind.CONSTANT:
            return line(row, dst="2", imm64="0x1122334455667788")
        case Kind.LOAD:
            return line(row, dst="2", src="9", offset=str(BESIDE))
        case Kind.STORE | Kind.ATOMIC if "r0" not in row.writes:
            return line(row, dst="9", src="2", offset=str(BESIDE), imm="-77")
        case Kind.CONDITION:
            return line(row, dst="2", src="3", imm="77", offset="+0")
        case Kind.JUMP:
            return line(row, offset="+0", imm="+0")
    return ""


#: Feeding uses operations that keep a number if both are the same, and shifts that make it smaller.
_SUMS: Final = ("+", "-", "^", "<<")


def _by(row: Instruction, same: str) -> str:
    """Return the second register: r4, which is 1, or the one with the same number."""
    return "4" if facts(row).operation in (*SHIFTS, *DIVISIONS, "*") else same


def feeding(hole: str, same: str, place: int) -> Mapping[str, str]:
    """Return an instruction of each kind that sets the register of ``hole``, often to the number in it, by kind.

    ``same`` is another register with that number, ``place`` is where it is in its pair.
    """
    found: dict[str, str] = {}
    for row in isa().instructions:
        match facts(row).kind:
            case Kind.ALU if "src" in row.operands and facts(row).operation not in _SUMS:
                text = line(row, dst=hole, src=_by(row, same))
            case Kind.ALU if facts(row).operation == "negate":
                text = line(row, dst=hole)
            case Kind.SWAP if facts(row).width == 64 and facts(row).operation == "bswap64":
                text = line(row, dst=hole)
            case Kind.LOAD if facts(row).width == (32 if facts(row).extends else 64):
                text = line(row, dst=hole, src="5", offset=str(_PAIRS + place))
            case Kind.ATOMIC if row.writes and "r0" not in row.writes and facts(row).width == 64:
                text = line(row, dst="9", src=hole, offset=str(BESIDE))
            case Kind.CONSTANT:
                text = line(row, dst=hole, imm64="0x89abcdef9edcba98")
            case _:
                continue
        found.setdefault(kind_of(row), text)
    return found


def using(hole: str) -> Mapping[str, str]:
    """Return an instruction of each kind that reads the number in the register of ``hole`` and keeps it, by kind."""
    found: dict[str, str] = {}
    for row in isa().instructions:
        about = facts(row)
        match about.kind:
            case Kind.ALU if "src" in row.operands:
                text = line(row, dst="2", src=hole)
            case Kind.SWAP if about.width == 64:
                text = line(row, dst=hole)
            case Kind.STORE if "src" in row.operands:
                text = line(row, dst="9", src=hole, offset=str(BESIDE))
            case Kind.ATOMIC if not row.writes:
                text = line(row, dst="9", src=hole, offset=str(BESIDE))
            case Kind.ATOMIC if "r0" in row.writes:
                text = line(row, dst="9", src=hole, offset=str(BESIDE))
            case Kind.CONDITION if "src" in row.operands:
                text = line(row, dst=hole, src="3", offset="+0")
            case _:
                continue
        found.setdefault(kind_of(row), text)
    return found
