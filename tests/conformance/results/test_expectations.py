# SPDX-License-Identifier: Apache-2.0
"""Expectation files, `bpf-isa expect`, `bpf-isa gate` and `bpf-isa diff`, on real runs of runtimes that are wrong."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bpf_isa.adapters.protocol import Reason, RuntimeInfo
from bpf_isa.conformance.cli import main
from bpf_isa.conformance.results import document as results
from bpf_isa.conformance.results import expectations
from bpf_isa.conformance.results.document import Run, Selection
from bpf_isa.conformance.results.expectations import (
    ExpectationError,
    Expectations,
    Known,
    abbreviated,
    dump,
    foreseen,
    load,
    updated,
)
from bpf_isa.conformance.results.gate import (
    Kind,
    Requirement,
    RequirementError,
    Violation,
    parse_requirements,
    violations,
)
from bpf_isa.conformance.run import runner
from bpf_isa.conformance.run.runner import RuntimeRun
from bpf_isa.conformance.run.verdict import (
    PASSED,
    Failure,
    Judgement,
    Verdict,
)
from bpf_isa.conformance.suite.model import Vector
from bpf_isa.conformance.suite.select import by_expression, by_groups
from bpf_isa.conformance.suite.suite import load_suite
from bpf_isa.spec.strict_yaml import YamlError

from ..inprocess import run_of

HERE = Path(__file__).parents[1]
SAMPLE = HERE / "data" / "sample.yaml"
WRONG = "add_forgets_the_carry"
WHY = {"code": "x", "text": "y", "blames": "instruction"}


def bpf_isa(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results: right.json of a runtime `mine` without failures, wrong.json of a `mine` with one, and others."""
    folder = tmp_path_factory.mktemp("results")
    suite = load_suite([SAMPLE])

    def kept(name: str, vectors: Sequence[Vector], runtimes: Mapping[str, str], selection: Selection) -> None:
        runs = [run_of(runtime, vectors, as_name) for as_name, runtime in runtimes.items()]
        document = results.document(Run(suite, vectors, runs, selection))
        results.write(document, folder / f"{name}.json")

    for name, runtimes in {
        "right": {"mine": "reference"},
        "wrong": {"mine": WRONG},
        "lenient": {"mine": "ignores_the_source_of_bswap"},
        "small": {"mine": "claims_base32"},
        "mute": {"mine": "HasNoFunctions"},
        "both": {"good": "reference", "bad": WRONG},
        "raises": {"mine": "Raises"},
        "missing": {"mine": "unavailable", "reference": "reference"},
    }.items():
        kept(name, suite.vectors, runtimes, Selection())
    for name, selection, tests in [
        ("part", Selection("add64-x"), [by_expression("add64-x")]),
        ("group", Selection(groups=("divmul64",)), [by_groups(["divmul64"])]),
        ("part-of-group", Selection("smod64", ("divmul64",)), [by_expression("smod64"), by_groups(["divmul64"])]),
    ]:
        kept(name, suite.select(tests), {"mine": "reference"}, selection)
    return folder


def written(path: Path, entries: str, runtime: str = "mine") -> Path:
    path.write_text(
        f"runtime: {runtime}\nexpectations:\n{entries}" if entries else f"runtime: {runtime}\nexpectations: []\n"
    )
    return path


CARRY = "  - {vectors: add64-x/carries, verdict: fail, failure: wrong-result, reason: no carry}\n"


def gate(folder: Path, name: str, *entries: str, require: str = "", status: int = 1) -> list[tuple[str, str, str]]:
    """Run the gate on results and one expectation file; return what it finds: kind, what, message."""
    arguments: list[str | Path] = ["gate", folder / f"{name}.json", "--json", "-"]
    if entries:
        arguments += ["--expectations", written(folder / "known.yaml", "".join(entries))]
    if require:
        arguments += ["--require", require]
    done = bpf_isa(*arguments)
    assert done.exit_code == status, done.output
    data = json.loads(done.stdout)
    assert data["open"] == (status == 0)
    return [(item["kind"], item["what"], item["message"]) for item in data["violations"]]


# The gate


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


def document(folder: Path, name: str, **changes: Any) -> results.Json:
    """Results with changes at the top."""
    data: results.Json = json.loads((folder / f"{name}.json").read_text())
    return data | changes


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


# Versions


