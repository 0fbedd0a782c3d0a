# SPDX-License-Identifier: Apache-2.0
"""The verdict on a runtime, for one vector: the outcome of its program, compared with the expectation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from ...adapters.protocol import NO_REASON, UNCLASSIFIED, Outcome, OutcomeKind, Reason
from ..suite.model import Expectation


class Verdict(StrEnum):
    """All that can be said; there is no skipping."""

    PASS = "pass"
    FAIL = "fail"
    UNSUPPORTED = "unsupported"  # the runtime does not claim to support this, or cannot show it; the reason says what
    ERROR = "error"  # the harness failed, or did not get to run the vector; nothing is known about the runtime


class Failure(StrEnum):
    """In which way a runtime failed, the worst first."""

    CRASHED = "crashed"  # it died
    MISEXECUTED = "misexecuted"  # it ran a program that should be rejected as if it were another one
    WRONG_RESULT = "wrong-result"  # it computed something else
    TIMED_OUT = "timed-out"  # it did not come to an end
    REFUSED = "refused"  # it rejected or stopped a program that should return
    LENIENT = "lenient"  # it ran a program that should be rejected, but not as the foreseen other one
    UNSTEADY = "unsteady"  # what other programs left behind showed in the result of one that never wrote it


class Difference(NamedTuple):
    """One thing that is not as expected.

    ``what`` is a register or ``fold``, with unsigned numbers of 64 bits; ``memory``, with the bytes from offset ``at``
    on and how many ``more`` differ behind them, or with the numbers that loads of ``size`` bytes give there, or with
    texts if the sizes of memories differ; or ``outcome``, with texts.
    """

    what: str
    expected: int | bytes | str
    got: int | bytes | str
    at: int = 0
    more: int = 0
    size: int = 0

    @property
    def name(self) -> str:
        """What differs as people read it: ``r0``, ``memory[8:16]``."""
        size = len(self.expected) if isinstance(self.expected, bytes) else self.size
        return f"{self.what}[{self.at}:{self.at + size}]" if size else self.what

    @property
    def shown(self) -> tuple[str, str]:
        """What was expected and what was got, as people read it."""
        more = f" (+{self.more} bytes)" if self.more else ""
        return self._text(self.expected), self._text(self.got) + more

    def _text(self, value: int | bytes | str) -> str:
        if isinstance(value, int):
            return hex64(value, 2 * self.size)
        return value.hex(" ") if isinstance(value, bytes) else value


class Judgement(NamedTuple):
    """A verdict with its grounds.

    ``failure`` is set where it is ``fail``; ``reason`` says why unless it is ``pass``.
    """

    verdict: Verdict
    failure: Failure | None = None
    reason: Reason = NO_REASON
    differences: tuple[Difference, ...] = ()


PASSED = Judgement(Verdict.PASS)


def unsupported(reason: Reason) -> Judgement:
    """Return the verdict on a vector that the runtime was not asked, or could not answer."""
    return Judgement(Verdict.UNSUPPORTED, reason=reason)


def harness_error(reason: Reason) -> Judgement:
    """Return the verdict on a vector about which nothing was learned."""
    return Judgement(Verdict.ERROR, reason=reason)


def judge(expect: Expectation, outcome: Outcome) -> Judgement:
    """Compare ``outcome`` with ``expect``.

    A program that should be rejected may as well be stopped when the runtime meets the instruction in question:
    not every runtime looks at programs before it runs them. A fault that is expected may likewise be prevented by
    not loading the program. One run of a program that should be steady says that it is if it did not return.
    """
    match outcome.kind:
        case OutcomeKind.UNSUPPORTED if outcome.reason.code == UNCLASSIFIED:
            return harness_error(outcome.reason)
        case OutcomeKind.UNSUPPORTED:
            return unsupported(outcome.reason)
        case OutcomeKind.CRASHED:
            return _failed(Failure.CRASHED, expect, Reason("crashed", str(outcome.reason)))
        case OutcomeKind.TIMED_OUT if expect.faulted != "budget":
            return _failed(Failure.TIMED_OUT, expect, Reason("timed-out", str(outcome.reason)))
        case OutcomeKind.RETURNED if expect.returns:
            return _compare(expect, outcome)
        case OutcomeKind.RETURNED if expect.steady:
            return PASSED if outcome.r0 is not None else _unseen(["r0"])
        case OutcomeKind.RETURNED:
            return _ran(expect, outcome)
        case _ if expect.returns:
            return _failed(Failure.REFUSED, expect, Reason(outcome.kind.value, str(outcome.reason)))
        case _:
            return PASSED


def _failed(failure: Failure, expect: Expectation, got: Reason) -> Judgement:
    return Judgement(Verdict.FAIL, failure, got, (Difference("outcome", describe(expect), str(got)),))


def _ran(expect: Expectation, outcome: Outcome) -> Judgement:
    """Judge a program that ran to its end, and should not."""
    got = _told(outcome)
    failure = Failure.LENIENT
    if expect.witness is not None and outcome.r0 == expect.witness:
        failure = Failure.MISEXECUTED
        got += ", the result of another instruction"
    return _failed(failure, expect, Reason(text=got))


def _told(outcome: Outcome) -> str:
    """Return how a program ended in a few words."""
    if outcome.kind is not OutcomeKind.RETURNED:
        return f"{outcome.kind}: {outcome.reason}"
    return f"returned r0 = {hex64(outcome.r0)}" if outcome.r0 is not None else "returned"


def _compare(expect: Expectation, outcome: Outcome) -> Judgement:
    shown = dict(outcome.registers or {})
    if outcome.r0 is not None:
        shown["r0"] = outcome.r0
    unseen = [name for name in expect.registers if name not in shown]
    if expect.memory is not None and outcome.memory is None:
        unseen.append("memory")
    differences = [
        Difference(name, want, shown[name])
        for name, want in expect.registers.items()
        if name in shown and shown[name] != want
    ]
    if expect.memory is not None and outcome.memory is not None and outcome.memory != expect.memory:
        differences += _memory_differences(expect.memory, outcome.memory)
    if differences:
        return wrong_result(differences)
    return _unseen(unseen) if unseen else PASSED


def _unseen(names: Sequence[str]) -> Judgement:
    return unsupported(Reason("observe", f"the runtime does not show {', '.join(names)}", "harness"))


def unsteady(first: Outcome, other: Outcome, when: str) -> Judgement:
    """Return the verdict on a program that ended in another way ``when`` it was run again."""
    got = f"{_told(other)} {when}"
    difference = Difference("outcome", f"{_told(first)}, as in the first run", got)
    return Judgement(Verdict.FAIL, Failure.UNSTEADY, Reason(text=got), (difference,))


def wrong_result(differences: Sequence[Difference]) -> Judgement:
    """Return the verdict on a program that left other values than expected."""
    names = ", ".join(difference.name for difference in differences)
    return Judgement(Verdict.FAIL, Failure.WRONG_RESULT, Reason(text=f"wrong {names}"), tuple(differences))


#: Bytes shown around the first and up to the last byte that differs.
_SHOWN_BYTES = 32


def _memory_differences(want: bytes, got: bytes) -> Iterable[Difference]:
    if len(want) != len(got):
        yield Difference("memory", f"{len(want)} bytes", f"{len(got)} bytes")
        return
    wrong = [at for at in range(len(want)) if want[at] != got[at]]
    first = wrong[0] // 8 * 8
    end = min(first + _SHOWN_BYTES, wrong[-1] + 1)
    more = sum(at >= end for at in wrong)
    yield Difference("memory", want[first:end], got[first:end], first, more)


def hex64(value: int, digits: int = 0) -> str:
    """Return an unsigned 64-bit number as people read it: in hex, with at least ``digits`` digits."""
    return f"0x{value:0{digits}x}"


def describe(expect: Expectation) -> str:
    """Return the expected outcome of a program in a few words."""
    if expect.rejected:
        return "rejected"
    if expect.faulted is not None:
        return f"faulted ({expect.faulted}) or rejected"
    if expect.steady:
        return "rejected, stopped, or the same r0 each time"
    parts = [f"{name} = {hex64(value)}" for name, value in sorted(expect.registers.items())]
    if expect.memory is not None:
        parts.append("a certain memory")
    return f"returned {', '.join(parts)}"
