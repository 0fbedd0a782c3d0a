# SPDX-License-Identifier: Apache-2.0
"""Compare the bundled JIT with what C compiled with -O2 does: `python benchmarks/jit.py`; and watch its memory.

No test: the figures depend on the machine and on what else it does. `bpf-isa bench --against plugin:PATH` puts other
runtimes next to the JIT. Needs a C compiler: `cc`, or the wheel `ziglang`. Exit status 1 if memory grows without end.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import click

from bpf_isa.adapters.jit.llvm import Level
from bpf_isa.adapters.jit.program import compile
from bpf_isa.conformance.jit_benchmark import PROGRAMS, jit_rates
from bpf_isa.spec.encoding import make
from bpf_isa.spec.table import isa

REPEAT = 10
COMPILATIONS: dict[Level, int] = {"fast": 10_000, "full": 2_000}
#: Growth of memory over the second half of the compilations that would be a leak, in KiB.
MOST_GROWTH = 1024

C_PRELUDE = """
#include <stdint.h>
#include <string.h>
static __attribute__((noinline)) uint64_t inner(uint64_t a) { return a * 31 + 7; }
static __attribute__((noinline)) uint64_t outer(uint64_t a, uint64_t b) { return (inner(a) + b) ^ a; }
"""
#: For each program the same algorithm: the body of ``uint64_t run(uint8_t *r1, uint64_t r2, uint64_t rounds)``.
C_BODIES = {
    "mixing": """
        uint64_t h = 1;
        for (uint64_t n = rounds; n != 0; n--) {
            h ^= h << 13; h ^= h >> 7; h += n;
            h ^= (uint32_t)((uint32_t)h * 0x9e3779b1u);
        }
        return h;""",
    "words": """
        uint64_t sum = 0;
        for (uint64_t pass = 0; pass < rounds; pass++)
            for (uint8_t *p = r1; p < r1 + r2; p += 8) {
                uint64_t v; memcpy(&v, p, 8);
                sum += v; v ^= sum; memcpy(p, &v, 8);
            }
        return sum;""",
    "collatz": """
        uint64_t steps = 0;
        for (uint64_t n = rounds; n > 1; n--)
            for (uint64_t x = n; x > 1; steps++)
                x = x & 1 ? 3 * x + 1 : x >> 1;
        return steps;""",
    "sieve": """
        uint64_t found = 0;
        for (uint64_t whole = 0; whole < rounds; whole++) {
            found = 0;
            memset(r1, 0, r2);
            for (uint64_t i = 2; i < r2; i++)
                if (!r1[i]) {
                    found++;
                    for (uint64_t j = i + i; j < r2; j += i) r1[j] = 1;
                }
        }
        return found;""",
    "gcd": """
        uint64_t sum = 0;
        for (uint64_t n = rounds; n != 0; n--) {
            uint64_t a = n * 7919, b = 1000003;
            while (b) { uint64_t t = a % b; a = b; b = t; }
            sum += a;
        }
        return sum;""",
    "calls": """
        uint64_t h = 0;
        for (uint64_t n = rounds; n != 0; n--) h = outer(n, h);
        return h;""",
}


def c_function(folder: Path, name: str) -> Callable[[int, int, int], int]:
    """Compile the C of a program."""
    source, library = folder / f"{name}.c", folder / f"{name}.so"
    source.write_text(f"{C_PRELUDE}uint64_t run(uint8_t *r1, uint64_t r2, uint64_t rounds) {{{C_BODIES[name]}}}\n")
    compiler = ["cc"] if shutil.which("cc") else [sys.executable, "-m", "ziglang", "cc"]
    subprocess.run([*compiler, "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    function = ctypes.CDLL(str(library)).run
    function.restype = ctypes.c_uint64
    function.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64]
    call: Callable[[int, int, int], int] = function
    return call


def c_seconds(function: Callable[[int, int, int], int], name: str) -> float:
    """Return the time of the C of a program."""
    program = PROGRAMS[name]
    best = float("inf")
    for _ in range(REPEAT):
        memory = ctypes.create_string_buffer(program.memory() or b"-")
        start = perf_counter()
        function(ctypes.addressof(memory), program.memory_bytes, program.rounds)
        best = min(best, perf_counter() - start)
    return best


def resident_kib() -> int:
    """Return how much memory the process has (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4


def growth(level: Level, count: int) -> int:
    """Compile ``count`` different programs, one by one, and return by how much KiB the second half grew memory."""
    rows = isa().by_name
    half = 0
    for number in range(count):
        if number == count // 2:
            half = resident_kib()
        first = [make(rows["MOV64_K"], dst=0, imm=number), make(rows["MUL64_K"], dst=0, imm=number + 7)]
        compile([*first, make(rows["STX_MEM_DW"], dst=10, src=0, offset=-8), make(rows["EXIT"])], level=level)()
    return resident_kib() - half


def main() -> int:
    """Print a line per program, and what became of memory."""
    with tempfile.TemporaryDirectory() as folder:
        for name in PROGRAMS:
            limit = c_seconds(c_function(Path(folder), name), name)
            figures = "   ".join(
                f"{rate.engine} {1e3 * rate.seconds:7.2f} ms ({rate.seconds / limit:.2f} x C)"
                for rate in jit_rates(name, REPEAT)
            )
            click.echo(f"{name:8} C -O2 {1e3 * limit:7.2f} ms   {figures}")
    status = 0
    for level, count in COMPILATIONS.items():
        grown = growth(level, count)
        too_much = grown > MOST_GROWTH
        status |= too_much
        click.echo(
            f"{count:,} compilations ({level}): the second half took {grown} KiB more memory   "
            f"{'TOO MUCH' if too_much else 'ok'}"
        )
    return status


if __name__ == "__main__":
    sys.exit(main())
