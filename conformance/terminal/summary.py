# SPDX-License-Identifier: Apache-2.0
"""The end of a run on a terminal: a table, the findings, what was not judged, and the verdict in words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from textwrap import shorten

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ...adapters.protocol import UNCLASSIFIED
from ..diagnosis.conclusion import in_words
from ..diagnosis.findings import (
    Finding,
    Weight,
    findings,
    some,
)
from ..results import explain
from ..results.claims import suggestion
from ..results.document import Run, counts, counts_by_group
from ..run.runner import RuntimeRun, was_not_run
from ..run.verdict import Failure, Verdict
from ..suite.tier import Tier
from .console import Console
from .styles import STYLES, say

#: About how many lines are printed of a run.
_LINES = 60
#: With more runtimes than this, the table has one line for each.
_FEW = 2
#: The lines of a finding with its details, around the findings, and of the reasons of one kind, and of errors.
_FINDING, _AROUND, _REASONS, _ERRORS = 4, 6, 3, 10
#: The most characters of a program on one line, and of what differs.
_SHORT, _LONGEST, _DIFFERENCES = 120, 160, 2
#: How many instructions are named of the findings that are left out.
_NAMED = 6
#: The least number of vectors of which the rate per second is printed.
_MANY = 64


def show(run: Run, console: Console, conclusion: str, *, brief: bool = False, robustness: bool = False) -> None:
    """Print what a run has shown, in about :data:`_LINES` lines, and as the last one ``conclusion``.

    If ``brief``, only what could not be run and a line for each runtime. Failures of robustness are summed up unless
    ``robustness``.
    """
    tested = [_ran(one) for one in run.runtimes if one.info is not None]
    for one in run.runtimes:
        if one.info is None:
            say(console, Text.assemble((one.name, "bold"), " was not run: ", (one.problem, "yellow")))
    if tested and not brief:
        table = _table(tested, by_group=len(tested) <= _FEW)
        console.print(table)
        found = {one.name: findings(one) for one in tested}
        failing = [one for one in tested if found[one.name]]
        left = _LINES - table.row_count - 1 - 8 * len(tested)
        for one in failing:
            _Findings(one, found[one.name], console, robustness=robustness).show(left // len(failing))
        for one in tested:
            _reasons(one, Verdict.ERROR, "vectors ended in an error of the harness", console)
            _reasons(one, Verdict.UNSUPPORTED, "vectors are not supported", console)
            _unrepeated(one, console)
            if text := suggestion(one):
                say(console, Text(text, "yellow"))
        console.print()
    for one in run.runtimes:
        if one.info is not None:
            _summary(one, run.selection.tier, console)
    if not brief:
        for one in tested:
            say(console, Text(in_words(one, whole=run.whole, tier=run.selection.tier), "bold"))
        say(console, Text(conclusion, "bold"))


def _ran(one: RuntimeRun) -> RuntimeRun:
    """Return what a runtime did, without the vectors that were not run."""
    return replace(one, results=[result for result in one.results if not was_not_run(result)])


def _table(tested: Sequence[RuntimeRun], *, by_group: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("runtime", no_wrap=True)
    table.add_column("group", no_wrap=True)
    for verdict in Verdict:
        table.add_column(verdict.value, justify="right", no_wrap=True)
    for one in tested:
        for group, number in counts_by_group(one.results).items() if by_group else ():
            table.add_row(escape(one.name), group, *_cells(number))
        table.add_row(escape(one.name), "all vectors", *_cells(counts(one.results)), end_section=True)
    return table


def _cells(number: dict[str, int]) -> list[str]:
    return [
        f"[{STYLES[verdict]}]{number[verdict.value]}[/]" if number[verdict.value] else "[dim]0[/]"
        for verdict in Verdict
    ]


class _Findings:
    """What is wrong with one runtime. Words that not everybody knows are explained where they come first."""

    def __init__(self, one: RuntimeRun, found: Sequence[Finding], console: Console, *, robustness: bool) -> None:
        self._one, self._console = one, console
        self._explained: set[Failure] = set()
        self._listed = [item for item in found if not item.known and (robustness or item.weight < Weight.ROBUSTNESS)]
        self._summed_up = [item for item in found if not item.known and item not in self._listed]
        self._known = [item for item in found if item.known]

    def show(self, lines: int) -> None:
        """Print the findings in about that many lines."""
        failures = sum(len(item.results) for item in self._listed)
        self._console.print()
        if self._listed:
            causes = _count(len(self._listed), "finding")
            heading = f"{self._one.name}: {_count(failures, 'failure')}, {causes}, the gravest first"
            say(self._console, Text(heading, "bold red"))
        left = max(_FINDING, lines - _AROUND)
        named = self._listed[:left]
        # Each has a line; as many as there is room for have their details.
        detailed = max(1, (left - len(named)) // (_FINDING - 1))
        for place, item in enumerate(named):
            self._headline(item)
            if place < detailed:
                self._details(item)
        if rest := self._listed[left:]:
            subjects = list(dict.fromkeys(name for item in rest for name in item.instructions or (item.subject,)))
            say(self._console, Text(f"  and {_count(len(rest), 'more finding')}, about {some(subjects, _NAMED)}"))
        if len(self._listed) > detailed:
            say(self._console, Text("  --findings FILE has all of them with their details"))
        self._sum_up()
        if length := explain.length_limit(self._one.results):
            say(self._console, Text(f"  {length}"))

    def _headline(self, item: Finding) -> None:
        using = ""
        if item.instructions:
            them = "it" if len(item.instructions) == 1 else "these"
            using = f"; {item.using.failed:,} of {item.using.vectors:,} vectors with {them} fail"
        common = f": {shorten(item.common, _LONGEST)}" if item.common else ""
        number = f"{len(item.results):,} {self._word(item.failure)}"
        say(self._console, Text.assemble("  ", (item.subject, "bold"), f"  {item.level}: {number}{common}{using}"))

    def _details(self, item: Finding) -> None:
        assert self._one.info is not None
        if item.requirement is not None:
            say(self._console, Text(f"      {explain.sentence(item.requirement)}"))
        example = item.example
        differs = "; ".join(f"{label} {text}" for label, text in islice(explain.differences(example), _DIFFERENCES))
        say(self._console, Text(f"      e.g. {example.vector.id}: {shorten(differs, _LONGEST)}"))
        again = Counter(result.interpreter.value for result in item.results if result.interpreter is not None)
        if again:
            counted = ", ".join(
                f"{again[verdict.value]:,} {verdict.value}" for verdict in Verdict if again[verdict.value]
            )
            say(self._console, Text(f"      on the interpreter of the same runtime: {counted}"))
        program = "; ".join(explain.listing(example.vector, self._one.info.byte_order))
        if program and len(program) <= _SHORT:
            say(self._console, Text(f"      {program}", "cyan"))

    def _word(self, failure: Failure) -> str:
        """Return the name of a kind of failure, explained if it is the first."""
        word = failure.value
        if failure in self._explained:
            return word
        self._explained.add(failure)
        return f"{word} ({explain.MEANING[failure]})"

    def _sum_up(self) -> None:
        """Print a line for each kind of failure of robustness, and for each reason of known ones."""
        for failure in Failure:
            items = [item for item in self._summed_up if item.failure is failure]
            if items:
                number = sum(len(item.results) for item in items)
                example = items[0].example.vector.id
                text = f"  robustness: {number:,} {self._word(failure)}, e.g. {example}"
                say(self._console, Text(f"{text}; --level robustness tells more"))
        for why in dict.fromkeys(item.known for item in self._known):
            items = [item for item in self._known if item.known == why]
            number = sum(len(item.results) for item in items)
            text = f"  known to fail: {number:,} vectors, e.g. {items[0].example.vector.id}: {why}"
            say(self._console, Text(f"{self._one.name}:{text}" if not self._listed and not self._summed_up else text))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _reasons(one: RuntimeRun, verdict: Verdict, title: str, console: Console) -> None:
    """Print how many results have ``verdict`` for each reason, with an example."""
    found = [result for result in one.results if result.judgement.verdict is verdict]
    if not found:
        return
    say(console, Text.assemble((f"{one.name}: {len(found):,} {title}", STYLES[verdict]), ", by reason:"))
    number: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for result in found:
        code, text, _ = result.judgement.reason
        # What groups are missing is the reason; elsewhere the text differs from vector to vector. Messages that nobody
        # knows are one if they differ in numbers only.
        reason = code if code != "group" else str(result.judgement.reason)
        if code == UNCLASSIFIED:
            reason = f"{code}: {shorten(re.sub(r'-?[0-9]+', 'N', text), _LONGEST)}"
        number[reason] += 1
        examples.setdefault(reason, result.vector.id + (f" ({text})" if code != "group" else ""))
    listed = _ERRORS if verdict is Verdict.ERROR else _REASONS
    for reason, count in number.most_common(listed):
        say(console, Text.assemble(f"  {count:6,} ", (reason, "bold"), f"  e.g. {examples[reason]}"))
    if len(number) > listed:
        others = sum(count for _, count in number.most_common()[listed:])
        say(console, Text(f"  {others:6,} for {len(number) - listed} other reasons"))


def _unrepeated(one: RuntimeRun, console: Console) -> None:
    if one.unrepeated:
        vector, outcome = one.unrepeated[0]
        text = f"{one.name}: {len(one.unrepeated):,} crashes and time-outs did not happen again when run alone"
        say(console, Text(f"{text}, and do not count: e.g. {vector} ({outcome.reason})", "yellow"))


def _summary(one: RuntimeRun, tier: str, console: Console) -> None:
    ran = _ran(one)
    missing = len(one.results) - len(ran.results)
    number = counts(ran.results)
    kinds = Counter(result.judgement.failure for result in ran.results if result.judgement.failure)
    by_kind = ", ".join(f"{kinds[failure]} {failure.value}" for failure in Failure if kinds[failure])
    parts = [f"{number[verdict.value]} {verdict.value}" for verdict in Verdict if number[verdict.value]]
    parts += [f"{missing} not run ({one.problem})"] if missing else []
    asked = len(ran.results) - number["unsupported"]
    rate = f", {asked / one.seconds:,.0f} vectors/s" if one.seconds and asked >= _MANY else ""
    style = "bold red" if number["fail"] else "magenta" if number["error"] else "yellow" if missing else "green"
    of = "" if tier == Tier.FULL else f", tier {tier}"
    text = Text.assemble((one.name, "bold"), f" ({_identity(one)}{of}): ", (", ".join(parts) or "no vectors", style))
    text.append(f" ({by_kind})" if by_kind else "")
    text.append(f" in {one.seconds:.1f} s{rate}", "dim")
    say(console, text)


def _identity(one: RuntimeRun) -> str:
    info = one.info
    assert info is not None
    engine = "" if info.engine == "unknown" else f"{info.engine}, "
    return f"{info.version}, {engine}{info.architecture}, {info.byte_order}-endian"
