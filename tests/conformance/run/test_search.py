# SPDX-License-Identifier: Apache-2.0
"""How few vectors decide what a runtime supports: which are run, in which order, and what is concluded."""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from bpf_isa.adapters.protocol import NO_REASON, Blames, Job, Outcome, OutcomeKind, Reason
from bpf_isa.adapters.reference import ReferenceAdapter
from bpf_isa.adapters.registry import RuntimeSpec
from bpf_isa.conformance.run.discovery import (
    Decision,
    Discovery,
    State,
    discover,
    judged,
    look,
)
from bpf_isa.conformance.run.runner import Result
from bpf_isa.conformance.run.verdict import Failure, Judgement, Verdict, harness_error, unsupported
from bpf_isa.conformance.suite.model import Vector
from bpf_isa.conformance.suite.suite import VECTORS, load_suite
from bpf_isa.spec.encoding import decode
from bpf_isa.spec.facts import Kind, facts
from bpf_isa.spec.table import isa

from ..inprocess import here
from .scripted import INFO

HERE = Path(__file__).parents[1]
REFUSED = Outcome(OutcomeKind.REJECTED, reason=Reason("error", "no such instruction"))
NOT_HERE = Outcome(OutcomeKind.UNSUPPORTED, reason=Reason("policy.helpers", "not here", "platform"))
WRONG = Outcome(OutcomeKind.RETURNED, r0=999, registers={f"r{number}": 999 for number in range(10)})
CRASH = Outcome(OutcomeKind.CRASHED, reason=Reason("signal", "SIGILL"))
#: Programs by the names of their vectors, and their results.
ALONE = {
    "mov": ("r0 = 3", 3),
    "add": ("r0 = 3; r0 += 4", 7),
    "sub": ("r0 = 3; r0 -= 2", 1),
    "mul": ("r0 = 3; r0 *= 5", 15),
}
TOGETHER = {"all": ("r0 = 3; r0 += 4; r0 -= 2; r0 *= 5", 25)}
NO_VECTOR = Decision("unknown", Reason(text="no vector tells"))


def needs(names: str) -> Reason:
    return Reason("needs", f"every vector that has it also has one of {names}")


def contained(job: Job) -> list[str]:
    return [item.instruction.name for item in decode(job.code) if item]


class Partial(ReferenceAdapter):
    """Gives certain outcomes for all programs that have certain instructions."""

    def __init__(self, answers: Mapping[str, Outcome]) -> None:
        super().__init__()
        self._answers = answers

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        for job, outcome in zip(jobs, super().run(jobs), strict=True):
            yield next((self._answers[name] for name in contained(job) if name in self._answers), outcome)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def suite(folder: Path, programs: Mapping[str, tuple[str, int]], more: str = "") -> Sequence[Vector]:
    text = "source: {name: tests, method: hand}\nvectors:\n"
    for name, (asm, r0) in programs.items():
        lines = "".join(f"      {line}\n" for line in [*asm.split("; "), "exit"])
        text += f"  - id: {name}\n    covers: [rfc9669-4.1-add]\n    asm: |\n{lines}    expect: {{r0: '{r0}'}}\n"
    (folder / "few.yaml").write_text(text + more)
    return load_suite([folder / "few.yaml"]).vectors


def found_out(vectors: Sequence[Vector], **answers: Outcome) -> Discovery:
    adapter = Partial(answers)
    return discover(here(adapter), adapter.info(), vectors)


def decided(found: Discovery) -> dict[str, Decision]:
    """The decisions about instructions that some vector had."""
    return {name: decision for name, decision in found.decisions.items() if decision != NO_VECTOR}


def works(*names: str, by: str) -> dict[str, Decision]:
    return {name: Decision("works", vector=by) for name in names}


def test_one_vector_shows_all_that_it_executes(folder: Path) -> None:
    found = found_out(suite(folder, ALONE | TOGETHER))
    assert found.asked == ("all",)
    assert decided(found) == works("MOV64_K", "ADD64_K", "SUB64_K", "MUL64_K", "EXIT", by="all")
    assert found.decisions.keys() == isa().by_name.keys()
    assert found.info == ReferenceAdapter().info()


