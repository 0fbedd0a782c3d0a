# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa adequacy``: seed faults into the specification, and see which vectors notice."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .echo import echo
from .failing import FAILED, OK, Unusable, check_writable

if TYPE_CHECKING:
    from ..console import Console

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(short_help="Seed faults into the specification and show which vectors notice.")
@click.option(
    "-i",
    "--instruction",
    "instructions",
    multiple=True,
    metavar="NAME",
    help="Only mutants of this instruction; can be repeated.",
)
@click.option("--json", "json_file", type=_FILE, help="Write all findings as JSON.")
@click.option("--suggest", "suggest_file", type=_FILE, help="Write vectors that would notice what is alive.")
@click.option(
    "--vectors",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Vector file, or folder of them, to measure instead of the suite; can be repeated.",
)
@click.option("-j", "--jobs", type=click.IntRange(1, 512), help="Processes to use.  [default: CPUs]")
@click.option("--all", "all_alive", is_flag=True, help="Print every mutant that is alive, not the first ones.")
def adequacy(
    instructions: tuple[str, ...],
    json_file: Path | None,
    suggest_file: Path | None,
    paths: tuple[Path, ...],
    jobs: int | None,
    all_alive: bool,
) -> None:
    """Measure the strength of the vectors.

    Every mutant of the specification is killed (a vector notices), equivalent (z3 proves that there is nothing to
    notice) or alive; without z3-solver, those for which no operands are found that show them are undecided.

    Exit status: 0 if nothing is alive or undecided, 1 if something is, 2 if the command was given something unusable.
    """
    from ..adequacy import report
    from ..adequacy.survey import survey
    from ..console import Console
    from ..output import write_text
    from ..results import write
    from ..suite import VECTORS

    _check_names(instructions)
    for file in (json_file, suggest_file):
        check_writable(file)
    console = Console(highlight=False)
    with _bar(console) as on_task:
        found = survey(paths or (VECTORS,), instructions or None, jobs or len(os.sched_getaffinity(0)), on_task)
    report.show(found, console, all_alive=all_alive)
    if json_file is not None:
        write(report.document(found), json_file)
    if suggest_file is not None:
        text = report.suggestions(found)
        if text is None:
            echo(f"{suggest_file}: not written, there is nothing to suggest")
        else:
            write_text(text, suggest_file)
    raise SystemExit(OK if found.is_adequate else FAILED)


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
            hint = f"; did you mean {' or '.join(near)}?" if near else "; spec/isa.yaml has their names"
            raise Unusable(f"there is no instruction {name!r}{hint}")
