# SPDX-License-Identifier: Apache-2.0
"""A run that is killed at any moment loses nothing that was finished, and one without resources ends with results."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bpf_isa.conformance.results import document as results
from bpf_isa.conformance.results.journal import journal_of, unfinished

HERE = Path(__file__).parents[1]
COMMAND = Path(sys.executable).with_name("bpf-isa")
MANY = 300
KILLS = 20
UNPRIVILEGED = pytest.mark.skipif(os.getuid() == 0, reason="this limit does not bind root")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Vectors of which a runtime that adds wrongly fails most."""
    path = tmp_path_factory.mktemp("many") / "many.yaml"
    table = "".join(f"          c{number}  {number}  {number + 1}\n" for number in range(MANY))
    path.write_text(
        "source: {name: x, method: hand}\nvectors:\n  - id: many\n    covers: [rfc9669-4.1-add]\n    asm: |\n"
        "      r0 = 1\n      r1 = {by}\n      r0 += r1\n      exit\n    table: |\n          case  by  r0\n" + table
    )
    return path


def command(*arguments: str | Path) -> list[str]:
    return [str(part) for part in (COMMAND, "run", "-q", "-j", "1", *arguments)]


def start(folder: Path, *arguments: str | Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}
    return subprocess.Popen(
        command(*arguments),
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told(path: Path) -> dict[str, Any]:
    """What results say, without times."""
    data = results.read(path)
    runtimes = {
        one["name"]: {
            name: {key: value for key, value in result.items() if key != "seconds"}
            for name, result in one["results"].items()
        }
        for one in data["runtimes"]
    }
    return {"complete": data["complete"], "runtimes": runtimes, "unavailable": data["unavailable"]}


RUNTIMES = ["-r", "wrong=python:faulty:adds_slowly", "-r", "r0=python:faulty:shows_r0_slowly"]


def finished(file: Path) -> set[tuple[str, str]]:
    """The results that a run has left so far."""
    if not journal_of(file).exists():
        return set()
    return {(one["name"], vector) for one in unfinished(file).runtimes for vector in one["results"]}


@pytest.mark.long
def test_a_run_that_is_killed_again_and_again_loses_and_invents_nothing(many: Path, tmp_path: Path) -> None:
    with start(tmp_path, "--vectors", many, "--json", "whole.json", *RUNTIMES) as process:
        process.communicate()
    assert process.returncode == 1
    file = tmp_path / "killed.json"
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    kept: set[tuple[str, str]] = set()
    for kill in range(KILLS):
        anew: list[str | Path] = ["--vectors", many, "--json", file, *RUNTIMES]
        with start(tmp_path, *(["--resume", file] if journal_of(file).exists() else anew)) as process:
            # As soon as a number of further results is there, or at once: while it starts.
            more = chance.choice([0, 0, 1, chance.randrange(2 * MANY // KILLS)])
            while process.poll() is None and len(finished(file)) < len(kept) + more:
                time.sleep(chance.random() / 50)
            process.kill()
            process.communicate()
        now = finished(file)
        assert kept <= now, f"seed {seed}, kill {kill}: lost {kept - now}"
        kept = now
    if journal_of(file).exists():
        with start(tmp_path, "--resume", file) as process:
            _, errors = process.communicate()
        assert (process.returncode, errors) == (1, "")
    assert told(file) == told(tmp_path / "whole.json"), f"seed {seed}"
    assert not journal_of(file).exists()


def test_workers_do_not_outlive_a_run_that_is_killed(many: Path, tmp_path: Path) -> None:
    with start(tmp_path, "--vectors", many, "--json", "r.json", "-r", "x=python:faulty:HangsWithItsNumber") as process:
        mark = tmp_path / "pid"
        while process.poll() is None and not (mark.exists() and mark.read_text()):
            time.sleep(0.02)
        process.kill()
        process.communicate()
    worker = Path("/proc", mark.read_text(), "stat")
    while worker.exists() and worker.read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.02)


def test_a_journal_of_other_vectors_is_refused(many: Path, tmp_path: Path) -> None:
    journal_of(tmp_path / "r.json").write_text('{"format":"bpf-isa-journal","version":0}\n')
    with start(tmp_path, "--resume", "r.json") as process:
        output, errors = process.communicate()
    assert (process.returncode, output) == (2, "")
    assert "r.json.journal: no journal of this version of bpf-isa run: delete it" in errors


@pytest.mark.parametrize("line", ["{", "[]", '{"runtime":"x"}', '{"runtime":"x","at":1,"vector":"v"}'])
def test_a_damaged_journal_is_one_clear_error(line: str, many: Path, tmp_path: Path) -> None:
    head = {
        "format": "bpf-isa-journal",
        "version": 2,
        "digest": "sha256:0",
        "selection": {"expression": None, "groups": [], "sections": []},
        "command": {},
        "started": "2026-01-01T00:00:00Z",
    }
    path = journal_of(tmp_path / "r.json")
    path.write_text(f"{json.dumps(head)}\n{line}\n")
    with pytest.raises(results.ResultsError, match=r"r.json.journal.*damaged.*: delete it, and run the suite anew"):
        unfinished(tmp_path / "r.json")


def test_a_line_that_was_not_written_to_its_end_does_not_count(many: Path, tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    with start(tmp_path, "--vectors", many, "--json", file, *RUNTIMES) as process:
        while process.poll() is None and not finished(file):
            time.sleep(0.02)
        process.kill()
        process.communicate()
    whole = finished(file)
    with journal_of(file).open("ab") as stream:
        stream.write(b'{"runtime":"wrong","vector":"many/c299","at":1,"verdict":"pa')
    assert finished(file) == whole


@pytest.mark.parametrize("limit", ["-n 8", pytest.param("-u 0", marks=UNPRIVILEGED)])
def test_a_machine_without_resources_ends_a_run_with_one_sentence(limit: str, many: Path, tmp_path: Path) -> None:
    arguments = command("--vectors", many, "--json", "r.json", "-r", "reference", "-r", "other=reference")
    shell = ["sh", "-c", f'ulimit {limit} && exec "$@"', "sh", *arguments]
    done = subprocess.run(shell, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "reference was not run: this machine has no process or no memory left to run it in" in done.stdout
