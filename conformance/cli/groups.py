# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa groups``: which conformance groups a runtime supports, and what it lacks of the others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .echo import echo
from .failing import FAILED, OK, Unusable

if TYPE_CHECKING:
    from ..discovery import Decision, Discovery, GroupSupport, State

FORMAT, FORMAT_VERSION = "bpf-isa-groups", 1


@click.command(short_help="Find out which conformance groups a runtime supports.")
@click.option("-r", "--runtime", "runtime", required=True, metavar="[NAME=]KIND[:ARG]", help="Runtime to look at.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--vectors", "paths", multiple=True, type=click.Path(path_type=Path), help="Vectors to choose from.")
@click.option("--timeout", type=click.FloatRange(0.1), default=30.0, show_default=True, help="Seconds for a vector.")
@click.option("--plugin-args", metavar="ARGS", help="Arguments for a plugin that is named without its own.")
def groups(runtime: str, as_json: bool, paths: tuple[Path, ...], timeout: float, plugin_args: str | None) -> None:
    """Find out which conformance groups a runtime supports, by running the few vectors that decide it.

    For a group that it supports in part, the instructions are named that it does not have or gets wrong. What it claims
    is not believed but compared: claims that the vectors disprove are reported.

    Exit status: 0; 1 if a claim is disproved; 2 if the runtime cannot be used.
    """
    from ...adapters.registry import choose
    from ..discovery import discover
    from ..suite import VECTORS, load_suite
    from ..workers import RuntimeBroken, WorkerPool

    (spec,) = (spec.allowing(timeout) for spec in choose([runtime], plugin_args))
    try:
        with WorkerPool(spec, 1, timeout) as pool:
            info = pool.open()
            suite = load_suite(paths or [VECTORS])
            found = discover(pool, info, suite.vectors)
    except RuntimeBroken as reason:
        raise Unusable(f"{spec.name}: its adapter failed: {reason}") from None
    if as_json:
        echo(json.dumps(document(spec.name, found, len(suite.vectors)), indent=2))
    else:
        _show(spec.name, found, len(suite.vectors))
    raise SystemExit(FAILED if found.disproved else OK)


def document(name: str, found: Discovery, vectors: int) -> dict[str, Any]:
    """Return what was found out as plain data, after ``schema/groups.schema.json``."""
    from ..results import identity

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
    return [{"instruction": name, "reason": found.reason, "vector": found.vector} for name, found in decisions.items()]


_STYLES = {"yes": "green", "partly": "yellow", "no": "red", "unknown": "magenta"}
_WORDS: dict[State, str] = {"missing": "does not have", "wrong": "gets wrong", "unknown": "could not be asked about"}


def _show(name: str, found: Discovery, vectors: int) -> None:

    from ..console import Console

    console = Console(highlight=False)
    say = console.say
    info = found.info
    say((name, "bold"), f" ({info.version}, {info.architecture}, {info.byte_order}-endian)")
    width = max(len(group) for group in found.groups)
    for group in found.groups.values():
        works = f"{len(group.of('works'))} of {len(group.instructions)} instructions"
        claimed = ", claimed" if group.name in (info.groups or ()) else ""
        say(f"  {group.name:{width}}  ", (f"{group.support:8}", _STYLES[group.support]), works, claimed)
        for state, words in _WORDS.items():
            for reason, instructions in _by_reason(group.of(state)):
                say(f"  {'':{width}}  {words}: ", (", ".join(instructions), "bold"), (f" ({reason})", "dim"))
    for group_name in found.disproved:
        say(("  disproved: ", "bold red"), f"it claims {group_name}, and the above is against it")
    if found.unclaimed:
        say("  more than it claims: ", ", ".join(found.unclaimed))
    say((f"  decided by {len(found.asked)} of {vectors} vectors", "dim"))


def _by_reason(decisions: Mapping[str, Decision]) -> Iterator[tuple[str, list[str]]]:
    """Yield reasons and the names of the instructions; reasons that begin with the same word are one."""
    found: dict[str, list[str]] = {}
    for name, decision in decisions.items():
        found.setdefault(decision.reason.partition(":")[0], []).append(name)
    for names in found.values():
        said = {decisions[name].reason for name in names}
        yield (said.pop() if len(said) == 1 else f"e.g. {decisions[names[0]].reason}"), names
