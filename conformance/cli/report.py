# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa report``: results of runs as a site, Markdown, JUnit and badges."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .echo import echo
from .failing import Unusable

if TYPE_CHECKING:
    from ..report.formats import Target

_FOLDER = click.Path(file_okay=False, path_type=Path)


def _targets(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> list[Target]:
    from ..report.formats import parse

    return [parse(text) for text in texts]


@click.command(short_help="Compare the results of runs: a site, Markdown, JUnit, badges.")
@click.argument("files", metavar="[RESULTS]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--html", "html", type=_FOLDER, help="Write a static site into this folder; short for --format html=DIR.")
@click.option(
    "--history",
    "history_folder",
    type=_FOLDER,
    metavar="DIR",
    help="Draw conformance over versions from all results in this folder. Without RESULTS, the newest of each "
    "runtime are compared.",
)
@click.option(
    "--format",
    "targets",
    multiple=True,
    callback=_targets,
    metavar="FORMAT[=PATH]",
    help="html, markdown, junit or badges; can be repeated.  [default: html=report]",
)
def report(files: tuple[Path, ...], html: Path | None, history_folder: Path | None, targets: list[Target]) -> None:
    """Compare what runtimes made of the suite, from RESULTS that `bpf-isa run --json` has written.

    Markdown and JUnit go to standard output unless a path is given. Results of different suites are never mixed: each
    suite gets tables of its own. Exit status: 0 if everything was written, 2 if something could not be used.
    """
    from ..report import formats
    from ..report.comparison import compare
    from ..report.history import newest, read_folder
    from ..report.recorded import read

    if not files and history_folder is None:
        raise Unusable("nothing to report: name files that bpf-isa run --json has written, or --history DIR")
    if html is not None or not targets:
        targets = [formats.Target("html", html or Path("report")), *targets]
    if history_folder is not None and all(target.format != "html" for target in targets):
        raise Unusable("--history is a page of the site: ask for --html DIR too")
    if sum(target.path is None for target in targets) > 1:
        raise Unusable("only one format can go to standard output: give the others a path, as in --format junit=FILE")
    past = [] if history_folder is None else read_folder(history_folder)
    documents = [read(file) for file in files] or newest(past)
    formats.check(documents)
    comparisons = compare(documents)
    for target in targets:
        text = formats.write(target, documents, comparisons, past)
        if text is not None:
            echo(text, nl=False)
        elif target.path is not None:
            echo(target.path / "index.html" if target.format == "html" else target.path, err=True)
