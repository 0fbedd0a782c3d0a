# SPDX-License-Identifier: Apache-2.0
"""The speed of the bundled JIT: the programs that are timed, the timing, and where the time of compilation goes."""

from __future__ import annotations

from time import perf_counter
from typing import NamedTuple

from ..adapters.jit.llvm import Timings
from ..adapters.jit.program import CompiledProgram, Compiler, compile
from ..adapters.jit.trust import Acceptance, digest_of
from ..adapters.protocol import Adapter, Job, Outcome, OutcomeKind
from ..adapters.reference import BUDGET as REFERENCE_BUDGET
from ..adapters.reference import machine_for
from ..reference_vm.faults import Returned
from ..reference_vm.machine import Machine
from ..spec.assemble import assemble
from ..spec.encoding import ByteOrder, decode
from .benchmark import MEMORY_BYTES, Rate, Workload

BUDGET = 1 << 40
_BATCH = 128
#: Machine code does so many times the rounds of the interpreter in a time that can be measured.
_MORE = 100


class Program(NamedTuple):
    """A program to be timed: assembly where {rounds} is how often it does its work, and the bytes of its memory.

    It returns a number that tells whether it was executed right.
    """

    asm: str
    rounds: int
    memory_bytes: int = 0

    def code(self, byte_order: ByteOrder = "little") -> bytes:
        """Return the program."""
        return assemble(self.asm.replace("{rounds}", str(self.rounds)), byte_order)

    def memory(self) -> bytes | None:
        """Return what its memory holds at first."""
        return bytes(7 * i & 255 for i in range(self.memory_bytes)) or None


PROGRAMS = {
    # A mixing function without branches: every value depends on the one before.
    "mixing": Program(
        """
            r0 = 1
            r3 = {rounds}
        again:
            r4 = r0
            r4 <<= 13
            r0 ^= r4
            r4 = r0
            r4 >>= 7
            r0 ^= r4
            r0 += r3
            w4 = w0
            w4 *= 0x9e3779b1
            r0 ^= r4
            r3 += -1
            if r3 != 0 goto again
            exit
        """,
        3000000,
    ),
    # Reads, changes and writes each word of the input, again and again.
    "words": Program(
        """
            r0 = 0
            r5 = {rounds}
        pass:
            r3 = r1
            r4 = r1
            r4 += r2
        next:
            r6 = *(u64 *)(r3 + 0)
            r0 += r6
            r6 ^= r0
            *(u64 *)(r3 + 0) = r6
            r3 += 8
            if r3 < r4 goto next
            r5 += -1
            if r5 != 0 goto pass
            exit
        """,
        1000,
        32768,
    ),
    # Steps of Collatz's problem, where no one knows which way the next branch goes.
    "collatz": Program(
        """
            r0 = 0
            r3 = {rounds}
        number:
            r4 = r3
        step:
            r0 += 1
            r5 = r4
            r5 &= 1
            if r5 == 0 goto even
            r5 = r4
            r4 <<= 1
            r4 += r5
            r4 += 1
            goto test
        even:
            r4 >>= 1
        test:
            if r4 > 1 goto step
            r3 += -1
            if r3 > 1 goto number
            exit
        """,
        100000,
    ),
    # Counts the primes below the size of the input.
    "sieve": Program(
        """
            r9 = {rounds}
        whole:
            r3 = 0
        clear:
            r4 = r1
            r4 += r3
            *(u8 *)(r4 + 0) = 0
            r3 += 1
            if r3 < r2 goto clear
            r0 = 0
            r3 = 2
        candidate:
            r4 = r1
            r4 += r3
            r5 = *(u8 *)(r4 + 0)
            if r5 != 0 goto composite
            r0 += 1
            r6 = r3
            r6 += r3
        strike:
            if r6 >= r2 goto composite
            r4 = r1
            r4 += r6
            *(u8 *)(r4 + 0) = 1
            r6 += r3
            goto strike
        composite:
            r3 += 1
            if r3 < r2 goto candidate
            r9 += -1
            if r9 != 0 goto whole
            exit
        """,
        60,
        60000,
    ),
    # Euclid's algorithm for many pairs.
    "gcd": Program(
        """
            r0 = 0
            r3 = {rounds}
        pair:
            r4 = r3
            r4 *= 7919
            r5 = 1000003
        reduce:
            r6 = r4
            r6 %= r5
            r4 = r5
            r5 = r6
            if r5 != 0 goto reduce
            r0 += r4
            r3 += -1
            if r3 != 0 goto pair
            exit
        """,
        300000,
    ),
    # Small functions that call each other and use their stacks.
    "calls": Program(
        """
            r6 = 0
            r7 = {rounds}
        again:
            r1 = r7
            r2 = r6
            call local outer
            r6 = r0
            r7 += -1
            if r7 != 0 goto again
            r0 = r6
            exit
        outer:
            *(u64 *)(r10 - 8) = r2
            r6 = r1
            call local inner
            r1 = *(u64 *)(r10 - 8)
            r0 += r1
            r0 ^= r6
            exit
        inner:
            r0 = r1
            r0 *= 31
            r0 += 7
            exit
        """,
        1000000,
    ),
}


