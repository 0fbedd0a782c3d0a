# SPDX-License-Identifier: Apache-2.0
"""The outcome of a vector, from the report of its kernel calls."""

from __future__ import annotations

import os
import sys

from ...spec.encoding import ByteOrder
from ..protocol import UNCLASSIFIED, Blames, Job, Outcome, OutcomeKind, Reason
from . import wrapping
from .calls import Load, NotRun, PreparedCalls, Ran, Refused, Report
from .policy import classify, last_line


def outcome(job: Job, calls: PreparedCalls, report: Report, byte_order: ByteOrder = sys.byteorder) -> Outcome:
    """Return the outcome of ``job`` after ``calls`` were made for it.

    A refusal is ``rejected`` if the kernel finds the encoding invalid or the job wants to be rejected, and
    ``unsupported`` if it follows from the kernel's own safety policy.
    """
    outcomes = []
    failed = None
    for load, result in zip(calls.loads, report.results, strict=True):
        if isinstance(result, Ran):
            outcomes.append(_returned(job, calls, result, byte_order))
        elif result is not None and not load.optional:
            failed = _refused(job, load, result) if isinstance(result, Refused) else _not_run(result)
    if not outcomes:
        assert failed is not None, "not all loads of a vector are optional"
        return failed
    first, *others = outcomes
    for other in others:
        if (other.kind, other.r0, other.registers, other.memory) != (
            first.kind,
            first.r0,
            first.registers,
            first.memory,
        ):
            return Outcome(
                OutcomeKind.FAULTED,
                reason=Reason(
                    "linux.inconsistent",
                    f"the program {_tell(first)}, but if the verifier is kept from deciding its jumps, "
                    f"it {_tell(other)}",
                ),
                seconds=first.seconds,
            )
    return first


def _returned(job: Job, calls: PreparedCalls, run: Ran, byte_order: ByteOrder) -> Outcome:
    scratch = run.values[0]
    if not wrapping.quadword(scratch, wrapping.COMPLETED_AT, byte_order):
        reason = Reason("linux.incomplete", "the kernel ran the program, but it never reached its end")
        if calls.program_type == "SCHED_CLS":
            reason = Reason("linux.packet-access", "the kernel ended the program at a packet access out of bounds")
        return Outcome(OutcomeKind.FAULTED, reason=reason, seconds=run.seconds)
    shown = {name: wrapping.quadword(scratch, wrapping.register_at(name), byte_order) for name in calls.registers}
    memory = job.memory if len(run.values) == 1 else run.values[1]
    return Outcome(OutcomeKind.RETURNED, shown.get("r0"), shown, memory, seconds=run.seconds)


def _refused(job: Job, load: Load, refusal: Refused) -> Outcome:
    line = last_line(refusal.log)
    message = classify(line, refusal.errno)
    if message is None:
        said = line or f"errno {refusal.errno}, {os.strerror(refusal.errno)}"
        return Outcome(OutcomeKind.UNSUPPORTED, reason=Reason(UNCLASSIFIED, f"the kernel refuses the program: {said}"))
    blames: Blames = "platform" if message.kind == "policy" else "instruction"
    reason = Reason(message.code, message.renumber(line, load.origins) or message.why, blames)
    unsupported = message.kind == "policy" and not job.wants_rejection
    return Outcome(OutcomeKind.UNSUPPORTED if unsupported else OutcomeKind.REJECTED, reason=reason)


def _not_run(result: NotRun) -> Outcome:
    return Outcome(
        OutcomeKind.UNSUPPORTED,
        reason=Reason(UNCLASSIFIED, f"the kernel loaded the program, but did not run it: {os.strerror(result.errno)}"),
    )


def _tell(outcome: Outcome) -> str:
    if outcome.kind is not OutcomeKind.RETURNED:
        return outcome.reason.text
    return "returns " + ", ".join(f"{name} = {value:#x}" for name, value in (outcome.registers or {}).items())
