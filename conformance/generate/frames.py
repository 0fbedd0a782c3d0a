# SPDX-License-Identifier: Apache-2.0
"""Whole frames of nested functions: all bytes of each keep their values while other functions fill theirs.

Each function fills its frame, and R6 to R9, with numbers that depend on its depth, calls the next one, and folds all of
them into R0 after the return. Some runtimes give the functions of a chain less stack than 512 bytes each: Linux gives
them 512 together (but more to some types of programs), so there are chains that fit, besides whole ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

from ...reference_vm.frames import FRAME_BYTES, MAX_FRAMES
from .draft import Draft

_COVERS = ("rfc9669-4.3.2-call-local", "rfc9669-4.3.2-exit-returns-to-caller", "rfc9669-5.1-stx-mem-dw")
_ERRATA = ("stack-and-call-depth", "calling-convention")
_OBSERVED = ("r0", "r6", "r7", "r8", "r9")
#: R1 to R5 at the end of a program: some hold addresses there.
_END = "".join(f"r{n} = 0\n" for n in range(1, 6)) + "exit\n"
#: Sizes of the frames of chains, of no more than 512 bytes in all.
_FITTING = {
    "two-of-256": (256, 256),
    "four-of-128": (128,) * 4,
    "eight-of-64": (64,) * 8,
    "480-and-32": (480, 32),
    "smaller-and-smaller": (256, 128, 64, 32, 16),
    "larger-and-larger": (16, 32, 64, 128, 256),
    "none-between": (160, 0, 160, 0, 0, 64),
}
#: Sizes of the frames of functions that are called one after the other, with a frame of 256 bytes above them.
_SEQUENCE = (8, 256, 64, 0, 128, 16, 256, 8)
_WIDTHS = {"u8": 1, "u16": 2, "u32": 4, "u64": 8}


def drafts() -> Iterator[Draft]:
    """Yield the vectors of whole frames."""
    for depth in range(1, MAX_FRAMES + 1):
        sizes = (FRAME_BYTES,) * depth
        yield _draft(f"whole/{depth}-deep", f"all 512 bytes of {depth} frames, and r6 to r9 of each", _chain(sizes))
    for name, sizes in _FITTING.items():
        what = f"frames of {', '.join(map(str, sizes))} bytes, and r6 to r9 of each"
        yield _draft(f"fitting/{name}", what, _chain(sizes))
    yield _recursive()
    for name, size in (("whole", FRAME_BYTES), ("fitting", FRAME_BYTES // MAX_FRAMES)):
        sizes = (size,) * MAX_FRAMES
        what = f"each of eight functions changes all {size} bytes of its caller's frame, and no others"
        yield _draft(f"{name}/by-the-callee", what, _chain(sizes, lent=True))
        what = f"the eighth function changes all {size} bytes of the first one's frame, and no others"
        yield _draft(f"{name}/by-the-eighth", what, _handed_down(sizes))
        what = "what functions with frames of other sizes leave of their caller's, called one after the other"
        yield _draft(f"{name}/in-sequence", what, _sequence(FRAME_BYTES if size == FRAME_BYTES else FRAME_BYTES // 2))
    yield _in_other_widths()
    yield _at_each_offset("two-of-512", (FRAME_BYTES,) * 2)
    yield _at_each_offset("eight-of-64", (FRAME_BYTES // MAX_FRAMES,) * MAX_FRAMES)
    yield _base32_only("one-of-512", (FRAME_BYTES,))
    yield _base32_only("eight-of-64", (FRAME_BYTES // MAX_FRAMES,) * MAX_FRAMES)


def _draft(name: str, what: str, asm: str) -> Draft:
    return Draft(f"frames/{name}", what, _COVERS, asm=asm, observe=_OBSERVED, errata=_ERRATA)


def _seed(depth: int, number: int) -> int:
    """Return a number for a function: both halves differ, and some are negative."""
    return 0x0123456789ABCDEF * (2 * depth + 17 * number + 1) & 0xFFFFFFFFFFFFFFFF


def _registers(depth: int) -> str:
    return "".join(f"r{n} = {_seed(depth, n):#x} ll\n" for n in range(6, 10))


def _constants(depth: int) -> str:
    return f"r3 = {_seed(depth, 1):#x} ll\nr5 = {_seed(depth, 2):#x} ll\n"


def _mixed(register: str) -> str:
    """Assembly that folds a register into R0; it uses R5."""
    return f"r5 = r0\nr5 <<= 5\nr0 += r5\nr0 ^= {register}\n"


def _saved() -> str:
    return "".join(_mixed(f"r{n}") for n in range(6, 10))


class _Labels:
    """Names of loops, each one another."""

    def __init__(self) -> None:
        self._numbers = count()

    def loop(self, body: str, size: int, step: str = "8", turns: str = "", base: str = "r10") -> str:
        """Assembly that runs ``body`` with R2 at each double word of ``size`` bytes below ``base``; it uses R4.

        For accesses of other widths there are another ``step`` and number of ``turns``.
        """
        if not size:
            return ""
        name = f"loop{next(self._numbers)}"
        moves = f"r2 = {base}\nr2 += -{size}\nr4 = {turns or size // 8}\n"
        return f"{moves}{name}:\n{body}r2 += {step}\nr4 -= 1\nif r4 != 0 goto {name}\n"

    def fill(self, depth: int, size: int, kind: str = "u64", step: str = "8", turns: str = "") -> str:
        """Assembly that fills the frame; it uses R2 to R5."""
        body = f"*({kind} *)(r2 + 0) = r3\nr3 += r5\n"
        return _constants(depth) + self.loop(body, size, step, turns) if size else ""

    def fold(self, size: int, kind: str = "u64", step: str = "8", turns: str = "") -> str:
        """Assembly that folds the frame into R0; it uses R2 to R5."""
        return self.loop(f"r3 = *({kind} *)(r2 + 0)\n{_mixed('r3')}", size, step, turns)

    def change(self, size: int) -> str:
        """Assembly that changes the ``size`` bytes from R1 on; it uses R1 to R4."""
        if not size:
            return ""
        body = "r3 = *(u64 *)(r2 + 0)\nr3 ^= r4\nr3 += -0x12345678\n*(u64 *)(r2 + 0) = r3\n"
        return f"r1 += {size}\n{self.loop(body, size, base='r1')}"


def _chain(sizes: Sequence[int], *, lent: bool = False) -> str:
    """Each function calls the next one; where frames are ``lent``, it has changed its caller's first."""
    labels, asm = _Labels(), ""
    for depth, size in enumerate(sizes):
        last = depth + 1 == len(sizes)
        asm += f"function{depth}:\n" if depth else ""
        asm += labels.change(sizes[depth - 1]) if lent and depth else ""
        asm += _registers(depth) + labels.fill(depth, size)
        asm += f"r1 = r10\nr1 += -{size}\n" if lent and not last else ""
        asm += f"r0 = {depth}\n" if last else f"call local function{depth + 1}\n"
        asm += labels.fold(size) + _saved() + (_END if depth == 0 else "exit\n")
    return asm


