# SPDX-License-Identifier: Apache-2.0
"""Tells the safety rules of the Linux verifier from its judgement of encodings: ``policy.yaml``, read and applied."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ...spec import strict_yaml
from .calls import Origin

POLICY_FILE = Path(__file__).parent / "policy.yaml"

Kind: TypeAlias = Literal["policy", "encoding"]

#: Lines of a verifier's log that follow the message: statistics, and the states that an endless loop repeats.
_AFTERWORDS = re.compile(
    r"(verification time \d|stack depth \d|processed \d+ insns|insns? processed|cur state:|old state:)"
)


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


def last_line(log: str) -> str:
    """Return the last line of a verifier's log that says something of the program; empty if none does."""
    for line in reversed(log.splitlines()):
        text = line.strip()
        if text and not _AFTERWORDS.match(text):
            return text
    return ""


@cache
def messages() -> tuple[Message, ...]:
    """Return the entries of the table (read once)."""
    data: Any = strict_yaml.load(POLICY_FILE).data
    return tuple(
        Message(
            id=row["id"],
            kind=row["kind"],
            why=row["why"],
            patterns=tuple(map(re.compile, row.get("messages", ()))),
            errno=row.get("errno"),
            assembly=row.get("example"),
            encoded=bytes.fromhex(row["code"]) if "code" in row else None,
            unseen=row.get("unseen"),
        )
        for row in data["messages"]
    )


@lru_cache(maxsize=1 << 12)
def classify(line: str, errno: int) -> Message | None:
    """Return the entry for the last line of the kernel's log and its errno; None if there is none."""
    return next((message for message in messages() if message.match(line, errno)), None)
