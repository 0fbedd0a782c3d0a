# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa gate``: whether results are as expected, for continuous integration."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .echo import echo
from .failing import FAILED, OK

if TYPE_CHECKING:
    from ..expectations import Expectations
    from ..gate import Violation
    from ..results import Json

_FILE = click.Path(dir_okay=False, path_type=Path)
#: How many violations of a kind are shown; the JSON has all of them.
_SHOWN = 50


@click.command(short_help="Compare results with what is known and required, for CI.")
@click.argument("results", nargs=-1, required=True, type=_FILE)
@click.option(
    "--expectations", "files", multiple=True, type=_FILE, help="What is known about a runtime; can be repeated."
)
@click.option(
    "--require",
    multiple=True,
    metavar="[RUNTIME:]GROUP,...",
    help="Conformance groups of which every vector has to pass; can be repeated.",
)
@click.option("--shipped", is_flag=True, help="Also take for known what this package knows, of the Linux kernel say.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def gate(
    results: tuple[Path, ...], files: tuple[Path, ...], require: tuple[str, ...], shipped: bool, as_json: bool
) -> None:
    """Compare results with what is known about the runtimes and what is required of them.

    RESULTS are files of `bpf-isa run --json`. Of their runtimes no failure is accepted that no expectation file tells
    of (docs/expectations.md); a known failure that has gone is an error too, so that files stay true.

    Exit status: 0 if all is as it should be; 1 if not, and every reason is named (new failure, changed, unexpected
    pass, stale entry, required group, harness error, not run); 2 if a file cannot be used.
    """
    from .. import expectations, gate
    from ..results import read

    required = gate.parse_requirements(require)
    known = [expectations.load(file) for file in files]
    documents = [read(path) for path in results]
    if shipped:
        known += _shipped(documents)
    found = gate.violations(documents, known, required)
    runtimes = [one["name"] for document in documents for one in document["runtimes"]]
    if as_json:
        listed = [{**item._asdict(), "kind": item.kind.value} for item in found]
        echo(json.dumps({"open": not found, "runtimes": runtimes, "violations": listed}, indent=2))
    else:
        _show(runtimes, found, known)
    raise SystemExit(FAILED if found else OK)


def _shipped(documents: list[Json]) -> list[Expectations]:
    """Return what this package knows about the runtimes in ``documents``, under the names that they have there."""
    from .. import expectations

    runtimes = [one for document in documents for one in document["runtimes"]]
    files = [(one["name"], expectations.shipped(one["identity"]["name"])) for one in runtimes]
    return [replace(file, runtime=name) for name, file in files if file is not None]


def _show(runtimes: list[str], found: list[Violation], known: list[Expectations]) -> None:
    from rich.text import Text

    from ..console import Console
    from ..gate import Kind

    console = Console(highlight=False)
    for kind in Kind:
        of_kind = [item for item in found if item.kind is kind]
        for item in of_kind[:_SHOWN]:
            head = Text.assemble((f"{kind.value}: ", "bold red"), f"{item.runtime}: ", (item.what, "bold"))
            console.say(head.append(f": {item.message}"))
        if len(of_kind) > _SHOWN:
            console.say(f"{kind.value}: {len(of_kind) - _SHOWN} more")
    unexplained = sum(not entry.explained for file in known for entry in file.known)
    if unexplained:
        console.say(f"note: {unexplained} entries of the expectation files are unexplained")
    names = ", ".join(runtimes) or "no runtime"
    if found:
        number = {kind: sum(item.kind is kind for item in found) for kind in Kind}
        told = ", ".join(f"{count} {kind.value}" for kind, count in number.items() if count)
        console.say(("the gate is shut", "bold red"), f" for {names}: {told}")
    else:
        console.say(("the gate is open", "bold green"), f" for {names}")
