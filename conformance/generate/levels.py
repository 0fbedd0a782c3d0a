# SPDX-License-Identifier: Apache-2.0
"""The levels of generated vectors: no case has a higher level than what it relies on.

Only some cases of a draft may have operands for which readings of the RFC differ. These cases become a separate
vector, with the highest level that the errata allow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache

from ...spec.encoding import SLOT_BYTES
from ...spec.readings import other_readings
from ...spec.requirements import load_requirements
from ..lint.reliance import interpreted, reliances
from ..suite.model import Expectation, Level
from .draft import BYTE_ORDERS, Draft, DraftError, distinct, job, outcome


def with_levels(draft: Draft) -> Iterator[Draft]:
    """Yield ``draft``, or parts of it, with the levels and errata of the cases in them.

    Only cases with instructions that can be read in different ways are examined, and drafts with errata.

    Raises:
        DraftError: a case relies on what no erratum promises, or does not return.
    """
    if draft.rejected:
        yield draft
        return
    parts: dict[tuple[str, ...], dict[str, Mapping[str, str]]] = {}
    for name, values in distinct(draft.cases).items():
        parts.setdefault(tuple(sorted(_relied_on(draft, name))), {})[name] = values
    if draft.level != Level.MUST:
        more = {name for errata in parts for name in errata} - set(draft.errata)
        yield replace(draft, errata=(*draft.errata, *sorted(more)))
        return
    for errata, cases in parts.items():
        yield replace(
            draft,
            id="/".join([draft.id, *(errata if len(parts) > 1 else ())]),
            cases=cases,
            errata=errata,
            covers=draft.covers if errata else tuple(name for name in draft.covers if not _is_interpreted(name)),
        )


@cache
def _read_otherwise() -> frozenset[int]:
    """Return the opcodes of instructions that can be read in different ways."""
    return frozenset(row.opcode for rows in other_readings().values() for row in rows.values())


def _relied_on(draft: Draft, name: str) -> set[str]:
    """Return the errata that a case relies on, in either byte order."""
    errata: set[str] = set()
    for order in BYTE_ORDERS:
        asked = job(draft, name, order)
        if draft.level == Level.MUST and _read_otherwise().isdisjoint(asked.code[::SLOT_BYTES]):
            continue
        result = outcome(draft, asked)
        registers = {column: result.registers[int(column[1:])] for column in draft.observe if column != "after"}
        expect = Expectation(registers, result.memory if "after" in draft.observe else None)
        for what, erratum, level in reliances(asked, expect):
            if level is None:
                raise DraftError(f"{asked.id} ({order}-endian): it relies on {what}")
            errata.add(erratum)
    return errata


def _is_interpreted(requirement: str) -> bool:
    return interpreted(load_requirements()[requirement]) is not None
