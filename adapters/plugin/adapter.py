# SPDX-License-Identifier: Apache-2.0
"""Runs each job in a new process of a plugin."""

from __future__ import annotations

import hashlib
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ...spec.asm.assemble import assemble
from ..closing import Closing
from ..needs import missing_platform
from ..processes.client import Launcher
from ..processes.ending import Ending
from ..processes.evidence import last_line
from ..processes.settings import Settings, find_program, why_not_started
from ..protocol import Engine, Job, Outcome, OutcomeKind, Reason, RuntimeInfo, Unavailable
from .outcome import outcome_of

#: The kernel's limit for one argument of a new program, without the NUL at its end.
LONGEST_ARGUMENT = 32 * os.sysconf("SC_PAGESIZE") - 1
#: A shell's exit statuses for a command that cannot be executed, or is not found; the dynamic loader's as well.
_NOT_EXECUTED = {126, 127}
#: The smallest program, of base32, to check that the plugin starts.
_SMALLEST = assemble("w0 = 0\nexit", sys.byteorder)


class PluginAdapter(Closing):
    """A plugin.

    Args:
        command: ``PATH``, or ``PATH:ARGUMENTS`` if ``args`` are not given otherwise; arguments as in a shell.
        options: fields of :class:`..processes.settings.Settings`.

    Raises:
        Unavailable: it cannot be executed.
    """

    def __init__(self, command: str = "", **options: Any) -> None:
        path, arguments = (command, None) if "args" in options else split_command(command)
        if arguments is not None:
            options["args"] = arguments
        self._settings = Settings(**options)
        if not path:
            raise Unavailable("no plugin is named: give its path, as in plugin:./ubpf_plugin")
        self._program = find_program(path, self._settings.folder)
        self._launcher = Launcher(self._settings.limits, self._settings.folder, self._settings.environment)
        try:
            self._try()
        except Unavailable:
            self._launcher.close()
            raise

    def _try(self) -> None:
        """Start the plugin once; its result is ignored."""
        ended = self._launcher.run(self._command(None), _text(_SMALLEST))
        if ended.ending is Ending.NOT_STARTED:
            raise Unavailable(f"{self._program}: {why_not_started(ended.status)}")
        if ended.ending is Ending.ENDED and ended.signal is None and ended.exit_status in _NOT_EXECUTED:
            said = last_line(ended.errors) or f"exit status {ended.exit_status}"
            raise Unavailable(f"{self._program}: it does not start: {said}")

    def info(self) -> RuntimeInfo:
        """Return the identity of the plugin as far as it is known; the protocol has no request for it."""
        settings = self._settings
        return RuntimeInfo(
            name=" ".join([Path(self._program).name, *map(shlex.quote, settings.args)]),
            version=settings.version or self._digest,
            engine=settings.engine or _engine(settings.args),
            architecture=settings.machine,
            byte_order=settings.byte_order,
            groups=settings.claimed,
            observes=frozenset({"r0"}),
        )

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Run ``jobs``; see :class:`..protocol.Adapter`."""
        for job in jobs:
            yield self._run(job)

    def _run(self, job: Job) -> Outcome:
        reason = _cannot_carry(job)
        if reason is not None:
            return Outcome(OutcomeKind.UNSUPPORTED, reason=reason)
        ended = self._launcher.run(self._command(job.memory), _text(job.code))
        if ended.ending is Ending.NOT_STARTED:
            raise OSError(ended.status, why_not_started(ended.status), self._program)
        return outcome_of(ended, self._settings.limits)

    def _command(self, memory: bytes | None) -> list[str]:
        if memory or self._settings.empty_memory:
            return [self._program, (memory or b"").hex(" "), *self._settings.args]
        return [self._program, *self._settings.args]

    @cached_property
    def _digest(self) -> str:
        """The identity of the executable if its version is unknown."""
        return "sha256:" + hashlib.sha256(Path(self._program).read_bytes()).hexdigest()[:16]

    def close(self) -> None:
        """End the keeper."""
        self._launcher.close()


def split_command(command: str) -> tuple[str, tuple[str, ...] | None]:
    """Return path and arguments of ``PATH:ARGUMENTS``; the arguments are None where there is no colon.

    Raises:
        ValueError: a quotation in the arguments does not end.
    """
    path, colon, arguments = command.partition(":")
    return path, tuple(shlex.split(arguments)) if colon else None


def _text(code: bytes) -> bytes:
    """Return a program as plugins read it: some read only the first line, some require blanks between bytes."""
    return code.hex(" ").encode() + b"\n"


def _cannot_carry(job: Job) -> Reason | None:
    """Return the reason if the protocol cannot represent a job."""
    missing = missing_platform(job)
    if missing:
        text = f"the plugin protocol has no {' and no '.join(sorted(missing))}"
        return Reason("protocol", text, "harness")
    if job.memory and 3 * len(job.memory) - 1 > LONGEST_ARGUMENT:
        text = f"{len(job.memory)} bytes of memory in hex do not fit into an argument of a program"
        return Reason("protocol", text, "harness")
    return None


def _engine(arguments: Sequence[str]) -> Engine:
    """Return the engine from common options of plugins."""
    if "--jit" in arguments:
        return "jit"
    return "interpreter" if "--interpret" in arguments else "unknown"
