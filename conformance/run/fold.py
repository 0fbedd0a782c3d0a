# SPDX-License-Identifier: Apache-2.0
"""Seeing registers and memory through R0, for runtimes that show nothing else.

Programs of these kinds are derived from a vector's. In each, every EXIT of the main program becomes a jump to code at
its end, which uses instructions of the vector's own conformance groups only:

*folded*
    R0 becomes a number that all observed registers, and the observed memory, have a part in. If one of them is not as
    expected, the number is another: a single wrong value always shows, several nearly always.
*probes*
    R0 becomes one of the registers, or one word of the memory. They are run where the folded program returned
    another number than expected, and say which value is wrong. Of a large memory, blocks of words are folded first.

A program is left as it is where that would change what it does: an EXIT that both the main program and one of its
functions reach, nothing to keep the address of the memory in (a register that it does not use, or a part of the stack
that it does not reach). In base32 only lower halves can be folded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from ...adapters.protocol import Job
from ...reference_vm.frames import FRAME_BYTES, FRAME_POINTER
from ...spec import tree
from ...spec.asm.assemble import assemble
from ...spec.encoding import (
    ByteOrder,
    DecodeError,
    Program,
    decode,
    encode,
)
from ..suite.model import Expectation
from .ends import Ends, NoPlace

_MASK = {32: (1 << 32) - 1, 64: (1 << 64) - 1}
#: How far the fold is shifted for each value; odd, so that bits of neighbouring bytes do not meet again soon.
_SHIFT = 13
#: How far it is shifted back then: what is wrong in the highest bits goes on to lower ones, so that it cannot be
#: cancelled by the same again in another value.
_BACK = 17
#: Larger memories are folded by a loop, or not at all in base32, which cannot compute with addresses.
_UNROLLED = 256
_REACH = 1 << 15
#: The number of words of the memory that are probed at a time.
MOST_WORDS = 64


class NotFoldable(Exception):
    """A program whose registers or memory cannot be seen through R0; the message says why."""


@dataclass(frozen=True, slots=True)
class Folding:
    """A vector's program in the form that shows all in R0, and the R0 that is expected then.

    ``complete`` is False where the fold loses the upper half of R0: the program as it is has to be run as well.
    """

    job: Job
    expected: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Probe:
    """A program that shows one value.

    ``what`` is a register, or ``memory``: then it is a number of ``size`` bytes at offset ``at``.
    """

    job: Job
    what: str
    expected: int
    at: int = 0
    size: int = 0

    @property
    def name(self) -> str:
        """The value as people read it: ``r6``, ``memory[8:16]``."""
        return f"{self.what}[{self.at}:{self.at + self.size}]" if self.size else self.what


def fold(job: Job, expect: Expectation, width: int) -> Folding:
    """Return the folded form of ``job``; ``width`` is 64, or 32 for runtimes with no more than base32.

    Raises:
        NotFoldable: there is none.
    """
    shape = _Shape(job, expect, width)
    registers = [name for name in sorted(expect.registers) if name != "r0"]
    lines = list(_mix(registers, width))
    value = expect.registers.get("r0")
    if value is None:
        lines.insert(0, _text("{r}0 = 0", width))
        value = 0
    mask = _MASK[width]
    value &= mask
    for name in registers:
        value = _step(value, expect.registers[name], mask)
    if expect.memory is not None:
        lines += shape.fold_memory(expect.memory)
        for _, _, word in _words(expect.memory, width, job.byte_order):
            value = _step(value, word, mask)
    lines.append("exit")
    folded = shape.with_ending("\n".join(lines))
    return Folding(folded, value, complete=width == 64 or "r0" not in expect.registers)


def probes(job: Job, expect: Expectation, width: int, first: int = 0) -> Iterator[Probe]:
    """Yield the probes of ``job`` for :data:`MOST_WORDS` words of the memory, and for the registers.

    ``first`` is the first of the words; those who ask for others than the first ones have seen the registers.

    Raises:
        NotFoldable: there are none.
    """
    shape = _Shape(job, expect, width)
    for name, value in sorted(expect.registers.items()) if first == 0 else ():
        if name == "r0":
            yield Probe(job, name, value)
        else:
            ending = _text(f"{{r}}0 = {{r}}{name[1:]}\nexit", width)
            yield Probe(shape.with_ending(ending), name, value & _MASK[width])
    if expect.memory is not None:
        for at, size, word in islice(_words(expect.memory, width, job.byte_order), first, first + MOST_WORDS):
            ending = f"{shape.fetch}{shape.load('r0', at, size)}exit"
            yield Probe(shape.with_ending(ending), "memory", word, at, size)


def blocks(job: Job, expect: Expectation, width: int) -> Iterator[tuple[int, Probe]]:
    """Yield a probe for each :data:`MOST_WORDS` words of the memory behind the first ones, and the first of its words.

    It shows the fold of these words alone.

    Raises:
        NotFoldable: there are none.
    """
    shape = _Shape(job, expect, width)
    register, _ = shape.spare
    words = list(_words(expect.memory or b"", width, job.byte_order))
    for first in range(MOST_WORDS, len(words), MOST_WORDS):
        value, lines = 0, f"{shape.fetch}{_text('{r}0 = 0', width)}\n"
        for at, size, word in words[first : first + MOST_WORDS]:
            lines += f"{shape.load(register, at, size)}{_mixing(register, width)}\n"
            value = _step(value, word, _MASK[width])
        yield first, Probe(shape.with_ending(f"{lines}exit"), f"words {first} and following", value)


def control(job: Job, expect: Expectation, width: int) -> Folding:
    """Return a program that folds what ``expect`` holds, taken from constants and from the memory at entry.

    Raises:
        NotFoldable: there is none.
    """
    suffix = " ll" if width == 64 else ""
    values = sorted(expect.registers.items())
    lines = [_text(f"{{r}}{name[1:]} = {value & _MASK[width]}{suffix}", width) for name, value in values]
    code = _assembled("\n".join([*lines, "exit"]), job.byte_order)
    return fold(job._replace(code=code, memory=expect.memory, maps=(), variables=(), helpers=()), expect, width)


def _step(value: int, word: int, mask: int) -> int:
    """Return the fold after one more word; a bijection in each of the two."""
    word &= mask
    value = ((value << _SHIFT) ^ (word + value)) & mask
    return value ^ value >> _BACK


def _mix(registers: Sequence[str], width: int) -> Iterator[str]:
    for name in registers:
        yield _mixing(name, width)


def _mixing(name: str, width: int) -> str:
    """Return the code of :func:`_step` on R0 and the register ``name``, which it changes."""
    code = f"X += R\nR <<= {_SHIFT}\nR ^= X\nX = R\nX >>= {_BACK}\nR ^= X"
    return _text(code.replace("X", f"{{r}}{name[1:]}").replace("R", "{r}0"), width)


def _text(text: str, width: int) -> str:
    return text.replace("{r}", "r" if width == 64 else "w")


def _words(memory: bytes, width: int, order: ByteOrder) -> Iterator[tuple[int, int, int]]:
    """Yield place, size in bytes and value of the words that memory is read in: as large as possible."""
    largest = width // 8
    rest = [size for size in (4, 2, 1) if size < largest and len(memory) & size]
    at = 0
    for size in [largest] * (len(memory) // largest) + rest:
        yield at, size, int.from_bytes(memory[at : at + size], order)
        at += size


class _Shape:
    """The parts of a program that matter for changing its ends."""

    def __init__(self, job: Job, expect: Expectation, width: int) -> None:
        self._job, self._width = job, width
        try:
            self._program = decode(job.code, job.byte_order)
        except DecodeError as error:
            raise NotFoldable(f"the program does not decode: {error}") from None
        if not set(expect.registers) | {"memory"} >= job.observe:
            raise NotFoldable("not all that is observed is expected")
        try:
            self._ends = Ends(self._program)
        except NoPlace as error:
            raise NotFoldable(str(error)) from None
        self._observed = expect.registers.keys()
        self._start = ""
        # The register that the memory is read through, and the code at the end that puts the address there.
        self.address = self.fetch = ""
        if expect.memory is not None:
            self.address = self._keep_address()

    @property
    def spare(self) -> tuple[str, str]:
        """Two registers other than the address: one for words of the memory, one for its end."""
        first, second = [name for name in ("r1", "r2", "r3") if name != self.address][:2]
        return first, second

    def load(self, register: str, at: int, size: int) -> str:
        """Return the code that loads a word of the memory, wherever it is."""
        if at < _REACH:
            return f"{register} = *(u{size * 8} *)({self.address} + {at})\n"
        return f"{register} = {self.address}\n{register} += {at}\n{register} = *(u{size * 8} *)({register} + 0)\n"

    def with_ending(self, text: str) -> Job:
        """Return the job with ``text`` run at each end of the main program."""
        order = self._job.byte_order
        start, ending = (decode(_assembled(part, order), order) for part in (self._start, text))
        code = encode([*start, *self._ends.replaced_by(ending)], order)
        return self._job._replace(code=code, observe=frozenset({"r0"}))

    def _keep_address(self) -> str:
        """Return the register that the memory is read through at the end, after making sure that it can be."""
        if "r1" not in self._observed and not self._touches(1, writes_only=True):
            return "r1"
        if self._width == 64:
            for number in range(6, 10):
                if f"r{number}" not in self._observed and not self._touches(number):
                    self._start = f"r{number} = r1"
                    return f"r{number}"
            place = _free_stack(self._program)
            if place is not None:
                self._start = f"*(u64 *)(r10 - {-place}) = r1"
                self.fetch = f"r1 = *(u64 *)(r10 - {-place})\n"
                return "r1"
        raise NotFoldable("no register and no part of the stack is free to keep the address of the memory in")

    def _touches(self, number: int, *, writes_only: bool = False) -> bool:
        """Whether the program names a register, or at least writes to it or calls what may do so."""
        for item in self._program:
            if item is None:
                continue
            row = item.instruction
            used = row.writes if writes_only else row.reads | row.writes
            if any(name in used and getattr(item, name) == number for name in ("dst", "src")):
                return True
            calls = any(isinstance(node, tree.CallHelper | tree.CallLocal) for node in tree.walk(*row.means))
            if calls and number <= 5:
                return True
        return False

    def fold_memory(self, memory: bytes) -> Iterator[str]:
        """Yield the code that folds the memory into R0, after all registers were folded.

        Raises:
            NotFoldable: the memory is larger than offsets reach.
        """
        word, end = self.spare
        yield self.fetch
        if self._width == 64 and len(memory) > _UNROLLED:
            at = len(memory) // 8 * 8
            yield f"{end} = {self.address}\n{end} += {at}"
            yield f"memory: {word} = *(u64 *)({self.address} + 0)\n{_mixing(word, 64)}\n{self.address} += 8"
            yield f"if {self.address} != {end} goto memory"
            memory = memory[at:]
        if len(memory) > _REACH:
            raise NotFoldable("the memory is too large to be folded without computing addresses")
        for place, size, _ in _words(memory, self._width, self._job.byte_order):
            yield f"{word} = *(u{size * 8} *)({self.address} + {place})\n{_mixing(word, self._width)}"


def _free_stack(program: Program) -> int | None:
    """Return the place, relative to R10, of 8 aligned bytes of stack that the program does not reach, if there are any.

    That is known where it uses R10 for nothing but to address memory with a displacement.
    """
    used: set[int] = set()
    for item in program:
        if item is None:
            continue
        names = {name for name in item.instruction.reads if getattr(item, name, None) == FRAME_POINTER}
        if not names:
            continue
        accesses = [node for node in tree.walk(*item.instruction.means) if isinstance(node, tree.Load | tree.Store)]
        based = [node for node in accesses if _count(names, node.address)]
        if sum(_count(names, node.address) for node in based) != _count(names, *item.instruction.means):
            return None
        for node in based:
            used.update(range(item.offset, item.offset + node.type.bits // 8))
    places = range(-FRAME_BYTES, 0, 8)
    return next((place for place in places if used.isdisjoint(range(place, place + 8))), None)


def _count(names: AbstractSet[str], *nodes: tree.Node) -> int:
    return sum(isinstance(node, tree.Register) and node.name in names for node in tree.walk(*nodes))


@lru_cache(maxsize=1 << 12)
def _assembled(text: str, order: ByteOrder) -> bytes:
    return assemble(text, order) if text else b""
