# SPDX-License-Identifier: Apache-2.0
"""Words that options take, for shells to complete: each with what it is, empty if its name says that."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TypeAlias

Words: TypeAlias = Iterator[tuple[str, str]]


def runtimes() -> Words:
    """Yield the kinds of runtimes, with a colon those that need an argument, and the configured runtimes."""
    from ...adapters.registry import SpecError, configured_names, kinds

    try:
        for name, kind in kinds().items():
            yield f"{name}:" if kind.needs else name, kind.summary
        for name in configured_names():
            yield name, "configured"
    except SpecError:  # the command will say so
        return


def groups() -> Words:
    """Yield the conformance groups."""
    from ...spec.table import isa

    for name in isa().groups:
        yield name, ""


def levels() -> Words:
    """Yield the levels of vectors."""
    from ..suite.model import Level

    for level in Level:
        yield level.value, ""


def tiers() -> Words:
    """Yield the tiers of the suite."""
    from ..suite.tier import Tier

    for tier in Tier:
        yield tier.value, ""


def sections() -> Words:
    """Yield the sections of RFC 9669 that demand something."""
    from ...spec.requirements import load_requirements

    for section in dict.fromkeys(item.section for item in load_requirements().values()):
        yield section, ""


def instructions() -> Words:
    """Yield the names of all instructions."""
    from ...spec.table import isa

    for row in isa().instructions:
        yield row.name, row.asm[0]


def historical_bugs() -> Words:
    """Yield the ids of the historical bugs that have a miniature."""
    from ...adapters.miniatures.museum import bugs

    for bug in bugs().values():
        if bug.miniature is not None:
            yield bug.id, bug.where


def subjects() -> Words:
    """Yield what the suite covers: instructions and requirements."""
    from ...spec.requirements import load_requirements

    requirements = ((item.id, " ".join(item.text.split())) for item in load_requirements().values())
    return chain(instructions(), requirements)


def formats() -> Words:
    """Yield the formats of reports."""
    from ..report.formats import FORMATS

    for name in FORMATS:
        yield name, ""


def rules() -> Words:
    """Yield the rules that vectors keep."""
    from ..lint.rules import RULES

    yield from RULES.items()
