# SPDX-License-Identifier: Apache-2.0
"""A large suite on ten runtimes: the site stays small, and its pages come up. benchmarks/report.py has the times."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bpf_isa.adapters.protocol import Observable, Outcome, OutcomeKind, RuntimeInfo
from bpf_isa.conformance import results
from bpf_isa.conformance.report import recorded
from bpf_isa.conformance.report.comparison import compare
from bpf_isa.conformance.report.site import write_site
from bpf_isa.conformance.results import Run
from bpf_isa.conformance.runner import Result, RuntimeRun
from bpf_isa.conformance.suite import Suite, load_suite
from bpf_isa.conformance.verdict import PASSED, Difference, Failure, Judgement, Verdict, unsupported

from .conftest import Chromium

RUNTIMES = 10
LARGEST = 15 * 1000 * 1000
VECTORS = 20_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site about made-up results: each runtime fails more than the one before, with numbers that do not repeat."""
    whole = load_suite()
    suite = Suite(whole.vectors[:: len(whole.vectors) // VECTORS], whole.files)
    assert len(suite.vectors) >= VECTORS
    observes: frozenset[Observable] = frozenset({"r0", "registers", "memory"})
    runs = []
    for runtime in range(RUNTIMES):
        info = RuntimeInfo(f"runtime-{runtime}", "1.0", "jit", "x86_64", "little", None, observes)
        run = RuntimeRun(info.name, info)
        for number, vector in enumerate(suite.vectors):
            r0 = (number + 1) * 0x9E3779B97F4A7C15 * (runtime + 1) % 2**64
            judgement = PASSED
            if r0 >> 32 < runtime * 2**32 // 40:
                differences = (Difference("r0", "0x1", hex(r0)),)
                judgement = Judgement(Verdict.FAIL, Failure.WRONG_RESULT, "wrong r0", differences)
            elif r0 % 100 < runtime:
                judgement = unsupported(f"policy.reason-{r0 % 7}: not on slot {number % 50}")
            outcome = Outcome(OutcomeKind.RETURNED, r0, seconds=0.0001)
            run.results.append(Result(vector, outcome, judgement))
        runs.append(run)
    folder = tmp_path_factory.mktemp("large")
    run_of_all = Run(suite, suite.vectors, runs, started=datetime(2026, 1, 1, tzinfo=UTC))
    document = recorded.restore(results.document(run_of_all), folder / "r.json")
    write_site(compare([document]), folder)
    return folder


def test_the_site_stays_small(large: Path) -> None:
    assert sum(file.stat().st_size for file in large.rglob("*") if file.is_file()) < LARGEST


def test_pages_load_no_more_than_they_show(browser: Chromium, large: Path) -> None:
    loaded = "return [...document.scripts].map((one) => one.src.split('/').pop())"
    browser.open(large / "index.html")
    assert browser.run(loaded) == ["theme.js", "matrix.js"]
    browser.open(large / "vectors.html", "#verdict=fail")
    assert browser.run(loaded) == ["theme.js", "index.js", "matrix.js", "data.js", "vectors.js"]
    assert browser.one("#found").text.endswith("entries")
    assert len(browser.all("#vectors tbody tr")) <= 101, "the rest comes when it is asked for"
    browser.one("#more").click()
    browser.until("document.querySelectorAll('#vectors tbody tr').length > 101")
    browser.one("#vectors tbody tr:nth-child(2) a").click()
    browser.wait()
    assert len([name for name in browser.run(loaded) if name.startswith("vectors-")]) == 1
    assert browser.all(".outcomes mark")
    assert browser.console() == []
