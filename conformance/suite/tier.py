# SPDX-License-Identifier: Apache-2.0
"""Tiers: small parts of the suite for runtimes on which all of it would take too long. docs/tiers.md says what for."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from pathlib import Path

from .model import Vector
from .select import SelectionError, Test

_FOLDER = Path(__file__).with_name("tiers")


class Tier(StrEnum):
    """How much of the suite is run."""

    SMOKE = "smoke"  # every instruction, for a first look
    QUICK = "quick"  # few vectors that notice nearly every fault that the suite notices
    FULL = "full"


def list_of(tier: Tier) -> Path:
    """Return the file with the ids of the vectors of a tier that is not all of the suite, one on each line."""
    return _FOLDER / f"{tier}.txt"


@cache
def members(tier: Tier) -> tuple[str, ...]:
    """Return the ids of the vectors of a tier that is not all of the suite, in the order of its list."""
    lines = list_of(tier).read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


def tier_named(name: str) -> Tier:
    """Return a tier.

    Raises:
        SelectionError: there is no such tier.
    """
    if name not in set(Tier):
        raise SelectionError(f"--tier {name}: the tiers are {', '.join(Tier)}")
    return Tier(name)


def check_own(name: str) -> None:
    """Refuse a tier of other vectors than those of this package, unless it is all of them.

    Raises:
        SelectionError: there is no such tier, or it is a part.
    """
    if tier_named(name) is not Tier.FULL:
        raise SelectionError(f"--tier {name} is a part of the suite of this package: leave out --vectors and --data")


def by_tier(name: str, suite: frozenset[str]) -> Test:
    """Return the test for vectors of the tier ``name``; ``suite`` are the ids of all vectors.

    Raises:
        SelectionError: there is no such tier, or a vector of it is not in the suite.
    """
    tier = tier_named(name)
    if tier is Tier.FULL:
        return lambda vector: True
    wanted = frozenset(members(tier))
    if missing := wanted - suite:
        advice = f"bpf-isa generate {name} makes the list anew"
        raise SelectionError(f"--tier {name}: {min(missing)} is no vector of the suite: {advice}")
    return lambda vector: vector.id in wanted


def selected(name: str, vectors: tuple[Vector, ...]) -> tuple[Vector, ...]:
    """Return those of all vectors of the suite that are in the tier ``name``.

    Raises:
        SelectionError: see :func:`by_tier`.
    """
    return tuple(filter(by_tier(name, frozenset(vector.id for vector in vectors)), vectors))
