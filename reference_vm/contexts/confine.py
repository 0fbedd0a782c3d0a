# SPDX-License-Identifier: Apache-2.0
"""Programs with a fault that is confined to contexts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count

from ...spec.encoding import Decoded
from ..executable import Executable
from ..machine import Machine
from ..rows import Move, Step
from .context import Context, held
from .moments import MOMENTS, Moment
from .points import Point, Surroundings


class Confinement:
    """A machine that is faulty only where all of some contexts hold.

    ``programs`` is how many programs its process has run before.
    """

    def __init__(self, where: Iterable[Context], programs: int = 0) -> None:
        every = tuple(where)
        self.static = frozenset(one for one in every if not one.is_dynamic)
        self.dynamic = tuple(one for one in every if one.is_dynamic)
        self.programs = programs

    def executable(self, right: Executable, changes: Mapping[int, Decoded]) -> Executable:
        """Return ``right`` as the machine runs it, which executes ``changes`` at their slots in the contexts.

        It is for one run: it counts executions.
        """
        self.programs += 1
        around = Surroundings(right.program)
        confined = {
            slot: item
            for slot, item in changes.items()
            if self.static <= held(Point(around, slot, right.program[slot] or item))
        }
        return self.at(right, confined)

    def at(self, right: Executable, changes: Mapping[int, Decoded]) -> Executable:
        """Return what :meth:`executable` does for ``changes`` where the static contexts are known to hold."""
        faulty = right.replaced(changes)
        if not self.dynamic:
            return faulty
        mixed = right.replaced({})
        for slot in changes:
            item = right.program[slot]
            assert item is not None
            step, following = right.operations[slot]
            mixed.operations[slot] = self._choosing(item, step, faulty.operations[slot][0]), following
        # Units are compiled from rows, not from steps: there are none.
        mixed.units = dict.fromkeys(range(len(mixed.operations)))
        return mixed

    def _choosing(self, item: Decoded, right: Step, wrong: Step) -> Step:
        executions, programs = count(1), self.programs

        def step(registers: list[int], machine: Machine) -> Move:
            moment = Moment(item, next(executions), programs, registers, machine)
            holds = all(one.value in MOMENTS[one.feature].of(moment) for one in self.dynamic)
            return (wrong if holds else right)(registers, machine)

        return step
