# SPDX-License-Identifier: Apache-2.0
"""LLVM IR as text: names, blocks, and the instructions that the lowering is made of.

IR is written as text because building LLVM's objects one call at a time costs several times the parsing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

#: A value in IR: a number, or the name of a result (``%v12``).
Operand: TypeAlias = int | str

#: What is known of a branch, for :meth:`Emitter.branch`; METADATA belongs into each module.
RARELY, USUALLY = ", !prof !0", ", !prof !1"
METADATA = """!0 = !{!"branch_weights", i32 1, i32 1048575}
!1 = !{!"branch_weights", i32 1048575, i32 1}
!2 = !{!"llvm.loop.align", i32 64}
"""
#: The first number that METADATA leaves free.
FREE_METADATA = 3


def literal(value: Operand, bits: int) -> str:
    """Return ``value`` as written in IR; a number is reduced to ``bits``."""
    if isinstance(value, str):
        return value
    value &= (1 << bits) - 1
    if bits == 1:
        return "true" if value else "false"
    return str(value)


class Emitter:
    """Collects the lines of one function; ``block`` is the label of the block being written.

    ``numbers`` gives numbers for metadata that no other function of the module has.
    """

    def __init__(self, numbers: Iterator[int]) -> None:
        self.lines: list[str] = []
        self.block = ""
        self._names = 0
        self.numbers = numbers
        self.metadata: list[str] = []

    def label(self) -> str:
        """Return a label that was not used yet."""
        self._names += 1
        return f"l{self._names}"

    def line(self, text: str) -> None:
        """Write an instruction that has no result."""
        self.lines.append(text)

    def value(self, text: str) -> str:
        """Write an instruction and return the name of its result."""
        self._names += 1
        name = f"%v{self._names}"
        self.lines.append(f"{name} = {text}")
        return name

    def begin(self, block: str) -> None:
        """Begin the block labelled ``block``; the one before must have ended."""
        self.lines.append(f"{block}:")
        self.block = block

    def branch(self, condition: Operand, then: str, otherwise: str, hint: str = "") -> None:
        """End the block with a branch to one of two labels; ``hint`` is ``RARELY``, ``USUALLY`` or that of a loop."""
        self.lines.append(f"br i1 {literal(condition, 1)}, label %{then}, label %{otherwise}{hint}")

    def loop_hint(self, copies: int = 0) -> str:
        """Return the hint for a branch back to the beginning of a loop: that it should lie well in the cache.

        With ``copies``, also that it should be unrolled so often.
        """
        number = next(self.numbers)
        unrolled = f', !{{!"llvm.loop.unroll.count", i32 {copies}}}' if copies else ""
        self.metadata.append(f"!{number} = distinct !{{!{number}, !2{unrolled}}}")
        return f", !llvm.loop !{number}"

    # Integers

    def binary(self, op: str, bits: int, left: Operand, right: Operand) -> str:
        """Write the instruction ``op`` on two integers of ``bits`` bits."""
        return self.value(f"{op} i{bits} {literal(left, bits)}, {literal(right, bits)}")

    def compare(self, predicate: str, bits: int, left: Operand, right: Operand) -> str:
        """Write a comparison of two integers; the result has one bit."""
        return self.binary(f"icmp {predicate}", bits, left, right)

    def select(self, condition: Operand, bits: int, then: Operand, otherwise: Operand) -> str:
        """Write a choice between two values that are both computed."""
        chosen = ((condition, 1), (then, bits), (otherwise, bits))
        return self.value(f"select {', '.join(f'i{width} {literal(value, width)}' for value, width in chosen)}")

    def byte_swap(self, bits: int, value: Operand) -> Operand:
        """Write the reversal of the bytes of ``value``."""
        if bits == 8:
            return value
        return self.value(f"call i{bits} @llvm.bswap.i{bits}(i{bits} {literal(value, bits)})")
