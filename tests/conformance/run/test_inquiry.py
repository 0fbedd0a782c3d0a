# SPDX-License-Identifier: Apache-2.0
"""Which programs a runtime is asked to run about a vector, from answer to answer, and what is concluded at last."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

from bpf_isa.adapters.protocol import Job, Observable, Outcome, OutcomeKind, Reason
from bpf_isa.adapters.reference import ReferenceAdapter
from bpf_isa.conformance.run.inquiry import Finding, inquire
from bpf_isa.conformance.run.verdict import (
    PASSED,
    Difference,
    Failure,
    Judgement,
    Verdict,
    unsupported,
)
from bpf_isa.conformance.suite.model import Vector
from bpf_isa.conformance.suite.suite import load_suite
from bpf_isa.spec.encoding import decode
from bpf_isa.spec.groups import required

SAMPLE = Path(__file__).parents[1] / "data" / "sample.yaml"
#: Vectors of base32 that compare more than R0, one that cannot be folded there, and one with much memory.
MORE = """
source: {name: tests, method: hand}
vectors:
  - {id: narrow, covers: [rfc9669-4.1-add], asm: "w6 = 5\\nw0 = 3\\nexit", expect: {registers: {r0: "3", r6: "5"}}}
  - {id: narrow/hidden, covers: [rfc9669-4.1-add], asm: "w6 = 5\\nw0 = 3\\nexit", expect: {registers: {r6: "5"}}}
  - id: unfoldable
    covers: [rfc9669-4.1-add]
    asm: "w1 = 7\\nw0 = 3\\nexit"
    memory: "01 02"
    expect: {r0: "3", memory: "01 02"}
  - id: large
    covers: [rfc9669-4.1-add]
    asm: "r0 = 3\\nexit"
    memory: "01*4096"
    expect: {r0: "3", memory: "01*4096"}
"""
REFUSAL = Outcome(OutcomeKind.REJECTED, reason=Reason("error", "no"))
R0: frozenset[Observable] = frozenset({"r0"})
MEMORY: frozenset[Observable] = R0 | {"memory"}
REGISTERS: frozenset[Observable] = R0 | {"registers"}

#: Changes what a correct runtime says about the jobs of a round; it is told the number of the round, from 0.
Answer: TypeAlias = Callable[[int, Job, Outcome], Outcome]


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Vector]:
    path = tmp_path_factory.mktemp("more") / "more.yaml"
    path.write_text(MORE)
    return {vector.id: vector for vector in load_suite([SAMPLE, path]).vectors}


class Settled(NamedTuple):
    """The jobs of each round with their outcomes, and the finding."""

    rounds: list[list[tuple[Job, Outcome]]]
    finding: Finding

    @property
    def plain(self) -> Outcome:
        """What the runtime said about the vector's own program."""
        return next(said for asked in self.rounds for job, said in asked if len(job.observe) > 1)


def settle(
    vector: Vector,
    answer: Answer = lambda number, job, right: right,
    observes: frozenset[Observable] = R0,
    groups: AbstractSet[str] | None = None,
) -> Settled:
    runtime = ReferenceAdapter("little", observes=observes)
    info = replace(runtime.info(), groups=None if groups is None else frozenset(groups))
    inquiry = inquire(vector, info)
    rounds: list[list[tuple[Job, Outcome]]] = []
    jobs = next(inquiry)
    while True:
        outcomes = [answer(len(rounds), job, right) for job, right in zip(jobs, runtime.run(jobs), strict=True)]
        rounds.append(list(zip(jobs, outcomes, strict=True)))
        try:
            jobs = inquiry.send(outcomes)
        except StopIteration as end:
            return Settled(rounds, end.value)


def wrong(outcome: Outcome) -> Outcome:
    return outcome._replace(r0=(outcome.r0 or 0) ^ 1)


def wrongly(*numbers: int) -> Answer:
    """Answer wrongly in the rounds with these numbers."""
    return lambda number, job, right: wrong(right) if number in numbers else right


STORE = "stx-mem-h/neighbours/order"


