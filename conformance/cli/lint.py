# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa lint``: find what is wrong with vectors before a runtime has to suffer for it."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import click

from ...spec.output import write_json
from . import words
from .failing import FAILED, OK, Unusable, check_writable
from .options import Word, json_option, listing, say

FORMAT, FORMAT_VERSION = "bpf-isa-lint", 1


@click.command(short_help="Find what is wrong with vector files.")
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))
@listing("--rule", "rules", metavar="ID", element=Word(words.rules), help="Look for what breaks these rules only.")
@click.option("--list", "as_list", is_flag=True, help="List the rules.")
@json_option("all findings, or with --list the rules,")
@click.option("-j", "--jobs", type=click.IntRange(1, 512), help="Processes.  [default: CPUs]")
def lint(
    paths: tuple[Path, ...], rules: tuple[str, ...], as_list: bool, json_file: Path | None, jobs: int | None
) -> None:
    """Look at vector files, or at all below folders; at those of the suite if no PATH is given.

    Each finding has its place, the vector, and the id of a rule.

    Exit status: 0 if nothing was found, 1 if something was, 2 if the command was given something unusable.
    """
    from ..lint.check import lint as find
    from ..lint.rules import RULES
    from ..suite.suite import VECTORS

    head = {"format": FORMAT, "version": FORMAT_VERSION}
    check_writable(json_file)
    if as_list:
        if json_file is not None:
            write_json({**head, "rules": RULES}, json_file, indent=2)
        width = max(map(len, RULES))
        for name, demand in RULES.items():
            say(f"{name:{width}}  {demand}", json_file)
        return
    if unknown := sorted(set(rules) - RULES.keys()):
        raise Unusable(f"--rule {unknown[0]}: the rules are {', '.join(RULES)}")
    findings, number = find(paths or [VECTORS], rules or tuple(RULES), jobs or len(os.sched_getaffinity(0)))
    if json_file is not None:
        listed = [asdict(finding) for finding in findings]
        write_json({**head, "vectors": number, "findings": listed}, json_file, indent=2)
    for finding in findings:
        say(str(finding), json_file)
    say(f"{number:,} vectors: {len(findings) or 'no'} finding{'' if len(findings) == 1 else 's'}", json_file)
    raise SystemExit(FAILED if findings else OK)
