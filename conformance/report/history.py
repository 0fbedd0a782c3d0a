# SPDX-License-Identifier: Apache-2.0
"""Conformance over versions: results documents of a folder as a chart for each runtime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from math import ceil
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup, escape

from ...spec.table import isa
from ..results.document import ResultsError, counts, counts_by_group
from ..results.recorded import Recorded, SuiteId, read
from .comparison import Column, compare, key_of, unique

#: Width and height of a chart; its plot leaves room for the labels.
_WIDTH, _HEIGHT = 960, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 250, 20, 62
#: What is drawn: the count, its name, its colour (distinct for people who see red and green alike), its dashes.
_SERIES = (
    ("pass", "passed", "#2f7fc1", ""),
    ("fail", "failed", "#d55e00", "7 4"),
    ("unsupported", "not supported", "#7b8794", "2 4"),
)
#: Labels that stand closer would run into each other.
_LINE_HEIGHT = 16
#: Widths of a character of a label, and of a date with the space around it.
_CHARACTER, _DATE = 7.5, 76


class Point(NamedTuple):
    """What a run found out about a version of a runtime."""

    version: str
    started: datetime
    suite: SuiteId
    partial: bool
    counts: Mapping[str, int]
    groups: Mapping[str, Mapping[str, int]]

    @property
    def total(self) -> int:
        """How many vectors these are."""
        return sum(self.counts.values())


class Chart(NamedTuple):
    """The runs of one runtime, the oldest first; ``svg`` is how they look."""

    key: str
    name: str
    points: Sequence[Point]
    groups: Sequence[str]
    svg: Markup


def read_folder(folder: Path) -> list[Recorded]:
    """Read all results documents of a folder, the oldest first.

    Raises:
        ResultsError: there are none, or one cannot be read.
    """
    files = sorted(file for pattern in ("*.json", "*.json.gz") for file in folder.glob(pattern))
    if not files:
        raise ResultsError(f"{folder}: holds no results (*.json, *.json.gz) of bpf-isa run --json")
    return sorted((read(file) for file in files), key=lambda one: one.started)


def newest(documents: Iterable[Recorded]) -> list[Recorded]:
    """Return of each runtime the newest document that has it."""
    found: dict[str, Recorded] = {}
    for one in documents:
        for run in one.runtimes:
            if run.info is not None:
                found[run.name] = one
    return list({id(one): one for one in found.values()}.values())


def charts(documents: Sequence[Recorded]) -> list[Chart]:
    """Return a chart for each runtime that ``documents``, the oldest first, are about.

    Of several runs of one version with one suite, the newest counts.
    """
    points: dict[str, dict[tuple[str, SuiteId], Point]] = {}
    for one in documents:
        for comparison in compare([one]):
            for column in comparison.columns:
                name = column.run.name
                known = points.setdefault(name, {})
                place = column.info.version, one.suite
                known.pop(place, None)
                known[place] = _point(column)
    keys = unique([[key_of(name)] for name in points])
    return [_chart(key, name, list(found.values())) for key, (name, found) in zip(keys, points.items(), strict=True)]


def _point(column: Column) -> Point:
    return Point(
        column.info.version,
        column.recorded.started,
        column.recorded.suite,
        bool(column.partial),
        counts(column.run.results),
        counts_by_group(column.run.results),
    )


def _chart(key: str, name: str, points: Sequence[Point]) -> Chart:
    groups = [group for group in isa().groups if any(group in point.groups for point in points)]
    return Chart(key, name, points, groups, Markup("\n").join(_draw(name, points)))


def _draw(name: str, points: Sequence[Point]) -> Iterable[Markup]:
    """Yield the lines of an SVG: axes, where the suite changed, a line for each series."""
    tooltip = "; ".join(
        f"{point.version}: {point.counts['pass']:,} of {point.total:,} passed, {point.counts['fail']:,} failed"
        for point in points
    )
    yield Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" width="{}" height="{}" role="img" '
        'font-family="system-ui, sans-serif" font-size="13" fill="currentColor">'
    ).format(_WIDTH, _HEIGHT, _WIDTH, _HEIGHT)
    yield Markup("<title>{}: {}</title>").format(name, tooltip)
    for percent in range(0, 101, 25):
        y = _y(percent)
        yield Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" stroke="currentColor" stroke-opacity=".18"/>').format(
            _LEFT, y, _WIDTH - _RIGHT, y
        )
        yield _text(_LEFT - 10, y + 4, f"{percent} %", "end")
    xs = _places(len(points))
    room = (_WIDTH - _LEFT - _RIGHT) / len(points)
    # Where versions are close together, not each has a label; all are in the table and in the tooltip of a point.
    step = ceil(_DATE / room)
    for index, (x, point) in enumerate(zip(xs, points, strict=True)):
        if (len(points) - 1 - index) % step == 0:
            yield _text(x, _HEIGHT - _BOTTOM + 22, _cut(point.version, room * step), "middle")
            yield _text(x, _HEIGHT - _BOTTOM + 38, f"{point.started:%Y-%m-%d}", "middle", size=11)
        if index and point.suite != points[index - 1].suite:
            yield from _border((xs[index - 1] + x) / 2, point.suite)
    yield from _series(xs, points)
    yield Markup("</svg>")


def _border(x: float, suite: SuiteId) -> Iterable[Markup]:
    """Yield a line between runs with different suites."""
    yield Markup(
        '<line x1="{0:.1f}" y1="{1}" x2="{0:.1f}" y2="{2}" stroke="currentColor" stroke-opacity=".6" '
        'stroke-dasharray="3 3"/>'
    ).format(x, _TOP, _HEIGHT - _BOTTOM)
    yield _text(x, _HEIGHT - 6, f"suite {suite.version} ({suite.short})", "middle", size=11)


def _series(xs: Sequence[float], points: Sequence[Point]) -> Iterable[Markup]:
    """Yield the lines, their points and their names; names keep their distance from each other."""
    ends: list[tuple[float, str, str]] = []
    for key, words, colour, dashes in _SERIES:
        shares = [100 * point.counts[key] / point.total if point.total else 0 for point in points]
        if key != "pass" and not any(shares):
            continue
        places = [f"{x:.1f},{_y(share):.1f}" for x, share in zip(xs, shares, strict=True)]
        for suite in dict.fromkeys(point.suite for point in points):
            path = " ".join(place for place, point in zip(places, points, strict=True) if point.suite == suite)
            yield Markup(
                '<polyline points="{}" fill="none" stroke="{}" stroke-width="2.5" stroke-dasharray="{}"/>'
            ).format(path, colour, dashes)
        for x, share, point in zip(xs, shares, points, strict=True):
            yield from _mark(key, x, _y(share), colour, point, f"{point.version}: {point.counts[key]:,} {words}")
        ends.append((_y(shares[-1]), f"{words} {shares[-1]:.1f} % ({points[-1].counts[key]:,})", colour))
    below = float(_HEIGHT)
    for y, text, colour in sorted(ends, reverse=True):
        below = min(y, below - _LINE_HEIGHT)
        yield Markup('<circle cx="{}" cy="{:.1f}" r="5" fill="{}"/>').format(_WIDTH - _RIGHT + 20, below, colour)
        yield _text(_WIDTH - _RIGHT + 31, below + 4, text, "start")


def _mark(key: str, x: float, y: float, colour: str, point: Point, tooltip: str) -> Iterable[Markup]:
    """Yield the mark of a point: each series has a shape, partial runs are hollow."""
    size = 5
    shape = {
        "pass": f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}"',
        "fail": f'<path d="M{x - size:.1f} {y + size:.1f}h{2 * size}l-{size} -{2 * size}z"',
        "unsupported": f'<rect x="{x - size:.1f}" y="{y - size:.1f}" width="{2 * size}" height="{2 * size}"',
    }[key]
    fill = "none" if point.partial else colour
    note = " (partial)" if point.partial else ""
    yield Markup('{} fill="{}" stroke="{}" stroke-width="2"><title>{}{}</title></{}>').format(
        Markup(shape), fill, colour, tooltip, note, shape[1:].split(" ")[0]
    )


def _cut(text: str, width: float) -> str:
    """Return as much of a label as there is room for."""
    most = max(4, int(width / _CHARACTER))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _text(x: float, y: float, text: str, anchor: str, size: int = 13) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}" font-size="{}">{}</text>').format(
        x, y, anchor, size, escape(text)
    )


def _places(number: int) -> list[float]:
    """Return where points stand from left to right."""
    width = _WIDTH - _LEFT - _RIGHT
    return [_LEFT + width * (index + 0.5) / number for index in range(number)]


def _y(percent: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * percent / 100
