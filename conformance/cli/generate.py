# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa generate``: write the generated vector files, or check that they are current."""

from __future__ import annotations

from pathlib import Path

import click

from ...spec.output import write_text
from ..generate import files
from .echo import echo


@click.command(short_help="Write the generated vector files, or check that they are current.")
@click.argument("family", nargs=-1, type=click.Choice(list(files.FILES)))
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if a file is not what would be written.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=files.FOLDER,
    help="Folder of the files.  [default: the installed package's vectors/generated]",
)
def generate(family: tuple[str, ...], check: bool, output: Path) -> None:
    """Write the generated vector files of each FAMILY (of all if none is given), the same bytes every time."""
    stale = []
    for name in family or files.FILES:
        target = output / f"{name}.yaml"
        text = files.text(name)
        if check:
            current = target.is_file() and target.read_text(encoding="utf-8") == text
            echo(f"{target}: {'current' if current else 'differs: run bpf-isa generate ' + name}")
            stale += [] if current else [name]
        else:
            output.mkdir(parents=True, exist_ok=True)
            write_text(text, target)
            echo(f"{target}: {len(text.splitlines())} lines")
    if stale:
        raise SystemExit(1)
