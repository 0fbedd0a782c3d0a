# SPDX-License-Identifier: Apache-2.0
"""Programs with other code in place of the EXITs that end the main program, and its functions left as they are."""

from __future__ import annotations

from ...spec.asm.assemble import assemble_program
from ...spec.control import is_instruction, reached, successors_of, targets
from ...spec.encoding import Decoded, Program
from ...spec.table import isa


class NoPlace(Exception):
    """A program in which no code can take the place of the EXITs; the message says why."""


class Ends:
    """The EXITs that end a program rather than one of its functions.

    Raises:
        NoPlace: an EXIT does both, or control leaves the program.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        functions = {
            target
            for slot, item in enumerate(program)
            if item is not None
            for kind, target, _ in targets(slot, item)
            if kind != "jump"
        }
        main, called = reached({0}, self._following), reached(functions, self._following)
        self._ends = [slot for slot in sorted(main) if not self._following(slot)]
        if called.intersection(self._ends):
            raise NoPlace("an EXIT ends both the main program and a function")
        # Some loaders refuse jumps from one function into another, so that the code has to lie in the main program:
        # behind it, if it is in one piece and before all functions.
        first = min(functions, default=len(program))
        self._place = first if max(main) < first <= min(called, default=first) else len(program)

    def _following(self, slot: int) -> tuple[int, ...]:
        item = self._program[slot] if is_instruction(self._program, slot) else None
        if item is None:
            raise NoPlace(f"control leaves the program at slot {slot}")
        return successors_of(slot, item)

    def replaced_by(self, code: Program) -> Program:
        """Return the program with ``code``, which does not jump out of itself, run wherever the main program ends.

        Raises:
            NoPlace: a distance does not fit into its field then.
        """
        program, place = list(self._program), self._place
        if self._ends == [place - 1]:
            del program[place - 1]
            place -= 1
        else:
            for slot in self._ends:
                program[slot] = _jump(place - slot - 1)
        grown = len(program) + len(code) - len(self._program)
        for slot, item in enumerate(self._program[:place]):
            if item is not None and slot not in self._ends:
                program[slot] = _reaching(item, slot, self._place, grown)
        return [*program[:place], *code, *program[place:]]


def _reaching(item: Decoded, slot: int, place: int, grown: int) -> Decoded:
    """Return an instruction that refers to the same as ``item`` when what lies at ``place`` and behind it moves."""
    for _, target, field in targets(slot, item):
        if target >= place:
            if field is None:
                raise NoPlace(f"the distance of {item.instruction.name} at slot {slot} is not in one field")
            moved = getattr(item, field) + grown
            if not item.instruction.fields[field].admits(moved):
                raise NoPlace(f"the {field} of {item.instruction.name} at slot {slot} cannot be {moved}")
            item = item._replace(**{field: moved})
    return item


def _jump(distance: int) -> Decoded:
    near = isa().by_name["JA"].fields["offset"].admits(distance)
    (jump,) = assemble_program(f"{'goto' if near else 'gotol'} +{distance}")
    assert jump is not None
    return jump
