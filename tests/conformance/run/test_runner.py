# SPDX-License-Identifier: Apache-2.0
"""Runs, as they are made by the command: what is asked, what is not, and how a run goes on that was interrupted."""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

import pytest

from bpf_isa.adapters.protocol import Job, Outcome, OutcomeKind, Reason, RuntimeInfo
from bpf_isa.adapters.reference import ReferenceAdapter
from bpf_isa.adapters.registry import RuntimeSpec
from bpf_isa.conformance.run.runner import (
    Result,
    RuntimeRun,
    ask,
    run,
    was_not_run,
)
from bpf_isa.conformance.run.verdict import Failure, Verdict, harness_error
from bpf_isa.conformance.run.worker import Exhausted
from bpf_isa.conformance.suite.suite import VECTORS as FOLDER
from bpf_isa.conformance.suite.suite import load_suite
from bpf_isa.spec.encoding import decode
from bpf_isa.spec.groups import required

from ..inprocess import here
from .scripted import Log, Script

HERE = Path(__file__).parents[1]
SAMPLE = HERE / "data" / "sample.yaml"
VECTORS = load_suite([SAMPLE]).vectors
PACKETS = FOLDER / "packet.yaml"
pytestmark = pytest.mark.usefixtures("compiled", "forked")


@pytest.fixture(autouse=True)
def faulty_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)


def spec(name: str, as_name: str = "") -> RuntimeSpec:
    return RuntimeSpec(as_name or name, "python", f"faulty:{name}")


REFERENCE = RuntimeSpec("reference", "reference")


class Follows:
    """Writes down what it is told, and interrupts the run at the result with the number ``until``."""

    def __init__(self, until: int = 0) -> None:
        self.told: list[tuple[str, str]] = []
        self.opened_: list[tuple[str, RuntimeInfo]] = []
        self._until = until

    def opened(self, name: str, info: RuntimeInfo) -> None:
        self.opened_.append((name, info))

    def settled(self, name: str, result: Result) -> None:
        self.told.append((name, result.vector.id))
        if len(self.told) == self._until:
            raise KeyboardInterrupt


def verdicts(one: RuntimeRun) -> Mapping[str, Verdict]:
    return {result.vector.id: result.judgement.verdict for result in one.results}


def test_every_vector_gets_a_verdict_in_its_place() -> None:
    follows = Follows()
    right, wrong = run([REFERENCE, spec("add_forgets_the_carry")], VECTORS, processes=2, observers=[follows])
    for one in (right, wrong):
        assert [result.vector for result in one.results] == list(VECTORS)
        assert (one.complete, one.broken, one.problem, one.unrepeated) == (True, False, "", [])
        assert one.seconds > 0
    assert set(verdicts(right).values()) == {Verdict.PASS}
    failed = [result for result in wrong.results if result.judgement.verdict is not Verdict.PASS]
    assert [(result.vector.id, result.judgement.failure) for result in failed] == [
        ("add64-x/carries", Failure.WRONG_RESULT)
    ]
    assert [name for name, _ in follows.opened_] == ["reference", "add_forgets_the_carry"]
    assert [info for _, info in follows.opened_] == [right.info, wrong.info]
    assert sorted(follows.told) == sorted(
        (one.name, result.vector.id) for one in (right, wrong) for result in one.results
    )


def test_how_many_processes_and_how_much_time_is_told(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    told: set[float] = set()

    class Asked(Script):
        def patience(self, timeout: float) -> float:
            told.add(timeout)
            return timeout

    runtime = Asked(opening=lambda: log.note("opened"), answer=lambda _: Outcome(OutcomeKind.RETURNED, r0=0))
    run([runtime], 4 * list(VECTORS))
    assert (len(log.lines()), told) == (1, {30})
    told.clear()
    run([runtime], 4 * list(VECTORS), processes=2, timeout=77)
    assert (len(log.lines()), told) == (3, {77})


def test_what_a_runtime_does_not_claim_is_not_asked() -> None:
    (one,) = run([spec("claims_base32")], VECTORS)
    for result in one.results:
        assert (result.outcome is None) == (result.judgement.verdict is Verdict.UNSUPPORTED)
        missing = sorted(result.vector.groups - {"base32"})
        expected = f"group: the runtime does not claim {', '.join(missing)}" if missing else ""
        assert str(result.judgement.reason) == expected


def test_a_vector_of_the_other_byte_order_is_not_asked() -> None:
    vector = copy(VECTORS[0])
    vector.entry = replace(vector.entry, byte_order="big")
    little, big = run([RuntimeSpec(order, "reference", order) for order in ("little", "big")], [vector])
    assert little.results[0].judgement.reason == Reason(
        "byte-order", "the vector is for big-endian runtimes only", "harness"
    )
    assert big.results[0].judgement.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("name", "problem", "broken"),
    [
        ("unavailable", "the moon is in the wrong phase: wait a week", False),
        ("does_not_start", "the adapter failed: ZeroDivisionError: by nothing (", True),
    ],
)
def test_a_runtime_that_cannot_be_used_has_no_results(name: str, problem: str, broken: bool) -> None:
    one, other = run([spec(name), REFERENCE], VECTORS)
    assert (one.info, one.results, one.complete, one.broken) == (None, [], True, broken)
    assert one.problem.startswith(problem)
    assert set(verdicts(other).values()) == {Verdict.PASS}


