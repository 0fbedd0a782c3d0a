# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa run``: run the suite on runtimes, and tell their authors what is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import click

from .failing import FAILED, OK, UNUSABLE, Unusable, bad_input

if TYPE_CHECKING:
    from ..model import Vector
    from ..results import Run, Selection
    from ..suite import Suite

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(short_help="Run the suite on runtimes and show what fails.")
@click.option(
    "-r",
    "--runtime",
    "runtimes",
    multiple=True,
    metavar="[NAME=]KIND[:ARG]",
    help="Runtime to test, can be repeated.  [default: reference, and linux where it can be used]",
)
@click.option("-k", "expression", metavar="EXPR", help="Only vectors whose ids match: words with and, or, not, (); *.")
@click.option("--group", "groups", multiple=True, metavar="GROUP", help="Only vectors about this conformance group.")
@click.option("--section", "sections", multiple=True, metavar="N", help="Only vectors about this section of RFC 9669.")
@click.option(
    "--vectors",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Vector file, or folder of them, to run instead of the suite; can be repeated.",
)
@click.option(
    "--data",
    "data",
    multiple=True,
    type=click.Path(path_type=Path),
    help="File in the .data format of bpf_conformance, or folder of them, to run instead of the suite; repeatable.",
)
@click.option("--json", "json_file", type=_FILE, help="Write the results as JSON; compressed if FILE ends in .gz.")
@click.option("--junit", "junit_file", type=_FILE, help="Write the results as JUnit XML.")
@click.option("-j", "--jobs", type=click.IntRange(1, 512), help="Vectors run at the same time.  [default: CPUs]")
@click.option("--timeout", type=click.FloatRange(0.1), default=30.0, show_default=True, help="Seconds for a vector.")
@click.option("--plugin-args", metavar="ARGS", help="Arguments for plugins that are named without their own.")
@click.option("-q", "--quiet", is_flag=True, help="Print one line per runtime and nothing else.")
def run(
    runtimes: tuple[str, ...],
    expression: str | None,
    groups: tuple[str, ...],
    sections: tuple[str, ...],
    paths: tuple[Path, ...],
    data: tuple[Path, ...],
    json_file: Path | None,
    junit_file: Path | None,
    jobs: int | None,
    timeout: float,
    quiet: bool,
    plugin_args: str | None,
) -> None:
    """Run the conformance suite on one or more runtimes.

    Exit status: 0 if nothing failed, 1 if a runtime failed a vector, 2 if the command was given something unusable
    or the harness could not do its work.
    """
    from rich.console import Console

    from ...adapters.registry import DEFAULT, choose
    from .. import runner
    from ..results import Run, Selection
    from ..terminal import ProgressBar, show

    for file in (json_file, junit_file):
        _check_writable(file)
    with bad_input():
        specs = [spec.allowing(timeout) for spec in choose(runtimes, plugin_args)]
        _check_names([spec.name for spec in specs])
        suite = _load(paths, data)
        selection = Selection(expression, groups, sections)
        vectors = _select(suite, selection)
    whole = Run(suite, vectors, [], selection)
    console = Console(highlight=False)
    started = perf_counter()
    with ProgressBar(console, [spec.name for spec in specs], len(vectors)) as progress:
        processes = jobs or len(os.sched_getaffinity(0))
        whole.runtimes = runner.run(specs, vectors, processes=processes, timeout=timeout, on_result=progress)
    whole.seconds = perf_counter() - started
    show(whole, console, brief=quiet)
    _write(whole, json_file, junit_file)
    raise SystemExit(_status(whole, may_be_missing=() if runtimes else DEFAULT))


def _load(paths: Sequence[Path], data: Sequence[Path]) -> Suite:
    """Return the vectors of vector files and data files; the suite that comes with this package if none are named."""
    from ..suite import VECTORS, Suite, load_suite

    if not data:
        return load_suite(paths or [VECTORS])
    from ..datafiles import load_data

    one, other = load_suite(paths) if paths else Suite((), ()), load_data(data)
    return Suite(one.vectors + other.vectors, one.files + other.files)


def _check_writable(file: Path | None) -> None:
    """Find out before a long run that its results could not be written after it."""
    if file is not None and not (file.absolute().parent.is_dir() and os.access(file.absolute().parent, os.W_OK)):
        raise Unusable(f"{file}: there is no folder {file.absolute().parent} that can be written to")


def _check_names(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Unusable(f"two runtimes are called {twice[0]!r}: name them apart, as in -r other={twice[0]}")


def _select(suite: Suite, selection: Selection) -> Sequence[Vector]:
    from ..select import SelectionError, by_expression, by_groups, by_sections

    tests = []
    if selection.expression is not None:
        tests.append(by_expression(selection.expression))
    if selection.groups:
        tests.append(by_groups(selection.groups))
    if selection.sections:
        tests.append(by_sections(selection.sections))
    vectors = suite.select(tests)
    if not vectors:
        raise SelectionError(f"none of the {len(suite.vectors)} vectors is selected by what was asked for")
    return vectors


def _write(whole: Run, json_file: Path | None, junit_file: Path | None) -> None:
    from ..junit import junit
    from ..results import document, write, write_text

    try:
        if json_file is not None:
            write(document(whole), json_file)
        if junit_file is not None:
            write_text(junit(whole), junit_file)
    except OSError as error:
        raise Unusable(f"{error.filename}: the results cannot be written: {error.strerror}") from None


def _status(whole: Run, *, may_be_missing: Sequence[str]) -> int:
    """Return the exit status; that a runtime cannot be used is an error unless it is named in ``may_be_missing``."""
    from ..verdict import Verdict

    tested = [one for one in whole.runtimes if one.info is not None]
    verdicts = {result.judgement.verdict for one in tested for result in one.results}
    if Verdict.FAIL in verdicts:
        return FAILED
    missing = any(one.info is None and (one.broken or one.name not in may_be_missing) for one in whole.runtimes)
    if Verdict.ERROR in verdicts or missing or not tested or not whole.complete:
        return UNUSABLE
    return OK