def test_what_is_jumped_over_is_not_shown(folder: Path) -> None:
    found = found_out(suite(folder, {"over": ("r0 = 1; goto +1; r0 ^= 5", 1)}))
    assert decided(found) == works("MOV64_K", "JA", "EXIT", by="over")


def test_programs_that_jump_over_most_of_what_they_have_are_not_tried_first(folder: Path) -> None:
    operators = ("^", "|", "&", "<<", ">>", "/")
    programs = {
        f"over/{number}": (f"r0 = 1; goto +{number}" + "".join(f"; r0 {sign}= 1" for sign in operators[:number]), 1)
        for number in range(1, 7)
    }
    programs |= {"everything": ("r0 = 3; r0 += 4; goto +0; r0 ^= 0; r0 |= 0", 7)}
    found = found_out(suite(folder, ALONE | programs))
    assert found.asked[0] == "everything"
    assert set(found.asked) == {"everything", "sub", "mul"}


@pytest.mark.parametrize("name", ["load-store", "wide", "helpers"])
def test_whatever_a_program_needs_it_is_traced_with(name: str) -> None:
    """Memory, maps, variables and functions are at hand: programs without jumps execute all that they consist of."""
    for vector in load_suite([VECTORS / f"{name}.yaml"]).vectors:
        rows = {item.instruction for item in decode(vector.little.code) if item}
        if vector.little.expect.returns and not {facts(row).kind for row in rows} & {
            Kind.CONDITION,
            Kind.JUMP,
            Kind.CALL,
        }:
            assert decided(found_out([vector])) == works(*(row.name for row in rows), by=vector.id)


def test_a_program_with_an_instruction_that_is_missing_is_not_run_for_others(folder: Path) -> None:
    """Nor one that jumps over them, however few of its instructions are not known."""
    programs = {f"pair/{at}": (f"r0 = 9; r0 -= {at}; w0 += 0", 9 - at) for at in (1, 2, 3)}
    programs |= {
        "base": ("r0 = 3; r0 += 4; r0 *= 5; r0 |= 0; r0 &= 255; goto +0", 35),
        "over": ("r0 = 1; goto +1; w0 += 5", 1),
        "pair/4": ("r0 = 9; r0 -= 9; w0 += 0; r0 += 0", 0),
        "never": ("r0 = 9; r0 -= 9; w0 += 0; r0 += 0; r0 *= 1", 0),
    }
    found = found_out(suite(folder, ALONE | programs), SUB64_K=REFUSED)
    assert found.decisions["SUB64_K"].state == "missing"
    assert found.decisions["ADD32_K"] == Decision("unknown", needs("SUB64_K"))
    assert set(found.asked) == {"base", "pair/1", "pair/2", "pair/3", "pair/4", "sub"}


def test_where_a_vector_fails_its_instructions_are_tried_apart(folder: Path) -> None:
    found = found_out(suite(folder, ALONE | TOGETHER), SUB64_K=REFUSED)
    assert found.asked == ("all", "add", "sub", "mul")
    assert decided(found) == {
        "ADD64_K": Decision("works", vector="add"),
        **works("MOV64_K", "EXIT", "MUL64_K", by="mul"),
        "SUB64_K": Decision("missing", Reason("rejected", "error: no such instruction"), "sub"),
    }


@pytest.mark.parametrize(
    ("outcome", "state", "reason"),
    [
        (REFUSED, "missing", Reason("rejected", "error: no such instruction")),
        (WRONG, "wrong", Reason(text="wrong r0")),
        (CRASH, "wrong", Reason("crashed", "signal: SIGILL")),
        (Outcome(OutcomeKind.UNSUPPORTED, reason=Reason("opcode", "unknown")), "missing", Reason("opcode", "unknown")),
        (NOT_HERE, "unknown", NOT_HERE.reason),
    ],
)
def test_the_only_instruction_that_may_be_to_blame_is_blamed(
    outcome: Outcome, state: State, reason: Reason, folder: Path
) -> None:
    decision = found_out(suite(folder, ALONE), SUB64_K=outcome).decisions["SUB64_K"]
    assert decision == Decision(state, reason, None if state == "unknown" else "sub")


