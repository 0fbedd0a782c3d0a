# SPDX-License-Identifier: Apache-2.0
"""Byte swap instructions (RFC 9669 section 4.2): all bytes distinct, upper halves dirty, for both byte orders."""

from __future__ import annotations

from collections.abc import Iterator

from ...spec.facts import Kind, facts
from ...spec.table import Instruction, isa
from .boundaries import IMMEDIATES, hexed, singles
from .covers import covers
from .draft import Draft, line, slug

_MORE = {
    "bytes": 0x0102030405060708,
    "bytes-high": 0x8182838485868788,
    "low-16": 0x1234,
    "low-16-high": 0xFEDC,
    "low-32": 0x12345678,
    "low-32-high": 0xFEDCBA98,
    "above-16": 0xFFFFFFFFFFFF1234,
    "above-32": 0xFFFFFFFF12345678,
    "palindrome-16": 0x4242,
}


def drafts() -> Iterator[Draft]:
    """Yield the vectors of the byte swap instructions."""
    for row in isa().instructions:
        if facts(row).kind is Kind.SWAP:
            yield _operands(row)
            yield _twice(row)
            if "base32" in row.groups:
                yield _base32_only(row)


def _operands(row: Instruction) -> Draft:
    cases = {name: {"dst": hexed(value)} for name, value in [*_MORE.items(), *singles()]}
    asm = f"r0 = {{dst}} ll\n{line(row, dst='0')}\nexit\n"
    what = "the low bytes are put in order and the rest of the register is cleared"
    return Draft(f"{slug(row)}/operands", what, covers(row), cases, asm)


def _twice(row: Instruction) -> Draft:
    cases = {name: {"dst": hexed(value)} for name, value in _MORE.items()}
    swap = line(row, dst="0")
    asm = f"r0 = {{dst}} ll\n{swap}\n{swap}\nexit\n"
    what = "swapping twice gives back the low bytes"
    found = (*covers(row), "rfc9669-2.2-direction-agnostic")
    return Draft(f"{slug(row)}/twice", what, found, cases, asm)


def _base32_only(row: Instruction) -> Draft:
    cases = {name: {"dst": str(value)} for name, value in IMMEDIATES.items()}
    asm = f"w0 = {{dst}}\n{line(row, dst='0')}\nexit\n"
    what = "in a program of 32-bit instructions only"
    return Draft(f"{slug(row)}/base32", what, covers(row), cases, asm)
