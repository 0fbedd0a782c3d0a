# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa run``: run the suite on runtimes, and tell their authors what is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import click

from ...spec.output import STDOUT
from . import words
from .echo import echo
from .failing import FAILED, INTERRUPTED, OK, UNUSABLE, Unusable, check_writable
from .options import (
    FILE,
    ON_DISK,
    Word,
    console_beside,
    groups_option,
    json_option,
    listing,
    paths_option,
    runtimes_option,
    tier_option,
)

if TYPE_CHECKING:
    from ...adapters.registry import RuntimeSpec
    from ..results.document import Command, Run, Selection
    from ..results.journal import Journal, Unfinished
    from ..run.runner import Observer, RuntimeRun
    from ..suite.model import Vector
    from ..suite.suite import Suite
    from ..terminal.console import Console


@click.command(short_help="Run the suite on runtimes and show what fails.")
@runtimes_option("-r", "--runtime", "runtimes", help="Runtimes to test.  [default: reference; linux if it can be used]")
@click.option(
    "-k",
    "expression",
    metavar="EXPR",
    help="Only vectors whose ids match: whole words of ids such as add64 or stx-mem-h, patterns of whole ids such as "
    "'atomic-*', with and, or, not and parentheses.",
)
@groups_option("--group", "groups", help="Only vectors about these conformance groups.")
@listing("--level", "levels", metavar="LEVEL", element=Word(words.levels), help="Only vectors of these levels.")
@listing(
    "--section",
    "sections",
    metavar="N",
    element=Word(words.sections),
    help="Only vectors about these sections of RFC 9669, such as 4.1.",
)
@tier_option()
@paths_option("--vectors", help="Vector files, or folders of them, to run instead of the suite.")
@paths_option(
    "--data",
    "data",
    help="Files in the .data format of bpf_conformance, or folders of them, to run instead of the suite. A file that "
    "cannot be read is named, and the others run.",
)
@groups_option(
    "--claims",
    metavar="[RUNTIME:]GROUP",
    help="Conformance groups that the runtimes, or RUNTIME only, claim to support: other vectors are not run.",
)
@json_option("the results")
@click.option("--junit", "junit_file", metavar="FILE", type=FILE, help="Write the results as JUnit XML.")
@click.option("--ktap", "ktap_file", metavar="FILE", type=FILE, help="Write the results as KTAP, as kernel tests do.")
@click.option("-j", "--jobs", type=click.IntRange(1, 512), help="Vectors run at the same time.  [default: CPUs]")
@click.option("--timeout", type=click.FloatRange(0.1), default=30.0, show_default=True, help="Seconds for a vector.")
@click.option("--plugin-args", metavar="ARGS", help="Arguments for plugins that are named without their own.")
@click.option(
    "-q",
    "--quiet",
    count=True,
    help="Print one line per runtime, and every 10 seconds, on standard error, how far it is; -qq leaves that out.",
)
@click.option("-v", "--verbose", is_flag=True, help="Print each failure, with its program and what it breaks.")
@click.option(
    "--findings",
    "findings_file",
    metavar="FILE",
    type=FILE,
    help="Write each failure, with its program and what it breaks, as text.",
)
@click.option(
    "--resume",
    metavar="FILE",
    type=ON_DISK,
    help="Go on with the run that was interrupted or killed and was to write this file with --json; its results go "
    "there unless --json says where.",
)
@click.pass_context
def run(
    ctx: click.Context,
    runtimes: tuple[str, ...],
    expression: str | None,
    groups: tuple[str, ...],
    levels: tuple[str, ...],
    sections: tuple[str, ...],
    tier: str,
    paths: tuple[Path, ...],
    data: tuple[Path, ...],
    claims: tuple[str, ...],
    json_file: Path | None,
    junit_file: Path | None,
    ktap_file: Path | None,
    jobs: int | None,
    timeout: float,
    quiet: int,
    verbose: bool,
    findings_file: Path | None,
    plugin_args: str | None,
    resume: Path | None,
) -> None:
    """Run the conformance suite on one or more runtimes.

    A vector has a level: must (RFC 9669 says it), interpretation (it implies it), abi (the calling convention),
    extension (a named one), robustness (it leaves it open).

    Ctrl-C ends the run early; the results are written all the same, say that they are partial, and --resume goes on.
    It also goes on with a run that was killed: while a run lasts, FILE.journal keeps each result of --json FILE.

    Failures that this package knows about (those of the Linux kernel, say) are listed apart, and do not count.
    Exit status: 0 if nothing else failed, 1 if a runtime failed a vector, 2 if the command was given something unusable
    or the harness could not do its work, 130 if the run was interrupted.
    """
    from ...adapters.registry import DEFAULT
    from ..diagnosis.conclusion import Ending, ending
    from ..results.document import Command, Run, Selection
    from ..run import runner
    from ..suite.model import Level
    from ..suite.tier import check_own
    from ..terminal.failures import show_failures
    from ..terminal.summary import show

    if resume is None:
        vector_paths, data_paths = tuple(map(str, paths)), tuple(map(str, data))
        command = Command(str(Path.cwd()), runtimes, plugin_args, vector_paths, data_paths, timeout, claims)
        selection, before = Selection(expression, groups, sections, levels, tier), None
    else:
        before = _unfinished(resume, ctx)
        command, selection, json_file = before.command, before.selection, json_file or resume
    files = (json_file, junit_file, ktap_file, findings_file)
    for file in files:
        check_writable(file)
    specs = _specs(command)
    if command.vectors or command.data:
        check_own(selection.tier)
    suite = _load([Path(path) for path in command.vectors], [Path(path) for path in command.data])
    vectors = _select(suite, selection)
    whole = Run(suite, vectors, [], selection, command=command)
    earlier = _earlier(before, suite, whole) if before else {}
    console = console_beside(*files)
    started = perf_counter()
    with ExitStack() as stack:
        journal = _journal(json_file, whole, before)
        progress = _progress(console, [spec.name for spec in specs], len(vectors), quiet)
        observers: list[AbstractContextManager[runner.Observer]] = [one for one in (journal, progress) if one]
        whole.runtimes = runner.run(
            specs,
            vectors,
            processes=jobs or len(os.sched_getaffinity(0)),
            timeout=command.timeout,
            observers=[stack.enter_context(one) for one in observers],
            earlier=earlier,
        )
    whole.seconds += perf_counter() - started
    # Before anything is printed, which whoever reads it may stop.
    _write(whole, json_file, junit_file, ktap_file, findings_file)
    if journal is not None:
        journal.discard()
    if verbose:
        show_failures(whole, console)
    statuses = {Ending.WELL: OK, Ending.FAILED: FAILED, Ending.UNUSABLE: UNUSABLE, Ending.INTERRUPTED: INTERRUPTED}
    how, why = ending(whole, may_be_missing=() if command.runtimes else DEFAULT)
    can_go_on = not whole.complete and json_file not in {None, STDOUT}
    goes_on = f" bpf-isa run --resume {json_file} goes on with it." if can_go_on else ""
    conclusion = f"Exit status {statuses[how]}: {why}.{goes_on}"
    robustness = verbose or Level.ROBUSTNESS in selection.levels
    show(whole, console, conclusion, brief=quiet > 0, robustness=robustness)
    raise SystemExit(statuses[how])


