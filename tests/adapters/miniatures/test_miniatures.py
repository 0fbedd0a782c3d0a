# SPDX-License-Identifier: Apache-2.0
"""The suite convicts every miniature, each for what is wrong with it, and acquits the reference VM."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import pytest
from click.testing import CliRunner

from bpf_isa.adapters.miniatures.catalogue import MINIATURES, Miniature, open_miniature
from bpf_isa.adapters.protocol import Unavailable
from bpf_isa.adapters.reference import ReferenceAdapter
from bpf_isa.conformance.cli import main
from bpf_isa.conformance.run.verdict import (
    Failure,
    Judgement,
    Verdict,
    judge,
)
from bpf_isa.conformance.suite.model import Vector
from bpf_isa.conformance.suite.suite import VECTORS, load_suite
from bpf_isa.reference_vm.frames import Frames
from bpf_isa.spec.encoding import Decoded, identify, unpack
from bpf_isa.spec.requirements import load_requirements
from bpf_isa.spec.table import isa

#: One in so many vectors by hand, and of those generated, is run; of those about a fault, so many at most.
BY_HAND, GENERATED, ABOUT = 3, 128, 50
#: Faults of instructions that nearly every program uses, whatever it is about.
IN_ALL_PROGRAMS = {"sign-of-the-low-half", "offset-without-sign"}


def requirements(miniature: Miniature) -> frozenset[str]:
    return frozenset(f"rfc9669-{name}" for name in miniature.breaks)


@cache
def suite() -> tuple[Vector, ...]:
    return load_suite().vectors


@cache
def sample() -> tuple[Vector, ...]:
    by_hand = [vector for vector in suite() if vector.entry.source.method == "hand" and len(vector.little.code) < 4096]
    generated = [vector for vector in suite() if vector.entry.source.method == "generated"]
    return (*by_hand[::BY_HAND], *generated[::GENERATED])


def about(miniature: Miniature) -> list[Vector]:
    """Vectors that cite what the miniature breaks, of each requirement some."""
    chosen: list[Vector] = []
    for name in sorted(requirements(miniature)):
        citing = [vector for vector in suite() if name in vector.entry.covers]
        chosen += citing[:: max(1, len(citing) // ABOUT)]
    return chosen


@cache
def verdicts(name: str) -> list[tuple[Vector, Judgement]]:
    return judged(open_miniature(name), dict.fromkeys([*about(MINIATURES[name]), *sample()]))


def judged(adapter: ReferenceAdapter, vectors: Iterable[Vector]) -> list[tuple[Vector, Judgement]]:
    order = adapter.info().byte_order
    asked = list(vectors)
    outcomes = adapter.run([vector.job(order) for vector in asked])
    pairs = zip(asked, outcomes, strict=True)
    return [(vector, judge(vector.variant(order).expect, outcome)) for vector, outcome in pairs]


def rows_of(vector: Vector) -> set[str]:
    """Names of the instructions of a program."""
    slots = unpack(vector.little.code)
    found = (identify(slots, index) for index in range(len(slots)))
    return {item.instruction.name for item in found if isinstance(item, Decoded)}


def changed_rows(miniature: Miniature) -> set[str]:
    """Names of the instructions that the miniature does not have as they should be."""
    if miniature.frames is not Frames:
        return {"CALL_LOCAL"}
    pairs = zip(isa().instructions, miniature.table(isa()).instructions, strict=True)
    return {right.name for right, wrong in pairs if (right.means, right.fields) != (wrong.means, wrong.fields)}


@pytest.mark.parametrize("name", MINIATURES)
def test_a_miniature_is_convicted_for_its_fault(name: str) -> None:
    miniature = MINIATURES[name]
    failed = [vector for vector, judgement in verdicts(name) if judgement.verdict is Verdict.FAIL]
    cited = {requirement for vector in failed for requirement in vector.entry.covers}
    for requirement in sorted(requirements(miniature) - cited):
        # The few that were run did not tell; all of them must.
        citing = [vector for vector in suite() if requirement in vector.entry.covers]
        found = judged(open_miniature(name), citing)
        assert any(judgement.verdict is Verdict.FAIL for _, judgement in found), requirement
    if name not in IN_ALL_PROGRAMS:
        others = {vector.id for vector in failed if requirements(miniature).isdisjoint(vector.entry.covers)}
        assert 5 * len(others) <= len(failed), sorted(others)


@pytest.mark.parametrize("name", sorted(MINIATURES.keys() - {"stray-fields"}))
def test_programs_without_the_fault_pass(name: str) -> None:
    wrong = changed_rows(MINIATURES[name])
    assert wrong
    for vector, judgement in verdicts(name):
        assert judgement.verdict is Verdict.PASS or wrong & rows_of(vector), vector.id


def test_stray_fields_are_seen_to_be_run_as_another_instruction() -> None:
    failures = {judgement.failure for _, judgement in verdicts("stray-fields")} - {None}
    assert Failure.MISEXECUTED in failures
    assert failures <= {Failure.MISEXECUTED, Failure.LENIENT}


def test_the_reference_vm_is_acquitted() -> None:
    for vector, judgement in judged(ReferenceAdapter(), sample()):
        assert judgement.verdict is Verdict.PASS, vector.id


@pytest.mark.parametrize("name", MINIATURES)
def test_the_catalogue_cites_requirements_that_there_are(name: str) -> None:
    assert requirements(MINIATURES[name]) <= load_requirements().keys()
    assert changed_rows(MINIATURES[name])
    assert MINIATURES[name].fault.endswith(".")
    assert MINIATURES[name].seen.endswith(".")


DIVISION = ["--vectors", str(VECTORS / "division.yaml"), "-j", "1"]


def test_a_miniature_is_a_runtime_of_the_command_line() -> None:
    result = CliRunner().invoke(main, ["run", "-r", "miniature:modulo-floors", *DIVISION])
    assert result.exit_code == 1
    assert "RFC 9669 section 4.1" in result.output
    assert "smod" in result.output


def test_an_unknown_miniature_is_named() -> None:
    with pytest.raises(Unavailable, match="miniature:flawless: there is none"):
        open_miniature("flawless")
    result = CliRunner().invoke(main, ["run", "-r", "miniature:flawless", *DIVISION])
    assert result.exit_code == 2
    assert "modulo-floors" in result.output
