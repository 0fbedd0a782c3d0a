# SPDX-License-Identifier: Apache-2.0
"""Runtimes that hang or crash: what is asked of them, what counts, and when they are not asked any more."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from bpf_isa.adapters.protocol import OutcomeKind, Reason
from bpf_isa.adapters.registry import RuntimeSpec
from bpf_isa.conformance.run.runner import RuntimeRun, run
from bpf_isa.conformance.run.verdict import Failure, Verdict
from bpf_isa.conformance.run.worker import Openable
from bpf_isa.conformance.run.workers import NOT_RUN
from bpf_isa.conformance.suite.model import Vector
from bpf_isa.conformance.suite.suite import load_suite

HERE = Path(__file__).parents[1]
MANY = 500
pytestmark = pytest.mark.usefixtures("compiled", "forked")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Vector]:
    """So many vectors, in a row, that one sum is what it is."""
    path = tmp_path_factory.mktemp("many") / "many.yaml"
    table = "".join(f"          c{number}  {number}  {number + 1}\n" for number in range(MANY))
    path.write_text(
        "source: {name: x, method: hand}\nvectors:\n  - id: many\n    covers: [rfc9669-4.1-add]\n"
        "    asm: |\n      r0 = 1\n      r0 += {by}\n      exit\n    table: |\n          case  by  r0\n" + table
    )
    return load_suite([path]).vectors


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that tells which jobs a runtime was asked."""
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    monkeypatch.syspath_prepend(HERE)
    (tmp_path / "asked").touch()
    return tmp_path / "asked"


def runtime(name: str) -> Openable:
    return RuntimeSpec(name, "python", f"faulty:{name}")


def tried(name: str, vectors: Sequence[Vector]) -> RuntimeRun:
    (one,) = run([runtime(name)], vectors, processes=1, timeout=60)
    assert len(one.results) == len(vectors)
    return one


@pytest.mark.parametrize(
    ("name", "failure", "most"), [("AlwaysLate", Failure.TIMED_OUT, 100), ("AlwaysCrashes", Failure.CRASHED, 250)]
)
def test_a_runtime_that_does_nothing_else_is_not_asked_any_more(
    name: str, failure: Failure, most: int, many: Sequence[Vector], asked: Path
) -> None:
    one = tried(name, many)
    assert one.complete and "in a row" in one.problem
    failed = [result for result in one.results if result.judgement.verdict is Verdict.FAIL]
    rest = [result for result in one.results if result.judgement.verdict is Verdict.ERROR]
    assert {result.judgement.failure for result in failed} == {failure}
    assert {result.judgement.reason for result in rest} == {Reason(NOT_RUN, one.problem, "harness")}
    assert len(failed) == 3 and len(failed) + len(rest) == MANY
    lines = asked.read_text().splitlines()
    assert len(lines) < most
    # The last that were tried are from all over the suite.
    assert any(int(line.rpartition("c")[2]) > MANY // 2 for line in lines)


def test_a_row_of_crashes_is_no_reason_to_give_up(many: Sequence[Vector], asked: Path) -> None:
    one = tried("CrashesOnTheFirst", many)
    assert not one.problem
    verdicts = [result.judgement.verdict for result in one.results]
    assert verdicts == [Verdict.FAIL] * 300 + [Verdict.PASS] * 200


def test_what_does_not_happen_again_does_not_count(many: Sequence[Vector], asked: Path) -> None:
    one = tried("TroubledOnce", many[:6])
    assert {result.judgement.verdict for result in one.results} == {Verdict.PASS}
    assert {vector for vector, _ in one.unrepeated} == {vector.id for vector in many[:6]}
    assert {outcome.kind for _, outcome in one.unrepeated} == {OutcomeKind.CRASHED, OutcomeKind.TIMED_OUT}


def test_what_one_program_leaves_behind_is_not_the_fault_of_the_next(many: Sequence[Vector], asked: Path) -> None:
    one = tried("TroubledInCompany", many[:20])
    assert {result.judgement.verdict for result in one.results} == {Verdict.PASS}


@pytest.mark.parametrize(
    ("name", "vectors", "expected"), [("SwapsAnswers", 16, Verdict.FAIL), ("AnswersTooMuch", 1, Verdict.ERROR)]
)
def test_answers_that_belong_to_other_jobs_pass_nothing(
    name: str, vectors: int, expected: Verdict, many: Sequence[Vector], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(HERE)
    one = tried(name, many[:vectors])
    assert {result.judgement.verdict for result in one.results} == {expected}
