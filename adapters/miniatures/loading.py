# SPDX-License-Identifier: Apache-2.0
"""Faulty loaders: programs that break a rule of the structural verifier, and what is run in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from ...reference_vm.verifier.structural import Finding
from ...spec.control import targets
from ...spec.encoding import ByteOrder, Decoded, DecodeError, identify, make, pack, slots_of, unpack
from ...spec.facts import Kind, facts
from ...spec.table import FIELD_RANGES, isa

#: Returns the program that is run in place of one with these findings.
_Mend = Callable[[bytes, ByteOrder, tuple[Finding, ...]], bytes]


def mended(code: bytes, byte_order: ByteOrder, findings: Iterable[Finding], forgiven: frozenset[str]) -> bytes:
    """Return what a loader that does not know the rules ``forgiven`` runs in place of ``code``.

    A program with other errors is not changed.
    """
    errors = tuple(finding for finding in findings if finding.severity == "error")
    for rule in sorted({finding.rule for finding in errors} & forgiven):
        code = MENDS[rule](code, byte_order, tuple(finding for finding in errors if finding.rule == rule))
    return code


def _past_second_slots(code: bytes, byte_order: ByteOrder, findings: tuple[Finding, ...]) -> bytes:
    """Jumps to second slots lead to the next instruction."""
    slots = unpack(code, byte_order)
    for finding in findings:
        item = identify(slots, finding.slot)
        if not isinstance(item, DecodeError):
            slots[finding.slot] = slots_of(_farther(finding.slot, item))[0]
    return pack(slots, byte_order)


def _farther(slot: int, item: Decoded) -> Decoded:
    field = next((target.field for target in targets(slot, item)), None)
    if field is None or getattr(item, field) == FIELD_RANGES[field][1]:
        return item
    return item._replace(**{field: getattr(item, field) + 1})


def _second_slots_cleared(code: bytes, byte_order: ByteOrder, findings: tuple[Finding, ...]) -> bytes:
    """Of second slots, only the immediate is read."""
    slots = unpack(code, byte_order)
    for finding in findings:
        slots[finding.slot] = slots[finding.slot]._replace(opcode=0, dst=0, src=0, offset=0)
    return pack(slots, byte_order)


def _with_an_exit(code: bytes, byte_order: ByteOrder, findings: tuple[Finding, ...]) -> bytes:
    """The program is followed by something that ends it."""
    row = next(row for row in isa().instructions if facts(row).kind is Kind.EXIT)
    return code + pack(slots_of(make(row)), byte_order)


#: What is done about programs that break a rule, for each rule that a loader may not know.
MENDS: Final[Mapping[str, _Mend]] = {
    "jump-into-second-slot": _past_second_slots,
    "malformed-second-slot": _second_slots_cleared,
    "jump-out-of-range": _with_an_exit,
    "falls-off-the-end": _with_an_exit,
}
