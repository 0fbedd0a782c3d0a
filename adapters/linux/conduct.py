# SPDX-License-Identifier: Apache-2.0
"""Has guests make prepared calls, until there is an answer to each or it is known which one ended a guest."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Protocol

from ...spec.encoding import ByteOrder
from ..protocol import Outcome, OutcomeKind, Reason
from .packed import ABOUT_MACHINE, END, NotPacked, answer

#: How often guests may end without anything new being known.
_MOST_IDLE = 3


class Died(Exception):
    """A guest that ended before its work was done.

    Args:
        kind: what the job that it was at made of it.
        reason: what was seen of that.
    """

    def __init__(self, kind: OutcomeKind, reason: Reason) -> None:
        super().__init__(str(reason))
        self.kind, self.reason = kind, reason


class Guest(Protocol):
    """Where calls are made."""

    @property
    def byte_order(self) -> ByteOrder:
        """The byte order of jobs and answers."""

    def run(self, jobs: Sequence[bytes]) -> Generator[bytes, None, None]:
        """Start a guest with packed ``jobs`` and yield the lines that it writes, until it has ended.

        Closing the generator ends the guest.

        Raises:
            Died: it ended early.
        """


class Lost(OSError):
    """Guests end time and again, and no job is to blame."""


def conduct(
    guest: Guest, jobs: Sequence[bytes], machine: list[bytes] | None = None
) -> Generator[bytes | Outcome, None, None]:
    """Yield for each of ``jobs`` what the guest answers, or the outcome if the guest did not survive it.

    Guests answer in the order of the jobs, so that the first one without an answer is to blame. Another guest is
    started for those behind it, and for those whose answers were damaged on their way. What guests say about their
    machines is added to ``machine``.

    Raises:
        Lost: nothing more can be learnt.
        Died: a guest said nothing at all.
    """
    answers: dict[int, bytes | Outcome] = {}
    pending = list(range(len(jobs)))
    given = idle = 0
    while pending:
        asked = _Asked(pending, guest.byte_order)
        try:
            with closing(guest.run([jobs[index] for index in pending])) as lines:
                for line in lines:
                    asked.hear(line, answers, machine)
                    while given in answers:
                        yield answers.pop(given)
                        given += 1
        except Died as death:
            if not asked.introduced:
                raise
            if asked.next < len(pending):
                answers[pending[asked.next]] = Outcome(death.kind, reason=death.reason)
        left = [index for index in pending if index >= given and index not in answers]
        idle = idle + 1 if len(left) == len(pending) else 0
        if idle == _MOST_IDLE:
            raise Lost(f"{_MOST_IDLE} guests in a row ended without an answer that could be read")
        pending = left
    while given in answers:
        yield answers.pop(given)
        given += 1


class _Asked:
    """The jobs that one guest is given; ``next`` is the position of the one that it is at."""

    def __init__(self, jobs: Sequence[int], byte_order: ByteOrder) -> None:
        self._jobs, self._byte_order = jobs, byte_order
        self.introduced = False
        self.next = 0

    def hear(self, line: bytes, answers: dict[int, bytes | Outcome], machine: list[bytes] | None) -> None:
        """Take note of a line."""
        try:
            number, content = answer(line, self._byte_order)
        except NotPacked:
            return
        self.introduced = True
        if number == ABOUT_MACHINE and machine is not None:
            machine.append(content)
        elif number == END:
            self.next = len(self._jobs)
        elif number < len(self._jobs):
            answers[self._jobs[number]] = content
            self.next = number + 1
