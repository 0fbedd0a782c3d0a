# SPDX-License-Identifier: Apache-2.0
"""`bpf-isa run` as people run it: in a process of its own."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from bpf_isa.conformance.cli import main
from bpf_isa.conformance.results import document as results
from bpf_isa.conformance.results.recorded import difference

HERE = Path(__file__).parents[1]
SAMPLE = HERE / "data" / "sample.yaml"
VECTORS = 10
MANY = Path(results.__file__).parents[1] / "vectors" / "arithmetic.yaml"
COMMAND = Path(sys.executable).with_name("bpf-isa")


def bpf_isa(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(HERE), "COLUMNS": "80"}
    return subprocess.run(
        [COMMAND, *map(str, arguments)], env=environment, capture_output=True, text=True, check=False, timeout=900
    )


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return bpf_isa("run", "--vectors", SAMPLE, *arguments)


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One run of many runtimes: its output, status, JSON and JUnit."""
    folder = tmp_path_factory.mktemp("run")
    names = [
        "add_forgets_the_carry",
        "ignores_the_source_of_bswap",
        "claims_base32",
        "Dies",
        "Raises",
        "unavailable",
        "does_not_start",
        "shows_r0_only",
        "clobbers_r6_and_shows_r0_only",
        "stores_too_much_and_shows_r0_only",
    ]
    runtimes = [part for name in names for part in ("-r", f"{name}=python:faulty:{name}")]
    done = run(
        "-r",
        "reference",
        "-r",
        "big=reference:big",
        *runtimes,
        "--json",
        folder / "r.json",
        "--junit",
        folder / "r.xml",
        "--ktap",
        folder / "r.ktap",
    )
    data = results.read(folder / "r.json")
    return {
        "done": done,
        "out": done.stdout,
        "data": data,
        "runtimes": {one["name"]: one for one in data["runtimes"]},
        "junit": ET.parse(folder / "r.xml").getroot(),
        "ktap": (folder / "r.ktap").read_text().splitlines(),
    }


def verdicts(documented: dict[str, Any], runtime: str) -> dict[str, str]:
    """The vectors that a runtime did not pass."""
    found = documented["runtimes"][runtime]["results"]
    assert len(found) == VECTORS
    return {name: result["verdict"] for name, result in found.items() if result["verdict"] != "pass"}


def test_failures_give_status_1_whatever_else_goes_wrong(documented: dict[str, Any]) -> None:
    assert documented["done"].returncode == 1, documented["done"].stderr
    assert "Error" not in documented["done"].stderr


@pytest.mark.parametrize("name", ["reference", "big", "shows_r0_only"])
def test_correct_runtimes_pass_everything(documented: dict[str, Any], name: str) -> None:
    assert verdicts(documented, name) == {}
    assert documented["runtimes"][name]["counts"] == {"pass": VECTORS, "fail": 0, "unsupported": 0, "error": 0}


@pytest.mark.parametrize(
    ("name", "vector", "failure", "what", "expected", "got"),
    [
        ("add_forgets_the_carry", "add64-x/carries", "wrong-result", "r0", "0x100000000", "0x0"),
        (
            "ignores_the_source_of_bswap",
            "bswap16/source-bit-set",
            "misexecuted",
            "outcome",
            "rejected",
            "returned r0 = 0x100, the result of another instruction",
        ),
        (
            "Dies",
            "smod64-k/dividend-negative",
            "crashed",
            "outcome",
            "returned r0 = 0xffffffffffffffff",
            "crashed: signal: the process that ran it was killed by SIGSEGV",
        ),
        ("clobbers_r6_and_shows_r0_only", "calls/local", "wrong-result", "r6", "0x1", "0x7"),
        (
            "stores_too_much_and_shows_r0_only",
            "stx-mem-h/neighbours/order",
            "wrong-result",
            "memory[0:8]",
            "0xffffffff1234ffff",
            "0xffff00001234ffff",
        ),
    ],
)
def test_faulty_runtimes_are_told_what_is_wrong(
    documented: dict[str, Any], name: str, vector: str, failure: str, what: str, expected: str, got: str
) -> None:
    assert verdicts(documented, name) == {vector: "fail"}
    result = documented["runtimes"][name]["results"][vector]
    assert result["failure"] == failure
    (item,) = map(difference, result["differences"])
    assert (item.name, *item.shown) == (what, expected, got)
    (case,) = documented["junit"].findall(f"testsuite[@name='{name}']/testcase/failure")
    assert case.get("type") == failure
    assert got in case.text


