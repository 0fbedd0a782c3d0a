# SPDX-License-Identifier: Apache-2.0
"""The running kernel, for tests that use it; where this user may not, they are not run and say so."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bpf_isa.adapters.linux.adapter import LinuxAdapter, privileged
from bpf_isa.adapters.protocol import Job, Outcome, Unavailable
from bpf_isa.spec.asm.assemble import assemble
from bpf_isa.spec.encoding import ByteOrder


@pytest.fixture(scope="session")
def kernel() -> Iterator[LinuxAdapter]:
    """An adapter to this machine's kernel; its absence is a failure for those who have the capability to use it."""
    try:
        adapter = LinuxAdapter()
    except Unavailable as reason:
        if privileged():
            raise
        pytest.skip(f"not run: {reason}")
    with adapter:
        yield adapter


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