@pytest.mark.parametrize(("unclear", "state"), [(0, "works"), (6, "works"), (7, "unknown")])
def test_an_instruction_is_tried_until_some_answer_tells(unclear: int, state: State, folder: Path) -> None:
    """At first with others that are not known either, then four times with none."""
    several = {
        f"sub/{name}{at}": (f"r0 = 9; {other}r0 -= {at}", 9 - at)
        for name, other in {"alone": "", "add": "r0 += 0; ", "mul": "r0 *= 1; "}.items()
        for at in (1, 2, 3)
    }
    left = [NOT_HERE] * unclear

    class Unclear(ReferenceAdapter):
        def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
            for job, outcome in zip(jobs, super().run(jobs), strict=True):
                yield left.pop() if left and "SUB64_K" in contained(job) else outcome

    adapter = Unclear()
    found = discover(here(adapter), adapter.info(), suite(folder, ALONE | several))
    decision = found.decisions["SUB64_K"]
    assert (decision.state, decision.reason) == (state, NO_REASON if state == "works" else NOT_HERE.reason)


def test_what_only_goes_with_what_is_missing_cannot_be_told(folder: Path) -> None:
    programs = {**ALONE, "both": ("r0 = 3; r0 *= 5; r0 -= 1; r0 ^= 2", 12), "other": ("r0 = 3; r0 -= 3; r0 ^= 1", 1)}
    found = found_out(suite(folder, programs), MUL64_K=REFUSED, SUB64_K=WRONG)
    assert found.decisions["XOR64_K"] == Decision("unknown", needs("MUL64_K, SUB64_K"))


def test_two_instructions_of_which_either_may_be_to_blame_are_not_told_apart(folder: Path) -> None:
    programs = {"pair": ("r0 = 3; r0 ^= 0; r0 |= 0", 3), "other": ("r0 = 9; r0 -= 9; r0 ^= 0; r0 &= 0", 0)}
    found = found_out(suite(folder, ALONE | programs), SUB64_K=REFUSED, XOR64_K=WRONG)
    assert found.decisions["SUB64_K"].state == "missing"
    assert found.decisions["XOR64_K"] == found.decisions["OR64_K"] == NO_VECTOR
    assert str(found.decisions["AND64_K"].reason) == "needs: every vector that has it also has one of SUB64_K"


def test_of_many_obstacles_some_are_named(folder: Path) -> None:
    names = ("ADD64_K", "SUB64_K", "MUL64_K", "OR64_K", "AND64_K")
    signs = {"add": "+", "sub": "-", "mul": "*", "or": "|", "and": "&"}
    programs = {name: (f"r0 = 0; r0 {sign}= 0", 0) for name, sign in signs.items()}
    programs |= {f"xor-{name}": (f"{asm}; r0 ^= 0", 0) for name, (asm, _) in programs.items()}
    for left_out, told in (
        (names[:0], "ADD64_K, AND64_K, MUL64_K, OR64_K, ..."),
        (names[:1], "AND64_K, MUL64_K, OR64_K, SUB64_K"),
    ):
        those = {name: asm for name, asm in programs.items() if not left_out or "add" not in name}
        found = found_out(suite(folder, {"mov": ("r0 = 3", 3), **those}), **dict.fromkeys(names, REFUSED))
        assert found.decisions["XOR64_K"] == Decision("unknown", needs(told))


def test_answers_that_tell_nothing_are_the_reason_where_there_is_no_better(folder: Path) -> None:
    found = found_out(suite(folder, {"both": ("r0 = 3; r0 -= 1", 2)}), SUB64_K=NOT_HERE)
    assert decided(found) == dict.fromkeys(("MOV64_K", "SUB64_K", "EXIT"), Decision("unknown", NOT_HERE.reason))
    found = found_out(suite(folder, {"both": ("r0 = 3; r0 -= 1", 2)}), SUB64_K=REFUSED)
    assert decided(found) == {}