def test_the_terminal_shows_a_finding_with_requirement_example_and_program(documented: dict[str, Any]) -> None:
    lines = documented["out"].splitlines()
    at = lines.index("add_forgets_the_carry: 1 failure, 1 finding, the gravest first")
    finding, broken, example, program = (line.strip() for line in lines[at + 1 : at + 5])
    assert "must: 1 wrong-result" in finding and "the upper 32 bits are lost" in finding
    assert broken.startswith("RFC 9669 section 4.1: ") and broken.endswith("]")
    assert example.startswith("e.g. add64-x/carries: expected r0 = 0x100000000; got r0 = 0x0")
    assert program == "r0 = 0xffffffff ll; r1 = 0x1 ll; r0 += r1; exit"


def test_words_are_explained_where_they_come_first(documented: dict[str, Any]) -> None:
    text = documented["out"]
    meaning = "(the runtime ran a program that it should refuse as if it were another one)"
    assert f"robustness: 1 misexecuted {meaning}, e.g. bswap16/source-bit-set" in text
    assert "1 crashed (the runtime died)" in text


def test_the_last_lines_are_the_verdict_in_words(documented: dict[str, Any]) -> None:
    lines = documented["out"].splitlines()
    assert lines[-1].startswith(
        "Exit status 1: add_forgets_the_carry fails 1, ignores_the_source_of_bswap fails 1, Dies"
    )
    assert lines[-2] == (
        "stores_too_much_and_shows_r0_only passes 9 of the 10 vectors that were selected, "
        "which says nothing about whole conformance groups"
    )


def test_findings_go_to_a_file(tmp_path: Path) -> None:
    file = tmp_path / "findings.txt"
    done = run("-r", "wrong=python:faulty:add_forgets_the_carry", "-q", "--findings", file)
    assert done.returncode == 1
    lines = [line.strip() for line in file.read_text().splitlines()]
    assert any(line.startswith("add64-x/carries") and "dst=0xffffffff src=1" in line for line in lines)
    assert "expected r0 = 0x100000000" in lines
    assert "/* 4 */ r0 += r1" in lines
    assert any(line.startswith("breaks   RFC 9669 section 4.1") and "[rfc9669-4.1-add]" in line for line in lines)
    shown = run("-r", "wrong=python:faulty:add_forgets_the_carry", "-v")
    assert file.read_text().strip() in shown.stdout


def test_a_runtime_that_fails_everywhere_gets_about_sixty_lines(tmp_path: Path) -> None:
    done = bpf_isa("run", "-r", "small=python:faulty:has_no_64_bits", "--vectors", MANY)
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert len(lines) <= 70
    (heading,) = (line for line in lines if line.endswith("the gravest first"))
    assert re.fullmatch(r"small: [\d,]+ failures, \d+ findings?, the gravest first", heading)


def test_the_table_has_a_line_per_runtime(documented: dict[str, Any]) -> None:
    """And one per group, where there are few runtimes."""
    rows = [line.split() for line in documented["out"].splitlines()]
    for row in (
        ["reference", "all", "vectors", "10", "0", "0", "0"],
        ["add_forgets_the_carry", "all", "vectors", "9", "1", "0", "0"],
        ["claims_base32", "all", "vectors", "3", "0", "7", "0"],
        ["Raises", "all", "vectors", "8", "0", "0", "2"],
    ):
        assert row in rows
    rows = [line.split() for line in run("-r", "claims_base32=python:faulty:claims_base32").stdout.splitlines()]
    for row in (["claims_base32", "base32", "3", "0", "0", "0"], ["claims_base32", "divmul64", "0", "0", "1", "0"]):
        assert row in rows


def test_what_a_runtime_does_not_claim_is_unsupported(documented: dict[str, Any]) -> None:
    assert set(verdicts(documented, "claims_base32").values()) == {"unsupported"}
    one = documented["runtimes"]["claims_base32"]["results"]["atomic-fetch-add64"]
    assert one["outcome"] is None
    assert one["reason"]["text"] == "the runtime does not claim atomic64, base64"
    assert "claims_base32: 7 vectors are not supported, by reason:" in documented["out"]


def test_a_bug_in_an_adapter_costs_only_the_vectors_that_find_it(documented: dict[str, Any]) -> None:
    assert verdicts(documented, "Raises") == {"add64-x/wraps": "error", "add32-k/base32-only/wraps": "error"}
    reason = documented["runtimes"]["Raises"]["results"]["add64-x/wraps"]["reason"]
    assert reason["code"] == "adapter" and reason["text"].startswith("KeyError: 'add64-x/wraps'")


