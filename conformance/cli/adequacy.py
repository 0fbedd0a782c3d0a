# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa adequacy``: seed faults into the specification, and see which vectors notice."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import words
from .failing import FAILED, OK, Unusable, check_writable
from .options import FILE, Word, console_beside, json_option, listing, paths_option, say, tier_option

if TYPE_CHECKING:
    from ..terminal.console import Console


@click.command(short_help="Seed faults into the specification and show which vectors notice.")
@listing(
    "-i",
    "--instruction",
    "instructions",
    metavar="NAME",
    element=Word(words.instructions),
    help="Only mutants of these instructions.",
)
@json_option("all findings")
@click.option(
    "--suggest", "suggest_file", metavar="FILE", type=FILE, help="Write vectors that would notice what is alive."
)
@paths_option("--vectors", help="Vector files, or folders of them, to measure instead of the suite.")
@tier_option()
@click.option("-j", "--jobs", type=click.IntRange(1, 512), help="Processes to use.  [default: CPUs]")
@click.option("--all", "all_alive", is_flag=True, help="Print every mutant that is alive, not the first ones.")
@click.option("--contexts", is_flag=True, help="Confine faults to contexts, as code generators have them.")
@click.option("--diagnosis", is_flag=True, help="Run mutants as runtimes; tell how often the right row is accused.")
@click.option(
    "--sample",
    type=click.IntRange(1),
    help="Mutants to decide, with --contexts (default: all), or to diagnose, with --diagnosis (default: 2500).",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Which mutants are in the sample.")
@click.option("--r0-only", is_flag=True, help="Let mutants show r0 only, as plugins do, with --diagnosis.")
def adequacy(
    instructions: tuple[str, ...],
    json_file: Path | None,
    suggest_file: Path | None,
    paths: tuple[Path, ...],
    tier: str,
    jobs: int | None,
    all_alive: bool,
    contexts: bool,
    diagnosis: bool,
    sample: int | None,
    seed: int,
    r0_only: bool,
) -> None:
    """Measure the strength of the vectors.

    Every mutant of the specification is killed (a vector notices), equivalent (z3 proves that there is nothing to
    notice) or alive; without z3-solver, those for which no operands are found that show them are undecided.

    With --contexts, the mutants are those of code generators: a fault of an instruction that is confined to one context
    (what stands before or after it, its place in the program, the size of its fields, how often it was executed).

    With --diagnosis, mutants are run as runtimes with all vectors, and the instruction that the diagnosis of a run
    accuses first is compared with the one that is at fault.

    With --tier, the vectors of a tier are measured, and what is alive is no more than counted unless --all is given.

    Exit status: 0 if nothing is alive or undecided, 1 if something is, 2 if the command was given something unusable;
    with --diagnosis 0, or 1 if fewer than 95 % are diagnosed rightly; with --tier quick 0, or 1 if the tier is too
    large or too weak.
    """
    from ...spec.output import write_text
    from ..adequacy import report
    from ..adequacy.contexts import survey_contexts
    from ..adequacy.survey import Scope, survey
    from ..adequacy.tiers import measure, measure_contexts, show_tier
    from ..results.document import write
    from ..suite.suite import VECTORS
    from ..suite.tier import Tier, check_own, tier_named

    _check_names(instructions)
    for file in (json_file, suggest_file):
        check_writable(file)
    console, of_tier = console_beside(json_file, suggest_file), tier_named(tier) is not Tier.FULL
    if contexts and diagnosis:
        raise Unusable("--contexts and --diagnosis are two measurements: give one of them")
    if sample is not None and not contexts and not diagnosis:
        raise Unusable("--sample is for --contexts and --diagnosis; without them all mutants are decided")
    if diagnosis:
        if json_file is not None or suggest_file is not None:
            raise Unusable("--diagnosis writes no files: leave out --json and --suggest")
        if of_tier:
            raise Unusable("--diagnosis is measured with the whole suite: leave out --tier")
        raise SystemExit(
            _diagnose(console, instructions, paths or (VECTORS,), sample or _DIAGNOSED, seed, r0_only, jobs)
        )
    number, rows = jobs or len(os.sched_getaffinity(0)), instructions or None
    if of_tier and suggest_file is not None:
        raise Unusable("--suggest is about what the whole suite does not notice: leave out --tier")
    if paths:
        check_own(tier)
    scope = Scope(paths or (VECTORS,), rows)
    with _bar(console) as on_task:
        if of_tier and contexts:
            found, rates = measure_contexts(Tier(tier), rows, sample, seed, number, on_task)
        elif of_tier:
            found, rates = measure(Tier(tier), rows, number, on_task)
        elif contexts:
            found = survey_contexts(scope, sample, seed, number, on_task)
        else:
            found = survey(scope, number, on_task)
    if json_file is not None:
        write(report.document(found), json_file)
    if suggest_file is not None:
        text = report.suggestions(found)
        if text is None:
            say(f"{suggest_file}: not written, there is nothing to suggest", json_file, suggest_file)
        else:
            write_text(text, suggest_file)
    if of_tier:
        raise SystemExit(OK if show_tier(found, rates, Tier(tier), console, all_alive=all_alive) else FAILED)
    report.show(found, console, all_alive=all_alive)
    raise SystemExit(OK if found.is_adequate else FAILED)


#: So many mutants are diagnosed by default, and so great a part of the diagnoses has to be right.
_DIAGNOSED, _RATE = 2500, 0.95


def _diagnose(
    console: Console,
    instructions: tuple[str, ...],
    paths: tuple[Path, ...],
    sample: int,
    seed: int,
    r0_only: bool,
    jobs: int | None,
) -> int:
    """Print how often mutants are diagnosed rightly, and return the exit status."""
    from ...spec.table import isa
    from ..adequacy.diagnosing import Plan, show, try_all

    plan = Plan(tuple(paths), instructions or tuple(isa().by_name), r0_only)
    with _bar(console) as on_task:
        found = try_all(plan, sample, seed, jobs or len(os.sched_getaffinity(0)), on_task)
    show(found, console)
    return OK if found.rate >= _RATE else FAILED


@contextmanager
def _bar(console: Console) -> Iterator[Callable[[int, int], None]]:
    """Show a bar, and give what moves it: how many tasks are done, of how many."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("mutants"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # Without a thread that refreshes it: processes are forked while the bar is shown.
    with Progress(
        *columns, console=console, transient=True, auto_refresh=False, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=None)

        def on_task(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            bar.refresh()

        yield on_task


def _check_names(names: tuple[str, ...]) -> None:
    from difflib import get_close_matches

    from ...spec.table import isa

    for name in names:
        if name not in isa().by_name:
            near = get_close_matches(name.upper(), isa().by_name, 3)
            hint = f"; did you mean {' or '.join(near)}?" if near else "; bpf-isa coverage shows their names"
            raise Unusable(f"there is no instruction {name!r}{hint}")
