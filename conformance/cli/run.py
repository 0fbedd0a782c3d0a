# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa run``: run the suite on runtimes, and tell their authors what is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import click

from .failing import FAILED, INTERRUPTED, OK, UNUSABLE, Unusable, check_writable

if TYPE_CHECKING:
    from ...adapters.registry import RuntimeSpec
    from ..model import Vector
    from ..report.recorded import Recorded
    from ..results import Command, Run, Selection
    from ..runner import RuntimeRun
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
@click.option(
    "--resume",
    type=_FILE,
    help="Go on with the run that was interrupted and left this file; its results go there unless --json says where.",
)
@click.pass_context
def run(
    ctx: click.Context,
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
    resume: Path | None,
) -> None:
    """Run the conformance suite on one or more runtimes.

    Ctrl-C ends the run early; the results are written all the same, say that they are partial, and --resume goes on.

    Failures that this package knows about (those of the Linux kernel, say) are told apart, and do not count.
    Exit status: 0 if nothing else failed, 1 if a runtime failed a vector, 2 if the command was given something unusable
    or the harness could not do its work, 130 if the run was interrupted.
    """
    from ...adapters.registry import DEFAULT
    from .. import runner
    from ..console import Console
    from ..results import Command, Run, Selection
    from ..terminal import Live, show

    if resume is None:
        vector_paths, data_paths = tuple(map(str, paths)), tuple(map(str, data))
        command = Command(str(Path.cwd()), runtimes, plugin_args, vector_paths, data_paths, timeout)
        selection, before = Selection(expression, groups, sections), None
    else:
        command, before = _interrupted(resume, ctx)
        selection, json_file = before.selection, json_file or resume
    for file in (json_file, junit_file):
        check_writable(file)
    specs = _specs(command)
    suite = _load([Path(path) for path in command.vectors], [Path(path) for path in command.data])
    vectors = _select(suite, selection)
    whole = Run(suite, vectors, [], selection, command=command)
    earlier = None if before is None else _earlier(before, suite, whole)
    console = Console(highlight=False)
    started = perf_counter()
    with Live(console, [spec.name for spec in specs], len(vectors)) as live:
        processes = jobs or len(os.sched_getaffinity(0))
        whole.runtimes = runner.run(
            specs, vectors, processes=processes, timeout=command.timeout, on_result=live, earlier=earlier
        )
    whole.seconds += perf_counter() - started
    show(whole, console, brief=quiet)
    _write(whole, json_file, junit_file)
    if not whole.complete and json_file is not None:
        console.say(f"bpf-isa run --resume {json_file} goes on with it.")
    raise SystemExit(_status(whole, may_be_missing=() if command.runtimes else DEFAULT))


#: Options that say what is run, which the file of an interrupted run says already.
_SAID_BY_THE_FILE = ("runtimes", "expression", "groups", "sections", "paths", "data", "timeout", "plugin_args")


def _interrupted(file: Path, ctx: click.Context) -> tuple[Command, Recorded]:
    """Return what an interrupted run was asked to do, and what came of it."""
    from ..report.recorded import restore
    from ..results import Command, read

    for parameter in ctx.command.params:
        source = ctx.get_parameter_source(parameter.name or "")
        if parameter.name in _SAID_BY_THE_FILE and source is click.core.ParameterSource.COMMANDLINE:
            raise Unusable(f"--resume does what {file} says: leave {parameter.opts[-1]} away")
    document = read(file)
    if document["complete"]:
        raise Unusable(f"{file}: this run is complete, there is nothing to resume")
    raw = document.get("resume")
    if raw is None:
        raise Unusable(f"{file}: does not say what the run was asked to do")
    before = restore(document, file)
    command = Command(
        raw["folder"],
        tuple(raw["runtimes"]),
        raw["plugin_args"],
        tuple(raw["vectors"]),
        tuple(raw["data"]),
        raw["timeout"],
    )
    if command.folder != str(Path.cwd()):
        raise Unusable(f"{file}: the run was started in {command.folder}: resume it there")
    return command, before


def _earlier(before: Recorded, suite: Suite, whole: Run) -> Mapping[str, RuntimeRun]:
    """Return the runs to go on with, if the vectors are the same still."""
    if before.suite.digest != suite.digest:
        raise Unusable(f"{before.path}: the vectors have changed since: run the suite anew")
    whole.started, whole.seconds = before.started, before.seconds
    return {one.name: one for one in before.runtimes}


def _load(paths: Sequence[Path], data: Sequence[Path]) -> Suite:
    """Return the vectors of vector files and data files; the suite that comes with this package if none are named."""
    from ..suite import VECTORS, Suite, load_suite

    if not data:
        return load_suite(paths or [VECTORS])
    from ..datafiles import load_data

    one, other = load_suite(paths) if paths else Suite((), ()), load_data(data)
    return Suite(one.vectors + other.vectors, one.files + other.files)


def _specs(command: Command) -> list[RuntimeSpec]:
    """Return the runtimes that were asked for, each under a name of its own."""
    from ...adapters.registry import choose

    specs = [spec.allowing(command.timeout) for spec in choose(command.runtimes, command.plugin_args)]
    names = [spec.name for spec in specs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Unusable(f"two runtimes are called {twice[0]!r}: name them apart, as in -r other={twice[0]}")
    return specs


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
    from ..output import write_text
    from ..results import document, write

    if json_file is not None:
        write(document(whole), json_file)
    if junit_file is not None:
        write_text(junit(whole), junit_file)


def _status(whole: Run, *, may_be_missing: Sequence[str]) -> int:
    """Return the exit status; that a runtime cannot be used is an error unless it is named in ``may_be_missing``."""
    from ..expectations import foreseen
    from ..results import counts
    from ..verdict import Verdict

    tested = [one for one in whole.runtimes if one.info is not None]
    verdicts = {result.judgement.verdict for one in tested for result in one.results}
    if not whole.complete:
        return INTERRUPTED
    if any(counts(one.results)[Verdict.FAIL] > sum(map(len, foreseen(one).values())) for one in tested):
        return FAILED
    missing = any(one.info is None and (one.broken or one.name not in may_be_missing) for one in whole.runtimes)
    if Verdict.ERROR in verdicts or missing or not tested:
        return UNUSABLE
    return OK
