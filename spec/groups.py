# SPDX-License-Identifier: Apache-2.0
"""Conformance groups (RFC 9669 section 2.4): those that a program needs, and those that a claim includes."""

from __future__ import annotations

from collections.abc import Iterable

from .encoding import Decoded
from .table import Isa, isa

#: Groups that nearly every program uses: a program is counted under them only if it needs no others.
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
    """Return the groups that are tested on a runtime: those that it ``claimed``, with all that they include.

    Without a claim (None), all but the implementation-specific groups are tested.

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

    A program that tests 64-bit atomics also has base64 instructions, but its result is about atomic64.
    """
    special = frozenset(groups) - frozenset(FOUNDATION)
    return special or frozenset(groups)
