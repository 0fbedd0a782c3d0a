# SPDX-License-Identifier: Apache-2.0
"""Tasks that take some seconds each, run on several processors."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from ..run.worker import leave_interrupts_to_parent

TaskT = TypeVar("TaskT")
DoneT = TypeVar("DoneT")


class Run(Protocol):
    """A function that runs tasks."""

    def __call__(self, do: Callable[[TaskT], DoneT], tasks: Iterable[TaskT], /) -> Iterator[DoneT]:
        """Apply ``do`` to each of ``tasks``, and yield the results in any order."""


@contextmanager
def processes(number: int, prepare: Callable[[], object]) -> Iterator[Run]:
    """Start ``number`` processes, and give the function that runs tasks on them; if it is 1, in this process.

    The processes are forked after ``prepare``, so that they share the data that it computes.
    """
    if number == 1:
        yield map
        return
    prepare()
    with multiprocessing.get_context("fork").Pool(number, leave_interrupts_to_parent) as pool:
        yield pool.imap_unordered
