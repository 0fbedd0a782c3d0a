# SPDX-License-Identifier: Apache-2.0
"""Runs that tests of results share."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bpf_isa.adapters.protocol import Outcome, OutcomeKind, Reason
from bpf_isa.conformance.results import document as results
from bpf_isa.conformance.results.document import Command, Run, Selection
from bpf_isa.conformance.run.runner import Result
from bpf_isa.conformance.run.verdict import (
    harness_error,
)
from bpf_isa.conformance.suite.model import Vector
from bpf_isa.conformance.suite.select import by_expression, by_groups
from bpf_isa.conformance.suite.suite import load_suite

from ..inprocess import run_of
from .runs import NAMES, SAMPLE, STARTED, SUITE, WRONG


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results: right.json of a runtime `mine` without failures, wrong.json of a `mine` with one, and others."""
    folder = tmp_path_factory.mktemp("results")
    suite = load_suite([SAMPLE])

    def kept(name: str, vectors: Sequence[Vector], runtimes: Mapping[str, str], selection: Selection) -> None:
        runs = [run_of(runtime, vectors, as_name) for as_name, runtime in runtimes.items()]
        document = results.document(Run(suite, vectors, runs, selection))
        results.write(document, folder / f"{name}.json")

    for name, runtimes in {
        "right": {"mine": "reference"},
        "wrong": {"mine": WRONG},
        "lenient": {"mine": "ignores_the_source_of_bswap"},
        "small": {"mine": "claims_base32"},
        "mute": {"mine": "HasNoFunctions"},
        "both": {"good": "reference", "bad": WRONG},
        "raises": {"mine": "Raises"},
        "missing": {"mine": "unavailable", "reference": "reference"},
    }.items():
        kept(name, suite.vectors, runtimes, Selection())
    for name, selection, tests in [
        ("part", Selection("add64-x"), [by_expression("add64-x")]),
        ("group", Selection(groups=("divmul64",)), [by_groups(["divmul64"])]),
        ("part-of-group", Selection("smod64", ("divmul64",)), [by_expression("smod64"), by_groups(["divmul64"])]),
    ]:
        kept(name, suite.select(tests), {"mine": "reference"}, selection)
    return folder


@pytest.fixture(scope="session")
def made() -> Run:
    """A run of runtimes that are wrong in different ways, one of which was interrupted."""
    runs = [run_of(name, SUITE.vectors) for name in NAMES]
    late = Outcome(OutcomeKind.TIMED_OUT, reason=Reason("timeout", "no answer within 1 s"))
    runs[0] = replace(runs[0], unrepeated=[("add64-x/wraps", late)])
    not_run = Result(runs[3].results[-1].vector, None, harness_error(Reason("not-run", "the run was interrupted")))
    runs[3] = replace(
        runs[3], complete=False, problem="the run was interrupted", results=[*runs[3].results[:-1], not_run]
    )
    command = Command("/somewhere", ("a", "b"), "--args", ("v.yaml",), ("d.data",), 7.5)
    selection = Selection("x", ("base32",), ("4.1",), ("must", "abi"), "quick")
    return Run(SUITE, SUITE.vectors, runs, selection, STARTED, 12.3456, command)
