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
from typing import NamedTuple, TypeAlias

from ...reference_vm.contexts.context import Context, all_contexts, is_possible
from ...reference_vm.contexts.fields import LIMITS, PATTERNS, Comparison, Condition, FieldName, numbers
from ...reference_vm.contexts.kinds import kind_of
from ...reference_vm.contexts.moments import LATER, access
from ...spec import tree as t
from ...spec.control import control_of
from ...spec.facts import Kind, facts
from ...spec.table import FIELD_RANGES, Instruction, Isa, isa
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


_Test: TypeAlias = tuple[Comparison, int, int | None]
#: Tests of numbers by pattern: whatever has the pattern passes those of one alternative.
_ALTERNATIVES: Mapping[str, tuple[tuple[_Test, ...], ...]] = {
    **{
        name: tuple(
            (("==", number, None),) for number in sorted(numbers(*FIELD_RANGES["imm"])) if PATTERNS[name](number)
        )
        for name in PATTERNS
        if "bit mask" not in name
    },
    # 1 is a mask; 0 and -1 are none.
    "no bit mask": ((("!=", 1, None),),),
    **{f"a bit mask of {bits} bits": ((("!=", 0, None), ("!=", -1, None)),) for bits in (32, 64)},
}


class ContextMutant(NamedTuple):
    """A fault of a row in one context."""

    fault: Mutant
    where: Context

    @property
    def id(self) -> str:
        """The name: the same in every run, and unique among the mutants of a row."""
        return f"{self.fault.id}, {self.where}"

    def as_mutants(self) -> Iterator[Mutant]:
        """Yield mutants that together are faulty in this context, and perhaps in more, if there are simpler ones.

        Where those are equivalent to their row, so is this one.
        """
        fault, around = self.fault, _around(self.fault.row, self.where)
        if around is not None:
            before, after = around
            row = fault.row.with_means((*before, *fault.row.means, *after))
            yield Mutant(row, fault.family, fault.what, (*before, *fault.means, *after), fault.when)
            return
        for conditions in _conditions(self.fault.row, self.where):
            yield Mutant(fault.row, fault.family, fault.what, fault.means, (*fault.when, *conditions), fault.shift)


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


def _conditions(row: Instruction, where: Context) -> Iterator[tuple[Condition, ...]]:
    """Yield conditions on fields, of which those of one hold in the context."""
    name: FieldName
    match where.feature:
        case "registers":
            yield (Condition("dst", "==" if where.value == "one" else "!=", "src"),)
            return
        case "imm":
            name = "imm"
        case "offset":
            name = "offset"
        case "distance":
            (field,) = (one.field for one in control_of(row).references)
            name = "imm" if field == "imm" else "offset"
        case _:
            return
    alternatives = (LIMITS[where.value],) if where.value in LIMITS else _ALTERNATIVES[where.value]
    for tests in alternatives:
        yield tuple(Condition(name, *test) for test in tests)


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
