# SPDX-License-Identifier: Apache-2.0
"""The system call itself, on the real kernel."""

import errno
import os
import sys

import pytest

from bpf_isa.adapters.linux.adapter import LinuxAdapter
from bpf_isa.adapters.linux.syscall import (
    Bpf,
    BpfError,
    Command,
    NoSuchSystemCall,
    ProgramRefused,
    ProgramType,
    syscall_number,
)
from bpf_isa.spec.asm.assemble import assemble


@pytest.fixture
def bpf(kernel: LinuxAdapter) -> Bpf:
    del kernel  # it is there
    return Bpf()


def test_array_maps_are_shared_memory(bpf: Bpf) -> None:
    array = bpf.create_array(5000)
    assert array.value == bytes(5000)
    array.write(bytes(4990) + b"abc")
    assert array.value == bytes(4990) + b"abc" + bytes(7)
    code = assemble(
        "r1 = map_val(map_by_idx(0)) + 4990\nr0 = *(u8 *)(r1 + 1)\n*(u8 *)(r1 + 2) = 0x7a\nexit", sys.byteorder
    )
    program = bpf.load(ProgramType.SOCKET_FILTER, code, maps=[array.descriptor])
    assert bpf.run(program, bytes(14)) == ord("b")
    assert array.value[4990:4993] == b"abz"
    os.close(program)
    array.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(array.descriptor)


def test_a_map_of_no_size_is_an_error(bpf: Bpf) -> None:
    with pytest.raises(BpfError) as caught:
        bpf.create_array(0)
    assert (caught.value.command, caught.value.errno) == (Command.MAP_CREATE, errno.EINVAL)
    assert "bpf(MAP_CREATE): Invalid argument" in str(caught.value)


def test_refusals_carry_the_log(bpf: Bpf) -> None:
    code = assemble("r0 = 1\nr0 /= 0\nexit", sys.byteorder)
    with pytest.raises(ProgramRefused) as caught:
        bpf.load(ProgramType.SOCKET_FILTER, code)
    assert caught.value.errno == errno.EINVAL
    assert "div by zero\n" in caught.value.log


def test_a_log_does_not_outlive_its_program(bpf: Bpf) -> None:
    with pytest.raises(ProgramRefused, match="Permission denied"):
        bpf.load(ProgramType.SOCKET_FILTER, assemble("r0 = r9\nr0 /= 0\nexit", sys.byteorder))
    with pytest.raises(ProgramRefused) as caught:
        bpf.load(ProgramType.SOCKET_FILTER, b"")
    assert caught.value.log == ""


def test_running_what_is_no_program_is_an_error(bpf: Bpf) -> None:
    with pytest.raises(BpfError) as caught:
        bpf.run(-1)
    assert (caught.value.command, caught.value.errno) == (Command.PROG_TEST_RUN, errno.EBADF)


def test_types_that_are_no_types_are_an_error(bpf: Bpf) -> None:
    with pytest.raises(BpfError) as caught:
        bpf.load_btf(b"no type information at all")
    assert caught.value.command is Command.BTF_LOAD


def test_the_number_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    for machine, number in (("x86_64", 321), ("aarch64", 280), ("riscv64", 280), ("s390x", 351), ("ppc64le", 361)):
        monkeypatch.setattr("platform.machine", lambda machine=machine: machine)
        assert syscall_number() == number
    monkeypatch.setattr("platform.machine", lambda: "vax")
    with pytest.raises(NoSuchSystemCall, match="vax"):
        syscall_number()
    monkeypatch.setattr("sys.platform", "plan9")
    with pytest.raises(NoSuchSystemCall, match="plan9 is not Linux"):
        syscall_number()
