# SPDX-License-Identifier: Apache-2.0
"""How a run of a program came to its end: a word that the keeper and its clients have in common."""

from __future__ import annotations

from enum import IntEnum


class Ending(IntEnum):
    """How a run of a program came to its end."""

    ENDED = 0  # by itself, or by a signal that nobody here sent
    NOT_STARTED = 1  # it could not be executed
    # In the other cases it was killed with all that it had started:
    TIMED_OUT = 2  # when its time was up
    OVERSIZED = 3  # because it wrote too much to standard output
    CROWDED = 4  # because too many of its processes ran at once
    FILLED = 5  # because it wrote too much, to whatever it was
    ABANDONED = 6  # because the keeper was killed or stopped
