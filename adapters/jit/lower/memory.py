# SPDX-License-Identifier: Apache-2.0
"""Memory accesses of compiled code: inline bounds checks, and the search for the region."""

from __future__ import annotations

from ....reference_vm.frames import FRAME_BYTES
from ....reference_vm.memory import INPUT_WINDOW, window_address
from ....spec import tree as t
from ..layout import READS, WRITES, Trap, Word
from ..loops.loops import Access, place_in
from ..loops.places import Place, State
from .emit import USUALLY, Operand, literal
from .state import FunctionState

_INPUT = window_address(INPUT_WINDOW)
_FOUND_WORDS = (
    ("host", Word.FOUND_HOST), ("base", Word.FOUND_BASE), ("size", Word.FOUND_SIZE), ("wsize", Word.FOUND_WRITABLE),
)  # fmt: skip


class Memory:
    """Turns addresses of the machine into pointers of the host.

    ``based`` are slots whose pointers are derived from the base of the input memory.
    """

    def __init__(self, state: FunctionState, places: dict[int, State], based: frozenset[int]) -> None:
        self.state, self.emit, self.style = state, state.emit, state.style
        self.registers, self.context = state.registers, state.context
        self.places, self.based = places, based
        #: Regions of unchecked accesses in the current loop.
        self.swept: dict[Access, tuple[str, Operand]] = {}

    def open_regions(self) -> None:
        """Read what the checks need of the input memory; at first it also counts as the region found last."""
        if not (self.style.optimized and self.style.checked):
            return
        for name, word in (("size", Word.INPUT_SIZE), ("wsize", Word.INPUT_WRITABLE)):
            self.emit.line(f"%input_{name} = load i64, ptr {self.context.pointer(word)}")
        self.emit.line("%found_host = alloca ptr")
        self.emit.line("store ptr %input, ptr %found_host")
        for name, value in (("base", _INPUT), ("size", "%input_size"), ("wsize", "%input_wsize")):
            self.emit.line(f"%found_{name} = alloca i64")
            self.emit.line(f"store i64 {value}, ptr %found_{name}")

    def pointer(
        self, address: Operand, size: int, *, expression: t.Expr, reads: bool = False, writes: bool = False
    ) -> str:
        """Return the host's pointer to ``size`` bytes at ``address``, having checked that they are there."""
        offset = self.registers.frame_offset(address)
        if offset is not None and -FRAME_BYTES <= offset <= -size:
            return self.emit.value(f"getelementptr i8, ptr %stack, i64 {FRAME_BYTES + offset}")
        if not self.style.checked:
            if self.state.slot in self.based:
                distance = self.emit.binary("sub", 64, address, "%input_address")
                return self.emit.value(f"getelementptr i8, ptr %input, i64 {distance}")
            return self.emit.value(f"inttoptr i64 {literal(address, 64)} to ptr")
        access = size | (READS if reads else 0) | (WRITES if writes else 0)
        if not self.style.optimized:
            return self._find(address, access)
        if self.swept and (region := self.swept.get(Access(self.state.slot, expression))):
            host, base = region
            return self.emit.value(f"getelementptr i8, ptr {host}, i64 {self.emit.binary('sub', 64, address, base)}")
        place = place_in(self.state.plan, self.state.slot, expression, self.places)
        return self._check_inline(address, access, place)

    def _find(self, address: Operand, access: int) -> str:
        function = self.context.read(Word.FIND, "ptr")
        found = self.emit.value(f"call ptr {function}(ptr %ctx, i64 {literal(address, 64)}, i64 {access})")
        self.state.trap_if(self.emit.value(f"icmp eq ptr {found}, null"), Trap.ACCESS)
        return found

    def _check_inline(self, address: Operand, access: int, place: Place) -> str:
        """Check the likeliest region inline, and search the others if that fails."""
        host, base, limit = self.likely_region(access % READS, writes=access >= WRITES, place=place)
        self.registers.flush()
        offset = self.emit.binary("sub", 64, address, base)
        inside, outside, join = self.emit.label(), self.emit.label(), self.emit.label()
        self.emit.branch(self.emit.compare("ult", 64, offset, limit), inside, outside, USUALLY)
        self.emit.begin(inside)
        quick = self.emit.value(f"getelementptr i8, ptr {host}, i64 {offset}")
        self.emit.line(f"br label %{join}")
        self.emit.begin(outside)
        found = self._find(address, access)
        if place is Place.FOUND:
            for name, word in _FOUND_WORDS:
                kind = "ptr" if name == "host" else "i64"
                self.emit.line(f"store {kind} {self.context.read(word, kind)}, ptr %found_{name}")
        searched = self.emit.block
        self.emit.line(f"br label %{join}")
        self.emit.begin(join)
        return self.emit.value(f"phi ptr [{quick}, %{inside}], [{found}, %{searched}]")

    def likely_region(self, size: int, *, writes: bool, place: Place) -> tuple[str, Operand, Operand]:
        """Return where the host has the region, its address, and how many offsets in it have ``size`` bytes."""
        if place is Place.STACK:
            base = self.emit.binary("sub", 64, self.registers.frame_pointer, FRAME_BYTES)
            return "%stack", base, max(0, FRAME_BYTES - size + 1)
        suffix = "wsize" if writes else "size"
        if place is Place.INPUT:
            host, start, room = "%input", str(_INPUT), f"%input_{suffix}"
        else:
            host = self.emit.value("load ptr, ptr %found_host")
            start = self.emit.value("load i64, ptr %found_base")
            room = self.emit.value(f"load i64, ptr %found_{suffix}")
        if size > 1:
            room = self.emit.value(f"call i64 @llvm.usub.sat.i64(i64 {room}, i64 {size - 1})")
        return host, start, room
