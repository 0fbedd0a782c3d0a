# SPDX-License-Identifier: Apache-2.0
"""Runtimes that cheat, misbehave or break at the wrong moment, and the verdict that each deserves."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

from bpf_isa.adapters.protocol import Job, Outcome, OutcomeKind, Reason
from bpf_isa.adapters.reference import ReferenceAdapter
from bpf_isa.conformance.run import inquiry
from bpf_isa.conformance.run.inquiry import Finding
from bpf_isa.conformance.run.verdict import Failure, Verdict
from bpf_isa.conformance.suite.model import Vector
from bpf_isa.conformance.suite.suite import load_suite
from bpf_isa.spec.asm.assemble import assemble

from ..faulty import R0_ONLY

SAMPLE = Path(__file__).parents[1] / "data" / "sample.yaml"
#: What the fold consists of, and probes do not have.
SHIFT = assemble("r0 <<= 13")
CRASH = Outcome(OutcomeKind.CRASHED, reason=Reason("signal", "SIGSEGV"))
REFUSAL = Outcome(OutcomeKind.REJECTED, reason=Reason("error", "no"))


@cache
def vectors() -> Mapping[str, Vector]:
    return {vector.id: vector for vector in load_suite([SAMPLE]).vectors}


class Scripted(ReferenceAdapter):
    """Shows R0 only; ``answer`` changes what a correct runtime would say. It is given the job and whether it folds."""

    def __init__(self, answer: Callable[[Job, bool, Outcome], Outcome]) -> None:
        super().__init__("little", observes=R0_ONLY)
        self._answer = answer

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        for job, outcome in zip(jobs, super().run(jobs), strict=True):
            yield self._answer(job, SHIFT in job.code, outcome)


def settle(vector: str, runtime: ReferenceAdapter) -> Finding:
    """Ask a runtime about one vector of the sample, as the runner does."""
    return inquiry.settle(vectors()[vector], runtime.info(), runtime.run)


def wrong(outcome: Outcome) -> Outcome:
    return outcome._replace(r0=(outcome.r0 or 0) ^ 1)


def is_plain(job: Job) -> bool:
    vector = vectors()[job.id]
    return job.code == vector.little.code


#: Vectors whose plain program shows only a part of what they compare.
HIDDEN = ["calls/local", "stx-mem-h/neighbours/order", "atomic-fetch-add64"]


@pytest.mark.parametrize("vector", HIDDEN)
@pytest.mark.parametrize("probed", [CRASH, REFUSAL, Outcome(OutcomeKind.TIMED_OUT, reason=Reason("timeout", "1 s"))])
def test_a_wrong_fold_is_a_failure_where_the_probes_tell_nothing(vector: str, probed: Outcome) -> None:
    def answer(job: Job, folds: bool, outcome: Outcome) -> Outcome:
        if is_plain(job) or is_control(job):
            return outcome
        return wrong(outcome) if folds else probed

    finding = settle(vector, Scripted(answer))
    assert (finding.judgement.verdict, finding.judgement.failure) == (Verdict.FAIL, Failure.WRONG_RESULT)
    assert str(finding.judgement.reason).startswith("wrong fold of ")
    (difference,) = finding.judgement.differences
    assert difference.what == "fold"


def is_control(job: Job) -> bool:
    """Whether a program folds constants: it has nothing of the vector's own program but the exit."""
    own = vectors()[job.id].little.code[:-8]
    return own[:8] not in job.code


@pytest.mark.parametrize("vector", HIDDEN)
def test_a_wrong_fold_is_a_failure_where_all_single_values_are_right(vector: str) -> None:
    finding = settle(
        vector, Scripted(lambda job, folds, outcome: wrong(outcome) if folds and not is_control(job) else outcome)
    )
    assert finding.judgement.failure is Failure.WRONG_RESULT


@pytest.mark.parametrize("vector", HIDDEN)
def test_a_runtime_that_cannot_fold_is_judged_by_the_single_values(vector: str) -> None:
    """Its shifts are wrong, say: that is for the vectors of the shifts to tell."""
    finding = settle(vector, Scripted(lambda job, folds, outcome: wrong(outcome) if folds else outcome))
    assert finding.judgement.verdict is Verdict.PASS


