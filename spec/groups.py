# SPDX-License-Identifier: Apache-2.0
"""Conformance groups (RFC 9669 section 2.4): what a program needs, and what a runtime that claims groups supports."""

from __future__ import annotations

from collections.abc import Iterable

from .encoding import Decoded
from .table import Isa, isa

#: Groups that nearly every program uses: a program is counted under them only if it needs no other.
FOUNDATION = ("base64", "base32")


def closure(groups: Iterable[str], table: Isa | None = None) -> frozenset[str]:
    """Return ``groups`` with all that they include; base32 is always supported.

    Raises:
        KeyError: a name is no conformance group.
    """
    includes = (table or isa()).groups
    found = {"base32"}
    todo = list(groups)
    while todo:
        group = todo.pop()
        if group not in found:
            found.add(group)
            todo += includes[group]
    return frozenset(found)


def asked(claimed: Iterable[str] | None, table: Isa | None = None) -> frozenset[str]:
    """Return the groups about which a runtime is asked: those that it ``claimed``, with all that they include.

    One that claims nothing (None) is asked about all but those whose instructions do what each implementation likes.

    Raises:
        KeyError: a name is no conformance group.
    """
    table = table or isa()
    return frozenset(table.groups) - table.implementation_specific if claimed is None else closure(claimed, table)


def required(program: Iterable[Decoded | None], table: Isa | None = None) -> frozenset[str]:
    """Return the smallest set of groups whose closure has every instruction of ``program``."""
    found: set[str] = set()
    for item in program:
        if item is not None:
            found |= item.instruction.groups
    return minimal(found or {"base32"}, table)


def minimal(groups: Iterable[str], table: Isa | None = None) -> frozenset[str]:
    """Return ``groups`` without those that another of them includes."""
    groups = frozenset(groups)
    includes = (table or isa()).groups
    included = frozenset().union(*(closure(includes[group], table) for group in groups))
    return groups - included or frozenset({"base32"})


def reported(groups: Iterable[str]) -> frozenset[str]:
    """Return the groups under which a program that needs ``groups`` is counted.

    A program that tests 64-bit atomics is made of base64 instructions too: it tells about atomic64, not base64.
    """
    special = frozenset(groups) - frozenset(FOUNDATION)
    return special or frozenset(groups)
