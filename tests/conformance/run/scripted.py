# SPDX-License-Identifier: Apache-2.0
"""A runtime that answers jobs as a function says, in the worker that opens it."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn, Self

from bpf_isa.adapters.closing import Closing
from bpf_isa.adapters.protocol import Adapter, Job, Outcome, OutcomeKind, RuntimeInfo

INFO = RuntimeInfo("scripted", "1", "unknown", "none", "little", None, frozenset({"r0"}))


def job(number: int) -> Job:
    return Job(f"job-{number}", b"", "little", frozenset(), frozenset({"r0"}))


def jobs(number: int) -> list[Job]:
    return [job(at) for at in range(number)]


def number(one: Job) -> int:
    return int(one.id.partition("-")[2])


def echo(one: Job) -> Outcome:
    return Outcome(OutcomeKind.RETURNED, r0=number(one))


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def hang() -> NoReturn:
    while True:
        signal.pause()


class Log:
    """Lines that any process may add."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()

    def note(self, line: object) -> None:
        with self._path.open("a") as stream:
            stream.write(f"{line}\n")

    def lines(self) -> list[str]:
        return self._path.read_text().splitlines()


class _Scripted(Closing):
    def __init__(self, script: "Script") -> None:
        self._script = script

    def info(self) -> RuntimeInfo:
        return INFO

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        return self._script.run(jobs)

    def close(self) -> None:
        self._script.closing()


def _nothing() -> None: ...


@dataclass(frozen=True)
class Script:
    """``answer`` is asked for each job, ``factor`` is how much more time than usual it was given."""

    answer: Callable[[Job], Outcome] = echo
    opening: Callable[[], None] = _nothing
    closing: Callable[[], None] = _nothing
    factor: float = 1
    name: str = "it"

    def open(self) -> Adapter:
        self.opening()
        return _Scripted(self)

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        return map(self.answer, jobs)

    @property
    def boots(self) -> bool:
        return False

    @property
    def interpreter(self) -> Self | None:
        return None

    def patience(self, timeout: float) -> float:
        return timeout

    def with_patience(self, factor: float) -> Self:
        return replace(self, factor=factor)