@pytest.mark.parametrize(
    ("version", "versions", "applies"),
    [
        ("6.18.44-fc-v669", ">=6.1", True),
        ("6.18.44-fc-v669", ">=5.4,<6.18", False),
        ("v2.0rc1", "==2.0", True),
        ("DPDK 22.11.11", "~=22.11", True),
        ("1.0", "!=1.0", False),
    ],
)
def test_entries_are_about_a_range_of_versions(version: str, versions: str, applies: bool) -> None:
    known = Known(("a",), "fail", "because", versions=versions)
    assert Expectations(Path("x"), "r", (known,)).applying(version) == ([known] if applies else [])


def test_an_entry_about_other_versions_is_passed_over(folder: Path) -> None:
    found = gate(folder, "right", CARRY.replace("}", ', versions: "<0.1"}'), status=0)
    assert found == []
    assert gate(folder, "right", CARRY.replace("}", ', versions: ">=0.1"}'))[0][0] == "unexpected pass"


def test_a_version_without_a_number_cannot_be_compared() -> None:
    file = Expectations(Path("x.yaml"), "r", (Known(("a",), "fail", "because", versions="<1", line=3),))
    with pytest.raises(ExpectationError, match=r"x.yaml:3: versions <1: the version of r is 'unknown'"):
        file.applying("unknown")


# Files


BAD = {
    "no runtime": ("expectations: []\n", r":1: the document: 'runtime' is missing"),
    "no runtime behind comments": ("# expectations\n\nexpectations: []\n", r":3: the document: 'runtime' is missing"),
    "no mapping": ("expectations\n", r":1: the document: "),
    "no reason": (CARRY.replace(", reason: no carry", ""), r":3: expectations.0: 'reason' is missing"),
    "an empty reason": (CARRY.replace("no carry", "' '"), r":3: expectations.0.reason: .*does not match"),
    "unknown field": (CARRY.replace("reason", "resaon"), r":3: .*'re(sa|as)on'"),
    "a pass": (CARRY.replace("verdict: fail", "verdict: pass"), r":3: expectations.0.verdict: must be one of"),
    "a failure that is unsupported": (CARRY.replace("verdict: fail", "verdict: unsupported"), r":3: "),
    "no link": (CARRY.replace("}", ", link: example.org}"), r":3: expectations.0.link: must be where more is said"),
    "no range": (CARRY.replace("}", ', versions: "since 5"}'), r":3: versions: 'since 5' is no range of versions"),
    "a pattern twice": (CARRY + CARRY, r":4: add64-x/carries stands in the entry of line 3 already"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_files_that_cannot_be_used(tmp_path: Path, folder: Path, text: str, message: str) -> None:
    path = tmp_path / "k.yaml"
    path.write_text(text if text.startswith(("exp", "#")) else f"runtime: mine\nexpectations:\n{text}")
    with pytest.raises(ExpectationError, match=message):
        load(path)
    done = bpf_isa("gate", folder / "right.json", "--expectations", path)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Error: {path}:")


def test_files_are_strict_yaml(tmp_path: Path) -> None:
    path = tmp_path / "k.yaml"
    path.write_text("runtime: a\nruntime: b\nexpectations: []\n")
    with pytest.raises(YamlError):
        load(path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gate", "nowhere.json"], "nowhere.json: cannot be read"),
        (["gate", "{sample}"], "not JSON"),
        (["gate", "{right}", "--require", "base46"], "--require base46: the conformance groups are base32"),
        (["gate", "{right}", "--expectations", "nowhere.yaml"], "nowhere.yaml"),
        (["expect", "{both}", "--update", "new.yaml"], "has several runtimes: choose one of good, bad"),
        (["expect", "{both}", "--update", "new.yaml", "-r", "ugly"], "has no runtime 'ugly'; it has good, bad"),
        (["expect", "{right}", "--update", "no/where.yaml"], "no/where.yaml: cannot be written"),
        (["diff", "{both}", "{right}"], "no runtime is in both"),
        (["diff", "{both}", "{right}", "--from", "ugly"], "has no runtime 'ugly'; it has good, bad"),
    ],
)
def test_bad_input_is_one_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {name: folder / f"{name}.json" for name in ("right", "both")}
    done = bpf_isa(*(argument.format(sample=SAMPLE, **places) for argument in arguments))
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    known = (
        Known(("a/b",), "fail", 'it\'s: "so" # really', "crashed", "https://example.org/1#x", ">=1,<2"),
        Known(("a/*", "yes", "c-[0-9]"), "unsupported", "no"),
    )
    path = tmp_path / "k.yaml"
    path.write_text(dump(Expectations(path, "null", known, "# one\n# two\n")))
    assert load(path) == Expectations(path, "null", known, "# one\n# two\n")


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("two words", "two words"),
        ("yes", '"yes"'),
        ("7", '"7"'),
        ("a: b", '"a: b"'),
        ('é \\ "', '"é \\\\ \\""'),
        ("A " + "long " * 40 + "one", '"A ' + "long " * 40 + 'one"'),
    ],
)
def test_texts_stand_on_one_line(reason: str, text: str) -> None:
    written = dump(Expectations(Path("k.yaml"), "r", (Known(("a",), "fail", reason),)))
    assert written == f"runtime: r\nexpectations:\n  - vectors: a\n    verdict: fail\n    reason: {text}\n"


