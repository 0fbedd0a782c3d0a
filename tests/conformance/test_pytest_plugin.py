# SPDX-License-Identifier: Apache-2.0
"""The suite under pytest as other projects run it: in a process of its own, found through its entry point."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bpf_isa.conformance import pytest_plugin
from bpf_isa.conformance.suite.suite import load_suite
from bpf_isa.conformance.suite.tier import Tier, members
from bpf_isa.spec.table import isa

pytest_plugins = ["pytester"]

HERE = Path(__file__).parent
SAMPLE = HERE / "data" / "sample.yaml"
VECTORS = 10
NAME = pytest_plugin.NAME
WRONG = "wrong=python:faulty:add_forgets_the_carry"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def run_pytest(project: Path, *arguments: str | Path, vectors: Path = SAMPLE) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(HERE), "COLUMNS": "200"}
    environment.pop("PYTEST_ADDOPTS", None)
    return subprocess.run(
        # The plugin of hypothesis takes longer than any of these runs.
        [sys.executable, "-m", "pytest", "-p", "no:hypothesispytest", f"--bpf-vectors={vectors}", *arguments],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def suite(project: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run_pytest(project, "--pyargs", NAME, *arguments)


def here(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest in this process: only what is collected, or that nothing can be."""
    return pytester.runpytest_inprocess(f"--bpf-vectors={SAMPLE}", "--pyargs", NAME, "-p", "no:xdist", *arguments)


def outcomes(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """What pytest -v says of each item."""
    return dict(re.findall(rf"^{re.escape(NAME)}::(\S+) ([A-Z]+)", done.stdout, re.MULTILINE))


def test_each_vector_is_an_item_on_each_runtime(project: Path) -> None:
    done = suite(project, "--bpf-runtime", f"reference,{WRONG}", "-v", "--junitxml", "r.xml")
    assert done.returncode == 1, done.stdout
    found = outcomes(done)
    assert len(found) == 2 * VECTORS
    assert {name for name, outcome in found.items() if outcome != "PASSED"} == {"wrong::add64-x/carries"}
    summary = f"FAILED {NAME}::wrong::add64-x/carries - wrong-result: r0: expected 0x100000000, got 0x0"
    assert summary in done.stdout
    assert "r0 += r1" in done.stdout and "RFC 9669 section 4.1: " in done.stdout
    assert "Traceback" not in done.stdout
    cases = ET.parse(project / "r.xml").getroot().findall("testsuite/testcase")
    assert len(cases) == 2 * VECTORS
    (failed,) = [case for case in cases if case.find("failure") is not None]
    assert (failed.get("classname"), failed.get("name")) == (f"{NAME}.wrong", "add64-x/carries")
    # Then only the one that failed, from pytest's cache.
    again = suite(project, "--bpf-runtime", "reference", "--bpf-runtime", WRONG, "-v", "--lf")
    assert outcomes(again) == {"wrong::add64-x/carries": "FAILED"}


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["-k", "carries"], {"add64-x/carries"}),
        (["-k", "stx-mem-h/neighbours/order"], {"stx-mem-h/neighbours/order"}),
        (["-k", "SMOD64_K"], {"smod64-k/dividend-negative"}),
        (["-m", "atomic64"], {"atomic-fetch-add64"}),
        (["-m", "section-3.1"], {"bswap16/source-bit-set"}),
        (["-m", "robustness"], {"bswap16/source-bit-set"}),
        (["-m", "CALL_LOCAL or STX_MEM_H"], {"calls/local", "stx-mem-h/neighbours/order"}),
        (
            ["-m", "base32 and not section-3.1"],
            {f"add32-k/base32-only/{name}" for name in ("small", "wraps", "negative")},
        ),
    ],
)
def test_items_are_selected_by_id_and_mark(pytester: pytest.Pytester, arguments: list[str], names: set[str]) -> None:
    done = here(pytester, "--bpf-runtime=reference", "--collect-only", "-q", *arguments)
    assert {line.removeprefix(f"{NAME}::reference::") for line in done.outlines if line.startswith(NAME)} == names


KNOWN = """\
runtime: wrong
expectations:
  - {vectors: add64-x/carries, verdict: fail, failure: FAILURE, reason: no carry, link: "https://example.org/7"}
"""


