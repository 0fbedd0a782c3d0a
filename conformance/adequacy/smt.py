# SPDX-License-Identifier: Apache-2.0
"""Equivalence of a mutant and its row, decided by z3; if they differ, operands for which they do.

Rows run on bit-vectors (``reference_vm/symbolic/``): registers, fields and memory are free variables. Register numbers
are concrete, and every way in which they can coincide is tried. Out-of-bounds accesses are no difference here, nor are
the values of R1 to R5 after a call; platform functions are uninterpreted. Atomic operations have aligned addresses: on
others, machines differ. Jumps and calls stay within a program of :data:`MOST_SLOTS` slots, packet accesses within a
packet of :data:`MOST_PACKET_BYTES`, which begins at a multiple of 4 GiB; the lower half of R10 is not 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from ...reference_vm.contexts.fields import COMPARISONS
from ...spec import tree as t
from ...spec.encoding import ByteOrder, Decoded
from ...spec.facts import Kind, facts
from ...spec.pseudocode import FIELD_TYPES
from ...spec.table import Fixed, Instruction, Operand
from .build import total
from .mutant import Mutant

if TYPE_CHECKING:
    from ...reference_vm.symbolic.machine import State

#: A z3 term.
Term: TypeAlias = Any

REGISTERS = 11
#: The number of slots of the longest program; no vector is longer.
MOST_SLOTS = 1 << 16
MOST_PACKET_BYTES = 1 << 16
#: An offset from r10 where there is stack on both sides.
_NEAR = -16
_STACK_POINTER = 10
#: Time limits: most queries need less than the short one. Multiplications and divisions are then tried with sampled
#: operands, and the remaining queries get the long one.
_SHORT_MS, _LONG_MS = 400, 20_000
_SAMPLES = ((1, 1), (3, 5), (-1, 1), (-7, 2), (7, -2), (-7, -2), (0x1234_5678_9ABC_DEF1, 0xFFFF_FFFF_8000_0001))


@dataclass(frozen=True, slots=True)
class Difference:
    """An encoding and a state of the machine after which a mutant and its row differ.

    ``memory`` gives the bytes that matter, by address; ``base`` is the address of the datum that is accessed, if any.
    """

    byte_order: ByteOrder
    dst: int
    src: int
    offset: int
    imm: int
    next_imm: int
    registers: tuple[int, ...]
    memory: dict[int, int] = field(default_factory=dict)
    base: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the solver found: ``equivalent``, ``differs`` (then with the difference) or ``unknown``."""

    verdict: Literal["equivalent", "differs", "unknown"]
    difference: Difference | None = None


def is_available() -> bool:
    """Whether z3-solver is installed."""
    from importlib.util import find_spec

    return find_spec("z3") is not None


def compare(mutant: Mutant) -> Answer:
    """Decide whether ``mutant`` behaves as its row does, in both byte orders. z3-solver must be installed."""
    undecided = False
    byte_orders: tuple[ByteOrder, ...] = ("little", "big") if depends_on_byte_order(mutant) else ("little",)
    for byte_order in byte_orders:
        for dst, src in _register_choices(mutant):
            answer = _compare_at(mutant, dst, src, byte_order)
            if answer.verdict == "differs":
                return answer
            undecided |= answer.verdict == "unknown"
    return Answer("unknown" if undecided else "equivalent")


def depends_on_byte_order(mutant: Mutant) -> bool:
    """Whether the effects of the mutant or its row depend on the byte order of the machine."""
    return any(
        isinstance(node, t.Load | t.Store) or (isinstance(node, t.Call) and node.name in t.BYTE_ORDER_FUNCTIONS)
        for node in t.walk(*mutant.row.means, *mutant.means)
    )


def _register_choices(mutant: Mutant) -> Iterator[tuple[int, int]]:
    """Yield register numbers, one for each way in which those of the mutant and the row can coincide."""
    row = mutant.row
    named = {int(n.name[1:]) for n in t.walk(*mutant.means) if isinstance(n, t.Register) and n.name[0] == "r"}
    named |= {test.value for test in mutant.when if test.field in ("dst", "src") and isinstance(test.value, int)}
    if mutant.shift is not None:
        named |= {0, 1, 9}
    # Besides the named registers: two others, R0, and R10, whose value a program cannot choose.
    others = [number for number in (7, 8, 6, 9, 5) if number not in named][:2]
    numbers = [*others, *sorted(named - {_STACK_POINTER}), 0, _STACK_POINTER]
    numbers = list(dict.fromkeys(numbers))
    pairs = [(dst, src) for dst in _choices(row, "dst", numbers) for src in _choices(row, "src", numbers)]
    # Different registers first: such a difference is easier to read.
    for dst, src in sorted(pairs, key=lambda pair: pair[0] == pair[1]):
        if all(test.holds(Decoded(row, dst=dst, src=src)) for test in mutant.when if test.field in ("dst", "src")):
            yield dst, src


def _choices(row: Instruction, name: Literal["dst", "src"], numbers: list[int]) -> list[int]:
    rule = row.fields[name]
    if isinstance(rule, Fixed):
        return [rule.value]
    return [number for number in numbers if number != _STACK_POINTER or name not in row.writes]


