# SPDX-License-Identifier: Apache-2.0
"""The runtime's side of the batch protocol for librte_bpf: a script that needs the standard library only.

harness.py {interpreter|jit} LIBRARY
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import re
import sys
from collections.abc import Sequence
from typing import Any, Literal

#: What DPDK logs in parentheses behind a function's name: the address of its argument.
_ADDRESS = re.compile(r"\(0x[0-9a-f]+\)")

# enum rte_bpf_arg_type
_ARG_RAW, _ARG_PTR = 1, 0x10


class _Arg(ctypes.Structure):
    """What R1 is: struct rte_bpf_arg."""

    _fields_ = (("type", ctypes.c_int), ("size", ctypes.c_size_t), ("buf_size", ctypes.c_size_t))


class _Parameters(ctypes.Structure):
    """What is loaded: struct rte_bpf_prm."""

    _fields_ = (
        ("ins", ctypes.c_char_p),
        ("nb_ins", ctypes.c_uint32),
        ("xsym", ctypes.c_void_p),
        ("nb_xsym", ctypes.c_uint32),
        ("prog_arg", _Arg),
    )


class _Jit(ctypes.Structure):
    """Machine code: struct rte_bpf_jit."""

    _fields_ = (("func", ctypes.c_void_p), ("sz", ctypes.c_size_t))


_FUNCTION = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p)


class Library:
    """librte_bpf, with what it logs to standard error caught in a file."""

    def __init__(self, path: str, engine: Literal["interpreter", "jit"]) -> None:
        self._engine = engine
        self._library = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        self._library.rte_bpf_load.restype = ctypes.c_void_p
        self._library.rte_bpf_exec.restype = ctypes.c_uint64
        self._library.rte_bpf_exec.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        self._library.rte_bpf_get_jit.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        self._library.rte_bpf_destroy.argtypes = [ctypes.c_void_p]
        self._log = os.memfd_create("log")
        os.dup2(self._log, sys.stderr.fileno())

    @property
    def version(self) -> str:
        """The version of DPDK."""
        everything = ctypes.CDLL(None)
        everything.rte_version.restype = ctypes.c_char_p
        said: bytes = everything.rte_version()
        return said.decode().removeprefix("DPDK ")

    def run(self, code: bytes, memory: bytes | None) -> dict[str, Any]:
        """Run a program once with R1 pointing to a copy of ``memory``; return an answer of the protocol."""
        self._forget_log()
        size = len(memory or b"")
        place = ctypes.create_string_buffer(memory, size) if memory else None
        argument = _Arg(_ARG_PTR if memory else _ARG_RAW, size or 8, 0)
        parameters = _Parameters(code, len(code) // 8, None, 0, argument)
        handle = self._library.rte_bpf_load(ctypes.byref(parameters))
        if not handle:
            return {"outcome": "rejected", "reason": f"load: {self._said()}"}
        try:
            r0 = self._execute(handle, place)
        finally:
            self._library.rte_bpf_destroy(handle)
        if r0 is None:
            return {"outcome": "unsupported", "reason": "dpdk.no-jit: the JIT has compiled nothing"}
        said = self._said()
        if said:
            return {"outcome": "faulted", "reason": f"run: {said}"}
        answer = {"outcome": "returned", "r0": hex(r0)}
        return answer if memory is None else {**answer, "memory": place.raw.hex() if place else ""}

    def _execute(self, handle: int, place: ctypes.Array[ctypes.c_char] | None) -> int | None:
        address = ctypes.addressof(place) if place is not None else None
        if self._engine == "interpreter":
            r0: int = self._library.rte_bpf_exec(handle, address)
            return r0
        jit = _Jit()
        if self._library.rte_bpf_get_jit(handle, ctypes.byref(jit)) or not jit.func:
            return None
        result: int = _FUNCTION(jit.func)(address)
        return result

    def _forget_log(self) -> None:
        os.ftruncate(self._log, 0)
        os.lseek(self._log, 0, os.SEEK_SET)

    def _said(self) -> str:
        """Return the first line of the log, without addresses: what follows is about its consequences."""
        os.lseek(self._log, 0, os.SEEK_SET)
        lines = os.read(self._log, 1 << 16).decode("utf-8", "replace").splitlines()
        return _ADDRESS.sub("", lines[0].strip().rstrip(";")) if lines else ""


def main(arguments: Sequence[str]) -> None:
    """Answer the messages of the suite."""
    engine, path = arguments
    assert engine in {"interpreter", "jit"}
    library = Library(path, "jit" if engine == "jit" else "interpreter")
    for line in sys.stdin:
        message = json.loads(line)
        if message["cmd"] == "stop":
            return
        if message["cmd"] == "start":
            answer: dict[str, Any] = {
                "protocol": 1,
                "name": "DPDK",
                "version": library.version,
                "engine": engine,
                "architecture": platform.machine(),
                "byte_order": sys.byteorder,
                "groups": None,
                "observes": ["r0", "memory"],
            }
        else:
            memory = message["memory"]
            inputs = None if memory is None else bytes.fromhex(memory)
            answer = {"seq": message["seq"], **library.run(bytes.fromhex(message["program"]), inputs)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
