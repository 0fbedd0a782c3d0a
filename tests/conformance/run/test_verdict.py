# SPDX-License-Identifier: Apache-2.0
"""Verdicts: each kind of expectation against each kind of outcome."""

import pytest

from bpf_isa.adapters.protocol import NO_REASON, Outcome, OutcomeKind, Reason
from bpf_isa.conformance.results.explain import hint
from bpf_isa.conformance.run.verdict import (
    Difference,
    Failure,
    Judgement,
    Verdict,
    harness_error,
    hex64,
    judge,
    unsupported,
)
from bpf_isa.conformance.suite.model import Expectation

RETURN = Expectation({"r0": 5, "r6": 6}, memory=b"\1\2")
REJECT = Expectation({}, rejected=True, witness=7)
FAULT = Expectation({}, faulted="out-of-bounds")
BUDGET = Expectation({}, faulted="budget")
STEADY = Expectation({}, steady=True)
GOOD = Outcome(OutcomeKind.RETURNED, 5, {"r0": 5, "r6": 6, "r7": 99}, b"\1\2")


def other(kind: OutcomeKind) -> Outcome:
    return Outcome(kind, reason=Reason("word", "sentence"))


@pytest.mark.parametrize(
    ("expect", "outcome", "verdict", "failure"),
    [
        (RETURN, GOOD, Verdict.PASS, None),
        (RETURN, GOOD._replace(r0=6), Verdict.FAIL, Failure.WRONG_RESULT),
        (RETURN, GOOD._replace(registers={"r6": 7}), Verdict.FAIL, Failure.WRONG_RESULT),
        (RETURN, GOOD._replace(memory=b"\1\3"), Verdict.FAIL, Failure.WRONG_RESULT),
        (RETURN, GOOD._replace(memory=b"\1"), Verdict.FAIL, Failure.WRONG_RESULT),
        (RETURN, GOOD._replace(registers=None), Verdict.UNSUPPORTED, None),
        (RETURN, GOOD._replace(memory=None), Verdict.UNSUPPORTED, None),
        (RETURN, GOOD._replace(memory=None, r0=0), Verdict.FAIL, Failure.WRONG_RESULT),
        (RETURN, other(OutcomeKind.REJECTED), Verdict.FAIL, Failure.REFUSED),
        (RETURN, other(OutcomeKind.FAULTED), Verdict.FAIL, Failure.REFUSED),
        (RETURN, other(OutcomeKind.TIMED_OUT), Verdict.FAIL, Failure.TIMED_OUT),
        (RETURN, other(OutcomeKind.CRASHED), Verdict.FAIL, Failure.CRASHED),
        (RETURN, other(OutcomeKind.UNSUPPORTED), Verdict.UNSUPPORTED, None),
        (REJECT, other(OutcomeKind.REJECTED), Verdict.PASS, None),
        (REJECT, other(OutcomeKind.FAULTED), Verdict.PASS, None),
        (REJECT, GOOD, Verdict.FAIL, Failure.LENIENT),
        (REJECT, GOOD._replace(r0=7), Verdict.FAIL, Failure.MISEXECUTED),
        (REJECT._replace(witness=None), GOOD, Verdict.FAIL, Failure.LENIENT),
        (REJECT, other(OutcomeKind.CRASHED), Verdict.FAIL, Failure.CRASHED),
        (REJECT, other(OutcomeKind.TIMED_OUT), Verdict.FAIL, Failure.TIMED_OUT),
        (REJECT, other(OutcomeKind.UNSUPPORTED), Verdict.UNSUPPORTED, None),
        (FAULT, other(OutcomeKind.FAULTED), Verdict.PASS, None),
        (FAULT, other(OutcomeKind.REJECTED), Verdict.PASS, None),
        (FAULT, GOOD, Verdict.FAIL, Failure.LENIENT),
        (FAULT, other(OutcomeKind.TIMED_OUT), Verdict.FAIL, Failure.TIMED_OUT),
        (BUDGET, other(OutcomeKind.TIMED_OUT), Verdict.PASS, None),
        (STEADY, GOOD, Verdict.PASS, None),
        (STEADY, GOOD._replace(r0=None), Verdict.UNSUPPORTED, None),
        (STEADY, other(OutcomeKind.REJECTED), Verdict.PASS, None),
        (STEADY, other(OutcomeKind.FAULTED), Verdict.PASS, None),
        (STEADY, other(OutcomeKind.TIMED_OUT), Verdict.FAIL, Failure.TIMED_OUT),
        (STEADY, other(OutcomeKind.CRASHED), Verdict.FAIL, Failure.CRASHED),
    ],
)
def test_verdicts(expect: Expectation, outcome: Outcome, verdict: Verdict, failure: Failure | None) -> None:
    judgement = judge(expect, outcome)
    assert (judgement.verdict, judgement.failure) == (verdict, failure)
    assert (judgement.reason != NO_REASON) == (verdict is not Verdict.PASS)
    assert bool(judgement.differences) == (verdict is Verdict.FAIL)


