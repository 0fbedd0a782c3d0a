# SPDX-License-Identifier: Apache-2.0
"""What a vector is: an entry of a vector file, and the vectors that it expands to.

Whatever may depend on the byte order of a runtime lies in a :class:`Variant`, of which a vector has two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, TypeAlias

from ...adapters.protocol import (
    HelperSpec,
    Job,
    MapSpec,
    VariableSpec,
)
from ...spec.encoding import ByteOrder
from ...spec.errors import InputError

#: A string of a vector file: the same for both byte orders, or (little, big).
ByOrder: TypeAlias = "str | tuple[str, str]"


#: The registers that a vector can expect something of.
REGISTERS = tuple(f"r{index}" for index in range(10))
#: The value of a case that says of which registers it expects something else than the entry does.
CHANGES = "changes"
#: In a table: the case has no such value.
NO_VALUE = "-"


class Level(StrEnum):
    """By what authority a vector expects what it expects."""

    MUST = "must"  # RFC 9669 says so
    INTERPRETATION = "interpretation"  # RFC 9669 implies it; an erratum says how
    ABI = "abi"  # the calling convention
    EXTENSION = "extension"  # a named extension defines it
    ROBUSTNESS = "robustness"  # undefined: do anything but run it as another instruction, show other data, or die


class VectorError(InputError):
    """A vector file that cannot be accepted: where, which vector, and what is wrong with it.

    ``rule`` is that of lint which says so.
    """

    def __init__(self, file: Path | str, line: int, vector: str | None, message: str, rule: str = "expansion") -> None:
        super().__init__(f"{file}:{line}: {f'{vector}: ' if vector else ''}{message}")
        self.file, self.line, self.vector, self.message, self.rule = str(file), line, vector, message, rule


@dataclass(frozen=True, slots=True)
class Source:
    """Where the expectations of a file come from; ``generator`` is the command that writes a generated file."""

    name: str
    method: str
    generator: str | None = None
    note: str | None = None


@dataclass(slots=True, eq=False)
class Entry:
    """A vector as the file has it, before holes are filled.

    ``cases`` are names and values; an entry without cases has one, whose name is None. ``expect`` is what the entry
    expects whatever the case: names of registers, ``memory`` and ``witness`` to texts. ``byte_order`` is that of the
    only runtimes it is for, None if it is for all.
    """

    file: str
    line: int
    id: str
    source: Source
    what: str
    level: Level
    extension: str | None
    covers: tuple[str, ...]
    errata: tuple[str, ...]
    asm: str | None
    code: ByOrder | None
    memory: ByOrder | None
    maps: tuple[ByOrder, ...]
    variables: tuple[tuple[int, ByOrder], ...]
    helpers: tuple[HelperSpec, ...]
    expect: Mapping[str, ByOrder]
    rejected: bool
    faulted: str | None
    cases: list[tuple[str | None, Mapping[str, ByOrder]]]
    byte_order: ByteOrder | None = None
    steady: bool = False

    @property
    def returns(self) -> bool:
        """Whether its programs must run to their end, with what is expected."""
        return not self.rejected and self.faulted is None and not self.steady

    def error(
        self, message: str, case: str | None = None, line: int | None = None, rule: str = "expansion"
    ) -> VectorError:
        """Return the error that ``message`` describes, at this entry."""
        return VectorError(self.file, line or self.line, vector_id(self.id, case), message, rule)


def vector_id(entry: str, case: str | None) -> str:
    """Return the id of the vector that ``entry`` has for ``case``."""
    return entry if case is None else f"{entry}/{case}"


class Expectation(NamedTuple):
    """The expected outcome of a program.

    If neither ``rejected`` nor ``faulted`` nor ``steady``, it must return, with ``registers`` (r0 to r9, unsigned) and
    ``memory``. ``faulted`` names the kind of fault. ``witness`` is the r0 of a runtime that runs a program which should
    be rejected as if it were another one. A ``steady`` program may return anything, but the same each time.
    """

    registers: Mapping[str, int]
    memory: bytes | None = None
    rejected: bool = False
    faulted: str | None = None
    witness: int | None = None
    steady: bool = False

    @property
    def observed(self) -> frozenset[str]:
        """What has to be seen of an outcome: names of registers, and ``memory``."""
        names = frozenset(self.registers) if self.registers else frozenset[str](("r0",) if self.steady else ())
        return names if self.memory is None else names | {"memory"}

    @property
    def returns(self) -> bool:
        """Whether the program must run to its end, with what is expected."""
        return not self.rejected and self.faulted is None and not self.steady


class Variant(NamedTuple):
    """A vector in one byte order: program, inputs and expectation."""

    code: bytes
    memory: bytes | None
    maps: tuple[MapSpec, ...]
    variables: tuple[VariableSpec, ...]
    expect: Expectation


@dataclass(eq=False, slots=True)
class Vector:
    """One program with inputs and one expected outcome.

    ``groups`` is the least set of conformance groups that its program needs, ``reported`` the groups under which it
    is counted. ``line`` is that of the entry.
    """

    id: str
    case: str | None
    entry: Entry
    groups: frozenset[str]
    reported: frozenset[str]
    little: Variant
    make_big: Callable[[Vector], Variant]
    _big: Variant | None = field(init=False, default=None)

    @property
    def big(self) -> Variant:
        """The vector for big-endian runtimes; made when it is asked for."""
        if self._big is None:
            self._big = self.make_big(self)
        return self._big

    def variant(self, byte_order: ByteOrder) -> Variant:
        """Return the vector in ``byte_order``."""
        return self.little if byte_order == "little" else self.big

    def job(self, byte_order: ByteOrder) -> Job:
        """Return what a runtime of ``byte_order`` is asked."""
        variant = self.variant(byte_order)
        return Job(
            id=self.id,
            code=variant.code,
            byte_order=byte_order,
            groups=self.groups,
            observe=variant.expect.observed,
            memory=variant.memory,
            maps=variant.maps,
            variables=variant.variables,
            helpers=self.entry.helpers,
            wants_rejection=variant.expect.rejected or variant.expect.steady,
        )
