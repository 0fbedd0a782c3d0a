# SPDX-License-Identifier: Apache-2.0
"""What the vectors of the short tiers notice, and how they are chosen."""

import io
from collections import Counter
from pathlib import Path

import pytest

from bpf_isa.conformance.adequacy import tiers
from bpf_isa.conformance.adequacy.bench import Bench
from bpf_isa.conformance.adequacy.kill import Pool, Status, decide
from bpf_isa.conformance.adequacy.mutants import mutants_of
from bpf_isa.conformance.adequacy.smoke import smoke
from bpf_isa.conformance.adequacy.survey import Finding, Scope, Survey, bench_of, survey
from bpf_isa.conformance.adequacy.tiers import ENCODING, Rate, chosen, measure, measure_contexts, show_tier
from bpf_isa.conformance.suite.suite import VECTORS, load_suite
from bpf_isa.conformance.suite.tier import Tier, members
from bpf_isa.conformance.terminal.console import Console
from bpf_isa.spec.table import Instruction, isa

NEGATION = """\
# SPDX-License-Identifier: Apache-2.0
source: {name: test, method: hand}
vectors:
  - id: once
    covers: [rfc9669-4.1-neg]
    asm: |
      r0 = 5
      r0 = -r0
      exit
    expect: {r0: "-5"}
  - id: often
    covers: [rfc9669-4.1-neg]
    asm: |
      r0 = 5
      r0 = -r0
      r1 = 0
      r1 = -r1
      r2 = 0x1234567812345678 ll
      r2 = -r2
      exit
    expect: {registers: {r0: "-5", r1: "0", r2: "-0x1234567812345678"}}
"""


def finding(name: str, status: Status, *killers: str, family: str = "statement") -> Finding:
    return Finding(name, "X", family, status, killers)


def killed(*killers: str, family: str = "statement") -> Finding:
    return finding("x", Status.KILLED, *killers, family=family)


@pytest.fixture
def negation(tmp_path: Path) -> Path:
    (tmp_path / "negation.yaml").write_text(NEGATION)
    return tmp_path / "negation.yaml"


def test_what_runs_comes_before_encodings() -> None:
    plain = [killed("run"), finding("same", Status.EQUIVALENT), killed("reject", "other", family=ENCODING)]
    (rejected,) = {"reject", "other"}.intersection(chosen(plain, [], ()))
    assert chosen(plain, [killed("context")], ()) == ["context", "run", rejected]
    assert chosen(plain, [killed("context")], ["other", "run"]) == ["run", "context", "other"]


def test_what_was_chosen_stays_in_its_order_while_it_is_the_first_to_notice_something() -> None:
    plain, contexts = [killed("b", "a"), killed("c", "x"), killed("new", "x")], [killed("rare")]
    assert chosen(plain, contexts, ["rare", "c", "b", "a", "gone"]) == ["rare", "c", "b", "new"]
    assert chosen(plain, contexts, ["rare", "c", "b", "new"]) == ["rare", "c", "b", "new"]


def test_of_new_vectors_those_come_first_that_notice_most() -> None:
    assert chosen([killed("a"), killed("b"), killed("b"), killed("c", "b")], [], ()) == ["b", "a"]


def test_encodings_have_the_room_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiers, "MOST_QUICK", 3)
    monkeypatch.setattr(tiers, "FOR_ENCODINGS", 0)
    plain = [killed("run"), killed("too")] + [killed(name, family=ENCODING) for name in ("one", "two", "two")]
    assert chosen(plain, [], ()) == ["run", "too", "two"]
    assert chosen(plain, [], ["one", "run", "too"]) == ["run", "too", "one"]
    assert chosen(plain, [killed("three")], ["one", "run", "too"]) == ["run", "too", "three"]


def test_encodings_have_some_room_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiers, "MOST_QUICK", 3)
    monkeypatch.setattr(tiers, "FOR_ENCODINGS", 1)
    plain = [
        killed("one"),
        killed("often"),
        killed("often"),
        killed("two"),
        killed("two"),
        killed("x", family=ENCODING),
    ]
    assert chosen(plain, [], ()) == ["often", "two", "x"]
    assert chosen(plain, [killed("more")], ["one", "two"]) == ["one", "two", "x"]


