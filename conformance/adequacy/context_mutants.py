# SPDX-License-Identifier: Apache-2.0
"""Mutants of code generators: a fault of a row, confined to one context.

The faults are those that a code generator has where it knows something, or does not know it: an effect left out, a
result extended in another way, a wrong width, another comparison, an operand lost. The contexts are all that the row
can be in, see ``reference_vm/contexts/``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

from ...reference_vm.contexts.context import Context, all_contexts, is_possible
from ...reference_vm.contexts.fields import LIMITS, Condition, FieldName
from ...reference_vm.contexts.kinds import kind_of
from ...reference_vm.contexts.moments import LATER, access
from ...spec import tree as t
from ...spec.control import control_of
from ...spec.facts import Kind, facts
from ...spec.table import Instruction, Isa, isa
from .build import const, through
from .mutant import Mutant
from .mutants import mutants_of

_OMITTED = r"does not (write \w+|store|call|jump|return)"
_EXTENDED = r"(sign|zero)-extends the result from 32 bits|keeps the bits of dst above \d+"
_OPERANDS = r"(zero|sign)-extends (dst|src) from 32 bits|reads 0 for (dst|src)"
_NARROW = r"operates on 32 bits and (zero|sign)-extends the result from 32 bits"
_WIDE = r"operates on 64 bits \(all of dst(, all of src)?\)( and truncates)?"
_LOADED = r"(zero|sign)-extends the loaded value from \d+ bits|loads \d+ bits, \w+-extended"
_STORED = r"stores \d+ bits( only)?"
_COMPARED = r"(s?[<>]=?|==|!=) for (s?[<>]=?|==|!=)|\S+ compares whole registers, (zero|sign)-extending the rest"
_JUMPED = r"jumps if the condition does not hold|jumps \+1 slots away"
#: The faults of each kind, by :attr:`.mutant.Mutant.what`.
_FAULTS: Mapping[Kind, tuple[str, ...]] = {
    Kind.ALU: (_EXTENDED, _OPERANDS, _NARROW, _WIDE),
    Kind.SWAP: (_EXTENDED, _OPERANDS, "sign-extends the result from 16 bits"),
    Kind.CONSTANT: (_EXTENDED,),
    Kind.ADDRESS: (_EXTENDED,),
    Kind.LOAD: (_EXTENDED, _OPERANDS, _LOADED),
    Kind.STORE: (_OPERANDS, _STORED),
    Kind.ATOMIC: (_EXTENDED, _OPERANDS, _STORED, "fetches the new value", r"writes R0 only if it \w+"),
    Kind.CONDITION: (_JUMPED, _COMPARED, _OPERANDS),
    Kind.JUMP: (_JUMPED,),
    Kind.HELPER: (),
    Kind.CALL: (_JUMPED,),
    Kind.EXIT: ("sign-extends r0 from 32 bits", "gives r1 for r0"),
}


class ContextMutant(NamedTuple):
    """A fault of a row in one context."""

    fault: Mutant
    where: Context

    @property
    def id(self) -> str:
        """The name: the same in every run, and unique among the mutants of a row."""
        return f"{self.fault.id}, {self.where}"

    def as_mutant(self) -> Mutant | None:
        """Return a mutant that is faulty in this context, and perhaps in more; None if there is no simpler one.

        Where that one is equivalent to its row, so is this one.
        """
        fault, conditions = self.fault, _conditions(self.fault.row, self.where)
        around = _around(fault.row, self.where)
        if around is not None:
            before, after = around
            row = fault.row.with_means((*before, *fault.row.means, *after))
            return Mutant(row, fault.family, fault.what, (*before, *fault.means, *after), fault.when)
        if not conditions:
            return None
        return Mutant(fault.row, fault.family, fault.what, fault.means, (*fault.when, *conditions), fault.shift)


@cache
def _narrow() -> frozenset[str]:
    """Return the kinds of instructions that leave numbers of 32 bits."""
    narrow = [row for row in isa().instructions if facts(row).kind is Kind.ALU and facts(row).width == t.U32.bits]
    return frozenset(map(kind_of, narrow))


@cache
def _calling() -> frozenset[str]:
    return frozenset(kind_of(row) for row in isa().instructions if facts(row).kind in (Kind.HELPER, Kind.CALL))


def _around(row: Instruction, where: Context) -> tuple[tuple[t.Stmt, ...], tuple[t.Stmt, ...]] | None:
    """Return what is certain about the neighbours in the context, as statements before and after those of ``row``."""
    names: tuple[t.RegisterName, ...] = ("dst", "src")
    operands = [t.Register(name) for name in names if name in row.reads and name in row.operands]
    narrow = where.feature == "fed by" and where.value in _narrow()
    if narrow and len(operands) == 1 and access(row) is None:
        return (t.Assign(operands[0], through(operands[0], t.U32, t.U64)),), ()
    if where.feature == "after" and where.value in _calling():
        return (), (t.Assign(t.Register("r0"), const(0, t.U64)),)
    return None


def _conditions(row: Instruction, where: Context) -> tuple[Condition, ...]:
    """Return conditions on fields that hold in the context."""
    if where.feature == "registers":
        return (Condition("dst", "==" if where.value == "one" else "!=", "src"),)
    name: FieldName | None = None
    if where.feature in ("imm", "offset"):
        name = "imm" if where.feature == "imm" else "offset"
    elif where.feature == "distance":
        (field,) = (one.field for one in control_of(row).references)
        name = "imm" if field == "imm" else "offset"
    if name is None:
        return ()
    if where.value in LIMITS:
        return tuple(Condition(name, *test) for test in LIMITS[where.value])
    if "bit mask" in where.value:
        return ()
    return (Condition(name, "<", 0),) if where.value.startswith("minus") else (Condition(name, ">", -1),)


def faults_of(row: Instruction, table: Isa) -> tuple[Mutant, ...]:
    """Return the faults of ``row`` that are confined to contexts."""
    patterns = _FAULTS.get(facts(row).kind)
    if patterns is None:
        return ()
    wanted = re.compile("|".join(f"(?:{pattern})" for pattern in (_OMITTED, *patterns)))
    return tuple(
        mutant
        for mutant in mutants_of(row, table)
        if not mutant.when and mutant.shift is None and wanted.fullmatch(mutant.what)
    )


def contexts_of(row: Instruction) -> Iterator[Context]:
    """Yield the contexts that mutants of ``row`` are confined to.

    What a fault does after another program, it does in all vectors of a batch but the first.
    """
    return (where for where in all_contexts() if is_possible(row, where) and where.value != LATER)
