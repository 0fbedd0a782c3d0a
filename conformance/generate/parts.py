# SPDX-License-Identifier: Apache-2.0
"""Programs with many parts, for :mod:`.packed` and :mod:`.packed_accesses`, and rows that share their text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ...spec.facts import DIVISIONS, SHIFTS, facts
from ...spec.table import Instruction
from .covers import covering
from .draft import Draft, fill, slug
from .registers import VALUES

_FULL = (1 << 64) - 1


class Program:
    """Assembly that keeps the address of the memory in a register; there is a table of numbers, then room for results.

    ``wide`` programs have 64-bit registers; the others have 32-bit ones, and their address stays in r1.
    """

    def __init__(self, *, wide: bool) -> None:
        self.wide = wide
        #: Bytes that a register has.
        self.size = 8 if wide else 4
        #: The register that holds the address.
        self.base = 9 if wide else 1
        self._lines = ["r9 = r1"] if wide else []
        self._at: dict[int, int] = {}
        self._end = 0

    @property
    def registers(self) -> tuple[int, ...]:
        """The registers that parts can use."""
        return tuple(n for n in range(10) if self.wide or n != self.base)

    def name(self, register: int) -> str:
        """Return the register as wide as the program has it."""
        return f"{'r' if self.wide else 'w'}{register}"

    def add(self, *lines: str) -> None:
        """Append instructions."""
        self._lines += lines

    def tabulate(self, numbers: Iterable[int]) -> None:
        """Store numbers, each once, that :meth:`load` can load."""
        for number in dict.fromkeys(number & self._mask for number in numbers):
            at = self._at[number] = self.reserve(self.size)
            if self.wide:
                self.add(f"r0 = {number:#x} ll", f"*(u64 *)(r9 + {at}) = r0")
            else:
                self.add(f"*(u32 *)(r1 + {at}) = {number - (number >> 31 << 32)}")

    @property
    def _mask(self) -> int:
        return (1 << 8 * self.size) - 1

    def spare(self, *used: int) -> None:
        """Move the address to another register if it is in one of ``used``."""
        if self.base in used:
            new = next(n for n in (9, 0, 1, 2) if n not in used)
            self.add(f"r{new} = r{self.base}")
            self.base = new

    def free(self, *used: int) -> int:
        """Return a register that is neither one of ``used`` nor that with the address."""
        return next(n for n in self.registers if n not in (*used, self.base))

    def load(self, register: int, number: int) -> None:
        """Load a number of the table."""
        self.add(f"{self.name(register)} = *(u{8 * self.size} *)(r{self.base} + {self.place_of(number)})")

    def place_of(self, number: int) -> int:
        """Return where a number of the table is."""
        return self._at[number & self._mask]

    def reserve(self, size: int) -> int:
        """Return the offset of bytes for a result."""
        self._end += -self._end % size + size
        return self._end - size

    def store(self, register: int, size: int = 0) -> None:
        """Store a register where nothing else is; ``size`` of its bytes, if it is not 0."""
        size = size or self.size
        self.add(f"*(u{8 * size} *)(r{self.base} + {self.reserve(size)}) = r{register}")

    def finish(self, fill_byte: str = "00") -> tuple[str, str]:
        """Return the assembly, and the memory that it needs."""
        zero = [f"r{n} = 0" for n in self.registers] if self.wide else ["w0 = 0"]
        return "\n".join([*self._lines, *zero, "exit", ""]), f"{fill_byte}*{self._end}"


class Form(NamedTuple):
    """Rows that differ in one place of their assembly: that with a hole ``op``, and what fills it by row."""

    rows: tuple[Instruction, ...]
    text: str
    words: tuple[str, ...]

    @property
    def row(self) -> Instruction:
        """The first of the rows; operands, groups and width of the others are the same."""
        return self.rows[0]

    def line(self, **operands: str) -> str:
        """Return the assembly, with the hole, with the given texts for its operands; see :func:`.draft.line`."""
        return fill(self.text, op="{op}", **operands)


def forms(rows: Iterable[Instruction]) -> Iterator[Form]:
    """Yield ``rows``, together those of the same groups and operands that a program can have in each other's place."""
    found: dict[tuple[str, frozenset[str], int, str], dict[Instruction, str]] = {}
    for row in rows:
        text, word = _with_hole(row.asm[0])
        found.setdefault((text, row.groups, facts(row).width, kind_of_operation(row)), {})[row] = word
    for (text, *_), words in found.items():
        yield Form(tuple(words), text, tuple(words.values()))


def kind_of_operation(row: Instruction) -> str:
    """Return by what the operands are chosen: ``shift``, ``division``, ``signed division``, or none of them."""
    name = str(facts(row).operation)
    if name in SHIFTS:
        return "shift"
    return ("signed division" if name.startswith("s") else "division") if name in DIVISIONS else ""


def _with_hole(asm: str) -> tuple[str, str]:
    """Return an assembly form with the hole ``op``, and what stands there: the first text between two operands."""
    gap = next(found for found in re.finditer(r"(?<=})[^{}]+(?={)", asm) if found[0].strip())
    return f"{asm[: gap.start()]} {{op}} {asm[gap.end() :]}", gap[0].strip()


def beside(program: Program, registers: tuple[int, ...], line: str, kept: Iterable[int] = range(10)) -> None:
    """Append a part after which all other registers must be as they were; those of ``kept`` are compared.

    ``line`` is the instruction, whose operands are ``registers``.
    """
    program.spare(*registers)
    program.add(*(f"r{n} = {VALUES[n]:#x} ll" for n in range(10) if n != program.base), line)
    for n in kept:
        if n != program.base:
            program.store(n)


def draft(form: Form, program: Program, name: str, what: str, fill_byte: str = "00") -> Draft:
    """Return the vector of a program, with a case for each row of the form."""
    asm, memory = program.finish(fill_byte)
    return Draft(
        f"packed/{slug(form.row)}/{name}",
        what,
        covering(form.rows),
        {slug(row): {"op": word} for row, word in zip(form.rows, form.words, strict=True)},
        asm,
        observe=("after",),
        memory=memory,
    )
