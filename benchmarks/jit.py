# SPDX-License-Identifier: Apache-2.0
"""Compare the bundled JIT with C compiled with -O2, and with other JITs; and watch its memory.

    python benchmarks/jit.py [--library ./libubpf.so] [--against plugin:./ubpf_plugin:--jit --runs 4] [--no-memory]

All run the same programs in turns, each with some number of iterations and with twice as many; the difference of the
best times counts, so that compiling and starting processes do not. --library calls the code that uBPF's shared library
makes in this process; --against takes whatever `bpf-isa run -r` does, and --runs says how often that runs a program
for one answer (uBPF's plugin with --jit: four times, to compare the results). The C is compiled with `cc`, or with the
wheel `ziglang`.

No test: the figures depend on the machine and on what else it does. Exit status 1 if memory grows without end, or if
the JIT is slower than it is meant to be: 1.4 times the time of another JIT checked, 1.1 times unchecked.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import thread_time

import click

from bpf_isa.adapters.jit.program import compile
from bpf_isa.adapters.jit.runtime.llvm import Level
from bpf_isa.adapters.registry import parse_spec
from bpf_isa.conformance.bench.jit import OWN, PROGRAMS, Adapted, Contestant, Program, Sample, Unfit, contest
from bpf_isa.conformance.bench.suite import Rate
from bpf_isa.conformance.cli.echo import echo
from bpf_isa.spec.encoding import make
from bpf_isa.spec.table import isa

REPEAT = 7
#: How long the code may take, compared with other JITs: checked, and unchecked.
MOST = (1.4, 1.1)
COMPILATIONS: dict[Level, int] = {"fast": 10_000, "full": 2_000}
#: Growth of memory over the second half of the compilations that would be a leak, in KiB.
MOST_GROWTH = 1024

C_PRELUDE = """
#include <stdint.h>
#include <string.h>
static __attribute__((noinline)) uint64_t inner(uint64_t a) { return a * 31 + 7; }
static __attribute__((noinline)) uint64_t outer(uint64_t a, uint64_t b) { return (inner(a) + b) ^ a; }
"""
#: For each program the same algorithm: the body of ``uint64_t run(uint8_t *r1, uint64_t r2, uint64_t iterations)``.
C_BODIES = {
    "mixing": """
        uint64_t h = 1;
        for (uint64_t n = iterations; n != 0; n--) {
            h ^= h << 13; h ^= h >> 7; h += n;
            h ^= (uint32_t)((uint32_t)h * 0x9e3779b1u);
        }
        return h;""",
    "words": """
        uint64_t sum = 0;
        for (uint64_t pass = 0; pass < iterations; pass++)
            for (uint8_t *p = r1; p < r1 + r2; p += 8) {
                uint64_t v; memcpy(&v, p, 8);
                sum += v; v ^= iterations - pass; memcpy(p, &v, 8);
            }
        return sum;""",
    "chain": """
        uint64_t sum = 0;
        for (uint64_t pass = 0; pass < iterations; pass++)
            for (uint8_t *p = r1; p < r1 + r2; p += 8) {
                uint64_t v; memcpy(&v, p, 8);
                sum += v; v ^= sum; memcpy(p, &v, 8);
            }
        return sum;""",
    "collatz": """
        uint64_t steps = 0;
        for (uint64_t n = iterations; n > 1; n--)
            for (uint64_t x = n; x > 1; steps++)
                x = x & 1 ? 3 * x + 1 : x >> 1;
        return steps;""",
    "sieve": """
        uint64_t found = 0;
        for (uint64_t whole = 0; whole < iterations; whole++) {
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
        for (uint64_t n = iterations; n != 0; n--) {
            uint64_t a = n * 7919, b = 1000003;
            while (b) { uint64_t t = a % b; a = b; b = t; }
            sum += a;
        }
        return sum;""",
    "calls": """
        uint64_t h = 0;
        for (uint64_t n = iterations; n != 0; n--) h = outer(n, h);
        return h;""",
}


@dataclass(frozen=True, slots=True)
class Native:
    """Something that gives a C function ``(memory, bytes, iterations) -> r0`` for a program."""

    label: str
    function: Callable[[str, Program], Callable[[int, int, int], int]]

    def prepare(self, name: str, program: Program) -> Callable[[], Sample]:
        """See :class:`Contestant`."""
        call = self.function(name, program)

        def run() -> Sample:
            memory = ctypes.create_string_buffer(program.memory() or b"-")
            start = thread_time()
            result = call(ctypes.addressof(memory), program.memory_bytes, program.iterations)
            return Sample(thread_time() - start, result)

        return run


def c_compiler(folder: Path) -> Native:
    """Return C compiled with -O2."""
    command = ["cc"] if shutil.which("cc") else [sys.executable, "-m", "ziglang", "cc"]

    def function(name: str, program: Program) -> Callable[[int, int, int], int]:
        source, library = folder / f"{name}.c", folder / f"{name}.so"
        if not library.exists():
            body = C_BODIES[name]
            source.write_text(f"{C_PRELUDE}uint64_t run(uint8_t *r1, uint64_t r2, uint64_t iterations) {{{body}}}\n")
            subprocess.run([*command, "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
        found = ctypes.CDLL(str(library)).run
        found.restype = ctypes.c_uint64
        found.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64]
        call: Callable[[int, int, int], int] = found
        return call

    return Native("C -O2", function)


def ubpf(path: str) -> Native:
    """Return the code that uBPF's shared library at ``path`` makes."""
    library = ctypes.CDLL(str(Path(path).resolve()))
    message = ctypes.c_char_p()
    library.ubpf_create.restype = ctypes.c_void_p
    library.ubpf_load.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint32, ctypes.c_void_p]
    library.ubpf_compile.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    library.ubpf_compile.restype = ctypes.c_void_p

    def function(name: str, program: Program) -> Callable[[int, int, int], int]:
        machine, code = library.ubpf_create(), program.code()
        address = None
        if library.ubpf_load(machine, code, len(code), ctypes.byref(message)) == 0:
            address = library.ubpf_compile(machine, ctypes.byref(message))
        if not address:
            raise Unfit(f"{path}: {(message.value or b'it gives no reason').decode()}")
        call: Callable[[int, int, int], int] = ctypes.CFUNCTYPE(
            ctypes.c_uint64, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint64
        )(address)
        return call

    return Native("uBPF's library", function)


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


