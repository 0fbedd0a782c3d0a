# SPDX-License-Identifier: Apache-2.0
"""Prepared calls and their results as bytes, for the guest (:mod:`.guest`).

A list of jobs is read from the beginning to the end. Numbers have 32 bits and the byte order of the machine that makes
the calls; every part is filled up with zeros to a multiple of 8 bytes, unless that is what it has.

    list       magic, JIT switch, JIT hardening (-1: left as it is), most bytes of a log, bytes of type information, 0;
               the type information (BTF); jobs
    job        bytes of the job with all its parts, kind (0 run, 1 panic, 2 hang), program type, maps, indexed maps,
               reads, bytes of the packet (-1: none), loads, registers (bit 0: r0), 0;
               length of each map; each indexed map (-1: none); each map to be read; the packet; the value of each map;
               loads
    load       bytes of the load with all its parts, flags (1 optional, 2 fallback), bytes of code, relocations,
               origins, functions;
               relocations: slot, map (-1: none); origins: slot in the load, slot in the vector, slots;
               functions: slot, type; the code

A result is a line: ``@`` and base64 of CRC-32 of what follows, length in bytes, number of the job in the list, and a
result for each load. Byte strings in results are filled up to a multiple of 4 bytes.

    0          left out, a fallback that was not needed
    1          ran: bytes of machine code that the JIT made of it (0: it was interpreted), nanoseconds, and for each map
               that was read how many parts of its value have changed, and each: offset, bytes, what it is now
    2          refused: errno, bytes of the end of the log, the end of the log
    3          loaded and not run: errno
    4          something else failed: errno, command of bpf(2)

Number -1 is about the machine: the contents of three files of /proc/sys, each after its length (kernel/osrelease,
net/core/bpf_jit_enable and bpf_jit_harden). Number -2 is the end. Whatever is on other lines is not from the guest.
"""

from __future__ import annotations

import binascii
import zlib
from collections.abc import Sequence
from functools import lru_cache
from struct import Struct, error
from typing import NamedTuple

from ...spec.encoding import ByteOrder
from .btf import FUNCTION_TYPE, MAIN_TYPE, types
from .calls import Failed, Load, NotRun, Origin, PreparedCalls, ProgramTypeName, Ran, Refused, Report, Result
from .wrapping import REGISTERS

_MAGIC = 0x314A5042
#: Kinds of jobs: other kinds than the first are for tests of how a machine ends.
RUN, PANIC, HANG = 0, 1, 2
#: Numbers of results that are no job's.
ABOUT_MACHINE, END = 0xFFFFFFFF, 0xFFFFFFFE
#: The longest log that results have: a message, and statistics or states after it.
LOG = 4096
_NONE = 0xFFFFFFFF
#: ``enum bpf_prog_type``
_PROGRAM_TYPES: dict[ProgramTypeName, int] = {"SOCKET_FILTER": 1, "SCHED_CLS": 3, "RAW_TRACEPOINT": 17}
_PROGRAM_TYPE_NAMES = {number: name for name, number in _PROGRAM_TYPES.items()}
_OPTIONAL, _FALLBACK = 1, 2
_LEFT_OUT, _RAN, _REFUSED, _NOT_RUN, _FAILED = range(5)
_JOB_WORDS, _LOAD_WORDS = 10, 6
_ORDER = {"little": "<", "big": ">"}


class NotPacked(ValueError):
    """Bytes that are no result, or are damaged."""


class Answer(NamedTuple):
    """A line of the guest: the number of the job, and what it says about it."""

    number: int
    content: bytes


def _words(byte_order: ByteOrder, *numbers: int) -> bytes:
    return _filled(_struct(byte_order, len(numbers)).pack(*(number & _NONE for number in numbers)))


def _filled(data: bytes, to: int = 8) -> bytes:
    return data + bytes(-len(data) % to)


def head(byte_order: ByteOrder, jit: int | None = None, harden: int | None = None) -> bytes:
    """Return the beginning of a list; the switches of the JIT are left as they are if None."""
    btf = types(byte_order)
    switches = (-1 if value is None else value for value in (jit, harden))
    return _words(byte_order, _MAGIC, *switches, LOG, len(btf), 0) + _filled(btf)


