# SPDX-License-Identifier: Apache-2.0
"""Runs as the runner makes them, but in this process: what they come to is the same, and no process has to start."""

from collections.abc import Sequence
from typing import cast

from bpf_isa.adapters.protocol import Adapter, Job, Reason, Unavailable
from bpf_isa.adapters.reference import ReferenceAdapter
from bpf_isa.conformance.run.runner import RuntimeRun, ask
from bpf_isa.conformance.run.worker import HarnessFailure
from bpf_isa.conformance.run.workers import OnAnswer, WorkerPool
from bpf_isa.conformance.suite.model import Vector

from . import faulty


class _Here:
    """In place of worker processes."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def run(self, jobs: Sequence[Job], on_answer: OnAnswer) -> None:
        for index, job in enumerate(jobs):
            try:
                (answer,) = self._adapter.run([job])
            except LookupError as error:
                on_answer(index, HarnessFailure(Reason("adapter", f"{type(error).__name__}: {error}", "harness")))
            else:
                on_answer(index, answer)


def here(adapter: Adapter) -> WorkerPool:
    """Return what runs jobs on ``adapter`` as a pool does."""
    return cast("WorkerPool", _Here(adapter))


def run_of(runtime: str, vectors: Sequence[Vector], name: str = "") -> RuntimeRun:
    """Test a runtime of :mod:`.faulty`, or ``reference``."""
    name = name or runtime
    try:
        adapter: ReferenceAdapter = ReferenceAdapter() if runtime == "reference" else getattr(faulty, runtime)()
    except Unavailable as reason:
        return RuntimeRun(name, None, problem=str(reason))
    with adapter:
        info = adapter.info()
        results = ask(here(adapter), info, vectors, trust_claims=True)
    return RuntimeRun(name, info, results, seconds=1.23456)
