# SPDX-License-Identifier: Apache-2.0
"""The results document and the journal: what they keep is what was found, and reading gives it back."""

import gzip
import json
import re
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from bpf_isa.adapters.protocol import MapSpec, Outcome, OutcomeKind, Reason, RuntimeInfo
from bpf_isa.conformance.results import document as results
from bpf_isa.conformance.results import journal, recorded
from bpf_isa.conformance.results.document import Command, Run, Selection
from bpf_isa.conformance.run.runner import Result, RuntimeRun
from bpf_isa.conformance.run.verdict import (
    PASSED,
    Difference,
    Failure,
    Judgement,
    Verdict,
)
from bpf_isa.conformance.suite.suite import VECTORS, Unread, load_suite, load_tier

from .runs import (
    STARTED,
    SUITE,
    essence,
)


@pytest.mark.parametrize("name", ["r.json", "r.json.gz"])
def test_reading_gives_back_what_was_written(name: str, made: Run, tmp_path: Path) -> None:
    data = results.document(made)
    results.write(data, tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(b"\x1f\x8b") == name.endswith(".gz")
    assert results.read(tmp_path / name) == json.loads(json.dumps(data))
    back = recorded.read(tmp_path / name)
    assert [essence(one) for one in back.runtimes if one.info] == [essence(one) for one in made.runtimes if one.info]
    missing = [(one.name, one.problem, one.broken) for one in made.runtimes if not one.info]
    assert [(one.name, one.problem, one.broken) for one in back.runtimes if not one.info] == missing
    assert (back.complete, back.seconds, back.started, back.selection) == (False, 12.346, STARTED, made.selection)
    assert (back.suite.digest, back.suite.vectors, back.suite.documents) == (SUITE.digest, 10, ("RFC 9669",))
    assert back.suite.version == version("bpf-isa-conformance")
    assert list(back.vectors) == [vector.id for vector in SUITE.vectors]
    for vector in SUITE.vectors:
        assert back.vectors[vector.id].little == vector.little and back.vectors[vector.id].big == vector.big
        assert (back.vectors[vector.id].groups, back.vectors[vector.id].reported) == (vector.groups, vector.reported)


def test_a_document_may_not_name_its_specification(made: Run, tmp_path: Path) -> None:
    data = results.document(made)
    del data["suite"]["documents"]
    results.write(data, tmp_path / "r.json")
    assert recorded.read(tmp_path / "r.json").suite.documents == ()


def test_the_document_counts(made: Run) -> None:
    data = results.document(made)
    assert data["format"] == "bpf-isa-results" and data["version"] == 2 and "unread" not in data
    assert [one["counts"] for one in data["runtimes"]] == [
        {"pass": 9, "fail": 1, "unsupported": 0, "error": 0},
        {"pass": 9, "fail": 1, "unsupported": 0, "error": 0},
        {"pass": 3, "fail": 0, "unsupported": 7, "error": 0},
        {"pass": 7, "fail": 0, "unsupported": 0, "error": 3},
    ]
    groups = data["runtimes"][0]["groups"]
    assert list(groups) == ["base32", "base64", "atomic64", "divmul64"]
    assert groups["base64"] == {"pass": 4, "fail": 1, "unsupported": 0, "error": 0}
    assert data["unavailable"] == [
        {"name": "unavailable", "reason": "the moon is in the wrong phase: wait a week", "broken": False}
    ]
    assert data["resume"] == {
        "folder": "/somewhere",
        "runtimes": ("a", "b"),
        "plugin_args": "--args",
        "vectors": ("v.yaml",),
        "data": ("d.data",),
        "timeout": 7.5,
        "claims": (),
    }


def test_a_run_that_came_to_its_end_cannot_be_resumed(made: Run, tmp_path: Path) -> None:
    whole = replace(made, runtimes=[one for one in made.runtimes if one.complete])
    assert whole.complete and not made.complete
    data = results.document(whole)
    assert data["complete"] and "resume" not in data
    results.write(data, tmp_path / "r.json")
    with pytest.raises(results.ResultsError, match="this run is complete, there is nothing to resume"):
        journal.unfinished(tmp_path / "r.json")


def test_what_was_run_tells_whether_it_was_the_whole_suite(made: Run) -> None:
    assert not made.whole
    command = Command("", (), None, (), (), 1.0)
    made = replace(made, selection=Selection())
    assert replace(made, command=command).whole and replace(made, command=None).whole
    assert not replace(made, command=command, vectors=SUITE.vectors[1:]).whole
    assert not replace(made, command=replace(command, data=("x",))).whole
    assert not replace(made, command=replace(command, vectors=("x",))).whole


def test_what_was_run_tells_whether_it_was_a_whole_tier() -> None:
    suite, vectors = load_suite(), load_tier("smoke").vectors
    run = Run(suite, vectors, [], Selection(tier="smoke"))
    assert run.whole and not replace(run, vectors=vectors[1:]).whole
    assert not replace(run, selection=Selection()).whole and not replace(run, vectors=suite.vectors).whole


def test_results_of_one_tier_go_together(made: Run) -> None:
    assert results.tier_of(results.document(made)) == "quick"
    assert results.tier_of(results.document(replace(made, selection=Selection()))) == "full"
    assert results.only_tier([("a.json", "quick"), ("b.json", "quick")]) == "quick"
    found = r"\(a.json of tier quick, c.json of tier full\)"
    with pytest.raises(results.ResultsError, match=found):
        results.only_tier([("a.json", "quick"), ("b.json", "quick"), ("c.json", "full")])


@pytest.mark.parametrize(("size", "kept"), [(4096, True), (4097, False)])
def test_large_programs_and_memories_are_left_out(size: int, kept: bool, tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_text(
        "source: {name: x, method: hand}\nvectors:\n  - id: large\n    covers: [rfc9669-4.1-add]\n"
        "    asm: |\n      r0 = 1\n      exit\n"
        f'    memory: "00*{size}"\n    expect: {{r0: "1", memory: "00*{size}"}}\n'
    )
    suite = load_suite([path])
    data = results.document(Run(suite, suite.vectors, []))["vectors"]["large"]
    assert data["memory"] == data["expect"]["memory"] == ("00" * size if kept else None)


RICH = """
source: {name: x, method: hand}
vectors:
  - id: rich
    what: all that a program may need
    level: extension
    extension: an-extension
    covers: [rfc9669-4.1-add, rfc9669-4.1-wrap-64]
    errata: [calling-convention, stack-and-call-depth]
    asm: |
      r0 = {value}
      exit
    maps: ["01 02", "00*4097"]
    variables: [{number: -3, value: "31 32"}, {number: 7, value: "00*4097"}]
    helpers: [{by: static, number: 77, does: weigh}, {by: btf, number: 5, does: weigh}]
    cases: {one: {value: "1", r0: "1"}, two: {value: "2", r0: "2"}}
  - id: rejected
    covers: [rfc9669-4.1-add]
    expect: {rejected: true}
    code: {little: "950000000000000000", big: "950000000000000000"}
  - {id: faulted, level: abi, covers: [rfc9669-4.1-add], asm: "r0 = 1\\nexit", expect: {faulted: out-of-bounds}}
  - {id: steady, level: robustness, covers: [rfc9669-4.1-add], asm: "r0 = r7\\nexit", expect: {steady: true}}
  - id: order
    covers: [rfc9669-4.1-add]
    asm: "r0 = 1\\nexit"
    memory: {little: "01 02", big: "02 01"}
    expect: {r0: "1"}
"""


def test_vectors_of_every_kind_come_back(tmp_path: Path) -> None:
    (tmp_path / "v.yaml").write_text(RICH)
    suite = replace(load_suite([tmp_path / "v.yaml"]), unread=(Unread("x.data", "x.data: no"),))
    by_id = {vector.id: vector for vector in suite.vectors}
    info = RuntimeInfo("it", "1", "unknown", "x", "little", None, frozenset({"r0", "memory"}))
    differences = (
        Difference("r0", 1, 2),
        Difference("memory", b"\0\1", b"\0\2", at=8, more=3),
        Difference("memory", 5, 6, at=16, size=4),
        Difference("memory", "2 bytes", "1 bytes"),
        Difference("memory", "0x05", "nothing", at=4, size=1),
    )
    failed = Judgement(Verdict.FAIL, Failure.WRONG_RESULT, Reason(text="wrong r0"), differences)
    crash = failed._replace(failure=Failure.CRASHED, reason=Reason("crashed", "it"))
    kept = [
        Result(
            by_id["rich/one"],
            Outcome(OutcomeKind.RETURNED, 2, {"r0": 2, "r6": 7}, b"\1", Reason(text="wrong r0"), 0.123456),
            failed,
        ),
        Result(by_id["rich/two"], Outcome(OutcomeKind.CRASHED, reason=Reason("crashed", "it")), crash),
        Result(by_id["order"], Outcome(OutcomeKind.RETURNED, seconds=1.23456789), PASSED),
    ]
    one = RuntimeRun("it", info, kept, seconds=1.23456)
    gone = RuntimeRun("gone", None, problem="no", broken=True)
    path = tmp_path / "r.json"
    data = results.document(Run(suite, suite.vectors, [one, gone], Selection(levels=("must",))))
    assert "unrepeated" not in data["runtimes"][0]
    assert data["runtimes"][0]["results"]["rich/one"]["differences"] == [
        {"what": "r0", "kind": "number", "expected": "0x1", "got": "0x2"},
        {"what": "memory", "kind": "bytes", "at": 8, "more": 3, "expected": "0001", "got": "0002"},
        {"what": "memory", "kind": "number", "at": 16, "size": 4, "expected": "0x5", "got": "0x6"},
        {"what": "memory", "kind": "text", "expected": "2 bytes", "got": "1 bytes"},
        {"what": "memory", "kind": "text", "at": 4, "size": 1, "expected": "0x05", "got": "nothing"},
    ]
    assert data["runtimes"][0]["seconds"] == 1.235
    results.write(data, path)
    back = recorded.read(path)
    assert (back.path, back.unread, back.selection.levels) == (path, ("x.data",), ("must",))
    read, lost = back.runtimes
    assert (read.info, read.results[:2]) == (
        info,
        [one._replace(vector=back.vectors[one.vector.id]) for one in kept[:2]],
    )
    assert read.results[2].outcome == Outcome(OutcomeKind.RETURNED, seconds=1.234568)
    assert (lost.name, lost.info, lost.results, lost.broken) == ("gone", None, [], True)
    for name, vector in by_id.items():
        same = back.vectors[name]
        assert same.case == vector.case
        assert [same.little.code, same.little.memory, same.little.expect] == [
            vector.little.code,
            vector.little.memory,
            vector.little.expect,
        ]
        assert (same.big.code, same.big.memory) == (vector.big.code, vector.big.memory)
        # Of what is large, a document keeps that it is there.
        assert same.little.maps == tuple(
            MapSpec(b"" if len(one.value) > 4096 else one.value) for one in vector.little.maps
        )
        assert same.little.variables == tuple(
            one._replace(value=b"" if len(one.value) > 4096 else one.value) for one in vector.little.variables
        )
        entry = vector.entry
        assert same.entry.error("x").args == entry.error("x").args
        assert [getattr(same.entry, field) for field in KEPT] == [getattr(entry, field) for field in KEPT]
        nothing = (same.entry.maps, same.entry.variables, same.entry.expect, same.entry.cases, same.entry.rejected)
        assert nothing == ((), (), {}, [], False)
    entries = data["entries"]
    assert "extension" not in entries["order"] and "errata" not in entries["order"] and "what" not in entries["order"]


def test_a_document_of_before_levels_could_be_selected(made: Run, tmp_path: Path) -> None:
    data = json.loads(json.dumps(results.document(made)))
    del data["selection"]["levels"]
    assert recorded.restore(data, tmp_path).selection == replace(made.selection, levels=())


def test_a_document_of_before_there_were_tiers_is_of_the_whole_suite(made: Run, tmp_path: Path) -> None:
    data = json.loads(json.dumps(results.document(made)))
    del data["selection"]["tier"]
    assert recorded.restore(data, tmp_path).selection == replace(made.selection, tier="full")


#: What a document keeps of an entry.
KEPT = ("file", "line", "id", "source", "what", "level", "extension", "covers", "errata", "helpers")


def test_long_programs_are_left_out_with_their_length(tmp_path: Path) -> None:
    long = "\n".join(["      r0 = 1"] * 600)
    (tmp_path / "v.yaml").write_text(
        "source: {name: x, method: hand}\nvectors:\n  - id: long\n    covers: [rfc9669-4.1-add]\n"
        f'    asm: |\n{long}\n      exit\n    expect: {{r0: "1"}}\n'
        '  - {id: short, covers: [rfc9669-4.1-add], asm: "r0 = 1\\nexit", expect: {r0: "1"}}\n'
    )
    suite = load_suite([tmp_path / "v.yaml"])
    results.write(results.document(Run(suite, suite.vectors, [])), tmp_path / "r.json")
    back = recorded.read(tmp_path / "r.json")
    assert back.left_out == {"long": 601}
    assert back.vectors["long"].little.code == b"" and back.vectors["short"].little.code


def test_files_of_the_suite_are_named_from_its_folder(made: Run, tmp_path: Path) -> None:
    (vector,) = SUITE.vectors[:1]
    entry = replace(vector.entry, file=str(VECTORS / "generated" / "a.yaml"))
    moved = copy(vector)
    moved.entry = entry
    assert results.document(Run(SUITE, [moved], []))["entries"][entry.id]["file"] == "generated/a.yaml"


@pytest.mark.parametrize("packed", [False, True])
def test_documents_that_are_too_large_are_not_read_to_their_end(
    packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 3 << 20
    monkeypatch.setattr(results, "LARGEST_DOCUMENT", limit)
    path = tmp_path / "r.json"
    for size, message in [(limit, "no results of bpf-isa run"), (limit + 1, "larger than 3 MiB, and so no results")]:
        text = b"[" + b" " * (size - 2) + b"]"
        path.write_bytes(gzip.compress(text) if packed else text)
        with pytest.raises(results.ResultsError, match=f"^{path}: {message}"):
            results.read(path)
    text = b"[" + b" " * limit + b"]" + b"x" * 1000
    path.write_bytes(gzip.compress(text)[:-8] if packed else text)
    with pytest.raises(results.ResultsError, match="larger than 3 MiB"):
        results.read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.update(started="2026-13-01T00:00:00Z"), "started: 2026-13-01T00:00:00Z is no date"),
        (
            lambda data: data["vectors"]["calls/local"].update(groups=["base46"]),
            "vectors.calls/local: 'base46' is no conformance group; known are base32, base64, ",
        ),
        (
            lambda data: data["runtimes"][0]["results"].update(gone={"verdict": "pass", "outcome": "returned"}),
            "runtimes: 'add_forgets_the_carry' has a result for 'gone', which is not among the vectors",
        ),
    ],
)
def test_documents_that_contradict_themselves_are_refused(
    change: Callable[[results.Json], None], message: str, made: Run, tmp_path: Path
) -> None:
    data = json.loads(json.dumps(results.document(made)))
    change(data)
    (tmp_path / "r.json").write_text(json.dumps(data))
    with pytest.raises(results.ResultsError, match=re.escape(f"r.json: {message}")):
        results.read(tmp_path / "r.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 100_000, "nested too deeply for results of bpf-isa run"),
        (b"", "not JSON"),
        (b"[]", "no results of bpf-isa run"),
        (b'{"format": "bpf-isa-results", "version": 1}', "results of format version 1; this reads 2"),
        (b'{"format": "bpf-isa-results", "version": 2}', "the document: 'complete' is missing"),
        (b"\x1f\x8b", "damaged gzip data"),
        (gzip.compress(b"{}", mtime=0)[:-2], "damaged gzip data"),
    ],
)
def test_what_is_no_document_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(results.ResultsError, match=message) as refused:
        results.read(tmp_path / "r.json")
    assert str(tmp_path / "r.json") in str(refused.value)


