# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa coverage``: what the suite covers, what it does not, and what has confirmed it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..output import write_text
from .failing import FAILED, OK, Unusable

if TYPE_CHECKING:
    from ..console import Console
    from ..coverage.confirm import Confirmation
    from ..coverage.measure import Coverage

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(short_help="Show which vectors cover which requirements and instructions.")
@click.argument("names", nargs=-1, metavar="[REQUIREMENT|INSTRUCTION]...")
@click.option(
    "--vectors",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Vector file, or folder of them, to look at instead of the suite; can be repeated.",
)
@click.option(
    "--confirmed-by",
    "result_files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="RESULTS",
    help="Results (bpf-isa run --json) of runtimes that confirm the vectors; can be repeated.",
)
@click.option("--json", "json_file", type=_FILE, help="Write everything as JSON.")
@click.option("--html", "html_file", type=_FILE, help="Write everything as one HTML page.")
@click.option("--docs", "docs_file", type=_FILE, help="Renew the table of vector files in a Markdown page.")
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
    from ..console import Console
    from ..coverage.confirm import confirmations, read_results
    from ..coverage.measure import Coverage
    from ..suite import VECTORS, load_suite

    measured = Coverage(load_suite(paths or [VECTORS]))
    confirmed = confirmations(measured, read_results(result_files))
    console = Console(highlight=False)
    if names:
        _show_each(names, measured, console)
        return
    if json_file is not None:
        from ..coverage.document import document

        write_text(json.dumps(document(measured, confirmed), indent=1) + "\n", json_file)
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
            raise Unusable(f"{name}: no requirement of spec/requirements.yaml and no instruction of spec/isa.yaml")
