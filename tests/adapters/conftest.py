# SPDX-License-Identifier: Apache-2.0
"""Ways to contain programs under test; the running kernel, for tests that use it."""

from collections.abc import Iterator

import pytest

from bpf_isa.adapters.linux.adapter import LinuxAdapter, privileged
from bpf_isa.adapters.processes.client import containment
from bpf_isa.adapters.processes.containment import REAPER
from bpf_isa.adapters.protocol import Unavailable


@pytest.fixture(params=[True, False], ids=["namespaces", "reaper"])
def contained(request: pytest.FixtureRequest) -> bool:
    """Whether to use namespaces; a machine that does not allow them can show the other way only."""
    wanted: bool = request.param
    if wanted and (found := containment()).kind == REAPER:
        pytest.skip(f"not run: here programs run {found.where}")
    return wanted


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
