# SPDX-License-Identifier: Apache-2.0
"""The bpf(2) system call by ctypes: array maps in shared memory, program load, test run.

The numbers and structures here are the kernel's user-space API (``include/uapi/linux/bpf.h``), not part of the
instruction set. Every failure is a :class:`BpfError` with the command and errno; a program that the kernel refuses
is a :class:`ProgramRefused` with the verifier's log.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import sys
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

#: Number of bpf(2) by machine (``platform.machine()``) of a process with 64-bit pointers.
SYSCALL_NUMBERS_64 = {
    "x86_64": 321,
    "aarch64": 280,
    "loongarch64": 280,
    "riscv64": 280,
    "s390x": 351,
    "ppc64": 361,
    "ppc64le": 361,
    "sparc64": 349,
    "mips64": 5315,
}
#: The same with 32-bit pointers; a 32-bit process on a 64-bit kernel is listed by the kernel's machine.
SYSCALL_NUMBERS_32 = {
    "x86_64": 357,
    "i386": 357,
    "i686": 357,
    "aarch64": 386,
    "armv6l": 386,
    "armv7l": 386,
    "armv8l": 386,
    "riscv32": 280,
    "ppc": 361,
    "mips": 4355,
}

#: Enough for a verifier log without the trace of states.
LOG_SIZE = 64 << 10
#: Retries of a call that a signal interrupted.
_RETRIES = 10


class Command(IntEnum):
    """Commands of bpf(2) that are used here (``enum bpf_cmd``)."""

    MAP_CREATE = 0
    PROG_LOAD = 5
    PROG_TEST_RUN = 10
    BTF_LOAD = 18


class ProgramType(IntEnum):
    """Program types that are used here (``enum bpf_prog_type``)."""

    SOCKET_FILTER = 1
    SCHED_CLS = 3
    RAW_TRACEPOINT = 17


_ARRAY_MAP = 2  # BPF_MAP_TYPE_ARRAY
_MMAPABLE = 1 << 10  # BPF_F_MMAPABLE
_ANY_ALIGNMENT = 1 << 1  # BPF_F_ANY_ALIGNMENT; BPF_F_TEST_RND_HI32 is not set: it changes the program
_LOG_STATISTICS = 4  # BPF_LOG_STATS; error messages are written at every level, and cost next to nothing
_LICENSE = b"GPL\0"


class BpfError(OSError):
    """A command of bpf(2) failed: ``command``, ``errno``."""

    def __init__(self, command: Command, error: int) -> None:
        super().__init__(error, f"bpf({command.name}): {_explain(error)}")
        self.command = command


class ProgramRefused(BpfError):
    """The kernel did not load a program; ``log`` is what its verifier said, empty if it said nothing."""

    def __init__(self, error: int, log: str) -> None:
        super().__init__(Command.PROG_LOAD, error)
        self.log = log


class NoSuchSystemCall(Exception):
    """There is no known bpf(2) on this machine or platform, which the message names."""


#: The kernel's own ENOTSUPP, which user space has no name for.
ENOTSUPP = 524


def _explain(error: int) -> str:
    if error == ENOTSUPP:
        return "operation not supported"
    return os.strerror(error)


def syscall_number() -> int:
    """Return the number of bpf(2) on this machine.

    Raises:
        NoSuchSystemCall: not Linux, or an architecture whose number is not known.
    """
    if sys.platform != "linux":
        raise NoSuchSystemCall(f"{sys.platform} is not Linux")
    numbers = SYSCALL_NUMBERS_64 if ctypes.sizeof(ctypes.c_void_p) == 8 else SYSCALL_NUMBERS_32
    machine = platform.machine()
    if machine not in numbers:
        raise NoSuchSystemCall(f"the number of bpf(2) on {machine} is not known")
    return numbers[machine]


def _u32(*names: str) -> list[tuple[str, type[Any]]]:
    return [(name, ctypes.c_uint32) for name in names]


def _u64(*names: str) -> list[tuple[str, type[Any]]]:
    return [(name, ctypes.c_uint64) for name in names]


# Members of ``union bpf_attr``; the kernel takes those that are missing at the end for zeros.


class _MapCreate(ctypes.Structure):
    _fields_ = [
        *_u32("map_type", "key_size", "value_size", "max_entries", "map_flags", "inner_map_fd", "numa_node"),
        ("map_name", ctypes.c_char * 16),
    ]


class _ProgLoad(ctypes.Structure):
    _fields_ = [
        *_u32("prog_type", "insn_cnt"),
        *_u64("insns", "license"),
        *_u32("log_level", "log_size"),
        *_u64("log_buf"),
        *_u32("kern_version", "prog_flags"),
        ("prog_name", ctypes.c_char * 16),
        *_u32("prog_ifindex", "expected_attach_type", "prog_btf_fd", "func_info_rec_size"),
        *_u64("func_info"),
        *_u32("func_info_cnt", "line_info_rec_size"),
        *_u64("line_info"),
        *_u32("line_info_cnt", "attach_btf_id", "attach_btf_obj_fd", "core_relo_cnt"),
        *_u64("fd_array"),
    ]


class _TestRun(ctypes.Structure):
    _fields_ = [
        *_u32("prog_fd", "retval", "data_size_in", "data_size_out"),
        *_u64("data_in", "data_out"),
        *_u32("repeat", "duration"),
    ]


class _BtfLoad(ctypes.Structure):
    _fields_ = [*_u64("btf", "btf_log_buf"), *_u32("btf_size")]


class ArrayMap:
    """An array map of one value of ``size`` bytes, shared with this process: no system call to read or write it."""

    def __init__(self, descriptor: int, size: int) -> None:
        self.descriptor, self.size = descriptor, size
        try:
            pages = -(-size // mmap.PAGESIZE)
            self._memory = mmap.mmap(descriptor, pages * mmap.PAGESIZE, mmap.MAP_SHARED)
        except OSError:
            os.close(descriptor)
            raise

    @property
    def value(self) -> bytes:
        """The map's value as it is now."""
        return self._memory[: self.size]

    def write(self, data: bytes) -> None:
        """Replace the first bytes of the value with ``data``."""
        self._memory[: len(data)] = data

    def close(self) -> None:
        """Close the map; loaded programs keep it alive in the kernel."""
        self._memory.close()
        os.close(self.descriptor)


