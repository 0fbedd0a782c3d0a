# SPDX-License-Identifier: Apache-2.0
"""Prepared kernel calls and their results, as plain data.

:mod:`.prepare` turns a vector into :class:`PreparedCalls`, a :mod:`guest <.guest>` makes the calls and writes a
:class:`Report`, :mod:`.outcome` reads the outcome from it. :mod:`.packed` has both as bytes.

Making the calls means, for each load in turn: replace the fields named by ``relocations`` by descriptors of the maps,
load; if the kernel refuses, note errno and log; otherwise set every map to its value, run once, note the values of the
maps in ``reads``. A ``fallback`` load is left out if one before it ran.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

#: Program types, with the names of ``enum bpf_prog_type``.
ProgramTypeName: TypeAlias = Literal["SOCKET_FILTER", "SCHED_CLS", "RAW_TRACEPOINT"]

#: In relocations, a map that does not exist: its descriptor is -1.
NO_MAP = -1


class Origin(NamedTuple):
    """A part of the vector's program: ``slots`` slots from ``vector_slot`` are at ``load_slot`` of a load."""

    load_slot: int
    vector_slot: int
    slots: int


class Load(NamedTuple):
    """One program.

    ``relocations`` are pairs of a slot, whose ``imm`` becomes a descriptor, and the map (index into
    :attr:`PreparedCalls.maps`). ``origins`` are the slots from the vector. ``functions`` are the first slots of
    all functions if the kernel needs their types, else empty. The refusal of an ``optional`` load is ignored, and its
    success replaces a refused load.
    """

    code: bytes
    relocations: tuple[tuple[int, int], ...]
    origins: tuple[Origin, ...]
    functions: tuple[int, ...] = ()
    optional: bool = False
    fallback: bool = False


class PreparedCalls(NamedTuple):
    """The kernel calls for one vector.

    ``maps`` are initial values, one array map of one value each. ``indexed`` are the maps that programs name by
    index. ``packet`` is the packet for program types that want one. ``reads`` are the maps whose values are asked
    back after a run, and ``registers`` those that the first of them then shows.
    """

    program_type: ProgramTypeName
    maps: tuple[bytes, ...]
    indexed: tuple[int, ...]
    packet: bytes | None
    loads: tuple[Load, ...]
    reads: tuple[int, ...]
    registers: tuple[str, ...]


class Ran(NamedTuple):
    """The program was loaded and run: the values of the maps in ``reads``, and the seconds that both took.

    ``jited`` says whether the kernel made machine code of it; if not, its interpreter ran it.
    """

    values: tuple[bytes, ...]
    seconds: float
    jited: bool


class Refused(NamedTuple):
    """The kernel did not load the program: errno, and the verifier's log."""

    errno: int
    log: str


class NotRun(NamedTuple):
    """The program was loaded, but the kernel did not run it (errno)."""

    errno: int


class Failed(NamedTuple):
    """Something else failed: errno, and the command of bpf(2) (``enum bpf_cmd``), such as 0 for creating a map."""

    errno: int
    command: int


Result: TypeAlias = Ran | Refused | NotRun | Failed


class Report(NamedTuple):
    """One result for each load, None for a fallback that was not needed."""

    results: tuple[Result | None, ...]
