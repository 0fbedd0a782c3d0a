# SPDX-License-Identifier: Apache-2.0
"""The end of a run on a terminal stays short, however much is wrong."""

import re
from io import StringIO
from pathlib import Path

import pytest

from bpf_isa.adapters.protocol import UNCLASSIFIED, Outcome, OutcomeKind, Reason, RuntimeInfo
from bpf_isa.conformance.diagnosis.findings import Finding, Weight
from bpf_isa.conformance.diagnosis.spectrum import Share
from bpf_isa.conformance.results.document import Run
from bpf_isa.conformance.run.runner import Result, RuntimeRun
from bpf_isa.conformance.run.verdict import Failure, judge
from bpf_isa.conformance.suite.suite import load_suite
from bpf_isa.conformance.terminal import summary
from bpf_isa.conformance.terminal.console import Console
from bpf_isa.spec.table import isa

SUITE = load_suite([Path(__file__).parents[1] / "data" / "sample.yaml"])
INFO = RuntimeInfo("mine", "1.0", "interpreter", "x", "little", None, frozenset({"r0"}))
NAMES = [row.name for row in isa().instructions]


def shown(monkeypatch: pytest.MonkeyPatch, number: int) -> list[str]:
    """Return what is printed of a runtime with so many findings, each about another instruction."""
    vector = next(one for one in SUITE.vectors if one.id == "add64-x/carries")
    outcome = Outcome(OutcomeKind.RETURNED, r0=0)
    result = Result(vector, outcome, judge(vector.little.expect, outcome))
    found = [
        Finding(Weight.WRONG, Failure.WRONG_RESULT, (name,), None, [result], Share(1, 2), "") for name in NAMES[:number]
    ]
    monkeypatch.setattr(summary, "findings", lambda one: found)
    text = StringIO()
    run = Run(SUITE, SUITE.vectors, [RuntimeRun("mine", INFO, [result])])
    summary.show(run, Console(file=text, width=200, highlight=False), "The end.")
    return text.getvalue().splitlines()


def heads(lines: list[str]) -> list[str]:
    return [found[1] for line in lines if (found := re.match(r"  ([A-Z0-9_]+)  must: 1 wrong-result", line))]


def test_few_findings_have_their_details(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, 3)
    assert heads(lines) == NAMES[:3]
    assert (
        sum(line.startswith("      e.g. add64-x/carries: expected r0 = 0x100000000; got r0 = 0x0") for line in lines)
        == 3
    )
    assert not any("--findings FILE" in line for line in lines)


def test_of_more_findings_the_first_have_details_and_all_have_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, 25)
    assert heads(lines) == NAMES[:25]
    assert 0 < sum(line.startswith("      e.g. ") for line in lines) < 25
    assert "  --findings FILE has all of them with their details" in lines
    assert len(lines) <= 60


def test_of_very_many_the_last_are_counted_and_some_named(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, 150)
    told = heads(lines)
    assert told == NAMES[: len(told)]
    (rest,) = (line for line in lines if line.startswith("  and "))
    left = NAMES[len(told) : 150]
    assert rest == f"  and {len(left)} more findings, about {', '.join(left[:6])} and {len(left) - 6} more"
    assert len(lines) <= 60


def test_messages_that_nobody_knows_are_grouped_without_their_numbers() -> None:
    vector = next(one for one in SUITE.vectors if one.id == "add64-x/carries")

    def unknown(text: str) -> Result:
        outcome = Outcome(OutcomeKind.UNSUPPORTED, reason=Reason(UNCLASSIFIED, text))
        return Result(vector, outcome, judge(vector.little.expect, outcome))

    said = [*(f"R{number} is tired of {-number}" for number in range(20)), "R1 has left"]
    text = StringIO()
    run = Run(SUITE, SUITE.vectors, [RuntimeRun("mine", INFO, [unknown(one) for one in said])])
    summary.show(run, Console(file=text, width=200, highlight=False), "The end.")
    lines = text.getvalue().splitlines()
    assert "mine: 21 vectors ended in an error of the harness, by reason:" in lines
    assert "      20 unclassified: RN is tired of N  e.g. add64-x/carries (R0 is tired of 0)" in lines
    assert "       1 unclassified: RN has left  e.g. add64-x/carries (R1 has left)" in lines
