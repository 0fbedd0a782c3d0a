# SPDX-License-Identifier: Apache-2.0
"""A large suite on ten runtimes: the site stays small, and its pages come up. benchmarks/report.py has the times."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bpf_isa.adapters.protocol import Observable, Outcome, OutcomeKind, Reason, RuntimeInfo
from bpf_isa.conformance.report.comparison import compare
from bpf_isa.conformance.report.site import MOST_FINDINGS, write_site
from bpf_isa.conformance.results import document as results
from bpf_isa.conformance.results import recorded
from bpf_isa.conformance.results.document import Run
from bpf_isa.conformance.run.runner import Result, RuntimeRun
from bpf_isa.conformance.run.verdict import (
    PASSED,
    Difference,
    Failure,
    Judgement,
    Verdict,
    unsupported,
)
from bpf_isa.conformance.suite.suite import Suite, load_suite

from .conftest import Chromium

RUNTIMES = 10
LARGEST = 20 * 1000 * 1000
VECTORS = 20_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site about made-up results: each runtime fails more than the one before, with numbers that do not repeat."""
    whole = load_suite()
    suite = Suite(whole.vectors[:: len(whole.vectors) // VECTORS][:VECTORS], whole.files)
    assert len(suite.vectors) == VECTORS
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
                judgement = Judgement(Verdict.FAIL, Failure.WRONG_RESULT, Reason(text="wrong r0"), differences)
            elif r0 % 100 < runtime:
                judgement = unsupported(Reason(text=f"policy.reason-{r0 % 7}: not on slot {number % 50}"))
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
    assert browser.texts(".outcomes tbody th")[:2] == ["expected", "runtime-0"], "so many stand one below the other"
    assert browser.texts(".outcomes thead th")[:3] == ["verdict", "outcome", "r0"]
    assert browser.console() == []


@pytest.mark.parametrize(("width", "frame"), [(1600, "fits"), (700, "wide")])
def test_names_of_runtimes_and_rows_stay_in_sight(browser: Chromium, large: Path, width: int, frame: str) -> None:
    browser.emulate(width, 900)
    browser.open(large / "instructions.html")
    browser.until(f"document.querySelector('.scroll').classList.contains('{frame}')")
    place = "const {x, y} = document.querySelector(arguments[0]).getBoundingClientRect(); return [x, y]"
    seen = browser.run(place, ".scroll")
    browser.run(
        "scrollTo({top: 2000, behavior: 'instant'}); document.querySelector('.scroll').scrollTo(300, 2000);"
        "document.querySelector('.scroll.wide')?.scrollIntoView({behavior: 'instant'})"
    )
    name = browser.run(place, ".matrix .names th")
    assert 0 <= name[1] < 100, "the names of the runtimes are at the top"
    heading = browser.run(place, ".matrix tbody:nth-of-type(2) th[scope=row]")
    assert 0 <= heading[0] - seen[0] < 5, "the names of the rows are on the left"
    shown = "const {clientWidth} = document.documentElement; return document.documentElement.scrollWidth - clientWidth"
    assert browser.run(shown) <= 0


def test_a_page_tells_what_matters_of_many_failures(browser: Chromium, large: Path) -> None:
    browser.open(large / "runtimes" / "runtime-9.html")
    assert 20 < len(browser.all(".findings > li")) <= MOST_FINDINGS * len(browser.all(".kind"))
    browser.one(".findings > li > p:last-child a").click()
    browser.wait()
    assert headings(browser)
    assert browser.console() == []


def headings(browser: Chromium) -> list[str]:
    """The vectors that are listed."""
    return browser.texts("#vectors tbody tr:not(:first-child) th")
