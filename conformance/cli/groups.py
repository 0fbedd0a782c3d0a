# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa groups``: which conformance groups a runtime supports, and what it lacks of the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...spec.output import write_json
from . import words
from .failing import FAILED, OK, Unusable, check_writable
from .options import Word, console_beside, groups_option, json_option, paths_option

if TYPE_CHECKING:
    from ..run.discovery import (
        Decision,
        Discovery,
        GroupSupport,
        State,
    )
    from ..terminal.console import Console

FORMAT, FORMAT_VERSION = "bpf-isa-groups", 1


@click.command(short_help="Find out which conformance groups a runtime supports.")
@click.option(
    "-r",
    "--runtime",
    "runtime",
    required=True,
    metavar="[NAME=]KIND[:ARG]",
    type=Word(words.runtimes),
    help="Runtime to look at.",
)
@json_option("what was found out")
@paths_option("--vectors", help="Vector files, or folders of them, to choose from.")
@groups_option("--claims", help="Conformance groups that the runtime is said to support, whatever it says itself.")
@click.option("--timeout", type=click.FloatRange(0.1), default=30.0, show_default=True, help="Seconds for a vector.")
@click.option("--plugin-args", metavar="ARGS", help="Arguments for a plugin that is named without its own.")
def groups(
    runtime: str,
    json_file: Path | None,
    paths: tuple[Path, ...],
    claims: tuple[str, ...],
    timeout: float,
    plugin_args: str | None,
) -> None:
    """Find out which conformance groups a runtime supports, by running the few vectors that decide it.

    For a group that it supports in part, the instructions are named that it does not have or gets wrong. What it claims
    is not believed but compared: claims that the vectors disprove are reported.

    Exit status: 0; 1 if a claim is disproved; 2 if the runtime cannot be used.
    """
    from ...adapters.registry import choose
    from ..results.claims import claiming
    from ..run.discovery import discover
    from ..run.worker import RuntimeBroken
    from ..run.workers import WorkerPool
    from ..suite.suite import VECTORS, load_suite

    check_writable(json_file)
    (spec,) = claiming([spec.allowing(timeout) for spec in choose([runtime], plugin_args)], claims)
    try:
        with WorkerPool(spec, 1, timeout) as pool:
            info = pool.open()
            suite = load_suite(paths or [VECTORS])
            found = discover(pool, info, suite.vectors)
    except RuntimeBroken as reason:
        raise Unusable(f"{spec.name}: its adapter failed: {reason}") from None
    if json_file is not None:
        write_json(document(spec.name, found, len(suite.vectors)), json_file, indent=2)
    _show(spec.name, found, len(suite.vectors), console_beside(json_file))
    raise SystemExit(FAILED if found.disproved else OK)


def document(name: str, found: Discovery, vectors: int) -> dict[str, Any]:
    """Return what was found out as plain data, after ``schema/groups.schema.json``."""
    from ..results.document import identity

    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "name": name,
        "identity": identity(found.info),
        "groups": {name: _group(group) for name, group in found.groups.items()},
        "disproved": found.disproved,
        "unclaimed": found.unclaimed,
        "asked": {"vectors": len(found.asked), "of": vectors},
    }


def _group(group: GroupSupport) -> dict[str, Any]:
    lists = {state: _plain(group.of(state)) for state in ("missing", "wrong", "unknown")}
    return {"support": group.support, "instructions": len(group.instructions), "works": len(group.of("works")), **lists}


def _plain(decisions: Mapping[str, Decision]) -> list[dict[str, str | None]]:
    return [
        {"instruction": name, "reason": str(found.reason), "vector": found.vector} for name, found in decisions.items()
    ]


_STYLES = {"yes": "green", "partly": "yellow", "no": "red", "unknown": "magenta"}
_STATES: dict[State, str] = {"missing": "does not have", "wrong": "gets wrong", "unknown": "could not be asked about"}


def _show(name: str, found: Discovery, vectors: int, console: Console) -> None:
    from rich.text import Text

    def say(*parts: str | tuple[str, str]) -> None:
        console.print(Text.assemble(*parts), soft_wrap=True)

    info = found.info
    say((name, "bold"), f" ({info.version}, {info.architecture}, {info.byte_order}-endian)")
    width = max(len(group) for group in found.groups)
    for group in found.groups.values():
        works = f"{len(group.of('works'))} of {len(group.instructions)} instructions"
        claimed = ", claimed" if group.name in (info.groups or ()) else ""
        say(f"  {group.name:{width}}  ", (f"{group.support:8}", _STYLES[group.support]), works, claimed)
        for state, predicate in _STATES.items():
            for reason, instructions in _by_reason(group.of(state)):
                say(f"  {'':{width}}  {predicate}: ", (", ".join(instructions), "bold"), (f" ({reason})", "dim"))
    for group_name in found.disproved:
        say(("  disproved: ", "bold red"), f"it claims {group_name}, and the above is against it")
    if found.unclaimed:
        say("  more than it claims: ", ", ".join(found.unclaimed))
    say((f"  decided by {len(found.asked)} of {vectors} vectors", "dim"))


def _by_reason(decisions: Mapping[str, Decision]) -> Iterator[tuple[str, list[str]]]:
    """Yield reasons and the names of the instructions; reasons with the same code are one."""
    found: dict[str, list[str]] = {}
    for name, decision in decisions.items():
        found.setdefault(decision.reason.code or decision.reason.text, []).append(name)
    for names in found.values():
        said = {str(decisions[name].reason) for name in names}
        yield (said.pop() if len(said) == 1 else f"e.g. {decisions[names[0]].reason}"), names
