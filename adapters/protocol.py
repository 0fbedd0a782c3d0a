# SPDX-License-Identifier: Apache-2.0
"""The adapter protocol: jobs, outcomes, and the interface of adapters. All data can be pickled.

A :class:`Job` is a program with its inputs, in the byte order of the runtime. An :class:`Outcome` says how it ended,
not whether that is correct: adapters do not know the expectation of a vector, only what will be compared (``observe``)
and whether the program should or may be rejected (``wants_rejection``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Literal, NamedTuple, Protocol, Self, TypeAlias, get_args

from ..spec.encoding import ByteOrder
from ..spec.errors import InputError

Engine: TypeAlias = Literal["interpreter", "jit", "unknown"]
#: State that a runtime can report after a run. ``r0`` is the minimum; ``registers`` are r0 to r9 at the end.
Observable: TypeAlias = Literal["r0", "registers", "memory"]


class OutcomeKind(StrEnum):
    """All outcomes that a job can have."""

    RETURNED = "returned"  # the program ran to its end
    REJECTED = "rejected"  # the runtime refused to load it, because of what it is
    FAULTED = "faulted"  # it was loaded, and stopped by the runtime while it ran
    TIMED_OUT = "timed_out"  # it did not end in time
    CRASHED = "crashed"  # the runtime died
    UNSUPPORTED = "unsupported"  # this runtime cannot judge the job; the reason says why


#: Code of the reason of an ``unsupported`` outcome whose message is in none of the adapter's tables, so that it says
#: nothing about conformance.
UNCLASSIFIED = "unclassified"
#: The cause in a reason: the runtime's implementation of an instruction; its platform or the platform's policy; or a
#: limit of the harness.
Blames: TypeAlias = Literal["instruction", "platform", "harness"]
_CODE = r"[a-z][a-z0-9._-]*"
_WITH_CODE = re.compile(rf"({_CODE}): (.*)", re.DOTALL)


class Reason(NamedTuple):
    """The reason of an outcome or verdict: a code such as ``policy.unreachable``, and a sentence.

    ``code`` (lower-case letters, digits, ``.``, ``-`` and ``_``) may be empty. As a string a reason is ``code: text``.
    """

    code: str = ""
    text: str = ""
    blames: Blames = "instruction"

    def __str__(self) -> str:
        return f"{self.code}: {self.text}" if self.code else self.text

    @property
    def is_valid(self) -> bool:
        """Whether ``code`` and ``blames`` are valid, which third-party adapters may violate."""
        return (not self.code or bool(re.fullmatch(_CODE, self.code))) and self.blames in get_args(Blames)

    @classmethod
    def parse(cls, said: str, blames: Blames = "instruction") -> Self:
        """Return the reason of the string ``said``; without a code if it does not begin with one."""
        found = _WITH_CODE.fullmatch(said)
        return cls(found[1], found[2], blames) if found else cls("", said, blames)


NO_REASON = Reason()


class MapSpec(NamedTuple):
    """An array map with one entry, whose key is the 32-bit 0.

    The imm of instructions that name a map by descriptor or by index is its index in :attr:`Job.maps`; an adapter
    replaces it as the runtime requires.
    """

    value: bytes


class VariableSpec(NamedTuple):
    """A platform variable: ``number`` is the imm of the instruction that takes its address."""

    number: int
    value: bytes


class HelperSpec(NamedTuple):
    """A helper function that the program calls, by static id or by BTF id.

    ``does`` is its function: ``map_lookup_elem``, ``map_update_elem`` and ``map_delete_elem`` are those that Linux
    knows by the static ids 1, 2 and 3; ``weigh`` returns r1 + 2 r2 + 3 r3 + 4 r4 + 5 r5 modulo 2**64.
    """

    by: Literal["static", "btf"]
    number: int
    does: Literal["map_lookup_elem", "map_update_elem", "map_delete_elem", "weigh"]


class Job(NamedTuple):
    """A program to run.

    At entry r1 is the address of a writable copy of ``memory`` and r2 its length; both are 0 where it is None.
    ``groups`` is what the program needs (not closed over inclusion), ``observe`` what will be compared of the
    outcome: ``r0`` to ``r9`` and ``memory``. With ``wants_rejection`` the program is one that should not be loaded, or
    need not.
    """

    id: str
    code: bytes
    byte_order: ByteOrder
    groups: frozenset[str]
    observe: frozenset[str]
    memory: bytes | None = None
    maps: tuple[MapSpec, ...] = ()
    variables: tuple[VariableSpec, ...] = ()
    helpers: tuple[HelperSpec, ...] = ()
    wants_rejection: bool = False


class Outcome(NamedTuple):
    """The outcome of a job.

    ``r0`` is set where ``kind`` is ``returned``. ``registers`` (those of r0 to r9 that the runtime can show) and
    ``memory`` are what they were at the end of the program, None where it cannot show them; numbers are unsigned.
    ``reason`` is :data:`NO_REASON` only for ``returned``. ``seconds`` is the time for loading and running, None if it
    is not known.
    """

    kind: OutcomeKind
    r0: int | None = None
    registers: dict[str, int] | None = None
    memory: bytes | None = None
    reason: Reason = NO_REASON
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RuntimeInfo:
    """The identity of a runtime.

    ``groups`` are the conformance groups that it claims to support; None without a claim, which tests all but the
    implementation-specific ones. ``byte_order`` is that of the programs it runs.
    """

    name: str
    version: str
    engine: Engine
    architecture: str
    byte_order: ByteOrder
    groups: frozenset[str] | None
    observes: frozenset[Observable]
    kernel_release: str | None = None


class Unavailable(InputError):
    """The runtime cannot be used here; the message has the reason and a remedy in one line."""


class Adapter(Protocol):
    """A runtime, ready to run jobs. Used by one thread; :meth:`close` releases its resources."""

    def info(self) -> RuntimeInfo:
        """Return the identity and abilities of the runtime."""

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Run ``jobs`` and yield their outcomes, one each and in their order.

        Raises:
            OSError: the connection to the runtime failed (not the program, not the runtime).
        """

    def close(self) -> None:
        """Release processes, descriptors and memory; the adapter is not used afterwards."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
