# SPDX-License-Identifier: Apache-2.0
"""The structural verifier: checks of encoding and control flow that do not depend on values.

:func:`verify` reports all findings. All rules are derived from the instruction table: the fields that an instruction
uses, the registers that its meaning assigns, and its control flow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from ...spec.control import Target, control_of, reached, targets
from ...spec.encoding import SLOT_BYTES, ByteOrder, Decoded, DecodeError, instructions
from ...spec.groups import closure
from ...spec.table import Instruction, Isa, isa
from ..frames import FRAME_POINTER

#: All rules with their texts; findings cite the key.
RULES = {
    "empty-program": "a program has at least one instruction",
    "bad-length": "a program is a sequence of 64-bit slots (RFC 9669 section 3)",
    "unknown-opcode": "every opcode is defined (section 3.1)",
    "bad-register": "registers are r0 to r10 (section 3.1)",
    "unused-field": "fields that an instruction does not use are zero (section 3.1)",
    "undefined-value": "fields that select an operation hold a defined value (sections 4.1, 4.2, 5.3, 5.4)",
    "missing-second-slot": "a wide instruction has two slots (section 3.2)",
    "malformed-second-slot": "the second slot of a wide instruction has only next_imm (section 3.2)",
    "write-to-frame-pointer": "r10 is read-only (calling convention)",
    "jump-out-of-range": "control stays inside the program (section 4.3)",
    "jump-into-second-slot": "control enters instructions at their first slot (section 4.3)",
    "falls-off-the-end": "the program ends with an instruction that does not continue to the next slot",
    "outside-groups": "every instruction belongs to a declared conformance group (section 2.4)",
    "unreachable": "some path of control leads to every instruction",
}


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A violation of one of :data:`RULES` in a 64-bit slot, with a sentence."""

    slot: int
    rule: str
    message: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"slot {self.slot}: {self.severity}: {self.rule}: {self.message}"


def verify(
    code: bytes,
    byte_order: ByteOrder = "little",
    groups: Iterable[str] | None = None,
    table: Isa | None = None,
) -> list[Finding]:
    """Return all findings for the program ``code``, in the order of slots; it is valid if none is an error.

    ``groups`` are conformance groups that the program may use, with what they include; None allows all.

    Raises:
        KeyError: ``groups`` names an unknown conformance group.
    """
    table = table or isa()
    allowed = None if groups is None else closure(groups, table)
    if not code:
        return [Finding(0, "empty-program", "there is no instruction")]
    try:
        program, findings = _identify_all(code, byte_order, table)
    except DecodeError as error:
        return [_finding(error)]
    flow = _Flow(program, len(code) // SLOT_BYTES)
    for index, item in program.items():
        if FRAME_POINTER in (item.dst, item.src):
            findings += _check_registers(index, item)
        if allowed is not None and not item.instruction.groups & allowed:
            findings.append(_outside(index, item.instruction, allowed))
    findings += flow.check_targets()
    findings += flow.check_reach()
    return sorted(findings)


def is_valid(findings: Iterable[Finding]) -> bool:
    """Whether ``findings`` has no errors; warnings do not count."""
    return all(finding.severity != "error" for finding in findings)


def _finding(error: DecodeError) -> Finding:
    return Finding(error.slot, error.rule, error.message)


def _identify_all(code: bytes, byte_order: ByteOrder, table: Isa) -> tuple[dict[int, Decoded], list[Finding]]:
    """Decode all instructions, with an error where there is none."""
    program: dict[int, Decoded] = {}
    findings: list[Finding] = []
    index = 0
    for found in instructions(code, byte_order, table):
        if isinstance(found, DecodeError):
            findings.append(_finding(found))
            # An error in a second slot includes the first slot.
            index = found.slot + 1
        else:
            program[index] = found
            index += found.instruction.slots
    return program, findings


def _check_registers(index: int, item: Decoded) -> Iterator[Finding]:
    for name in ("dst", "src"):
        if name in item.instruction.writes and getattr(item, name) == FRAME_POINTER:
            message = f"{item.instruction.name} writes r10 ({name})"
            yield Finding(index, "write-to-frame-pointer", message)


def _outside(index: int, row: Instruction, allowed: frozenset[str]) -> Finding:
    message = f"{row.name} is in {' and '.join(sorted(row.groups))}; allowed are {', '.join(sorted(allowed))}"
    return Finding(index, "outside-groups", message)


class _Flow:
    """The control flow of a program."""

    def __init__(self, program: dict[int, Decoded], length: int) -> None:
        self.program = program
        self.length = length
        self.second_slots = {index + 1 for index, item in program.items() if item.instruction.wide}
        self.targets: dict[int, list[Target]] = {}
        # The next slot, if control may reach it; it may after what is not an instruction.
        self.after: dict[int, int] = {slot: slot + 1 for slot in range(length) if slot not in program}
        for index, item in program.items():
            control = control_of(item.instruction)
            if control.references and (found := targets(index, item)):
                self.targets[index] = found
            if control.continues:
                self.after[index] = index + item.instruction.slots

    def check_targets(self) -> Iterator[Finding]:
        """Yield the findings for the targets of all instructions."""
        edges = ((index, what, target) for index, found in self.targets.items() for what, target, _ in found)
        for index, what, target in edges:
            if not 0 <= target < self.length:
                message = f"{what} to slot {target}, outside of slots 0 to {self.length - 1}"
                yield Finding(index, "jump-out-of-range", message)
            elif target in self.second_slots:
                message = f"{what} to slot {target}, the second slot of {self._row(target - 1)}"
                yield Finding(index, "jump-into-second-slot", message)

    def check_reach(self) -> Iterator[Finding]:
        """Check what is reachable from slot 0, including functions that are called or whose address is taken."""
        found = reached([0], self._onward)
        for index in found:
            if self.after.get(index) == self.length:
                name = self._row(index) if index in self.program else "what cannot be identified"
                message = f"after {name} control would leave the program"
                yield Finding(index, "falls-off-the-end", message)
        for index in self.program.keys() - found:
            yield Finding(index, "unreachable", f"no path leads to {self._row(index)}", "warning")

    def _onward(self, index: int) -> list[int]:
        after = self.after.get(index)
        found = [] if after is None else [after]
        return found + [target.slot for target in self.targets[index]] if index in self.targets else found

    def _row(self, index: int) -> str:
        return self.program[index].instruction.name
