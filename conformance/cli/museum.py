# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa museum``: historical bugs, and the vectors that convict them."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...spec.output import write_json, write_text
from . import words
from .failing import FAILED, OK, Unusable, check_writable
from .options import Word, docs_option, json_option, say

if TYPE_CHECKING:
    from ...adapters.miniatures.museum import Bug

FORMAT, FORMAT_VERSION = "bpf-isa-museum", 1


@click.command(short_help="Convict the historical bugs, and write the page about them.")
@click.argument("names", nargs=-1, metavar="[BUG]...", type=Word(words.historical_bugs))
@docs_option("Write the page about them in Markdown.")
@json_option("all of it")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if the page is not what would be written.")
def museum(names: tuple[str, ...], docs_file: Path | None, json_file: Path | None, check: bool) -> None:
    """Run the miniature of each BUG (of all if none is given) on the vectors about what it breaks.

    Shown are the first vectors that convict it, those with the shortest programs first. That takes minutes for all.

    Exit status: 0 if all are convicted, and with --check the page is current; 1 if not, 2 if the command was given
    something unusable.
    """
    from ...adapters.miniatures.museum import bugs
    from ...adapters.miniatures.museum import museum as families
    from ..museum.convict import Court
    from ..museum.page import page
    from ..suite.suite import load_suite

    if check and docs_file is None:
        raise click.UsageError("--check compares the page of --docs: name it")
    if names and docs_file is not None:
        raise click.UsageError("--docs is about all bugs: leave out the names")
    check_writable(json_file)
    known = {name: bug for name, bug in bugs().items() if bug.miniature is not None}
    if unknown := [name for name in names if name not in known]:
        close = get_close_matches(unknown[0], known, n=1, cutoff=0.1)
        raise Unusable(f"{unknown[0]}: no bug with a miniature; did you mean {' or '.join(close or known)}?")
    court = Court(load_suite().vectors)
    found: dict[str, list[str]] = {}
    for name in names or known:
        found |= court.convictions([known[name]])
        say(f"convicted {name}: {', '.join(found[name])}" if found[name] else f"acquitted {name}", json_file)
    if json_file is not None:
        listed = [_described(known[name], vectors) for name, vectors in found.items()]
        write_json({"format": FORMAT, "version": FORMAT_VERSION, "bugs": listed}, json_file, indent=2)
    status = OK if all(found.values()) else FAILED
    if docs_file is not None:
        text = page(families(), found)
        if not check:
            write_text(text, docs_file)
        elif not docs_file.is_file() or docs_file.read_text(encoding="utf-8") != text:
            say(f"{docs_file}: differs: run bpf-isa museum --docs {docs_file}", json_file)
            status = FAILED
    raise SystemExit(status)


def _described(bug: Bug, vectors: list[str]) -> dict[str, Any]:
    return {
        "bug": bug.id,
        "where": bug.where,
        "fault": bug.fault,
        "trigger": bug.trigger,
        "concern": bug.concern,
        "references": [one.url for one in bug.references],
        "breaks": bug.breaks,
        "vectors": vectors,
    }
