# SPDX-License-Identifier: Apache-2.0
"""The canonical form of vector files: ``bpf-isa fmt`` writes it, and so does the generator.

Keys are in the order of the schema, data are quoted, tables are aligned, and what fits on a line is on one. Comments
are kept: each belongs to what follows it, and has lines of its own.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from ...spec import strict_yaml
from .load import check_schema
from .model import VectorError

WIDTH = 120
#: The path of something in a document: keys and indices.
Place: TypeAlias = tuple[str | int, ...]
Comments: TypeAlias = Mapping[Place, Sequence[str]]

_ORDERS: Mapping[str, Sequence[str]] = {
    "": ("source", "vectors"),
    "source": ("name", "method", "generator", "note"),
    "vectors": (
        *("id", "what", "level", "extension", "covers", "errata", "asm", "code", "memory", "maps", "variables"),
        *("helpers", "expect", "cases", "table"),
    ),
    "expect": ("r0", "registers", "memory", "rejected", "witness", "faulted", "steady"),
    "registers": tuple(f"r{number}" for number in range(10)),
    "variables": ("number", "value"),
    "helpers": ("by", "number", "does"),
}
#: Words and sentences; every other text is data, and quoted.
_WORDS = frozenset(
    [
        "id",
        "what",
        "level",
        "extension",
        "covers",
        "errata",
        "faulted",
        "by",
        "does",
        "name",
        "method",
        "generator",
        "note",
    ]
)
#: Collections that are never written on one line.
_BLOCKS = frozenset(["source", "vectors", "cases"])
#: The path of the end of the file.
_END: Place = ()


def canonical(text: str, name: str = "<text>") -> str:
    """Return the canonical form of the vector file ``text``; errors call the file ``name``.

    Raises:
        strict_yaml.YamlError: the text is not acceptable YAML.
        VectorError: it does not follow the schema, or has a comment beside something else.
    """
    for _ in range(4):
        before, text = text, _once(text, name)
        if text == before:
            break
    return text


def _once(text: str, name: str) -> str:
    document = strict_yaml.loads(text, name)
    data = check_schema(document)
    result = write(data, _comments(text, name))
    assert _substance(strict_yaml.loads(result, name).data) == _substance(data)
    return result


def canonical_file(path: Path) -> str:
    """Return the canonical form of a vector file.

    Raises:
        strict_yaml.YamlError, VectorError: see :func:`canonical`; or the file cannot be read.
    """
    strict_yaml.load(path)
    return canonical(path.read_text(encoding="utf-8"), str(path))


# Comments


def _comments(text: str, name: str) -> dict[Place, list[str]]:
    """Return the comments of a file by the place of what follows them."""
    places, literal = _read(text)
    found: dict[Place, list[str]] = {}
    lines = text.splitlines()
    for at, line in enumerate(lines):
        if at in literal:
            continue
        if line.lstrip().startswith("#"):
            place = next((place for place, begin in places if begin > at), _END)
            found.setdefault(place, []).append(line.strip())
        elif re.search(r"\s#", _QUOTED.sub("", line)):
            raise VectorError(name, at + 1, None, "a comment needs a line of its own, before what it is about")
    return found


_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*'")


def _read(text: str) -> tuple[list[tuple[Place, int]], set[int]]:
    """Return where keys and items begin (lines from 0, outer ones first), and the lines of literal texts."""
    places: list[tuple[Place, int]] = []
    literal: set[int] = set()
    events = yaml.parse(text, Loader=yaml.CSafeLoader)

    def node(event: yaml.Event, place: Place) -> None:
        if isinstance(event, yaml.ScalarEvent):
            if event.style in {"|", ">"}:
                literal.update(range(_line(event) + 1, _line(event, end=True)))
        elif isinstance(event, yaml.MappingStartEvent):
            while isinstance(key := next(events), yaml.ScalarEvent):
                places.append(((*place, key.value), _line(key)))
                node(next(events), (*place, key.value))
        elif isinstance(event, yaml.SequenceStartEvent):
            index = 0
            while not isinstance(item := next(events), yaml.SequenceEndEvent):
                places.append(((*place, index), _line(item)))
                node(item, (*place, index))
                index += 1

    for event in events:
        node(event, ())
    return sorted(places, key=lambda item: item[1]), literal


def _line(event: yaml.Event, *, end: bool = False) -> int:
    mark = event.end_mark if end else event.start_mark
    assert mark is not None  # the C parser always knows
    return mark.line


# Writing


def write(data: Mapping[str, Any], comments: Comments) -> str:
    """Return the text of a file that says ``data``, with ``comments`` before what is at their places."""
    lines = list(_Writer(comments).mapping(data, (), ""))
    return "\n".join([*lines, *comments.get(_END, ())]) + "\n"


def _substance(data: Any, key: str = "") -> Any:
    """Return ``data`` without what the canonical form may change: white space where it says nothing."""
    if isinstance(data, dict):
        return {name: _substance(value, name) for name, value in data.items()}
    if isinstance(data, list):
        return [_substance(value, key) for value in data]
    if not isinstance(data, str):
        return data
    return _stripped(data) if key == "asm" else _aligned(data) if key == "table" else data.split()


class _Writer:
    def __init__(self, comments: Comments) -> None:
        self.comments = comments
        self._commented = {place[:end] for place in comments for end in range(len(place))}

    def mapping(self, data: Mapping[str, Any], place: Place, indent: str) -> Iterator[str]:
        """Yield the lines of a mapping in block style."""
        for key in _sorted(data, place):
            yield from self.remark((*place, key), indent)
            yield from self.entry(key, data[key], (*place, key), indent)

    def remark(self, place: Place, indent: str) -> Iterator[str]:
        """Yield the comment that belongs before ``place``; one before a vector has an empty line before it."""
        comment = self.comments.get(place, ())
        if comment and len(place) == 2 and place[0] == "vectors" and place[1] != 0:
            yield ""
        for line in comment:
            yield f"{indent}{line}"

    def entry(self, key: str, value: Any, place: Place, indent: str) -> Iterator[str]:
        """Yield the lines of a key and its value."""
        if isinstance(value, str):
            yield from _text(key, value, indent, _is_word(place))
        elif not isinstance(value, dict | list):
            yield f"{indent}{key}: {_flow(value, place)}"
        elif (line := self.on_one_line(f"{indent}{key}: ", value, place)) is not None:
            yield line
        else:
            yield f"{indent}{key}:"
            if isinstance(value, dict):
                yield from self.mapping(value, place, indent + "  ")
            else:
                yield from self.sequence(value, place, indent + "  ")

    def sequence(self, items: Sequence[Any], place: Place, indent: str) -> Iterator[str]:
        """Yield the lines of a sequence in block style."""
        for index, item in enumerate(items):
            here = (*place, index)
            yield from self.remark(here, indent)
            line = None if place == ("vectors",) else self.on_one_line(f"{indent}- ", item, here)
            if line is not None:
                yield line
            elif isinstance(item, dict):
                first, *rest = self.mapping(item, here, indent + "  ")
                yield f"{indent}- {first.lstrip()}"
                yield from rest
            else:
                yield f"{indent}- {_flow(item, here)}"

    def on_one_line(self, start: str, value: Any, place: Place) -> str | None:
        """Return a value on one line after ``start``; None if it may not be on one line, or does not fit."""
        if place[-1] in _BLOCKS and len(place) in {1, 3}:
            return None
        if place in self._commented:
            return None
        line = start + _flow(value, place)
        return line if len(line) <= WIDTH else None


def _sorted(data: Mapping[str, Any], place: Place) -> list[str]:
    """Return the keys of the mapping at ``place`` in their order; cases and their values keep theirs."""
    kind = next((step for step in reversed(place) if isinstance(step, str)), "")
    order = ("little", "big") if "little" in data else () if "cases" in place else _ORDERS.get(kind, ())
    return sorted(data, key=lambda name: order.index(name) if name in order else len(order))


def _is_word(place: Place) -> bool:
    """Whether the text at ``place`` is a word or sentence, not data."""
    steps = [step for step in place if isinstance(step, str)]
    return "cases" not in steps and "registers" not in steps and steps[-1] in _WORDS


def _flow(value: Any, place: Place) -> str:
    """Return a value in flow style."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(value[key], (*place, key))}" for key in _sorted(value, place)) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item, (*place, at)) for at, item in enumerate(value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if _is_word(place) and _is_plain(value) and _is_plain_in_flow(value) else _quoted(value)
    return str(value)


def _text(key: str, text: str, indent: str, word: bool) -> Iterator[str]:
    """Yield the lines of a key and its text."""
    if key in {"asm", "table"}:
        yield f"{indent}{key}: |"
        for line in _aligned(text) if key == "table" else _stripped(text):
            yield f"{indent}  {line}".rstrip()
        return
    if word:
        text = " ".join(text.split())
    written = text if word and _is_plain(text) else _quoted(text)
    line = f"{indent}{key}: {written}"
    if len(line) <= WIDTH or not _can_fold(text):
        yield line
        return
    yield f"{indent}{key}: >-"
    inner = f"{indent}  "
    for part in textwrap.wrap(text, WIDTH - len(inner), break_long_words=False, break_on_hyphens=False):
        yield inner + part


def _can_fold(text: str) -> bool:
    """Whether a text can be broken at blanks, with nothing else in it that a folded text would change."""
    return " " in text and "\n" not in text and text == text.strip()


def _stripped(text: str) -> list[str]:
    """Return the lines of a program without blanks at their ends, and without empty lines around them."""
    lines = [line.rstrip() for line in textwrap.dedent(text).splitlines()]
    while lines and not lines[0]:
        del lines[0]
    while lines and not lines[-1]:
        del lines[-1]
    return lines


def _aligned(text: str) -> list[str]:
    """Return the rows of a table in columns that are as wide as they need to be."""
    rows = [line.split() for line in text.splitlines() if line.strip()]
    columns = max(map(len, rows))
    widths = [max((len(row[at]) for row in rows if at < len(row)), default=0) for at in range(columns)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows]


@lru_cache(maxsize=1 << 14)
def _is_plain(text: str) -> bool:
    """Whether YAML reads ``text`` without quotes as the same text."""
    return text == text.strip() and _reads_as(f"- {text}\n", [text])


@lru_cache(maxsize=1 << 14)
def _is_plain_in_flow(text: str) -> bool:
    return _reads_as(f"[{text}]\n", [text]) and _reads_as(f"{{x: {text}}}\n", {"x": text})


def _reads_as(text: str, data: object) -> bool:
    try:
        return strict_yaml.loads(text).data == data
    except strict_yaml.YamlError:
        return False


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