@pytest.fixture(scope="module")
def interrupted(compiled: None, forked: None) -> Iterator[tuple[RuntimeRun, RuntimeRun]]:
    """Runs of two runtimes, interrupted at the third result of the first."""
    one, other = run([REFERENCE, replace(REFERENCE, name="other")], VECTORS, observers=[Follows(until=3)])
    yield one, other


def test_an_interrupted_run_says_what_was_not_run(interrupted: tuple[RuntimeRun, RuntimeRun]) -> None:
    one, other = interrupted
    assert (one.complete, one.broken, one.problem) == (False, False, "the run was interrupted")
    assert [result.vector for result in one.results] == list(VECTORS)
    left = [result for result in one.results if was_not_run(result)]
    assert len(left) == len(VECTORS) - 3
    for result in left:
        assert (result.outcome, result.judgement.verdict) == (None, Verdict.ERROR)
        assert result.judgement.reason == Reason("not-run", "the run was interrupted", "harness")
    assert (other.name, other.info, other.results, other.seconds, other.unrepeated) == ("other", None, [], 0.0, [])
    assert (other.complete, other.problem) == (False, "the run was interrupted")


@pytest.mark.parametrize(
    ("error", "problem"),
    [(Exhausted("no process left"), "no process left"), (MemoryError(), "this machine has no memory left")],
)
def test_a_machine_at_its_end_ends_the_run(error: Exception, problem: str) -> None:
    class Fails(Follows):
        def settled(self, name: str, result: Result) -> None:
            raise error

    one, other = run([REFERENCE, replace(REFERENCE, name="other")], VECTORS, observers=[Fails()])
    for each in (one, other):
        assert (each.complete, each.broken, each.problem) == (False, True, problem)
    assert (len(one.results), other.results) == (len(VECTORS), [])
    # The first was settled, and could not be told.
    assert [was_not_run(result) for result in one.results].count(False) == 1


def test_a_run_goes_on_with_what_it_does_not_have(interrupted: tuple[RuntimeRun, RuntimeRun]) -> None:
    late = Outcome(OutcomeKind.TIMED_OUT, reason=Reason("timeout", "no answer within 1 s"))
    earlier = {"reference": replace(interrupted[0], seconds=1000.0, unrepeated=[("a", late)])}
    follows = Follows()
    one, other = run([REFERENCE, replace(REFERENCE, name="other")], VECTORS, earlier=earlier, observers=[follows])
    for each in (one, other):
        assert set(verdicts(each).values()) == {Verdict.PASS}
        assert each.complete and not each.problem
    assert 1000 < one.seconds < 2000 and other.seconds < 1000
    assert [vector for vector, _ in one.unrepeated] == ["a"]
    assert len(follows.told) == 2 * len(VECTORS)
    kept = [result for result in interrupted[0].results if not was_not_run(result)]
    by_id = {result.vector.id: result for result in one.results}
    assert len(kept) == 3
    assert all(by_id[result.vector.id].outcome is result.outcome for result in kept)


def test_what_did_not_happen_again_is_told_of_its_own_runtime_only(interrupted: tuple[RuntimeRun, RuntimeRun]) -> None:
    late = Outcome(OutcomeKind.TIMED_OUT, reason=Reason("timeout", "no answer within 1 s"))
    earlier = {"reference": replace(interrupted[0], unrepeated=[("a", late)])}
    both = [REFERENCE, replace(REFERENCE, name="other")]
    one, other = run(both, VECTORS, earlier=earlier, observers=[Follows(until=4)])
    assert (one.complete, one.unrepeated) == (False, [("a", late)])
    assert (other.complete, other.unrepeated) == (False, [])


