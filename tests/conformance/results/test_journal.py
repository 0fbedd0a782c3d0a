# SPDX-License-Identifier: Apache-2.0
"""The journal of a run: what was settled is read again, whatever happened."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from bpf_isa.conformance.results import document as results
from bpf_isa.conformance.results import journal, recorded
from bpf_isa.conformance.results.document import Command, Run, Selection
from bpf_isa.conformance.run.runner import RuntimeRun

from .runs import NAMES, STARTED, SUITE, essence


def keep(whole: Run, path: Path, earlier: Sequence[results.Json] = (), most: int = 1000) -> None:
    """Write the journal of a run, as far as the first results of each runtime."""
    with journal.Journal(path, whole, earlier) as kept:
        for one in whole.runtimes:
            if one.info is not None:
                kept.opened(one.name, one.info)
                for result in one.results[:most]:
                    kept.settled(one.name, result)


def restored(path: Path) -> dict[str, RuntimeRun]:
    vectors = {vector.id: vector for vector in SUITE.vectors}
    return {one["name"]: recorded.runtime_run(one, vectors) for one in journal.unfinished(path).runtimes}


@pytest.mark.parametrize("most", [0, 1, 1000])
def test_the_journal_gives_back_what_was_settled(most: int, made: Run, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    keep(made, path, most=most)
    found = journal.unfinished(path)
    assert (found.path, found.command, found.selection) == (journal.journal_of(path), made.command, made.selection)
    assert (found.digest, found.started) == (SUITE.digest, STARTED)
    assert found.seconds >= made.seconds
    runs = restored(path)
    assert list(runs) == ([one.name for one in made.runtimes if one.info] if most else [])
    for one in made.runtimes:
        if one.name in runs:
            assert not runs[one.name].complete and runs[one.name].info == one.info
            assert essence(runs[one.name])[-1] == essence(one)[-1][:most]
            assert 0 <= runs[one.name].seconds < 60


def test_a_journal_begins_with_what_was_done_before(made: Run, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    keep(made, path, most=4)
    before = journal.unfinished(path).runtimes
    before[0]["seconds"] = 100.0
    keep(made, path, before)
    assert {name: essence(one)[-1] for name, one in restored(path).items()} == {
        one.name: essence(one)[-1] for one in made.runtimes if one.info
    }
    assert 100 <= restored(path)[NAMES[0]].seconds < 160
    lines = journal.journal_of(path).read_text().splitlines()
    told = [(line["runtime"], line["vector"]) for line in map(json.loads, lines) if "vector" in line]
    assert len(told) == len(set(told)) == 40


def test_the_journal_is_removed_when_it_is_not_needed_any_more(made: Run, tmp_path: Path) -> None:
    with journal.Journal(tmp_path / "r.json", made) as kept:
        assert [file.name for file in tmp_path.iterdir()] == ["r.json.journal"]
        assert kept.problem == ""
        kept.discard()
        kept.discard()
    assert not list(tmp_path.iterdir())


def test_a_run_goes_on_without_its_journal_when_the_disk_is_full(made: Run, tmp_path: Path) -> None:
    with journal.Journal(tmp_path / "r.json", made) as kept:
        assert kept._stream is not None
        with kept._stream, Path("/dev/full").open("ab") as full:
            kept._stream = full
            kept.settled("x", made.runtimes[0].results[0])
            kept.settled("x", made.runtimes[0].results[1])
    why = "No space left on device; if this run is killed, it cannot go on"
    assert kept.problem == f"{tmp_path}/r.json.journal: cannot be written: {why}"


def made_command(made: Run) -> Command:
    assert made.command is not None
    return made.command


HEAD = {
    "format": "bpf-isa-journal",
    "version": 2,
    "digest": "sha256:0",
    "selection": {"expression": None, "groups": [], "sections": []},
    "command": asdict(Command("/", (), None, (), (), 1.0)),
    "started": "2026-01-01T00:00:00Z",
}


def test_a_journal_without_results(tmp_path: Path) -> None:
    """What it says of times is from the start of the run; one of before levels could be chosen has all of them."""
    journal.journal_of(tmp_path / "r.json").write_text(f"{json.dumps(HEAD)}\n")
    found = journal.unfinished(tmp_path / "r.json")
    assert (found.seconds, found.runtimes, found.selection) == (0.0, [], Selection())
    identity = {"runtime": "x", "identity": {}, "at": 5.0}
    settled = {"runtime": "x", "vector": "v", "at": 7.5, "verdict": "pass"}
    lines = "".join(f"{json.dumps(line)}\n" for line in (HEAD, identity, settled))
    journal.journal_of(tmp_path / "r.json").write_text(lines)
    (one,) = journal.unfinished(tmp_path / "r.json").runtimes
    assert one == {
        "name": "x",
        "complete": False,
        "seconds": 2.5,
        "identity": {},
        "results": {"v": {"verdict": "pass"}},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no journal of this version of bpf-isa run: delete it, and run the suite anew"),
        (json.dumps({**HEAD, "version": 0}) + "\n", "no journal of this version of bpf-isa run: "),
        (json.dumps({**HEAD, "format": "x"}) + "\n", "no journal of this version of bpf-isa run: "),
        (json.dumps(HEAD) + "\n{\n", ":2: damaged: delete it, and run the suite anew"),
        (json.dumps(HEAD) + '\n{"runtime":"x"}\n', "damaged (KeyError('at')): delete it, and run the suite anew"),
    ],
)
def test_what_is_no_journal_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = journal.journal_of(tmp_path / "r.json")
    path.write_text(text)
    with pytest.raises(results.ResultsError) as refused:
        journal.unfinished(tmp_path / "r.json")
    assert str(refused.value).startswith(f"{path}{message}" if message.startswith(":") else f"{path}: {message}")


def test_a_journal_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = journal.journal_of(tmp_path / "r.json")
    path.mkdir()
    with pytest.raises(results.ResultsError, match=f"^{path}: cannot be read: Is a directory$"):
        journal.unfinished(tmp_path / "r.json")


def test_the_journal_counts_before_an_older_document(made: Run, tmp_path: Path) -> None:
    results.write(results.document(made), tmp_path / "r.json")
    data = results.read(tmp_path / "r.json")
    assert journal.unfinished(tmp_path / "r.json") == journal.Unfinished(
        tmp_path / "r.json", made_command(made), made.selection, SUITE.digest, STARTED, 12.346, data["runtimes"]
    )
    del data["resume"]
    results.write(data, tmp_path / "r.json")
    with pytest.raises(results.ResultsError, match=r"r.json: does not say what the run was asked to do$"):
        journal.unfinished(tmp_path / "r.json")
    keep(made, tmp_path / "r.json")
    assert journal.unfinished(tmp_path / "r.json").path == tmp_path / "r.json.journal"
