# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa runtimes``: what can be tested, which of it works on this machine, and what the rest is lacking."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...spec.output import write_json
from . import words
from .failing import FAILED, OK
from .options import Word, console_beside, json_option

if TYPE_CHECKING:
    from ..run.discovery import Found


@click.command
@click.argument("names", nargs=-1, metavar="[[NAME=]KIND[:ARG]]...", type=Word(words.runtimes))
@json_option("the list")
def runtimes(names: tuple[str, ...], json_file: Path | None) -> None:
    """List the runtimes that can be tested on this machine.

    All kinds that need no argument are tried, and those that the project configures: in its pyproject.toml, below
    [tool.bpf-isa.runtimes], or in its bpf-isa.toml, below [runtimes]. Or the runtimes with the given NAMES, as
    `bpf-isa run -r` takes them. For one that does not work the reason is shown, and what to install or do. Without
    NAMES the last line says how runtimes that are programs are contained.

    Exit status: 0; 1 if a runtime that was named does not work; 2 if a name means nothing.
    """
    from ...adapters.processes.client import containment
    from ...adapters.registry import choose, configured_names, kinds
    from ..run.discovery import look

    alone = [name for name, kind in kinds().items() if not kind.needs]
    found = list(look(choose(names or [*alone, *configured_names()])))
    needy = {} if names else {name: kind for name, kind in kinds().items() if kind.needs}
    if json_file is not None:
        data = {
            "format": "bpf-isa-runtimes",
            "version": 1,
            "runtimes": [_plain(one) for one in found],
            "kinds": {name: {"summary": kind.summary, "needs": kind.needs or None} for name, kind in kinds().items()},
            "containment": containment().kind,
        }
        write_json(data, json_file, indent=2)
    console = console_beside(json_file)
    _show(found, console)
    for name, kind in needy.items():
        console.print(f"  {name}:{kind.needs}  {kind.summary}", markup=False, soft_wrap=True)
    if not names:
        console.print(f"Runtimes that are programs run {containment().where}.", markup=False, soft_wrap=True)
    raise SystemExit(FAILED if names and any(one.info is None for one in found) else OK)


def _plain(one: Found) -> dict[str, Any]:
    from ..results.document import identity

    spec = one.spec
    return {
        "name": spec.name,
        "kind": spec.kind,
        "argument": spec.argument,
        "works": one.info is not None,
        "problem": one.problem or None,
        "identity": None if one.info is None else identity(one.info),
    }


def _show(found: Sequence[Found], console: Any) -> None:
    from rich.text import Text

    from ...adapters.registry import kinds

    width = max((len(one.spec.name) for one in found), default=0)
    for one in found:
        head = Text.assemble(("  works  ", "green") if one.info else ("  no     ", "bold red"))
        head.append(f"{one.spec.name:{width}}  ", "bold")
        head.append(_identity(one) if one.info else one.problem, "" if one.info else "yellow")
        head.append(f"  ({kinds()[one.spec.kind].summary})", "dim")
        console.say(head)


def _identity(one: Found) -> str:
    info = one.info
    assert info is not None
    engine = "" if info.engine == "unknown" else f", {info.engine}"
    shows = ", ".join(name for name in ("r0", "registers", "memory") if name in info.observes)
    claims = "" if info.groups is None else f", claims {', '.join(sorted(info.groups))}"
    return f"{info.version}{engine}, {info.architecture}, {info.byte_order}-endian, shows {shows}{claims}"
