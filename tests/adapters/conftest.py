# SPDX-License-Identifier: Apache-2.0
"""Ways to contain programs under test."""

import pytest

from bpf_isa.adapters.processes.client import containment
from bpf_isa.adapters.processes.containment import REAPER


@pytest.fixture(params=[True, False], ids=["namespaces", "reaper"])
def contained(request: pytest.FixtureRequest) -> bool:
    """Whether to use namespaces; a machine that does not allow them can show the other way only."""
    wanted: bool = request.param
    if wanted and (found := containment()).kind == REAPER:
        pytest.skip(f"not run: here programs run {found.where}")
    return wanted