def test_many_instructions_at_once_are_tried_where_nothing_smaller_is(folder: Path) -> None:
    """The program that has the fewest that are not known, for each of them."""
    several = {
        "first": ("r0 = 3; r0 += 1; r0 -= 1; r0 *= 1; r0 |= 0; r0 &= 3", 3),
        "second": ("r0 = 3; r0 += 1; r0 -= 1; r0 *= 1; r0 |= 0; r0 ^= 0", 3),
        "third": ("r0 = 3; r0 += 1; r0 -= 1; r0 *= 1; r0 |= 0; r0 <<= 0", 3),
    }
    found = found_out(suite(folder, several), AND64_K=NOT_HERE, XOR64_K=NOT_HERE)
    assert found.decisions["MUL64_K"] == Decision("works", vector="third")
    assert found.decisions["LSH64_K"] == Decision("works", vector="third")
    assert found.decisions["AND64_K"].state == found.decisions["XOR64_K"].state == "unknown"


# Which vectors are worth running


ALIKE = """
  - {id: robust, covers: [rfc9669-4.1-or], level: robustness, asm: "r0 = 3\\nr0 |= 4\\nexit", expect: {r0: "7"}}
  - id: shows
    covers: [rfc9669-4.1-or]
    asm: "r6 = 0\\nr0 = 3\\nr0 |= 4\\nexit"
    expect: {registers: {r0: "7", r6: "0"}}
  - {id: long, covers: [rfc9669-4.1-or], asm: "r0 = 3\\nr0 |= 4\\nr0 |= 4\\nr0 |= 4\\nexit", expect: {r0: "7"}}
  - id: cases
    covers: [rfc9669-4.1-or]
    asm: "r0 = 3\\nr0 |= {by}\\nr0 |= 0\\nexit"
    cases: {one: {by: "1", r0: "3"}, two: {by: "2", r0: "3"}}
  - {id: short, covers: [rfc9669-4.1-or], asm: "r0 = 3\\nr0 |= 4\\nexit", expect: {r0: "7"}}
"""


def test_of_programs_of_the_same_instructions_the_plainest_are_run(folder: Path) -> None:
    """They are of level must, compare R0 only, are short, and of different entries."""
    vectors = suite(folder, ALONE, ALIKE)
    left = {vector.id for vector in vectors} - ALONE.keys()
    for expected in ({"short", "cases/one", "long"}, {"shows", "robust"}):
        chosen = [vector for vector in vectors if vector.id in ALONE or vector.id in left]
        ran = set(found_out(chosen, OR64_K=NOT_HERE).asked) - ALONE.keys()
        assert ran == expected
        left -= {"short", "cases/one", "cases/two", "long"}


def test_of_programs_that_show_as_much_the_shortest_is_run(folder: Path) -> None:
    several = {"longer": ("r0 = 3; r0 += 4; r0 += 1", 8), "short": ("r0 = 3; r0 += 4", 7)}
    assert found_out(suite(folder, several)).asked == ("short",)


@pytest.mark.parametrize("order", ["little", "big"])
def test_programs_that_tell_nothing_about_this_runtime_are_not_run(
    order: Literal["little", "big"], folder: Path
) -> None:
    filler = "; ".join(["r0 ^= 0"] * 62)
    programs = {"short": (f"r0 = 3; {filler}", 3), "long": (f"r0 = 3; {filler}; r0 -= 0", 3)}
    more = """
  - {id: refused, covers: [rfc9669-4.1-add], code: "ff 00 00 00 00 00 00 00", expect: {rejected: true}}
"""
    vectors = list(suite(folder, programs, more))
    for name, asm in (("little", "r0 = 3; r0 += 0"), ("big", "r0 = 3; r0 *= 1")):
        (only,) = map(copy, suite(folder, {name: (asm, 3)}))
        only.entry = replace(only.entry, byte_order="big" if name == "big" else "little")
        vectors.append(only)
    adapter = ReferenceAdapter(order)
    found = discover(here(adapter), adapter.info(), vectors)
    assert set(found.asked) == {"short", order}


