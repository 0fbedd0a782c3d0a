# SPDX-License-Identifier: Apache-2.0
"""Error messages of programs, as one line of a report."""

from __future__ import annotations

import re

from ...spec.plain import plain

_LONGEST = 300
#: Controls, and the halves of surrogate pairs, which no encoding can write.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff]")
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
#: Last lines without information about the error.
_EMPTY_WORDS = re.compile(r"note: .*\bRUST_BACKTRACE=|==\d+==\s*ABORTING")
#: What Rust says after the message of a panic if RUST_BACKTRACE is set: numbered frames, some with places in source.
_BACKTRACE = re.compile(r"^stack backtrace:\n(?:[ ]+\d+: .*\n(?:[ ]+at .*\n)*)*", re.IGNORECASE | re.MULTILINE)
#: The second and third line of the message of Rust's assertions.
_OPERAND = re.compile(r"\n[ ]+(left|right): ")
_SUMMARY = re.compile(r"SUMMARY: .*Sanitizer")


def last_line(said: bytes) -> str:
    """Return the line of ``said`` with the error: the last one, with a few exceptions; empty if there is none.

    A sanitizer ends with a summary and a report in between; Rust's panics end with a backtrace, a hint, or both.
    """
    text = _OPERAND.sub(r" \1: ", _BACKTRACE.sub("", said.decode("utf-8", "replace")))
    lines = [line for line in map(in_one_line, text.splitlines()) if line]
    for line in reversed(lines):
        if _SUMMARY.match(line):
            return line
    return next((line for line in reversed(lines) if not _EMPTY_WORDS.match(line)), "")


def shown(data: bytes) -> str:
    """Return the beginning of ``data``, escaped and in quotes."""
    return repr(data[:64])[1:] + (f" and {len(data) - 64} bytes more" if len(data) > 64 else "")


def in_one_line(line: str) -> str:
    """Return ``line`` without control characters and terminal escapes, shortened."""
    text = plain(_CONTROL.sub("", _ESCAPE.sub("", line.replace("\n", " "))).strip())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
