# SPDX-License-Identifier: Apache-2.0
"""How compiled code gets at memory: checks in place, and the search for the region."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ....reference_vm.frames import FRAME_BYTES
from ....reference_vm.memory import INPUT_WINDOW, window_address
from ....spec import tree as t
from ..layout import READS, WRITES, Trap, Word
from ..loops.loops import Access, place_in
from ..loops.places import Place, State
from ..plan import Plan
from .emit import RARELY, USUALLY, Operand, literal
from .state import StateLowering, Style

_INPUT = window_address(INPUT_WINDOW)
_FOUND_WORDS = (
    ("host", Word.FOUND_HOST), ("base", Word.FOUND_BASE), ("size", Word.FOUND_SIZE), ("wsize", Word.FOUND_WRITABLE),
)  # fmt: skip


class MemoryLowering(StateLowering):
    """Turns addresses of the machine into pointers of the host."""

    def __init__(self, plan: Plan, style: Style, numbers: Iterator[int], places: dict[int, State]) -> None:
        super().__init__(plan, style, numbers)
        self.checks_inline = style.optimized and style.checked
        self.places = places
        #: Regions that accesses in the current loop without checks lead to.
        self.swept: dict[Access, tuple[str, Operand]] = {}
        self.needs_copy = False
        #: Slots where LLVM should know that a pointer leads into the input memory.
        self.based: frozenset[int] = frozenset()

    def open_regions(self) -> None:
        """Read what the checks need of the input memory; at first it also counts as the region found last."""
        for name, word in (("size", Word.INPUT_SIZE), ("wsize", Word.INPUT_WRITABLE)):
            self.line(f"%input_{name} = load i64, ptr {self.word(word)}")
        self.line("%found_host = alloca ptr")
        self.line("store ptr %input, ptr %found_host")
        for name, value in (("base", _INPUT), ("size", "%input_size"), ("wsize", "%input_wsize")):
            self.line(f"%found_{name} = alloca i64")
            self.line(f"store i64 {value}, ptr %found_{name}")

    def pointer(
        self, address: Operand, size: int, *, expression: t.Expr, reads: bool = False, writes: bool = False
    ) -> str:
        """Return the host's pointer to ``size`` bytes at ``address``, having checked that they are there."""
        offset = self._frame_offset(address)
        if offset is not None and -FRAME_BYTES <= offset <= -size:
            return self.value(f"getelementptr i8, ptr %stack, i64 {FRAME_BYTES + offset}")
        if not self.style.checked:
            if self.slot in self.based:
                distance = self.binary("sub", 64, address, "%input_address")
                return self.value(f"getelementptr i8, ptr %input, i64 {distance}")
            return self.value(f"inttoptr i64 {literal(address, 64)} to ptr")
        access = size | (READS if reads else 0) | (WRITES if writes else 0)
        if not self.style.optimized:
            return self._find(address, access)
        if self.quick and Access(self.slot, expression) in self.swept:
            host, base = self.swept[Access(self.slot, expression)]
            return self.value(f"getelementptr i8, ptr {host}, i64 {self.binary('sub', 64, address, base)}")
        place = place_in(self.plan, self.slot, expression, self.places)
        return self._check_inline(address, access, place)

    def _frame_offset(self, address: Operand) -> int | None:
        """Return the distance of ``address`` from the frame pointer, if it is known now."""
        if isinstance(address, str):
            return self.frame_offsets.get(address)
        return t.S64.wrap(address - self.frame_pointer) if isinstance(self.frame_pointer, int) else None

    def _find(self, address: Operand, access: int) -> str:
        function = self.get_word(Word.FIND, "ptr")
        found = self.value(f"call ptr {function}(ptr %ctx, i64 {literal(address, 64)}, i64 {access})")
        self.trap_if(self.value(f"icmp eq ptr {found}, null"), Trap.ACCESS)
        return found

    def _check_inline(self, address: Operand, access: int, place: Place) -> str:
        """Look into the likeliest region first, and search the others if it is not there."""
        host, base, limit = self._likely_region(access % READS, writes=access >= WRITES, place=place)
        self.flush()
        offset = self.binary("sub", 64, address, base)
        inside, outside, join = self.label(), self.label(), self.label()
        self.branch(self.compare("ult", 64, offset, limit), inside, outside, USUALLY)
        self.begin(inside)
        quick = self.value(f"getelementptr i8, ptr {host}, i64 {offset}")
        self.line(f"br label %{join}")
        self.begin(outside)
        found = self._find(address, access)
        if place is Place.FOUND:
            for name, word in _FOUND_WORDS:
                kind = "ptr" if name == "host" else "i64"
                self.line(f"store {kind} {self.get_word(word, kind)}, ptr %found_{name}")
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

    def atomic_pointer(
        self, pointer: str, address: Operand, size: int, *, writes: bool = True
    ) -> tuple[str, Callable[[], None]]:
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
        lock = self.get_word(Word.LOCK, "ptr")
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
            if writes:
                self.line(f"store i{bits} {self.value(f'load i{bits}, ptr {copy}')}, ptr {pointer}, align 1")
            again = self.get_word(Word.LOCK, "ptr")
            self.line(f"store atomic i32 0, ptr {again} release, align 4")
            self.line(f"br label %{after}")
            self.begin(after)

        return place, done
