# SPDX-License-Identifier: Apache-2.0
"""Tells the safety rules of the Linux verifier from its judgement of encodings: ``policy.yaml``, read and applied."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ...spec import strict_yaml, validate
from ...spec.errors import InputError
from .calls import Origin

POLICY_FILE = Path(__file__).parent / "policy.yaml"
SCHEMA_FILE = Path(__file__).parent / "policy.schema.json"

Kind: TypeAlias = Literal["policy", "encoding"]

#: Lines of a verifier's log that follow the message: statistics, and the states that an endless loop repeats.
_AFTERWORDS = re.compile(
    r"(verification time \d|stack depth \d|processed \d+ insns|insns? processed|cur state:|old state:)"
)


class PolicyError(InputError):
    """``policy.yaml`` is not what it should be; the message names file, entry and reason."""


@dataclass(frozen=True, slots=True)
class Message:
    """An entry of ``policy.yaml``: what the kernel says, and what kind of rule it follows.

    ``assembly`` or ``encoded`` is the example that provokes it, in assembly or as bytes in little-endian byte order;
    where neither is, ``unseen`` tells why.
    """

    id: str
    kind: Kind
    why: str
    patterns: tuple[re.Pattern[str], ...]
    errno: int | None
    assembly: str | None
    encoded: bytes | None
    unseen: str | None

    @property
    def code(self) -> str:
        """The word for machines, such as ``policy.unreachable``."""
        return f"{self.kind}.{self.id}"

    def match(self, line: str, errno: int) -> bool:
        """Whether this is what the kernel means by ``line``, its last word, and ``errno``."""
        if self.errno is not None:
            return not line and errno == self.errno
        return any(pattern.fullmatch(line) for pattern in self.patterns)

    def renumber(self, line: str, origins: Iterable[Origin]) -> str:
        """Return ``line`` with slot numbers as in the vector's program; those of generated code stay as they are."""
        parts = tuple(origins)
        for pattern in self.patterns:
            if found := pattern.fullmatch(line):
                for name in sorted(found.groupdict(), key=lambda name: -found.start(name)):
                    start, end = found.span(name)
                    line = line[:start] + str(_vector_slot(int(line[start:end]), parts)) + line[end:]
                break
        return line


def _vector_slot(slot: int, origins: tuple[Origin, ...]) -> int:
    for part in origins:
        if part.load_slot <= slot < part.load_slot + part.slots:
            return slot - part.load_slot + part.vector_slot
    return slot


@dataclass(frozen=True, slots=True)
class Policy:
    """The table of messages."""

    messages: tuple[Message, ...]
    _known: dict[tuple[str, int], Message | None] = field(default_factory=dict, repr=False, compare=False)

    def classify(self, line: str, errno: int) -> Message | None:
        """Return the entry for the kernel's last word and errno; None if there is none."""
        key = line, errno
        if key not in self._known:
            self._known[key] = next((message for message in self.messages if message.match(line, errno)), None)
        return self._known[key]


def last_line(log: str) -> str:
    """Return the last line of a verifier's log that says something of the program; empty if none does."""
    for line in reversed(log.splitlines()):
        text = line.strip()
        if text and not _AFTERWORDS.match(text):
            return text
    return ""


@cache
def policy() -> Policy:
    """Return the table of this package (read once)."""
    return load(POLICY_FILE)


def load(path: Path) -> Policy:
    """Read a table of messages.

    Raises:
        strict_yaml.YamlError: the file is no acceptable YAML.
        PolicyError: an entry is malformed, or has the id of another.
    """
    document = strict_yaml.load(path)
    try:
        validate.check(document.data, SCHEMA_FILE)
    except validate.SchemaError as error:
        raise PolicyError(f"{path}: {error}") from None
    data: Any = document.data
    messages = tuple(_message(path, document.line(raw), raw) for raw in data["messages"])
    seen: set[str] = set()
    for message in messages:
        if message.id in seen:
            raise PolicyError(f"{path}: two entries have the id {message.id}")
        seen.add(message.id)
    return Policy(messages)


def _message(path: Path, line: int, raw: dict[str, Any]) -> Message:
    patterns = []
    for text in raw.get("messages", ()):
        try:
            patterns.append(re.compile(text))
        except re.error as error:
            raise PolicyError(f"{path}:{line}: {raw['id']}: {text!r} is no regular expression: {error}") from None
    return Message(
        id=raw["id"],
        kind=raw["kind"],
        why=raw["why"],
        patterns=tuple(patterns),
        errno=raw.get("errno"),
        assembly=raw.get("example"),
        encoded=bytes.fromhex(raw["code"]) if "code" in raw else None,
        unseen=raw.get("unseen"),
    )
