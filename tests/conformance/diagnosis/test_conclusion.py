# SPDX-License-Identifier: Apache-2.0
"""The verdict on a run in words, and whether all is well."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from bpf_isa.adapters.protocol import Blames, Outcome, OutcomeKind, Reason, RuntimeInfo
from bpf_isa.conformance.diagnosis.conclusion import (
    Ending,
    GroupConformance,
    conformance_by_group,
    ending,
    in_words,
    unexpected,
)
from bpf_isa.conformance.results.document import Run
from bpf_isa.conformance.run.runner import Result, RuntimeRun
from bpf_isa.conformance.run.verdict import (
    PASSED,
    Failure,
    Judgement,
    Verdict,
    harness_error,
    unsupported,
)
from bpf_isa.conformance.suite.suite import VECTORS, load_suite

SUITE = load_suite([Path(__file__).parents[1] / "data" / "sample.yaml"])
ENCODINGS = VECTORS / "generated" / "encodings.yaml"
INFO = RuntimeInfo("mine", "1.0", "interpreter", "x", "little", None, frozenset({"r0"}))
RETURNED = Outcome(OutcomeKind.RETURNED, r0=0)
WHY = Reason("x", "y")
FAILED = Judgement(Verdict.FAIL, Failure.WRONG_RESULT, Reason(text="wrong r0"))


def made(changes: dict[str, Judgement] | None = None, info: RuntimeInfo = INFO) -> RuntimeRun:
    """Return a run in which all vectors pass but those whose ids begin with a key of ``changes``."""

    def judgement(name: str) -> Judgement:
        return next((one for key, one in (changes or {}).items() if name.startswith(key)), PASSED)

    return RuntimeRun("mine", info, [Result(one, RETURNED, judgement(one.id)) for one in SUITE.vectors])


def whole(*runs: RuntimeRun) -> Run:
    return Run(SUITE, SUITE.vectors, list(runs))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "mine conforms to base32, base64, atomic64, divmul64"),
        (
            {"add64-x/wraps": FAILED},
            "mine conforms to base32, atomic64, divmul64; not to base64 (1 fail of 3 must vectors)",
        ),
        (
            {"add64-x": FAILED, "stx": unsupported(WHY)},
            "mine conforms to base32, atomic64, divmul64; not to base64 "
            + "(2 fail and 1 are not supported of 3 must vectors)",
        ),
        (
            {"atomic": unsupported(WHY)},
            "mine conforms to base32, base64, divmul64; does not support atomic64",
        ),
        (
            {"calls/local": FAILED},
            "mine conforms to base32, base64 (but not to 1 of its 1 vectors of interpretations), atomic64, divmul64",
        ),
        (
            {"smod": harness_error(WHY)},
            "mine conforms to base32, base64, atomic64; not to divmul64 (1 were not judged of 1 must vectors)",
        ),
        ({"bswap16": FAILED}, "mine conforms to base32, base64, atomic64, divmul64"),
        (
            {"": FAILED},
            "mine conforms to no group of RFC 9669; not to base32 (3 fail of 3 must vectors), "
            + "base64 (3 fail of 3 must vectors), atomic64 (1 fail of 1 must vectors), "
            + "divmul64 (1 fail of 1 must vectors)",
        ),
        (
            {"": unsupported(WHY)},
            "mine conforms to no group of RFC 9669; does not support base32, base64, atomic64, divmul64",
        ),
    ],
)
def test_a_verdict_in_words(changes: dict[str, Judgement], told: str) -> None:
    assert in_words(made(changes), whole=True) == told


def test_a_part_of_the_suite_says_nothing_about_groups() -> None:
    told = in_words(made({"add64-x/wraps": FAILED}), whole=False)
    assert told == (
        "mine passes 9 of the 10 vectors that were selected, which says nothing about whole conformance groups"
    )


def test_a_tier_says_how_far_it_tells() -> None:
    told = in_words(made(), whole=True, tier="quick")
    assert told == "as far as the 10 vectors of tier quick tell, mine conforms to base32, base64, atomic64, divmul64"
    assert "were selected" in in_words(made(), whole=False, tier="quick")


def test_a_run_that_did_not_come_to_its_end_says_nothing_about_groups() -> None:
    told = "mine was not asked about all vectors, which says nothing about whole conformance groups"
    assert in_words(replace(made(), complete=False), whole=True) == told
    assert in_words(replace(made(), problem="8 time-outs in a row"), whole=True) == told


@pytest.mark.parametrize("blames", ["platform", "harness"])
def test_what_cannot_be_tried_is_not_held_against_the_runtime(blames: Blames) -> None:
    one = made({"add64-x/wraps": unsupported(Reason("policy.shift-width", "shift by 64", blames))})
    told = "mine conforms to base32, base64 (1 could not be tried), atomic64, divmul64"
    assert in_words(one, whole=True) == told
    (base64,) = (one for one in conformance_by_group(one.results) if one.group == "base64")
    assert (base64.must, base64.untried) == (Counter({Verdict.PASS: 2}), 1)


def test_a_refused_instruction_is_held_against_the_runtime() -> None:
    one = made({"add64-x/wraps": unsupported(Reason("dpdk.unknown-instruction", "no such opcode"))})
    assert "not to base64 (1 are not supported of 3 must vectors)" in in_words(one, whole=True)


def test_a_group_of_interpretations_alone_is_decided_by_these() -> None:
    passed = GroupConformance("packet", Counter(), Counter({Verdict.PASS: 2}))
    assert (passed.conforms, str(passed)) == (True, "packet")
    failed = GroupConformance("packet", Counter(), Counter({Verdict.PASS: 2, Verdict.FAIL: 1}))
    assert (failed.conforms, str(failed)) == (False, "packet (1 fail of 3 vectors of interpretations)")


def test_only_what_rfc_9669_decides_counts_for_a_group() -> None:
    by_group = {one.group: one for one in conformance_by_group(made({"bswap16": FAILED, "calls": FAILED}).results)}
    assert list(by_group) == ["base32", "base64", "atomic64", "divmul64"]
    assert by_group["base64"].must == Counter({Verdict.PASS: 3})
    assert by_group["base64"].other == Counter({Verdict.FAIL: 1})
    assert by_group["base32"].other == Counter()
    twice = conformance_by_group(made({"calls": FAILED}).results * 2)
    assert [one.other for one in twice if one.group == "base64"] == [Counter({Verdict.FAIL: 2})]


NOT_USABLE = RuntimeRun("other", None, problem="no such file")


@pytest.mark.parametrize(
    ("runs", "may_be_missing", "ended", "why"),
    [
        ([made()], (), Ending.WELL, "nothing failed"),
        ([made({"add64-x": FAILED})], (), Ending.FAILED, "mine fails 2 vectors that are not known to fail"),
        ([made(), NOT_USABLE], ("other",), Ending.WELL, "nothing failed"),
        ([made(), NOT_USABLE], (), Ending.UNUSABLE, "other could not be tested"),
        ([made(), replace(NOT_USABLE, broken=True)], ("other",), Ending.UNUSABLE, "other could not be tested"),
        ([NOT_USABLE], ("other",), Ending.UNUSABLE, "other could not be tested"),
        (
            [made({"smod": harness_error(WHY)})],
            (),
            Ending.UNUSABLE,
            "1 vectors ended in an error of the harness",
        ),
        (
            [made({"smod": harness_error(WHY), "add64-x/w": FAILED}), NOT_USABLE],
            (),
            Ending.FAILED,
            "mine fails 1 vectors that are not known to fail",
        ),
        (
            [made({"smod": FAILED}), replace(made({"add64-x": FAILED}), name="other")],
            (),
            Ending.FAILED,
            "mine fails 1, other fails 2 vectors that are not known to fail",
        ),
        (
            [NOT_USABLE, replace(NOT_USABLE, name="another")],
            (),
            Ending.UNUSABLE,
            "other, another could not be tested",
        ),
        (
            [replace(made({"add64-x": FAILED}), complete=False, problem="the run was interrupted")],
            (),
            Ending.INTERRUPTED,
            "these results are partial: the run was interrupted",
        ),
        (
            [replace(made(), complete=False, broken=True, problem="no memory")],
            (),
            Ending.UNUSABLE,
            "these results are partial: no memory",
        ),
    ],
)
def test_how_a_run_ended(runs: list[RuntimeRun], may_be_missing: tuple[str, ...], ended: Ending, why: str) -> None:
    assert ending(whole(*runs), may_be_missing=may_be_missing) == (ended, why)


def test_failures_that_are_known_do_not_count() -> None:
    linux = replace(INFO, name="linux", version="6.18.0")
    (known,) = (vector for vector in load_suite([ENCODINGS]).vectors if vector.id == "undefined-opcodes/like-ja/e5-ja")
    one = made(info=linux)
    one.results.append(Result(known, RETURNED, FAILED._replace(failure=Failure.LENIENT)))
    assert unexpected(one) == 0
    assert ending(whole(one), may_be_missing=()) == (Ending.WELL, "nothing failed but 1 vectors that are known to fail")