def watch_memory() -> bool:
    """Print how memory grows; return whether it stays within bounds."""
    fine = True
    for level, count in COMPILATIONS.items():
        grown = growth(level, count)
        fine &= grown <= MOST_GROWTH
        verdict = "ok" if grown <= MOST_GROWTH else "TOO MUCH"
        echo(f"{count:,} compilations ({level}): the second half took {grown} KiB more memory   {verdict}")
    return fine


def compare(contestants: Sequence[Contestant], limit: str, others: Sequence[str], names: Sequence[str]) -> bool:
    """Print a line per program; return whether the JIT is as fast as it is meant to be."""
    fine = True
    for name in names:
        rates, unfit = contest(name, contestants, REPEAT)
        seconds = {rate.engine: rate.seconds for rate in rates}
        checked, unchecked = (seconds[own.label] for own in OWN)
        echo(name)
        for rate in rates:
            echo(f"  {_line(rate, seconds[limit])}")
        for label, reason in unfit.items():
            echo(f"  {label:24} {reason}")
        for other in others:
            if other in seconds:
                ratios = checked / seconds[other], unchecked / seconds[other]
                met = all(ratio <= most for ratio, most in zip(ratios, MOST, strict=True))
                fine &= met
                modes = zip(("checked", "unchecked"), ratios, MOST, strict=True)
                figures = ", ".join(f"{mode} {ratio:.2f} (meant: at most {most})" for mode, ratio, most in modes)
                echo(f"  compared with {other}: {figures}   {'ok' if met else 'SLOWER'}")
    return fine


def _line(rate: Rate, limit: float) -> str:
    per_second = rate.per_second / 1e6
    return f"{rate.engine:24} {1e3 * rate.seconds:8.2f} ms {per_second:8.0f} M instr/s   {rate.seconds / limit:.2f} x C"


@click.command()
@click.option("--library", metavar="PATH", help="uBPF's shared library.")
@click.option("--against", metavar="RUNTIME", multiple=True, help="Another runtime; repeatable.")
@click.option("--runs", type=click.IntRange(1), default=1, help="How often it runs a program for one answer.")
@click.option("--program", "names", type=click.Choice(list(PROGRAMS)), multiple=True, help="Only this one; repeatable.")
@click.option("--memory/--no-memory", default=True, help="Watch memory while compiling.")
def main(library: str | None, against: tuple[str, ...], runs: int, names: tuple[str, ...], memory: bool) -> None:
    """Print the figures."""
    specs = [parse_spec(text) for text in against]
    with tempfile.TemporaryDirectory() as folder:
        c = c_compiler(Path(folder))
        others: list[Contestant] = [ubpf(library)] if library else []
        others += [Adapted(spec.name, spec.open(), runs) for spec in specs]
        labels = [other.label for other in others]
        fine = compare([c, *OWN, *others], c.label, labels, names or list(PROGRAMS))
    if memory:
        fine &= watch_memory()
    sys.exit(not fine)


if __name__ == "__main__":
    main()
