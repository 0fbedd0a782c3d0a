# SPDX-License-Identifier: Apache-2.0
"""Mutants: rows of the table with a fault in their meaning.

A mutant represents a runtime that is correct except for one instruction. Its fault may be limited to some encodings of
the instruction (``when``), for example those in which dst and src are the same register.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, NamedTuple, cast

from ...reference_vm.contexts.fields import Condition
from ...spec import tree as t
from ...spec.encoding import Decoded
from ...spec.table import Instruction
from ...spec.unparse import render
from .build import total


class Shift(NamedTuple):
    """A fault in selecting a register: its number is that of the operand ``name`` plus ``by``."""

    name: Literal["dst", "src", "r0"]
    by: int
    access: Literal["read", "write"]


#: Number of registers that a program can write: R10 is read-only (section 2.1). Shifted numbers wrap around at R9.
WRITABLE = 10


@dataclass(frozen=True, slots=True, eq=False)
class Mutant:
    """A fault in the meaning of ``row``.

    ``family`` is the kind of fault, by which mutants are counted; ``what`` describes the fault. ``means`` is the faulty
    meaning, for encodings that pass all of ``when``, with ``shift`` applied to its registers.
    """

    row: Instruction
    family: str
    what: str
    means: tuple[t.Stmt, ...]
    when: tuple[Condition, ...] = ()
    shift: Shift | None = None
    _rows: dict[tuple[int, int] | None, Instruction] = field(default_factory=dict, init=False, repr=False)

    @property
    def id(self) -> str:
        """The name: the same in every run, and unique among the mutants of a row."""
        return f"{self.row.name}: {self.what}{self._suffix}"

    @property
    def _suffix(self) -> str:
        return f" when {' and '.join(str(test) for test in self.when)}" if self.when else ""

    def applies(self, decoded: Decoded) -> bool:
        """Whether ``decoded``, an instruction of :attr:`row`, passes all of ``when``."""
        return all(test.holds(decoded) for test in self.when)

    def means_for(self, dst: int, src: int) -> tuple[t.Stmt, ...]:
        """Return the faulty meaning of an encoding with these register numbers."""
        if self.shift is None:
            return self.means
        number = {"dst": dst, "src": src, "r0": 0}[self.shift.name]
        neighbour = register((number + self.shift.by) % WRITABLE)
        return tuple(_moved(statement, self.shift, neighbour) for statement in self.means)

    def instruction_for(self, decoded: Decoded) -> Instruction:
        """Return the row that the faulty runtime executes for ``decoded``."""
        registers = None if self.shift is None else (decoded.dst, decoded.src)
        row = self._rows.get(registers)
        if row is None:
            row = self._rows[registers] = faulty_row(self.row, self.means_for(decoded.dst, decoded.src))
        return row

    def changes(self, items: Iterable[tuple[int, Decoded | None]]) -> dict[int, Decoded]:
        """Return what the faulty runtime executes in place of ``items``, instructions of a program by slot."""
        return {
            slot: item._replace(instruction=self.instruction_for(item))
            for slot, item in items
            if item is not None and item.instruction is self.row and self.applies(item)
        }

    def __str__(self) -> str:
        text = render(self.means)
        if self.shift is not None:
            text += f"   [{self.shift.access}s the register {self.shift.by:+d} from {self.shift.name}]"
        return text + (f"   [{self._suffix.strip()}]" if self.when else "")


@lru_cache(maxsize=256)
def faulty_row(row: Instruction, means: tuple[t.Stmt, ...]) -> Instruction:
    """Return ``row`` with another meaning; the same object for the same arguments, so that it is compiled once."""
    return row.with_means(tuple(total(statement) for statement in means))


def register(number: int) -> t.Register:
    """Return the register with this number, 0 to 10."""
    return t.Register(cast("t.RegisterName", f"r{number}"))


def _moved(node: t.Stmt, shift: Shift, neighbour: t.Register) -> t.Stmt:
    def move(child: t.Node) -> t.Node:
        if isinstance(child, t.Register) and child.name == shift.name:
            return neighbour if shift.access == "read" else child
        if isinstance(child, t.Assign):
            return assign(child)
        return t.rebuild(child, move)

    def assign(statement: t.Assign) -> t.Assign:
        target = statement.target
        if shift.access == "write" and isinstance(target, t.Register) and target.name == shift.name:
            target = neighbour
        return t.Assign(target, cast("t.Expr", move(statement.value)))

    return cast("t.Stmt", move(node))
