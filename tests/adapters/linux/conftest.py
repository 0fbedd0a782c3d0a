# SPDX-License-Identifier: Apache-2.0
"""Programs for the running kernel."""

import sys
from collections.abc import Callable
from typing import Any

import pytest

from bpf_isa.adapters.linux.adapter import LinuxAdapter
from bpf_isa.adapters.protocol import Job, Outcome
from bpf_isa.spec.asm.assemble import assemble
from bpf_isa.spec.encoding import ByteOrder


@pytest.fixture
def run(kernel: LinuxAdapter, job: Callable[..., Job]) -> Callable[..., Outcome]:
    """Run one program on the kernel: assembly or code, and fields of the job."""

    def run_one(program: str | bytes, **fields: Any) -> Outcome:
        (outcome,) = kernel.run([job(program, **fields)])
        return outcome

    return run_one


@pytest.fixture
def job() -> Callable[..., Job]:
    """Make a job of assembly or code, and fields; the native byte order and r0 unless they are given."""

    def make_job(
        program: str | bytes, *, byte_order: ByteOrder = sys.byteorder, observe: str = "r0", **fields: Any
    ) -> Job:
        code = assemble(program, byte_order) if isinstance(program, str) else program
        return Job("test", code, byte_order, frozenset(), frozenset(observe.split()), **fields)

    return make_job
