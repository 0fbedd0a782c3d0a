# SPDX-License-Identifier: Apache-2.0
"""What a kernel says on its console about its end."""

from __future__ import annotations

import re
from collections.abc import Iterable

_BEGINNING = re.compile(
    r"Oops|BUG:|Kernel panic|Unable to handle|Internal error|general protection|Reserved instruction"
    r"|illegal operation|Unhandled|kernel BUG|Unexpected"
)
_TIME = re.compile(r"^\[ *\d+\.\d+\] ?")
#: The most lines that are told.
_LINES = 24


def oops(lines: Iterable[str]) -> str:
    """Return what a kernel said about its end, without times; empty if it said nothing."""
    said = list(lines)
    first = next((at for at, line in enumerate(said) if _BEGINNING.search(line)), len(said))
    return "\n".join(_TIME.sub("", line.rstrip()) for line in said[first : first + _LINES])
