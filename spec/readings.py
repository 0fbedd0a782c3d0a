# SPDX-License-Identifier: Apache-2.0
"""Alternative readings of RFC 9669: the meanings of instructions that an erratum decided against.

Errata give them under ``otherwise``, as pseudocode of ``isa.yaml``. A program with a different outcome under such a
reading relies on the decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from types import MappingProxyType

from . import tree as t
from .pseudocode import parse
from .requirements import Operand, load_errata
from .table import Fixed, Instruction, isa

#: The name, in ``otherwise``, of the value that the row assigns to a register, before the assignment.
DECIDED = "decided"


@cache
def other_readings() -> Mapping[str, Mapping[str, Instruction]]:
    """Return, by erratum and name of the row, the instructions with their alternative meanings.

    Raises:
        PseudocodeError: an ``otherwise`` is not valid.
    """
    found: dict[str, dict[str, Instruction]] = {}
    for erratum in load_errata().values():
        for selector in erratum.opcodes:
            if selector.otherwise is None:
                continue
            rows = [row for row in isa().by_opcode[selector.opcode] if selector.selects(row.opcode, *_columns(row))]
            for row in rows:
                found.setdefault(erratum.id, {})[row.name] = row.with_means(_means(row, selector.otherwise))
    return MappingProxyType(found)


def _columns(row: Instruction) -> Iterator[Operand]:
    """Yield the columns src_reg, offset and imm of Appendix A for a row."""
    for name in ("src", "offset", "imm"):
        rule = row.fields[name]
        yield rule.value if isinstance(rule, Fixed) else "any"


def _means(row: Instruction, text: str) -> tuple[t.Stmt, ...]:
    statements = parse(text, {DECIDED: t.U64})
    if any(isinstance(node, t.Local) and node.name == DECIDED for node in t.walk(*statements)):
        return tuple(_amended(row.means, statements))
    return statements


def _amended(means: Iterable[t.Stmt], more: tuple[t.Stmt, ...]) -> Iterator[t.Stmt]:
    """Yield ``means`` with ``more`` in place of its assignment to a register; both if ``more`` assigns another one."""
    for statement in means:
        match statement:
            case t.Lock(body):
                yield t.Lock(tuple(_amended(body, more)))
            case t.Assign(t.Register() as register, value):
                decided = t.Local(DECIDED, t.U64)
                yield t.Assign(decided, value if value.type == t.U64 else t.Cast(t.U64, value))
                yield from more
                if register.name not in t.writes(*more):
                    yield t.Assign(register, decided)
            case _:
                yield statement