def test_runtimes_that_cannot_be_used_are_named_with_the_reason(documented: dict[str, Any]) -> None:
    unavailable, broken = documented["data"]["unavailable"]
    assert unavailable == {
        "name": "unavailable",
        "reason": "the moon is in the wrong phase: wait a week",
        "broken": False,
    }
    assert broken["broken"]
    assert "ZeroDivisionError: by nothing" in broken["reason"]
    assert "unavailable was not run: the moon is in the wrong phase: wait a week" in documented["out"].splitlines()


def test_the_document_holds_what_reports_need(documented: dict[str, Any]) -> None:
    data = documented["data"]
    assert data["suite"]["vectors"] == data["selection"]["vectors"] == len(data["vectors"]) == VECTORS
    assert data["complete"]
    vector = data["vectors"]["stx-mem-h/neighbours/order"]
    assert vector["groups"] == vector["reported"] == ["base64"]
    assert vector["memory"] == "ff" * 8
    assert vector["expect"] == {"registers": {"r0": "0x0", "r3": "0x1234"}, "memory": "ffff3412ffffffff"}
    assert vector["expect_big"]["memory"] == "ffff1234ffffffff"
    entry = data["entries"][vector["entry"]]
    assert entry["covers"] == ["rfc9669-5.1-stx-mem-h", "rfc9669-5.1-host-byte-order"]
    identity = documented["runtimes"]["big"]["identity"]
    assert (identity["engine"], identity["byte_order"], identity["kernel_release"]) == ("interpreter", "big", None)


def test_ktap_has_a_line_for_each_vector(documented: dict[str, Any]) -> None:
    lines = documented["ktap"]
    unavailable = documented["data"]["unavailable"]
    assert lines[:2] == ["KTAP version 1", f"1..{len(documented['runtimes']) + len(unavailable)}"]
    assert sum(bool(re.match(r"(not )?ok \d+ .* # (SKIP|ERROR) ", line)) for line in lines) == len(unavailable)
    for name, one in documented["runtimes"].items():
        begin = lines.index(f"  # Subtest: {name}")
        (end,) = (at for at, line in enumerate(lines) if re.fullmatch(rf"(not )?ok \d+ {re.escape(name)}", line))
        subtests = [line.strip() for line in lines[begin:end] if re.match(r"  (not )?ok ", line)]
        assert lines[begin + 2] == f"  1..{VECTORS}"
        assert len(subtests) == VECTORS
        counts = one["counts"]
        assert sum(line.startswith("ok ") and " # SKIP " not in line for line in subtests) == counts["pass"]
        assert sum(" # SKIP " in line for line in subtests) == counts["unsupported"]
        assert sum(" # ERROR " in line for line in subtests) == counts["error"]
        assert sum(line.startswith("not ok") for line in subtests) == counts["fail"] + counts["error"]
        assert lines[end].startswith("not ok") == bool(counts["fail"] + counts["error"])


def test_junit_counts_agree_with_the_document(documented: dict[str, Any]) -> None:
    for suite in documented["junit"]:
        one = documented["runtimes"].get(suite.get("name"))
        if one is None:
            assert suite.get("tests") == "1"
            continue
        counts = one["counts"]
        stated = [int(suite.get(name, "")) for name in ("tests", "failures", "skipped", "errors")]
        assert stated == [VECTORS, counts["fail"], counts["unsupported"], counts["error"]]
        assert len(suite.findall("testcase")) == VECTORS
    total = int(documented["junit"].get("tests", ""))
    assert total == VECTORS * len(documented["runtimes"]) + len(documented["data"]["unavailable"])


def test_everything_passed_is_status_0_and_no_terminal_gets_no_bar() -> None:
    done = run("-r", "reference", "-q")
    assert done.returncode == 0
    (line,) = done.stdout.splitlines()
    assert line.startswith("reference (") and f"{VECTORS} pass in" in line
    assert "\x1b" not in done.stdout


def test_by_default_reference_and_linux_are_tested() -> None:
    done = run("-k", "add64*")
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert any(line.startswith("reference (") and "2 pass" in line for line in lines)
    assert any(line.startswith(("linux (", "linux was not run: ")) for line in lines)


@pytest.mark.long
def test_a_runtime_that_hangs_times_out_and_the_rest_is_judged(tmp_path: Path) -> None:
    done = run(
        "-r", "hangs=python:faulty:Hangs", "--timeout", "1", "--json", tmp_path / "r.json", "-k", "atomic or add*"
    )
    assert done.returncode == 1
    (one,) = results.read(tmp_path / "r.json")["runtimes"]
    failed = {name: result for name, result in one["results"].items() if result["verdict"] != "pass"}
    assert list(failed) == ["atomic-fetch-add64"]
    assert failed["atomic-fetch-add64"]["failure"] == "timed-out"
    assert len(one["results"]) > 1


