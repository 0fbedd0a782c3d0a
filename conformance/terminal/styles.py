# SPDX-License-Identifier: Apache-2.0
"""What a run looks like on a terminal while it goes on: progress, and failures as they come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from time import monotonic
from types import TracebackType
from typing import Self

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from ...adapters.protocol import RuntimeInfo
from ..results import explain
from ..run.runner import Result
from ..run.verdict import Failure, Verdict
from .console import Console

STYLES = {Verdict.PASS: "green", Verdict.FAIL: "bold red", Verdict.UNSUPPORTED: "yellow", Verdict.ERROR: "magenta"}
#: Seconds between two updates of the bars.
_MOVING = 0.05
#: How many failures of a runtime are printed while the run goes on.
_LIVE_FAILURES = 10


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

    def opened(self, runtime: str, info: RuntimeInfo) -> None:
        """Start the clock of a runtime."""
        self._progress.start_task(self._tasks[runtime])

    def settled(self, runtime: str, result: Result) -> None:
        """Take note of a result."""
        verdicts = self._verdicts[runtime]
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
            shown = [f"[{STYLES[kind]}]{verdicts[kind]} {kind.value}[/]" for kind in kinds if verdicts[kind]]
            self._progress.update(self._tasks[runtime], completed=done, counts=" ".join(shown))

    def _tell(self, runtime: str, result: Result, *, more: bool) -> None:
        if more:
            say(self._console, Text(f"{runtime}: further failures are printed at the end", "dim"))
            return
        detail = str(result.judgement.reason)
        if result.judgement.failure is Failure.WRONG_RESULT:
            detail = "; ".join(f"{label} {text}" for label, text in explain.differences(result))
        say(
            self._console,
            Text.assemble(("fail ", "bold red"), f"{runtime}: ", (result.vector.id, "bold"), f": {detail}"),
        )


def say(console: Console, text: Text | str) -> None:
    """Print without breaking lines: they are longer than a pipe is wide."""
    console.print(text, soft_wrap=True, highlight=False)
