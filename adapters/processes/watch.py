# SPDX-License-Identifier: Apache-2.0
"""Resource use of the descendants of this process, from ``/proc``: their number and the bytes they have written."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from time import monotonic

from .ending import Ending

#: Seconds between two checks; longer if the checks take more than a fiftieth of the time.
PAUSE, _RARELY = 0.2, 50
_WRITTEN = re.compile(r"^(?:wchar|write_bytes): (\d+)$", re.MULTILINE)


def children() -> list[int]:
    """Return the children of this process, including zombies, which only their parent reaps."""
    try:
        # Fast, but not every kernel has this file.
        return [int(name) for name in _children("self")]
    except FileNotFoundError:
        return _search(os.getpid())


def _children(process: str) -> list[str]:
    """Return the children of a process, as names in ``/proc``.

    Raises:
        OSError: the process has ended, or the kernel does not have this file.
    """
    tasks = Path("/proc", process, "task").iterdir()
    return " ".join(task.joinpath("children").read_text(encoding="ascii") for task in tasks).split()


def _search(parent: int) -> list[int]:
    """Return the children of ``parent``, by a search of all processes."""
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - only the names are needed, thousands of times
        if name.isdigit():
            with suppress(OSError):
                stat = Path("/proc", name, "stat").read_text(encoding="utf-8", errors="replace")
                # The second field, the program's name in parentheses, may hold anything.
                if int(stat.rpartition(")")[2].split()[1]) == parent:
                    found.append(int(name))
    return found


class Watch:
    """Watches processes that this one starts from now on, if the kernel has the files.

    Args:
        processes: how many may run at once.
        written: bytes that all of them together may write, to files, pipes or whatever it is.
    """

    def __init__(self, processes: int, written: int) -> None:
        self._processes, self._written = processes, written
        self._before = _written(["self"])
        self.pause = PAUSE

    def look(self) -> Ending | None:
        """Return the exceeded limit, if any."""
        start = monotonic()
        names = ["self"]
        for name in names:
            with suppress(OSError):
                names += _children(name)
            if len(names) > self._processes:
                return Ending.CROWDED
        # The counters of a process are added to those of its parent when it is reaped.
        written = _written(names)
        self.pause = max(PAUSE, _RARELY * (monotonic() - start))
        return Ending.FILLED if max(a - b for a, b in zip(written, self._before, strict=True)) > self._written else None


def _written(names: Iterable[str]) -> tuple[int, int]:
    """Return the number of bytes passed to write(2) and similar calls, and of bytes written to disks."""
    handed = to_disks = 0
    for name in names:
        # Not every kernel counts, and the counts of other users' processes may not be read.
        with suppress(OSError):
            one, other = _WRITTEN.findall(Path("/proc", name, "io").read_text(encoding="ascii"))
            handed += int(one)
            to_disks += int(other)
    return handed, to_disks
