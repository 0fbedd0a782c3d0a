# SPDX-License-Identifier: Apache-2.0
"""Runs that tests of results share, and what the commands say of them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from click.testing import Result as Done

from bpf_isa.conformance.cli import main
from bpf_isa.conformance.results import document as results
from bpf_isa.conformance.run.runner import Result, RuntimeRun
from bpf_isa.conformance.suite.suite import load_suite

HERE = Path(__file__).parents[1]
SAMPLE = HERE / "data" / "sample.yaml"
WRONG = "add_forgets_the_carry"
WHY = {"code": "x", "text": "y", "blames": "instruction"}


SUITE = load_suite([HERE / "data" / "sample.yaml"])
STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NAMES = ["add_forgets_the_carry", "ignores_the_source_of_bswap", "claims_base32", "Raises", "unavailable"]


def bpf_isa(*arguments: str | Path) -> Done:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def written(path: Path, entries: str, runtime: str = "mine") -> Path:
    path.write_text(
        f"runtime: {runtime}\nexpectations:\n{entries}" if entries else f"runtime: {runtime}\nexpectations: []\n"
    )
    return path


CARRY = "  - {vectors: add64-x/carries, verdict: fail, failure: wrong-result, reason: no carry}\n"


def gate(folder: Path, name: str, *entries: str, require: str = "", status: int = 1) -> list[tuple[str, str, str]]:
    """Run the gate on results and one expectation file; return what it finds: kind, what, message."""
    arguments: list[str | Path] = ["gate", folder / f"{name}.json", "--json", "-"]
    if entries:
        arguments += ["--expectations", written(folder / "known.yaml", "".join(entries))]
    if require:
        arguments += ["--require", require]
    done = bpf_isa(*arguments)
    assert done.exit_code == status, done.output
    data = json.loads(done.stdout)
    assert data["open"] == (status == 0)
    return [(item["kind"], item["what"], item["message"]) for item in data["violations"]]


def document(folder: Path, name: str, **changes: Any) -> results.Json:
    """Results with changes at the top."""
    data: results.Json = json.loads((folder / f"{name}.json").read_text())
    return data | changes


def essence(one: RuntimeRun) -> Any:
    """What has to survive: all but what a document leaves out of a pass, and differences of times in a rounding."""
    found = [
        (result.vector.id, result.outcome and result.outcome.kind, result.judgement, seen(result))
        for result in one.results
    ]
    return (one.name, one.info, one.problem, one.broken, one.complete, round(one.seconds, 3), one.unrepeated, found)


def seen(result: Result) -> Any:
    outcome, judgement = result.outcome, result.judgement
    if outcome is None or judgement.failure is None or outcome.r0 is None:
        return None
    return outcome.r0, outcome.registers, outcome.memory