@pytest.mark.parametrize(
    ("kind", "code"),
    [(OutcomeKind.CRASHED, "crashed"), (OutcomeKind.TIMED_OUT, "timed-out"), (OutcomeKind.FAULTED, "faulted")],
)
def test_a_program_without_a_result_fails_for_the_reason_of_its_outcome(kind: OutcomeKind, code: str) -> None:
    assert judge(RETURN, other(kind)).reason == Reason(code, "word: sentence")


def test_what_is_unsupported_is_so_for_the_reason_of_the_outcome() -> None:
    reason = Reason("policy.loops", "back-edge", "platform")
    assert judge(RETURN, Outcome(OutcomeKind.UNSUPPORTED, reason=reason)) == unsupported(reason)


def test_what_no_table_knows_tells_nothing_about_the_runtime() -> None:
    said = Outcome(OutcomeKind.UNSUPPORTED, reason=Reason("unclassified", "the kernel is tired"))
    assert judge(RETURN, said) == harness_error(Reason("unclassified", "the kernel is tired"))
    assert harness_error(Reason("a", "b")) == Judgement(Verdict.ERROR, reason=Reason("a", "b"))


def test_all_that_is_not_shown_or_wrong_is_named() -> None:
    shown = Outcome(OutcomeKind.RETURNED, 5)
    assert judge(RETURN, shown) == unsupported(Reason("observe", "the runtime does not show r6, memory", "harness"))
    assert str(judge(RETURN, GOOD._replace(r0=6, registers={"r6": 0})).reason) == "wrong r0, r6"


def test_differences_name_each_value() -> None:
    wrong = Outcome(OutcomeKind.RETURNED, 0, {"r6": 2**64 - 1}, b"\1\3")
    assert judge(RETURN, wrong).differences == (
        Difference("r0", 5, 0),
        Difference("r6", 6, 2**64 - 1),
        Difference("memory", b"\1\2", b"\1\3"),
    )


@pytest.mark.parametrize(
    ("expect", "outcome", "expected", "got"),
    [
        (
            RETURN,
            other(OutcomeKind.CRASHED),
            "returned r0 = 0x5, r6 = 0x6, a certain memory",
            "crashed: word: sentence",
        ),
        (
            RETURN,
            other(OutcomeKind.REJECTED),
            "returned r0 = 0x5, r6 = 0x6, a certain memory",
            "rejected: word: sentence",
        ),
        (REJECT, GOOD, "rejected", "returned r0 = 0x5"),
        (REJECT, GOOD._replace(r0=7), "rejected", "returned r0 = 0x7, the result of another instruction"),
        (FAULT, GOOD._replace(r0=None), "faulted (out-of-bounds) or rejected", "returned"),
        (FAULT, other(OutcomeKind.TIMED_OUT), "faulted (out-of-bounds) or rejected", "timed-out: word: sentence"),
        (
            STEADY,
            other(OutcomeKind.CRASHED),
            "rejected, stopped, or the same r0 each time",
            "crashed: word: sentence",
        ),
    ],
)
def test_differences_of_outcomes_say_both(expect: Expectation, outcome: Outcome, expected: str, got: str) -> None:
    assert judge(expect, outcome).differences == (Difference("outcome", expected, got),)


