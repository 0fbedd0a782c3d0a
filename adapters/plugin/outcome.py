# SPDX-License-Identifier: Apache-2.0
"""The outcome of a plugin's process."""

from __future__ import annotations

import re

from ..processes.client import Ended, Limits, signal_name
from ..processes.ending import Ending
from ..processes.evidence import last_line, shown
from ..protocol import NO_REASON, Outcome, OutcomeKind, Reason

_R0 = re.compile(rb"\s*(?:0[xX])?0*([0-9a-fA-F]{1,16})\s*", re.ASCII)
#: The exit status of a shell script whose last command was killed by a signal begins here.
_SHELL_SIGNAL = 128
_MOST_SIGNALS = 64
#: Messages of programs that abort: the runtime has failed, and not refused the program.
_DEATHS = (
    ("sanitizer", re.compile(r"==\d+==\s*ERROR: \w*Sanitizer|: runtime error: ")),
    ("panic", re.compile(r"\bpanicked at (?!.*\n?called `\w+::(unwrap|expect)\w*\(\)` on an `Err` value)")),
)


def outcome_of(ended: Ended, limits: Limits) -> Outcome:
    """Return the outcome of a run of a plugin that was under ``limits``.

    An error is ``rejected``: the protocol does not distinguish a program that was rejected at load time from one that
    was stopped while it ran, and both count as a refusal.
    """
    if ended.ending is Ending.TIMED_OUT:
        return _failed(OutcomeKind.TIMED_OUT, Reason("timeout", f"no answer within {limits.seconds:g} s"), ended)
    if excess := ended.excess(limits):
        return _failed(OutcomeKind.CRASHED, excess, ended)
    if ended.signal is not None:
        return _failed(OutcomeKind.CRASHED, Reason("signal", f"killed by {ended.signal}"), ended)
    if ended.exit_status:
        return _error(ended)
    match = _R0.fullmatch(ended.output)
    if match is None:
        said = f"wrote {shown(ended.output)}, which is not r0 in hex" if ended.output.strip() else "wrote nothing"
        word = "garbage" if ended.output.strip() else "empty"
        return _failed(OutcomeKind.CRASHED, Reason(word, f"it {said} to standard output, with exit status 0"), ended)
    note = last_line(ended.errors)
    reason = Reason("stderr", note) if note else NO_REASON
    return Outcome(OutcomeKind.RETURNED, r0=int(match[1], 16), reason=reason, seconds=ended.seconds)


def _error(ended: Ended) -> Outcome:
    status = ended.exit_status
    if _SHELL_SIGNAL < status <= _SHELL_SIGNAL + _MOST_SIGNALS:
        said = f"exit status {status}, for {signal_name(status - _SHELL_SIGNAL)}"
        return _failed(OutcomeKind.CRASHED, Reason("signal", said), ended)
    text = ended.errors.decode("utf-8", "replace")
    for word, sign in _DEATHS:
        if sign.search(text):
            return _failed(OutcomeKind.CRASHED, Reason(word, f"exit status {status}"), ended)
    return _failed(OutcomeKind.REJECTED, Reason("error", f"exit status {status}"), ended)


def _failed(kind: OutcomeKind, reason: Reason, ended: Ended) -> Outcome:
    """Return an outcome with the last line of the plugin on standard error, or else on standard output."""
    line = last_line(ended.errors)
    words = f"; stderr: {line}" if line else ""
    if not line and kind is OutcomeKind.REJECTED:
        line = last_line(ended.output)
        words = f"; stdout: {line}" if line else ", without a message"
    return Outcome(kind, reason=reason._replace(text=reason.text + words), seconds=ended.seconds)