# Update


def update(folder: Path, name: str, file: Path, *options: str) -> tuple[Known, ...]:
    done = bpf_isa("expect", folder / f"{name}.json", "--update", file, *options)
    assert done.exit_code == 0, done.output
    return load(file).known


def test_failures_come_to_a_new_file_unexplained(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "new.yaml"
    (known,) = update(folder, "wrong", file)
    told = r"unexplained: [A-Z0-9_]+, must: the runtime computed something else \(r0: the upper 32 bits are lost\)"
    assert re.fullmatch(told, known.reason)
    assert known == Known(("add64-x/carries",), "fail", known.reason, "wrong-result")
    done = bpf_isa("gate", folder / "wrong.json", "--expectations", file)
    assert done.exit_code == 0
    assert "note: 1 entries of the expectation files are unexplained" in done.stdout


def test_each_finding_is_an_entry(folder: Path, tmp_path: Path) -> None:
    """Failures of one kind with two causes; those of one cause stand together."""
    data = json.loads((folder / "wrong.json").read_text())
    results = data["runtimes"][0]["results"]
    for name in ("smod64-k/dividend-negative", "add64-x/wraps"):
        results[name] = results["add64-x/carries"]
    (tmp_path / "r.json").write_text(json.dumps(data))
    known = update(tmp_path, "r", tmp_path / "new.yaml")
    assert [entry.patterns for entry in known] == [("add64-x/*",), ("smod64-k/dividend-negative",)]
    assert {(entry.verdict, entry.failure) for entry in known} == {("fail", "wrong-result")}
    assert len({entry.reason for entry in known}) == 2
    assert bpf_isa("gate", tmp_path / "r.json", "--expectations", tmp_path / "new.yaml").exit_code == 0


def test_what_is_known_of_vectors_that_were_not_selected_stays(folder: Path, tmp_path: Path) -> None:
    file = written(tmp_path / "k.yaml", CARRY.replace("add64-x/carries", "[smod64-k/*, add64-x/*, calls/local]"))
    (known,) = update(folder, "part", file)
    assert known.patterns == ("smod64-k/*", "calls/local")
    assert update(folder, "right", file) == ()


def test_reasons_and_comments_are_kept_and_what_is_over_goes(folder: Path, tmp_path: Path) -> None:
    file = written(tmp_path / "k.yaml", CARRY.replace("}", ", link: https://example.org/7}"))
    file.write_text("# Ours.\n" + file.read_text())
    (known,) = update(folder, "wrong", file)
    assert (known.reason, known.link) == ("no carry", "https://example.org/7")
    assert update(folder, "right", file) == ()
    assert file.read_text() == "# Ours.\nruntime: mine\nexpectations: []\n"


def test_a_pattern_that_is_right_in_part_becomes_ids_with_its_reason(folder: Path, tmp_path: Path) -> None:
    file = written(tmp_path / "k.yaml", CARRY.replace("add64-x/carries", "[add64-x/*, gone]"))
    (known,) = update(folder, "wrong", file)
    assert (known.patterns, known.reason) == (("add64-x/carries",), "no carry")


def test_a_pattern_that_is_right_stays(folder: Path, tmp_path: Path) -> None:
    file = written(tmp_path / "k.yaml", CARRY.replace("carries", "carr*"))
    (known,) = update(folder, "wrong", file)
    assert known.patterns == ("add64-x/carr*",)


def test_entries_about_other_versions_stay_as_they_are(folder: Path, tmp_path: Path) -> None:
    file = written(tmp_path / "k.yaml", CARRY.replace("}", ', versions: "<0.1"}'))
    old, new = update(folder, "wrong", file)
    assert old.versions == "<0.1" and old.reason == "no carry"
    assert new.versions is None and not new.explained


def test_a_vector_that_fails_in_another_way_needs_another_reason(folder: Path, tmp_path: Path) -> None:
    file = written(tmp_path / "k.yaml", CARRY.replace("wrong-result", "crashed"))
    (known,) = update(folder, "wrong", file)
    assert known.failure == "wrong-result" and not known.explained


def test_unsupported_vectors_come_if_they_are_asked_for(folder: Path, tmp_path: Path) -> None:
    assert update(folder, "mute", tmp_path / "a.yaml") == ()
    known = update(folder, "mute", tmp_path / "b.yaml", "--unsupported")
    assert known == (Known(("calls/local",), "unsupported", "unexplained: functions"),)
    entries = (tmp_path / "b.yaml").read_text().partition("expectations:\n")[2]
    assert gate(folder, "mute", entries, require="base64", status=0) == []
    assert update(folder, "small", tmp_path / "c.yaml", "--unsupported") == ()  # its claims say as much


def test_an_update_makes_the_gate_pass(folder: Path, tmp_path: Path) -> None:
    for name, runtime in {"lenient": "mine", "both": "bad"}.items():
        file = tmp_path / f"{name}.yaml"
        assert len(update(folder, name, file, "-r", runtime)) == 1
        done = bpf_isa("gate", folder / f"{name}.json", "--expectations", file)
        assert done.exit_code == 0, done.output


def test_families_are_abbreviated() -> None:
    every = ["a/x/1", "a/x/2", "a/y", "b/1", "b/2", "c/1"]
    assert abbreviated(["a/x/1", "a/x/2", "b/1", "c/1"], every) == ["a/x/*", "b/1", "c/1"]
    assert abbreviated(["a/x/1", "a/x/2", "a/y"], every) == ["a/*"]


def known_of(old: tuple[Known, ...], results: dict[str, Any], **options: Any) -> tuple[Known, ...]:
    """What is known after an update with results of version 2.0."""
    before = Expectations(Path("x.yaml"), "r", old, "# it\n")
    after = updated(before, "2.0", results, options.pop("findings", {}), unsupported=False, **options)
    assert (after.path, after.runtime, after.header) == (before.path, before.runtime, before.header)
    return after.known


def test_an_update_keeps_all_that_is_still_so() -> None:
    others = tuple(Known((name,), "fail", name, versions="<1") for name in "ab")
    still = Known(("c",), "fail", "c", "crashed", "https://example.org/1", ">=1")
    results = {"a": {"verdict": "pass"}, "c": {"verdict": "fail", "failure": "crashed", "reason": WHY}}
    assert known_of((*others, still), results) == (*others, still)
    assert known_of((Known(("gone",), "fail", "it"),), results | {"c": {"verdict": "pass"}}) == ()
    gone = (Known(("gone",), "fail", "it"),)
    assert known_of(gone, {"a": {"verdict": "pass"}}, whole=False) == gone


@pytest.mark.parametrize(
    ("code", "finding", "told"),
    [("", None, "crashed"), ("a", None, "a"), ("a", "it adds wrongly", "it adds wrongly")],
)
def test_what_comes_to_a_file_says_what_was_found(code: str, finding: str | None, told: str) -> None:
    result = {"verdict": "fail", "failure": "crashed", "reason": WHY | {"code": code}}
    (known,) = known_of((), {"a": result}, findings={"a": finding} if finding else {})
    assert known == Known(("a",), "fail", f"unexplained: {told}", "crashed")
    assert Known((), "fail", "").describe() == "fail"
    assert Known((), "fail", "", "crashed").describe() == "fail (crashed)"


def test_failures_that_the_package_knows_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expectations, "_KNOWN", tmp_path)
    written(
        tmp_path / "it.yaml",
        "  - {vectors: add64-x/*, verdict: fail, failure: wrong-result, reason: a}\n"
        "  - {vectors: calls/*, verdict: fail, reason: b}\n"
        '  - {vectors: smod64-k/*, verdict: fail, reason: c, versions: "<2"}\n',
        "it",
    )
    adds, calls, _ = load(tmp_path / "it.yaml").known
    failures = {
        "atomic-fetch-add64": None,
        "add64-x/wraps": Failure.WRONG_RESULT,
        "stx-mem-h/neighbours/order": Failure.CRASHED,
        "add64-x/carries": Failure.WRONG_RESULT,
        "smod64-k/dividend-negative": Failure.CRASHED,
        "calls/local": Failure.CRASHED,
    }
    vectors = {vector.id: vector for vector in load_suite([SAMPLE]).vectors}
    made = [
        runner.Result(vectors[name], None, Judgement(Verdict.FAIL, failure, Reason(text="x")) if failure else PASSED)
        for name, failure in failures.items()
    ]
    info = RuntimeInfo("it", "2.0", "unknown", "x", "little", None, frozenset({"r0"}))
    one = RuntimeRun("mine", info, made)
    assert foreseen(one) == {adds: [made[1], made[3]], calls: [made[5]]}
    made[1] = made[1]._replace(judgement=Judgement(Verdict.FAIL, Failure.CRASHED, Reason(text="x")))
    assert foreseen(replace(one, results=made)) == {adds: [made[3]], calls: [made[5]]}
    assert foreseen(replace(one, info=replace(info, name="mine"))) == {}
    assert foreseen(replace(one, info=None)) == {}


