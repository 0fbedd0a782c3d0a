# SPDX-License-Identifier: Apache-2.0
"""Badges: for each runtime and conformance group an SVG and the JSON of a shields.io endpoint."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from ...spec.table import isa
from .comparison import Column, Comparison
from .tally import NOT_RUN, UNSUPPORTED, Cell, state

#: The colour of a badge by what it tells; the text says it too.
_COLOURS = {
    "pass": "#2f7fc1",
    "part": "#57799a",
    "fail": "#c2540a",
    "error": "#8e44ad",
    "unsupported": "#6b7783",
    "not-run": "#6b7783",
}
#: Rough widths of characters of 11 pixels; the texts are then stretched to what was reckoned.
_WIDE, _NARROW, _WIDTH = frozenset("mwMW%@"), frozenset("iljtf.,:;|!/ '()"), 6.6
_PADDING = 7


def write_badges(comparisons: Sequence[Comparison], folder: Path) -> None:
    """Write ``RUNTIME/GROUP.svg`` and ``.json``, and the same for ``all``, into ``folder``.

    With several suites, each has a folder of its own. Raises:
        OSError: something cannot be written.
    """
    for comparison in comparisons:
        place = folder if len(comparisons) == 1 else folder / f"suite-{comparison.suite.short}"
        for column in comparison.columns:
            _write(column, comparison, place / column.key)


def _write(column: Column, comparison: Comparison, folder: Path) -> None:
    template = Environment(
        loader=PackageLoader(__package__, "templates"), autoescape=True, undefined=StrictUndefined
    ).get_template("badge.svg.jinja")
    folder.mkdir(parents=True, exist_ok=True)
    for name, cell in counted(column, comparison).items():
        label = "RFC 9669" if name == "all" else f"RFC 9669 {name}"
        message, colour = badge_text(cell, column.mark), _COLOURS[cell.kind]
        left, right = _width(label), _width(message)
        svg = template.render(label=label, message=message, colour=colour, left=left, right=right, padding=_PADDING)
        (folder / f"{name}.svg").write_text(svg + "\n", encoding="utf-8")
        endpoint = {"schemaVersion": 1, "label": label, "message": message, "color": colour.removeprefix("#")}
        if cell.kind in {"fail", "error"}:
            endpoint["isError"] = True
        (folder / f"{name}.json").write_text(json.dumps(endpoint) + "\n", encoding="utf-8")


def counted(column: Column, comparison: Comparison) -> dict[str, Cell]:
    """Return the numbers of a runtime for each conformance group, and for ``all``."""
    numbers = {name: [0] * 5 for name in ("all", *isa().groups)}
    for vector in comparison.vectors.values():
        kind = state(column.results.get(vector.id))
        for name in ("all", *vector.reported):
            numbers[name][kind] += 1
    return {name: Cell(tuple(found)) for name, found in numbers.items() if any(found)}


def badge_text(cell: Cell, mark: str) -> str:
    """Return what a badge says. Only a whole run of the suite may say that all passed: others have a mark."""
    missing = cell.counts[UNSUPPORTED] + cell.counts[NOT_RUN]
    match cell.kind:
        case "pass":
            text = f"{cell.passed:,} passed"
        case "part":
            text = f"{cell.passed:,} passed, {missing:,} not supported"
        case "fail":
            text = f"{cell.failed:,} of {cell.total:,} failed"
        case "error":
            text = "harness error"
        case "unsupported":
            text = "not supported"
        case _:
            text = "not run"
    return f"{text} ({mark})" if mark else text


def _width(text: str) -> int:
    widths = (10.0 if character in _WIDE else 4.0 if character in _NARROW else _WIDTH for character in text)
    return round(sum(widths))