def test_vectors_that_were_chosen_are_asked_first_in_their_order(negation: Path) -> None:
    vectors = load_suite([negation]).vectors
    assert [case.id for case in Bench(vectors).using("NEG64")] == ["once", "often"]
    for first in (["often"], ["once", "often"], ["often", "once"]):
        assert [case.id for case in Bench(vectors, first=first).using("NEG64")][: len(first)] == first


@pytest.mark.parametrize("first", ["once", "often"])
def test_a_survey_names_them_first(first: str, negation: Path) -> None:
    both = [one.id for one in survey(Scope((negation,), ("NEG64",))).findings if len(one.killers) == 2]
    found = survey(Scope((negation,), ("NEG64",), first=(first,))).findings
    assert both and {one.killers for one in found if one.id in both} == {(first,)}


def test_a_survey_of_some_vectors_leaves_the_others_out(negation: Path) -> None:
    found = survey(Scope((negation,), ("NEG64",), only=frozenset(["once"])))
    assert found.vectors == 1 and {name for one in found.findings for name in one.killers} == {"once"}


def test_rates_are_of_the_vectors_of_the_tier() -> None:
    found, rates = measure(Tier.SMOKE, ("NEG64",))
    assert [rate.kind for rate in rates] == ["programs that run", "encodings"]
    for rate, is_encoding in zip(rates, (False, True), strict=True):
        status = Counter(one.status for one in found.findings if (one.family == ENCODING) is is_encoding)
        assert rate == (rate.kind, status[Status.KILLED], status[Status.KILLED] + status[Status.ALIVE])
        assert rate.noticed < rate.all
    assert found.vectors == len(members(Tier.SMOKE))


def test_of_a_tier_counts_what_the_suite_notices_in_contexts(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [killed("a"), killed("b"), finding("no", Status.ALIVE), finding("same", Status.EQUIVALENT)]
    monkeypatch.setattr(tiers, "survey_contexts", lambda scope, *_: Survey(1000, found))
    monkeypatch.setattr(tiers, "members", lambda tier: ("a", "c"))
    measured, rates = measure_contexts(Tier.QUICK)
    assert rates == [("code generators", 1, 2)] and rates[0].share == 0.5
    assert measured.vectors == 2 and [one.reason for one in measured.findings] == ["", "b notices", ""]


@pytest.mark.parametrize(
    ("tier", "vectors", "rate", "well"),
    [
        (Tier.QUICK, 2500, Rate("programs that run", 995, 1000), True),
        (Tier.QUICK, 2501, Rate("programs that run", 995, 1000), False),
        (Tier.QUICK, 10, Rate("programs that run", 994, 1000), False),
        (Tier.QUICK, 10, Rate("code generators", 994, 1000), False),
        (Tier.QUICK, 10, Rate("encodings", 1, 3), False),
        (Tier.SMOKE, 150, Rate("programs that run", 1, 3), True),
        (Tier.SMOKE, 151, Rate("programs that run", 3, 3), False),
    ],
)
def test_a_tier_is_small_and_strong_enough(tier: Tier, vectors: int, rate: Rate, well: bool) -> None:
    assert show_tier(Survey(vectors, []), [rate], tier, Console(file=io.StringIO())) is well


def test_what_a_tier_notices_is_printed() -> None:
    text = io.StringIO()
    found = Survey(7, [killed("a"), finding("not noticed", Status.ALIVE)])
    show_tier(found, [Rate("programs that run", 3, 4)], Tier.QUICK, Console(file=text, width=200))
    lines = text.getvalue().splitlines()
    assert lines[-2:] == [
        "7 vectors in tier quick; 2,500 may be",
        "mutants of programs that run: 3 of 4 noticed (75.00%); at least 99.5% have to be",
    ]
    assert "alive not noticed" not in text.getvalue()
    show_tier(found, [], Tier.QUICK, Console(file=text, width=200), all_alive=True)
    assert "alive not noticed" in text.getvalue()


@pytest.mark.long
def test_the_smallest_tier_is_as_its_generator_makes_it() -> None:
    kept = members(Tier.SMOKE)
    assert smoke(load_suite().vectors, kept) == list(kept)


@pytest.mark.long
def test_the_smallest_tier_notices_faults_of_every_instruction() -> None:
    bench = bench_of(Scope((VECTORS,), only=frozenset(members(Tier.SMOKE))))

    def noticed(row: Instruction) -> bool:
        pool = Pool(row, bench)
        return any(decide(mutant, pool).status is Status.KILLED for mutant in mutants_of(row, isa()))

    assert {row.name for row in isa().instructions if not noticed(row)} == set()