def test_differences_of_memory_end_with_the_last_byte() -> None:
    outcome = Outcome(OutcomeKind.RETURNED, 0, {}, bytes(17) + b"\2\3" + bytes(8))
    (difference,) = judge(Expectation({}, memory=bytes(17) + b"\1" + bytes(9)), outcome).differences
    assert difference == Difference("memory", b"\0\1\0", b"\0\2\3", at=16)
    assert (difference.name, difference.shown) == ("memory[16:19]", ("00 01 00", "00 02 03"))


def test_memory_of_another_length() -> None:
    assert judge(RETURN, GOOD._replace(memory=b"\1")).differences == (Difference("memory", "2 bytes", "1 bytes"),)


@pytest.mark.parametrize(
    ("difference", "name", "shown"),
    [
        (Difference("r0", 5, 0), "r0", ("0x5", "0x0")),
        (Difference("fold", 1 << 63, 17), "fold", ("0x8000000000000000", "0x11")),
        (Difference("memory", 5, 6, at=8, size=2), "memory[8:10]", ("0x0005", "0x0006")),
        (Difference("memory", b"\1\2", b"\1\3", at=3), "memory[3:5]", ("01 02", "01 03")),
        (Difference("memory", b"\1", b"\2", more=7), "memory[0:1]", ("01", "02 (+7 bytes)")),
        (Difference("memory", "2 bytes", "1 bytes"), "memory", ("2 bytes", "1 bytes")),
        (Difference("outcome", "rejected", "returned"), "outcome", ("rejected", "returned")),
    ],
)
def test_differences_as_people_read_them(difference: Difference, name: str, shown: tuple[str, str]) -> None:
    assert (difference.name, difference.shown) == (name, shown)


def test_the_first_byte_that_is_not_shown_counts_as_more() -> None:
    got = b"\1" + bytes(31) + b"\1"
    (difference,) = judge(Expectation({}, memory=bytes(33)), Outcome(OutcomeKind.RETURNED, 0, {}, got)).differences
    assert (difference.got, difference.more) == (got[:32], 1)
    assert difference.shown[1] == f"{got[:32].hex(' ')} (+1 bytes)"


@pytest.mark.parametrize(("value", "digits", "text"), [(0, 0, "0x0"), (10, 4, "0x000a")])
def test_numbers_as_people_read_them(value: int, digits: int, text: str) -> None:
    assert hex64(value, digits) == text


def test_differences_of_memory_show_the_place() -> None:
    want = bytes(1000)
    got = bytearray(want)
    got[500] = 1
    got[900] = 2
    (difference,) = judge(Expectation({}, memory=want), Outcome(OutcomeKind.RETURNED, 0, {}, bytes(got))).differences
    assert difference == Difference("memory", bytes(32), bytes(got[496:528]), at=496, more=1)


@pytest.mark.parametrize(
    ("want", "got", "said"),
    [
        (0xFFFFFFFF80000000, 0x80000000, "the upper 32 bits are lost"),
        (0x80000000, 0xFFFFFFFF80000000, "sign-extended from 32 bits, not zero-extended"),
        (0x1234, 0x3412, "the bytes are in the other order (16 bits)"),
        (0x12345678, 0x78563412, "the bytes are in the other order (32 bits)"),
        (5, 2**64 - 5, "the negative of it"),
        (5, 2**64 - 6, "all bits are inverted"),
        (5, 6, "one too many"),
        (5, 4, "one too few"),
        (5, 0, "zero"),
        (0x1_0000_0005, 0x2_0000_0005, "only the upper 32 bits differ"),
        (0x500, 0x100, "bit 10 differs"),
        (0x77, 0x11, "only the lower 8 bits differ"),
        (0x123456789, 0x987654321, ""),
    ],
)
def test_hints_say_how_numbers_differ(want: int, got: int, said: str) -> None:
    assert hint(Difference("r0", want, got)) == said


def test_no_hint_where_there_are_no_numbers() -> None:
    assert hint(Difference("outcome", "rejected", "returned r0 = 0x5")) == ""
