# SPDX-License-Identifier: Apache-2.0
"""What ``bpf-isa report`` can write, and where to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...spec.errors import InputError
from ...spec.output import write_text
from ..results.document import ResultsError, only_tier
from ..results.junit import as_xml
from ..results.recorded import Recorded
from .comparison import Comparison

#: Formats with where they go if nothing is said: a folder, or None for standard output.
FORMATS: dict[str, str | None] = {"html": "report", "markdown": None, "junit": None, "badges": "badges"}


class FormatError(InputError):
    """The name of a format that cannot be understood."""


class Target(NamedTuple):
    """A format and where it is written; None is standard output."""

    format: str
    path: Path | None


def parse(text: str) -> Target:
    """Return what ``FORMAT`` or ``FORMAT=PATH`` asks for.

    Raises:
        FormatError: there is no such format, or the path is empty.
    """
    name, equals, path = text.partition("=")
    if name not in FORMATS:
        raise FormatError(f"{text}: the formats are {', '.join(FORMATS)}, each also as FORMAT=PATH")
    if equals and not path:
        raise FormatError(f"{text}: the path after '=' is missing")
    default = FORMATS[name]
    return Target(name, Path(path) if path else Path(default) if default else None)


def junit_of(documents: Sequence[Recorded]) -> str:
    """Return the JUnit XML of all runs, which are of one tier."""
    runs = [(run, one.started) for one in documents for run in one.runtimes]
    return as_xml(runs, sum(one.seconds for one in documents), documents[0].selection.tier)


def write(
    target: Target, documents: Sequence[Recorded], comparisons: Sequence[Comparison], history: Sequence[Recorded]
) -> str | None:
    """Write a report; return its text if it goes to standard output.

    Raises:
        OSError: it cannot be written.
    """
    match target:
        case Target("html", Path() as folder):
            from .history import charts
            from .site import write_site

            write_site(comparisons, folder, charts(history))
        case Target("badges", Path() as folder):
            from .badges import write_badges

            write_badges(comparisons, folder)
        case Target(name, path):
            from .markdown import markdown

            text = junit_of(documents) if name == "junit" else markdown(comparisons)
            if path is None:
                return text
            write_text(text, path)
    return None


def check(documents: Sequence[Recorded]) -> None:
    """Refuse results in which no runtime was run, and results of different tiers.

    Raises:
        ResultsError: there is nothing to report, or not in one report.
    """
    only_tier((one.path, one.selection.tier) for one in documents)
    if not any(run.info is not None for one in documents for run in one.runtimes):
        names = ", ".join(str(one.path) for one in documents)
        raise ResultsError(f"{names}: no runtime was run, so there is nothing to report")