def provocation(kind: int, byte_order: ByteOrder) -> bytes:
    """Return a job that ends (``PANIC``) or stops (``HANG``) the guest."""
    return _words(byte_order, 4 * _JOB_WORDS, kind, *([0] * (_JOB_WORDS - 2)))


def pack(calls: PreparedCalls, byte_order: ByteOrder) -> bytes:
    """Return a job."""
    parts = [
        _words(byte_order, *map(len, calls.maps)),
        _words(byte_order, *calls.indexed),
        _words(byte_order, *calls.reads),
        _filled(calls.packet or b""),
        *map(_filled, calls.maps),
        *(_pack_load(load, byte_order) for load in calls.loads),
    ]
    return _words(
        byte_order,
        4 * _JOB_WORDS + sum(map(len, parts)),
        RUN,
        _PROGRAM_TYPES[calls.program_type],
        len(calls.maps),
        len(calls.indexed),
        len(calls.reads),
        _NONE if calls.packet is None else len(calls.packet),
        len(calls.loads),
        sum(1 << REGISTERS.index(name) for name in calls.registers),
        0,
    ) + b"".join(parts)


def _pack_load(load: Load, byte_order: ByteOrder) -> bytes:
    functions = [word for slot in load.functions for word in (slot, FUNCTION_TYPE)]
    functions[1:2] = [MAIN_TYPE] * bool(functions)
    parts = (
        _words(byte_order, *(word for pair in load.relocations for word in pair))
        + _words(byte_order, *(word for origin in load.origins for word in origin))
        + _words(byte_order, *functions)
        + load.code
    )
    flags = _OPTIONAL * load.optional | _FALLBACK * load.fallback
    numbers = (len(load.code), len(load.relocations), len(load.origins), len(load.functions))
    return _words(byte_order, 4 * _LOAD_WORDS + len(parts), flags, *numbers) + parts


@lru_cache(maxsize=1024)
def _struct(byte_order: ByteOrder, words: int) -> Struct:
    return Struct(f"{_ORDER[byte_order]}{words}I")


class _Cursor:
    """Reads words and byte strings, each of which is filled up to a multiple of ``fill`` bytes, a power of two."""

    __slots__ = ("_data", "_more", "_order", "at")

    def __init__(self, data: bytes, byte_order: ByteOrder, fill: int, at: int = 0) -> None:
        self._data, self._order, self._more, self.at = data, byte_order, fill - 1, at

    def words(self, count: int) -> tuple[int, ...]:
        """Return the next ``count`` words."""
        at = self.at
        self.at = at + 4 * count + self._more & ~self._more
        return _struct(self._order, count).unpack_from(self._data, at)

    def skip(self, count: int) -> None:
        """Pass over the next ``count`` bytes."""
        self.at = self.at + count + self._more & ~self._more

    def bytes(self, count: int) -> bytes:
        """Return the next ``count`` bytes."""
        at = self.at
        self.skip(count)
        if at + count > len(self._data):
            raise NotPacked("a result ends too early")
        return self._data[at : at + count]


class Asked(NamedTuple):
    """What a report is read with: the calls of a packed job, without their programs.

    ``values`` are those of the maps in ``reads`` before a run; of each load, ``optional`` says whether it is, and
    ``loads`` where it begins in ``job``.
    """

    job: bytes
    byte_order: ByteOrder
    program_type: ProgramTypeName
    values: tuple[bytes, ...]
    registers: tuple[str, ...]
    optional: tuple[bool, ...]
    loads: tuple[int, ...]

    def origins(self, load: int) -> tuple[Origin, ...]:
        """Return the slots of a load that are from the vector."""
        cursor = _Cursor(self.job, self.byte_order, 8, self.loads[load])
        _, _, _, relocations, origins, _ = cursor.words(_LOAD_WORDS)
        cursor.words(2 * relocations)
        words = cursor.words(3 * origins)
        return tuple(Origin(*words[at : at + 3]) for at in range(0, len(words), 3))