# Comparison


def compare(folder: Path, before: str, after: str, *options: str, status: int = 1) -> dict[str, Any]:
    done = bpf_isa("diff", folder / f"{before}.json", folder / f"{after}.json", "--json", "-", *options)
    assert done.exit_code == status, done.output
    (data,) = json.loads(done.stdout)["comparisons"]
    result: dict[str, Any] = data
    return result


def test_two_runs_of_one_runtime_differ_in_nothing(folder: Path) -> None:
    data = compare(folder, "right", "right", status=0)
    assert (data["changes"], data["requirements"], data["same_suite"]) == ([], {}, True)


def test_a_regression_is_named_by_vector_and_requirement(folder: Path) -> None:
    data = compare(folder, "right", "wrong")
    (change,) = data["changes"]
    assert change["vector"] == "add64-x/carries"
    assert (change["before"]["verdict"], change["after"]["verdict"]) == ("pass", "fail")
    assert data["requirements"] == {
        requirement: [{"before": "pass", "after": "fail", "vectors": 1}] for requirement in change["covers"]
    }


def test_runtimes_of_one_file_are_compared(folder: Path) -> None:
    data = compare(folder, "both", "both", "--from", "good", "--to", "bad")
    assert (data["before"]["runtime"], data["after"]["runtime"]) == ("good", "bad")
    assert [change["vector"] for change in data["changes"]] == ["add64-x/carries"]


