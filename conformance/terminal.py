# SPDX-License-Identifier: Apache-2.0
"""What a run looks like on a terminal: progress, a table, each failure, and what was not run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from time import monotonic
from types import TracebackType
from typing import Self

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from . import explain
from .console import Console
from .expectations import foreseen
from .results import Run, counts, counts_by_group
from .runner import Result, RuntimeRun, was_not_run
from .verdict import Failure, Verdict

_STYLES = {Verdict.PASS: "green", Verdict.FAIL: "bold red", Verdict.UNSUPPORTED: "yellow", Verdict.ERROR: "magenta"}
#: The bars move once in so many seconds.
_MOVING = 0.05
#: How many failures of a runtime are told while the run goes on.
_LIVE_FAILURES = 10
#: From so many vectors on it is told how many were run in a second.
_MANY = 64
#: How many instructions are named as likely culprits.
_SUSPECTS = 6


class Live:
    """What is seen while a run goes on: failures as they come, and a bar per runtime with the time it still takes.

    Nothing at all where the output is no terminal.
    """

    def __init__(self, console: Console, runtimes: Sequence[str], vectors: int) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[counts]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._tasks = {
            name: self._progress.add_task(escape(name), total=vectors, counts="", start=False) for name in runtimes
        }
        self._verdicts: dict[str, Counter[Verdict]] = {name: Counter() for name in runtimes}
        self._moved = 0.0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, runtime: str, result: Result) -> None:
        """Take note of a result."""
        verdicts = self._verdicts[runtime]
        if not verdicts:
            self._progress.start_task(self._tasks[runtime])
        verdict = result.judgement.verdict
        verdicts[verdict] += 1
        if self._progress.disable:
            return
        if verdict is Verdict.FAIL and verdicts[verdict] <= _LIVE_FAILURES + 1:
            self._tell(runtime, result, more=verdicts[verdict] > _LIVE_FAILURES)
        now = monotonic()
        done = verdicts.total()
        if now - self._moved > _MOVING or done == self._progress.tasks[self._tasks[runtime]].total:
            self._moved = now
            kinds = (Verdict.FAIL, Verdict.ERROR, Verdict.UNSUPPORTED)
            shown = [f"[{_STYLES[kind]}]{verdicts[kind]} {kind.value}[/]" for kind in kinds if verdicts[kind]]
            self._progress.update(self._tasks[runtime], completed=done, counts=" ".join(shown))

    def _tell(self, runtime: str, result: Result, *, more: bool) -> None:
        if more:
            _say(self._console, Text(f"{runtime}: further failures are told at the end", "dim"))
            return
        reason = result.judgement.reason
        differences = (
            [f"{label} {text}" for label, text in explain.differences(result)] if reason[:5] == "wrong" else []
        )
        told = "; ".join(differences) or reason
        _say(
            self._console, Text.assemble(("fail ", "bold red"), f"{runtime}: ", (result.vector.id, "bold"), f": {told}")
        )


def show(run: Run, console: Console, *, brief: bool = False) -> None:
    """Print the results of ``run``: first the table, then failures, errors, and what is not supported and why.

    If ``brief``, only what could not be run, and a line for each runtime.
    """
    for one in run.runtimes:
        if one.info is None:
            _say(console, Text.assemble((one.name, "bold"), " was not run: ", (one.problem, "yellow")))
    whole = [one for one in run.runtimes if one.info is not None]
    tested = [replace(one, results=[result for result in one.results if not was_not_run(result)]) for one in whole]
    if tested and not brief:
        console.print(_table(tested))
    for one in () if brief else tested:
        _failures(one, console)
    for one in () if brief else tested:
        _reasons(one, Verdict.ERROR, "vectors ended in an error of the harness", console)
        _reasons(one, Verdict.UNSUPPORTED, "vectors are not supported", console)
    if tested and not brief:
        console.print()
    for one, all_of_it in zip(tested, whole, strict=True):
        _summary(one, len(all_of_it.results) - len(one.results), console)
    if not run.complete:
        _say(console, Text("The run was interrupted: these results are partial.", "bold yellow"))


def _say(console: Console, text: Text | str) -> None:
    console.say(text)


def _table(tested: Sequence[RuntimeRun]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("runtime", no_wrap=True)
    table.add_column("group", no_wrap=True)
    for verdict in Verdict:
        table.add_column(verdict.value, justify="right", no_wrap=True)
    for one in tested:
        for group, number in counts_by_group(one.results).items():
            table.add_row(escape(one.name), group, *_cells(number))
        table.add_row(escape(one.name), "all vectors", *_cells(counts(one.results)), end_section=True)
    return table


def _cells(number: dict[str, int]) -> list[str]:
    return [
        f"[{_STYLES[verdict]}]{number[verdict.value]}[/]" if number[verdict.value] else "[dim]0[/]"
        for verdict in Verdict
    ]


def _failures(one: RuntimeRun, console: Console) -> None:
    """Print every failure, the gravest kind first, and the shortest programs; what cases have in common stands once."""
    known = foreseen(one)
    told = {result.vector.id for results in known.values() for result in results}
    failed = [
        result for result in one.results if result.judgement.verdict is Verdict.FAIL and result.vector.id not in told
    ]
    for entry, results in known.items():
        console.print()
        heading = f"{one.name}: {len(results)} known failures"
        _say(console, Text.assemble((heading, "red"), f" (e.g. {results[0].vector.id}): {entry.reason}"))
    for failure in Failure:
        of_kind = [result for result in failed if result.judgement.failure is failure]
        if not of_kind:
            continue
        console.print()
        heading = f"{one.name}: {len(of_kind)} {failure.value}"
        _say(console, Text.assemble((heading, "bold red"), f" ({explain.MEANING[failure]})"))
        by_entry: dict[str, list[Result]] = {}
        for result in of_kind:
            by_entry.setdefault(result.vector.entry.id, []).append(result)
        for results in sorted(by_entry.values(), key=lambda results: len(results[0].vector.little.code)):
            _entry(one, results, console)
    if failed:
        console.print()
        _say(console, Text.assemble(f"{one.name}: instructions by the share of their vectors that fail, worst first"))
        for suspect in explain.suspects(one.results, _SUSPECTS):
            share = f"  {suspect.failed:6} of {suspect.vectors:<6} {suspect.share:4.0%}  "
            _say(console, Text.assemble(share, (suspect.name, "bold")))
        if limit := explain.length_limit(one.results):
            _say(console, Text(f"  {limit}"))


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
        _say(console, Text(f"        {line}", "cyan"))
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
    _say(console, Text.assemble("  ", (vector.id, "bold"), (what, "italic"), (values, "dim")))
    for label, text in explain.differences(result):
        _line(console, label, text, "green" if label == "expected" else "red")


def _line(console: Console, label: str, text: str = "", style: str = "") -> None:
    _say(console, Text.assemble("      ", f"{label:9}" if text else label, (text, style)))


def _reasons(one: RuntimeRun, verdict: Verdict, title: str, console: Console) -> None:
    """Print how many results have ``verdict`` for each reason, with an example."""
    found = [result for result in one.results if result.judgement.verdict is verdict]
    if not found:
        return
    console.print()
    _say(console, Text.assemble((f"{one.name}: {len(found)} {title}", _STYLES[verdict]), ", by reason:"))
    number: Counter[str] = Counter()
    examples: dict[str, Result] = {}
    for result in found:
        word = result.judgement.reason.partition(":")[0]
        # What groups are missing is the reason; elsewhere the rest differs from vector to vector.
        reason = result.judgement.reason if word == "group" else word
        number[reason] += 1
        examples.setdefault(reason, result)
    for reason, count in number.most_common():
        example = examples[reason]
        said = "" if example.judgement.reason == reason else f" ({example.judgement.reason.partition(': ')[2]})"
        _say(console, Text.assemble(f"  {count:6} ", (reason, "bold"), f"  e.g. {example.vector.id}{said}"))


def _summary(one: RuntimeRun, missing: int, console: Console) -> None:
    number = counts(one.results)
    kinds = Counter(result.judgement.failure for result in one.results if result.judgement.failure)
    told = ", ".join(f"{kinds[failure]} {failure.value}" for failure in Failure if kinds[failure])
    parts = [f"{number[verdict.value]} {verdict.value}" for verdict in Verdict if number[verdict.value]]
    parts += [f"{missing} not run"] if missing else []
    asked = len(one.results) - number["unsupported"]
    rate = f", {asked / one.seconds:,.0f} vectors/s" if one.seconds and asked >= _MANY else ""
    style = "bold red" if number["fail"] else "magenta" if number["error"] else "yellow" if missing else "green"
    text = Text.assemble((one.name, "bold"), f" ({_identity(one)}): ", (", ".join(parts) or "no vectors", style))
    text.append(f" ({told})" if told else "")
    text.append(f" in {one.seconds:.1f} s{rate}", "dim")
    _say(console, text)


def _identity(one: RuntimeRun) -> str:
    info = one.info
    assert info is not None
    engine = "" if info.engine == "unknown" else f"{info.engine}, "
    return f"{info.version}, {engine}{info.architecture}, {info.byte_order}-endian"
