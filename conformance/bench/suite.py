# SPDX-License-Identifier: Apache-2.0
"""How fast the engines of the project are: the programs that are timed, and the timing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple

from ...reference_vm.executable import prepare
from ...reference_vm.faults import Outcome
from ...reference_vm.interpreter import execute, run
from ...reference_vm.machine import Machine
from ...spec.asm.assemble import assemble
from ...spec.garbage import no_collection

MEMORY_BYTES = 64
BUDGET = 1 << 40


@dataclass(frozen=True, slots=True)
class Workload:
    """A loop to be timed: its assembly, where {iterations} is how often it is repeated."""

    name: str
    asm: str
    iterations: int

    def code(self, iterations: int | None = None) -> bytes:
        """Return the program; it iterates ``iterations`` times."""
        return assemble(self.asm.format(iterations=iterations or self.iterations))


#: Arithmetic on registers only, a third of it on 32 bits.
ALU = Workload(
    "alu",
    """
        r0 = 0
        r1 = {iterations}
    loop:
        r0 += r1
        r0 ^= 0x5a5a5a5a
        r2 = r0
        r2 >>= 7
        r0 += r2
        w2 *= 31
        r0 ^= r2
        r1 -= 1
        if r1 != 0 goto loop
        exit
    """,
    200_000,
)

#: Loads and stores of each width, half of all instructions.
MEMORY = Workload(
    "memory",
    """
        r6 = {iterations}
        r0 = 0
    loop:
        r4 = *(u64 *)(r1 + 0)
        r0 += r4
        *(u32 *)(r1 + 8) = r0
        r5 = *(u8 *)(r1 + 9)
        r0 += r5
        *(u16 *)(r10 - 2) = r6
        r6 += -1
        if r6 != 0 goto loop
        exit
    """,
    100_000,
)

#: Conditions that hold about every other time, on numbers of a linear congruential generator.
BRANCHY = Workload(
    "branchy",
    """
        r0 = 0
        r1 = {iterations}
        r3 = 12345
    loop:
        w3 *= 1103515245
        w3 += 12345
        r4 = r3
        r4 >>= 16
        if r4 & 1 goto odd
        r0 += 1
        if r4 & 2 goto next
        r0 += 3
        goto next
    odd:
        r0 += 2
        if r4 s> 16384 goto next
        r0 ^= 7
    next:
        r1 -= 1
        if r1 != 0 goto loop
        exit
    """,
    100_000,
)

WORKLOADS = (ALU, MEMORY, BRANCHY)

#: Ten instructions, as in a vector: what counts is how soon they can run.
SHORT = """
    r1 = 0x123456789abcdef0 ll
    *(u64 *)(r10 - 8) = r1
    r0 = *(u32 *)(r10 - 8)
    r2 = r0
    r2 s>>= 3
    w0 *= w2
    r0 = be32 r0
    if r0 == 0 goto +1
    r0 += -1
    exit
"""


@dataclass(frozen=True, slots=True)
class Rate:
    """How many instructions of a workload an engine executed per second."""

    workload: str
    engine: str
    instructions: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Instructions per second."""
        return self.instructions / self.seconds


def best_of(repeat: int, action: Callable[[], Outcome]) -> tuple[int, float]:
    """Return the instructions that ``action`` executes and the seconds of the fastest of ``repeat`` times."""
    best = float("inf")
    steps = 0
    for _ in range(repeat):
        start = perf_counter()
        outcome = action()
        best = min(best, perf_counter() - start)
        steps = outcome.steps
    return steps, best


def interpreter_rates(workload: Workload, repeat: int) -> list[Rate]:
    """Time the interpreter: with code for whole parts of the program (making it included), and row by row."""
    code, memory = workload.code(), bytes(MEMORY_BYTES)

    def units() -> Outcome:
        return run(prepare(code), Machine(memory=memory), budget=BUDGET, hot_after=0)

    short = prepare(workload.code(workload.iterations // 10))

    def rows() -> Outcome:
        return run(short, Machine(memory=memory), budget=BUDGET, hot_after=BUDGET)

    return [
        Rate(workload.name, "interpreter", *best_of(repeat, units)),
        Rate(workload.name, "interpreter, row by row", *best_of(repeat, rows)),
    ]


def short_programs_per_second(repeat: int, count: int = 500) -> float:
    """Return how many programs of ten instructions the interpreter decodes and runs in a second."""
    code = assemble(SHORT)

    def many() -> Outcome:
        for _ in range(count - 1):
            execute(code)
        return execute(code)

    return count / best_of(repeat, many)[1]


class Loading(NamedTuple):
    """Seconds to read and expand the suite for one byte order, then for the other; and to load what is kept of it."""

    vectors: int
    seconds: float
    other_order_seconds: float
    kept_seconds: float

    @property
    def per_second(self) -> float:
        """Vectors read and expanded per second."""
        return self.vectors / self.seconds


def read_once() -> tuple[int, float, float]:
    """Read and expand the whole suite in this process, which should not have done so before."""
    from ..suite.load import find_files
    from ..suite.suite import VECTORS, read_suite

    start = perf_counter()
    with no_collection():
        suite = read_suite(find_files([VECTORS]))
    loaded = perf_counter()
    for vector in suite.vectors:
        _ = vector.big
    return len(suite.vectors), loaded - start, perf_counter() - loaded


def load_once() -> float:
    """Load the suite as commands do, and return the seconds that this took."""
    from ..suite.suite import load_suite

    start = perf_counter()
    load_suite()
    return perf_counter() - start


def suite_loading(repeat: int) -> Loading:
    """Time the loading of the whole suite, each time in a new process: a second time would profit from the first."""
    read = (_in_new_process("read_once") for _ in range(repeat))
    vectors, seconds, other_order_seconds = min(read, key=lambda found: found[1])
    # The first keeps the suite, if it was not kept before.
    kept = [_in_new_process("load_once") for _ in range(repeat + 1)]
    return Loading(vectors, seconds, other_order_seconds, min(kept[1:]))


def _in_new_process(function: str) -> Any:
    """Return what a function of this module returns in a new process."""
    text = f"import json, {__name__} as b; print(json.dumps(b.{function}()))"
    done = subprocess.run([sys.executable, "-c", text], check=True, stdout=subprocess.PIPE, text=True, timeout=300)
    return json.loads(done.stdout)
