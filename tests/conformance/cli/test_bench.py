# SPDX-License-Identifier: Apache-2.0
"""`bpf-isa bench`: which figures it gives. How high they are is not tested."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from bpf_isa.conformance.bench import jit as jit_benchmark
from bpf_isa.conformance.bench import suite as benchmark
from bpf_isa.conformance.cli import bench, main
from bpf_isa.reference_vm.faults import Returned
from bpf_isa.reference_vm.interpreter import execute


@pytest.fixture
def short_workloads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workloads that are over at once."""
    monkeypatch.setattr(
        benchmark, "WORKLOADS", tuple(replace(workload, iterations=100) for workload in benchmark.WORKLOADS)
    )
    programs = {
        name: program._replace(iterations=2, memory_bytes=min(64, program.memory_bytes))
        for name, program in jit_benchmark.PROGRAMS.items()
        if name in {"words", "calls"}
    }
    monkeypatch.setattr(jit_benchmark, "PROGRAMS", programs)
    monkeypatch.setattr(bench, "_EVERY", 1000)
    monkeypatch.setattr(jit_benchmark, "ENOUGH", 0)


@pytest.mark.parametrize("workload", benchmark.WORKLOADS, ids=lambda workload: workload.name)
def test_a_workload_does_what_it_is_for(workload: benchmark.Workload) -> None:
    few, more = (execute(workload.code(iterations), memory=bytes(benchmark.MEMORY_BYTES)) for iterations in (10, 20))
    assert isinstance(few, Returned)
    assert isinstance(more, Returned)
    assert few.steps < more.steps < workload.iterations


@pytest.mark.long
@pytest.mark.usefixtures("short_workloads")
def test_json_has_a_rate_for_each_workload_and_engine() -> None:
    result = CliRunner().invoke(main, ["bench", "--json", "-", "--repeat", "1", "--against", "vm=reference"])
    assert result.exit_code == 0
    document = json.loads(result.output)
    engines: dict[str, set[str]] = {}
    for rate in document["rates"]:
        engines.setdefault(rate["workload"], set()).add(rate["engine"])
        assert rate["instructions"] > 0
        assert rate["instructions_per_second"] == pytest.approx(rate["instructions"] / rate["seconds"])
    loops = {"alu", "memory", "branchy"}
    assert engines.keys() == loops | jit_benchmark.PROGRAMS.keys()
    assert all(engines[name] == {"interpreter", "interpreter, row by row", "jit"} for name in loops)
    assert all(engines[name] == {"jit", "jit, unchecked", "vm"} for name in jit_benchmark.PROGRAMS)
    assert document["jit_suite"]["programs"] > 30
    assert document["jit_suite"]["seconds"].keys() == {"lowering", "parsing", "optimizing", "generating", "running"}
    assert document["short_programs_per_second"] > 0
    loading = document["load_suite"]
    assert loading["vectors"] > 10_000 and loading["kept_seconds"] > 0
    assert loading["vectors_per_second"] == pytest.approx(loading["vectors"] / loading["seconds"])


@pytest.mark.long
@pytest.mark.usefixtures("short_workloads")
def test_the_table_names_each_workload() -> None:
    result = CliRunner().invoke(main, ["bench", "--repeat", "1"])
    assert result.exit_code == 0
    assert [
        name for name in ("alu", "memory", "branchy", "decoded and run", "load suite") if name not in result.output
    ] == []


def test_a_runtime_that_does_not_exist_is_an_error() -> None:
    result = CliRunner().invoke(main, ["bench", "--against", "referense"])
    assert result.exit_code == 2
    assert "did you mean 'reference'" in result.output