# What is concluded


def some(**states: State) -> dict[str, Decision]:
    """Decisions: all instructions work, but for those that are named, and those of groups that are named."""
    return {
        row.name: Decision(next((states[name] for name in (row.name, *row.groups) if name in states), "works"))
        for row in isa().instructions
    }


def concluded(claims: set[str] | None = None, **states: State) -> Discovery:
    return Discovery(replace(INFO, groups=None if claims is None else frozenset(claims)), some(**states), ())


def test_a_group_is_supported_as_far_as_its_instructions_work() -> None:
    found = concluded(
        ATOMIC_ADD64="missing", packet="unknown", divmul32="wrong", DIV64_K="unknown", CALL_LOCAL="unknown"
    )
    assert {name: group.support for name, group in found.groups.items()} == {
        "base32": "yes",
        "base64": "yes",
        "atomic32": "yes",
        "atomic64": "partly",
        "divmul32": "no",
        "divmul64": "partly",
        "packet": "unknown",
    }
    assert list(found.groups) == list(isa().groups)
    group = found.groups["atomic64"]
    assert group.of("missing") == {"ATOMIC_ADD64": Decision("missing")}
    assert group.instructions.keys() == {row.name for row in isa().instructions if "atomic64" in row.groups}
    assert group.name == "atomic64"


def test_a_group_of_which_nothing_works_is_not_supported_whatever_is_unknown() -> None:
    found = concluded(packet="unknown", LD_ABS_B="missing")
    assert found.groups["packet"].support == "no"


def test_claims_are_compared_with_what_was_found() -> None:
    found = concluded(
        {"base32", "atomic64", "divmul32", "packet"}, ATOMIC_ADD64="missing", divmul32="wrong", packet="unknown"
    )
    assert found.disproved == ["atomic64", "divmul32"]
    assert found.unclaimed == ["base64"]
    assert concluded({"base32"}, divmul64="wrong", packet="missing").unclaimed == [
        "base64",
        "atomic32",
        "atomic64",
        "divmul32",
    ]
    silent = concluded(None, divmul64="missing")
    assert (silent.disproved, silent.unclaimed) == ([], [])


def test_what_a_failure_says_about_an_instruction(folder: Path) -> None:
    (vector,) = suite(folder, {"one": ("r0 = 0", 0)})

    def refused(kind: OutcomeKind | None) -> Result:
        outcome = None if kind is None else Outcome(kind, reason=Reason("x", "y"))
        return Result(vector, outcome, Judgement(Verdict.FAIL, Failure.REFUSED, Reason(text="why")))

    why = Reason(text="why")
    assert judged(Result(vector, None, harness_error(why))) == ("unknown", why)
    blamed: dict[Blames, State] = {"platform": "unknown", "harness": "unknown", "instruction": "missing"}
    for blames, state in blamed.items():
        reason = Reason("code", "text", blames)
        assert judged(Result(vector, None, unsupported(reason))) == (state, reason)
    assert judged(refused(OutcomeKind.REJECTED)) == ("missing", why)
    assert judged(refused(OutcomeKind.CRASHED)) == ("wrong", why)
    assert judged(refused(None)) == ("wrong", why)


@pytest.mark.usefixtures("forked")
def test_runtimes_that_can_be_used_say_who_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)
    works = RuntimeSpec("works", "reference", "big")
    specs = [works, *(RuntimeSpec(name, "python", f"faulty:{name}") for name in ("unavailable", "does_not_start"))]
    first, missing, broken = look(specs)
    assert first == (works, ReferenceAdapter("big").info(), "")
    assert missing == (specs[1], None, "the moon is in the wrong phase: wait a week")
    assert broken[:2] == (specs[2], None)
    assert broken.problem.startswith("its adapter failed: ZeroDivisionError: by nothing (")
