# SPDX-License-Identifier: Apache-2.0
"""Rules about programs: they survive disassembly and assembly, and the outcome depends on the instruction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from ...adapters.reference import ReferenceAdapter
from ...reference_vm.verifier.structural import verify
from ...spec import tree as t
from ...spec.asm.assemble import assemble
from ...spec.asm.disassemble import disassemble
from ...spec.encoding import SLOT_BYTES, ByteOrder, pack, unpack
from ...spec.table import Instruction, isa
from ..adequacy.bench import BaselineError, Case, make_case
from ..adequacy.build import complement, const, negation
from ..adequacy.mutant import WRITABLE, faulty_row, register
from ..run.inquiry import settle
from ..run.verdict import Verdict, judge
from ..suite.instructions import names_in
from ..suite.model import Expectation, Vector
from .reliance import rank, reliances
from .words import Complaint

#: Instructions that a larger fraction of all vectors contains only prepare for others.
_COMMON = 0.1
ORDERS: tuple[ByteOrder, ...] = ("little", "big")
_JUMP_NOWHERE = assemble("goto +0")
_EXIT = assemble("exit")


class Rarity(NamedTuple):
    """The number of vectors that contain each instruction, and the number of all."""

    vectors: Mapping[str, int]
    total: int


def rarity(vectors: Sequence[Vector]) -> Rarity:
    """Return how many of ``vectors`` contain each instruction."""
    return Rarity(Counter(name for vector in vectors for name in names_in(vector.little.code)), len(vectors))


def complaints(vector: Vector, counts: Rarity) -> Iterator[Complaint]:
    """Yield violations of the program of a vector; ``counts`` shows which instructions it may be about."""
    yield from _round_trip(vector)
    if vector.little.expect.rejected:
        yield from _refused(vector)
    elif vector.little.expect.steady:
        yield from _steady(vector)
    else:
        yield from _executed(vector, counts)


def _round_trip(vector: Vector) -> Iterator[Complaint]:
    little, big = vector.little.code, vector.big.code
    # If the slots are equal in both byte orders, their text is equal too.
    alike = len(little) % SLOT_BYTES == 0 and pack(unpack(little), "big") == big
    for order in ORDERS[:1] if alike else ORDERS:
        code = vector.variant(order).code
        if assemble(disassemble(code, order), order) != code:
            yield "round-trip", f"{order}-endian: the disassembled program assembles to another one"


# Programs that run


def _executed(vector: Vector, counts: Rarity) -> Iterator[Complaint]:
    if not _passes(vector, "big"):
        yield "wrong-expectation", "the reference VM does something else (big-endian)"
        return
    try:
        case = make_case(vector, "little")
    except BaselineError:
        yield "wrong-expectation", "the reference VM does something else (little-endian)"
        return
    yield from fairness(vector)
    names = _tested(vector, case, counts)
    if any(_matters(case, name) for name in names):
        return
    big = make_case(vector, "big")
    if not any(_matters(big, name) for name in names):
        yield "vacuous", f"the outcome is the same whatever {' or '.join(sorted(names))} does"


def fairness(vector: Vector) -> Iterator[Complaint]:
    """Yield violations of the level of a vector that passes on the reference VM."""
    entry = vector.entry
    found = dict.fromkeys(
        reliance for order in ORDERS for reliance in reliances(vector.job(order), vector.variant(order).expect)
    )
    for what, erratum, level in found:
        if level is None:
            yield "unfair-level", f"relies on {what}, which nothing promises (erratum {erratum})"
        elif rank(entry.level) < rank(level):
            yield "unfair-level", f"relies on {what}: by the erratum {erratum} its level is {level} at most"
        elif erratum not in entry.errata:
            yield "unfair-level", f"relies on {what} and does not cite the erratum {erratum}"


def _tested(vector: Vector, case: Case, counts: Rarity) -> list[str]:
    """Return the instructions a vector is about: the one its id begins with, or those it executes, rare ones first.

    Common instructions count only if the program has no others.
    """
    named = _by_slug().get(vector.entry.id.partition("/")[0])
    if named in case.executed:
        return [named]
    executed = sorted(case.executed, key=lambda name: (counts.vectors[name], name))
    return [name for name in executed if counts.vectors[name] <= counts.total * _COMMON] or executed


@cache
def _by_slug() -> Mapping[str, str]:
    return {row.name.lower().replace("_", "-"): row.name for row in isa().instructions}


def _matters(case: Case, name: str) -> bool:
    """Whether the outcome changes if the instruction has another meaning, in all its slots or in one."""
    places = list(case.at(name))
    choices = [places] if len(places) == 1 else [places, places[:1], places[-1:]]
    for means in _other_meanings(isa().by_name[name]):
        row = faulty_row(isa().by_name[name], means)
        for chosen in choices:
            changes = {slot: item._replace(instruction=row) for slot, item in chosen}
            if not case.passes(case.executable.replaced(changes)):
                return True
    return False


@cache
def _other_meanings(row: Instruction) -> tuple[tuple[t.Stmt, ...], ...]:
    """Return meanings that differ from that of ``row`` in all effects.

    Those are the opposite, no effect, and for a jump one with another target or with changed registers.
    """
    opposite = tuple(new for statement in row.means for new in _opposite(statement))
    elsewhere = tuple(_displaced(statement) for statement in row.means)
    found: list[tuple[t.Stmt, ...]] = [opposite, elsewhere, ()]
    if elsewhere != row.means:
        found.append((*(t.Assign(register(n), complement(register(n))) for n in range(WRITABLE)), *row.means))
    return tuple(means for means in found if means != row.means)


def _displaced(statement: t.Stmt) -> t.Stmt:
    match statement:
        case t.Jump(distance, condition):
            return t.Jump(t.Binary("+", distance, const(1, distance.type)), condition)
    return statement


def _opposite(statement: t.Stmt) -> tuple[t.Stmt, ...]:
    match statement:
        case t.Assign(t.Register() as target, value):
            return (t.Assign(target, complement(value)),)
        case t.Store(kind, address, value):
            return (t.Store(kind, address, complement(value)),)
        case t.Jump(distance, condition) if condition is not None:
            return (t.Jump(distance, negation(condition)),)
        case t.CallHelper() | t.CallLocal():
            return (t.Assign(register(0), complement(register(0))), statement, t.Assign(register(0), const(77, t.U64)))
        case t.Lock(body):
            return (t.Lock(tuple(new for inner in body for new in _opposite(inner))),)
    return (statement,)


# Programs that read what was never written


def _steady(vector: Vector) -> Iterator[Complaint]:
    for order in ORDERS:
        runtime = _reference(order)
        outcome, judgement = settle(vector, runtime.info(), runtime.run)
        if judgement.verdict is not Verdict.PASS:
            yield "wrong-expectation", f"the reference VM does something else ({order}-endian)"
            return
        if outcome.r0 is not None:
            found = reliances(vector.job(order), Expectation({"r0": outcome.r0}))
            if all(reliance.level is not None for reliance in found):
                yield "vacuous", "r0 does not depend on anything that nothing was written to"
                return


# Programs that must be rejected


def _refused(vector: Vector) -> Iterator[Complaint]:
    for order in ORDERS:
        if not _passes(vector, order):
            yield "wrong-expectation", f"the reference VM does something else ({order}-endian)"
            return
    code = vector.little.code
    wrong = sorted({finding.slot for finding in verify(code) if finding.severity == "error"})
    # A partial slot at the end, or an empty program, is one fault. Faults at run time are not errors of the loader.
    if len(code) % SLOT_BYTES or not code or not wrong:
        return
    if not any(_is_right(code, wrong[0], filler) for filler in (_JUMP_NOWHERE, _EXIT)):
        yield "several-faults", f"more is wrong than slot {wrong[0]}: without it the program is rejected, too"


def _passes(vector: Vector, order: ByteOrder) -> bool:
    (outcome,) = _reference(order).run([vector.job(order)])
    return judge(vector.variant(order).expect, outcome).verdict is Verdict.PASS


@cache
def _reference(order: ByteOrder) -> ReferenceAdapter:
    return ReferenceAdapter(order)


def _is_right(code: bytes, slot: int, filler: bytes) -> bool:
    """Whether the program would be loaded with ``filler`` at ``slot``, or also at the next or the previous slot."""
    for first, last in ((slot, slot + 1), (slot, slot + 2), (slot - 1, slot + 1)):
        repaired = code[: first * SLOT_BYTES] + filler * (last - first) + code[last * SLOT_BYTES :]
        if first >= 0 and len(repaired) == len(code) and not _errors(repaired):
            return True
    return False


def _errors(code: bytes) -> bool:
    return any(finding.severity == "error" for finding in verify(code))
