# SPDX-License-Identifier: Apache-2.0
"""One run of compiled code on a machine: inputs, callbacks and outcome."""

from __future__ import annotations

import ctypes
from dataclasses import replace

from ....reference_vm import faults
from ....reference_vm.executable import Executable
from ....reference_vm.faults import Fault, FaultKind, Returned
from ....reference_vm.frames import FRAME_POINTER
from ....reference_vm.interpreter import fault, returned, run
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
    Trap.FELL_OFF_END: {FaultKind.FELL_OFF_END},
    Trap.CALL_DEPTH: {FaultKind.CALL_DEPTH},
    Trap.FRAME_POINTER_WRITE: {FaultKind.FRAME_POINTER_WRITE},
    Trap.UNDEFINED_OPERATION: {FaultKind.UNDEFINED_OPERATION},
    Trap.PLATFORM: {FaultKind.UNKNOWN_MAP, FaultKind.UNKNOWN_VARIABLE},
}


class EngineError(RuntimeError):
    """Compiled code and the reference disagree on whether an instruction can be executed: a defect of this package."""


class Driver:
    """Runs ``plan``'s code once on ``machine``."""

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
        #: What a helper function has raised.
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
        return returned(self.machine, min(self.budget, _MOST) - left)

    def _call_helper(self) -> None:
        """Call a helper function for the code; raise if it does, which the code passes on by stopping."""
        self._enter_frames()
        kind, number, *arguments = self.words[Word.ARGUMENTS : Word.ARGUMENTS + 7]
        by = ("static", "btf")[kind]
        try:
            self.words[Word.RESULT] = self.machine.call_helper(by, t.S64.wrap(number), *arguments)
        except BaseException as error:
            # The machine code that called this learns only that there is an exception.
            self.error = error
            raise

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

    def _fault(self, left: int) -> Returned | Fault:
        """Return the fault at which the code stopped, as the reference VM reports it.

        The code has stored slot and trap. The memory explains refused accesses; otherwise the reference VM executes
        that instruction, or the rest of the budget in the last block.
        """
        slot, trap = self.words[Word.STOP] >> 8, Trap(self.words[Word.STOP] & 0xFF)
        if self.accepted:
            return self._out_of_budget(slot, trap, left)
        if trap is Trap.HELPER and not isinstance(self.error, faults.Trap):
            raise self.error or EngineError("a helper function could not be called")
        self._enter_frames()
        steps = min(self.budget, _MOST) - left - self._unspent(slot)
        executable = Executable(self.program, self.machine.byte_order)
        if trap in {Trap.HELPER, Trap.ACCESS}:
            error = self.error if trap is Trap.HELPER else self._refusal()
            assert isinstance(error, faults.Trap)
            return fault(error, self.machine, slot, executable.name_at(slot), steps)
        budget = self.budget if trap is Trap.BUDGET else steps + 1
        outcome = run(executable, self.machine, pc=slot, steps=steps, budget=budget)
        if not isinstance(outcome, Fault) or outcome.kind not in _KINDS[trap]:
            raise EngineError(f"compiled code stopped at slot {slot} ({trap.name}); the reference: {outcome}")
        return outcome

    def _out_of_budget(self, slot: int, trap: Trap, left: int) -> Returned | Fault:
        """Return the fault of unchecked code, which stops only for its budget, and late."""
        if trap is not Trap.BUDGET:
            raise EngineError(f"unchecked code stopped at slot {slot} ({trap.name})")
        executable = Executable(self.program, self.machine.byte_order)
        ended = run(executable, self.machine, pc=slot, steps=self.budget, budget=self.budget)
        return replace(ended, steps=self.budget - left - self._unspent(slot))

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
        """Return the number of instructions of the block, from ``slot``, that the budget already includes."""
        if slot == len(self.program):
            return 1
        slots = self.plan.block_of(slot).slots
        return len(slots) - slots.index(slot)