def test_known_failures_are_strict_xfails(project: Path) -> None:
    known = project / "k.yaml"
    known.write_text(KNOWN.replace("FAILURE", "wrong-result"))
    arguments: list[str | Path] = ["--bpf-runtime", WRONG, "--bpf-expectations", known, "-v", "-rx"]
    done = suite(project, *arguments)
    assert done.returncode == 0, done.stdout
    assert outcomes(done)["wrong::add64-x/carries"] == "XFAIL"
    assert "no carry (https://example.org/7)" in done.stdout
    # In another way than that, or not at all: both are failures.
    known.write_text(KNOWN.replace("FAILURE", "crashed"))
    assert outcomes(suite(project, *arguments))["wrong::add64-x/carries"] == "FAILED"
    known.write_text(KNOWN.replace("FAILURE", "wrong-result").replace("carries", "wraps"))
    done = suite(project, *arguments)
    assert outcomes(done)["wrong::add64-x/wraps"] == "FAILED"
    assert "[XPASS(strict)] no carry" in done.stdout


def test_unsupported_vectors_are_skipped_with_the_reason_unless_they_are_known(project: Path) -> None:
    runtime = "small=python:faulty:claims_base32"
    done = suite(project, "--bpf-runtime", runtime, "-v", "-rs")
    assert done.returncode == 0
    assert outcomes(done)["small::add64-x/wraps"] == "SKIPPED"
    assert "group: the runtime does not claim base64" in done.stdout
    known = project / "k.yaml"
    known.write_text("runtime: small\nexpectations:\n  - {vectors: add64-x/*, verdict: unsupported, reason: none}\n")
    found = outcomes(suite(project, "--bpf-runtime", runtime, "-v", "--bpf-expectations", known))
    assert (found["small::add64-x/wraps"], found["small::calls/local"]) == ("XFAIL", "SKIPPED")


def test_errors_of_the_harness_are_failures(project: Path) -> None:
    done = suite(project, "--bpf-runtime", "x=python:faulty:Raises", "-v", "-k", "add64-x")
    assert outcomes(done) == {"x::add64-x/wraps": "FAILED", "x::add64-x/carries": "PASSED"}
    assert re.search(r"^FAILED .*add64-x/wraps - adapter: KeyError: 'add64-x/wraps'", done.stdout, re.MULTILINE)


def test_a_runtime_that_dies_is_convicted_and_the_rest_is_run(project: Path) -> None:
    done = suite(project, "--bpf-runtime", "x=python:faulty:Dies", "-v")
    failed = {name for name, outcome in outcomes(done).items() if outcome == "FAILED"}
    assert failed == {"x::smod64-k/dividend-negative"}
    assert "crashed: signal: the process that ran it was killed by SIGSEGV" in done.stdout


def test_workers_of_xdist_have_a_process_each_and_not_one_per_item(project: Path) -> None:
    marks = project / "opened"
    marks.mkdir()
    (project / "conftest.py").write_text(f"import os\nos.environ['OPENED'] = {str(marks)!r}\n")
    runtime = "x=python:faulty:tells_when_it_is_opened"
    done = suite(project, "--bpf-runtime", runtime, "-n", "2", "--junitxml", "r.xml")
    assert done.returncode == 0, done.stdout
    assert f"{VECTORS} passed" in done.stdout
    assert len(list(marks.iterdir())) == 2
    names = [case.get("name") for case in ET.parse(project / "r.xml").iter("testcase")]
    assert sorted(map(str, names)) == sorted(vector.id for vector in load_suite([SAMPLE]).vectors)


def test_a_project_has_the_suite_among_its_own_tests(project: Path) -> None:
    """Configured once, run by a bare `pytest`; a file that is named is run alone."""
    (project / "pytest.ini").write_text(
        "[pytest]\nbpf_suite = true\nbpf_expectations = known.yaml\nbpf_runtimes =\n    reference\n"
    )
    (project / "known.yaml").write_text(KNOWN.replace("FAILURE", "wrong-result"))
    (project / "conftest.py").write_text(f"def pytest_bpf_runtimes(config):\n    return [{WRONG!r}]\n")
    (project / "test_own.py").write_text("def test_one():\n    pass\n")
    done = run_pytest(project, "-v")
    assert done.returncode == 0, done.stdout
    assert f"{2 * VECTORS} passed, 1 xfailed" in done.stdout
    assert "test_own.py::test_one PASSED" in done.stdout
    done = run_pytest(project, "-v", "test_own.py")
    assert "1 passed" in done.stdout and not outcomes(done)