def asked(job: bytes, byte_order: ByteOrder) -> Asked:
    """Return what a report about ``job``, which :func:`pack` has made, is read with."""
    cursor = _Cursor(job, byte_order, 8)
    _, _, program_type, maps, indexed, reads, packet, loads, registers, _ = cursor.words(_JOB_WORDS)
    lengths = cursor.words(maps)
    cursor.words(indexed)
    shown = cursor.words(reads)
    cursor.skip(0 if packet == _NONE else packet)
    values = [cursor.bytes(length) for length in lengths]
    optional, starts = [], []
    for _ in range(loads):
        starts.append(cursor.at)
        length, flags = cursor.words(2)
        optional.append(bool(flags & _OPTIONAL))
        cursor.at = starts[-1] + length
    return Asked(
        job,
        byte_order,
        _PROGRAM_TYPE_NAMES[program_type],
        tuple([values[index] for index in shown]),
        _registers(registers),
        tuple(optional),
        tuple(starts),
    )


@lru_cache(maxsize=1 << len(REGISTERS))
def _registers(mask: int) -> tuple[str, ...]:
    return tuple(name for at, name in enumerate(REGISTERS) if mask >> at & 1)


def jobs_of(data: bytes, byte_order: ByteOrder) -> list[bytes]:
    """Return the jobs of a list that :func:`job_list` has made.

    Raises:
        NotPacked: it is none.
    """
    at = len(head(byte_order))
    if len(data) < at or _struct(byte_order, 1).unpack_from(data)[0] != _MAGIC:
        raise NotPacked("no list of jobs")
    jobs = []
    while at < len(data):
        (length,) = _struct(byte_order, 1).unpack_from(data, at)
        if not length or at + length > len(data):
            raise NotPacked("a list of jobs that is cut off")
        jobs.append(data[at : at + length])
        at += length
    return jobs


def answer(line: bytes, byte_order: ByteOrder) -> Answer:
    """Return what a line of the guest says.

    Raises:
        NotPacked: it is no line of the guest, or is damaged.
    """
    if line[:1] != b"@":
        raise NotPacked("not from the guest")
    try:
        data = binascii.a2b_base64(line[1:].rstrip(b"\r\n"), strict_mode=True)
        checksum, length, number = _struct(byte_order, 3).unpack_from(data)
    except (ValueError, error):
        raise NotPacked("not base64") from None
    if not length <= len(data) <= length + 2 or zlib.crc32(data[4:length]) != checksum:
        raise NotPacked("the checksum is another one")
    return Answer(number, data[12:length])


def about_machine(content: bytes, byte_order: ByteOrder) -> tuple[str, str, str]:
    """Return the release of the kernel, the switch of the JIT and that of its hardening; empty if not known."""
    cursor = _Cursor(content, byte_order, 4)
    release, jit, harden = (cursor.bytes(*cursor.words(1)).decode(errors="replace").strip() for _ in range(3))
    return release, jit, harden


def report(content: bytes, asked: Asked) -> Report:
    """Return what was reported about a job."""
    cursor = _Cursor(content, asked.byte_order, 4)
    return Report(tuple([_result(cursor, asked) for _ in asked.loads]))


def _result(cursor: _Cursor, asked: Asked) -> Result | None:
    (kind,) = cursor.words(1)
    if kind == _RAN:
        jited, nanoseconds = cursor.words(2)
        return Ran(tuple([_changed(cursor, value) for value in asked.values]), nanoseconds / 1e9, bool(jited))
    if kind == _REFUSED:
        number, length = cursor.words(2)
        return Refused(number, cursor.bytes(length).decode("utf-8", "replace"))
    if kind == _NOT_RUN:
        return NotRun(*cursor.words(1))
    if kind == _FAILED:
        return Failed(*cursor.words(2))
    return None


def _changed(cursor: _Cursor, value: bytes) -> bytes:
    (parts,) = cursor.words(1)
    if not parts:
        return value
    now = bytearray(value)
    for _ in range(parts):
        at, length = cursor.words(2)
        now[at : at + length] = cursor.bytes(length)
    return bytes(now)


def job_list(jobs: Sequence[bytes], byte_order: ByteOrder, jit: int | None = None, harden: int | None = None) -> bytes:
    """Return a list of ``jobs``, which :func:`pack` has made."""
    return head(byte_order, jit, harden) + b"".join(jobs)
