# SPDX-License-Identifier: Apache-2.0
"""What the process has of compiled code: pages that are never writable and executable at once, and none left over."""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from pathlib import Path

import pytest

from bpf_isa.adapters.jit.program import Compiler, compile
from bpf_isa.adapters.jit.runtime.llvm import Level
from bpf_isa.reference_vm.machine import Machine
from bpf_isa.spec.asm.assemble import assemble, assemble_program
from bpf_isa.spec.encoding import make
from bpf_isa.spec.table import isa

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/maps, which only Linux has")


def mappings() -> list[tuple[int, int, str]]:
    """First and last address and permissions of each mapping of the process."""
    found = []
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        span, permissions, *_ = line.split()
        first, last = (int(address, 16) for address in span.split("-"))
        found.append((first, last, permissions))
    return found


def permissions_at(address: int) -> str:
    return next(permissions for first, last, permissions in mappings() if first <= address < last)


def writable_code() -> set[tuple[int, int, str]]:
    return {item for item in mappings() if "w" in item[2] and "x" in item[2]}


@pytest.mark.parametrize("level", ["fast", "full"])
def test_code_is_never_writable_and_executable(level: Level) -> None:
    # llvmlite makes callbacks when it is imported, for which ctypes has a page of its own.
    import_module("llvmlite.binding")
    before = writable_code()
    seen: list[str] = []

    def look(machine: Machine, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
        seen.append(permissions_at(program.address))
        assert writable_code() == before
        return 0

    program = compile(assemble("call 1\nexit"), level=level)
    program(helpers={1: look})
    assert seen == ["r-xp"]


def test_code_goes_with_its_last_program() -> None:
    compile(assemble("exit"))()
    gc.collect()
    before = sum("x" in permissions for _, _, permissions in mappings())
    programs = [compile(assemble(f"r0 = {number}\nexit"), level="fast") for number in range(20)]
    assert len({program.address for program in programs}) == 20
    addresses = [program.address for program in programs]
    assert all("x" in permissions_at(address) for address in addresses)
    del programs
    assert sum("x" in permissions for _, _, permissions in mappings()) == before


def test_programs_of_one_batch_keep_each_other_alive() -> None:
    first, second = Compiler().compile([assemble_program(f"r0 = {number}\nexit") for number in (1, 2)])
    del first
    gc.collect()
    assert second().registers[0] == 2


def resident_kib() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4


@pytest.mark.long
@pytest.mark.parametrize(("level", "count"), [("fast", 1000), ("full", 200)])
def test_compiling_on_and_on_does_not_take_more_memory(level: Level, count: int) -> None:
    # benchmarks/jit.py does this 10,000 times.
    rows = isa().by_name
    half = 0
    for number in range(count):
        if number == count // 2:
            half = resident_kib()
        moved = make(rows["MOV64_K"], dst=0, imm=number)
        compile([moved, make(rows["ADD64_K"], dst=0, imm=number), make(rows["EXIT"])], level=level)()
    # Losing one page per program would come to this: 2000 and 400 KiB.
    assert resident_kib() - half < 4 * (count // 2)
