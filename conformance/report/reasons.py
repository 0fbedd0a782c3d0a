# SPDX-License-Identifier: Apache-2.0
"""What was not run, and why: for each runtime the reasons, the most frequent first."""

from __future__ import annotations

from typing import NamedTuple

from .comparison import Comparison
from .data import reason_word
from .tally import ERROR, NOT_RUN, STATES, UNSUPPORTED, state


class Reason(NamedTuple):
    """A reason that several vectors were not run for; ``said`` is it in full for ``example``."""

    state: str
    word: str
    number: int
    example: str
    said: str


def reasons(comparison: Comparison) -> list[list[Reason]]:
    """Return for each column of a comparison why vectors gave no verdict on the runtime."""
    by_column: list[list[Reason]] = []
    for column in comparison.columns:
        found: dict[tuple[str, str], Reason] = {}
        for name in comparison.vectors:
            result = column.results.get(name)
            kind = state(result)
            if kind not in {UNSUPPORTED, ERROR, NOT_RUN}:
                continue
            key = STATES[kind], reason_word(result)
            said = str(result.judgement.reason) if result else "not selected for this run"
            known = found.get(key) or Reason(*key, 0, name, said)
            found[key] = known._replace(number=known.number + 1)
        by_column.append(sorted(found.values(), key=lambda reason: -reason.number))
    return by_column
