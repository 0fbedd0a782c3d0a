# SPDX-License-Identifier: Apache-2.0
"""Long runs: what a terminal shows of them, how they are interrupted, what that leaves, and how they go on."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bpf_isa.conformance.results import document as results

HERE = Path(__file__).parents[1]
SAMPLE = HERE / "data" / "sample.yaml"
VECTORS = 10
COMMAND = Path(sys.executable).with_name("bpf-isa")
#: What a shell starts in the background ignores SIGINT, and so do its children: not the runs of these tests.
HEEDING = ("env", "--default-signal=INT")


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(HERE), "HANGING": str(folder / "hanging"), "COLUMNS": "100", "LINES": "40"}


def bpf_isa(folder: Path, *arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [COMMAND, *arguments],
        env={**environment(folder), **more},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    done.stderr = without_progress(done.stderr)
    return done


def without_progress(errors: str) -> str:
    """What stands on standard error but for lines of progress, which a busy machine may give time for."""
    return re.sub(r"^.* of [\d,]+ vectors.* after \d+ s\n", "", errors, flags=re.MULTILINE)


def interrupted(
    folder: Path, *arguments: str | Path, by: signal.Signals = signal.SIGINT
) -> subprocess.CompletedProcess[str]:
    """Interrupt a run, with all its processes as a terminal does, as soon as its runtime hangs."""
    command = [*HEEDING, COMMAND, "run", "--vectors", SAMPLE, "-j", "1", *arguments]
    with subprocess.Popen(
        command,
        env=environment(folder),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        while process.poll() is None and not (folder / "hanging").exists():
            time.sleep(0.02)
        os.killpg(process.pid, by)
        output, errors = process.communicate(timeout=900)
    return subprocess.CompletedProcess(command, process.returncode, output, without_progress(errors))


def told(data: dict[str, Any]) -> dict[str, Any]:
    """What results say, without what depends on the time."""
    for one in data["runtimes"]:
        del one["seconds"]
        for result in one["results"].values():
            result.pop("seconds", None)
    return {name: value for name, value in data.items() if name not in {"started", "seconds"}}


@pytest.mark.long
def test_an_interrupted_run_leaves_results_that_say_so_and_can_go_on(tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    runtimes = ["-r", "first=reference", "-r", "x=python:faulty:HangsOnce", "-r", "last=reference"]
    done = interrupted(tmp_path, *runtimes, "--json", file)
    assert (done.returncode, done.stderr) == (130, "")
    assert "Exit status 130: these results are partial: the run was interrupted." in done.stdout
    assert re.search(r"^x \(.*\): (\d+ pass, )?\d+ not run \(the run was interrupted\) in ", done.stdout, re.MULTILINE)
    assert "error of the harness" not in done.stdout
    assert f"bpf-isa run --resume {file} goes on with it." in done.stdout

    partial = results.read(file)
    assert not partial["complete"]
    first, hung = partial["runtimes"]
    assert (first["complete"], first["counts"]["pass"]) == (True, VECTORS)
    assert not hung["complete"]
    reasons = [result.get("reason") for result in hung["results"].values()]
    assert {"code": "not-run", "text": "the run was interrupted", "blames": "harness"} in reasons
    assert [one["name"] for one in partial["unavailable"]] == ["last"]

    done = bpf_isa(tmp_path, "run", "--resume", "r.json")
    assert (done.returncode, done.stderr) == (0, "")
    whole = results.read(file)
    assert whole["complete"] and "resume" not in whole
    assert whole["seconds"] > partial["seconds"] and whole["started"] == partial["started"]
    assert whole["runtimes"][0]["results"] == first["results"]  # times as well: they were not run again

    afresh = bpf_isa(tmp_path, "run", "--vectors", SAMPLE, *runtimes, "--json", tmp_path / "s.json")
    assert afresh.returncode == 0
    assert told(whole) == told(results.read(tmp_path / "s.json"))


def test_a_run_that_is_told_to_terminate_is_interrupted(tmp_path: Path) -> None:
    done = interrupted(tmp_path, "-r", "x=python:faulty:HangsOnce", "--json", "r.json", by=signal.SIGTERM)
    assert (done.returncode, done.stderr) == (130, "")
    assert not results.read(tmp_path / "r.json")["complete"]


def test_a_run_of_plugins_is_interrupted_without_a_word_of_theirs(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    plugin.write_text('#!/bin/sh\ntouch "$HANGING"\necho 0\n')
    plugin.chmod(0o755)
    done = interrupted(tmp_path, "-r", f"x=plugin:{plugin}", "-r", "last=reference", "--json", "r.json")
    assert (done.returncode, done.stderr) == (130, "")
    assert not results.read(tmp_path / "r.json")["complete"]


def test_failures_survive_the_interruption(tmp_path: Path) -> None:
    runtimes = ["-r", "wrong=python:faulty:add_forgets_the_carry", "-r", "x=python:faulty:HangsOnce"]
    interrupted(tmp_path, *runtimes, "--json", tmp_path / "r.json")
    done = bpf_isa(tmp_path, "run", "--resume", "r.json", "--json", "whole.json", "--junit", "whole.xml", "-q")
    assert done.returncode == 1
    before, after = results.read(tmp_path / "r.json"), results.read(tmp_path / "whole.json")
    first, again = ({**one["runtimes"][0], "seconds": None} for one in (before, after))
    assert first == again and again["counts"]["fail"] == 1
    assert not before["complete"] and after["complete"]
    assert (tmp_path / "whole.xml").exists()


def test_the_selection_and_the_timeout_are_those_of_the_interrupted_run(tmp_path: Path) -> None:
    asked = ["-k", "atomic or add64", "--level", "must,abi", "--claims", "base64,atomic64", "--timeout", "7"]
    interrupted(tmp_path, "-r", "x=python:faulty:HangsOnce", *asked, "--json", "r.json")
    partial = results.read(tmp_path / "r.json")
    assert (partial["resume"]["timeout"], partial["resume"]["folder"]) == (7, str(tmp_path))
    assert bpf_isa(tmp_path, "run", "--resume", "r.json").returncode == 0
    whole = results.read(tmp_path / "r.json")
    assert whole["selection"] == partial["selection"]
    assert whole["selection"]["levels"] == ["must", "abi"]
    assert whole["runtimes"][0]["identity"]["groups"] == ["atomic64", "base64"]
    assert whole["vectors"].keys() == partial["vectors"].keys()


@pytest.fixture(scope="module")
def partial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with r.json of an interrupted run and its own copy of the vectors."""
    folder = tmp_path_factory.mktemp("partial")
    (folder / "v.yaml").write_text(SAMPLE.read_text())
    runtimes = ["-r", "c=python:faulty:changes_its_version", "-r", "x=python:faulty:HangsOnce"]
    with subprocess.Popen(
        [*HEEDING, COMMAND, "run", "--vectors", "v.yaml", "-j", "1", "--json", "r.json", *runtimes],
        env=environment(folder),
        cwd=folder,
        stdout=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None and not (folder / "hanging").exists():
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
    assert process.returncode == 130
    return folder


def test_what_is_run_cannot_be_said_twice(partial: Path) -> None:
    for arguments in (
        ["-k", "add"],
        ["--level", "must"],
        ["--claims", "base32"],
        ["-r", "reference"],
        ["--timeout", "3"],
        ["--vectors", "v.yaml"],
    ):
        done = bpf_isa(partial, "run", "--resume", "r.json", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"--resume does what r.json says: leave out {arguments[0]}" in done.stderr.replace("--runtime", "-r")


def test_a_run_goes_on_where_it_was_started(partial: Path, tmp_path: Path) -> None:
    done = bpf_isa(tmp_path, "run", "--resume", partial / "r.json")
    assert done.returncode == 2
    assert f"the run was started in {partial}: resume it there" in done.stderr


def test_a_run_does_not_go_on_with_other_vectors(partial: Path) -> None:
    vectors = partial / "v.yaml"
    text = vectors.read_text()
    vectors.write_text(text + "# changed\n")
    done = bpf_isa(partial, "run", "--resume", "r.json")
    vectors.write_text(text)
    assert (done.returncode, done.stdout) == (2, "")
    assert "r.json: the vectors have changed since: run the suite anew" in done.stderr


def test_a_run_does_not_go_on_with_another_runtime(partial: Path) -> None:
    done = bpf_isa(partial, "run", "--resume", "r.json", "--json", "other.json", RUNTIME_NAME="second")
    assert done.returncode == 2
    assert "c was not run: it was first 0.1.0 before, and is second 0.1.0 now: run the suite anew" in done.stdout


def test_only_interrupted_runs_go_on(partial: Path) -> None:
    assert bpf_isa(partial, "run", "--resume", "r.json", "--json", "whole.json").returncode == 0
    done = bpf_isa(partial, "run", "--resume", "whole.json")
    assert done.returncode == 2
    assert "whole.json: this run is complete, there is nothing to resume" in done.stderr
    data = json.loads((partial / "r.json").read_text())
    del data["resume"]
    (partial / "mute.json").write_text(json.dumps(data))
    done = bpf_isa(partial, "run", "--resume", "mute.json")
    assert (done.returncode, done.stderr) == (2, "Error: mute.json: does not say what the run was asked to do\n")


def test_the_gate_is_shut_for_partial_results(partial: Path) -> None:
    done = bpf_isa(partial, "gate", "r.json")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "not run: x: the rest: the run was interrupted: these results are partial",
        "the gate is shut for c, x: 1 not run",
    ]


# On a terminal


def on_a_terminal(folder: Path, *arguments: str | Path) -> str:
    """Run the command on a terminal and return what it writes there, without colours and movements."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [COMMAND, *arguments], env={**environment(folder), "TERM": "xterm"}, cwd=folder, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        written = b""
        while True:
            try:
                data = os.read(ours, 1 << 16)
            except OSError:  # Linux says so when nobody holds the other end any more
                break
            if not data:
                break
            written += data
    os.close(ours)
    assert process.returncode in {0, 1}
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written.decode())


def test_a_terminal_shows_progress_and_failures_as_they_come(tmp_path: Path) -> None:
    runtimes = ["-r", "wrong=python:faulty:add_forgets_the_carry", "-r", "good=reference"]
    text = on_a_terminal(tmp_path, "run", "--vectors", SAMPLE, *runtimes)
    progress = text[: text.index("runtime  group")] if "runtime  group" in text else text
    assert re.search(rf"wrong ━+ +{VECTORS}/{VECTORS} 1 fail", progress)
    assert re.search(rf"good +━+ +{VECTORS}/{VECTORS}", progress)
    assert re.search(r"\d:\d\d:\d\d", progress)
    live = "fail wrong: add64-x/carries: expected r0 = 0x100000000; got r0 = 0x0"
    assert text.index(live) < text.rindex(f"{VECTORS}/{VECTORS}")


def test_many_failures_are_not_all_told_at_once(tmp_path: Path) -> None:
    vectors = tmp_path / "many.yaml"
    table = "".join(f"          c{number}  {number}\n" for number in range(30))
    vectors.write_text(
        "source: {name: x, method: hand}\nvectors:\n  - id: many\n    what: all are wrong\n    covers: "
        "[rfc9669-4.1-add]\n    asm: |\n      r0 = 1 ll\n      r1 = {by} ll\n      r0 += r1\n      exit\n"
        f'    expect: {{r0: "99"}}\n    table: |\n          case  by\n{table}'
    )
    text = on_a_terminal(tmp_path, "run", "--vectors", vectors, "-r", "reference")
    assert len(set(re.findall(r"^.*fail reference: (many/c\d+)", text, re.MULTILINE))) == 10
    assert "reference: further failures are printed at the end" in text


def test_nothing_moves_where_there_is_no_terminal(tmp_path: Path) -> None:
    done = bpf_isa(tmp_path, "run", "--vectors", SAMPLE, "-r", "wrong=python:faulty:add_forgets_the_carry", "-q")
    assert len(done.stdout.splitlines()) == 1
    assert "━" not in done.stdout
