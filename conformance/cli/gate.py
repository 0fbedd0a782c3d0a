# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa gate``: whether results are as expected, for continuous integration."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...spec.output import write_json
from .failing import FAILED, OK, check_writable
from .options import ON_DISK, console_beside, groups_option, json_option, paths_option

if TYPE_CHECKING:
    from ..results.document import Json
    from ..results.expectations import Expectations
    from ..results.gate import Violation
    from ..terminal.console import Console

FORMAT, FORMAT_VERSION = "bpf-isa-gate", 1
#: How many violations of a kind are shown; the JSON has all of them.
_SHOWN = 50


@click.command(short_help="Compare results with what is known and required, for CI.")
@click.argument("results", nargs=-1, required=True, type=ON_DISK)
@paths_option("--expectations", "files", metavar="FILE", help="What is known about runtimes, see bpf-isa expect.")
@groups_option(
    "--require",
    metavar="[RUNTIME:]GROUP",
    help="Conformance groups of which every vector has to pass, on every runtime or on RUNTIME.",
)
@click.option("--shipped", is_flag=True, help="Also take for known what this package knows, of the Linux kernel say.")
@json_option("every reason")
def gate(
    results: tuple[Path, ...], files: tuple[Path, ...], require: tuple[str, ...], shipped: bool, json_file: Path | None
) -> None:
    """Compare results with what is known about the runtimes and what is required of them.

    RESULTS are files of `bpf-isa run --json`. Of their runtimes no failure is accepted that no expectation file tells
    of; a known failure that has gone is an error too, so that files stay true. `bpf-isa expect` writes such files.
    Results of different tiers are refused, and no gate that requires a group opens for a tier less than full.

    Exit status: 0 if all is as it should be; 1 if not, and every reason is named (new failure, changed, unexpected
    pass, stale entry, required group, harness error, not run); 2 if a file cannot be used.
    """
    from ..results import expectations, gate
    from ..results.document import only_tier, read, tier_of

    check_writable(json_file)
    required = gate.parse_requirements(require)
    known = [expectations.load(file) for file in files]
    documents = [read(path) for path in results]
    tier = only_tier(zip(results, map(tier_of, documents), strict=True))
    if shipped:
        known += _shipped(documents)
    found = gate.violations(documents, known, required)
    runtimes = [one["name"] for document in documents for one in document["runtimes"]]
    if json_file is not None:
        listed = [{**item._asdict(), "kind": item.kind.value} for item in found]
        data = {"format": FORMAT, "version": FORMAT_VERSION, "open": not found, "tier": tier}
        write_json({**data, "runtimes": runtimes, "violations": listed}, json_file, indent=2)
    own = [file for file in known if file.path in files]
    updates = list(_updates(dict(zip(results, documents, strict=True)), found, own))
    _show(runtimes, tier, found, known, updates, console_beside(json_file))
    raise SystemExit(FAILED if found else OK)


def _shipped(documents: list[Json]) -> list[Expectations]:
    """Return what this package knows about the runtimes in ``documents``, under the names that they have there."""
    from ..results import expectations

    runtimes = [one for document in documents for one in document["runtimes"]]
    files = [(one["name"], expectations.shipped(one["identity"]["name"])) for one in runtimes]
    return [replace(file, runtime=name) for name, file in files if file is not None]


def _updates(documents: dict[Path, Json], found: list[Violation], files: list[Expectations]) -> Iterator[str]:
    """Yield the commands that take what was found for expected, where that can be: for each runtime one."""
    from ..report.comparison import key_of
    from ..results.gate import UPDATABLE

    names = {item.runtime for item in found if item.kind in UPDATABLE}
    for path, document in documents.items():
        for one in document["runtimes"]:
            if one["name"] in names and one["complete"]:
                file = next((file.path for file in files if file.runtime == one["name"]), None)
                words = ["bpf-isa", "expect", str(path), "--update", str(file or f"{key_of(one['name'])}.yaml")]
                yield shlex.join([*words, *([] if file else ["-r", one["name"]])])


def _show(
    runtimes: list[str],
    tier: str,
    found: list[Violation],
    known: list[Expectations],
    updates: list[str],
    console: Console,
) -> None:
    from rich.text import Text

    from ..results.gate import Kind
    from ..suite.tier import Tier

    for kind in Kind:
        of_kind = [item for item in found if item.kind is kind]
        for item in of_kind[:_SHOWN]:
            head = Text.assemble((f"{kind.value}: ", "bold red"), f"{item.runtime}: ", (item.what, "bold"))
            console.say(head.append(f": {item.message}"))
        if len(of_kind) > _SHOWN:
            console.say(f"{kind.value}: {len(of_kind) - _SHOWN} more")
    unexplained = sum(not entry.explained for file in known for entry in file.known)
    if unexplained:
        console.print(f"note: {unexplained} entries of the expectation files are unexplained", soft_wrap=True)
    for command in updates:
        console.print(f"to take this as expected: {command}", soft_wrap=True, markup=False)
    names = ", ".join(runtimes) or "no runtime"
    names += f", as far as tier {tier} tells" if tier != Tier.FULL else ""
    if found:
        number = {kind: sum(item.kind is kind for item in found) for kind in Kind}
        by_kind = ", ".join(f"{count} {kind.value}" for kind, count in number.items() if count)
        console.say(("the gate is shut", "bold red"), f" for {names}: {by_kind}")
    else:
        console.say(("the gate is open", "bold green"), f" for {names}")
