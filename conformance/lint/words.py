# SPDX-License-Identifier: Apache-2.0
"""Rules about the text of an entry: its id, its sentence and its level."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ...spec.requirements import load_errata, load_requirements
from ..suite.model import Level
from .reliance import interpreted, rank

#: A complaint about an entry: rule and message.
Complaint = tuple[str, str]

_TESTING = re.compile(
    r"(?:this |the )?(?:tests?|testing|checks?|checking|verif(?:y|ies)|ensures?|make sure)\b", re.IGNORECASE
)
_NOTHING = re.compile(r"(?:tests?|vectors?|cases?|misc|others?|examples?|foo|bar|tmp)?-?[0-9]*\Z")
_WORD = re.compile(r"[a-z0-9]+")


def complaints(raw: dict[str, Any]) -> Iterator[Complaint]:
    """Yield violations in the text of an entry, given as in its file."""
    yield from _about_id(raw["id"])
    yield from _about_what(raw.get("what", ""), raw["id"])
    yield from _about_level(raw)


def _about_id(name: str) -> Iterator[Complaint]:
    for part in name.split("/"):
        if _NOTHING.match(part):
            yield "id-says-nothing", f"{part!r} in the id does not say what the vector is about"


def _about_what(what: str, name: str) -> Iterator[Complaint]:
    if not what:
        yield "what-missing", "the field what is missing: say in a sentence what the point is"
        return
    if _TESTING.match(what):
        yield "what-test-that", f"{what!r}: say what is true of the instruction, not that it is tested"
    if set(_WORD.findall(what.lower())) <= set(_WORD.findall(name)):
        yield "what-repeats-id", f"{what!r} says no more than the id"


def _about_level(raw: dict[str, Any]) -> Iterator[Complaint]:
    level = Level(raw.get("level", Level.MUST))
    expect: dict[str, Any] = raw.get("expect", {})
    returns = not expect.keys() & {"rejected", "faulted", "steady"}
    levels = {name: Level(load_errata()[name].level) for name in raw.get("errata", ()) if name in load_errata()}
    if level is Level.INTERPRETATION and levels and level not in levels.values():
        yield "level", "interpretation needs an erratum by which the RFC implies what is expected"
    for name, highest in levels.items():
        if rank(level) < rank(highest):
            yield "unfair-level", f"cites the erratum {name}, by which its level is {highest} at most"
    if level is Level.ROBUSTNESS and returns:
        yield "level", "robustness is about what RFC 9669 leaves undefined, but a result is expected"
    cited = [load_requirements()[name] for name in raw["covers"] if name in load_requirements()]
    for item in cited if level is Level.MUST else ():
        if erratum := interpreted(item):
            yield "unfair-level", f"covers {item.id}, which is an interpretation (erratum {erratum})"
    if cited and all(item.verified_by == "none" for item in cited):
        yield "level", f"all that is cited is said to be untestable: {', '.join(item.id for item in cited)}"