@pytest.mark.parametrize(
    ("vector", "observes", "enough"),
    [
        ("add64-x/wraps", R0, True),
        ("bswap16/source-bit-set", R0, True),
        ("calls/local", R0, False),
        ("calls/local", MEMORY, False),
        ("calls/local", REGISTERS, True),
        ("atomic-fetch-add64", R0, False),
        ("atomic-fetch-add64", REGISTERS, False),
        ("atomic-fetch-add64", MEMORY, True),
        (STORE, MEMORY, False),
        (STORE, REGISTERS, False),
        (STORE, MEMORY | REGISTERS, True),
    ],
)
def test_programs_are_folded_only_where_not_all_is_shown(
    vector: str, observes: frozenset[Observable], enough: bool, vectors: Mapping[str, Vector]
) -> None:
    settled = settle(vectors[vector], observes=observes)
    (((job, outcome),),) = settled.rounds
    assert (job == vectors[vector].job("little")) == enough
    assert settled.finding == Finding(outcome, PASSED)


@pytest.mark.parametrize(("groups", "base32"), [(None, True), ({"base32"}, True), ({"base64"}, False)])
@pytest.mark.parametrize(("vector", "complete"), [("narrow", False), ("narrow/hidden", True)])
def test_programs_of_base32_are_folded_within_it_unless_the_runtime_has_more(
    vector: str, complete: bool, groups: AbstractSet[str] | None, base32: bool, vectors: Mapping[str, Vector]
) -> None:
    settled = settle(vectors[vector], groups=groups)
    (asked,) = settled.rounds
    assert (required(decode(asked[0][0].code)) == {"base32"}) == base32
    # In base32 the fold loses the upper half of R0, so that the plain program is asked as well.
    assert len(asked) == (1 if complete or not base32 else 2)
    assert settled.finding == Finding(asked[-1][1], PASSED)


def test_the_upper_half_of_r0_is_seen_where_the_fold_loses_it(vectors: Mapping[str, Vector]) -> None:
    def answer(number: int, job: Job, right: Outcome) -> Outcome:
        return right if job.observe == {"r0"} else right._replace(r0=3 | 1 << 32)

    settled = settle(vectors["narrow"], answer)
    difference = Difference("r0", 0x3, 0x100000003)
    assert settled.finding == Finding(
        settled.plain, Judgement(Verdict.FAIL, Failure.WRONG_RESULT, Reason(text="wrong r0"), (difference,))
    )


def test_why_a_program_was_not_folded_is_said_where_it_matters(vectors: Mapping[str, Vector]) -> None:
    vector = vectors["unfoldable"]
    settled = settle(vector)
    reason = "no register and no part of the stack is free to keep the address of the memory in"
    assert settled.finding == Finding(
        settled.plain, unsupported(Reason("observe", f"the runtime does not show memory, and {reason}", "harness"))
    )
    assert str(settle(vector, wrongly(0)).finding.judgement.reason) == "wrong r0"
    refused = Outcome(OutcomeKind.UNSUPPORTED, reason=Reason("maps", "none here"))
    shown = settle(vector, lambda number, job, right: refused, MEMORY)
    assert shown.finding == Finding(refused, unsupported(Reason("maps", "none here")))


def test_a_wrong_plain_program_explains_a_wrong_fold(vectors: Mapping[str, Vector]) -> None:
    settled = settle(vectors["calls/local"], wrongly(0, 1))
    assert len(settled.rounds) == 2
    difference = Difference("r0", 0x2A, 0x2B)
    assert settled.finding == Finding(
        settled.plain, Judgement(Verdict.FAIL, Failure.WRONG_RESULT, Reason(text="wrong r0"), (difference,))
    )


def test_a_folded_program_that_does_not_return(vectors: Mapping[str, Vector]) -> None:
    crash = Outcome(OutcomeKind.CRASHED, reason=Reason("signal", "SIGSEGV"))
    settled = settle(vectors[STORE], lambda number, job, right: right if number else crash)
    assert settled.finding.outcome == crash
    settled = settle(vectors[STORE], lambda number, job, right: right if number else REFUSAL)
    text = "the runtime shows r0 only, and the program that shows more rejected: error: no"
    assert settled.finding == Finding(settled.plain, unsupported(Reason("observe", text, "harness")))


def test_probes_say_which_values_are_wrong(vectors: Mapping[str, Vector]) -> None:
    settled = settle(vectors[STORE], wrongly(0, 2))
    differences = (
        Difference("r0", 0x0, 0x1),
        Difference("r3", 0x1234, 0x1235),
        Difference("memory", 0xFFFFFFFF1234FFFF, 0xFFFFFFFF1234FFFE, size=8),
    )
    judgement = Judgement(Verdict.FAIL, Failure.WRONG_RESULT, Reason(text="wrong r0, r3, memory[0:8]"), differences)
    assert settled.finding == Finding(settled.plain, judgement)


