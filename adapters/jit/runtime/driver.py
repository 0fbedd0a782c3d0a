# SPDX-License-Identifier: Apache-2.0
"""One run of compiled code on a machine: what goes in, calls back, and comes out."""

from __future__ import annotations

import ctypes
from contextlib import AbstractContextManager
from dataclasses import replace
from types import TracebackType

from ....reference_vm import faults
from ....reference_vm.executable import Executable
from ....reference_vm.faults import Fault, FaultKind, Returned
from ....reference_vm.frames import FRAME_POINTER
from ....reference_vm.interpreter import VISIBLE_REGISTERS, run
from ....reference_vm.machine import Machine
from ....reference_vm.memory import STACK_WINDOW, Region
from ....spec import tree as t
from ....spec.encoding import Program
from ....spec.folding import fold
from ..layout import FRAMES, READS, REGION_WORDS, REGISTERS, WORDS, WRITES, Trap, Word
from ..plan import Plan
from ..trust import Acceptance
from .llvm import support_function

_MOST = (1 << 62) - 1
_ENTRY = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)
_LOCK = ctypes.c_uint32(0)

#: What kinds of fault the reference may find where compiled code has stopped.
_KINDS = {
    Trap.BUDGET: set(FaultKind),
    Trap.BAD_JUMP: {FaultKind.BAD_JUMP},
    Trap.CALL_DEPTH: {FaultKind.CALL_DEPTH},
    Trap.FRAME_POINTER_WRITE: {FaultKind.FRAME_POINTER_WRITE},
    Trap.UNDEFINED_OPERATION: {FaultKind.UNDEFINED_OPERATION},
    Trap.PLATFORM: {FaultKind.UNKNOWN_MAP, FaultKind.UNKNOWN_VARIABLE},
}


class EngineError(RuntimeError):
    """Compiled code and the reference disagree on whether an instruction can be executed: a defect of this package."""


