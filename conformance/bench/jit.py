# SPDX-License-Identifier: Apache-2.0
"""The speed of the bundled JIT: the programs that are timed, the timing, and where the time of compilation goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from resource import RUSAGE_CHILDREN, getrusage
from time import perf_counter, thread_time
from typing import NamedTuple, Protocol

from ...adapters.jit.program import CompiledProgram, Compiler, compile
from ...adapters.jit.runtime.llvm import Timings
from ...adapters.jit.trust import accept
from ...adapters.protocol import Adapter, Job, OutcomeKind
from ...adapters.reference import BUDGET as REFERENCE_BUDGET
from ...adapters.reference import machine_for
from ...reference_vm.faults import Returned
from ...reference_vm.machine import Machine
from ...reference_vm.verifier.surroundings import Surroundings
from ...spec.asm.assemble import assemble
from ...spec.encoding import ByteOrder, decode
from .suite import MEMORY_BYTES, Rate, Workload

BUDGET = 1 << 60
#: Seconds that a run of the JIT should take at least. Many short runs find the machine undisturbed sooner than few.
ENOUGH = 0.02
_BATCH = 128
#: Iterations of machine code for one of the interpreter, so that they take a time that can be measured.
_MORE = 100


class Program(NamedTuple):
    """A program to be timed: assembly where {iterations} is how often it does its work, and the bytes of its memory.

    It returns a number that tells whether it was executed right.
    """

    asm: str
    iterations: int
    memory_bytes: int = 0

    def code(self, byte_order: ByteOrder = "little") -> bytes:
        """Return the program."""
        return assemble(self.asm.replace("{iterations}", str(self.iterations)), byte_order)

    def memory(self) -> bytes | None:
        """Return what its memory holds at first."""
        return bytes(7 * i & 255 for i in range(self.memory_bytes)) or None


#: Changes each word by {other}, of which R0 has the sum of the words so far.
_EACH_WORD = """
    r0 = 0
    r5 = {iterations}
pass:
    r3 = r1
    r4 = r1
    r4 += r2
next:
    r6 = *(u64 *)(r3 + 0)
    r0 += r6
    r6 ^= {other}
    *(u64 *)(r3 + 0) = r6
    r3 += 8
    if r3 < r4 goto next
    r5 += -1
    if r5 != 0 goto pass
    exit
