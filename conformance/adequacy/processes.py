# SPDX-License-Identifier: Apache-2.0
"""Doing tasks of some seconds each on several processors."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Generic, Self, TypeVar

from ..run.worker import leave_interrupts_to_parent

TaskT = TypeVar("TaskT")
DoneT = TypeVar("DoneT")


class Processes(Generic[TaskT, DoneT]):
    """Processes that do tasks; none but this one if there is to be one only.

    ``do`` does a task; where processes can be forked, all that ``prepare`` has made ready is shared.
    """

    def __init__(self, do: Callable[[TaskT], DoneT], prepare: Callable[[], object], number: int) -> None:
        self._do = do
        self._pool = None
        if number > 1:
            can_fork = sys.platform == "linux"
            if can_fork:
                prepare()
            context = multiprocessing.get_context("fork" if can_fork else "spawn")
            self._pool = context.Pool(number, leave_interrupts_to_parent)

    def run(self, tasks: Sequence[TaskT]) -> Iterator[DoneT]:
        """Do ``tasks`` and yield their results as they come, in no order."""
        if self._pool is None:
            return map(self._do, tasks)
        return self._pool.imap_unordered(self._do, tasks)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.terminate()
            self._pool.join()
