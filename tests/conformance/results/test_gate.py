# SPDX-License-Identifier: Apache-2.0
"""`bpf-isa gate`, on real runs of runtimes that are wrong."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from bpf_isa.conformance.results.expectations import (
    Expectations,
    Known,
)
from bpf_isa.conformance.results.gate import (
    Kind,
    Requirement,
    RequirementError,
    Violation,
    parse_requirements,
    violations,
)

from .runs import (
    CARRY,
    WHY,
    bpf_isa,
    document,
    gate,
    written,
)


def test_a_run_without_failures_passes(folder: Path) -> None:
    assert gate(folder, "right", status=0) == []


def test_a_new_failure_is_named(folder: Path) -> None:
    assert gate(folder, "wrong") == [("new failure", "add64-x/carries", "wrong-result: wrong r0")]


@pytest.mark.parametrize("vectors", ["add64-x/carries", "add64-x/carr*", "'*carries'", "[add64-x/carries]"])
def test_a_known_failure_passes(folder: Path, vectors: str) -> None:
    assert gate(folder, "wrong", CARRY.replace("add64-x/carries", vectors), status=0) == []


def test_an_unexpected_pass_is_as_bad_as_a_failure(folder: Path) -> None:
    assert gate(folder, "right", CARRY) == [
        ("unexpected pass", "add64-x/carries", "known as fail (wrong-result): no carry")
    ]


def test_a_pattern_that_means_too_much_is_an_unexpected_pass(folder: Path) -> None:
    found = gate(folder, "wrong", CARRY.replace("carries", "*"))
    assert {kind for kind, _, _ in found} == {"unexpected pass"}
    assert "add64-x/carries" not in {what for _, what, _ in found}


@pytest.mark.parametrize("pattern", ["add64-x/gone", "gone/*", "[add64-x/carries, gone/*]", "[add64-x/carries, gone]"])
def test_an_entry_about_no_vector_is_stale(folder: Path, pattern: str) -> None:
    entries = [CARRY] if "carries" not in pattern else []
    found = gate(folder, "wrong", *entries, CARRY.replace("add64-x/carries", pattern))
    gone = re.findall(r"[\w/-]*gone[/*]*", pattern)
    line = 3 + len(entries)
    message = f"{folder / 'known.yaml'}:{line}: there is no such vector"
    assert found == [("stale entry", what, message) for what in gone]


def test_a_vector_that_fails_in_another_way_has_changed(folder: Path) -> None:
    found = gate(folder, "wrong", CARRY.replace("wrong-result", "crashed"))
    assert found == [("changed", "add64-x/carries", "known as fail (crashed), is fail (wrong-result): wrong r0")]
    assert gate(folder, "wrong", CARRY.replace("failure: wrong-result, ", ""), status=0) == []


def test_entries_are_about_the_runtime_of_the_file(folder: Path) -> None:
    found = bpf_isa("gate", folder / "wrong.json", "--expectations", written(folder / "k.yaml", CARRY, "other"))
    assert found.exit_code == 1
    assert "new failure: mine: add64-x/carries" in found.stdout
    assert "not run: other: the runtime" in found.stdout


def test_a_required_group_passes_as_a_whole(folder: Path) -> None:
    assert gate(folder, "right", require="base64,divmul64", status=0) == []


def test_a_known_failure_is_no_excuse_for_a_required_group(folder: Path) -> None:
    (found,) = gate(folder, "wrong", CARRY, require="base64,divmul64")
    assert found[:2] == ("required group", "base64")
    assert re.fullmatch(r"1 of \d vectors do not pass \(1 fail\), e.g. add64-x/carries", found[2])


def test_unsupported_vectors_keep_a_required_group_from_passing_unless_they_are_known(folder: Path) -> None:
    (found,) = gate(folder, "small", require="divmul64")
    assert found[1] == "divmul64" and "unsupported" in found[2]
    known = "  - {vectors: smod64-k/*, verdict: unsupported, reason: no 64-bit division}\n"
    assert gate(folder, "small", known, require="divmul64", status=0) == []


def test_unsupported_vectors_need_not_be_known(folder: Path) -> None:
    assert gate(folder, "small", status=0) == []


def test_a_part_of_the_suite_decides_about_no_group_and_no_stale_entry(folder: Path) -> None:
    assert gate(folder, "part", require="base64") == [
        ("required group", "base64", "only a part of the suite was run: run all of it")
    ]
    assert gate(folder, "part", CARRY.replace("add64-x/carries", "bswap16/gone"), status=0) == []


def test_a_group_that_was_run_as_a_whole_is_decided_about(folder: Path) -> None:
    only_a_part = "only a part of the suite was run: run all of it"
    assert gate(folder, "group", require="divmul64", status=0) == []
    assert ("required group", "base64", only_a_part) in gate(folder, "group", require="base64")
    assert gate(folder, "part-of-group", require="divmul64") == [("required group", "divmul64", only_a_part)]


def test_a_group_without_vectors_does_not_pass(folder: Path) -> None:
    assert gate(folder, "right", require="packet") == [("required group", "packet", "no vector of the group was run")]


def test_errors_of_the_harness_are_named(folder: Path) -> None:
    found = gate(folder, "raises")
    assert {kind for kind, _, _ in found} == {"harness error"}
    assert "KeyError" in found[0][2]


def test_a_runtime_that_could_not_be_used_is_named(folder: Path) -> None:
    assert gate(folder, "missing") == [("not run", "the runtime", "the moon is in the wrong phase: wait a week")]


def test_a_runtime_that_is_required_must_be_there(folder: Path) -> None:
    assert gate(folder, "right", require="theirs:base64") == [
        ("not run", "the runtime", "base64 is required of it, and it is not in the results")
    ]
    assert gate(folder, "both", require="good:base64")[0][0] == "new failure"


def test_a_gate_that_is_shut_says_how_to_take_it_as_expected(folder: Path, tmp_path: Path) -> None:
    file = written(tmp_path / "known of mine.yaml", CARRY.replace("carries", "wraps"))
    before = bpf_isa("gate", folder / "wrong.json", "--expectations", file)
    advice = f"to take this as expected: bpf-isa expect {folder}/wrong.json --update '{file}'"
    assert before.stdout.splitlines()[-2] == advice
    words = shlex.split(advice.partition("bpf-isa ")[2])
    assert bpf_isa(*words).exit_code == 0
    assert bpf_isa("gate", folder / "wrong.json", "--expectations", file).exit_code == 0


def test_a_runtime_without_a_file_is_advised_to_have_one(folder: Path) -> None:
    lines = bpf_isa("gate", folder / "both.json").stdout.splitlines()
    assert lines[-2] == f"to take this as expected: bpf-isa expect {folder}/both.json --update bad.yaml -r bad"


@pytest.mark.parametrize(("name", "require"), [("right", "packet"), ("raises", "base32"), ("missing", "base32")])
def test_what_no_file_can_mend_gets_no_advice(folder: Path, name: str, require: str) -> None:
    done = bpf_isa("gate", folder / f"{name}.json", "--require", require)
    assert done.exit_code == 1
    assert "bpf-isa expect" not in done.stdout


def test_for_people(folder: Path) -> None:
    done = bpf_isa("gate", folder / "wrong.json", "--require", "base64")
    assert done.exit_code == 1
    assert done.stdout.splitlines()[0] == "new failure: mine: add64-x/carries: wrong-result: wrong r0"
    assert done.stdout.splitlines()[-1] == "the gate is shut for mine: 1 new failure, 1 required group"
    assert bpf_isa("gate", folder / "right.json").stdout == "the gate is open for mine\n"


def test_what_the_package_knows_counts_if_that_is_asked_for(folder: Path, tmp_path: Path) -> None:
    """It is about the runtime that says it is `linux`, whatever the run calls it: here with vectors that it lacks."""
    data = json.loads((folder / "right.json").read_text())
    data["runtimes"][0]["identity"].update(name="linux", version="6.1.0-13-amd64")
    (tmp_path / "linux.json").write_text(json.dumps(data))
    assert bpf_isa("gate", tmp_path / "linux.json").exit_code == 0
    done = bpf_isa("gate", tmp_path / "linux.json", "--shipped")
    assert done.exit_code == 1
    assert re.search(r"^stale entry: mine: exit/stray-offset/\*: .*known/linux.yaml:\d+: ", done.stdout, re.MULTILINE)
    assert bpf_isa("gate", folder / "right.json", "--shipped").exit_code == 0


def test_a_run_that_ended_between_two_runtimes_keeps_the_gate_shut(folder: Path) -> None:
    rest = Violation(Kind.NOT_RUN, "the run", "the rest", "it was interrupted before the last runtime")
    data = document(folder, "right", complete=False)
    assert violations([data], [], []) == [rest]
    data["runtimes"][0]["complete"] = False
    assert violations([data], [], []) == [
        Violation(Kind.NOT_RUN, "mine", "the rest", "the run was interrupted: these results are partial")
    ]


def test_a_file_that_was_not_read_keeps_the_gate_shut(folder: Path) -> None:
    data = document(folder, "right", unread=[{"file": "x.data", "reason": "x.data:3: no"}])
    assert violations([data], [], []) == [Violation(Kind.NOT_RUN, "the run", "x.data", "x.data:3: no")]


@pytest.mark.parametrize("narrower", [{}, {"levels": ["must"]}, {"sections": ["4"]}, {"expression": "x"}])
def test_a_group_that_was_selected_was_run_as_a_whole_unless_something_else_was(
    narrower: dict[str, Any], folder: Path
) -> None:
    data = document(folder, "group")
    data["selection"] |= narrower
    part = Violation(Kind.REQUIRED, "mine", "divmul64", "only a part of the suite was run: run all of it")
    assert violations([data], [], [Requirement("divmul64")]) == ([part] if narrower else [])


@pytest.mark.parametrize("name", ["right", "group"])
def test_a_tier_decides_about_no_group(name: str, folder: Path) -> None:
    data = document(folder, name)
    data["selection"]["tier"] = "quick"
    part = Violation(Kind.REQUIRED, "mine", "divmul64", "only tier quick of the suite was run: run all of it")
    assert violations([data], [], [Requirement("divmul64")]) == [part]
    assert violations([data], [], []) == []


def test_results_of_different_tiers_are_refused(folder: Path, tmp_path: Path) -> None:
    data = document(folder, "right")
    data["selection"]["tier"] = "quick"
    (tmp_path / "quick.json").write_text(json.dumps(data))
    done = bpf_isa("gate", tmp_path / "quick.json")
    assert (done.exit_code, done.stdout) == (0, "the gate is open for mine, as far as tier quick tells\n")
    assert json.loads(bpf_isa("gate", tmp_path / "quick.json", "--json", "-").stdout)["tier"] == "quick"
    done = bpf_isa("gate", tmp_path / "quick.json", folder / "right.json")
    assert done.exit_code == 2
    assert "results of different tiers tell different things" in done.stderr


def test_a_group_without_vectors_is_not_shown_to_work(folder: Path) -> None:
    none = Violation(Kind.REQUIRED, "mine", "packet", "no vector of the group was run")
    assert violations([document(folder, "right")], [], [Requirement("packet")]) == [none]


def test_what_is_required_is_counted_by_verdict(folder: Path) -> None:
    data = document(folder, "right")
    found = data["runtimes"][0]["results"]
    for name in ("add64-x/wraps", "add64-x/carries"):
        found[name] = {"verdict": "unsupported", "reason": WHY, "outcome": None}
    found["stx-mem-h/neighbours/order"] = {"verdict": "error", "reason": WHY, "outcome": None}

    def required(*known: Known) -> list[Violation]:
        file = Expectations(Path("k.yaml"), "mine", known)
        return [one for one in violations([data], [file], [Requirement("base64")]) if one.kind is Kind.REQUIRED]

    def missing(number: int, told: str, first: str) -> list[Violation]:
        message = f"{number} of 5 vectors do not pass ({told}), e.g. {first}"
        return [Violation(Kind.REQUIRED, "mine", "base64", message)]

    everything = missing(3, "1 error, 2 unsupported", "add64-x/wraps")
    assert required() == everything
    # Only what is known to be unsupported is excused: not what is about another vector, nor what is known to fail.
    assert required(Known(("calls/local",), "unsupported", "no")) == everything
    assert required(Known(("add64-x/*",), "fail", "no")) == everything
    assert required(Known(("add64-x/*",), "unsupported", "no", versions="<0.1")) == everything
    excused = required(Known(("add64-x/*", "stx-mem-h/*"), "unsupported", "no", versions=">=0.1"))
    assert excused == missing(1, "1 error", "stx-mem-h/neighbours/order")


def test_each_violation_says_of_whom_and_what(folder: Path) -> None:
    data = document(folder, "missing", complete=False)
    one = data["runtimes"][0]
    one["complete"] = False
    found = one["results"]
    found["add64-x/wraps"] = {"verdict": "error", "reason": WHY | {"code": "not-run"}, "outcome": None}
    found["add64-x/carries"] = {"verdict": "error", "reason": WHY | {"code": "not-running"}, "outcome": None}
    found["calls/local"] = {"verdict": "unsupported", "reason": WHY, "outcome": None}
    known = (
        Known(("calls/local", "atomic-fetch-add64"), "fail", "it is so", "crashed"),
        Known(("add64-x/wraps",), "fail", "it was not run, which does not make this stale"),
    )
    files = [Expectations(Path("k.yaml"), "reference", known), Expectations(Path("m.yaml"), "mine", ())]
    told = "known as fail (crashed)"
    assert violations([data], files, []) == [
        Violation(Kind.NOT_RUN, "reference", "the rest", "the run was interrupted: these results are partial"),
        Violation(Kind.ERROR, "reference", "add64-x/carries", "not-running: y"),
        Violation(Kind.UNEXPECTED_PASS, "reference", "atomic-fetch-add64", f"{told}: it is so"),
        Violation(Kind.CHANGED, "reference", "calls/local", f"{told}, is unsupported: x: y"),
        Violation(Kind.NOT_RUN, "mine", "the runtime", "the moon is in the wrong phase: wait a week"),
    ]


def test_a_requirement_of_no_group_names_them() -> None:
    with pytest.raises(RequirementError, match=r"^--require base46: the conformance groups are base32, base64, "):
        parse_requirements(["linux:base32", "base46"])
