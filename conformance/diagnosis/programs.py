# SPDX-License-Identifier: Apache-2.0
"""Which instructions the result of a vector is evidence about."""

from __future__ import annotations

from ...spec.encoding import ByteOrder
from ..run.runner import Result
from ..run.verdict import Verdict
from ..suite.instructions import names_in
from .malformed import closest, taken_for


def rows_of(result: Result, byte_order: ByteOrder) -> frozenset[str]:
    """Return the names of the rows of a vector's program; of one that must not run, those it may be taken for.

    Empty if there is none to name: the program is too long for results, what is wrong with it is no instruction, or it
    is about what other programs leave behind.
    """
    vector = result.vector
    if vector.little.expect.steady:
        return frozenset()
    if not vector.little.expect.rejected:
        return names_in(vector.little.code)
    if result.judgement.verdict is Verdict.FAIL:
        return taken_for(vector, result.outcome, byte_order)
    return closest(vector.little.code)
