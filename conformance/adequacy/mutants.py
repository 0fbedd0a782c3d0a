# SPDX-License-Identifier: Apache-2.0
"""All mutants of a row's meaning, generated from its typed tree."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ...reference_vm.contexts.fields import Condition, FieldName
from ...reference_vm.contexts.kinds import ARGUMENTS
from ...spec import tree as t
from ...spec.encoding import differing_part
from ...spec.facts import Kind, facts
from ...spec.table import Fixed, Instruction, Isa, Operand
from .build import complement, const, in_statements, places, renamed, through
from .expressions import ALIGNS, edits
from .guards import guarded
from .mutant import WRITABLE, Mutant, Shift, register
from .shortcuts import shortcuts
from .statements import Means, aliased, changes, disorder


def mutants_of(row: Instruction, table: Isa) -> tuple[Mutant, ...]:
    """Return the mutants of ``row``, without repetitions; ``table`` has the rows it can be confused with."""
    found: dict[tuple[Means, tuple[Condition, ...], Shift | None], Mutant] = {
        (row.means, (), None): Mutant(row, "", "", ())
    }
    labels: dict[str, int] = {}
    unique = []
    for mutant in _all(row, table):
        if _is_open(mutant):
            continue
        key = (mutant.means, mutant.when, mutant.shift)
        if key not in found:
            found[key] = mutant
            unique.append(_with_own_name(mutant, labels))
    return tuple(unique)


#: The names of mutants without a fault: numbers of maps and variables are small, addresses of code are not specified.
_OF_NUMBERS = re.compile(r"(zero|sign)-extends imm from|loses bit (?!0 )\d+ of imm|map_by_\w+ for")
_OF_CODE = re.compile(r"(zero|sign)-extends|loses bit|imm is one|keeps the bits|sets the bits|reads imm in|negates imm")


def _is_open(mutant: Mutant) -> bool:
    """Whether the RFC or an erratum permits the behaviour of ``mutant``."""
    nodes = list(t.walk(*mutant.row.means))
    functions = {node.name for node in nodes if isinstance(node, t.Call)}
    if any(isinstance(node, t.Lock) for node in nodes) and mutant.what.startswith(ALIGNS):
        # Not all machines have atomic operations on unaligned addresses.
        return True
    if functions & {"map_by_fd", "map_by_idx"}:
        # The reference VM uses the same numbers for file descriptors and indices of maps.
        twin = mutant.row.name.replace("_IDX", "_fd").replace("_FD", "_IDX").replace("_fd", "_FD")
        return mutant.what == f"executes {twin}" or bool(_OF_NUMBERS.match(mutant.what))
    return "code_addr" in functions and bool(_OF_CODE.match(mutant.what))


def _with_own_name(mutant: Mutant, labels: dict[str, int]) -> Mutant:
    count = labels[mutant.id] = labels.get(mutant.id, 0) + 1
    if count == 1:
        return mutant
    what = f"{mutant.what} (place {count})"
    return Mutant(mutant.row, mutant.family, what, mutant.means, mutant.when, mutant.shift)


def _all(row: Instruction, table: Isa) -> Iterator[Mutant]:
    yield from _plain(row, "statement", in_statements(row.means, changes))
    yield from _plain(row, "order", disorder(row.means))
    yield from _plain(row, "order", aliased(row.means))
    for index, statement in enumerate(row.means):
        for label, new in places(statement, edits):
            yield Mutant(row, "expression", label, (*row.means[:index], new, *row.means[index + 1 :]))
    yield from _confusions(row, table)
    yield from _shifted(row)
    yield from _crossed(row)
    yield from shortcuts(row)
    yield from _clobbering(row)
    yield from guarded(row)


def _plain(row: Instruction, family: str, found: Iterable[tuple[str, Means]]) -> Iterator[Mutant]:
    for label, means in found:
        yield Mutant(row, family, label, means)


def _shifted(row: Instruction) -> Iterator[Mutant]:
    """Yield accesses to the register with the next or the previous number."""
    for name in ("dst", "src"):
        if isinstance(row.fields[name], Operand):
            for by in (-1, 1):
                if name in row.writes:
                    what = f"writes the register {by:+d} from {name}"
                    yield Mutant(row, "register", what, row.means, shift=Shift(name, by, "write"))
                if name in row.reads:
                    what = f"reads the register {by:+d} from {name}"
                    yield Mutant(row, "register", what, row.means, shift=Shift(name, by, "read"))
    if "r0" in row.writes:
        yield Mutant(row, "register", "writes r1 for r0", row.means, shift=Shift("r0", 1, "write"))
    if "r0" in row.reads:
        yield Mutant(row, "register", "reads r1 for r0", row.means, shift=Shift("r0", 1, "read"))


def _crossed(row: Instruction) -> Iterator[Mutant]:
    """Yield exchanged fields: the two registers, or the two halves of a wide immediate."""
    if {"dst", "src"} & row.reads or "src" in row.writes:
        registers = {"dst": t.Register("src"), "src": t.Register("dst")}
        means = tuple(renamed(statement, registers) for statement in row.means)
        yield Mutant(row, "register", "takes dst for src and src for dst", means)
    if {"imm", "next_imm"} <= row.reads:
        halves = {"imm": t.Field("next_imm", t.S32), "next_imm": t.Field("imm", t.S32)}
        means = tuple(renamed(statement, halves) for statement in row.means)
        yield Mutant(row, "register", "takes imm for next_imm and next_imm for imm", means)


#: After a call r1 to r5 may hold anything, and so may all but r0 when a program ends (section 4.3).
_SCRATCH = ARGUMENTS


def _clobbering(row: Instruction) -> Iterator[Mutant]:
    """Yield changes of a register that is no operand of the instruction."""
    # Packet access calls a function of the platform (erratum packet-access-undefined).
    spared: frozenset[int] = _SCRATCH if facts(row).kind is Kind.PACKET else frozenset()
    match row.means[0]:
        case t.Return():
            spared = frozenset(range(1, WRITABLE))
        case t.CallHelper():
            spared = frozenset([0, *_SCRATCH])
        case t.CallLocal():
            # The values of r0 and r6 to r9 in the callee are not specified. The frame mutants are about restoring them.
            spared = frozenset([0, *range(6, WRITABLE)])
    if "r0" in row.writes:
        spared |= {0}
    registers: tuple[FieldName, ...] = ("dst", "src")
    written = [name for name in registers if name in row.writes and isinstance(row.fields[name], Operand)]
    # If the fault comes first, the registers that the instruction reads keep their values.
    first = isinstance(row.means[0], t.Jump | t.CallLocal | t.Return)
    others = [name for name in registers if name in row.operands] if first else written
    for number in range(WRITABLE):
        if number in spared:
            continue
        lost = register(number)
        when = tuple(Condition(name, "!=", number) for name in others)
        for label, value in (
            ("changes", complement(lost)),
            ("clears the upper half of", through(lost, t.U32, t.U64)),
            ("clears", const(0, t.U64)),
        ):
            fault = t.Assign(lost, value)
            means = (fault, *row.means) if first else (*row.means, fault)
            yield Mutant(row, "clobber", f"{label} r{number}", means, when)


def _confusions(row: Instruction, table: Isa) -> Iterator[Mutant]:
    """Yield the meanings of rows whose encodings differ in one field."""
    for other in table.instructions:
        if other is not row and other.wide == row.wide and _one_field_apart(row, other):
            yield Mutant(row, "confusion", f"executes {other.name}", other.means)


def _one_field_apart(row: Instruction, other: Instruction) -> bool:
    if row.opcode != other.opcode and differing_part(row.opcode, other.opcode) is None:
        return False
    differing = [
        name
        for name, rule in row.fields.items()
        if isinstance(rule, Fixed) and isinstance(theirs := other.fields[name], Fixed) and rule.value != theirs.value
    ]
    return len(differing) == (row.opcode == other.opcode)