def test_a_run_does_not_go_on_with_another_runtime(
    interrupted: tuple[RuntimeRun, RuntimeRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_NAME", "second")
    (one,) = run([spec("changes_its_version", "reference")], VECTORS, earlier={"reference": interrupted[0]})
    assert (one.info, one.broken, one.results) == (None, True, [])
    assert one.problem == "it was reference 0.1.0 before, and is second 0.1.0 now: run the suite anew"


def test_a_runtime_that_could_not_be_used_before_is_tested_now() -> None:
    (one,) = run([REFERENCE], VECTORS, earlier={"reference": RuntimeRun("reference", None, problem="no")})
    assert set(verdicts(one).values()) == {Verdict.PASS}


def test_an_adapter_that_fails_costs_only_the_vectors_that_find_it() -> None:
    (one,) = run([spec("Raises")], VECTORS)
    errors = {name for name, verdict in verdicts(one).items() if verdict is not Verdict.PASS}
    assert errors == {"add64-x/wraps", "add32-k/base32-only/wraps"}
    for result in one.results:
        if result.vector.id in errors:
            assert (result.outcome, result.judgement.verdict) == (None, Verdict.ERROR)
            assert str(result.judgement.reason).startswith("adapter: KeyError: ")
            assert not was_not_run(result)


@pytest.mark.parametrize("name", ["shows_r0_only", "clobbers_r6_and_shows_r0_only"])
def test_runtimes_that_show_r0_only_take_several_rounds(name: str) -> None:
    (one,) = run([spec(name)], VECTORS, processes=2)
    failed = [name for name, verdict in verdicts(one).items() if verdict is not Verdict.PASS]
    assert failed == ([] if name == "shows_r0_only" else ["calls/local"])


def test_whatever_a_runtime_claims_it_can_be_asked() -> None:
    """And the results are in the order of the vectors, whatever is settled first."""
    adapter = ReferenceAdapter(observes=frozenset({"r0"}))
    info = replace(adapter.info(), groups=frozenset({"base32"}))
    everything = ask(here(adapter), info, VECTORS)
    assert [result.vector for result in everything] == list(VECTORS)
    assert {result.judgement.verdict for result in everything} == {Verdict.PASS}
    claimed = ask(here(adapter), info, VECTORS, trust_claims=True)
    assert [result.vector for result in claimed] == list(VECTORS)
    for result in claimed:
        asked = result.vector.groups <= {"base32"}
        assert (result.judgement.verdict is Verdict.PASS) == asked
        assert (result.outcome is not None) == asked


def test_a_group_that_only_claims_make_a_subject_is_asked_about_where_claims_do_not_count() -> None:
    adapter = ReferenceAdapter()
    info = replace(adapter.info(), groups=None)
    some = load_suite([PACKETS]).vectors[:1]
    assert [result.judgement.verdict for result in ask(here(adapter), info, some)] == [Verdict.PASS]
    assert [result.outcome for result in ask(here(adapter), info, some, trust_claims=True)] == [None]


@pytest.mark.parametrize("trust_claims", [False, True])
def test_programs_are_made_of_groups_whose_claims_count(trust_claims: bool, tmp_path: Path) -> None:
    (tmp_path / "narrow.yaml").write_text(
        "source: {name: tests, method: hand}\nvectors:\n  - id: narrow\n    covers: [rfc9669-4.1-add]\n"
        '    asm: "w6 = 5\\nw0 = 3\\nexit"\n    expect: {registers: {r0: "3", r6: "5"}}\n'
    )
    needed: set[str] = set()

    class Records(ReferenceAdapter):
        def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
            needed.update(*(required(decode(job.code)) for job in jobs))
            return super().run(jobs)

    adapter = Records(observes=frozenset({"r0"}), groups=frozenset({"base64"}))
    some = load_suite([tmp_path / "narrow.yaml"]).vectors
    (result,) = ask(here(adapter), adapter.info(), some, trust_claims=trust_claims)
    assert result.judgement.verdict is Verdict.PASS
    assert ("base64" in needed) == trust_claims


def test_a_failure_of_the_adapter_settles_a_vector_in_any_round() -> None:
    """Whatever else was answered in the round: nothing is known."""

    class Fails(ReferenceAdapter):
        """Answers rightly at first, then folds wrongly, and fails at the second of the probes."""

        asked = 0

        def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
            for outcome in super().run(jobs):
                self.asked += 1
                if self.asked == 4:
                    raise KeyError("it")
                yield outcome._replace(r0=1) if self.asked == 1 else outcome

    (vector,) = (one for one in VECTORS if one.id == "calls/local")
    adapter = Fails(observes=frozenset({"r0"}))
    (result,) = ask(here(adapter), adapter.info(), [vector])
    assert result == Result(vector, None, harness_error(Reason("adapter", "KeyError: 'it'", "harness")))
