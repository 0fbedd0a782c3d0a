# SPDX-License-Identifier: Apache-2.0
"""Runs jobs in one process of a runtime; if it dies, the current job is the cause, and a new process runs the rest."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any

from ...spec.table import isa
from ..closing import Closing
from ..needs import missing_platform
from ..processes.settings import Settings, find_program
from ..protocol import Blames, Job, Outcome, OutcomeKind, Reason, RuntimeInfo, Unavailable
from .conversation import Broken, Conversation, Trouble

_PROVIDED = {"maps": "maps", "variables": "platform variables", "helpers": "helper functions"}
#: Prefixes of a runtime's reason codes that blame no instruction.
_OF_THE_PLATFORM = frozenset({"platform", "policy"})
_TROUBLE = {
    Trouble.DIED: OutcomeKind.CRASHED,
    Trouble.SILENT: OutcomeKind.TIMED_OUT,
    Trouble.WRONG: OutcomeKind.CRASHED,
}


class BatchAdapter(Closing):
    """A runtime that implements the batch protocol.

    Args:
        command: as a shell would read it, or its words.
        options: fields of :class:`..processes.settings.Settings`.

    Raises:
        Unavailable: it cannot be executed, or violates the protocol at the start.
    """

    def __init__(self, command: str | Sequence[str], **options: Any) -> None:
        self._settings = Settings(**options)
        words = shlex.split(command) if isinstance(command, str) else command
        if not words:
            raise Unavailable("no command is given, as in batch:'./runtime --batch'")
        program = find_program(words[0], self._settings.folder)
        self._command = [program, *words[1:], *self._settings.args]
        self._next = 0
        try:
            conversation = Conversation(self._command, self._settings)
        except Broken as broken:
            raise Unavailable(f"{shlex.join(self._command)}: {broken.reason}") from None
        try:
            self._info = identity_of(conversation.identity, self._settings)
        except Unavailable:
            conversation.close()
            raise
        provided = conversation.identity.get("provides", ())
        self._missing = {name for key, name in _PROVIDED.items() if key not in provided}
        self._conversation: Conversation | None = conversation

    def info(self) -> RuntimeInfo:
        """Return the identity that the runtime reported."""
        return self._info

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Run ``jobs``; see :class:`..protocol.Adapter`."""
        for job in jobs:
            missing = missing_platform(job) & self._missing
            if missing:
                text = f"it provides no {' and no '.join(sorted(missing))}"
                yield Outcome(OutcomeKind.UNSUPPORTED, reason=Reason("platform", text, "platform"))
            else:
                yield self._run(job)

    def _run(self, job: Job) -> Outcome:
        if self._conversation is None:
            self._conversation = self._restart()
        start = perf_counter()
        try:
            answer = self._conversation.ask(self._question(job))
        except Broken as broken:
            self._conversation.close()
            self._conversation = None
            return Outcome(_TROUBLE[broken.trouble], reason=broken.reason, seconds=perf_counter() - start)
        return _outcome(answer, perf_counter() - start)

    def _restart(self) -> Conversation:
        try:
            return Conversation(self._command, self._settings)
        except Broken as broken:
            raise OSError(f"{shlex.join(self._command)} does not start again: {broken.reason}") from None

    def _question(self, job: Job) -> dict[str, Any]:
        self._next += 1
        question: dict[str, Any] = {
            "cmd": "run",
            "seq": self._next,
            "id": job.id,
            "program": job.code.hex(),
            "memory": None if job.memory is None else job.memory.hex(),
        }
        if job.maps:
            question["maps"] = [item.value.hex() for item in job.maps]
        if job.variables:
            question["variables"] = [{"number": item.number, "value": item.value.hex()} for item in job.variables]
        if job.helpers:
            question["helpers"] = [item._asdict() for item in job.helpers]
        return question

    def close(self) -> None:
        """Send ``stop``, and end the process."""
        if self._conversation is not None:
            self._conversation.stop()
            self._conversation.close()
            self._conversation = None


def identity_of(said: dict[str, Any], settings: Settings) -> RuntimeInfo:
    """Return the identity that a runtime reported.

    Raises:
        Unavailable: it claims groups that do not exist.
    """
    claimed = said.get("groups")
    unknown = sorted(set(claimed or ()) - isa().groups.keys())
    if unknown:
        raise Unavailable(f"{said['name']} claims {unknown[0]!r}, which is none of {', '.join(isa().groups)}")
    return RuntimeInfo(
        name=said["name"],
        version=said["version"],
        engine=said.get("engine", "unknown"),
        architecture=said.get("architecture") or settings.machine,
        byte_order=said["byte_order"],
        groups=None if claimed is None else frozenset(claimed),
        observes=frozenset({"r0", *said.get("observes", ())}),
    )


def _outcome(answer: dict[str, Any], seconds: float) -> Outcome:
    kind = OutcomeKind(answer["outcome"])
    if kind is not OutcomeKind.RETURNED:
        reason = Reason.parse(answer["reason"] or "it gives no reason")
        code = reason.code or "runtime"
        blames: Blames = "platform" if code.partition(".")[0] in _OF_THE_PLATFORM else "instruction"
        return Outcome(kind, reason=Reason(code, reason.text, blames), seconds=seconds)
    registers = answer.get("registers")
    memory = answer.get("memory")
    return Outcome(
        kind,
        r0=int(answer["r0"], 16),
        registers=None if registers is None else {name: int(value, 16) for name, value in registers.items()},
        memory=None if memory is None else bytes.fromhex(memory),
        seconds=seconds,
    )