def _progress(
    console: Console, runtimes: Sequence[str], vectors: int, quiet: int
) -> AbstractContextManager[Observer] | None:
    """Return what shows how far the run is: bars on a terminal, else lines on standard error, or nothing."""
    from ..terminal.progress import Lines
    from ..terminal.styles import Live

    if console.is_terminal and not console.quiet and not quiet:
        return Live(console, runtimes, vectors)
    if quiet > 1:
        return None
    return Lines(partial(echo, err=True), runtimes, vectors)


#: Options that say what is run, which the file of an interrupted run says already.
_SAID_BY_THE_FILE = (
    *(
        "runtimes",
        "expression",
        "groups",
        "levels",
        "sections",
        "tier",
        "paths",
        "data",
        "claims",
        "timeout",
        "plugin_args",
    ),
)


def _unfinished(file: Path, ctx: click.Context) -> Unfinished:
    """Return what a run that did not end was asked to do, and its results so far."""
    from ..results.journal import unfinished

    for parameter in ctx.command.params:
        source = ctx.get_parameter_source(parameter.name or "")
        if parameter.name in _SAID_BY_THE_FILE and source is click.core.ParameterSource.COMMANDLINE:
            raise Unusable(f"--resume does what {file} says: leave out {parameter.opts[-1]}")
    before = unfinished(file)
    if before.command.folder != str(Path.cwd()):
        raise Unusable(f"{file}: the run was started in {before.command.folder}: resume it there")
    return before


