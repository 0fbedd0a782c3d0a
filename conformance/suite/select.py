# SPDX-License-Identifier: Apache-2.0
"""Which vectors to run: expressions over ids, conformance groups, levels, sections of the RFC."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from fnmatch import translate
from typing import TypeAlias

from ...spec.errors import InputError
from ...spec.requirements import load_requirements
from ...spec.table import isa
from .model import Level, Vector

Test: TypeAlias = Callable[[Vector], bool]
#: Each 'not' and each parenthesis may stand inside the one before; Python's stack is not endless.
_DEEPEST = 50
_TOKEN = re.compile(r"\s*(\(|\)|[^\s()]+)")
#: Words of ids; whatever is neither a letter nor a digit stands between them.
_WORD = re.compile(r"[a-z0-9]+")
_OPERATORS = {"and", "or", "not", "(", ")"}
_GLOB = re.compile(r"[*?\[]")


class SelectionError(InputError):
    """A selection that cannot be understood, or that names what does not exist."""


def by_expression(text: str) -> Test:
    """Return the test that ``text`` describes: words with ``and``, ``or``, ``not`` and parentheses.

    A word is true of a vector whose id has it as a whole word, or as several in a row: ``add64``, ``stx-mem-h/order``.
    Words end where an id has neither a letter nor a digit. One with ``*``, ``?`` or ``[`` is a pattern, which must
    match the whole id. Capitals do not matter.

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
    pattern = re.compile(rf"\A{translate(token.lower())}") if _GLOB.search(token) else _whole(token)
    return lambda vector: pattern.search(vector.id) is not None


def _whole(token: str) -> re.Pattern[str]:
    """Return the pattern of ids that have ``token`` and no other letters or digits next to it."""
    token = token.lower()
    before = "(?<![a-z0-9])" if _WORD.match(token[0]) else ""
    after = "(?![a-z0-9])" if _WORD.match(token[-1]) else ""
    return re.compile(f"{before}{re.escape(token)}{after}")


def advice(text: str, ids: Iterable[str]) -> str:
    """Return what to do about an expression that selects none of ``ids``: which word none of them has, and what may be
    meant."""
    ids = list(ids)
    rule = "-k takes whole words of ids and patterns of whole ids"
    for token in (found[1] for found in _TOKEN.finditer(text)):
        if token in _OPERATORS or _GLOB.search(token) or any(map(_whole(token).search, ids)):
            continue
        inside = sum(token.lower() in name for name in ids)
        if inside:
            return f"{rule}: {token!r} is no whole word, '*{token}*' selects {inside:,}"
        close = get_close_matches(token.lower(), {word for name in ids for word in _WORD.findall(name)}, 3)
        return f"{rule}: no id has {token!r}" + (f"; did you mean {' or '.join(close)}?" if close else "")
    return rule


def by_levels(names: Iterable[str]) -> Test:
    """Return the test for vectors of one of the levels ``names``.

    Raises:
        SelectionError: a name is no level.
    """
    wanted = frozenset(names)
    if unknown := wanted - {level.value for level in Level}:
        raise SelectionError(f"--level {min(unknown)}: the levels are {', '.join(Level)}")
    return lambda vector: vector.entry.level.value in wanted


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