def test_a_document_that_refers_to_nothing_is_refused(made: Run, tmp_path: Path) -> None:
    data = results.document(made)
    del data["entries"]["add64-x"]
    (tmp_path / "r.json").write_text(json.dumps(data))
    with pytest.raises(results.ResultsError, match="refers to the entry 'add64-x', which is not there"):
        recorded.read(tmp_path / "r.json")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(results.ResultsError, match=f"^{tmp_path}/r.json: cannot be read: No such file or directory$"):
        results.read(tmp_path / "r.json")


def test_what_the_interpreter_of_a_jit_made_of_a_failure_is_kept(made: Run, tmp_path: Path) -> None:
    one = next(one for one in made.runtimes if any(it.judgement.verdict is Verdict.FAIL for it in one.results))
    failed = next(at for at, it in enumerate(one.results) if it.judgement.verdict is Verdict.FAIL)
    repeated = copy(one)
    repeated.results = list(one.results)
    repeated.results[failed] = one.results[failed]._replace(interpreter=Verdict.UNSUPPORTED)
    data = json.loads(json.dumps(results.document(replace(made, runtimes=[repeated]))))
    (restored,) = recorded.restore(data, tmp_path).runtimes
    assert {at: it.interpreter for at, it in enumerate(restored.results) if it.interpreter} == {
        failed: Verdict.UNSUPPORTED
    }
