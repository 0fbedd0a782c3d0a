# SPDX-License-Identifier: Apache-2.0
"""Programs that leave their marks on whatever a runtime may hand on to the next program: registers and stacks.

Some fill all registers and the 512 bytes of their frame. The others go down to the eighth frame and fill the registers
and the upper 64 bytes in each: 512 bytes in all, which is what Linux lets the frames of nested functions have together.
There are two of each, which leave other marks: what is always the same does not show.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from ...adapters.protocol import Job
from ...reference_vm.frames import FRAME_BYTES, MAX_FRAMES
from ...spec.asm.assemble import assemble
from ...spec.encoding import ByteOrder

#: What the programs write everywhere, in their order: bytes of negative and of positive numbers.
_WIDE, _DEEP = (0x5A, 0xA7), (0xC3, 0x3D)


class Filler(NamedTuple):
    """A program, and what it did, in words."""

    job: Job
    did: str


def fillers(job: Job, width: int) -> list[Filler]:
    """Return the programs as jobs of the runtime that runs ``job``: the first fills a whole frame.

    ``width`` is 64, or 32 for runtimes with no more than base32.
    """
    alone = job._replace(memory=None, maps=(), variables=(), helpers=(), wants_rejection=False)
    return [Filler(alone._replace(code=code), did) for code, did in programs(width, job.byte_order)]


@lru_cache(maxsize=4)
def programs(width: int, order: ByteOrder) -> tuple[tuple[bytes, str], ...]:
    """Return the code of the programs, in instructions of ``width`` bits, and what each did."""
    found: list[tuple[bytes, str]] = []
    for wide, deep in zip(_WIDE, _DEEP, strict=True):
        found.append((assemble(_frame(wide, width), order), f"filled all registers and its frame with {wide:#x}"))
        did = f"filled all registers and a part of eight frames with {deep:#x}"
        found.append((assemble(_frames(deep, width), order), did))
    return tuple(found)


def _frame(byte: int, width: int) -> str:
    return "\n".join([_constant(byte, width), *_filled(FRAME_BYTES, width), "exit"])


def _frames(byte: int, width: int) -> str:
    lines = [_constant(byte, width)]
    for frame in range(MAX_FRAMES):
        below = [f"call local frame{frame + 1}"] if frame + 1 < MAX_FRAMES else []
        lines += [f"frame{frame}:", *_filled(FRAME_BYTES // MAX_FRAMES, width), *below, "exit"]
    return "\n".join(lines)


def _constant(byte: int, width: int) -> str:
    """Return code that fills R1, or its lower half."""
    value = int.from_bytes(bytes([byte]) * (width // 8))
    return f"r1 = {value:#x} ll" if width == 64 else f"w1 = {value:#x}"


def _filled(size: int, width: int) -> Iterator[str]:
    """Yield code that fills the registers, and ``size`` bytes of the stack from its end on, with what is in R1."""
    r, step = "r" if width == 64 else "w", width // 8
    yield from (f"{r}{number} = {r}1" for number in range(10))
    yield from (f"*(u{width} *)(r10 - {at}) = r1" for at in range(step, size + step, step))
