# SPDX-License-Identifier: Apache-2.0
"""How a run of a program ended, for the keeper and its clients."""

from __future__ import annotations

from enum import IntEnum


class Ending(IntEnum):
    """How a run of a program ended."""

    ENDED = 0  # by itself, or by a signal from elsewhere
    NOT_STARTED = 1  # it could not be executed
    # In the other cases it was killed with its descendants:
    TIMED_OUT = 2  # at its timeout
    OVERSIZED = 3  # because it wrote too much to standard output
    CROWDED = 4  # because too many of its processes ran at once
    FILLED = 5  # because it wrote too much to files or pipes
    ABANDONED = 6  # because the keeper was killed or stopped
