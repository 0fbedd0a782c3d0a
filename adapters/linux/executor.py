# SPDX-License-Identifier: Apache-2.0
"""Makes prepared calls on the running kernel."""

from __future__ import annotations

import os
import struct
import time
from collections import OrderedDict

from ..closing import Closing
from .calls import NO_MAP, Load, NotRun, PreparedCalls, Ran, Refused, Report, Result
from .syscall import ArrayMap, Bpf, BpfError, ProgramRefused, ProgramType

_IMM = struct.Struct("=i")
#: Where the imm field begins in the 8 bytes of a slot.
_IMM_AT = 4
#: Maps that are cached: most vectors have the same few memory sizes. Each takes two file descriptors.
_KEPT_MAPS = 64


class Executor(Closing):
    """Makes prepared calls; owns the maps, and reuses each for vectors that need its size.

    Raises:
        syscall.NoSuchSystemCall: there is no bpf(2) here.
    """

    def __init__(self) -> None:
        self._bpf = Bpf()
        self._maps: OrderedDict[tuple[int, int], ArrayMap] = OrderedDict()
        self._btf: int | None = None

    def close(self) -> None:
        """Close all maps."""
        while self._maps:
            self._maps.popitem()[1].close()
        if self._btf is not None:
            os.close(self._btf)
            self._btf = None

    def execute(self, calls: PreparedCalls) -> Report:
        """Make the calls.

        Raises:
            syscall.BpfError: something other than loading or running failed, such as creating a map.
        """
        maps = self._maps_for(calls.maps)
        kind = ProgramType[calls.program_type]
        indexed = [_descriptor(maps, index) for index in calls.indexed]
        results: list[Result | None] = []
        ran = False
        for load in calls.loads:
            result = None if load.fallback and ran else self._execute(calls, load, maps, kind, indexed)
            ran |= isinstance(result, Ran)
            results.append(result)
        return Report(tuple(results))

    def _execute(
        self, calls: PreparedCalls, load: Load, maps: list[ArrayMap], kind: ProgramType, indexed: list[int]
    ) -> Result:
        code = bytearray(load.code)
        for slot, index in load.relocations:
            _IMM.pack_into(code, slot * 8 + _IMM_AT, _descriptor(maps, index))
        start = time.perf_counter()
        try:
            program = self._bpf.load(kind, bytes(code), maps=indexed, functions=self._functions(load))
        except ProgramRefused as refusal:
            return Refused(refusal.errno or 0, refusal.log)
        try:
            for array, value in zip(maps, calls.maps, strict=True):
                array.write(value)
            self._bpf.run(program, calls.packet)
        except BpfError as error:
            return NotRun(error.errno or 0)
        finally:
            os.close(program)
        return Ran(tuple(maps[index].value for index in calls.reads), time.perf_counter() - start)

    def _maps_for(self, values: tuple[bytes, ...]) -> list[ArrayMap]:
        """Return one map per value, of its size."""
        taken: dict[int, int] = {}
        found = []
        for value in values:
            size = len(value)
            key = size, taken.get(size, 0)
            taken[size] = key[1] + 1
            array = self._maps.get(key)
            if array is None:
                array = self._maps[key] = self._bpf.create_array(size)
            else:
                self._maps.move_to_end(key)
            found.append(array)
        while len(self._maps) > max(_KEPT_MAPS, len(values)):
            self._maps.popitem(last=False)[1].close()
        return found

    def _functions(self, load: Load) -> tuple[int, bytes] | None:
        if not load.functions:
            return None
        if self._btf is None:
            self._btf = self._bpf.load_btf(_types())
        first, *others = load.functions
        records = [(first, _MAIN_TYPE), *((start, _FUNCTION_TYPE) for start in others)]
        return self._btf, b"".join(struct.pack("=II", *record) for record in records)


def _descriptor(maps: list[ArrayMap], index: int) -> int:
    return NO_MAP if index == NO_MAP else maps[index].descriptor


_MAIN_TYPE, _FUNCTION_TYPE = 3, 4


def _types() -> bytes:
    """Return type information (BTF) for a main program and for static functions, all ``int f(void)``."""
    names = b"\0int\0main\0function\0"
    kind_int, kind_func, kind_prototype, static, global_ = 1, 12, 13, 0, 1

    def entry(name: bytes, kind: int, linkage: int, size_or_type: int) -> bytes:
        at = names.index(b"\0" + name + b"\0") + 1 if name else 0
        return struct.pack("=III", at, kind << 24 | linkage, size_or_type)

    types = b"".join(
        (
            entry(b"int", kind_int, 0, 4) + struct.pack("=I", 1 << 24 | 32),  # type 1: signed, 32 bits
            entry(b"", kind_prototype, 0, 1),  # type 2: no parameters, returns type 1
            entry(b"main", kind_func, global_, 2),
            entry(b"function", kind_func, static, 2),
        )
    )
    magic, version, header_size = 0xEB9F, 1, 24
    return (
        struct.pack("=HBBIIIII", magic, version, 0, header_size, 0, len(types), len(types), len(names)) + types + names
    )
