# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa smoke``: check that a command speaks the batch protocol."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from ...spec.output import write_json
from .failing import FAILED, Unusable, check_writable
from .options import json_option, say

FORMAT, FORMAT_VERSION = "bpf-isa-smoke", 1


@click.command(short_help="Check that a command speaks the batch protocol.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--timeout", type=click.FloatRange(0.1), default=10.0, show_default=True, help="Seconds for an answer.")
@json_option("what came of each demand")
def smoke(command: tuple[str, ...], timeout: float, json_file: Path | None) -> None:
    """Check that COMMAND speaks the batch protocol: it is asked in JSON Lines, and answers each program in its order.

    COMMAND is one text as a shell would read it, or several words, behind -- if any of them begins with -. One line per
    demand; exit status 0 if all are met, 1 if some are not, 2 if COMMAND cannot be executed.
    """
    from ...adapters.batch.smoke import smoke as check
    from ...adapters.processes.settings import Settings, find_program

    try:
        words = shlex.split(command[0]) if len(command) == 1 else list(command)
    except ValueError as error:
        raise Unusable(f"{command[0]!r}: {error}") from None
    if not words:
        raise Unusable("the command is empty: give one, as in bpf-isa smoke './runtime --batch'")
    check_writable(json_file)
    found = []
    words[0] = find_program(words[0], None)
    for finding in check(words, Settings(timeout=timeout)):
        mark = "FAIL" if finding.problem else "note" if finding.note else "ok  "
        text = finding.problem or finding.note
        say(f"{mark}  {finding.demand}" + (f": {text}" if text else ""), json_file)
        found.append(finding)
    missed = sum(finding.problem is not None for finding in found)
    if json_file is not None:
        head = {"format": FORMAT, "version": FORMAT_VERSION, "command": words, "missed": missed}
        demands = [{**one._asdict(), "met": one.problem is None} for one in found]
        write_json({**head, "demands": demands}, json_file, indent=2)
    if missed:
        say(f"{missed} {'demand is' if missed == 1 else 'demands are'} not met", json_file)
        raise SystemExit(FAILED)
