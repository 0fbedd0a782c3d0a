# SPDX-License-Identifier: Apache-2.0
"""The findings of the adequacy check, as text and as JSON (schema: ``schema/adequacy.schema.json``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from rich.markup import escape
from rich.table import Table

from ..terminal.console import Console
from .kill import Status
from .survey import Finding, Survey

#: Version of the JSON document.
FORMAT = 1
_MOST_SHOWN = 40


def document(survey: Survey) -> dict[str, Any]:
    """Return the findings as JSON data."""
    return {
        "format": FORMAT,
        "vectors": survey.vectors,
        "mutants": {status.value: survey.by_status[status] for status in Status},
        "findings": [_entry(finding) for finding in survey.findings],
        "unique_kills": dict(sorted(survey.unique.items())),
        "idle_vectors": survey.idle,
    }


def _entry(finding: Finding) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": finding.id,
        "instruction": finding.instruction,
        "family": finding.family,
        "status": finding.status.value,
        "killers": list(finding.killers),
    }
    for name in ("means", "faulty", "differs_at", "suggestion", "reason"):
        value = getattr(finding, name)
        if value:
            entry[name] = value
    return entry


def suggestions(survey: Survey) -> str | None:
    """Return a vector file with all suggested vectors; None if there are none."""
    texts = list(dict.fromkeys(finding.suggestion for finding in survey.findings if finding.suggestion))
    if not texts:
        return None
    head = (
        "# SPDX-License-Identifier: Apache-2.0\n"
        "# Suggested by `bpf-isa adequacy`: operands that no vector has yet. Read them before you keep them.\n"
        "source:\n  name: bpf-isa\n  method: generated\n  generator: bpf-isa adequacy --suggest\nvectors:\n"
    )
    return head + "".join(texts)


def unsettled_in(survey: Survey) -> list[Finding]:
    """Return the mutants that are alive or undecided."""
    return [finding for finding in survey.findings if finding.status in (Status.ALIVE, Status.UNDECIDED)]


def show_tables(survey: Survey, console: Console) -> None:
    """Print tables by instruction and by family."""
    console.print(_table("instruction", ((finding.instruction, finding.status) for finding in survey.findings)))
    console.print()
    console.print(_table("family", sorted((finding.family, finding.status) for finding in survey.findings)))


def show(survey: Survey, console: Console, *, all_alive: bool = False) -> None:
    """Print tables by instruction and by family, the mutants that are alive, and counts of vectors."""
    show_tables(survey, console)
    unsettled = unsettled_in(survey)
    shown = unsettled if all_alive else unsettled[:_MOST_SHOWN]
    for finding in shown:
        show_finding(finding, console)
    if len(shown) < len(unsettled):
        console.print(f"\n... and {len(unsettled) - len(shown)} more; --all shows them, --json has them")
    alone = len(survey.unique)
    console.print(f"\n{survey.vectors} vectors; {alone} of them notice a mutant that no other does")
    if survey.idle:
        names = ", ".join(survey.idle[:_MOST_SHOWN])
        more = f" and {len(survey.idle) - _MOST_SHOWN} more" if len(survey.idle) > _MOST_SHOWN else ""
        console.print(f"[yellow]{len(survey.idle)} notice no mutant at all:[/] {escape(names)}{more}")
    counts = ", ".join(f"{survey.by_status[status]} {status.value}" for status in Status)
    style = "green" if survey.is_adequate else "bold red"
    console.print(f"[{style}]{len(survey.findings)} mutants: {counts}[/]")


def _table(title: str, findings: Iterable[tuple[str, Status]]) -> Table:
    counts: dict[str, Counter[Status]] = {}
    for name, status in findings:
        counts.setdefault(name, Counter())[status] += 1
    table = Table(box=None, pad_edge=False)
    table.add_column(title)
    for column in ("mutants", *(status.value for status in Status)):
        table.add_column(column, justify="right")
    for name, count in counts.items():
        cells = [str(count[status]) if count[status] else "" for status in Status]
        bad = count[Status.ALIVE] or count[Status.UNDECIDED]
        table.add_row(name, str(count.total()), *cells, style="red" if bad else None)
    return table


def show_finding(finding: Finding, console: Console) -> None:
    """Print a mutant that is alive or undecided, and where it differs from its row."""
    console.print(f"\n[bold red]{finding.status.value}[/] {escape(finding.id)}")
    if finding.means:
        console.print(f"    means   {escape(finding.means)}", soft_wrap=True)
        console.print(f"    mutant  {escape(finding.faulty)}", soft_wrap=True)
    if finding.differs_at:
        console.print(f"    differs at  {escape(_words(finding.differs_at))}", soft_wrap=True)
    if finding.reason:
        console.print(f"    {escape(finding.reason)}", soft_wrap=True)


def _words(where: dict[str, Any]) -> str:
    registers = {"dst": "dst = r", "src": "src = r"}
    parts = []
    for name, value in where.items():
        if name == "values":
            parts += [f"value of {register} {number}" for register, number in value.items()]
        elif name == "byte order":
            parts.append(f"{value}-endian")
        else:
            parts.append(f"{registers.get(name, f'{name} = ')}{value}")
    return ", ".join(parts)
