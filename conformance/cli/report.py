# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa report``: results of runs as a site, Markdown, JUnit and badges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import words
from .echo import echo
from .failing import Unusable
from .options import Word, listing

if TYPE_CHECKING:
    from ..report.formats import Target

_FOLDER = click.Path(file_okay=False, path_type=Path)


class _Target(Word):
    """A format, and where to write it."""

    def __init__(self) -> None:
        super().__init__(words.formats)

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Target:
        """Return what is to be written.

        Raises:
            click.BadParameter: the format is none, or its path is missing.
        """
        from ..report.formats import FormatError, parse

        try:
            return parse(value)
        except FormatError as error:
            self.fail(str(error), param, ctx)


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
@listing(
    "--format",
    "targets",
    metavar="FORMAT[=PATH]",
    element=_Target(),
    help="html, markdown, junit or badges.  [default: html=report]",
)
def report(files: tuple[Path, ...], html: Path | None, history_folder: Path | None, targets: Sequence[Target]) -> None:
    """Compare the results of runtimes, from RESULTS that `bpf-isa run --json` has written.

    Markdown and JUnit go to standard output unless a path is given. Results of different suites are never mixed: each
    suite gets tables of its own. Results of different tiers are refused. Exit status: 0 if everything was
    written, 2 if something could not be used.
    """
    from ..report import formats
    from ..report.comparison import compare
    from ..report.history import newest, read_folder
    from ..results.recorded import read

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
    formats.check([*documents, *past])
    comparisons = compare(documents)
    for target in targets:
        text = formats.write(target, documents, comparisons, past)
        if text is not None:
            echo(text, nl=False)
        elif target.path is not None:
            echo(target.path / "index.html" if target.format == "html" else target.path, err=True)
