# SPDX-License-Identifier: Apache-2.0
"""What this package knows about runtimes: true of vectors there are, told apart in a run, excusing nothing else."""

from pathlib import Path

import pytest

from bpf_isa.adapters.protocol import RuntimeInfo
from bpf_isa.conformance.results import expectations
from bpf_isa.conformance.run.runner import Result, RuntimeRun
from bpf_isa.conformance.run.verdict import Failure, Judgement, Verdict
from bpf_isa.conformance.suite.model import Vector
from bpf_isa.conformance.suite.suite import load_suite

KNOWN = sorted((Path(expectations.__file__).parents[1] / "known").glob("*.yaml"))
LINUX = RuntimeInfo("linux", "6.18.0", "jit", "x86_64", "little", None, frozenset({"r0"}))


def failed(vector: Vector, failure: Failure) -> Result:
    return Result(vector, None, Judgement(Verdict.FAIL, failure))


def vector(name: str) -> Vector:
    (found,) = [one for one in load_suite().vectors if one.id == name]
    return found


@pytest.mark.parametrize("path", KNOWN, ids=lambda path: path.stem)
def test_every_entry_is_about_vectors_of_the_suite(path: Path) -> None:
    file = expectations.load(path)
    assert file.runtime == path.stem
    ids = [one.id for one in load_suite().vectors]
    for known in file.known:
        assert known.explained
        for pattern in known.patterns:
            one = expectations.Known((pattern,), known.verdict, known.reason)
            assert any(one.matches(name) for name in ids), pattern


def test_a_known_failure_is_foreseen_and_others_are_not() -> None:
    known, other = vector("exit/stray-offset/1"), vector("exit/stray-imm/1")
    run = RuntimeRun("linux", LINUX, [failed(known, Failure.MISEXECUTED), failed(other, Failure.MISEXECUTED)])
    (results,) = expectations.foreseen(run).values()
    assert [result.vector.id for result in results] == [known.id]


def test_what_is_known_about_one_runtime_excuses_no_other() -> None:
    run = RuntimeRun("mine", LINUX, [failed(vector("exit/stray-offset/1"), Failure.MISEXECUTED)])
    run.info = RuntimeInfo("plugin", "1", "unknown", "x86_64", "little", None, frozenset({"r0"}))
    assert expectations.foreseen(run) == {}
