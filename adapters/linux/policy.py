# SPDX-License-Identifier: Apache-2.0
"""Classifies messages of the Linux verifier as safety policy or invalid encoding, by ``policy.yaml``."""

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

#: Lines of a verifier's log after the message: statistics, and the states of an infinite loop.
_AFTERWORDS = re.compile(
    r"(verification time \d|stack depth (?:max )?\d|processed \d+ insns|insns? processed|cur state:|old state:"
    r"|subprog \d+ \(.*\) \w+ insns_self )"
)


@dataclass(frozen=True, slots=True)
class Message:
    """An entry of ``policy.yaml``: a message of the kernel and the kind of rule behind it.

    ``assembly`` or ``encoded`` is a program that provokes it, in assembly or as bytes in little-endian byte order;
    without an example, ``unseen`` has the reason.
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
        """The reason code, such as ``policy.unreachable``."""
        return f"{self.kind}.{self.id}"

    def match(self, line: str, errno: int) -> bool:
        """Whether this entry matches ``line``, the last line of the log, and ``errno``."""
        if self.errno is not None:
            return not line and errno == self.errno
        return any(pattern.fullmatch(line) for pattern in self.patterns)

    def renumber(self, line: str, origins: Iterable[Origin]) -> str:
        """Return ``line`` with the slot numbers of the vector's program; those of generated code are not changed."""
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
    """Return the last line of a verifier's log before its statistics; empty if there is none."""
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