def test_expectation_files_can_come_from_a_conftest(project: Path) -> None:
    (project / "known.yaml").write_text(KNOWN.replace("FAILURE", "wrong-result"))
    (project / "conftest.py").write_text("def pytest_bpf_expectations(config):\n    return ['known.yaml']\n")
    done = suite(project, "--bpf-runtime", WRONG)
    assert f"{VECTORS - 1} passed, 1 xfailed" in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say what to test: --bpf-runtime reference"),
        (["--bpf-runtime", "plugn:x"], "'plugn' is no kind of runtime: did you mean 'plugin'?"),
        (["--bpf-runtime", "python:faulty:unavailable"], "cannot be used: the moon is in the wrong phase: wait a week"),
        (["--bpf-runtime", "python:faulty:does_not_start"], "its adapter failed: ZeroDivisionError"),
        (["--bpf-runtime", "reference", "--bpf-vectors", "nowhere"], "nowhere:1: there is no such file or folder"),
        (["--bpf-runtime", "reference", "--bpf-expectations", "nowhere"], "nowhere"),
        (["--bpf-runtime", "reference", "--bpf-expectations", "{known}"], "there are expectations of 'wrong'"),
        (["--bpf-runtime", "reference", "--bpf-tier", "slow"], "--tier slow: the tiers are smoke, quick, full"),
        (["--bpf-runtime", "reference", "--bpf-tier", "smoke"], "leave out --vectors and --data"),
    ],
)
def test_what_cannot_be_used_is_one_error(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.syspath_prepend(HERE)
    known = pytester.path / "k.yaml"
    known.write_text(KNOWN.replace("FAILURE", "crashed"))
    done = here(pytester, *(argument.format(known=known) for argument in arguments))
    assert done.ret is pytest.ExitCode.INTERRUPTED
    text = done.stdout.str()
    assert message in text
    assert "1 error in" in text and "Traceback" not in text


def test_the_whole_suite_is_collected(pytester: pytest.Pytester) -> None:
    arguments = ["--bpf-runtime=reference", "--pyargs", NAME, "--collect-only", "-qq", "-p", "no:xdist"]
    done = pytester.runpytest_inprocess(*arguments)
    assert done.ret is pytest.ExitCode.OK
    assert done.outlines[0].split() == [f"{NAME}:", str(len(load_suite().vectors))]


def test_a_tier_is_collected_and_named(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nbpf_tier = smoke\n")
    number = str(len(members(Tier.SMOKE)))
    arguments = ["--bpf-runtime=reference", "--pyargs", NAME, "--collect-only", "-p", "no:xdist"]
    done = pytester.runpytest_inprocess(*arguments)
    assert "BPF conformance: tier smoke" in done.outlines and f"{number} tests collected" in done.outlines[-1]
    done = pytester.runpytest_inprocess(*arguments, "--bpf-tier=quick", "-qq")
    assert done.outlines[0].split() == [f"{NAME}:", str(len(members(Tier.QUICK)))]


def test_other_peoples_tests_are_left_alone(project: Path) -> None:
    """The plugin is loaded wherever it is installed: it must not cost anything there."""
    code = "import sys, json, bpf_isa.conformance.pytest_plugin; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = [name for name in json.loads(done.stdout) if name.startswith("bpf_isa.")]
    light = ["bpf_isa.spec", "bpf_isa.spec.errors", "bpf_isa.spec.plain"]
    assert loaded == ["bpf_isa.conformance", "bpf_isa.conformance.pytest_plugin", *light]
    (project / "conformance").mkdir()
    (project / "conformance" / "test_own.py").write_text("def test_one():\n    pass\n")
    assert "1 passed" in run_pytest(project, "conformance").stdout


def test_the_marks_of_a_vector_name_its_instructions() -> None:
    (vector,) = [one for one in load_suite([SAMPLE]).vectors if one.id == "calls/local"]
    names = {mark.name for mark in pytest_plugin._Describer("mine").marks(vector)}
    assert {"mine", vector.entry.level.value, "CALL_LOCAL", "EXIT"} <= names
    assert names & isa().groups.keys() == vector.reported
