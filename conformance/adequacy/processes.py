# SPDX-License-Identifier: Apache-2.0
"""Tasks of some seconds each, on several processors."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from ..run.worker import leave_interrupts_to_parent

TaskT = TypeVar("TaskT")
DoneT = TypeVar("DoneT")


@contextmanager
def processes(
    do: Callable[[TaskT], DoneT], prepare: Callable[[], object], number: int
) -> Iterator[Callable[[Sequence[TaskT]], Iterable[DoneT]]]:
    """Start ``number`` processes, and give a function that does tasks and yields their results in any order.

    ``do`` does one task. The processes are forked, so that they share the data that ``prepare`` computes. If ``number``
    is 1, this process does the tasks.
    """
    if number == 1:
        yield partial(map, do)
        return
    prepare()
    with multiprocessing.get_context("fork").Pool(number, leave_interrupts_to_parent) as pool:
        yield partial(pool.imap_unordered, do)
