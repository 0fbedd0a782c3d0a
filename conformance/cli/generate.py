# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa generate``: write the generated vector files, or check that they are current."""

from __future__ import annotations

from pathlib import Path

import click

from ...spec.output import write_text
from ..generate import files
from .echo import echo


@click.command(short_help="Write the generated vector files, or check that they are current.")
@click.argument("family", nargs=-1, type=click.Choice(files.NAMES))
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if a file is not what would be written.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the files.  [default: their places in the installed package]",
)
def generate(family: tuple[str, ...], check: bool, output: Path | None) -> None:
    """Write the generated vector files of each FAMILY (of all if none is given), the same bytes every time.

    Three are no vector files: ``uses`` has how many vectors have each instruction, for the diagnosis of failures,
    ``smoke`` and ``quick`` have the vectors of these tiers. ``quick`` is written only if it is named: it takes long.
    """
    stale = []
    for name in family or [name for name in files.NAMES if name != files.QUICK]:
        target = output / files.path(name).name if output else files.path(name)
        text = files.text(name)
        if check:
            current = target.is_file() and target.read_text(encoding="utf-8") == text
            echo(f"{target}: {'current' if current else 'differs: run bpf-isa generate ' + name}")
            stale += [] if current else [name]
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_text(text, target)
            echo(f"{target}: {len(text.splitlines())} lines")
    if stale:
        raise SystemExit(1)
