# SPDX-License-Identifier: Apache-2.0
"""The sections of RFC 9669: what each is about, where it is published, and which lie below others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

RFC = "https://www.rfc-editor.org/rfc/rfc9669.html"

#: What the sections that demand something are about.
ABOUT = {
    "2": "Notation and conformance",
    "2.1": "Types",
    "2.2": "Byte swap functions",
    "2.3": "Definitions",
    "2.4": "Conformance groups",
    "3": "Encoding",
    "3.1": "Basic encoding",
    "3.2": "Wide encoding",
    "3.3": "Instruction classes",
    "4": "Arithmetic and jumps",
    "4.1": "Arithmetic",
    "4.2": "Byte swaps",
    "4.3": "Jumps, calls, exit",
    "4.3.1": "Helper functions",
    "4.3.2": "Program-local functions",
    "5": "Loads and stores",
    "5.1": "Regular loads and stores",
    "5.2": "Sign-extending loads",
    "5.3": "Atomic operations",
    "5.4": "64-bit immediates",
    "5.4.1": "Maps",
    "5.4.2": "Platform variables",
    "5.5": "Legacy packet access",
    "A": "Table of opcodes",
}


def address(section: str) -> str:
    """Return where a section is published."""
    return f"{RFC}#{'appendix' if section[0].isalpha() else 'section'}-{section}"


def above(section: str) -> Iterator[str]:
    """Yield a section and those that it is part of, the largest last."""
    parts = section.split(".")
    for length in range(len(parts), 0, -1):
        yield ".".join(parts[:length])


def ordered(sections: Iterable[str]) -> list[str]:
    """Return sections in the order of the document, appendices last."""
    return sorted(sections, key=lambda name: [(not part.isdigit(), part.zfill(4)) for part in name.split(".")])
