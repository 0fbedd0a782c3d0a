# SPDX-License-Identifier: Apache-2.0
"""A process of a runtime, and the exchange of requests and answers with it, one at a time."""

from __future__ import annotations

import json
import os
import select
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path
from time import monotonic
from typing import Any

from ...spec.validate import SchemaError, check
from ..closing import Closing
from ..processes.client import Ended, Resident
from ..processes.ending import Ending
from ..processes.evidence import in_one_line, last_line, shown
from ..processes.settings import Settings, why_not_started
from ..protocol import Reason

PROTOCOL = 1
SCHEMAS = Path(__file__).with_name("schema")
IDENTITY, RESULT = SCHEMAS / "identity.schema.json", SCHEMAS / "result.schema.json"
#: No valid answer is longer.
LONGEST_LINE = 1 << 24
#: Members of answers that are shown to users.
_WORDS = ("name", "version", "architecture", "reason")
_KEPT_ERRORS = 1 << 16
_READ = 1 << 16
#: Seconds until a process that has closed its standard output should end.
_ENDING = 5.0


class Trouble(Enum):
    """The ways in which a conversation can fail."""

    DIED = "died"
    SILENT = "silent"
    WRONG = "wrong"  # it said something that is no answer
    UNSTARTED = "unstarted"


class Broken(Exception):
    """A conversation that has failed, and the reason."""

    def __init__(self, trouble: Trouble, reason: Reason) -> None:
        super().__init__(str(reason))
        self.trouble, self.reason = trouble, reason


class Conversation(Closing):
    """A started process of a runtime.

    Args:
        command: its first word is the path of an executable.
        settings: limits and environment.

    Raises:
        Broken: it violates the protocol at the start.
    """

    def __init__(self, command: Sequence[str], settings: Settings) -> None:
        self._command, self._timeout, self._limits = command, settings.timeout, settings.limits
        self._process = Resident(command, self._limits, settings.folder, settings.environment)
        self._heard, self._errors = bytearray(), bytearray()
        for descriptor in (self._process.stdin, self._process.stdout, self._process.stderr):
            os.set_blocking(descriptor, False)
        try:
            self.identity = self.ask({"cmd": "start", "protocol": PROTOCOL}, IDENTITY)
        except Broken:
            self.close()
            raise

    def ask(self, question: dict[str, Any], schema: Path = RESULT) -> dict[str, Any]:
        """Return the answer to ``question``.

        Raises:
            Broken: there is none, or it violates ``schema``.
        """
        line = self._exchange(json.dumps(question, separators=(",", ":")).encode() + b"\n")
        try:
            answer = json.loads(line)
        except ValueError as error:
            raise Broken(
                Trouble.WRONG, Reason("protocol", f"it said {shown(line)}, which is no JSON: {error}")
            ) from None
        except RecursionError:
            raise Broken(
                Trouble.WRONG, Reason("protocol", f"it said {shown(line)}, which is nested too deeply")
            ) from None
        try:
            check(answer, schema)
        except SchemaError as error:
            raise Broken(Trouble.WRONG, Reason("protocol", f"{error}: it said {shown(line)}")) from None
        if "seq" in question and answer["seq"] != question["seq"]:
            raise Broken(Trouble.WRONG, Reason("protocol", f"asked {question['seq']}, it answered {answer['seq']}"))
        checked: dict[str, Any] = answer
        return checked | {key: in_one_line(checked[key]) for key in _WORDS if key in checked}

    def stop(self) -> Ended | None:
        """Send ``stop``; return how the process ended, or None if it still runs."""
        with suppress(BrokenPipeError, BlockingIOError):
            os.write(self._process.stdin, b'{"cmd":"stop"}\n')
        return self._process.wait(self._timeout)

    def hang_up(self) -> Ended | None:
        """Close its standard input; return how the process ended, or None if it still runs."""
        self._process.close_stdin()
        return self._process.wait(self._timeout)

    def rest(self) -> bytes:
        """Return the output of the process after its last answer."""
        while (data := _read(self._process.stdout)) is not None and data:
            self._heard += data
        return bytes(self._heard)

    def close(self) -> None:
        """Kill the process and its descendants."""
        self._process.close()

    def _exchange(self, line: bytes) -> bytes:
        """Send a line and return the one that comes back."""
        process = self._process
        if self._heard:
            raise Broken(Trouble.WRONG, Reason("protocol", f"it said {shown(bytes(self._heard))} without being asked"))
        left = self._write(memoryview(line))
        poll = select.poll()
        poll.register(process.stdout, select.POLLIN)
        poll.register(process.stderr, select.POLLIN)
        if left:
            poll.register(process.stdin, select.POLLOUT)
        deadline = monotonic() + self._timeout
        while (patience := deadline - monotonic()) > 0:
            for descriptor, _ in poll.poll(patience * 1000 + 1):
                if descriptor == process.stdin:
                    left = self._write(left)
                    if not left:
                        poll.unregister(descriptor)
                    continue
                data = _read(descriptor)
                if descriptor == process.stderr:
                    if data == b"":
                        poll.unregister(descriptor)
                    self._remember(data or b"")
                elif data == b"":
                    raise self._death()
                elif data:
                    at = len(self._heard)
                    self._heard += data
                    end = self._heard.find(b"\n", at)
                    if end >= 0:
                        answer = bytes(self._heard[:end])
                        del self._heard[: end + 1]
                        return answer
            if len(self._heard) > LONGEST_LINE:
                raise Broken(Trouble.WRONG, Reason("oversized", f"a line of more than {LONGEST_LINE} bytes"))
        raise Broken(Trouble.SILENT, self._reason(Reason("timeout", f"no answer within {self._timeout:g} s")))

    def _write(self, left: memoryview) -> memoryview:
        """Write as much of ``left`` as the pipe takes, and return the rest."""
        try:
            return left[os.write(self._process.stdin, left) :]
        except BlockingIOError:
            return left
        except BrokenPipeError:
            # Its output or its exit status shows the reason.
            return left[:0]

    def _remember(self, data: bytes) -> None:
        self._errors += data
        del self._errors[:-_KEPT_ERRORS]

    def _death(self) -> Broken:
        """Return how a process ended that has closed its standard output."""
        ended = self._process.wait(min(_ENDING, self._timeout))
        while data := _read(self._process.stderr):
            self._remember(data)
        if ended is None:
            return Broken(Trouble.DIED, self._reason(Reason("closed", "it has closed its standard output")))
        if ended.ending is Ending.NOT_STARTED:
            return Broken(Trouble.UNSTARTED, Reason(text=why_not_started(ended.status)))
        if excess := ended.excess(self._limits):
            return Broken(Trouble.DIED, self._reason(excess))
        if ended.signal is not None:
            return Broken(Trouble.DIED, self._reason(Reason("signal", f"killed by {ended.signal}")))
        return Broken(Trouble.DIED, self._reason(Reason("exit", f"it ended with exit status {ended.exit_status}")))

    def _reason(self, reason: Reason) -> Reason:
        """Return ``reason`` with the last output of the process."""
        text = reason.text
        if self._heard:
            text += f", after {shown(bytes(self._heard))} without a newline"
        line = last_line(bytes(self._errors))
        return reason._replace(text=f"{text}; stderr: {line}" if line else text)


def _read(descriptor: int) -> bytes | None:
    """Return the available data, b"" at the end, None if there is none yet."""
    try:
        return os.read(descriptor, _READ)
    except BlockingIOError:
        return None
