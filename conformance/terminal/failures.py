# SPDX-License-Identifier: Apache-2.0
"""Every failure of a runtime with its inputs, its program and the sentences it breaks: for those who ask for all."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from rich.text import Text

from ..diagnosis.findings import Finding, findings
from ..results import explain
from ..results.document import Run
from ..run.runner import Result, RuntimeRun
from .console import Console
from .styles import say


def as_text(run: Run) -> str:
    """Return what :func:`show_failures` prints."""
    text = StringIO()
    show_failures(run, Console(file=text, highlight=False))
    return text.getvalue()


def show_failures(run: Run, console: Console) -> None:
    """Print every failure by the finding it belongs to, the gravest first; what cases have in common stands once."""
    for one in run.runtimes:
        for finding in findings(one):
            _finding(one, finding, console)


def _finding(one: RuntimeRun, finding: Finding, console: Console) -> None:
    console.print()
    about = f"{one.name}: {finding.subject}: {len(finding.results)} {finding.failure.value}, {finding.level}"
    meaning = finding.known or explain.MEANING[finding.failure]
    say(console, Text.assemble((about, "bold red"), f" ({meaning})"))
    if finding.requirement is not None:
        say(console, Text(f"  {explain.sentence(finding.requirement)}"))
    by_entry: dict[str, list[Result]] = {}
    for result in finding.results:
        by_entry.setdefault(result.vector.entry.id, []).append(result)
    for results in sorted(by_entry.values(), key=lambda results: len(results[0].vector.little.code)):
        _entry(one, results, console)


def _entry(one: RuntimeRun, results: Sequence[Result], console: Console) -> None:
    assert one.info is not None
    first, *others = results
    console.print()
    _one_failure(first, console)
    for line in explain.inputs(first.vector, one.info.byte_order):
        _line(console, "input", line)
    _line(console, "program")
    text = explain.program(first.vector, one.info.byte_order, first.judgement.differences)
    for line in text.splitlines():
        say(console, Text(f"        {line}", "cyan"))
    for line in explain.demands(first.vector):
        _line(console, "breaks", line)
    if others:
        _line(console, "", f"the same program with other operands fails {len(others)} more times:")
    for other in others:
        _one_failure(other, console, again=True)


def _one_failure(result: Result, console: Console, *, again: bool = False) -> None:
    vector = result.vector
    what = f"  {vector.entry.what}" if vector.entry.what and not again else ""
    values = f"  {explain.values(vector)}" if vector.case else ""
    say(console, Text.assemble("  ", (vector.id, "bold"), (what, "italic"), (values, "dim")))
    for label, text in explain.differences(result):
        _line(console, label, text, "green" if label == "expected" else "red")


def _line(console: Console, label: str, text: str = "", style: str = "") -> None:
    say(console, Text.assemble("      ", f"{label:9}" if text else label, (text, style)))
