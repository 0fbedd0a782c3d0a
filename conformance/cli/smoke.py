# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa smoke``: check that a command speaks the batch protocol."""

from __future__ import annotations

import shlex

import click

from .echo import echo
from .failing import FAILED, Unusable


@click.command(short_help="Check that a command speaks the batch protocol.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--timeout", type=click.FloatRange(0.1), default=10.0, show_default=True, help="Seconds for an answer.")
def smoke(command: tuple[str, ...], timeout: float) -> None:
    """Check that COMMAND speaks the batch protocol (docs/batch-protocol.md).

    COMMAND is one text as a shell would read it, or several words. One line per demand; exit status 0 if all are met,
    1 if some are not, 2 if COMMAND cannot be executed.
    """
    from ...adapters.batch.smoke import smoke as check
    from ...adapters.processes.settings import Settings, find_program

    try:
        words = shlex.split(command[0]) if len(command) == 1 else list(command)
    except ValueError as error:
        raise Unusable(f"{command[0]!r}: {error}") from None
    if not words:
        raise Unusable("the command is empty: give one, as in bpf-isa smoke './runtime --batch'")
    missed = 0
    words[0] = find_program(words[0], None)
    for finding in check(words, Settings(timeout=timeout)):
        mark = "FAIL" if finding.problem else "note" if finding.note else "ok  "
        text = finding.problem or finding.note
        echo(f"{mark}  {finding.demand}" + (f": {text}" if text else ""))
        missed += finding.problem is not None
    if missed:
        echo(f"{missed} {'demand is' if missed == 1 else 'demands are'} not met")
        raise SystemExit(FAILED)
