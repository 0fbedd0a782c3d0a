# SPDX-License-Identifier: Apache-2.0
"""Runtimes that are wrong on purpose, for `bpf-isa run -r python:faulty:NAME`."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from bpf_isa.adapters.protocol import Job, Observable, Outcome, OutcomeKind, Reason, RuntimeInfo, Unavailable
from bpf_isa.adapters.reference import ReferenceAdapter
from bpf_isa.spec import pseudocode, tree
from bpf_isa.spec.table import Instruction, Isa, Operand, isa

R0_ONLY: frozenset[Observable] = frozenset({"r0"})


def mutated(name: str, means: tuple[tree.Stmt, ...] | None = None, **fields: Operand) -> Isa:
    """The instruction set with one row changed."""
    table = isa()
    row = table.by_name[name]
    new = replace(row.with_means(means or row.means), fields={**row.fields, **fields})

    def swap(rows: tuple[Instruction, ...]) -> tuple[Instruction, ...]:
        return tuple(new if item is row else item for item in rows)

    return replace(
        table,
        instructions=swap(table.instructions),
        by_name={**table.by_name, name: new},
        by_opcode={opcode: swap(rows) for opcode, rows in table.by_opcode.items()},
    )


def add_forgets_the_carry() -> ReferenceAdapter:
    """64-bit addition loses what it carries into bit 32 and above."""
    return ReferenceAdapter(table=mutated("ADD64_X", pseudocode.parse("dst = (u32)dst + (u32)src")), name="no-carry")


def ignores_the_source_of_bswap() -> ReferenceAdapter:
    """BSWAP16 takes any source register for the one it must have: none."""
    return ReferenceAdapter(table=mutated("BSWAP16", src=Operand(0, 15)), name="lenient")


def claims_base32() -> ReferenceAdapter:
    """A runtime that claims nothing but base32."""
    return ReferenceAdapter(groups=frozenset({"base32"}), name="base32-only")


class ClaimsNothing(ReferenceAdapter):
    """A runtime that does not say what it supports."""

    def info(self) -> RuntimeInfo:
        return replace(super().info(), groups=None)


class Unruly(ReferenceAdapter):
    """Does something before each job."""

    def before(self, job: Job) -> None:
        raise NotImplementedError

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        for job in jobs:
            self.before(job)
            yield from super().run([job])


class Dies(Unruly):
    """The process is killed by the programs that multiply or divide."""

    def before(self, job: Job) -> None:
        if "divmul64" in job.groups:
            os.kill(os.getpid(), signal.SIGSEGV)


class Raises(Unruly):
    """The adapter has a bug that one vector finds."""

    def before(self, job: Job) -> None:
        if job.id.endswith("wraps"):
            raise KeyError(job.id)


class Hangs(Unruly):
    """The runtime never comes back from an atomic operation."""

    def before(self, job: Job) -> None:
        if "atomic64" in job.groups:
            Path(os.environ.get("HANGING", os.devnull)).touch()
            signal.pause()


class HangsOnce(Unruly):
    """The runtime does not come back from an atomic operation, the first time that it is asked."""

    def before(self, job: Job) -> None:
        mark = Path(os.environ["HANGING"])
        if "atomic64" in job.groups and not mark.exists():
            mark.touch()
            signal.pause()


class LosesOutcomes(ReferenceAdapter):
    """The adapter gives fewer outcomes than it was given jobs."""

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        return super().run(jobs[:-1])


def unavailable() -> ReferenceAdapter:
    """A runtime that cannot be used here."""
    raise Unavailable("the moon is in the wrong phase: wait a week")


def does_not_start() -> ReferenceAdapter:
    """An adapter that fails as it is opened."""
    raise ZeroDivisionError("by nothing")


def shows_r0_only() -> ReferenceAdapter:
    """A correct runtime that shows nothing but R0."""
    return ReferenceAdapter(observes=R0_ONLY)


def clobbers_r6_and_shows_r0_only() -> ReferenceAdapter:
    """A local call changes R6; only the fold of registers can tell."""
    clobber = tree.Assign(tree.Register("r6"), tree.Const(7, tree.U64))
    means = (clobber, *isa().by_name["CALL_LOCAL"].means)
    return ReferenceAdapter(table=mutated("CALL_LOCAL", means), observes=R0_ONLY, name="clobbers")


def stores_too_much_and_shows_r0_only() -> ReferenceAdapter:
    """STX of two bytes stores four."""
    table = mutated("STX_MEM_H", pseudocode.parse("*(u32 *)(dst + offset) = (u32)src"))
    return ReferenceAdapter(table=table, observes=R0_ONLY, name="stores-too-much")


def without(*names: str) -> Isa:
    """The instruction set without some of its rows."""
    table = isa()

    def keep(rows: tuple[Instruction, ...]) -> tuple[Instruction, ...]:
        return tuple(row for row in rows if row.name not in names)

    return replace(
        table,
        instructions=keep(table.instructions),
        by_name={name: row for name, row in table.by_name.items() if name not in names},
        by_opcode={opcode: kept for opcode, rows in table.by_opcode.items() if (kept := keep(rows))},
    )


def claims_what_it_lacks() -> ReferenceAdapter:
    """Claims atomic64, and has no compare-and-exchange."""
    return ReferenceAdapter(table=without("ATOMIC_CMPXCHG64"), groups=frozenset({"base64", "atomic64"}), name="boasts")


def has_no_64_bits() -> ReferenceAdapter:
    """Has base32 without the sign-extending loads and shows R0 only; claims nothing."""
    rows = [row.name for row in isa().instructions if row.groups != {"base32"} or "MEMSX" in row.name]
    return ReferenceAdapter(table=without(*rows), observes=R0_ONLY, name="small")


def adds_wrongly() -> ReferenceAdapter:
    """64-bit addition of a register is off by one; claims base32 only."""
    table = mutated("ADD64_X", pseudocode.parse("dst = dst + src + (u64)1"))
    return ReferenceAdapter(table=table, groups=frozenset({"base32"}), name="modest")


def changes_its_version() -> ReferenceAdapter:
    """Is another runtime each time: its name is what the environment says."""
    return ReferenceAdapter(name=os.environ.get("RUNTIME_NAME", "first"))


def tells_when_it_is_opened() -> ReferenceAdapter:
    """A correct runtime that leaves a file for each process that opens it."""
    Path(os.environ["OPENED"], str(os.getpid())).touch()
    return ReferenceAdapter()


class HasNoFunctions(ReferenceAdapter):
    """Claims nothing, and says of programs with functions that it does not support them."""

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        for job in jobs:
            if job.id.startswith("calls/"):
                yield Outcome(OutcomeKind.UNSUPPORTED, reason=Reason("functions", "there are none"))
            else:
                yield from super().run([job])


class SwapsAnswers(ReferenceAdapter):
    """Gives the right answers in the wrong order."""

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        return reversed(list(super().run(jobs)))


class AnswersTooMuch(ReferenceAdapter):
    """Gives an answer more than it was given jobs."""

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        yield from super().run(jobs)
        yield Outcome(OutcomeKind.RETURNED, r0=0)


class Counted(ReferenceAdapter):
    """Leaves a line in a file for each job that it is asked."""

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        for job in jobs:
            with Path(os.environ["ASKED"]).open("a") as stream:
                stream.write(f"{job.id}\n")
            yield self.answer(job)

    def answer(self, job: Job) -> Outcome:
        return next(super().run([job]))


class AlwaysLate(Counted):
    """Never comes to an end, as it says itself."""

    def answer(self, job: Job) -> Outcome:
        return Outcome(OutcomeKind.TIMED_OUT, reason=Reason("timeout", "no answer within 1 s"))


class AlwaysCrashes(Counted):
    """Dies of every program, as its adapter says."""

    def answer(self, job: Job) -> Outcome:
        return Outcome(OutcomeKind.CRASHED, reason=Reason("signal", "killed by SIGSEGV"))


class CrashesOnTheFirst(Counted):
    """Dies of a long row of programs, and runs the others."""

    def answer(self, job: Job) -> Outcome:
        if int(job.id.rpartition("c")[2]) < 300:
            return Outcome(OutcomeKind.CRASHED, reason=Reason("signal", "killed by SIGSEGV"))
        return super().answer(job)


class TroubledOnce(Counted):
    """Crashes and is late, but never twice: the machine is busy, or another program left something behind."""

    def answer(self, job: Job) -> Outcome:
        mark = Path(os.environ["ASKED"])
        if mark.read_text().splitlines().count(job.id) > 1:
            return super().answer(job)
        late = len(mark.read_text().splitlines()) % 2
        return Outcome(OutcomeKind.TIMED_OUT if late else OutcomeKind.CRASHED, reason=Reason("busy", "this machine is"))


class TroubledInCompany(Counted):
    """Is killed by the third job of a process, whichever that is."""

    jobs = 0

    def answer(self, job: Job) -> Outcome:
        self.jobs += 1
        if self.jobs % 3 == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().answer(job)


class Slow(ReferenceAdapter):
    """Takes its time, so that a run lasts."""

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        for job in jobs:
            time.sleep(0.005)
            yield from super().run([job])


def adds_slowly() -> ReferenceAdapter:
    """64-bit addition of a register loses the lowest bit."""
    return Slow(table=mutated("ADD64_X", pseudocode.parse("dst = (dst + src) & (u64)-2")), name="slow")


def shows_r0_slowly() -> ReferenceAdapter:
    """A correct runtime that shows nothing but R0, and is slow."""
    return Slow(observes=R0_ONLY, name="slow-r0")


class HangsWithItsNumber(ReferenceAdapter):
    """Says which process it is, and never comes back."""

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        Path("pid").write_text(str(os.getpid()))
        signal.pause()
        yield from super().run(jobs)
