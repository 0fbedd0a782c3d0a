# SPDX-License-Identifier: Apache-2.0
"""Prepared kernel calls, and what came of them: plain data between `how` and `who`.

:mod:`.prepare` turns a vector into :class:`PreparedCalls`, :mod:`.executor` (or a guest inside another kernel) makes
the calls and fills a :class:`Report`, :mod:`.prepare` reads the outcome from it. Both sides survive a trip through
JSON (:func:`to_json`, :func:`calls_from_json`, :func:`report_from_json`): bytes travel as hex.

Making the calls means, for each load in turn: replace the fields named by ``relocations`` by descriptors of the maps,
load; if the kernel refuses, note errno and log; otherwise set every map to its value, run once, note the values of the
maps in ``reads``. A ``fallback`` load is left out if one before it ran.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias

#: What the kernel takes a program for; the names are those of ``enum bpf_prog_type``.
ProgramTypeName: TypeAlias = Literal["SOCKET_FILTER", "SCHED_CLS", "RAW_TRACEPOINT"]

#: Stands for a map that does not exist, in relocations: its descriptor is -1.
NO_MAP = -1


class Origin(NamedTuple):
    """Where a part of the vector's program is: ``slots`` slots from ``vector_slot`` on, at ``load_slot`` of a load."""

    load_slot: int
    vector_slot: int
    slots: int


class Load(NamedTuple):
    """One program.

    ``relocations`` are pairs of a slot, whose ``imm`` becomes a descriptor, and the map (index into
    :attr:`PreparedCalls.maps`). ``origins`` tell which slots are the vector's own. ``functions`` are the first slots of
    all functions if the kernel has to be given their types, else empty. A refused ``optional`` load means nothing,
    and one that ran makes up for a refused one.
    """

    code: bytes
    relocations: tuple[tuple[int, int], ...]
    origins: tuple[Origin, ...]
    functions: tuple[int, ...] = ()
    optional: bool = False
    fallback: bool = False


class PreparedCalls(NamedTuple):
    """What to ask the kernel for one vector.

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
    """The program was loaded and run: the values of the maps in ``reads``, and the seconds that both took."""

    values: tuple[bytes, ...]
    seconds: float


class Refused(NamedTuple):
    """The kernel did not load the program: errno, and the verifier's log."""

    errno: int
    log: str


class NotRun(NamedTuple):
    """The program was loaded, but the kernel did not run it (errno)."""

    errno: int


Result: TypeAlias = Ran | Refused | NotRun


class Report(NamedTuple):
    """One result for each load, None for a fallback that was not needed."""

    results: tuple[Result | None, ...]


def to_json(data: PreparedCalls | Report) -> dict[str, Any]:
    """Return ``data`` as JSON values."""
    if isinstance(data, Report):
        return {"results": [_result_to_json(result) for result in data.results]}
    return {
        "program_type": data.program_type,
        "maps": [value.hex() for value in data.maps],
        "indexed": list(data.indexed),
        "packet": None if data.packet is None else data.packet.hex(),
        "loads": [
            {
                "code": load.code.hex(),
                "relocations": [list(pair) for pair in load.relocations],
                "origins": [list(origin) for origin in load.origins],
                "functions": list(load.functions),
                "optional": load.optional,
                "fallback": load.fallback,
            }
            for load in data.loads
        ],
        "reads": list(data.reads),
        "registers": list(data.registers),
    }


def calls_from_json(data: dict[str, Any]) -> PreparedCalls:
    """Return the calls that :func:`to_json` described."""
    packet = data["packet"]
    return PreparedCalls(
        program_type=data["program_type"],
        maps=tuple(bytes.fromhex(value) for value in data["maps"]),
        indexed=tuple(data["indexed"]),
        packet=None if packet is None else bytes.fromhex(packet),
        loads=tuple(
            Load(
                code=bytes.fromhex(load["code"]),
                relocations=tuple((slot, index) for slot, index in load["relocations"]),
                origins=tuple(Origin(*origin) for origin in load["origins"]),
                functions=tuple(load["functions"]),
                optional=load["optional"],
                fallback=load["fallback"],
            )
            for load in data["loads"]
        ),
        reads=tuple(data["reads"]),
        registers=tuple(data["registers"]),
    )


def report_from_json(data: dict[str, Any]) -> Report:
    """Return the report that :func:`to_json` described."""
    return Report(tuple(_result_from_json(result) for result in data["results"]))


def _result_to_json(result: Result | None) -> dict[str, Any] | None:
    if result is None:
        return None
    if isinstance(result, Ran):
        return {"values": [value.hex() for value in result.values], "seconds": result.seconds}
    if isinstance(result, Refused):
        return {"refused": result.errno, "log": result.log}
    return {"not_run": result.errno}


def _result_from_json(data: dict[str, Any] | None) -> Result | None:
    if data is None:
        return None
    if "values" in data:
        return Ran(tuple(bytes.fromhex(value) for value in data["values"]), data["seconds"])
    if "refused" in data:
        return Refused(data["refused"], data["log"])
    return NotRun(data["not_run"])
