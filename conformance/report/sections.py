# SPDX-License-Identifier: Apache-2.0
"""Sections of the specification: what each is about, how it is cited, where it is published, what it is part of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...spec.requirements import document_of

#: What the sections of RFC 9669 that demand something are about.
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
    document, number = document_of(section)
    return document.address(number)


def cite(section: str) -> str:
    """Return the name of a section with its document, such as ``RFC 9669, section 4.1``."""
    document, number = document_of(section)
    return f"{document.document}, section {number}"


def above(section: str) -> Iterator[str]:
    """Yield a section and those that it is part of, the largest last."""
    parts = section.split(".")
    for length in range(len(parts), 0, -1):
        yield ".".join(parts[:length])


def ordered(sections: Iterable[str]) -> list[str]:
    """Return sections in the order of the document, appendices last."""
    return sorted(sections, key=lambda name: [(not part.isdigit(), part.zfill(4)) for part in name.split(".")])
