# SPDX-License-Identifier: Apache-2.0
"""Which programs a runtime is asked to run to settle one vector, and the verdict on their outcomes.

A runtime that shows R0 only is asked for the folded program (see :mod:`.fold`). If its R0 is as expected, all that the
vector compares was right. If not, further programs find the reason: the plain program, probes for the single values,
and the *control*, which folds constants: it tells whether the runtime computes the fold itself wrongly. A pass needs
that every value was seen and right; a wrong fold that nothing explains is a failure.

A program that should be *steady* reads what nothing was written to. Unless the runtime refuses or stops it, it is run
again after programs that write everything (see :mod:`.fillers`): what they have left must not show in its result.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import NamedTuple, TypeAlias

from ...adapters.protocol import (
    Job,
    Outcome,
    OutcomeKind,
    Reason,
    RuntimeInfo,
)
from ...spec.groups import closure
from ..suite.model import Expectation, Vector
from .fillers import fillers
from .fold import (
    Folding,
    NotFoldable,
    Probe,
    blocks,
    control,
    fold,
    probes,
)
from .verdict import (
    PASSED,
    Difference,
    Failure,
    Judgement,
    Verdict,
    hex64,
    judge,
    unsteady,
    unsupported,
    wrong_result,
)


class Finding(NamedTuple):
    """The outcome that decided about a vector, and the judgement."""

    outcome: Outcome
    judgement: Judgement


#: Yields the jobs of a round, is sent their outcomes, and returns the finding at last.
Inquiry: TypeAlias = Generator[list[Job], list[Outcome], Finding]


def inquire(vector: Vector, info: RuntimeInfo) -> Inquiry:
    """Find out whether a runtime does what ``vector`` expects, with as few programs as that takes."""
    expect = vector.variant(info.byte_order).expect
    job = vector.job(info.byte_order)
    why_not = ""
    width = 64 if "base64" in closure(vector.groups | (info.groups or frozenset())) else 32
    if expect.steady:
        return (yield from _inquire_again(job, expect, width))
    if expect.returns and not _shows_all(job, info):
        try:
            folding = fold(job, expect, width)
        except NotFoldable as error:
            why_not = f", and {error}"
        else:
            return (yield from _inquire_folded(job, expect, folding, width))
    (outcome,) = yield [job]
    judgement = judge(expect, outcome)
    if judgement.verdict is Verdict.UNSUPPORTED and why_not:
        reason = judgement.reason
        judgement = unsupported(reason._replace(text=reason.text + why_not))
    return Finding(outcome, judgement)


def settle(vector: Vector, info: RuntimeInfo, run: Callable[[Sequence[Job]], Iterable[Outcome]]) -> Finding:
    """Ask a runtime in this process, which answers by ``run``, whatever it takes to settle ``vector``."""
    inquiry = inquire(vector, info)
    jobs = next(inquiry)
    while True:
        try:
            jobs = inquiry.send(list(run(jobs)))
        except StopIteration as end:
            finding: Finding = end.value
            return finding


def _inquire_folded(job: Job, expect: Expectation, folding: Folding, width: int) -> Inquiry:
    """Ask a runtime that shows R0 only."""
    if folding.complete:
        (folded,) = yield [folding.job]
        if _right(folded, folding.expected):
            return Finding(folded, PASSED)
        (plain,) = yield [job]
    else:
        folded, plain = yield [folding.job, job]
    judgement = judge(_r0_only(expect), plain)
    if judgement.verdict is not Verdict.PASS:
        return Finding(plain, judgement)
    if _right(folded, folding.expected):
        return Finding(plain, PASSED)
    match folded.kind:
        case OutcomeKind.RETURNED:
            return Finding(plain, (yield from _explain(job, expect, folding, folded, width)))
        case OutcomeKind.CRASHED | OutcomeKind.TIMED_OUT:
            # The folded program is a valid program, too: its end is as much the runtime's fault.
            return Finding(folded, judge(expect, folded))
        case kind:
            text = f"the runtime shows r0 only, and the program that shows more {kind}: {folded.reason}"
            return Finding(plain, unsupported(Reason("observe", text, "harness")))


#: How often a steady program is run after itself: what a host leaves on its stack is the same now and then.
_REPETITIONS = 2


def _inquire_again(job: Job, expect: Expectation, width: int) -> Inquiry:
    """Ask whether a program does the same each time."""
    (first,) = yield [job]
    judgement = judge(expect, first)
    if judgement.verdict is not Verdict.PASS or first.kind is not _RETURNED:
        return Finding(first, judgement)
    before = fillers(job, width)
    jobs = [*(one for filler in before for one in (filler.job, job)), *[job] * _REPETITIONS]
    outcomes = yield jobs
    for number, other in enumerate(outcomes):
        if jobs[number] is not job:
            continue
        judgement = judge(expect, other)
        if judgement.verdict is Verdict.PASS and (other.kind, other.r0) != (first.kind, first.r0):
            when = f"a program that {before[number // 2].did}" if number < 2 * len(before) else "it had been run"
            judgement = unsteady(first, other, f"right after {when}")
        if judgement.verdict is not Verdict.PASS:
            return Finding(other, judgement)
    filled = outcomes[0]
    if filled.kind is not _RETURNED:
        text = f"the program that fills all registers and the stack {filled.kind}: {filled.reason}"
        return Finding(first, unsupported(Reason("observe", text, "harness")))
    return Finding(first, PASSED)


def _explain(
    job: Job, expect: Expectation, folding: Folding, folded: Outcome, width: int
) -> Generator[list[Job], list[Outcome], Judgement]:
    """Find out why the R0 of the folded program is wrong where that of the plain program is right."""
    seen = yield from _ask(list(probes(job, expect, width)))
    if not seen.wrong:
        seen = seen.and_also((yield from _ask_blocks(job, expect, width)))
    if seen.wrong:
        return wrong_result(seen.wrong)
    if (yield from _folds_wrongly(job, expect, width)):
        if seen.all:
            return PASSED
        text = f"the runtime shows r0 only, it computes the fold of constants wrongly, and {seen.gap}"
        return unsupported(Reason("observe", text, "harness"))
    wrong = _difference("fold", folding.expected, folded.r0)
    what = ", ".join(sorted(expect.observed))
    return Judgement(Verdict.FAIL, Failure.WRONG_RESULT, Reason(text=f"wrong fold of {what} into r0"), (wrong,))


def _difference(what: str, expected: int, got: int | None, at: int = 0, size: int = 0) -> Difference:
    """Return a difference of numbers; adapters of others may return none."""
    if got is None:
        return Difference(what, hex64(expected, 2 * size), "nothing", at, size=size)
    return Difference(what, expected, got, at, size=size)


class _Seen(NamedTuple):
    """What probes have shown: the values that are wrong, and why others were not seen, if there are such."""

    wrong: tuple[Difference, ...] = ()
    gap: str = ""

    @property
    def all(self) -> bool:
        """Whether every value was seen."""
        return not self.gap

    def and_also(self, other: _Seen) -> _Seen:
        """Return what two sets of probes have shown."""
        return _Seen(self.wrong + other.wrong, self.gap or other.gap)


def _ask(asked: Sequence[Probe]) -> Generator[list[Job], list[Outcome], _Seen]:
    """Run probes, and return what they show."""
    outcomes = yield [probe.job for probe in asked]
    pairs = list(zip(asked, outcomes, strict=True))
    wrong = tuple(
        _difference(probe.what, probe.expected, seen.r0, probe.at, probe.size)
        for probe, seen in pairs
        if seen.kind is _RETURNED and seen.r0 != probe.expected
    )
    gaps = (f"the program that shows {one.name} {seen.kind}" for one, seen in pairs if seen.kind is not _RETURNED)
    return _Seen(wrong, next(gaps, ""))


_RETURNED = OutcomeKind.RETURNED
#: How many blocks of the memory with a wrong fold may turn out to be right before no further one is probed.
_BLOCKS = 4


def _ask_blocks(job: Job, expect: Expectation, width: int) -> Generator[list[Job], list[Outcome], _Seen]:
    """Return what is wrong behind the words of the memory that the first probes look at."""
    later = list(blocks(job, expect, width))
    if not later:
        return _Seen()
    outcomes = yield [probe.job for _, probe in later]
    suspect = [
        (first, probe) for (first, probe), seen in zip(later, outcomes, strict=True) if not _right(seen, probe.expected)
    ]
    gap = f"the program that folds {suspect[_BLOCKS][1].what} of the memory is not right" if suspect[_BLOCKS:] else ""
    found = _Seen(gap=gap)
    for first, _ in suspect[:_BLOCKS]:
        found = found.and_also((yield from _ask(list(probes(job, expect, width, first)))))
        if found.wrong:
            break
    return found


def _folds_wrongly(job: Job, expect: Expectation, width: int) -> Generator[list[Job], list[Outcome], bool]:
    """Return whether the runtime folds constants wrongly: then a wrong fold says nothing about a vector."""
    asked = control(job, expect, width)  # there is one: whatever can be folded, constants in its place can
    (outcome,) = yield [asked.job]
    return not _right(outcome, asked.expected)


def _right(outcome: Outcome, expected: int) -> bool:
    return outcome.kind is OutcomeKind.RETURNED and outcome.r0 == expected


def _r0_only(expect: Expectation) -> Expectation:
    registers = {name: value for name, value in expect.registers.items() if name == "r0"}
    return expect._replace(registers=registers, memory=None)


def _shows_all(job: Job, info: RuntimeInfo) -> bool:
    """Whether the runtime can show whatever is observed of the job."""
    registers_shown = "registers" in info.observes or job.observe <= {"r0", "memory"}
    return registers_shown and ("memory" in info.observes or "memory" not in job.observe)