def jit_rates(name: str, repeat: int) -> list[Rate]:
    """Time the code of a program, checked and unchecked; making it does not count."""
    program = PROGRAMS[name]
    decoded = decode(program.code())
    # These programs stay in their memory and come to an end, as the checked run shows.
    vouched = Acceptance(digest_of(decoded, "little"), 0, program.memory_bytes, by=__name__)
    checked, unchecked = compile(decoded), compile(decoded, accepted=vouched)
    outcome, seconds = _best_run(checked, program, repeat)
    _, quick = _best_run(unchecked, program, repeat)
    return [Rate(name, "jit", outcome.steps, seconds), Rate(name, "jit, unchecked", outcome.steps, quick)]


def workload_rate(workload: Workload, repeat: int) -> Rate:
    """Time the code of one of the interpreter's loops, with more rounds."""
    program = Program(workload.asm, _MORE * workload.rounds, MEMORY_BYTES)
    outcome, seconds = _best_run(compile(program.code()), program, repeat)
    return Rate(workload.name, "jit", outcome.steps, seconds)


def _best_run(compiled: CompiledProgram, program: Program, repeat: int) -> tuple[Returned, float]:
    best = float("inf")
    for _ in range(repeat):
        machine = Machine(memory=program.memory())
        start = perf_counter()
        outcome = compiled.run(machine, BUDGET)
        best = min(best, perf_counter() - start)
    assert isinstance(outcome, Returned), outcome
    return outcome, best


def adapter_rate(name: str, label: str, adapter: Adapter, repeat: int) -> Rate | str:
    """Time a program on another runtime, or return why that did not work.

    What a program that does nothing takes is subtracted: starting a process, say, and most of the compilation.
    """
    program = PROGRAMS[name]
    reference = compile(program.code())(program.memory(), budget=BUDGET)
    order = adapter.info().byte_order
    idle = _best_job(adapter, assemble("r0 = 0\nexit", order), order, program, repeat)
    busy = _best_job(adapter, program.code(order), order, program, repeat)
    for outcome, _ in (idle, busy):
        if outcome.kind is not OutcomeKind.RETURNED:
            return f"{outcome.kind}: {outcome.reason}"
    # `words` reads numbers of the machine's byte order: its result is for one of them.
    if order == "little" and busy[0].r0 != reference.registers[0]:
        return f"wrong result: {busy[0].r0}, not {reference.registers[0]}"
    return Rate(name, label, reference.steps, max(busy[1] - idle[1], 1e-9))


def _best_job(adapter: Adapter, code: bytes, order: ByteOrder, program: Program, repeat: int) -> tuple[Outcome, float]:
    job = Job("bench", code, order, frozenset({"base64", "divmul64"}), frozenset({"r0"}), program.memory())
    best = float("inf")
    for _ in range(repeat):
        start = perf_counter()
        (outcome,) = adapter.run([job])
        best = min(best, perf_counter() - start)
    return outcome, best


class Split(NamedTuple):
    """Where the time goes when vectors are compiled and run in batches; seconds by stage for all ``programs``."""

    programs: int
    modules: int
    seconds: dict[str, float]


def suite_split(every: int) -> Split:
    """Compile and run one of ``every`` vectors of the suite as the adapter does."""
    from .suite import load_suite

    vectors = [vector for vector in load_suite().vectors if not vector.little.expect.rejected][::every]
    timings = Timings()
    compiler = Compiler("little", level="fast", timings=timings)
    for at in range(0, len(vectors), _BATCH):
        jobs = [vector.job("little") for vector in vectors[at : at + _BATCH]]
        for job, compiled in zip(jobs, compiler.compile([decode(job.code) for job in jobs]), strict=True):
            compiled.run(machine_for(job, "little"), REFERENCE_BUDGET)
    return Split(timings.programs, timings.modules, timings.shares())
