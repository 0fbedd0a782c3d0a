# SPDX-License-Identifier: Apache-2.0
"""Strict YAML reader: ambiguous input is rejected, with file, line and column.

Rejected are duplicate keys, tabs, anchors and aliases (so that no document grows beyond its own size), tags, several
documents in a file, integers of more than 64 bits, text that is not UTF-8 or has control characters, and plain
scalars that YAML versions read differently (``no``, ``010``, ``1_000``, ``12:30``, ``4.1``): those must be quoted.
The result is built from the C parser's events, which is several times faster than PyYAML's own constructors, or from
the events of PyYAML's own parser if there is no C parser.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, cast

import yaml

from .errors import InputError

_Parser: Callable[[str | bytes], yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Data: TypeAlias = "dict[str, Data] | list[Data] | str | int | bool | None"

#: Larger files are rejected before they take memory.
LARGEST_FILE = 64 << 20
DEEPEST = 40
#: No integer of 64 bits without leading zeros has more characters.
_LONGEST_INTEGER = 80

#: Tabs and the characters that YAML does not allow.
_UNFIT = re.compile("[^\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z|0x[0-9a-fA-F]+\Z")
_AMBIGUOUS = re.compile(
    r"(?:yes|no|on|off|y|n|Yes|No|On|Off|Y|N|YES|NO|ON|OFF|True|False|TRUE|FALSE|Null|NULL)\Z"
    r"|[-+]?0[0-9_]+\Z|[-+]?0[bB][01_]+\Z|[-+]?0[oO][0-7_]+\Z|[-+]?0[xX][0-9a-fA-F_]+\Z|[-+]?[0-9][0-9_]*_[0-9_]*\Z"
    r"|[-+]?[0-9][0-9_]*(?::[0-9]+)+(?:\.[0-9_]*)?\Z|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
    r"|[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?\Z|[-+]?[0-9]+[eE][-+]?[0-9]+\Z"
    r"|[-+]?\.(?:inf|Inf|INF|nan|NaN|NAN)\Z"
)
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}


class YamlError(InputError):
    """A YAML text that is not accepted.

    ``file`` is its name, ``line`` and ``column`` count from 1, ``message`` says what is wrong.
    """

    def __init__(self, file: str, line: int, column: int, message: str) -> None:
        super().__init__(f"{file}:{line}:{column}: {message}")
        self.file, self.line, self.column, self.message = file, line, column, message


@dataclass(slots=True)
class Document:
    """The data of a file, and the line where each of its mappings and sequences begins."""

    name: str
    data: Data
    _lines: dict[int, int] = field(repr=False)

    def line(self, container: object) -> int:
        """Return the line (from 1) of a mapping or sequence of this document; 1 for anything else."""
        return self._lines.get(id(container), 1)


def load(path: Path) -> Document:
    """Read the YAML file ``path``.

    Raises:
        YamlError: the file cannot be read or is not acceptable YAML.
    """
    try:
        with path.open("rb") as file:  # the size of devices and pipes is unknown
            raw = file.read(LARGEST_FILE + 1)
        if len(raw) > LARGEST_FILE:
            raise YamlError(str(path), 1, 1, f"larger than {LARGEST_FILE >> 20} MiB")
    except OSError as error:
        raise YamlError(str(path), 1, 1, f"cannot be read: {error.strerror}") from None
    if raw.isascii() and b"\t" not in raw:
        with suppress(yaml.YAMLError):  # faster than text; errors are reported below
            return _Builder(str(path), raw).document()
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise YamlError(str(path), line, 1, f"not UTF-8 text (byte {raw[error.start]:#04x})") from None
    return loads(text, str(path))


def loads(text: str, name: str = "<text>") -> Document:
    """Read YAML from ``text``; ``name`` is the file name in errors.

    Raises:
        YamlError: the text is not acceptable YAML.
    """
    if unfit := _UNFIT.search(text):
        message = "a tab: indent with spaces" if unfit[0] == "\t" else f"not text: the character {unfit[0]!a}"
        raise YamlError(name, *_line_and_column(text[: unfit.start()]), message)
    try:
        return _Builder(name, text).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        # The parser reads ahead, and its limits differ between versions (6.0.4 limits the depth): an error of this
        # module before that position takes precedence.
        with suppress(yaml.YAMLError):
            _Builder(name, text[: mark.index if mark else 0]).document()
        raise YamlError(name, line, column, f"not YAML: {error.problem or error.context}") from None


def _line_and_column(before: str) -> tuple[int, int]:
    """Return the position of what follows the text ``before``."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")


