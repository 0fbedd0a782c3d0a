# SPDX-License-Identifier: Apache-2.0
"""From a program to LLVM IR: a function for the program and one for each of its local functions.

Registers are local variables of these functions (LLVM turns them into values), so a local call needs no code to save
and restore R6 to R9. Within a basic block values are passed on directly. A block pays for all of its instructions
when it is entered; where too little is left of the budget, or an instruction cannot be executed, the registers are
put into the words that are shared with the driver (:mod:`.layout`), and all functions return.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...reference_vm.executable import writes_frame_pointer
from ...reference_vm.frames import FRAME_BYTES, FRAME_POINTER, MAX_FRAMES
from ...reference_vm.memory import INPUT_WINDOW, STACK_WINDOW, window_address
from ...spec import tree as t
from ...spec.encoding import ByteOrder
from .emit import RARELY, USUALLY, Operand, literal
from .layout import WRITES, Trap, Word
from .loops import Loop, Sweep, loops_of, place_in
from .places import Place, places_of
from .plan import Plan, is_instruction, stack_use, target_of
from .rows import NotLowerable, RowLowering

#: What a local function returns: the budget left (negative if the program stopped), and R0 to R5.
#: More iterations than any loop can have.
_MANY = 1 << 40
#: Longer steps than this are not worth counting.
_LONGEST_STEP = 1 << 30
_INPUT = window_address(INPUT_WINDOW)
RESULT = "{i64, i64, i64, i64, i64, i64, i64}"
_FOUND_WORDS = (
    ("host", Word.FOUND_HOST), ("base", Word.FOUND_BASE), ("size", Word.FOUND_SIZE), ("wsize", Word.FOUND_WRITABLE),
)  # fmt: skip
_RESULT_REGISTERS = range(6)
_PASSED_REGISTERS = range(10)


@dataclass(frozen=True, slots=True)
class Style:
    """How to lower a program.

    ``inline_checks`` spends code on checking the likeliest region of memory in place; without ``checked`` addresses
    are the host's own, nothing is checked and no budget is kept.
    """

    byte_order: ByteOrder
    swapped: bool
    inline_checks: bool
    checked: bool = True


def lower_program(plan: Plan, style: Style, name: str) -> list[str]:
    """Return the lines of the function ``name``, which runs the program, and of those it calls."""
    entry = plan.functions[0]
    lines = FunctionLowering(plan, style, entry, name, is_program=True).lower()
    called: set[int] = set().union(*(plan.calls_from(function) for function in plan.functions))
    for function in sorted(called):
        lines += FunctionLowering(plan, style, function, name, is_program=False).lower()
    return lines


class FunctionLowering(RowLowering):
    """Lowers the blocks that are reached from ``entry`` without a call."""

    def __init__(self, plan: Plan, style: Style, entry: int, name: str, *, is_program: bool) -> None:
        super().__init__(style.byte_order, swapped=style.swapped)
        self.plan, self.style, self.entry, self.name, self.is_program = plan, style, entry, name, is_program
        self.depth: Operand = 0 if is_program else "%depth"
        #: Values of registers in the current block, and those that the variables do not have yet.
        self.values: dict[int, Operand] = {}
        self.dirty: set[int] = set()
        #: Results that are the frame pointer plus a number.
        self.frame_offsets: dict[str, int] = {}
        #: Where the function stops: label of the block that leads there, and what goes into Word.STOP.
        self.stops: list[tuple[str, int]] = []
        self.unwinds: list[str] = []
        self.ended = False
        self.registers = self._registers_used()
        self.returns = self.needs_copy = False
        quick = style.inline_checks and style.checked
        self.places = places_of(plan) if quick else {}
        self.stack_use = stack_use(plan, entry)
        self.loops = loops_of(plan, entry, self.places) if quick else {}
        #: The loop whose version without checks is being written, with where its sweeps lead.
        self.quick: Loop | None = None
        self.copy = 0
        self.swept: dict[tuple[int, t.Expr], tuple[str, Operand]] = {}
        self.frame_pointer: Operand = window_address(STACK_WINDOW) + FRAME_BYTES

    def _registers_used(self) -> list[int]:
        extra = {
            register
            for item in self.plan.program
            if item is not None
            for register in (item.dst, item.src)
            if register > FRAME_POINTER
        }
        if extra and len(self.plan.functions) > 1:
            raise NotLowerable(f"local calls in a program that uses r{min(extra)}")
        return [*range(FRAME_POINTER), *sorted(extra)]

    # The function

    def lower(self) -> list[str]:
        """Return the lines of the function."""
        if self.is_program:
            self.line(f"define i64 @{self.name}(ptr noalias %ctx) nounwind {{")
        else:
            passed = ", ".join(f"i64 %a{n}" for n in _PASSED_REGISTERS)
            head = f"define internal fastcc {RESULT} @{self.name}f{self.entry}"
            self.line(f"{head}(ptr noalias %ctx, i64 %left0, i64 %depth, {passed}) nounwind {{")
        self._prologue()
        for first in self.plan.reachable(self.entry):
            if first < len(self.plan.program):
                loop = self.loops.get(first)
                if loop:
                    self._quick_loop(loop)
                self._block(first)
            else:
                self._end_of_program(first)
        self._epilogue()
        self.line("}")
        return self.lines

    def _word(self, word: int) -> str:
        return self.value(f"getelementptr i64, ptr %ctx, i64 {word}")

    def _get_word(self, word: int, kind: str = "i64") -> str:
        return self.value(f"load {kind}, ptr {self._word(word)}")

    def _put_word(self, word: int, value: Operand) -> None:
        self.line(f"store i64 {literal(value, 64)}, ptr {self._word(word)}")

    def _prologue(self) -> None:
        self.begin("entry")
        for register in self.registers:
            self.line(f"%r{register} = alloca i64")
            value = self._get_word(Word.REGISTERS + register) if self.is_program else f"%a{register}"
            self.line(f"store i64 {value}, ptr %r{register}")
        if self.style.checked:
            self.line("%left = alloca i64")
            left = self._get_word(Word.BUDGET) if self.is_program else "%left0"
            self.line(f"store i64 {left}, ptr %left")
        self._open_frame()
        if self.style.inline_checks and self.style.checked:
            self._open_regions()
        self.line(f"br label %b{self.entry}")

    def _open_frame(self) -> None:
        """Find the stack. It is all zeros now and, but for what it is used for through R10 only, at the end again."""
        self.line(f"%stacks = getelementptr i64, ptr %ctx, i64 {int(Word.STACKS)}")
        self.line(f"%stackp = getelementptr i64, ptr %stacks, i64 {self.depth}")
        self.line("%stack = load ptr, ptr %stackp")
        if not self.is_program:
            self._put_word(Word.DEPTH, self.depth)
            self.line(f"%flags = getelementptr i64, ptr %ctx, i64 {int(Word.DIRTY)}")
            self.line(f"%flag = getelementptr i64, ptr %flags, i64 {self.depth}")
            clear, ready = self.label(), self.label()
            self.branch(self.compare("ne", 64, self.value("load i64, ptr %flag"), 0), clear, ready)
            self.begin(clear)
            self.line(f"call void @llvm.memset.p0.i64(ptr %stack, i8 0, i64 {FRAME_BYTES}, i1 false)")
            self.line("store i64 0, ptr %flag")
            self.line(f"br label %{ready}")
            self.begin(ready)
            if self.stack_use is None:
                self.line("store i64 1, ptr %flag")
        if not self.style.checked:
            self.frame_pointer = self.value(f"add i64 {self.value('ptrtoint ptr %stack to i64')}, {FRAME_BYTES}")
        elif not self.is_program:
            window = self.value(f"shl i64 {self.depth}, 33")
            self.frame_pointer = self.value(f"add i64 {window}, {self.frame_pointer}")
        if isinstance(self.frame_pointer, str):
            self.frame_offsets[self.frame_pointer] = 0

    def _open_regions(self) -> None:
        """Read what the checks need of the input memory; at first it also counts as the region found last."""
        self.line(f"%input = load ptr, ptr {self._word(Word.INPUT_HOST)}")
        for name, word in (("size", Word.INPUT_SIZE), ("wsize", Word.INPUT_WRITABLE)):
            self.line(f"%input_{name} = load i64, ptr {self._word(word)}")
        self.line("%found_host = alloca ptr")
        self.line("store ptr %input, ptr %found_host")
        for name, value in (("base", _INPUT), ("size", "%input_size"), ("wsize", "%input_wsize")):
            self.line(f"%found_{name} = alloca i64")
            self.line(f"store i64 {value}, ptr %found_{name}")

    def _epilogue(self) -> None:
        """Write the blocks to which the others lead when the function ends."""
        if self.stops:
            self.begin("stop")
            code = self.value("phi i64 " + ", ".join(f"[{code}, %{label}]" for label, code in self.stops))
            self._put_word(Word.STOP, code)
            self._put_registers()
            self.line(f"br label %{'failed' if self.is_program else 'unwind'}")
        if self.stops or self.unwinds:
            self.begin("failed" if self.is_program else "unwind")
            self.line("ret i64 1" if self.is_program else f"ret {RESULT} {{i64 -1{', i64 0' * 6}}}")
        if self.returns:
            self.begin("done")
            if self.is_program:
                self._put_registers()
                self.line("ret i64 0")
            else:
                for offset, size in sorted(self.stack_use or ()):
                    place = self.value(f"getelementptr i8, ptr %stack, i64 {FRAME_BYTES + offset}")
                    self.line(f"store i{8 * size} 0, ptr {place}, align 1")
                self._return_registers()

    def _put_registers(self) -> None:
        for register in self.registers:
            self._put_word(Word.REGISTERS + register, self.value(f"load i64, ptr %r{register}"))
        self._put_word(Word.REGISTERS + FRAME_POINTER, self.frame_pointer)
        if self.style.checked:
            self._put_word(Word.BUDGET, self.value("load i64, ptr %left"))

    def _return_registers(self) -> None:
        values = [self.value("load i64, ptr %left") if self.style.checked else "0"]
        values += [self.value(f"load i64, ptr %r{register}") for register in _RESULT_REGISTERS]
        result = "poison"
        for place, value in enumerate(values):
            result = self.value(f"insertvalue {RESULT} {result}, i64 {value}, {place}")
        self.line(f"ret {RESULT} {result}")

    # Blocks

    def _block(self, first: int) -> None:
        slots = self.plan.blocks[first]
        if self.quick:
            self.begin(f"q{first}.{self.copy}")
        else:
            self.begin(f"c{first}" if first in self.loops else f"b{first}")
        self._enter(first, len(slots))
        for slot in slots:
            self.slot, self.item = slot, self.plan.at(slot)
            self._instruction()
            if self.ended:
                return
        self._go(slots[-1] + self.item.instruction.slots)

    def _enter(self, slot: int, cost: int) -> None:
        """Begin a block that takes ``cost`` of the budget."""
        self.values.clear()
        self.dirty.clear()
        self.ended = False
        self.slot = slot
        if self.style.checked:
            left = self.value(f"sub i64 {self.value('load i64, ptr %left')}, {cost}")
            self.line(f"store i64 {left}, ptr %left")
            if not self.quick:
                self.trap_if(self.compare("slt", 64, left, 0), Trap.BUDGET)

    def _label(self, slot: int) -> str:
        """Return the label of the block at ``slot``, to jump to from the block being written."""
        if self.quick and slot in self.quick.blocks:
            if slot != self.quick.header:
                return f"q{slot}.{self.copy}"
            return f"q{slot}.{self.copy + 1}" if self.copy + 1 < self.quick.copies else f"k{slot}"
        return f"b{slot}"

    # Loops in two versions

    def _quick_loop(self, loop: Loop) -> None:
        """Write the decision which version of ``loop`` to take, and the one without checks.

        The latter does ``loop.copies`` iterations at a time, and is left when there may be fewer that the budget and
        the regions allow for; then it is decided again. Instructions are counted instead of iterations, each of which
        takes at least ``loop.least``.
        """
        header, dearest = loop.header, loop.most * loop.copies
        self.begin(f"b{header}")
        self._enter_unpaid(header)
        left = self.value("load i64, ptr %left")
        go = self.compare("sge", 64, left, dearest)
        least: Operand = 0
        for sweep in loop.sweeps:
            iterations, pointer = self._sweep(sweep)
            least = iterations if least == 0 else self.value(f"call i64 @llvm.umin.i64(i64 {least}, i64 {iterations})")
            for access in sweep.accesses:
                self.swept[access] = pointer
        stop: Operand = dearest
        if loop.sweeps:
            go = self.binary("and", 1, go, self.compare("uge", 64, least, loop.copies))
            span = self.binary("mul", 64, self.binary("sub", 64, least, loop.copies), loop.least)
            bound = self.value(f"call i64 @llvm.usub.sat.i64(i64 {left}, i64 {span})")
            stop = self.value(f"call i64 @llvm.umax.i64(i64 {bound}, i64 {dearest})")
        self.branch(go, f"q{header}.0", f"c{header}", USUALLY)
        self.quick = loop
        for self.copy in range(loop.copies):
            for first in loop.blocks:
                self._block(first)
        self.begin(f"k{header}")
        left = self.value("load i64, ptr %left")
        self.branch(self.compare("sge", 64, left, stop), f"q{header}.0", f"b{header}", USUALLY)
        self.quick = None
        self.swept.clear()

    def _enter_unpaid(self, slot: int) -> None:
        self.values.clear()
        self.slot = slot

    def _sweep(self, sweep: Sweep) -> tuple[str, tuple[str, Operand]]:
        """Return for how many iterations the accesses of ``sweep`` are inside of their region, and that region."""
        size = sweep.high - sweep.low
        host, base, room = self._likely_region(size, writes=sweep.writes, place=sweep.place)
        address: Operand = sweep.low
        for register in sweep.registers:
            address = self.binary("add", 64, self.read(register), address)
        offset = self.binary("sub", 64, address, base)
        registers, number = sweep.step
        if registers or number > 0:
            rest = self.value(f"call i64 @llvm.usub.sat.i64(i64 {literal(room, 64)}, i64 {offset})")
            count = self._steps_in(rest, registers, number)
        else:
            inside = self.compare("ult", 64, offset, room)
            times: Operand = _MANY
            if number:
                times = self.binary("add", 64, self.binary("udiv", 64, offset, -number), 1)
            count = self.select(inside, 64, times, 0)
        return count, (host, base)

    def _steps_in(self, rest: str, registers: tuple[int, ...], number: int) -> str:
        """Return how many steps begin in ``rest`` bytes, fewer than 2**32; none if a step is not between 1 and that."""
        if not registers:
            return self.binary("udiv", 64, self.binary("add", 64, rest, number - 1), number)
        step: Operand = number
        for register in registers:
            step = self.binary("add", 64, self.read(register), step)
        less = self.binary("sub", 64, step, 1)
        sensible = self.compare("ult", 64, less, _LONGEST_STEP)
        # Both are cut to 32 bits, which divide faster.
        parts = [self.value(f"trunc i64 {value} to i32") for value in (self.binary("add", 64, rest, less), step)]
        quotient = self.binary("udiv", 32, parts[0], self.select(sensible, 32, parts[1], 1))
        return self.select(sensible, 64, self.value(f"zext i32 {quotient} to i64"), 0)

    def _end_of_program(self, slot: int) -> None:
        self.begin(f"b{slot}")
        self._enter(slot, 1)
        self._stop(Trap.FELL_OFF_END)

    def _instruction(self) -> None:
        self.locals.clear()
        if writes_frame_pointer(self.item):
            self._stop(Trap.FRAME_POINTER_WRITE)
            return
        for statement in self.item.instruction.means:
            self.statement(statement)

    def _go(self, slot: int) -> None:
        self._flush()
        self.line(f"br label %{self._label(slot)}")
        self.ended = True

    def _stop(self, trap: Trap) -> None:
        """End the block: the program stops here."""
        self._flush()
        self.stops.append((self.block, self.slot << 8 | trap))
        self.line("br label %stop")
        self.ended = True

    # Registers and fields

    def read(self, register: int) -> Operand:
        """Return the value of a register."""
        if register == FRAME_POINTER:
            return self.frame_pointer
        if register not in self.values:
            self.values[register] = self.value(f"load i64, ptr %r{register}")
        return self.values[register]

    def write(self, register: int, value: Operand) -> None:
        """Set a register, in this block for the time being."""
        if register == FRAME_POINTER:
            raise NotLowerable(f"{self.item.instruction.name}: {self.item.instruction.means_text}: writes r10")
        self.values[register] = value
        self.dirty.add(register)

    def _flush(self) -> None:
        """Bring the variables up to date."""
        for register in sorted(self.dirty):
            self.line(f"store i64 {literal(self.values[register], 64)}, ptr %r{register}")
        self.dirty.clear()

    def settle(self, node: t.Expr) -> None:
        """Read what ``node`` needs now, in the block that comes before all of its blocks."""
        self._flush()
        for part in t.walk(node):
            if isinstance(part, t.Register):
                self.read(self.index(part.name))

    def field(self, name: t.FieldName) -> Operand:
        """Return the number in the field, or read it from the table if it may differ between programs."""
        place = self.plan.constants.get(self.slot)
        if place is None or name == "offset":
            number: int = getattr(self.item, name)
            return number
        table = self._get_word(Word.CONSTANTS, "ptr")
        pointer = self.value(f"getelementptr i32, ptr {table}, i64 {place + (name == 'next_imm')}")
        return self.value(f"load i32, ptr {pointer}")

    def binary(self, op: str, bits: int, left: Operand, right: Operand) -> str:
        """Write an instruction; remember what is the frame pointer plus a number."""
        result = super().binary(op, bits, left, right)
        if op == "add" and isinstance(left, int):
            left, right = right, left
        if op in {"add", "sub"} and isinstance(right, int) and isinstance(left, str) and left in self.frame_offsets:
            distance = t.S64.wrap(right)
            self.frame_offsets[result] = self.frame_offsets[left] + (distance if op == "add" else -distance)
        return result

    # Stopping

    def trap_if(self, condition: Operand, trap: Trap) -> None:
        """Stop the program at this instruction if ``condition`` holds."""
        self._flush()
        following = self.label()
        self.stops.append((self.block, self.slot << 8 | trap))
        self.branch(condition, "stop", following, RARELY)
        self.begin(following)

    # Memory

    def pointer(self, address: Operand, size: int, *, writes: bool, expression: t.Expr) -> str:
        """Return the host's pointer to ``size`` bytes at ``address``, having checked that they are there."""
        if not self.style.checked:
            return self.value(f"inttoptr i64 {literal(address, 64)} to ptr")
        offset = self._frame_offset(address)
        if offset is not None and -FRAME_BYTES <= offset <= -size:
            return self.value(f"getelementptr i8, ptr %stack, i64 {FRAME_BYTES + offset}")
        if not self.style.inline_checks:
            return self._find(address, size, writes=writes)
        if self.quick and (self.slot, expression) in self.swept:
            host, base = self.swept[self.slot, expression]
            return self.value(f"getelementptr i8, ptr {host}, i64 {self.binary('sub', 64, address, base)}")
        place = place_in(self.plan, self.slot, expression, self.places)
        return self._check_inline(address, size, writes=writes, place=place)

    def _frame_offset(self, address: Operand) -> int | None:
        """Return the distance of ``address`` from the frame pointer, if it is known now."""
        if isinstance(address, str):
            return self.frame_offsets.get(address)
        return t.S64.wrap(address - self.frame_pointer) if isinstance(self.frame_pointer, int) else None

    def _find(self, address: Operand, size: int, *, writes: bool) -> str:
        function = self._get_word(Word.FIND, "ptr")
        access = size | (WRITES if writes else 0)
        found = self.value(f"call ptr {function}(ptr %ctx, i64 {literal(address, 64)}, i64 {access})")
        self.trap_if(self.value(f"icmp eq ptr {found}, null"), Trap.ACCESS)
        return found

    def _check_inline(self, address: Operand, size: int, *, writes: bool, place: Place) -> str:
        """Look into the likeliest region first, and search the others if it is not there."""
        host, base, limit = self._likely_region(size, writes=writes, place=place)
        self._flush()
        offset = self.binary("sub", 64, address, base)
        inside, outside, join = self.label(), self.label(), self.label()
        self.branch(self.compare("ult", 64, offset, limit), inside, outside, USUALLY)
        self.begin(inside)
        quick = self.value(f"getelementptr i8, ptr {host}, i64 {offset}")
        self.line(f"br label %{join}")
        self.begin(outside)
        found = self._find(address, size, writes=writes)
        if place is Place.FOUND:
            for name, word in _FOUND_WORDS:
                kind = "ptr" if name == "host" else "i64"
                self.line(f"store {kind} {self._get_word(word, kind)}, ptr %found_{name}")
        searched = self.block
        self.line(f"br label %{join}")
        self.begin(join)
        return self.value(f"phi ptr [{quick}, %{inside}], [{found}, %{searched}]")

    def _likely_region(self, size: int, *, writes: bool, place: Place) -> tuple[str, Operand, Operand]:
        """Return where the host has the region, its address, and how many offsets in it have ``size`` bytes."""
        if place is Place.STACK:
            base = self.binary("sub", 64, self.frame_pointer, FRAME_BYTES)
            return "%stack", base, max(0, FRAME_BYTES - size + 1)
        suffix = "wsize" if writes else "size"
        if place is Place.INPUT:
            host, start, room = "%input", str(_INPUT), f"%input_{suffix}"
        else:
            host = self.value("load ptr, ptr %found_host")
            start = self.value("load i64, ptr %found_base")
            room = self.value(f"load i64, ptr %found_{suffix}")
        if size > 1:
            room = self.value(f"call i64 @llvm.usub.sat.i64(i64 {room}, i64 {size - 1})")
        return host, start, room

    def atomic_pointer(self, pointer: str, address: Operand, size: int) -> tuple[str, Callable[[], None] | None]:
        """Return ``pointer``, or for a misaligned place that of a copy, kept under a lock until it is written back.

        Processors do not agree on atomic accesses to misaligned places: they are atomic among each other here.
        """
        bits = 8 * size
        aligned, misaligned, join = self.label(), self.label(), self.label()
        number = self.value(f"ptrtoint ptr {pointer} to i64")
        rest = self.value(f"and i64 {number}, {size - 1}")
        copy = "%copy"
        if not self.needs_copy:
            self.needs_copy = True
            self.lines.insert(2, "%copy = alloca i64, align 8")
        before = self.block
        is_misaligned = self.compare("ne", 64, rest, 0)
        self.branch(is_misaligned, misaligned, join, RARELY)
        self.begin(misaligned)
        lock = self._get_word(Word.LOCK, "ptr")
        self.line(f"br label %{aligned}")
        self.begin(aligned)
        taken = self.value(f"atomicrmw xchg ptr {lock}, i32 1 acquire")
        locked = self.label()
        self.branch(self.compare("eq", 32, taken, 0), locked, aligned)
        self.begin(locked)
        self.line(f"store i{bits} {self.value(f'load i{bits}, ptr {pointer}, align 1')}, ptr {copy}")
        self.line(f"br label %{join}")
        self.begin(join)
        place = self.value(f"phi ptr [{pointer}, %{before}], [{copy}, %{locked}]")

        def done() -> None:
            back, after = self.label(), self.label()
            self.branch(is_misaligned, back, after, RARELY)
            self.begin(back)
            self.line(f"store i{bits} {self.value(f'load i{bits}, ptr {copy}')}, ptr {pointer}, align 1")
            again = self._get_word(Word.LOCK, "ptr")
            self.line(f"store atomic i32 0, ptr {again} release, align 4")
            self.line(f"br label %{after}")
            self.begin(after)

        return place, done

    # The platform

    def platform(self, call: t.Call) -> Operand:
        """Read the value that the driver has found before the program began."""
        place = 2 * self.plan.platform.index((self.slot, call))
        table = self._get_word(Word.PLATFORM, "ptr")
        known = self.value(f"load i64, ptr {self.value(f'getelementptr i64, ptr {table}, i64 {place}')}")
        self.trap_if(self.compare("eq", 64, known, 0), Trap.PLATFORM)
        return self.value(f"load i64, ptr {self.value(f'getelementptr i64, ptr {table}, i64 {place + 1}')}")

    # Control

    def control(self, statement: t.Jump | t.CallHelper | t.CallLocal | t.Return) -> None:
        """Lower what leaves the straight line."""
        match statement:
            case t.Jump(_, condition):
                self._jump(None if condition is None else self.expression(condition))
            case t.CallHelper(by, number):
                self._call_helper(by, self.cast(self.expression(number), number.type, t.U64))
            case t.CallLocal():
                self._call_local()
            case t.Return():
                self._flush()
                self.returns = self.ended = True
                self.line("br label %done")

    def _jump(self, condition: Operand | None) -> None:
        target = target_of(self.item, self.slot)
        good = is_instruction(self.plan.program, target)
        if condition is None:
            if good:
                self._go(target)
            else:
                self._stop(Trap.BAD_JUMP)
        elif good:
            self._flush()
            self.branch(condition, self._label(target), self._label(self.slot + self.item.instruction.slots))
            self.ended = True
        else:
            self.trap_if(condition, Trap.BAD_JUMP)

    def _call_local(self) -> None:
        target = target_of(self.item, self.slot)
        if not is_instruction(self.plan.program, target):
            self._stop(Trap.BAD_JUMP)
            return
        deeper = self.binary("add", 64, self.depth, 1)
        if self.style.checked:
            self.trap_if(self.compare("uge", 64, deeper, MAX_FRAMES), Trap.CALL_DEPTH)
        passed = ", ".join(f"i64 {literal(self.read(register), 64)}" for register in _PASSED_REGISTERS)
        left = self.value("load i64, ptr %left") if self.style.checked else "0"
        self._flush()
        result = self.value(f"call fastcc {RESULT} @{self.name}f{target}(ptr %ctx, i64 {left}, i64 {deeper}, {passed})")
        left = self.value(f"extractvalue {RESULT} {result}, 0")
        if self.style.checked:
            self.line(f"store i64 {left}, ptr %left")
        following = self.label()
        self.unwinds.append(self.block)
        self.branch(self.compare("slt", 64, left, 0), "failed" if self.is_program else "unwind", following, RARELY)
        self.begin(following)
        self._put_word(Word.DEPTH, self.depth)
        for register in _RESULT_REGISTERS:
            self.write(register, self.value(f"extractvalue {RESULT} {result}, {register + 1}"))

    def _call_helper(self, by: str, number: Operand) -> None:
        self._flush()
        function = self._get_word(Word.CALLBACK, "ptr")
        kind = ("static", "btf").index(by)
        arguments = ", ".join(f"i64 {literal(self.read(register), 64)}" for register in range(1, 6))
        status = self.value(f"call i64 {function}(ptr %ctx, i64 {kind}, i64 {literal(number, 64)}, {arguments})")
        self.trap_if(self.compare("ne", 64, status, 0), Trap.HELPER)
        self.write(0, self._get_word(Word.RESULT))
