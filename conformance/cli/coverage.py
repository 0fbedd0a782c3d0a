# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa coverage``: what the suite covers, what it does not, and what has confirmed it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...spec.output import write_json, write_text
from . import words
from .failing import FAILED, OK, Unusable, check_writable
from .options import FILE, Word, console_beside, docs_option, json_option, paths_option

if TYPE_CHECKING:
    from ..coverage.confirm import Confirmation
    from ..coverage.measure import Coverage
    from ..terminal.console import Console


@click.command(short_help="Show which vectors cover which requirements and instructions.")
@click.argument("names", nargs=-1, metavar="[REQUIREMENT|INSTRUCTION]...", type=Word(words.subjects))
@paths_option("--vectors", help="Vector files, or folders of them, to look at instead of the suite.")
@paths_option(
    "--confirmed-by",
    "result_files",
    metavar="RESULTS",
    help="Results (bpf-isa run --json) of runtimes that confirm the vectors.",
)
@json_option("everything")
@click.option("--html", "html_file", metavar="FILE", type=FILE, help="Write everything as one HTML page.")
@docs_option("Renew the table of vector files in a Markdown page.")
def coverage(
    names: tuple[str, ...],
    paths: tuple[Path, ...],
    result_files: tuple[Path, ...],
    json_file: Path | None,
    html_file: Path | None,
    docs_file: Path | None,
) -> None:
    """Show what the suite covers: requirements by section, instructions by conformance group, and holes.

    With names of requirements (rfc9669-4.1-add) or instructions (ADD32_K), show their vectors instead.

    Exit status: 0 if there are no holes, 1 if there are, 2 if the command was given something unusable.
    """
    from ..coverage.confirm import confirmations
    from ..coverage.measure import Coverage
    from ..suite.suite import VECTORS, load_suite

    for file in (json_file, html_file):
        check_writable(file)
    measured = Coverage(load_suite(paths or [VECTORS]))
    confirmed = confirmations(measured, result_files)
    console = console_beside(json_file, html_file)
    if names:
        if json_file or html_file or docs_file:
            raise click.UsageError("--json, --html and --docs are about the whole suite: leave out the names")
        _show_each(names, measured, console)
        return
    if json_file is not None:
        from ..coverage.document import document

        write_json(document(measured, confirmed), json_file, indent=1)
    if html_file is not None:
        from ..coverage.page import page

        write_text(page(measured, confirmed), html_file)
    if docs_file is not None:
        _renew(docs_file, measured, confirmed)
    from ..coverage.terminal import show

    show(measured, confirmed, console)
    raise SystemExit(FAILED if measured.holes else OK)


def _renew(file: Path, measured: Coverage, confirmed: list[Confirmation]) -> None:
    from ..coverage.docs import renew
    from .programs import text_of

    write_text(renew(text_of(file.read_bytes(), str(file)), measured, confirmed), file)


def _show_each(names: tuple[str, ...], measured: Coverage, console: Console) -> None:
    from ..coverage.terminal import show_instruction, show_requirement

    requirements = {item.requirement.id: item for item in measured.requirements}
    instructions = {item.row.name: item for item in measured.instructions}
    for name in names:
        if name in requirements:
            show_requirement(requirements[name], console)
        elif name.upper() in instructions:
            show_instruction(instructions[name.upper()], console)
        else:
            raise Unusable(f"{name}: no requirement, such as rfc9669-4.1-add, and no instruction, such as ADD32_K")
