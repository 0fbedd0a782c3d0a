# SPDX-License-Identifier: Apache-2.0
"""The interpreter: ``execute(code, memory=...)`` returns a :class:`.faults.Returned` or a :class:`.faults.Fault`.

With a budget of N at most N instructions are executed; the program stops before the next one. An engine that checks the
budget less often gets the same result by continuing in :func:`run` in time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, Unpack

from ..spec.control import is_instruction
from ..spec.encoding import ByteOrder, Decoded, DecodeError, Program
from ..spec.table import Isa
from .executable import Executable, prepare
from .faults import Fault, FaultKind, Returned, Trap
from .frames import Frames
from .machine import Machine, Platform
from .rows import LocalCall, Move, Step
from .units import unit_at

DEFAULT_BUDGET: Final = 1 << 24
#: Number of instructions that are interpreted before units are compiled.
HOT_AFTER: Final = 2_000
HOT_AFTER_PER_SLOT: Final = 200
VISIBLE_REGISTERS: Final = 11


class TraceStep(NamedTuple):
    """One step of an execution: the instruction at slot ``pc`` and the changed registers by number."""

    number: int
    pc: int
    decoded: Decoded
    changed: dict[int, int]


def execute(
    code: bytes | Program | Executable,
    *,
    byte_order: ByteOrder = "little",
    memory: bytes | None = None,
    budget: int = DEFAULT_BUDGET,
    table: Isa | None = None,
    frames: type[Frames] = Frames,
    entry: int = 0,
    trace: Callable[[TraceStep], None] | None = None,
    **platform: Unpack[Platform],
) -> Returned | Fault:
    """Run a program from slot ``entry`` on a new machine, see :class:`.machine.Machine`.

    ``table`` decodes bytes (RFC 9669's if None). ``trace`` is called after each step.

    Raises:
        Exception: what a helper function raises, other than a Trap.
    """
    machine = Machine(byte_order=byte_order, memory=memory, frames=frames, **platform)
    try:
        executable = code if isinstance(code, Executable) else prepare(code, byte_order, table)
    except DecodeError as error:
        trap = Trap(FaultKind.UNDEFINED_INSTRUCTION, error.message)
        return fault(trap, machine, error.slot, None, 0)
    if trace:
        return _traced(executable, machine, trace, entry, budget)
    return run(executable, machine, pc=entry, budget=budget)


def run(
    executable: Executable,
    machine: Machine,
    *,
    pc: int = 0,
    steps: int = 0,
    budget: int = DEFAULT_BUDGET,
    hot_after: int | None = None,
) -> Returned | Fault:
    """Run ``executable`` on ``machine`` from slot ``pc`` to its end, as after ``steps`` of ``budget`` instructions.

    The state of the machine is not reset, so that another engine can hand over an execution. After ``hot_after``
    instructions (None: the default), targets of backward jumps, calls and returns are compiled to units, which only
    affects the speed.

    Raises:
        ValueError: the byte orders of the two differ, or ``pc`` is neither an instruction nor the end of the program.
        Exception: what a helper function raises, other than a Trap.
    """
    _check_fit(executable, machine, pc)
    if hot_after is None:
        hot_after = HOT_AFTER + HOT_AFTER_PER_SLOT * len(executable.program)
    operations, registers, frames = executable.operations, machine.registers, machine.frames
    hot = hot_after <= steps
    try:
        while steps < budget:
            if hot and (unit := unit_at(executable, pc)) and steps + unit.size <= budget:
                pc, steps = unit.run(machine, pc, steps, budget - unit.size)
            for steps in range(steps, budget):  # noqa: B020  # continues from its value
                step, following = operations[pc]
                move = step(registers, machine)
                if move is None:
                    pc = following
                    continue
                if isinstance(move, int):
                    forward = move >= 0
                    pc = _target(executable, following + move)
                    if forward:
                        continue
                elif isinstance(move, LocalCall):
                    pc = _target(executable, following + move.distance)
                    frames.enter(registers, following)
                else:
                    back = frames.leave(registers)
                    if back is None:
                        return returned(machine, steps + 1)
                    pc = back if back == len(executable.program) else _target(executable, back)
                if steps >= hot_after:
                    hot = True
                    break
            steps += 1
    except Trap as trap:
        pc, steps = trap.place or (pc, steps)
        return fault(trap, machine, pc, executable.name_at(pc), steps)
    spent = Trap(FaultKind.BUDGET, f"the program has not ended after {budget} instructions")
    return fault(spent, machine, pc, executable.name_at(pc), budget)


def _check_fit(executable: Executable, machine: Machine, pc: int) -> None:
    if executable.byte_order != machine.byte_order:
        orders = f"{executable.byte_order}-endian, but the machine {machine.byte_order}-endian"
        raise ValueError(f"the program is {orders}")
    if pc != len(executable.program) and not is_instruction(executable.program, pc):
        raise ValueError(f"no instruction begins at slot {pc}")


class _Tracer:
    """Wraps each step, and reports it when the next one begins, after the effect of a call on the registers."""

    def __init__(self, machine: Machine, callback: Callable[[TraceStep], None]) -> None:
        self.machine, self.callback = machine, callback
        self.count = 0
        self.pending: tuple[int, Decoded, list[int]] | None = None

    def wrap(self, pc: int, decoded: Decoded, step: Step) -> Step:
        """Return a step that reports itself."""

        def traced(registers: list[int], machine: Machine) -> Move:
            self.flush()
            self.pending = pc, decoded, registers.copy()
            return step(registers, machine)

        return traced

    def flush(self) -> None:
        """Report the step before, if there was one."""
        if self.pending:
            pc, decoded, before = self.pending
            pairs = enumerate(zip(before, self.machine.registers, strict=True))
            self.callback(TraceStep(self.count, pc, decoded, {i: new for i, (old, new) in pairs if old != new}))
            self.count += 1
            self.pending = None


def _traced(
    executable: Executable, machine: Machine, callback: Callable[[TraceStep], None], pc: int, budget: int
) -> Returned | Fault:
    tracer = _Tracer(machine, callback)
    copy = Executable(executable.program, executable.byte_order)
    for slot, item in enumerate(executable.program):
        if item:
            step, following = copy.operations[slot]
            copy.operations[slot] = tracer.wrap(slot, item, step), following
    outcome = run(copy, machine, pc=pc, budget=budget, hot_after=budget)
    tracer.flush()
    return outcome


def _target(executable: Executable, slot: int) -> int:
    """Return the target of a jump or call, after a check.

    Raises:
        Trap: no instruction begins there.
    """
    if is_instruction(executable.program, slot):
        return slot
    size = len(executable.program)
    what = "the second slot of a wide instruction" if 0 <= slot < size else f"outside of the program's {size} slots"
    raise Trap(FaultKind.BAD_JUMP, f"the target is slot {slot}, {what}")


def returned(machine: Machine, steps: int) -> Returned:
    """Return the outcome of a program that has ended on ``machine``."""
    return Returned(
        registers=tuple(machine.registers[:VISIBLE_REGISTERS]),
        memory=bytes(machine.input.data) if machine.input else None,
        maps=tuple(bytes(item.region.data) for item in machine.maps),
        steps=steps,
    )


def fault(trap: Trap, machine: Machine, pc: int, name: str | None, steps: int) -> Fault:
    """Return the outcome of a program that ``trap`` has stopped at the instruction ``name`` in slot ``pc``."""
    return Fault(
        registers=tuple(machine.registers[:VISIBLE_REGISTERS]),
        memory=bytes(machine.input.data) if machine.input else None,
        maps=tuple(bytes(item.region.data) for item in machine.maps),
        steps=steps,
        kind=trap.kind,
        pc=pc,
        instruction=name,
        reason=trap.reason,
        address=trap.address,
        region=trap.region,
    )
