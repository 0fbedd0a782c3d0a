# SPDX-License-Identifier: Apache-2.0
"""Checks of a command against the batch protocol; each check is one requirement of ``docs/batch-protocol.md``.

They test the protocol, not the instruction set: they use a few base32 instructions, which need not be supported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from ...spec.asm.assemble import assemble
from ...spec.encoding import SLOT_BYTES
from ...spec.table import isa
from ..processes.evidence import shown
from ..processes.settings import Settings
from ..protocol import RuntimeInfo, Unavailable
from .adapter import identity_of
from .conversation import Broken, Conversation, Trouble

#: The number of consecutive programs that a runtime should run.
MANY = 500
#: Twice the range of a 16-bit jump in one direction, in slots.
LONG = 1 << 16
_ANSWER = 0x2A


class Missed(Exception):
    """A requirement that is not met; the message says what happened instead."""


class Finding(NamedTuple):
    """The result of a check: ``problem`` is None if it passes, ``note`` says what could not be checked."""

    demand: str
    problem: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """A command under test, and its identity."""

    command: Sequence[str]
    settings: Settings
    info: RuntimeInfo

    def converse(self) -> Conversation:
        """Start it."""
        return Conversation(self.command, self.settings)

    def program(self, text: str) -> str:
        """Return the program of the assembly ``text``, in hexadecimal."""
        return assemble(text, self.info.byte_order).hex()

    def returned(self, conversation: Conversation, seq: int, text: str, memory: str | None = None) -> dict[str, Any]:
        """Run a program that must return, and return the answer.

        Raises:
            Missed: it did not return.
            Broken: there was no answer.
        """
        answer = conversation.ask(_question(seq, self.program(text), memory))
        if answer["outcome"] != "returned":
            raise Missed(f"the program `{'; '.join(text.splitlines())}` {answer['outcome']}: {answer.get('reason')}")
        return answer


Check: TypeAlias = Callable[[Subject], "str | None"]


def smoke(command: Sequence[str], settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each requirement; if the first is not met, it is the only one.

    Raises:
        Unavailable: the command cannot be executed, or claims conformance groups that do not exist.
    """
    try:
        with Conversation(command, settings) as conversation:
            info = identity_of(conversation.identity, settings)
    except Broken as broken:
        if broken.trouble is Trouble.UNSTARTED:
            raise Unavailable(f"{command[0]}: {broken.reason}") from None
        yield Finding("It introduces itself", str(broken.reason))
        return
    yield Finding("It introduces itself")
    subject = Subject(command, settings, info)
    for demand, check in CHECKS.items():
        try:
            yield Finding(demand, note=check(subject))
        except (Broken, Missed) as problem:
            yield Finding(demand, str(problem))


def _question(seq: int, program: str, memory: str | None = None) -> dict[str, Any]:
    return {"cmd": "run", "seq": seq, "id": "smoke", "program": program, "memory": memory}


def _runs(subject: Subject) -> None:
    with subject.converse() as conversation:
        answer = subject.returned(conversation, 1, f"w0 = {_ANSWER}\nexit")
    if int(answer["r0"], 16) != _ANSWER:
        raise Missed(f"`w0 = {_ANSWER}; exit` returned r0 = {answer['r0']}")


def _sequence(subject: Subject) -> None:
    with subject.converse() as conversation:
        for seq in (0, 7, 1 << 31, 1 << 40):
            subject.returned(conversation, seq, "w0 = 1\nexit")


def _entry(subject: Subject) -> str | None:
    with subject.converse() as conversation:
        for memory in ("0102030405", None):
            length = len(memory or "") // 2
            answer = conversation.ask(_question(1, subject.program("w0 = w2\nexit"), memory))
            if answer["outcome"] == "unsupported":
                return "it does not support `w0 = w2`"
            if answer["outcome"] != "returned" or int(answer["r0"], 16) != length:
                raise Missed(f"with {length} bytes of memory, `w0 = w2; exit` gave {_told(answer)}")
        answer = conversation.ask(_question(2, subject.program("w0 = *(u8 *)(r1 + 3)\nexit"), "0102030405"))
    if answer["outcome"] == "unsupported":
        return "it does not support `w0 = *(u8 *)(r1 + 3)`"
    if answer["outcome"] != "returned" or int(answer["r0"], 16) != 4:
        raise Missed(f"with memory 01 02 03 04 05, `w0 = *(u8 *)(r1 + 3); exit` gave {_told(answer)}")
    return None