@pytest.mark.parametrize("vector", HIDDEN)
@pytest.mark.parametrize("probed", [CRASH, REFUSAL])
def test_what_was_not_seen_is_no_pass(vector: str, probed: Outcome) -> None:
    """It folds wrongly, constants as well, and shows no single value."""

    def answer(job: Job, folds: bool, outcome: Outcome) -> Outcome:
        if is_plain(job):
            return outcome
        return wrong(outcome) if folds else probed

    finding = settle(vector, Scripted(answer))
    assert finding.judgement.verdict is Verdict.UNSUPPORTED
    assert str(finding.judgement.reason).startswith("observe: ")


@pytest.mark.parametrize("vector", HIDDEN)
@pytest.mark.parametrize("also_plain", [False, True])
def test_a_runtime_that_returns_without_a_result_does_not_pass(vector: str, also_plain: bool) -> None:
    """It says that programs returned, and shows nothing; not even the control tells anything then."""

    def answer(job: Job, folds: bool, outcome: Outcome) -> Outcome:
        return outcome if is_plain(job) and not also_plain else Outcome(OutcomeKind.RETURNED)

    finding = settle(vector, Scripted(answer))
    judgement = finding.judgement
    if "r0" in vectors()[vector].little.expect.registers and also_plain:
        assert judgement.verdict is Verdict.UNSUPPORTED
    else:
        assert judgement.failure is Failure.WRONG_RESULT
        assert {item.shown[1] for item in judgement.differences} == {"nothing"}


@pytest.mark.parametrize("vector", HIDDEN)
@pytest.mark.parametrize(
    ("outcome", "verdict", "failure"),
    [
        (CRASH, Verdict.FAIL, Failure.CRASHED),
        (Outcome(OutcomeKind.TIMED_OUT, reason=Reason("timeout", "1 s")), Verdict.FAIL, Failure.TIMED_OUT),
        (REFUSAL, Verdict.UNSUPPORTED, None),
        (Outcome(OutcomeKind.FAULTED, reason=Reason("stack", "too deep")), Verdict.UNSUPPORTED, None),
    ],
)
def test_a_folded_program_without_a_result(
    vector: str, outcome: Outcome, verdict: Verdict, failure: Failure | None
) -> None:
    """It may be too long for the runtime, which is allowed to refuse it, but not to die of it."""
    finding = settle(vector, Scripted(lambda job, folds, right: outcome if folds else right))
    assert (finding.judgement.verdict, finding.judgement.failure) == (verdict, failure)


@pytest.mark.parametrize("number", [0, 1, 42, 2**64 - 1])
def test_the_same_answer_to_everything_passes_only_what_it_answers(number: int) -> None:
    runtime = Scripted(lambda job, folds, outcome: Outcome(OutcomeKind.RETURNED, r0=number))
    passed = {name for name in vectors() if settle(name, runtime).judgement.verdict is Verdict.PASS}
    assert passed == {
        name
        for name, vector in vectors().items()
        if vector.little.expect.returns and vector.little.expect.observed == {"r0"}
        if vector.little.expect.registers["r0"] == number
    }
    assert not passed.intersection(HIDDEN)


def test_refusing_everything_passes_nothing_that_must_run() -> None:
    runtime = Scripted(lambda job, folds, outcome: REFUSAL)
    for name, vector in vectors().items():
        verdict = settle(name, runtime).judgement.verdict
        assert (verdict is Verdict.PASS) == vector.little.expect.rejected


@pytest.mark.parametrize("vector", HIDDEN)
def test_right_only_on_the_first_run(vector: str) -> None:
    """Whatever is asked first is answered rightly: the folded program, which shows everything."""
    asked: list[str] = []

    def answer(job: Job, folds: bool, outcome: Outcome) -> Outcome:
        asked.append(job.id)
        return outcome if len(asked) == 1 else wrong(outcome)

    runtime = Scripted(answer)
    assert settle(vector, runtime).judgement.verdict is Verdict.PASS
    assert settle(vector, runtime).judgement.verdict is Verdict.FAIL


@pytest.mark.parametrize("vector", HIDDEN)
def test_right_only_for_vectors_that_it_saw_before(vector: str) -> None:
    seen: set[str] = set()

    def answer(job: Job, folds: bool, outcome: Outcome) -> Outcome:
        known = job.id in seen
        seen.add(job.id)
        return outcome if known else wrong(outcome)

    assert settle(vector, Scripted(answer)).judgement.verdict is Verdict.FAIL
