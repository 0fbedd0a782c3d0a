# SPDX-License-Identifier: Apache-2.0
"""Expectation files and `bpf-isa expect`, on real runs of runtimes that are wrong."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bpf_isa.adapters.protocol import Reason, RuntimeInfo
from bpf_isa.conformance.results import expectations
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
from bpf_isa.conformance.run import runner
from bpf_isa.conformance.run.runner import RuntimeRun
from bpf_isa.conformance.run.verdict import (
    PASSED,
    Failure,
    Judgement,
    Verdict,
)
from bpf_isa.conformance.suite.suite import load_suite
from bpf_isa.spec.strict_yaml import YamlError

from .runs import (
    CARRY,
    SAMPLE,
    WHY,
    bpf_isa,
    gate,
    written,
)

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
    "a pattern twice": (CARRY + CARRY, r":4: add64-x/carries is in the entry of line 3 already"),
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
    (unknown,) = known_of((), {"a": {"verdict": "fail", "reason": WHY | {"code": ""}}})
    assert unknown == Known(("a",), "fail", "unexplained: ")
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


def test_the_schema_tells_what_the_code_reads() -> None:
    schema = json.loads(expectations.SCHEMA_FILE.read_text())
    fields = set(schema["definitions"]["entry"]["properties"]) - {"vectors"} | {"patterns", "line"}
    assert fields == set(Known.__dataclass_fields__)


def test_a_denylist_of_the_kernel_is_a_file_of_known_failures(tmp_path: Path) -> None:
    path = tmp_path / "DENYLIST.ppc64le"
    path.write_bytes(
        b"# for \xe2\x89\xa5 7.2 \xff\n"
        b"lsh32-x/*   # the JIT does not mask amounts \xe2\x89\xa5 32 \xff\n\nshift32-x/amount-masked-with-31/left-33\n"
    )
    file = load(path)
    assert (file.path, file.runtime) == (path, "linux-vm:ppc64le")
    first, second = file.known
    assert (first.patterns, first.verdict, first.reason, first.line) == (
        ("lsh32-x/*",), "fail", "the JIT does not mask amounts \u2265 32 \ufffd", 2,
    )  # fmt: skip
    assert first.matches("lsh32-x/amounts/by32_pos-neg")
    assert not second.explained
    path.write_text("a\na # again\n")
    with pytest.raises(ExpectationError, match=r"DENYLIST\.ppc64le:2: a is in line 1 already"):
        load(path)
