# SPDX-License-Identifier: Apache-2.0
"""Contexts of fields: sizes and bit patterns of immediates, offsets and distances, at the limits of host encodings."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeAlias

from ...spec.encoding import Decoded

FieldName: TypeAlias = Literal["dst", "src", "offset", "imm", "next_imm"]
Comparison: TypeAlias = Literal["==", "!=", "<", ">"]

#: The comparisons of signed numbers, and of terms of z3.
COMPARISONS: dict[Comparison, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt
}  # fmt: skip


class Condition(NamedTuple):
    """A test of a field of the instruction (signed, section 3.1): ``imm < 0``, ``dst == src``, ``imm & 31 == 0``."""

    field: FieldName
    op: Comparison
    value: int | FieldName
    mask: int | None = None

    def holds(self, decoded: Decoded) -> bool:
        """Whether ``decoded`` passes the test."""
        left: int = getattr(decoded, self.field)
        right: int = self.value if isinstance(self.value, int) else getattr(decoded, self.value)
        return bool(COMPARISONS[self.op](left if self.mask is None else left & self.mask, right))

    def __str__(self) -> str:
        left = self.field if self.mask is None else f"{self.field} & {self.mask}"
        if self.field in ("dst", "src") and isinstance(self.value, int):
            return f"{left} is r{self.value}" if self.op == "==" else f"{left} {self.op} r{self.value}"
        return f"{left} {self.op} {self.value}"


#: Widths of the immediate fields of host instructions: s390x 8, 12, 16, 20; x86-64 8; Arm 5, 8, 9, 12, 16, 19, 21, 26;
#: RISC-V 5, 12, 13, 20, 21; MIPS 5, 16, 26; POWER 16, 26; LoongArch 12, 16, 20, 21, 26.
_WIDTHS = (5, 8, 9, 12, 13, 15, 16, 19, 20, 21, 26)
#: A test of a number, as (comparison, number, mask).
_Test: TypeAlias = tuple[Comparison, int, int | None]


def _limits() -> Iterator[tuple[str, tuple[_Test, ...]]]:
    """Yield the largest numbers that fit a width, the next ones, and all that do not fit."""
    for bits in _WIDTHS:
        top = 1 << (bits - 1)
        for number in (top - 1, top, -top, -top - 1, 2 * top - 1, 2 * top):
            yield str(number), (("==", number, None),)
        yield f"above {bits} bits signed", ((">", top - 1, None),)
        yield f"below {bits} bits signed", (("<", -top, None),)
        yield f"above {bits} bits unsigned", ((">", 2 * top - 1, None),)


#: Tests of numbers by label. The halves of a constant are built by two instructions on RISC-V (bits 0 to 11 are
#: sign-extended), MIPS and POWER (bits 0 to 15).
LIMITS: Mapping[str, tuple[_Test, ...]] = {
    **{str(number): (("==", number, None),) for number in (0, 1, 2, -1, -2)},
    **dict(_limits()),
    "0x7fff0000": (("==", 0x7FFF0000, None),),
    "the largest": (("==", (1 << 31) - 1, None),),
    "the smallest": (("==", -(1 << 31), None),),
    "no low 12 bits": (("==", 0, 0xFFF), ("!=", 0, None)),
    "no low half": (("==", 0, 0xFFFF), ("!=", 0, None)),
    "sign bit of the low 12 bits": (("!=", 0, 0x800),),
    "sign bit of the low half": (("!=", 0, 0x8000),),
    "rounds up to bit 31": ((">", 0x7FFFF7FF, None),),
}


def _power(number: int) -> bool:
    return number > 0 and number & (number - 1) == 0


@lru_cache(maxsize=4096)
def is_bitmask(number: int, width: int) -> bool:
    """Whether Arm's logical instructions have ``number`` as an immediate: a rotated run of ones, repeated."""
    number &= (1 << width) - 1
    for size in (2, 4, 8, 16, 32, 64):
        mask = (1 << size) - 1
        part = number & mask
        if size <= width and all((number >> at) & mask == part for at in range(0, width, size)):
            return part not in (0, mask) and any(_is_run(part, by, size) for by in range(size))
    return False


def _is_run(part: int, by: int, size: int) -> bool:
    rotated = (part >> by | part << size - by) & ((1 << size) - 1)
    return rotated & (rotated + 1) == 0


#: Patterns that are no comparison, by label.
PATTERNS: Mapping[str, Callable[[int], bool]] = {
    "a power of two": _power,
    "one below a power of two": lambda number: _power(number + 1),
    "one above a power of two": lambda number: _power(number - 1),
    "minus a power of two": lambda number: _power(-number),
    "a bit mask of 32 bits": lambda number: is_bitmask(number, 32),
    "a bit mask of 64 bits": lambda number: is_bitmask(number, 64),
    "no bit mask": lambda number: not is_bitmask(number, 32) and not is_bitmask(number, 64),
}


def numbers(low: int, high: int) -> set[int]:
    """Return numbers from ``low`` to ``high`` that together have all labels that a number there can have."""
    exact = {value for tests in LIMITS.values() for op, value, _ in tests if op in ("==", ">", "<")}
    powers = {sign << bits for bits in range(31) for sign in (1, -1)}
    near = {number + by for number in exact | powers for by in (-1, 0, 1)} | {0x10000, 0x12345678, 0xFF00FF, 0xF0F0}
    return {number for number in near if low <= number <= high}


#: All labels of numbers.
LABELS = (*LIMITS, *PATTERNS)


@lru_cache(maxsize=1 << 16)
def labels(number: int) -> frozenset[str]:
    """Return the labels of :data:`LIMITS` and :data:`PATTERNS` that ``number`` has."""
    limits = (
        label
        for label, tests in LIMITS.items()
        if all(COMPARISONS[op](number if mask is None else number & mask, value) for op, value, mask in tests)
    )
    return frozenset([*limits, *(label for label, test in PATTERNS.items() if test(number))])