def _earlier(before: Unfinished, suite: Suite, whole: Run) -> Mapping[str, RuntimeRun]:
    """Return the runs to go on with, if the vectors are the same still."""
    from ..results.recorded import runtime_run

    if before.digest != suite.digest:
        raise Unusable(f"{before.path}: the vectors have changed since: run the suite anew")
    whole.started, whole.seconds = before.started, before.seconds
    vectors = {vector.id: vector for vector in suite.vectors}
    return {one["name"]: runtime_run(one, vectors) for one in before.runtimes}


def _journal(file: Path | None, whole: Run, before: Unfinished | None) -> Journal | None:
    """Return the journal of a run that leaves ``file``; there is none for a pipe, say, which cannot be read again."""
    from ..results.journal import Journal, journal_of

    if file in {None, STDOUT} or (file.exists() and not file.is_file()):
        return None
    if before is None and (old := journal_of(file)).exists():
        echo(f"{old}: of a run that was killed; this run replaces it", err=True)
    return Journal(file, whole, before.runtimes if before else ())


def _load(paths: Sequence[Path], data: Sequence[Path]) -> Suite:
    """Return the vectors of vector files and data files; the suite that comes with this package if none are named."""
    from ..suite.suite import VECTORS, Suite, load_suite

    if not data:
        return load_suite(paths or [VECTORS])
    from ..suite.datafiles import load_data

    one, other = load_suite(paths) if paths else Suite((), ()), load_data(data)
    for unread in other.unread:
        echo(f"Error: {unread.reason}: not run", err=True)
    return Suite(one.vectors + other.vectors, one.files + other.files, other.unread)


def _specs(command: Command) -> list[RuntimeSpec]:
    """Return the runtimes that were asked for, each under a name of its own."""
    from ...adapters.registry import choose
    from ..results.claims import claiming

    specs = [spec.allowing(command.timeout) for spec in choose(command.runtimes, command.plugin_args)]
    specs = claiming(specs, command.claims)
    names = [spec.name for spec in specs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Unusable(f"two runtimes are called {twice[0]!r}: name them apart, as in -r other={twice[0]}")
    return specs


def _select(suite: Suite, selection: Selection) -> Sequence[Vector]:
    from ..suite.select import (
        SelectionError,
        advice,
        by_expression,
        by_groups,
        by_levels,
        by_sections,
    )
    from ..suite.tier import by_tier

    tests = [by_tier(selection.tier, frozenset(vector.id for vector in suite.vectors))]
    if selection.expression is not None:
        tests.append(by_expression(selection.expression))
    if selection.groups:
        tests.append(by_groups(selection.groups))
    if selection.sections:
        tests.append(by_sections(selection.sections))
    if selection.levels:
        tests.append(by_levels(selection.levels))
    vectors = suite.select(tests)
    if not vectors:
        none = f"none of the {len(suite.vectors):,} vectors is selected by what was asked for"
        why = "" if selection.expression is None else advice(selection.expression, (one.id for one in suite.vectors))
        raise SelectionError(f"{none}; {why}" if why else none)
    return vectors


def _write(
    whole: Run, json_file: Path | None, junit_file: Path | None, ktap_file: Path | None, findings_file: Path | None
) -> None:
    from ...spec.output import write_text
    from ..results.document import document, write
    from ..results.junit import junit
    from ..results.ktap import ktap
    from ..terminal.failures import as_text

    if json_file is not None:
        write(document(whole), json_file)
    if junit_file is not None:
        write_text(junit(whole), junit_file)
    if ktap_file is not None:
        write_text(ktap(whole), ktap_file)
    if findings_file is not None:
        write_text(as_text(whole), findings_file)
