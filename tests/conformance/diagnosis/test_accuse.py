# SPDX-License-Identifier: Apache-2.0
"""The instruction at fault is accused, not those that its vectors happen to have beside it."""

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

import pytest

from bpf_isa.adapters.protocol import Outcome, OutcomeKind, Reason
from bpf_isa.adapters.reference import ReferenceAdapter
from bpf_isa.conformance.adequacy.mutants import mutants_of
from bpf_isa.conformance.diagnosis.accuse import Accusation, diagnose
from bpf_isa.conformance.run.runner import Result
from bpf_isa.conformance.run.verdict import Verdict, judge
from bpf_isa.conformance.suite.model import Vector
from bpf_isa.conformance.suite.suite import load_suite
from bpf_isa.spec.requirements import rows_of
from bpf_isa.spec.table import Isa, isa

from ..faulty import mutated

#: What the instructions below are tested with, and others that have them beside something else.
SOME = ("mov32-x/*", "jgt32-k/*", "le64/*", "neg64/*", "call/*", "sdiv64-?/*", "smod64-?/*", "memory/*", "malformed/*")


@pytest.fixture(scope="module")
def vectors() -> list[Vector]:
    every = load_suite().vectors
    return [one for one in every if any(fnmatchcase(one.id, some) for some in SOME) and len(one.little.code) <= 2048]


def mutant(row: str, what: str) -> Isa:
    """Return the table with a row replaced by a mutant of it, named without the row."""
    (found,) = (one for one in mutants_of(isa().by_name[row], isa()) if one.id == f"{row}: {what}")
    return mutated(row, found.means)


def results(vectors: Sequence[Vector], table: Isa) -> list[Result]:
    runtime = ReferenceAdapter("little", table=table)
    outcomes = runtime.run([vector.job("little") for vector in vectors])
    return [judged(vector, outcome) for vector, outcome in zip(vectors, outcomes, strict=True)]


def judged(vector: Vector, outcome: Outcome) -> Result:
    return Result(vector, outcome, judge(vector.little.expect, outcome))


def failing(found: Sequence[Result]) -> set[str]:
    return {one.vector.id for one in found if one.judgement.verdict is Verdict.FAIL}


@pytest.mark.parametrize(
    ("row", "what", "requirement"),
    [
        # Once filed under JGT32_K, whose vectors move their operands.
        ("MOV32_X", "sign-extends the result from 32 bits", "rfc9669-4.1-mov"),
        ("MOV32_X", "keeps the bits of dst above 32", "rfc9669-4.1-mov"),
        # Once filed under NEG64 and CALL_LOCAL.
        ("LE64", "le32 for le64", "rfc9669-2.2-le64"),
        # Once filed under what the RFC says of overflow.
        ("SDIV64_X", "/ for s/", "rfc9669-4.1-sdiv"),
        ("SDIV64_K", "/ for s/", "rfc9669-4.1-sdiv"),
    ],
)
def test_a_faulty_instruction_is_the_only_one_accused(
    vectors: list[Vector], row: str, what: str, requirement: str
) -> None:
    found = results(vectors, mutant(row, what))
    (accusation,) = diagnose(found).accusations
    assert accusation.instructions == (row,)
    assert accusation.requirement.startswith(requirement)
    assert row in rows_of(accusation.requirement)
    assert {one.vector.id for one in accusation.results} == failing(found)
    assert accusation.using.failed == len(accusation.results) < accusation.using.vectors


def _without(found: list[Result], fails: Callable[[Vector], bool], kind: OutcomeKind) -> list[Result]:
    return [judged(one.vector, Outcome(kind, reason=Reason(text="no"))) if fails(one.vector) else one for one in found]


def test_accesses_to_the_first_page_are_not_a_matter_of_signs(vectors: list[Vector]) -> None:
    found = _without(results(vectors, isa()), lambda vector: "memory/address-zero" in vector.id, OutcomeKind.CRASHED)
    assert failing(found)
    first: Accusation = diagnose(found).accusations[0]
    assert first.requirement == "rfc9669-5.1-out-of-bounds"


def of_both(vectors: Sequence[Vector], one: Isa, other: Isa) -> list[Result]:
    """Return the results of a runtime with the faults of two."""
    found = {result.vector.id: result for result in results(vectors, one)}
    found |= {result.vector.id: result for result in results(vectors, other) if result.vector.id in failing([result])}
    return list(found.values())


def test_two_instructions_that_break_one_requirement_alike_are_one_accusation(vectors: list[Vector]) -> None:
    found = of_both(vectors, mutant("SDIV64_X", "/ for s/"), mutant("SDIV64_K", "/ for s/"))
    (accusation,) = diagnose(found).accusations
    assert set(accusation.instructions) == {"SDIV64_X", "SDIV64_K"}
    assert accusation.requirement == "rfc9669-4.1-sdiv"


def test_two_faults_are_two_accusations_and_each_failure_has_one(vectors: list[Vector]) -> None:
    found = of_both(vectors, mutant("LE64", "le32 for le64"), mutant("SDIV64_X", "/ for s/"))
    diagnosis = diagnose(found)
    assert [one.instructions for one in diagnosis.accusations] == [("SDIV64_X",), ("LE64",)]
    assert diagnosis.of.keys() == failing(found)
    assert sum(len(one.results) for one in diagnosis.accusations) == len(diagnosis.of)


def test_what_no_instruction_is_at_fault_for_accuses_none(vectors: list[Vector]) -> None:
    ends_nowhere = "malformed/falls-off-the-end/"
    found = _without(results(vectors, isa()), lambda vector: vector.id.startswith(ends_nowhere), OutcomeKind.CRASHED)
    accusations = diagnose(found).accusations
    assert sum(len(one.results) for one in accusations) == len(failing(found)) > 0
    assert all(one.requirement == "rfc9669-4.3-fall-off-end" for one in accusations)


def test_nothing_is_accused_where_nothing_fails(vectors: list[Vector]) -> None:
    assert diagnose(results(vectors, isa())).accusations == ()
