# SPDX-License-Identifier: Apache-2.0
"""`bpf-isa bench`: which figures it gives. How high they are is not tested."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from bpf_isa.conformance import benchmark
from bpf_isa.conformance.cli import main
from bpf_isa.reference_vm.faults import Returned
from bpf_isa.reference_vm.interpreter import execute


@pytest.fixture
def short_workloads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workloads that are over at once."""
    monkeypatch.setattr(
        benchmark, "WORKLOADS", tuple(replace(workload, rounds=100) for workload in benchmark.WORKLOADS)
    )


@pytest.mark.parametrize("workload", benchmark.WORKLOADS, ids=lambda workload: workload.name)
def test_a_workload_does_what_it_is_for(workload: benchmark.Workload) -> None:
    few, more = (execute(workload.code(rounds), memory=bytes(benchmark.MEMORY_BYTES)) for rounds in (10, 20))
    assert isinstance(few, Returned)
    assert isinstance(more, Returned)
    assert few.steps < more.steps < workload.rounds


@pytest.mark.usefixtures("short_workloads")
def test_json_has_a_rate_for_each_workload_and_engine() -> None:
    result = CliRunner().invoke(main, ["bench", "--json", "--repeat", "1"])
    assert result.exit_code == 0
    document = json.loads(result.output)
    engines: dict[str, set[str]] = {}
    for rate in document["rates"]:
        engines.setdefault(rate["workload"], set()).add(rate["engine"])
        assert rate["instructions"] > 0
        assert rate["instructions_per_second"] == pytest.approx(rate["instructions"] / rate["seconds"])
    assert engines.keys() == {"alu", "memory", "branchy"}
    assert all({"interpreter", "interpreter, row by row"} <= names for names in engines.values())
    assert document["short_programs_per_second"] > 0
    loading = document["load_suite"]
    assert loading["vectors"] > 10_000
    assert loading["vectors_per_second"] == pytest.approx(loading["vectors"] / loading["seconds"])


@pytest.mark.usefixtures("short_workloads")
def test_the_table_names_each_workload() -> None:
    result = CliRunner().invoke(main, ["bench", "--repeat", "1"])
    assert result.exit_code == 0
    assert [
        name for name in ("alu", "memory", "branchy", "decoded and run", "load suite") if name not in result.output
    ] == []
