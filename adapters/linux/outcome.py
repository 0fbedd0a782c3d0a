# SPDX-License-Identifier: Apache-2.0
"""The outcome of a vector, from the report of its kernel calls."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..protocol import UNCLASSIFIED, Blames, Engine, Job, Outcome, OutcomeKind, Reason
from . import wrapping
from .calls import Failed, NotRun, Origin, Ran, Refused, Report
from .packed import Asked
from .policy import classify, last_line


def outcome(job: Job, asked: Asked, report: Report, engine: Engine) -> Outcome:
    """Return the outcome of ``job`` from the ``report`` of a kernel that uses ``engine``.

    A refusal is ``rejected`` if the kernel finds the encoding invalid or the job wants to be rejected, and
    ``unsupported`` if it follows from the kernel's own safety policy.
    """
    outcomes = []
    failed = None
    for load, (optional, result) in enumerate(zip(asked.optional, report.results, strict=True)):
        if isinstance(result, Ran):
            outcomes.append(_returned(job, asked, result))
        elif result is not None and not optional:
            failed = _refused(job, asked.origins(load), result) if isinstance(result, Refused) else _not_run(result)
    if engine == "jit" and any(isinstance(result, Ran) and not result.jited for result in report.results):
        text = "the JIT does not compile this program, and the kernel's interpreter ran it"
        return Outcome(OutcomeKind.UNSUPPORTED, reason=Reason("linux.interpreted", text, "platform"))
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


def _returned(job: Job, asked: Asked, run: Ran) -> Outcome:
    scratch, byte_order = run.values[0], asked.byte_order
    if not wrapping.quadword(scratch, wrapping.COMPLETED_AT, byte_order):
        reason = Reason("linux.incomplete", "the kernel ran the program, but it never reached its end")
        if asked.program_type == "SCHED_CLS":
            reason = Reason("linux.packet-access", "the kernel ended the program at a packet access out of bounds")
        return Outcome(OutcomeKind.FAULTED, reason=reason, seconds=run.seconds)
    shown = {name: wrapping.quadword(scratch, wrapping.register_at(name), byte_order) for name in asked.registers}
    memory = job.memory if len(run.values) == 1 else run.values[1][-len(job.memory or b"") :]
    return Outcome(OutcomeKind.RETURNED, shown.get("r0"), shown, memory, seconds=run.seconds)


def _refused(job: Job, origins: Sequence[Origin], refusal: Refused) -> Outcome:
    line = last_line(refusal.log)
    message = classify(line, refusal.errno)
    if message is None:
        said = line or f"errno {refusal.errno}, {os.strerror(refusal.errno)}"
        return Outcome(OutcomeKind.UNSUPPORTED, reason=Reason(UNCLASSIFIED, f"the kernel refuses the program: {said}"))
    blames: Blames = "platform" if message.kind == "policy" else "instruction"
    reason = Reason(message.code, message.renumber(line, origins) or message.why, blames)
    unsupported = message.kind == "policy" and not job.wants_rejection
    return Outcome(OutcomeKind.UNSUPPORTED if unsupported else OutcomeKind.REJECTED, reason=reason)


def _not_run(result: NotRun | Failed) -> Outcome:
    what = "the kernel loaded the program, but did not run it"
    if isinstance(result, Failed):
        what = f"command {result.command} of bpf(2) failed"
    return Outcome(OutcomeKind.UNSUPPORTED, reason=Reason(UNCLASSIFIED, f"{what}: {os.strerror(result.errno)}"))


def _tell(outcome: Outcome) -> str:
    if outcome.kind is not OutcomeKind.RETURNED:
        return outcome.reason.text
    return "returns " + ", ".join(f"{name} = {value:#x}" for name, value in (outcome.registers or {}).items())