def _fresh_memory(subject: Subject) -> str | None:
    store = subject.program("*(u8 *)(r1 + 0) = 255\nw0 = 0\nexit")
    load = subject.program("w0 = *(u8 *)(r1 + 0)\nexit")
    with subject.converse() as conversation:
        answers = [conversation.ask(_question(seq, code, "0102")) for seq, code in enumerate((store, load))]
    if "unsupported" in {answer["outcome"] for answer in answers}:
        return "it does not support loading or storing a byte"
    if answers[1]["outcome"] != "returned" or int(answers[1]["r0"], 16) != 1:
        raise Missed(f"after a program that stores to its memory, the next one with memory 01 02 {_told(answers[1])}")
    return None


def _bad_programs(subject: Subject) -> None:
    unknown = next(opcode for opcode in range(256) if not isa().by_opcode.get(opcode))
    bad = {
        "a program with an unknown opcode": bytes([unknown]) + bytes(SLOT_BYTES - 1),
        "a program of 12 bytes": bytes(12),
        "an empty program": b"",
    }
    with subject.converse() as conversation:
        for seq, (what, code) in enumerate(bad.items()):
            answer = conversation.ask(_question(seq, code.hex()))
            if answer["outcome"] == "returned":
                raise Missed(f"{what} returned r0 = {answer['r0']}")
        subject.returned(conversation, len(bad), "w0 = 1\nexit")


def _shows(subject: Subject) -> str | None:
    observes = subject.info.observes
    if observes == {"r0"}:
        return "it shows r0 only"
    with subject.converse() as conversation:
        answer = subject.returned(conversation, 1, "w0 = 1\nexit", "0a0b0c")
    if "registers" in observes and len(answer.get("registers", {})) < 10:
        raise Missed("it observes registers, but does not show r0 to r9")
    if "memory" in observes and answer.get("memory", "").lower() != "0a0b0c":
        raise Missed(f"it observes memory, but shows {answer.get('memory')!r} for 0a0b0c, which nothing has changed")
    return None


def _many(subject: Subject) -> None:
    with subject.converse() as conversation:
        for seq in range(MANY):
            answer = subject.returned(conversation, seq, f"w0 = {seq}\nexit")
            if int(answer["r0"], 16) != seq:
                raise Missed(f"`w0 = {seq}; exit` returned r0 = {answer['r0']}")


def _long(subject: Subject) -> None:
    code = assemble("w0 = 0\n", subject.info.byte_order) * (LONG - 1) + assemble("exit", subject.info.byte_order)
    with subject.converse() as conversation:
        conversation.ask(_question(1, code.hex(), "00" * 4096))
        subject.returned(conversation, 2, "w0 = 1\nexit")


def _unknown_members(subject: Subject) -> None:
    with subject.converse() as conversation:
        question = {**_question(1, subject.program("w0 = 1\nexit")), "later": {"version": [1, 2]}}
        answer = conversation.ask(question)
        if answer["outcome"] != "returned":
            raise Missed(f"a question with one more member gave {_told(answer)}")


def _stops(subject: Subject) -> None:
    with subject.converse() as conversation:
        subject.returned(conversation, 1, "w0 = 1\nexit")
        ended = conversation.stop()
        if ended is None:
            raise Missed(f"{subject.settings.timeout:g} s after `stop` it still runs")
        if ended.status:
            how = f"was killed by {ended.signal}" if ended.signal else f"ended with exit status {ended.exit_status}"
            raise Missed(f"after `stop` it {how}")
        rest = conversation.rest()
        if rest:
            raise Missed(f"it said {shown(rest)} after its last answer")


def _ends(subject: Subject) -> None:
    with subject.converse() as conversation:
        if conversation.hang_up() is None:
            raise Missed(f"{subject.settings.timeout:g} s after the end of its standard input it still runs")


def _told(answer: dict[str, Any]) -> str:
    return f"{answer['outcome']}, {answer.get('r0') or answer.get('reason')}"


CHECKS: dict[str, Check] = {
    "It runs a program and tells R0": _runs,
    "It repeats the number of each question": _sequence,
    "R1 and R2 are address and length of the memory": _entry,
    "Each program gets its memory as it was sent": _fresh_memory,
    "What is no program does not return, and does no harm": _bad_programs,
    "It shows what it observes": _shows,
    f"It answers {MANY} questions in a row": _many,
    f"It reads a program of {LONG} slots": _long,
    "It ignores members that it does not know": _unknown_members,
    "It stops when it is told to, with exit status 0": _stops,
    "It ends with its standard input": _ends,
}
"""The checks after the start, in the order of the report."""
