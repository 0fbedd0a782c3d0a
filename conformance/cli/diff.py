# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa diff``: what changed between two runtimes, or two versions of one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...spec.output import write_json
from .failing import FAILED, OK
from .options import ON_DISK, console_beside, json_option

if TYPE_CHECKING:
    from ..results.diff import Change, Comparison, Side
    from ..terminal.console import Console

FORMAT, FORMAT_VERSION = "bpf-isa-diff", 1
#: How many vectors of a kind are shown unless all are asked for.
_SHOWN = 20


@click.command(short_help="Show what changed between two runtimes, or two versions of one.")
@click.argument("before", type=ON_DISK)
@click.argument("after", type=ON_DISK)
@click.option("--from", "first", metavar="NAME", help="Runtime of BEFORE.")
@click.option("--to", "second", metavar="NAME", help="Runtime of AFTER.")
@json_option("all changes")
@click.option("-v", "--verbose", is_flag=True, help="Show all vectors, however many there are.")
def diff(
    before: Path, after: Path, first: str | None, second: str | None, json_file: Path | None, verbose: bool
) -> None:
    """Compare two files of results, by vector and by requirement.

    Runtimes with the same name are compared with each other, or those that --from and --to name: BEFORE and AFTER can
    be the same file. Results of different tiers are refused. Times do not count, and neither do the words in
    which a runtime says no.

    Exit status: 0 if nothing changed, 1 if something did, 2 if a file cannot be used.
    """
    from ..results.diff import pair
    from ..results.document import only_tier, read, tier_of

    old, new = read(before), read(after)
    tier = only_tier(((before, tier_of(old)), (after, tier_of(new))))
    pairs = list(pair((str(before), old), (str(after), new), first, second))
    if json_file is not None:
        comparisons = [_plain(one) for one in pairs]
        data = {"format": FORMAT, "version": FORMAT_VERSION, "tier": tier, "comparisons": comparisons}
        write_json(data, json_file, indent=2)
    console = console_beside(json_file)
    for one in pairs:
        _show(one, tier, console, None if verbose else _SHOWN)
    raise SystemExit(FAILED if any(one.changes for one in pairs) else OK)


def _plain(one: Comparison) -> dict[str, Any]:
    return {
        "before": _plain_side(one.before),
        "after": _plain_side(one.after),
        "same_suite": one.same_suite,
        "common": one.common,
        "changes": [
            {
                "vector": change.vector,
                "covers": list(change.covers),
                "before": _plain_result(change.before),
                "after": _plain_result(change.after),
            }
            for change in one.changes
        ],
        "requirements": {
            name: [{"before": before, "after": after, "vectors": number} for (before, after), number in counts.items()]
            for name, counts in one.by_requirement.items()
        },
    }


def _plain_side(side: Side) -> dict[str, Any]:
    return {"file": side.label, "runtime": side.runtime["name"], "version": side.runtime["identity"]["version"]}


def _plain_result(result: dict[str, Any] | None) -> dict[str, Any] | None:
    if result is None:
        return None
    return {name: value for name, value in result.items() if name in {"verdict", "failure", "reason", "differences"}}


def _show(one: Comparison, tier: str, console: Console, most: int | None) -> None:
    from ..suite.tier import Tier

    say = console.say
    of = f" of tier {tier}" if tier != Tier.FULL else ""
    changed = f": {len(one.changes)} of {one.common} vectors{of} changed"
    say((f"{_name(one.before)} -> {_name(one.after)}", "bold"), changed)
    if not one.same_suite:
        say(("the suites differ", "yellow"), ": vectors that only one of them has are absent from the other")
    for side in (one.before, one.after):
        if not side.runtime["complete"]:
            say(("partial", "yellow"), f": the run of {_name(side)} was interrupted")
    for transition, changes in one.transitions.items():
        say("")
        say((_headline(*transition), "bold"), f": {len(changes)}")
        for change in changes[:most]:
            say("  ", (change.vector, "bold"))
            for line in _lines(change):
                say("      ", line)
        if most is not None and len(changes) > most:
            say(f"  ... {len(changes) - most} more; -v shows them")
    if one.by_requirement:
        say("")
        say(("by requirement", "bold"))
        for name, counts in one.by_requirement.items():
            transitions = ", ".join(f"{number} {_headline(*transition)}" for transition, number in counts.items())
            say(f"  {name}: {transitions}")


def _headline(before: str, after: str) -> str:
    return f"{before}, in another way" if before == after else f"{before} -> {after}"


def _name(side: Side) -> str:
    return f"{side.runtime['name']} {side.runtime['identity']['version']}"


def _lines(change: Change) -> list[str]:
    from ...adapters.protocol import Reason
    from ..results.recorded import difference

    lines = []
    for label, result in (("before", change.before), ("after", change.after)):
        if result is not None and result["verdict"] != "pass":
            found = [(item.name, *item.shown) for item in map(difference, result.get("differences", ()))]
            shown = "; ".join(f"{name}: expected {expected}, got {got}" for name, expected, got in found)
            why = shown or str(Reason(**result["reason"]))
            lines.append(f"{label:7} {result.get('failure') or result['verdict']}: {why}")
    return lines
