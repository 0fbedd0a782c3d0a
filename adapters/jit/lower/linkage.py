# SPDX-License-Identifier: Apache-2.0
"""The calling convention of compiled functions: prologue, calls, returns, the frame, and results for the driver."""

from __future__ import annotations

from ....reference_vm.frames import FRAME_BYTES, FRAME_POINTER, MAX_FRAMES
from ..errors import NotLowerable
from ..layout import Trap, Word
from ..plan import Plan, named_registers, stack_use
from .emit import RARELY, Operand, literal
from .state import FunctionState

#: What a local function returns: the budget left (negative if the program stopped), and R0 to R5.
RESULT = "{i64, i64, i64, i64, i64, i64, i64}"
_RESULT_REGISTERS = range(6)
_PASSED_REGISTERS = range(10)
_INPUT_REGISTER = 1


class Linkage:
    """Writes prologue, epilogue, calls and returns of the function at ``entry``; ``name`` is that of the program."""

    def __init__(self, state: FunctionState, entry: int, name: str, *, is_program: bool) -> None:
        self.state, self.emit, self.context, self.style = state, state.emit, state.context, state.style
        self.entry, self.name, self.is_program = entry, name, is_program
        self.depth: Operand = 0 if is_program else "%depth"
        self.stack_use = stack_use(state.plan, entry)
        #: The registers that are kept in variables.
        self.registers = sorted(_registers_used(state.plan, entry, is_program=is_program))
        #: Blocks after which the function ends because one that it called has stopped.
        self._unwinds: list[str] = []
        self._returns = False

    # Prologue

    def open(self) -> None:
        """Begin the function: put what it gets into variables."""
        # Code that keeps no budget is for programs that are known to end.
        attributes = "nounwind" if self.style.counted else "nounwind mustprogress"
        if self.is_program:
            self.emit.line(f"define i64 @{self.name}(ptr noalias %ctx) {attributes} {{")
        else:
            passed = ", ".join(f"i64 %a{n}" for n in _PASSED_REGISTERS)
            head = f"define internal fastcc {RESULT} @{self.name}f{self.entry}"
            self.emit.line(f"{head}(ptr noalias %ctx, i64 %left0, i64 %depth, {passed}) {attributes} {{")
        self.emit.begin("entry")
        self.emit.line(f"%input = load ptr, ptr {self.context.pointer(Word.INPUT_HOST)}")
        self.emit.line("%input_address = ptrtoint ptr %input to i64")
        for register in self.registers:
            self.emit.line(f"%r{register} = alloca i64")
            value = self.context.read(Word.REGISTERS + register) if self.is_program else f"%a{register}"
            if self.is_program and register == _INPUT_REGISTER and not self.style.checked:
                # LLVM should know that it is the same.
                value = "%input_address"
            self.emit.line(f"store i64 {value}, ptr %r{register}")
        if self.style.counted:
            self.emit.line("%left = alloca i64")
            left = self.context.read(Word.BUDGET) if self.is_program else "%left0"
            self.emit.line(f"store i64 {left}, ptr %left")

    def open_frame(self) -> None:
        """Find the stack. It is all zeros now and, but for what it is used for through R10 only, at the end again."""
        self.emit.line(f"%stacks = getelementptr i64, ptr %ctx, i64 {int(Word.STACKS)}")
        self.emit.line(f"%stackp = getelementptr i64, ptr %stacks, i64 {self.depth}")
        self.emit.line("%stack = load ptr, ptr %stackp")
        if not self.is_program:
            self._clear_stack()
        registers = self.state.registers
        if not self.style.checked:
            bottom = self.emit.value("ptrtoint ptr %stack to i64")
            registers.set_frame_pointer(self.emit.value(f"add i64 {bottom}, {FRAME_BYTES}"))
        elif not self.is_program:
            window = self.emit.value(f"shl i64 {self.depth}, 33")
            registers.set_frame_pointer(self.emit.value(f"add i64 {window}, {registers.frame_pointer}"))

    def _clear_stack(self) -> None:
        """Clear the stack if the function that had it before may have left something there."""
        self.context.write(Word.DEPTH, self.depth)
        self.emit.line(f"%flags = getelementptr i64, ptr %ctx, i64 {int(Word.DIRTY)}")
        self.emit.line(f"%flag = getelementptr i64, ptr %flags, i64 {self.depth}")
        clear, ready = self.emit.label(), self.emit.label()
        self.emit.branch(self.emit.compare("ne", 64, self.emit.value("load i64, ptr %flag"), 0), clear, ready)
        self.emit.begin(clear)
        self.emit.line(f"call void @llvm.memset.p0.i64(ptr %stack, i8 0, i64 {FRAME_BYTES}, i1 false)")
        self.emit.line("store i64 0, ptr %flag")
        self.emit.line(f"br label %{ready}")
        self.emit.begin(ready)
        if self.stack_use is None:
            self.emit.line("store i64 1, ptr %flag")

    # Calls and returns

    def call(self, target: int) -> None:
        """Call the local function at ``target``."""
        state, emit = self.state, self.emit
        deeper = emit.binary("add", 64, self.depth, 1)
        if self.style.checked:
            state.trap_if(emit.compare("uge", 64, deeper, MAX_FRAMES), Trap.CALL_DEPTH)
        passed = ", ".join(f"i64 {literal(state.registers.read(register), 64)}" for register in _PASSED_REGISTERS)
        left = emit.value("load i64, ptr %left") if self.style.counted else "0"
        state.registers.flush()
        result = emit.value(f"call fastcc {RESULT} @{self.name}f{target}(ptr %ctx, i64 {left}, i64 {deeper}, {passed})")
        left = emit.value(f"extractvalue {RESULT} {result}, 0")
        if self.style.counted:
            emit.line(f"store i64 {left}, ptr %left")
        following = emit.label()
        self._unwinds.append(emit.block)
        emit.branch(emit.compare("slt", 64, left, 0), "failed" if self.is_program else "unwind", following, RARELY)
        emit.begin(following)
        self.context.write(Word.DEPTH, self.depth)
        for register in _RESULT_REGISTERS:
            state.registers.write(register, emit.value(f"extractvalue {RESULT} {result}, {register + 1}"))

    def leave(self) -> None:
        """Return from the function."""
        if self.style.counted and not self.style.checked and not self.is_program:
            # The caller takes a budget below 0 for the sign that the program has stopped.
            self.state.trap_if(self.emit.compare("slt", 64, self.emit.value("load i64, ptr %left"), 0), Trap.BUDGET)
        self._returns = True
        self.state.end_block("done")

    # Epilogue

    def close(self) -> None:
        """Write the blocks to which the others lead when the function ends."""
        stops = self.state.stops
        if stops:
            self.emit.begin("stop")
            code = self.emit.value("phi i64 " + ", ".join(f"[{code}, %{label}]" for label, code in stops))
            self.context.write(Word.STOP, code)
            if not self.is_program:
                self._put_registers()
            self.emit.line(f"br label %{'leave' if self.is_program else 'unwind'}")
        if self.is_program:
            self._end_program()
        else:
            self._end_local_function()
        self.emit.line("}")

    def _end_program(self) -> None:
        """Give the registers to the driver; a called function that has stopped has given its own."""
        ends = ["[1, %stop]"] if self.state.stops else []
        if self._returns:
            self.emit.begin("done")
            self.emit.line("br label %leave")
            ends.append("[0, %done]")
        if ends:
            self.emit.begin("leave")
            status = self.emit.value(f"phi i64 {', '.join(ends)}")
            self._put_registers()
            self.emit.line(f"ret i64 {status}")
        if self._unwinds:
            self.emit.begin("failed")
            self.emit.line("ret i64 1")

    def _end_local_function(self) -> None:
        if self.state.stops or self._unwinds:
            self.emit.begin("unwind")
            self.emit.line(f"ret {RESULT} {{i64 -1{', i64 0' * 6}}}")
        if self._returns:
            self.emit.begin("done")
            for offset, size in sorted(self.stack_use or ()):
                place = self.emit.value(f"getelementptr i8, ptr %stack, i64 {FRAME_BYTES + offset}")
                self.emit.line(f"store i{8 * size} 0, ptr {place}, align 1")
            self._return_registers()

    def _put_registers(self) -> None:
        for register in self.registers:
            self.context.write(Word.REGISTERS + register, self.emit.value(f"load i64, ptr %r{register}"))
        if not (self.is_program and self.style.checked):
            self.context.write(Word.REGISTERS + FRAME_POINTER, self.state.registers.frame_pointer)
        if self.style.counted:
            self.context.write(Word.BUDGET, self.emit.value("load i64, ptr %left"))

    def _return_registers(self) -> None:
        values = [self.emit.value("load i64, ptr %left") if self.style.counted else "0"]
        values += [self.emit.value(f"load i64, ptr %r{register}") for register in _RESULT_REGISTERS]
        result = "poison"
        for place, value in enumerate(values):
            result = self.emit.value(f"insertvalue {RESULT} {result}, i64 {value}, {place}")
        self.emit.line(f"ret {RESULT} {result}")


def _registers_used(plan: Plan, entry: int, *, is_program: bool) -> set[int]:
    """Return the registers that matter: all where there are local calls, else those that instructions name."""
    blocks = [plan.blocks[first] for first in plan.functions[entry]]
    calls = not is_program or any(block.call is not None for block in blocks)
    found = set(_PASSED_REGISTERS) if calls else set()
    for block in blocks:
        for slot in block.slots:
            item = plan.at(slot)
            found |= {item.dst, item.src, *named_registers(item.instruction)}
    if calls and max(found) > FRAME_POINTER:
        raise NotLowerable(f"local calls in a program that uses r{max(found)}")
    return found - {FRAME_POINTER}
