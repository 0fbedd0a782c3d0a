# SPDX-License-Identifier: Apache-2.0
"""How far a run is, for logs: a line now and then, where no bar can be shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event, Thread
from time import monotonic
from types import TracebackType
from typing import Self

from ...adapters.protocol import RuntimeInfo
from ..run.runner import Result
from ..run.verdict import Verdict

#: Seconds from line to line.
EVERY = 10.0


class Lines:
    """Prints every ten seconds how far a run is; an observer of its results.

    Args:
        say: prints a line.
        runtimes: their names, in the order in which they run.
        vectors: how many each is asked about.
        clock: the time in seconds.
        wait: waits for a number of seconds, and returns whether the run has ended before; a thread of its own calls it.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        runtimes: Sequence[str],
        vectors: int,
        *,
        clock: Callable[[], float] = monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._say, self._vectors, self._clock = say, vectors, clock
        self._ended = Event()
        self._wait = wait or self._ended.wait
        # All verdicts are there from the beginning: one thread counts while the other reads.
        self._verdicts = {name: Counter(dict.fromkeys(Verdict, 0)) for name in runtimes}
        self._current = runtimes[0]
        self._started = clock()
        self._thread = Thread(target=self.tell, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def opened(self, runtime: str, info: RuntimeInfo) -> None:
        """Take note of a runtime that is being tested from now on."""
        self._current = runtime

    def settled(self, runtime: str, result: Result) -> None:
        """Take note of a result."""
        self._verdicts[runtime][result.judgement.verdict] += 1
        self._current = runtime

    def tell(self) -> None:
        """Say how far the run is, until it has ended."""
        with suppress(OSError):  # nobody reads it any more
            while not self._wait(EVERY):
                self._say(self.line())

    def line(self) -> str:
        """Return how far the run is."""
        names = list(self._verdicts)
        at = names.index(self._current)
        if self._verdicts[names[at]].total() == self._vectors and at + 1 < len(names):
            at += 1  # which is being opened
        verdicts = self._verdicts[names[at]]
        of = f" (runtime {at + 1} of {len(names)})" if len(names) > 1 else ""
        parts = [f"{names[at]}{of}: {verdicts.total():,} of {self._vectors:,} vectors"]
        parts += [
            f"{verdicts[kind]:,} {kind.value}"
            for kind in (Verdict.FAIL, Verdict.ERROR, Verdict.UNSUPPORTED)
            if verdicts[kind]
        ]
        return f"{', '.join(parts)}, after {self._clock() - self._started:.0f} s"
