# SPDX-License-Identifier: Apache-2.0
"""Results as Markdown, for the comment on a pull request or the summary of a CI job."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence

from ...spec.plain import plain
from ...spec.table import isa
from ..diagnosis.findings import Finding, findings, some
from .badges import counted
from .comparison import Column, Comparison
from .tally import FAIL, Cell, state

#: A comment on GitHub holds 65,536 characters; what is longer is cut, and says so.
LONGEST = 60_000
#: How many failures of a runtime are listed, how many findings, and how many instructions of one.
_FAILURES = 50
_FINDINGS = 20
_NAMES = 12
#: How each kind of cell looks, and what that means.
_KINDS = {
    "pass": ("✅", "all passed"),
    "part": ("🟦", "none failed, some are not supported"),
    "fail": ("❌", "some failed"),
    "error": ("⚠️", "harness error"),
    "unsupported": ("⬛", "not supported"),
    "not-run": ("⬜", "not run"),
}


def markdown(comparisons: Sequence[Comparison]) -> str:
    """Return the results as Markdown, of at most :data:`LONGEST` characters."""
    lines: list[str] = []
    size = 0
    for line in _lines(comparisons):
        size += len(line) + 1
        if size > LONGEST:
            if any(part.startswith("<details>") for part in lines) and "</details>" not in lines[-1]:
                lines += ["", "</details>"]
            lines += ["", "*This is cut here: the whole would be too long for a comment.*"]
            break
        lines.append(line)
    return "\n".join(lines) + "\n"


def _lines(comparisons: Sequence[Comparison]) -> Iterator[str]:
    yield "## BPF conformance (RFC 9669)"
    if len(comparisons) > 1:
        yield ""
        yield (
            f"> **These results come from {len(comparisons)} different suites**: each has a table of its own,"
            " and numbers cannot be compared from one to the other."
        )
    for comparison in comparisons:
        yield ""
        suite, number = comparison.suite, len(comparison.vectors)
        yield f"Suite {as_text(suite.version)} (`{suite.short}`), {number:,} of {suite.vectors:,} vectors"
        yield ""
        yield from _table(comparison)
        for column in comparison.columns:
            if column.partial:
                yield f"> **{as_text(column.label)} is partial:** {as_text(column.partial)}"
                yield ""
        for recorded, run in comparison.unavailable:
            yield f"> **{as_text(run.name)} was not run:** {as_text(run.problem)} ({as_text(recorded.path.name)})"
            yield ""
        for column in comparison.columns:
            yield from _failures(column, comparison, findings(column.run))


def _table(comparison: Comparison) -> Iterator[str]:
    names = ["all", *isa().groups]
    numbers = [counted(column, comparison) for column in comparison.columns]
    names = [name for name in names if any(name in found for found in numbers)]
    yield "| runtime | " + " | ".join(names) + " |"
    yield "|---|" + "---:|" * len(names)
    for column, found in zip(comparison.columns, numbers, strict=True):
        title = f"**{as_text(column.label)}**<br>{as_text(_identity(column))}"
        yield f"| {title} | " + " | ".join(_cell(found.get(name)) for name in names) + " |"
    yield ""
    yield " · ".join(f"{sign} {meaning}" for sign, meaning in _KINDS.values())
    yield ""


def _identity(column: Column) -> str:
    info = column.info
    return f"{info.version}, {info.engine}, {info.architecture}, {info.byte_order}-endian"


def _cell(cell: Cell | None) -> str:
    return f"{_KINDS[cell.kind][0]} {cell.passed:,}/{cell.total:,}" if cell else ""


def _failures(column: Column, comparison: Comparison, found: Sequence[Finding]) -> Iterator[str]:
    """Yield what is wrong with a runtime, and the vectors that show it."""
    failed = [name for name in comparison.vectors if state(column.results.get(name)) == FAIL]
    if not failed:
        return
    yield f"<details><summary><b>{as_text(column.label)}</b>: {len(failed):,} failed</summary>"
    yield ""
    yield "| vectors | how | level | instructions to look at | what is broken |"
    yield "|---:|---|---|---|---|"
    for one in found[:_FINDINGS]:
        names = some([as_code(name) for name in one.instructions or (one.subject,)], _NAMES)
        broken = as_text(one.requirement.text) if one.requirement else ""
        yield f"| {len(one.results):,} | {one.failure} | {one.level} | {names} | {broken} |"
    if len(found) > _FINDINGS:
        yield ""
        yield f"… and {len(found) - _FINDINGS:,} more findings."
    yield ""
    yield "| vector | what | expected | got |"
    yield "|---|---|---|---|"
    for name in failed[:_FAILURES]:
        result = column.results[name]
        for item in result.judgement.differences[:3]:
            expected, got = item.shown
            row = (as_code(name), as_text(item.name), as_code(expected), as_code(got[:200]))
            yield "| " + " | ".join(row) + " |"
    if len(failed) > _FAILURES:
        yield ""
        yield f"… and {len(failed) - _FAILURES:,} more."
    yield ""
    yield "</details>"
    yield ""


#: What Markdown, with the tables of GitHub, gives a meaning in text, beside HTML; "_" only at the edge of a word.
_MARKUP = re.compile(r"[\\`*\[\]|~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def as_text(text: str) -> str:
    """Return text that neither ends a cell of a table nor is taken for markup, be it of Markdown or of HTML."""
    safe = html.escape(plain(" ".join(text.split())), quote=False)
    safe = _MARKUP.sub(lambda found: f"&#{ord(found[0])};", safe)
    return safe.replace("@", "@\u200b")  # or GitHub would notify a user of that name


def as_code(text: str) -> str:
    """Return text as code in a cell of a table."""
    safe = plain(" ".join(text.split())).replace("`", "'").replace("|", "\\|")
    return f"`{safe}`"
