# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa fmt``: put vector files into their canonical form, or check that they are."""

from __future__ import annotations

from pathlib import Path

import click

from ...spec.output import write_text
from .echo import echo
from .failing import FAILED, OK


@click.command(short_help="Put vector files into their canonical form.")
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if a file is not in canonical form.")
def fmt(paths: tuple[Path, ...], check: bool) -> None:
    """Rewrite vector files, or all below folders, in canonical form; those of the suite if no PATH is given.

    Keys are in one order, data are quoted, tables are aligned; a comment stays before what it is about.
    """
    from ..suite.canonical import canonical_file
    from ..suite.load import find_files
    from ..suite.suite import VECTORS

    changed = 0
    for file in find_files(paths or [VECTORS]):
        text = canonical_file(file)
        if text == file.read_text(encoding="utf-8"):
            continue
        changed += 1
        if not check:
            write_text(text, file)
        echo(f"{file}: {'is not in canonical form: run bpf-isa fmt' if check else 'rewritten'}")
    raise SystemExit(FAILED if check and changed else OK)