"""

PROGRAMS = {
    # A mixing function without branches: every value depends on the one before.
    "mixing": Program(
        """
            r0 = 1
            r3 = {iterations}
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
    "words": Program(_EACH_WORD.replace("{other}", "r5"), 1000, 32768),
    # The same, but each word depends on all before: one addition after the other, unless they are grouped otherwise.
    "chain": Program(_EACH_WORD.replace("{other}", "r0"), 1000, 32768),
    # Steps of Collatz's problem, where no one knows which way the next branch goes.
    "collatz": Program(
        """
            r0 = 0
            r3 = {iterations}
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
            r9 = {iterations}
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
        90,
        40000,
    ),
    # Euclid's algorithm for many pairs.
    "gcd": Program(
        """
            r0 = 0
            r3 = {iterations}
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
            r7 = {iterations}
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


class Contestant(Protocol):
    """Something that runs programs."""

    @property
    def label(self) -> str:
        """What it is called in tables."""

    def prepare(self, name: str, program: Program) -> Callable[[], Sample]:
        """Make ``program``, the one called ``name``, ready, and return what runs it once."""


class Sample(NamedTuple):
    """One run: how long it took, and R0 (None if that is not known)."""

    seconds: float
    r0: int | None


class Unfit(Exception):
    """A contestant cannot run a program, or gets a wrong result."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """The bundled JIT; ``checked`` or not."""

    label: str
    checked: bool

    def prepare(self, name: str, program: Program) -> Callable[[], Sample]:
        """See :class:`Contestant`."""
        decoded = decode(program.code())
        accepted = None if self.checked else accept(decoded, "little", Surroundings(program.memory_bytes))
        compiled = compile(decoded, accepted=accepted)

        def run() -> Sample:
            outcome, seconds = _timed(compiled, program)
            return Sample(seconds, outcome.r0)

        return run


@dataclass(frozen=True, slots=True)
class Adapted:
    """A runtime behind an adapter; ``runs`` says how often it runs a program for one answer.

    Of a runtime that starts a process for each program, the processor's time counts.
    """

    label: str
    adapter: Adapter
    runs: int = 1

    def prepare(self, name: str, program: Program) -> Callable[[], Sample]:
        """See :class:`Contestant`."""
        order = self.adapter.info().byte_order
        groups = frozenset({"base64", "divmul64"})
        job = Job("bench", program.code(order), order, groups, frozenset({"r0"}), program.memory())

        def run() -> Sample:
            start, before = perf_counter(), _of_children()
            (outcome,) = self.adapter.run([job])
            seconds = (_of_children() - before or perf_counter() - start) / self.runs
            if outcome.kind is not OutcomeKind.RETURNED:
                raise Unfit(f"{outcome.kind}: {outcome.reason}")
            # `words` reads numbers of the machine's byte order: its result is for one of them.
            return Sample(seconds, outcome.r0 if order == "little" else None)

        return run


#: The bundled JIT in both modes.
OWN: tuple[Contestant, ...] = (Compiled("jit", checked=True), Compiled("jit, unchecked", checked=False))


def _of_children() -> float:
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def contest(name: str, contestants: Sequence[Contestant], repeat: int) -> tuple[list[Rate], dict[str, str]]:
    """Time a program on all ``contestants`` in turns; return rates, and why a contestant has none, by its label.

    Each runs it with some number of iterations and with twice as many, in three times ``repeat`` turns. The difference
    of the best times counts: starting a process, compiling, and copying memory are not in it. Times are those of the
    processor, so that they depend less on what else the machine does.
    """
    once = _enough(PROGRAMS[name])
    programs = [once, once._replace(iterations=2 * once.iterations)]
    outcomes = [_timed(compile(program.code()), program)[0] for program in programs]
    best: dict[str, list[float]] = {}
    unfit: dict[str, str] = {}
    ready: list[tuple[str, int, Callable[[], Sample]]] = []
    for contestant in contestants:
        best[contestant.label] = [inf] * len(programs)
        for index, program in enumerate(programs):
            ready.append((contestant.label, index, contestant.prepare(name, program)))
    for _ in range(3 * repeat):
        for label, index, run in ready:
            if label not in unfit:
                try:
                    sample = run()
                    if sample.r0 not in {None, outcomes[index].r0}:
                        raise Unfit(f"wrong result: {sample.r0}, not {outcomes[index].r0}")
                    best[label][index] = min(best[label][index], sample.seconds)
                except Unfit as error:
                    unfit[label] = str(error)
    instructions = outcomes[1].steps - outcomes[0].steps
    rates = [
        Rate(name, label, instructions, max(more - few, 1e-9))
        for label, (few, more) in best.items()
        if label not in unfit
    ]
    return rates, unfit


def _enough(program: Program) -> Program:
    """Return a program with as many iterations as take a time that can be measured well."""
    compiled = compile(program.code())
    seconds = min(_timed(compiled, program)[1] for _ in range(3))
    return program._replace(iterations=program.iterations * max(1, round(ENOUGH / seconds)))


def workload_rate(workload: Workload, repeat: int) -> Rate:
    """Time the code of one of the interpreter's loops, with more iterations."""
    program = Program(workload.asm, _MORE * workload.iterations, MEMORY_BYTES)
    compiled = compile(program.code())
    outcome, seconds = min((_timed(compiled, program) for _ in range(repeat)), key=lambda pair: pair[1])
    return Rate(workload.name, "jit", outcome.steps, seconds)


def _timed(compiled: CompiledProgram, program: Program) -> tuple[Returned, float]:
    machine = Machine(memory=program.memory())
    start = thread_time()
    outcome = compiled.run(machine, BUDGET)
    seconds = thread_time() - start
    assert isinstance(outcome, Returned), outcome
    return outcome, seconds


class Split(NamedTuple):
    """Where the time goes when vectors are compiled and run in batches; seconds by stage for all ``programs``."""

    programs: int
    modules: int
    seconds: dict[str, float]


def suite_split(every: int) -> Split:
    """Compile and run one of ``every`` vectors of the suite as the adapter does."""
    from ..suite.suite import load_suite

    vectors = [vector for vector in load_suite().vectors if not vector.little.expect.rejected][::every]
    timings = Timings()
    compiler = Compiler("little", level="fast", timings=timings)
    for at in range(0, len(vectors), _BATCH):
        jobs = [vector.job("little") for vector in vectors[at : at + _BATCH]]
        for job, compiled in zip(jobs, compiler.compile([decode(job.code) for job in jobs]), strict=True):
            compiled.run(machine_for(job, "little"), REFERENCE_BUDGET)
    return Split(timings.programs, timings.modules, timings.shares())