def test_only_runtimes_are_compared_whatever_their_names(folder: Path) -> None:
    data = compare(folder, "both", "right", "--from", "bad", "--to", "mine")
    assert data["changes"][0]["after"]["verdict"] == "pass"


def test_vectors_of_one_side_are_absent_from_the_other(folder: Path) -> None:
    data = compare(folder, "right", "part")
    assert {json.dumps(change["after"]) for change in data["changes"]} == {"null"}
    assert data["common"] + len(data["changes"]) == 10


def test_failing_in_another_way_is_a_change(folder: Path) -> None:
    data = compare(folder, "wrong", "lenient")
    assert {(change["before"]["verdict"], change["after"]["verdict"]) for change in data["changes"]} == {
        ("fail", "pass"),
        ("pass", "fail"),
    }


def test_a_comparison_for_people(folder: Path) -> None:
    done = bpf_isa("diff", folder / "right.json", folder / "wrong.json")
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"mine 0\.1\.0 -> mine 0\.1\.0: 1 of 10 vectors changed", lines[0])
    assert "pass -> fail: 1" in lines
    assert "      after   wrong-result: r0: expected 0x100000000, got 0x0" in lines
    assert re.fullmatch(r"  rfc9669-[\w.-]+: 1 pass -> fail", lines[-1])


def test_the_schema_tells_what_the_code_reads() -> None:
    schema = json.loads(expectations.SCHEMA_FILE.read_text())
    fields = set(schema["definitions"]["entry"]["properties"]) - {"vectors"} | {"patterns", "line"}
    assert fields == set(Known.__dataclass_fields__)
