# SPDX-License-Identifier: Apache-2.0
"""The values of a vector file: hex bytes and numbers as it writes them, and texts with holes for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from .model import REGISTERS, ByOrder

#: A hole ``{name}`` of a text.
HOLE = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_REPEATED = re.compile(r"([0-9a-fA-F]+)\*([0-9]+)(?=\s|\Z)")
#: No program or memory is larger; a repetition that would be is a mistake.
LARGEST = 1 << 24


def halves(text: ByOrder) -> tuple[str, ...]:
    """Return a text for either byte order, or the texts for both."""
    return (text,) if isinstance(text, str) else text


def fill(text: ByOrder, values: Mapping[str, str], side: int) -> str:
    """Return a text for one byte order (0 little, 1 big) with values in its holes."""
    half = text if isinstance(text, str) else text[side]
    return half.format_map(values) if "{" in half else half


@lru_cache(maxsize=1 << 15)
def parse_bytes(text: str) -> bytes:
    """Return the bytes that hex digits say; ``00*16`` is 16 zeros.

    Raises:
        ValueError: the text is something else.
    """
    digits = _REPEATED.sub(_repeat, text) if "*" in text else text
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise ValueError(f"no hex bytes: {text[:60]!r}") from None


def _repeat(found: re.Match[str]) -> str:
    times = int(found[2])
    if len(found[1]) * times > LARGEST or len(found[1]) % 2:
        raise ValueError(f"no acceptable repetition of bytes: {found[0][:60]!r}")
    return found[1] * times


def changed(registers: Mapping[str, int], text: str) -> dict[str, int]:
    """Return what a case expects of registers: what ``text`` says in place of ``registers``, such as ``r1=0x5,r2=7``.

    Raises:
        ValueError: the text is something else, or about registers of which nothing is expected.
    """
    found = _changes(text)
    if not found.keys() <= registers.keys():
        raise ValueError(f"changes of {min(found.keys() - registers.keys())}, of which expect says nothing")
    return {**registers, **found}


@lru_cache(maxsize=1 << 15)
def _changes(text: str) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for item in text.split(","):
        name, _, value = item.partition("=")
        if name not in REGISTERS or name in found:
            raise ValueError(f"no registers with numbers (r1=0x5,r2=7): {text[:60]!r}")
        found[name] = number(value)
    return found


@lru_cache(maxsize=1 << 15)
def number(text: str) -> int:
    """Return ``text`` as an unsigned number of 64 bits.

    Raises:
        ValueError: it is no number from -2**63 to 2**64 - 1.
    """
    try:
        value = int(text, 0)
    except ValueError:
        raise ValueError(f"no number: {text[:40]!r}") from None
    if not -(1 << 63) <= value < 1 << 64:
        raise ValueError(f"more than 64 bits: {text[:40]}")
    return value & ((1 << 64) - 1)