def _handed_down(sizes: Sequence[int]) -> str:
    """The last function changes the frame of the first one, whose address is an argument of each."""
    labels, asm = _Labels(), ""
    for depth, size in enumerate(sizes):
        last = depth + 1 == len(sizes)
        asm += f"function{depth}:\n" if depth else ""
        asm += _registers(depth) + labels.fill(depth, size)
        asm += f"r1 = r10\nr1 += -{size}\n" if depth == 0 else ""
        asm += labels.change(sizes[0]) if last else ""
        asm += f"r0 = {depth}\n" if last else f"call local function{depth + 1}\n"
        asm += labels.fold(size) + _saved() + (_END if depth == 0 else "exit\n")
    return asm


def _sequence(size: int) -> str:
    """Functions are called one after the other, some of which call another; then the frame is folded, each time."""
    labels, parts = _Labels(), ""
    asm = _registers(0) + labels.fill(0, size) + "r0 = 0\n"
    sizes = [min(other, FRAME_BYTES - size) if size < FRAME_BYTES else other for other in _SEQUENCE]
    for depth, other in enumerate(sizes, 1):
        asm += f"r1 = r0\ncall local function{depth}\n{labels.fold(size)}"
        # What fits has no room for a third frame beside two of 256 bytes.
        inner = f"call local function{depth - 1}\n" if other < 64 and depth > 1 and sizes[depth - 2] < 256 else ""
        parts += f"function{depth}:\nr0 = r1\n{_registers(depth)}{labels.fill(depth, other)}"
        parts += f"r1 = r0\n{inner}{labels.fold(other)}{_saved()}exit\n"
    return f"{asm}{_saved()}{_END}{parts}"