def _compare_at(mutant: Mutant, dst: int, src: int, byte_order: ByteOrder) -> Answer:
    import z3

    from ...reference_vm.symbolic.machine import Machine, State, packet

    fields = {name: _field(mutant, name, kind.bits) for name, kind in FIELD_TYPES.items()}
    start = State(
        [z3.BitVec(f"r{number}", 64) for number in range(REGISTERS)],
        z3.Array("memory", z3.BitVecSort(64), z3.BitVecSort(8)),
    )
    right = Machine(fields, dst, src, byte_order, start).run(mutant.row.means)
    means = tuple(total(statement) for statement in mutant.means_for(dst, src))
    wrong = Machine(fields, dst, src, byte_order, start).run(means)
    solver = _solver()
    solver.add(*_admitted(mutant, fields))
    if facts(mutant.row).kind is Kind.PACKET:
        size = max(n.type.bits for n in t.walk(*mutant.row.means) if isinstance(n, t.Load)) // 8
        solver.add(z3.ULE(z3.simplify(right.address - packet()), MOST_PACKET_BYTES - size))
    if any(isinstance(statement, t.Lock) for statement in mutant.row.means):
        size = max(n.type.bits for n in t.walk(*mutant.row.means) if isinstance(n, t.Load | t.Store)) // 8
        solver.add(right.address & (size - 1) == 0)
    # No stack ends at a multiple of 4 GiB, so that R10 is no divisor of 0.
    solver.add(z3.Extract(31, 0, start.registers[_STACK_POINTER]) != 0)
    place = z3.BitVec("place", 64)
    differs = [a != b for a, b in zip(right.registers, wrong.registers, strict=True) if not z3.eq(a, b)]
    differs += [a != b for a, b in zip(right.control, wrong.control, strict=True) if not z3.eq(a, b)]
    if not z3.eq(right.memory, wrong.memory):
        differs.append(z3.Select(right.memory, place) != z3.Select(wrong.memory, place))
    if not differs:
        return Answer("equivalent")
    solver.add(z3.Or(*differs))
    result = _check(solver, [start.registers[dst], start.registers[src]], list(_preferences(mutant, fields)))
    if result == z3.unsat:
        return Answer("equivalent")
    if result != z3.sat:
        return Answer("unknown")
    model = solver.model()
    return Answer("differs", _difference(model, fields, start, right, dst, src, byte_order))


def _solver() -> Term:
    import z3

    return z3.Then("simplify", "propagate-values", "ctx-simplify", "solve-eqs", "simplify", "smt").solver()


def _check(solver: Term, operands: list[Term], preferences: list[Term]) -> Term:
    """Search for a difference, if possible one that is easy to show."""
    import z3

    solver.set("timeout", _SHORT_MS)
    result = solver.check(*preferences)
    if result == z3.sat:
        return result
    if preferences or result == z3.unknown:
        result = solver.check()
    if result != z3.unknown:
        return result
    for values in _SAMPLES:
        # With concrete operands the query is simple.
        if solver.check(*(term == value for term, value in zip(operands, values, strict=True))) == z3.sat:
            return z3.sat
    solver.set("timeout", _LONG_MS)
    return solver.check()


def _admitted(mutant: Mutant, fields: dict[str, Term]) -> Iterator[Term]:
    """Yield the constraints on fields: those of the row, and the conditions of the mutant."""
    for name, term in fields.items():
        rule = mutant.row.fields.get(name, Fixed(0))
        if not isinstance(rule, Operand):
            yield term == rule.value
    for test in mutant.when:
        if test.field not in ("dst", "src"):
            assert isinstance(test.value, int)
            left = fields[test.field]
            yield COMPARISONS[test.op](left if test.mask is None else left & test.mask, test.value)


def _field(mutant: Mutant, name: str, bits: int) -> Term:
    """Return the term of a field; distances and offsets into packets are limited to the bits that they can have."""
    import z3

    row = mutant.row
    if name == "imm" and facts(row).kind is Kind.PACKET and "src" not in row.operands:
        low = MOST_PACKET_BYTES.bit_length() - 1
        return z3.ZeroExt(bits - low, z3.BitVec(name, low))
    if name == "imm" and any(
        isinstance(statement, t.Jump | t.CallLocal) and _leads_by_imm(statement) for statement in row.means
    ):
        low = MOST_SLOTS.bit_length()
        return z3.SignExt(bits - low, z3.BitVec(name, low))
    return z3.BitVec(name, bits)


def _leads_by_imm(statement: t.Jump | t.CallLocal) -> bool:
    return any(isinstance(node, t.Field) and node.name == "imm" for node in t.walk(statement.distance))


def _preferences(mutant: Mutant, fields: dict[str, Term]) -> Iterator[Term]:
    """Yield constraints that make a difference easy to show: an offset on the stack, a short jump."""
    for node in t.walk(*mutant.row.means):
        if isinstance(node, t.Load | t.Store):
            yield fields["offset"] == _NEAR
        elif isinstance(node, t.Jump | t.CallLocal):
            for field in t.walk(node.distance):
                if isinstance(field, t.Field):
                    yield fields[field.name] > 2
                    yield fields[field.name] < 64


def _difference(
    model: Term, fields: dict[str, Term], start: State, right: State, dst: int, src: int, byte_order: ByteOrder
) -> Difference:
    def number(term: Term) -> int:
        return cast("int", model.eval(term, model_completion=True).as_long())

    def signed(name: str) -> int:
        return FIELD_TYPES[name].wrap(number(fields[name]))

    memory: dict[int, int] = {}
    base = None
    if right.address is not None:
        base = number(right.address)
        for by in range(-16, 24):
            place = (base + by) & t.U64.mask
            memory[place] = number(start.memory[place])
    return Difference(
        byte_order,
        dst,
        src,
        signed("offset"),
        signed("imm"),
        signed("next_imm"),
        tuple(number(register) for register in start.registers),
        memory,
        base,
    )