def test_probes_that_return_without_a_number_show_nothing(vectors: Mapping[str, Vector]) -> None:
    settled = settle(
        vectors["large"], lambda number, job, right: right if number == 1 else Outcome(OutcomeKind.RETURNED)
    )
    word = "0x" + 8 * "01"
    assert settled.finding.judgement.differences[:3] == (
        Difference("r0", "0x3", "nothing"),
        Difference("memory", word, "nothing", at=0, size=8),
        Difference("memory", word, "nothing", at=8, size=8),
    )


def test_words_of_memory_are_shown_with_all_their_digits(vectors: Mapping[str, Vector]) -> None:
    settled = settle(vectors["atomic-fetch-add64"], wrongly(0, 2))
    (_, difference) = settled.finding.judgement.differences
    assert difference == Difference("memory", 8, 9, size=8)
    assert (difference.name, difference.shown) == ("memory[0:8]", ("0x0000000000000008", "0x0000000000000009"))


def test_a_wrong_fold_that_nothing_explains_is_told_with_its_values(vectors: Mapping[str, Vector]) -> None:
    settled = settle(vectors[STORE], wrongly(0))
    ((_, folded),) = settled.rounds[0]
    assert folded.r0 is not None
    difference = Difference("fold", folded.r0 ^ 1, folded.r0)
    reason = Reason(text="wrong fold of memory, r0, r3 into r0")
    assert settled.finding == Finding(
        settled.plain, Judgement(Verdict.FAIL, Failure.WRONG_RESULT, reason, (difference,))
    )
    assert len(settled.rounds) == 4


def test_a_value_that_was_not_seen_is_named(vectors: Mapping[str, Vector]) -> None:
    def answer(number: int, job: Job, right: Outcome) -> Outcome:
        return REFUSAL if number == 2 and "r3" not in job.observe else wrong(right) if number in {0, 3} else right

    settled = settle(vectors[STORE], answer)
    reason = "it computes the fold of constants wrongly, and the program that shows r3 rejected"
    why = Reason("observe", f"the runtime shows r0 only, {reason}", "harness")
    assert settled.finding == Finding(settled.plain, unsupported(why))


def test_blocks_of_memory_that_are_right_are_not_looked_into(vectors: Mapping[str, Vector]) -> None:
    settled = settle(vectors["large"], wrongly(0))
    assert [len(asked) for asked in settled.rounds] == [1, 1, 65, 7, 1]
    assert str(settled.finding.judgement.reason) == "wrong fold of memory, r0 into r0"


@pytest.mark.parametrize(
    ("blocks", "judgement"),
    [
        (4, PASSED),
        (
            5,
            unsupported(
                Reason(
                    "observe",
                    "the runtime shows r0 only, it computes the fold of constants wrongly, "
                    "and the program that folds words 320 and following of the memory is not right",
                    "harness",
                )
            ),
        ),
    ],
)
def test_blocks_that_were_not_looked_into_are_no_pass(
    blocks: int, judgement: Judgement, vectors: Mapping[str, Vector]
) -> None:
    """The runtime folds wrongly, constants as well, and each word that it is asked about is right."""
    tried = 0

    def answer(number: int, job: Job, right: Outcome) -> Outcome:
        nonlocal tried
        tried += number == 3
        return wrong(right) if number == 0 or (number == 3 and tried <= blocks) or number == 8 else right

    settled = settle(vectors["large"], answer)
    assert [len(asked) for asked in settled.rounds] == [1, 1, 65, 7, *[64] * 4, 1]
    assert settled.finding == Finding(settled.plain, judgement)


@pytest.mark.parametrize(("vector", "number"), [("calls/local", 2), ("large", 3)])
def test_each_program_needs_an_answer(vector: str, number: int, vectors: Mapping[str, Vector]) -> None:
    runtime = ReferenceAdapter("little", observes=R0)
    inquiry = inquire(vectors[vector], runtime.info())
    jobs = next(inquiry)
    for at in range(number):
        jobs = inquiry.send([wrongly(0)(at, job, right) for job, right in zip(jobs, runtime.run(jobs), strict=True)])
    with pytest.raises(ValueError, match="shorter"):
        inquiry.send(list(runtime.run(jobs))[:-1])
