# SPDX-License-Identifier: Apache-2.0
"""The disassembler: any bytes to text that assembles to the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from ..encoding import (
    SLOT_BYTES,
    ByteOrder,
    Decoded,
    DecodeError,
    identify,
    unpack,
)
from ..table import Isa, isa
from .syntax import Dialect, syntax


def format_instruction(
    decoded: Decoded, target: str | None = None, table: Isa | None = None, dialect: Dialect = "llvm"
) -> str:
    """Return the assembly of one instruction, with the label ``target`` in place of its jump distance if given.

    Raises:
        KeyError: the dialect has no form for it; LLVM's has a form for each row.
    """
    return syntax(table or isa(), dialect).format(decoded, target)


def disassemble(
    code: bytes,
    byte_order: ByteOrder = "little",
    *,
    labels: bool = False,
    slots: bool = False,
    table: Isa | None = None,
    dialect: Dialect = "llvm",
) -> str:
    """Return ``code`` as assembly, an instruction per line.

    Bytes that are no instruction, or have no form in the dialect, become a ``.byte`` line with the reason as a comment.
    With ``labels`` jumps have labels (L1, L2, ... in the order of the program) instead of distances; with ``slots``
    each line begins with the index of its slot, as a comment.
    """
    lines = disassembled(code, byte_order, labels=labels, table=table, dialect=dialect)
    width = len(str(len(code) // SLOT_BYTES))
    indent = "    " if any(line.label for line in lines) else ""
    text: list[str] = []
    for line in lines:
        if line.label:
            text.append(f"{line.label}:")
        if line.text:
            number = f"/* {line.slot:{width}} */ " if slots else ""
            text.append(f"{indent}{number}{line.text}{f'  # {line.problem}' if line.problem else ''}")
    return "".join(f"{line}\n" for line in text)


class Line(NamedTuple):
    """A line of a program: an instruction, or other bytes with the ``problem``.

    ``text`` is its assembly, ``label`` its label if it is a jump target and labels are requested. A jump target at the
    end of the program is a line without text.
    """

    slot: int
    label: str | None
    code: bytes
    text: str
    instruction: str | None = None
    problem: str | None = None


def disassembled(
    code: bytes,
    byte_order: ByteOrder = "little",
    *,
    labels: bool = False,
    table: Isa | None = None,
    dialect: Dialect = "llvm",
) -> list[Line]:
    """Return the lines of a program, see :func:`disassemble`."""
    table = table or isa()
    found = dict(_lines(code, byte_order, table, dialect))
    end = len(code) // SLOT_BYTES
    names = _name_targets(found, {*found, end}, table) if labels else {}
    lines: list[Line] = []
    for slot, what in found.items():
        if isinstance(what, Decoded):
            text = format_instruction(what, names.get(_target(slot, what, table)), table, dialect)
            raw = code[slot * SLOT_BYTES :][: what.instruction.slots * SLOT_BYTES]
            lines.append(Line(slot, names.get(slot), raw, text, what.instruction.name))
        else:
            text = f".byte {', '.join(f'{byte:#04x}' for byte in what.data)}"
            lines.append(Line(slot, names.get(slot), what.data, text, None, what.reason))
    if end in names and end not in found:
        lines.append(Line(end, names[end], b"", ""))
    return lines


class _Data(NamedTuple):
    """Bytes that are no instruction, and the reason."""

    data: bytes
    reason: str


_Line: TypeAlias = Decoded | _Data


def _lines(code: bytes, byte_order: ByteOrder, table: Isa, dialect: Dialect) -> Iterator[tuple[int, _Line]]:
    """Yield the instructions and other bytes of ``code``, each with its slot."""
    whole = len(code) - len(code) % SLOT_BYTES
    program = unpack(code[:whole], byte_order)
    slot = 0
    while slot < len(program):
        found = identify(program, slot, table)
        if isinstance(found, DecodeError):
            at = slot * SLOT_BYTES
            yield slot, _Data(code[at : at + SLOT_BYTES], found.message)
            slot += 1
        elif not syntax(table, dialect).writes(found.instruction):
            at = slot * SLOT_BYTES
            end = at + found.instruction.slots * SLOT_BYTES
            yield slot, _Data(code[at:end], f"{format_instruction(found, table=table)} (not in this dialect)")
            slot += found.instruction.slots
        else:
            yield slot, found
            slot += found.instruction.slots
    if whole < len(code):
        yield slot, _Data(code[whole:], "less than a slot")


def _target(slot: int, what: _Line, table: Isa) -> int:
    """Return the target of a jump; -1 if ``what`` is no jump."""
    distance = syntax(table).distance(what) if isinstance(what, Decoded) else None
    return -1 if distance is None else slot + 1 + distance


def _name_targets(lines: dict[int, _Line], places: set[int], table: Isa) -> dict[int, str]:
    """Assign labels to those of ``places`` that are jump targets."""
    targets = {_target(slot, what, table) for slot, what in lines.items()} & places
    return {slot: f"L{number}" for number, slot in enumerate(sorted(targets), 1)}