class Driver(AbstractContextManager[None]):
    """Runs ``plan``'s code once on ``machine``; as a context manager, remembers what a helper function raises."""

    def __init__(
        self,
        plan: Plan,
        program: Program,
        machine: Machine,
        budget: int,
        constants: int,
        accepted: Acceptance | None = None,
    ) -> None:
        self.plan, self.program, self.machine, self.accepted = plan, program, machine, accepted
        self.budget = budget
        self.error: BaseException | None = None
        self.pins: list[ctypes.c_char] = []
        self.stacks = self._stacks()
        words = [0] * WORDS
        words[:REGISTERS] = machine.registers
        words[Word.BUDGET] = min(budget, _MOST)
        words[Word.FIND] = support_function("find")
        if plan.calls_helpers:
            words[Word.CALL] = support_function("call")
        words[Word.CONSTANTS] = constants
        words[Word.LOCK] = ctypes.addressof(_LOCK)
        words[Word.STACKS : Word.STACKS + FRAMES] = [self._host(region.data) for region in self.stacks]
        self.words = (ctypes.c_uint64 * WORDS)(*words)
        self._map_regions()
        self._resolve_platform()

    def _host(self, data: bytearray) -> int:
        """Return where ``data`` is; it stays there as long as this object lives."""
        if not data:
            return 0
        pin = ctypes.c_char.from_buffer(data)
        self.pins.append(pin)
        return ctypes.addressof(pin)

    def _stacks(self) -> list[Region]:
        """Return the stacks of all frames that the program can have; those of calls are not mapped yet."""
        frames = self.machine.frames
        if self.plan.called:
            while len(frames.stacks) < FRAMES:
                frames.push_stack()
        stacks = frames.stacks.copy()
        while len(frames.stacks) > 1:
            frames.pop_stack()
        return stacks + stacks[:1] * (FRAMES - len(stacks))

    def _map_regions(self) -> None:
        """Tell the code about all regions but the stacks."""
        rows: list[int] = []
        words = self.words
        for window, region in sorted(self.machine.memory.regions.items()):
            if not STACK_WINDOW <= window < STACK_WINDOW + 2 * FRAMES:
                host, size = self._host(region.data), len(region.data)
                writable = size if region.writable else 0
                rows += [window, host, size, writable]
                if region is self.machine.input:
                    words[Word.INPUT_HOST], words[Word.INPUT_SIZE], words[Word.INPUT_WRITABLE] = rows[-3:]
        self.table = (ctypes.c_uint64 * len(rows))(*rows)
        words[Word.REGIONS], words[Word.REGION_COUNT] = ctypes.addressof(self.table), len(rows) // REGION_WORDS

    def _resolve_platform(self) -> None:
        """Find the values of the platform functions that the program calls; a trap is for when it gets there."""
        pairs: list[int] = []
        for slot, call in self.plan.platform:
            try:
                pairs += [1, self._platform(slot, call)]
            except faults.Trap:
                pairs += [0, 0]
        self.values = (ctypes.c_uint64 * len(pairs))(*pairs)
        self.words[Word.PLATFORM] = ctypes.addressof(self.values)

    def _platform(self, slot: int, call: t.Call) -> int:
        machine = self.machine
        if call.name == "packet":
            return self.words[Word.INPUT_HOST] if self.accepted else machine.packet
        arguments = [slot] if call.name == "code_addr" else []
        for argument in call.args:
            if isinstance(argument, t.Call):
                arguments.append(self._platform(slot, argument))
            else:
                number = fold(argument, self.plan.at(slot))
                assert number is not None, "a plan has no other calls"
                arguments.append(argument.type.wrap(number))
        value: int = getattr(machine, call.name)(*arguments)
        region = machine.memory.region_at(value)
        if self.accepted and region:
            return self._host(region.data) + value - region.base
        return value

    # The run

    def run(self, address: int) -> Returned | Fault:
        """Call the code at ``address`` and return the outcome.

        Raises:
            BaseException: what a helper function raised, other than a Trap.
            EngineError: the code stopped where the reference would not.
        """
        # Kept here, not in this object, which would refer to itself and stay for the garbage collector.
        callable_object = self._call_helper
        self.words[Word.CALLABLE] = id(callable_object)
        stopped = _ENTRY(address)(ctypes.addressof(self.words))
        self.machine.registers[:] = self.words[:REGISTERS]
        if self.accepted:
            self.machine.registers[FRAME_POINTER] = self.stacks[self.words[Word.DEPTH]].end
        left = ctypes.c_int64(self.words[Word.BUDGET]).value
        if stopped:
            return self._fault(left)
        return self._returned(min(self.budget, _MOST) - left)

    def _call_helper(self) -> None:
        """Call a helper function for the code; raise if it does, which the code passes on by stopping."""
        with self:
            self._enter_frames()
            kind, number, *arguments = self.words[Word.ARGUMENTS : Word.ARGUMENTS + 7]
            by = ("static", "btf")[kind]
            self.words[Word.RESULT] = self.machine.call_helper(by, t.S64.wrap(number), *arguments)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Keep an exception for later: the native code that it comes to only learns that there is one."""
        self.error = error

    def _enter_frames(self) -> None:
        """Map the stacks of the calls that are going on, as the interpreter would have."""
        stacks, words = self.machine.frames.stacks, self.words
        depth = words[Word.DEPTH]
        while len(stacks) > depth + 1:
            self.machine.frames.pop_stack()
        for frame in range(depth + 1):
            words[Word.DIRTY + frame] = 1
            if frame == len(stacks):
                stacks.append(self.machine.memory.add(self.stacks[frame]))

    # The outcome

    def _returned(self, steps: int) -> Returned:
        machine = self.machine
        return Returned(
            registers=tuple(machine.registers[:VISIBLE_REGISTERS]),
            memory=bytes(machine.input.data) if machine.input else None,
            maps=tuple(bytes(item.region.data) for item in machine.maps),
            steps=steps,
        )

    def _fault(self, left: int) -> Fault:
        """Return the fault at which the code stopped, in the words of the reference.

        The code says where and why. Refused accesses are explained by the memory; for all else the reference executes
        that one instruction, or what the budget allows for in the last block.
        """
        slot, trap = self.words[Word.STOP] >> 8, Trap(self.words[Word.STOP] & 0xFF)
        if self.accepted:
            return self._out_of_budget(slot, trap, left)
        if trap is Trap.HELPER and not isinstance(self.error, faults.Trap):
            raise self.error or EngineError("a helper function could not be called")
        self._enter_frames()
        steps = min(self.budget, _MOST) - left - self._unspent(slot)
        executable = Executable(self.program, self.machine.byte_order)
        if trap is Trap.HELPER:
            return self._stopped_by(self.error, executable, slot, steps)
        if trap is Trap.ACCESS:
            return self._stopped_by(self._refusal(), executable, slot, steps)
        if slot == len(self.program):
            if trap is Trap.BUDGET:
                return replace(self._spent(executable, self.budget), pc=slot, instruction=None)
            return self._past_the_end(executable, slot, steps)
        budget = self.budget if trap is Trap.BUDGET else steps + 1
        outcome = run(executable, self.machine, pc=slot, steps=steps, budget=budget)
        if not isinstance(outcome, Fault) or outcome.kind not in _KINDS[trap]:
            raise EngineError(f"compiled code stopped at slot {slot} ({trap.name}); the reference: {outcome}")
        return outcome

    def _out_of_budget(self, slot: int, trap: Trap, left: int) -> Fault:
        """Return the fault of unchecked code, which has no other reason to stop, and notices it late."""
        if trap is not Trap.BUDGET:
            raise EngineError(f"unchecked code stopped at slot {slot} ({trap.name})")
        item = self.program[slot]
        ended = self._returned(self.budget - left - self._unspent(slot))
        return Fault(
            registers=ended.registers,
            memory=ended.memory,
            maps=ended.maps,
            steps=ended.steps,
            kind=FaultKind.BUDGET,
            pc=slot,
            instruction=item.instruction.name if item else None,
            reason=f"the program has not ended after {self.budget} instructions",
        )

    def _refusal(self) -> faults.Trap:
        """Return why the access that the code noted cannot be done."""
        address, access = self.words[Word.ADDRESS], self.words[Word.ACCESS]
        size = access % READS
        region = self.machine.memory.region_at(address)
        if region is None or address + size > region.end:
            return self.machine.memory.denied("read" if access & READS else "write", address, size)
        if region.writable or not access & WRITES:
            raise EngineError(f"compiled code refused to access {size} bytes at {address:#x}, which it may")
        return self.machine.memory.denied("write", address, size)

    def _unspent(self, slot: int) -> int:
        """Return how many instructions have been paid for that are still to come at ``slot``, with it."""
        if slot == len(self.program):
            return 1
        slots = self.plan.block_of(slot).slots
        return len(slots) - slots.index(slot)

    def _spent(self, executable: Executable, steps: int) -> Fault:
        """Return the fault of a budget of ``steps`` with the machine as it is."""
        outcome = run(executable, self.machine, steps=steps, budget=steps)
        assert isinstance(outcome, Fault)
        return outcome

    def _past_the_end(self, executable: Executable, slot: int, steps: int) -> Fault:
        operation = executable.operations[slot]
        assert operation is not None
        try:
            operation[0](self.machine.registers, self.machine)
        except faults.Trap as trap:
            return self._stopped_by(trap, executable, slot, steps)
        raise EngineError("compiled code ran past the last instruction, and the reference has one there")

    def _stopped_by(self, trap: BaseException | None, executable: Executable, slot: int, steps: int) -> Fault:
        assert isinstance(trap, faults.Trap)
        return replace(
            self._spent(executable, steps),
            kind=trap.kind,
            pc=slot,
            instruction=executable.name_at(slot),
            reason=trap.reason,
            address=trap.address,
            region=trap.region,
        )