class Bpf:
    """The system call, with reused buffers: one instance per thread.

    Raises:
        NoSuchSystemCall: see :func:`syscall_number`.
    """

    def __init__(self) -> None:
        self._number = syscall_number()
        self._syscall = ctypes.CDLL(None, use_errno=True).syscall
        self._syscall.restype = ctypes.c_long
        self._syscall.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint]
        self._log = ctypes.create_string_buffer(LOG_SIZE)
        self._license = ctypes.create_string_buffer(_LICENSE)
        self._load = _ProgLoad(
            license=ctypes.addressof(self._license),
            log_level=_LOG_STATISTICS,
            log_size=LOG_SIZE,
            log_buf=ctypes.addressof(self._log),
            prog_flags=_ANY_ALIGNMENT,
            prog_name=b"bpf_isa",
        )
        self._run = _TestRun()

    def _call(self, command: Command, attributes: ctypes.Structure) -> int:
        result: int = self._syscall(self._number, command, ctypes.addressof(attributes), ctypes.sizeof(attributes))
        if result < 0:
            raise BpfError(command, ctypes.get_errno())
        return result

    def create_array(self, size: int) -> ArrayMap:
        """Create an array map with one value of ``size`` bytes, all zero.

        Raises:
            BpfError: the kernel did not create it.
            OSError: it could not be mapped into this process.
        """
        attributes = _MapCreate(
            map_type=_ARRAY_MAP, key_size=4, value_size=size, max_entries=1, map_flags=_MMAPABLE, map_name=b"bpf_isa"
        )
        return ArrayMap(self._call(Command.MAP_CREATE, attributes), size)

    def load_btf(self, btf: bytes) -> int:
        """Load type information; return its file descriptor, which the caller closes.

        Raises:
            BpfError: the kernel did not accept it.
        """
        data = ctypes.create_string_buffer(btf, len(btf))
        return self._call(Command.BTF_LOAD, _BtfLoad(btf=ctypes.addressof(data), btf_size=len(btf)))

    def load(
        self,
        program_type: ProgramType,
        code: bytes,
        *,
        maps: Sequence[int] = (),
        functions: tuple[int, bytes] | None = None,
    ) -> int:
        """Load a program; return its file descriptor, which the caller closes.

        Args:
            program_type: what the kernel takes it for.
            code: instructions in the byte order of this machine.
            maps: descriptors of the maps that the program refers to by index.
            functions: descriptor of type information, and the ``struct bpf_func_info`` of each function.

        Raises:
            ProgramRefused: the kernel did not load it.
        """
        text = ctypes.create_string_buffer(code, len(code))
        descriptors = (ctypes.c_int * len(maps))(*maps)
        attributes = self._load
        attributes.prog_type = program_type
        attributes.insns = ctypes.addressof(text)
        attributes.insn_cnt = len(code) // 8
        attributes.fd_array = ctypes.addressof(descriptors) if maps else 0
        btf, records = functions or (0, b"")
        info = ctypes.create_string_buffer(records, len(records))
        attributes.prog_btf_fd = btf
        attributes.func_info_rec_size = _FUNC_INFO_SIZE if functions else 0
        attributes.func_info = ctypes.addressof(info) if functions else 0
        attributes.func_info_cnt = len(records) // _FUNC_INFO_SIZE
        self._log[0] = b"\0"
        try:
            return self._again(errno.EAGAIN, Command.PROG_LOAD, attributes)
        except BpfError as error:
            raise ProgramRefused(error.errno or 0, self._log.value.decode("utf-8", "replace")) from None

    def run(self, program: int, packet: bytes | None = None) -> int:
        """Run a loaded program once; return the low 32 bits of its R0.

        Args:
            program: file descriptor of the program.
            packet: for program types that work on packets, the packet from its link layer header on.

        Raises:
            BpfError: it was not run.
        """
        attributes = self._run
        attributes.prog_fd = program
        # Outputs of an earlier run, which the kernel rejects as inputs for some program types.
        attributes.data_size_out = attributes.duration = 0
        if packet is None:
            attributes.data_in = attributes.data_size_in = 0
        else:
            data = ctypes.create_string_buffer(packet, len(packet))
            attributes.data_in = ctypes.addressof(data)
            attributes.data_size_in = len(packet)
        self._again(errno.EINTR, Command.PROG_TEST_RUN, attributes)
        return int(attributes.retval)

    def _again(self, interrupted: int, command: Command, attributes: ctypes.Structure) -> int:
        """Call, with retries if the kernel gave up because of a pending signal."""
        for _ in range(_RETRIES):
            try:
                return self._call(command, attributes)
            except BpfError as error:
                if error.errno != interrupted:
                    raise
        return self._call(command, attributes)


#: Size of ``struct bpf_func_info``: first slot of the function, and its type id.
_FUNC_INFO_SIZE = 8
