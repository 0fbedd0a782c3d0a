# SPDX-License-Identifier: Apache-2.0
"""Which vectors to run: expressions over ids, conformance groups, sections of the RFC."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import TypeAlias

from ..spec.errors import InputError
from ..spec.requirements import load_requirements
from ..spec.table import isa
from .model import Vector

Test: TypeAlias = Callable[[Vector], bool]
#: Each 'not' and each parenthesis may stand inside the one before; Python's stack is not endless.
_DEEPEST = 50
_TOKEN = re.compile(r"\s*(\(|\)|[^\s()]+)")


class SelectionError(InputError):
    """A selection that cannot be understood, or that names what does not exist."""


def by_expression(text: str) -> Test:
    """Return the test that ``text`` describes: words with ``and``, ``or``, ``not`` and parentheses.

    A word is true of a vector whose id contains it; one with ``*``, ``?`` or ``[`` must match the whole id.

    Raises:
        SelectionError: the expression is incomplete, or nested too deeply.
    """
    tokens = [found[1] for found in _TOKEN.finditer(text)]
    if sum(token in {"not", "("} for token in tokens) > _DEEPEST:
        raise SelectionError(f"-k: more than {_DEEPEST} times 'not' or '('")
    tokens.reverse()
    test = _either(tokens, text)
    if tokens:
        raise SelectionError(f"-k {text!r}: expected 'and', 'or' or the end, found {tokens[-1]!r}")
    return test


def _either(tokens: list[str], text: str) -> Test:
    tests = [_all(tokens, text)]
    while tokens and tokens[-1] == "or":
        tokens.pop()
        tests.append(_all(tokens, text))
    return lambda vector: any(test(vector) for test in tests)


def _all(tokens: list[str], text: str) -> Test:
    tests = [_one(tokens, text)]
    while tokens and tokens[-1] == "and":
        tokens.pop()
        tests.append(_one(tokens, text))
    return lambda vector: all(test(vector) for test in tests)


def _one(tokens: list[str], text: str) -> Test:
    if not tokens or tokens[-1] in {"and", "or", ")"}:
        found = repr(tokens[-1]) if tokens else "the end"
        raise SelectionError(f"-k {text!r}: expected a word, 'not' or '(', found {found}")
    token = tokens.pop()
    if token == "not":
        inner = _one(tokens, text)
        return lambda vector: not inner(vector)
    if token == "(":
        inner = _either(tokens, text)
        if not tokens or tokens.pop() != ")":
            raise SelectionError(f"-k {text!r}: a parenthesis is not closed")
        return inner
    if any(mark in token for mark in "*?["):
        return lambda vector: fnmatchcase(vector.id, token)
    return lambda vector: token in vector.id


def by_groups(names: Iterable[str]) -> Test:
    """Return the test for vectors that are counted under one of the conformance groups ``names``.

    Raises:
        SelectionError: a name is no conformance group.
    """
    wanted = frozenset(names)
    known = isa().groups
    if unknown := wanted - known.keys():
        raise SelectionError(f"--group {min(unknown)}: the conformance groups are {', '.join(known)}")
    return lambda vector: not wanted.isdisjoint(vector.reported)


def by_sections(names: Iterable[str]) -> Test:
    """Return the test for vectors that cover a requirement of one of the sections ``names``, or of one below them.

    Raises:
        SelectionError: no requirement is of that section.
    """
    requirements = load_requirements()
    covering: set[str] = set()
    for name in names:
        section = name.rstrip(".")
        below = {
            item.id
            for item in requirements.values()
            if item.section == section or item.section.startswith(f"{section}.")
        }
        if not below:
            known = ", ".join(dict.fromkeys(item.section for item in requirements.values()))
            raise SelectionError(f"--section {name}: no requirement is of this section; sections are {known}")
        covering |= below
    return lambda vector: not covering.isdisjoint(vector.entry.covers)