def test_levels_are_selected_and_the_document_says_so(tmp_path: Path) -> None:
    done = run("-r", "reference", "--level", "robustness,interpretation", "--json", tmp_path / "r.json")
    assert done.returncode == 0
    data = results.read(tmp_path / "r.json")
    assert data["selection"]["levels"] == ["robustness", "interpretation"]
    assert {entry["level"] for entry in data["entries"].values()} == {"robustness", "interpretation"}
    assert 0 < data["selection"]["vectors"] < VECTORS
    gate = bpf_isa("gate", tmp_path / "r.json", "--require", "base64")
    assert "only a part of the suite was run" in gate.stdout
    report = bpf_isa("report", tmp_path / "r.json", "--format", "markdown")
    assert "--level robustness --level interpretation" in report.stdout


def test_a_run_that_refuses_a_group_suggests_what_to_claim() -> None:
    vectors = Path(results.__file__).parents[1] / "vectors" / "groups"
    done = bpf_isa("run", "-r", "small=python:faulty:has_no_64_bits", "--vectors", vectors)
    (advice,) = (line for line in done.stdout.splitlines() if "--claims" in line)
    assert advice.startswith("small refuses nearly all of base64, divmul32, divmul64 (")
    assert advice.endswith("say what it has with --claims base32")


def test_errors_of_the_harness_alone_are_status_2() -> None:
    assert run("-r", "x=python:faulty:Raises", "-k", "add64-x").returncode == 2
    done = run("-r", "x=python:faulty:LosesOutcomes", "-k", "add64-x/wraps")
    assert done.returncode == 2
    assert "the adapter gave 0 outcomes for 1 jobs" in done.stdout


def test_a_runtime_asked_for_by_name_must_be_there() -> None:
    done = run("-r", "x=python:faulty:unavailable", "-r", "reference")
    assert done.returncode == 2
    assert "reference (" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-r", "refrence"], "did you mean 'reference'?"),
        (["-r", "nothing"], "'nothing' is no kind of runtime: known are reference"),
        (["-r", "reference:middle"], "reference takes one of little, big"),
        (["-r", "linux:now"], "linux takes no argument"),
        (["-r", "=reference"], "the name before '=' is missing"),
        (["-r", "python:faulty"], "python takes MODULE:CALLABLE"),
        (["-r", "reference", "-r", "reference"], "two runtimes are called 'reference'"),
        (["-k", "add64 and"], "expected a word, 'not' or '(', found the end"),
        (["-k", "add64 add32"], "expected 'and', 'or' or the end, found 'add32'"),
        (["-k", "(add64"], "a parenthesis is not closed"),
        (["-k", "nowhere"], "none of the 10 vectors is selected by what was asked for; -k takes whole words of ids"),
        (["-k", "add and wraps"], "'add' is no whole word, '*add*' selects 6"),
        (["-k", "smod46"], "no id has 'smod46'; did you mean smod64?"),
        (["--level", "must,may"], "--level may: the levels are must, interpretation, abi, extension, robustness"),
        (["--group", "base32,"], "'base32,' has an empty entry: a list is written as in a,b"),
        (["--claims", "base128"], "--claims base128: the conformance groups are base32"),
        (["--claims", "mine:base32"], "--claims mine:base32: no runtime has this name; there are reference, linux"),
        (["--group", "base128"], "--group base128: the conformance groups are base32"),
        (["--section", "9"], "--section 9: no requirement is of this section; sections are 2.1"),
        (["--vectors", "nowhere.yaml"], "nowhere.yaml:1: there is no such file or folder"),
        (["--json", "nowhere/r.json"], "nowhere/r.json: cannot be written: No such file or directory"),
        (["--junit", "/dev/fd"], "File '/dev/fd' is a directory"),
        (["-j", "0"], "0 is not in the range"),
        (["--timeout", "soon"], "'soon' is not a valid float"),
    ],
)
def test_bad_usage_is_one_clear_error(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(main, ["run", "--vectors", str(SAMPLE), *arguments])
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.count("Error:") == 1
    assert done.stdout == ""


def test_a_results_file_that_cannot_be_replaced_is_an_error(tmp_path: Path) -> None:
    target = tmp_path / "r.json"
    target.mkdir()
    done = run("-r", "reference", "--json", target)
    assert done.returncode == 2
    assert "is a directory" in done.stderr


def test_an_old_results_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "r.json"
    target.write_text("old")
    assert run("-r", "reference", "--json", target).returncode == 0
    assert json.loads(target.read_text())["format"] == results.FORMAT
    assert [file.name for file in tmp_path.iterdir()] == ["r.json"]


def test_help_names_the_commands() -> None:
    done = bpf_isa("--help")
    assert done.returncode == 0
    assert "run " in done.stdout
