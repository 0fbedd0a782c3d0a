# SPDX-License-Identifier: Apache-2.0
"""Every instruction that writes a register, with operands with which it is tested in many surroundings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...spec.facts import DIVISIONS, SHIFTS, Facts, Kind, facts
from ...spec.table import Instruction, isa
from .draft import line, slug

#: Numbers for writers: the old value of the register that is written, the other operand, and what is in memory. With
#: the bytes reversed they are as good.
NUMBERS = (
    "830000f0a5a5a5a5 05000000f0e1d2c3 830000f0 a5c2a5a5",
    "0100007c8d7c6b5a f0ffffff3c2d1e8f f0ff7f7c 0100007c",
    "00000080ffffffff 0100000001000000 01000080 00000080",
    "0900000001000000 03000080ffffff7f 91808283 09000000",
    "f0debc9a78563412 20000000efbeadde f0debc9a 20000000",
)
#: The number of their bytes, and where the words in memory are that writers read.
BYTES, WORD, EQUAL = 24, 16, 20
#: The immediate with which an operation has no effect, but that it may extend.
_NEUTRAL: Mapping[str, int] = {
    "+": 0, "-": 0, "|": 0, "^": 0, "&": -1, "<<": 0, ">>": 0, "s>>": 0, "*": 1, "/": 1, "s/": 1
}  # fmt: skip
#: Of an operation on 32 bits or fewer, the result is as wide, or extended from there.
_NARROW = 32


@dataclass(frozen=True, slots=True)
class Writer:
    """An instruction that writes a register, with three choices of operands, of which the last one is special.

    The choices are assembly in which registers are named by their roles: T is written, S is another operand, P the
    address of the numbers in T and S, and of two words behind them; the second one is the lower half of T. ``in_r0``
    says that T can only be R0.
    """

    row: Instruction
    choices: tuple[str, str, str]
    in_r0: bool = False

    @property
    def name(self) -> str:
        """The name of the row, as ids have it."""
        return slug(self.row)

    @property
    def atomic(self) -> bool:
        """Whether the instruction changes memory."""
        return facts(self.row).locked

    @property
    def narrow(self) -> bool:
        """Whether 32 bits or fewer determine what is written."""
        what = facts(self.row)
        return what.width <= _NARROW or bool(what.extends)

    def on(self, target: int, source: int, pair: int) -> tuple[str, str, str]:
        """Return the choices with these registers in the roles."""
        first, second, special = (roles(text, T=target, S=source, P=pair) for text in self.choices)
        return first, second, special


def roles(text: str, **registers: int | str) -> str:
    """Return ``text`` with registers for their roles: ``rT`` and ``wT`` become ``r3`` and ``w3``."""
    for name, register in registers.items():
        for prefix in ("r", "w"):
            text = text.replace(f"{prefix}{name}", f"{prefix}{register}")
    return text


def writers() -> Iterator[Writer]:
    """Yield the instructions that write a register and need no more of the platform than memory."""
    for row in isa().instructions:
        what = facts(row)
        if what.kind in (Kind.ALU, Kind.SWAP):
            yield _computing(row, what)
        elif what.kind is Kind.LOAD:
            yield Writer(row, (line(row, dst="T", src="P", offset=str(WORD)),) * 3)
        elif what.kind is Kind.CONSTANT:
            yield Writer(row, (line(row, dst="T", imm64="0xfedcba9876543210"),) * 3)
        elif what.kind is Kind.ATOMIC and "r0" in row.writes:
            # The word in memory is what R0 holds, or another number; it stays as it is.
            equal = EQUAL if what.width == _NARROW else 0
            texts = [line(row, dst="P", src="0", offset=str(offset)) for offset in (equal, WORD)]
            yield Writer(row, (texts[0], texts[1], texts[0]), in_r0=True)
        elif what.kind is Kind.ATOMIC and "src" in row.writes:
            yield Writer(row, (line(row, dst="P", src="T", offset=str(WORD)),) * 3)


def _computing(row: Instruction, what: Facts) -> Writer:
    if "imm" in row.operands:
        first, second, special = (line(row, dst="T", imm=str(number)) for number in _immediates(what))
        return Writer(row, (first, second, special))
    text = line(row, dst="T", src="S")
    return Writer(row, (text, text, line(row, dst="T", src="T")))


def _immediates(what: Facts) -> tuple[int, int, int]:
    operation = what.operation or ""
    first, second = (3, 31) if operation in SHIFTS else (3, -7) if operation in DIVISIONS else (77, -7)
    return first, second, _NEUTRAL.get(operation, first)


def prepared(numbers: str, source: str, target: str) -> str:
    """Return what prepares the words for atomic operations: one is the source, one the old value of the target."""
    return f"*(u32 *)(r{numbers} + {WORD}) = r{source}; *(u32 *)(r{numbers} + {EQUAL}) = r{target}"


def on_lines(parts: str, place: int = 0) -> str:
    """Return a line for each of ``parts``, which ; separates, with ``place`` for # in it."""
    lines = (part.strip().replace("#", str(place)) for part in parts.split(";"))
    return "".join(f"{line}\n" for line in lines if line)
