# SPDX-License-Identifier: Apache-2.0
"""Which instructions a kernel does not know."""

import platform
import sys
from collections.abc import Callable, Generator, Sequence

import pytest

from bpf_isa.adapters.linux.adapter import LinuxAdapter
from bpf_isa.adapters.linux.conduct import conduct
from bpf_isa.adapters.linux.kernel import KernelAdapter
from bpf_isa.adapters.linux.packed import asked, report
from bpf_isa.adapters.linux.process import ProcessGuest
from bpf_isa.adapters.linux.profile import probes
from bpf_isa.adapters.protocol import Job, OutcomeKind
from bpf_isa.spec.table import isa

NATIVE = sys.byteorder


@pytest.fixture(scope="module")
def refused(kernel: LinuxAdapter) -> set[str]:
    """What the running kernel refuses of the probes."""
    del kernel  # it is there
    jobs = probes(NATIVE, "RAW_TRACEPOINT")
    with ProcessGuest(platform.machine()) as guest:
        answers = conduct(guest, list(jobs.values()))
        pairs = zip(jobs.items(), answers, strict=True)
        return {
            name
            for (name, job), answer in pairs
            if isinstance(answer, bytes)
            and any("Refused" in type(one).__name__ for one in report(answer, asked(job, NATIVE)).results)
        }


def test_a_current_kernel_has_nothing_to_refuse(refused: set[str]) -> None:
    assert refused == set()


def test_most_rows_are_probed() -> None:
    assert len(probes("big", "RAW_TRACEPOINT")) > 0.9 * len(isa().instructions)


class WithoutTheInstruction:
    """The guest of this machine, with an opcode that is none in place of that of ``row`` (dst and src are r1)."""

    byte_order = NATIVE

    def __init__(self, guest: ProcessGuest, row: str) -> None:
        self._guest, self._opcode = guest, isa().by_name[row].opcode

    def run(self, jobs: Sequence[bytes]) -> Generator[bytes, None, None]:
        slot = bytes([self._opcode, 0x11, 0, 0])
        yield from self._guest.run([job.replace(slot, b"\xff" + slot[1:]) for job in jobs])


def test_programs_with_what_the_kernel_does_not_have_are_unsupported(
    kernel: LinuxAdapter, job: Callable[..., Job]
) -> None:
    del kernel  # it is there
    with ProcessGuest(platform.machine()) as guest:
        old = WithoutTheInstruction(guest, "MUL64_X")
        with KernelAdapter(old, "linux", platform.machine()) as adapter:
            programs = ("r1 *= r1\nexit", "r1 += r1\nexit", "r1 *= r1\nr10 = 1\nexit")
            one, two, three = adapter.run([job(f"r1 = 1\nr0 = 0\n{rest}") for rest in programs])
    assert (one.kind, one.reason.code) == (OutcomeKind.UNSUPPORTED, "linux.instruction")
    assert one.reason.text.endswith(" does not have MUL64_X")
    assert two.kind is OutcomeKind.RETURNED
    assert three.kind is OutcomeKind.UNSUPPORTED
