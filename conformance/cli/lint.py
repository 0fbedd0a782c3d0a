# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa lint``: find what is wrong with vectors before a runtime has to suffer for it."""

from __future__ import annotations

import os
from pathlib import Path

import click

from .echo import echo
from .failing import FAILED, OK, Unusable


@click.command(short_help="Find what is wrong with vector files.")
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))
@click.option("--rule", "rules", multiple=True, metavar="ID", help="Look for this only; can be repeated.")
@click.option("--list", "as_list", is_flag=True, help="List the rules.")
@click.option("-j", "--jobs", type=click.IntRange(1, 512), help="Processes.  [default: CPUs]")
def lint(paths: tuple[Path, ...], rules: tuple[str, ...], as_list: bool, jobs: int | None) -> None:
    """Look at vector files, or at all below folders; at those of the suite if no PATH is given.

    Each finding has its place, the vector, and the id of a rule.

    Exit status: 0 if nothing was found, 1 if something was, 2 if the command was given something unusable.
    """
    from ..lint.check import lint as find
    from ..lint.rules import RULES
    from ..suite import VECTORS

    if as_list:
        width = max(map(len, RULES))
        for name, demand in RULES.items():
            echo(f"{name:{width}}  {demand}")
        return
    if unknown := sorted(set(rules) - RULES.keys()):
        raise Unusable(f"--rule {unknown[0]}: the rules are {', '.join(RULES)}")
    findings, number = find(paths or [VECTORS], rules or tuple(RULES), jobs or len(os.sched_getaffinity(0)))
    for finding in findings:
        echo(str(finding))
    echo(f"{number:,} vectors: {len(findings) or 'no'} finding{'' if len(findings) == 1 else 's'}")
    raise SystemExit(FAILED if findings else OK)