class _Builder:
    """Builds plain data from the events of one document."""

    def __init__(self, name: str, text: str | bytes) -> None:
        self.name = name
        self.lines: dict[int, int] = {}
        self.loader = _Parser(text)
        # There is always a next event before the end of the stream.
        self.next_event = cast("Callable[[], yaml.Event]", self.loader.get_event)

    def document(self) -> Document:
        data: Data = None
        documents = 0
        try:
            while not isinstance(event := self.next_event(), yaml.StreamEndEvent):
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        raise self.error(event, "a second document: one per file")
                elif isinstance(event, yaml.NodeEvent):
                    data = self.node(event, 0)
        finally:
            self.loader.dispose()
        return Document(self.name, data, self.lines)

    def node(self, event: yaml.Event, depth: int) -> Data:
        if type(event) is yaml.ScalarEvent:
            if _is_marked(event):
                raise self.error(event, "anchors and tags are not used here")
            return self.scalar(event)
        if depth > DEEPEST:
            raise self.error(event, "nested too deeply")
        if isinstance(event, yaml.AliasEvent):
            raise self.error(event, "aliases are not used here")
        assert isinstance(event, yaml.CollectionStartEvent)
        if _is_marked(event):
            raise self.error(event, "anchors and tags are not used here")
        line, _ = _position(event)
        data: Data
        data = self.mapping(depth) if isinstance(event, yaml.MappingStartEvent) else self.sequence(depth)
        self.lines[id(data)] = line
        return data

    def mapping(self, depth: int) -> dict[str, Data]:
        result: dict[str, Data] = {}
        next_event = self.next_event
        while type(key_event := next_event()) is not yaml.MappingEndEvent:
            if type(key_event) is not yaml.ScalarEvent or _is_marked(key_event):
                raise self.error(key_event, "a key must be a plain word")
            key = key_event.value
            if key in result:
                raise self.error(key_event, f"duplicate key {key!r}")
            result[key] = self.node(next_event(), depth + 1)
        return result

    def sequence(self, depth: int) -> list[Data]:
        result: list[Data] = []
        next_event = self.next_event
        while type(event := next_event()) is not yaml.SequenceEndEvent:
            result.append(self.node(event, depth + 1))
        return result

    def scalar(self, event: yaml.ScalarEvent) -> Data:
        text: str = event.value
        if event.style:
            return text
        if text in _WORDS:
            return _WORDS[text]
        first = text[0]
        if first.isalpha() and len(text) > 5:
            return text
        if _INTEGER.match(text):
            value = int(text, 0) if len(text) <= _LONGEST_INTEGER else 1 << 64
            if not -(1 << 63) <= value < 1 << 64:
                raise self.error(event, f"integer {text} has more than 64 bits")
            return value
        if _AMBIGUOUS.match(text):
            raise self.error(event, f"{text!r} means different things to different YAML readers: quote it")
        return text

    def error(self, event: yaml.Event, message: str) -> YamlError:
        return YamlError(self.name, *_position(event), message)


def _is_marked(event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> bool:
    return event.anchor is not None or event.tag is not None


def _position(event: yaml.Event) -> tuple[int, int]:
    """Return line and column of an event, from 1."""
    mark = event.start_mark
    assert mark is not None  # the C parser always knows
    return mark.line + 1, mark.column + 1
