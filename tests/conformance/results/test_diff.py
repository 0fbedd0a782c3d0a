# SPDX-License-Identifier: Apache-2.0
"""`bpf-isa diff`, on real runs of runtimes that are wrong."""

import json
import re
from pathlib import Path
from typing import Any

from .runs import (
    bpf_isa,
)


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


def test_only_results_of_one_tier_are_compared(folder: Path, tmp_path: Path) -> None:
    for name in ("right", "wrong"):
        data = json.loads((folder / f"{name}.json").read_text())
        data["selection"]["tier"] = "smoke"
        (tmp_path / f"{name}.json").write_text(json.dumps(data))
    done = bpf_isa("diff", tmp_path / "right.json", tmp_path / "wrong.json")
    assert done.exit_code == 1
    assert re.search(r": 1 of \d+ vectors of tier smoke changed$", done.stdout.splitlines()[0])
    done = bpf_isa("diff", folder / "right.json", tmp_path / "wrong.json")
    assert done.exit_code == 2
    assert f"{folder}/right.json of tier full, {tmp_path}/wrong.json of tier smoke" in done.stderr


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
