# SPDX-License-Identifier: Apache-2.0
"""Runs jobs on librte_bpf in a separate process, and classifies its error messages."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from ...spec import strict_yaml
from ...spec.asm.assemble import assemble
from ...spec.encoding import SLOT_BYTES, Decoded, identify, unpack
from ..batch.adapter import BatchAdapter
from ..closing import Closing
from ..protocol import UNCLASSIFIED, Job, Outcome, OutcomeKind, Reason, RuntimeInfo
from . import harness
from .library import find_library

_MESSAGES = Path(__file__).with_name("messages.yaml")
_PC = re.compile(r"\bpc: (\d+)")
#: Instructions put before each program: DPDK sets R1 at entry and nothing else.
_BEFORE = 1


@dataclass(frozen=True, slots=True)
class Message:
    """A message of librte_bpf about a program that it does not load; see ``messages.yaml``."""

    id: str
    kind: Literal["instruction", "policy"]
    pattern: re.Pattern[str]
    why: str
    example: str


@cache
def messages() -> tuple[Message, ...]:
    """Return the table of messages."""
    data: Any = strict_yaml.load(_MESSAGES).data
    return tuple(
        Message(row["id"], row["kind"], re.compile("|".join(row["messages"])), row["why"], row["example"])
        for row in data["messages"]
    )


class DpdkAdapter(Closing):
    """One engine of librte_bpf.

    Args:
        engine: which one.
        timeout: seconds for one program.

    Raises:
        Unavailable: the library is missing or does not work.
    """

    def __init__(self, engine: Literal["interpreter", "jit"], timeout: float = 10.0) -> None:
        command = [sys.executable, "-I", "-S", harness.__file__, engine, str(find_library())]
        self._batch = BatchAdapter(command, timeout=timeout)

    def info(self) -> RuntimeInfo:
        """Return the identity of DPDK; it claims no conformance groups."""
        return self._batch.info()

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Run ``jobs``; see :class:`..protocol.Adapter`."""
        for job in jobs:
            if len(job.code) % SLOT_BYTES:
                text = "rte_bpf_load takes a number of instructions, not of bytes"
                reason = Reason("dpdk.whole-slots", text, "platform")
                yield Outcome(OutcomeKind.UNSUPPORTED, reason=reason)
            else:
                (outcome,) = self._batch.run([job._replace(code=_before(job) + job.code)])
                yield _explained(job, outcome)

    def close(self) -> None:
        """End the process."""
        self._batch.close()


def interpreter(**options: float) -> DpdkAdapter:
    """Return DPDK's interpreter."""
    return DpdkAdapter("interpreter", **options)


def jit(**options: float) -> DpdkAdapter:
    """Return DPDK's JIT."""
    return DpdkAdapter("jit", **options)


def _before(job: Job) -> bytes:
    return assemble(f"w2 = {len(job.memory or b'')}", job.byte_order)


def _explained(job: Job, outcome: Outcome) -> Outcome:
    """Return an outcome with the slots of the vector and the classified message in its reason.

    A program that DPDK does not load is ``rejected`` if it should be, and otherwise ``unsupported``: DPDK implements
    only a part of the instruction set, and its verifier has additional rules.
    """
    code, said, _ = outcome.reason
    if code == "run":
        return outcome._replace(reason=Reason("dpdk.run-time-error", _PC.sub(r"byte \1", said), "platform"))
    if code == "dpdk.no-jit":
        return outcome._replace(reason=Reason(code, said, "platform"))
    if code != "load":
        return outcome
    slot = next((int(match[1]) - _BEFORE for match in _PC.finditer(said)), None)
    line = _PC.sub(lambda match: f"pc: {int(match[1]) - _BEFORE}", said)
    if not line:
        reason = Reason("dpdk.refused", "rte_bpf_load fails without a word", "platform")
    else:
        message = next((item for item in messages() if item.pattern.fullmatch(said)), None)
        if message is None:
            return outcome._replace(
                kind=OutcomeKind.UNSUPPORTED, reason=Reason(UNCLASSIFIED, f"DPDK does not load the program: {line}")
            )
        if message.kind == "instruction":
            reason = Reason(f"dpdk.{message.id}", line + ("" if slot is None else _named(job, slot)))
        else:
            reason = Reason(f"dpdk.{message.id}", line, "platform")
    kind = OutcomeKind.REJECTED if job.wants_rejection else OutcomeKind.UNSUPPORTED
    return outcome._replace(kind=kind, reason=reason)


def _named(job: Job, slot: int) -> str:
    """Return the name of the instruction at ``slot``, in parentheses, if it is one."""
    slots = unpack(job.code, job.byte_order)
    item = identify(slots, slot) if 0 <= slot < len(slots) else None
    return f" ({item.instruction.name})" if isinstance(item, Decoded) else ""