def _recursive() -> Draft:
    """One function for all depths, which Linux refuses."""
    labels = _Labels()
    body = "*(u64 *)(r2 + 0) = r3\nr3 += r5\n"
    asm = (
        f"{_registers(0)}r1 = {{n}}\ncall local function\n{_saved()}{_END}function:\n"
        "r6 = r1\nr7 = r1\nr7 <<= 20\nr8 = r7\nr8 <<= 20\nr9 = r8\nr9 ^= r7\nr3 = r8\nr3 ^= r1\n"
        f"r5 = {_seed(0, 2):#x} ll\n"
        f"{labels.loop(body, FRAME_BYTES)}r0 = 0\nif r1 == 1 goto unwind\nr1 += -1\ncall local function\nunwind:\n"
        f"{labels.fold(FRAME_BYTES)}{_saved()}exit\n"
    )
    what = "all 512 bytes of the frames of a function that calls itself, and r6 to r9 of each"
    cases = {f"{n}-deep": {"n": str(n)} for n in range(1, MAX_FRAMES)}
    return Draft("frames/recursive", what, _COVERS, cases, asm, observe=_OBSERVED, errata=_ERRATA)


def _in_other_widths() -> Draft:
    """Frames are filled and folded by accesses of each width."""
    labels, asm, size = _Labels(), "", FRAME_BYTES // 4
    for depth in range(4):
        asm += f"function{depth}:\n" if depth else ""
        asm += labels.fill(depth, size, "{fill}", "{fill_step}", "{fills}")
        asm += "r0 = 0\n" if depth == 3 else f"call local function{depth + 1}\n"
        asm += labels.fold(size, "{fold}", "{fold_step}", "{folds}") + (_END if depth == 0 else "exit\n")
    cases = {
        f"{fill}-{fold}": {
            "fill": fill,
            "fill_step": str(_WIDTHS[fill]),
            "fills": str(size // _WIDTHS[fill]),
            "fold": fold,
            "fold_step": str(_WIDTHS[fold]),
            "folds": str(size // _WIDTHS[fold]),
        }
        for fill, fold in (("u8", "u64"), ("u16", "u8"), ("u32", "u16"), ("u64", "u32"))
    }
    what = "all bytes of four frames of 128 bytes, filled and folded by accesses of other widths"
    return Draft("frames/in-other-widths", what, _COVERS, cases, asm, errata=_ERRATA)


def _at_each_offset(name: str, sizes: Sequence[int]) -> Draft:
    """Each double word has an instruction that stores it at its offset from R10, and one that loads it."""
    asm = ""
    for depth, size in enumerate(sizes):
        asm += f"function{depth}:\n" if depth else ""
        asm += _constants(depth)
        asm += "".join(f"*(u64 *)(r10 - {at}) = r3\nr3 += r5\n" for at in range(8, size + 1, 8))
        asm += "r0 = 0\n" if depth + 1 == len(sizes) else f"call local function{depth + 1}\n"
        asm += "".join(f"r3 = *(u64 *)(r10 - {at})\nr0 += r3\nr0 ^= {at}\n" for at in range(8, size + 1, 8)) + "exit\n"
    what = f"{len(sizes)} frames of {sizes[0]} bytes, each double word of which has a store and a load of its own"
    return Draft(f"frames/at-each-offset/{name}", what, _COVERS, asm=asm, errata=_ERRATA)


def _base32_only(name: str, sizes: Sequence[int]) -> Draft:
    """Words at offsets from R10: without 64-bit instructions there is no other way to address the stack."""
    asm = ""
    for depth, size in enumerate(sizes):
        asm += f"function{depth}:\n" if depth else ""
        asm += f"w3 = {_seed(depth, 1) & 0x7FFFFFFF:#x}\n"
        asm += "".join(f"*(u32 *)(r10 - {at}) = r3\nw3 += 0x1234567\n" for at in range(4, size + 1, 4))
        asm += "w0 = 0\n" if depth + 1 == len(sizes) else f"call local function{depth + 1}\n"
        asm += "".join(f"r3 = *(u32 *)(r10 - {at})\nw0 += w3\nw0 ^= {at}\n" for at in range(4, size + 1, 4)) + "exit\n"
    what = f"{len(sizes)} frames of {sizes[0]} bytes, filled word by word with 32-bit instructions only"
    covers = ("rfc9669-4.3.2-call-local", "rfc9669-5.1-stx-mem-w", "rfc9669-5.1-ldx-mem-w")
    return Draft(f"frames/base32/{name}", what, covers, asm=asm, errata=_ERRATA)
