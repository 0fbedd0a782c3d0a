# SPDX-License-Identifier: Apache-2.0
"""Conformance groups that the user claims for a runtime, and which ones a run suggests to claim."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bpf_isa.adapters.protocol import Outcome, OutcomeKind, Reason, RuntimeInfo
from bpf_isa.adapters.registry import parse_spec
from bpf_isa.conformance.cli import main
from bpf_isa.conformance.results.claims import claiming, suggestion
from bpf_isa.conformance.results.gate import RequirementError
from bpf_isa.conformance.run import runner
from bpf_isa.conformance.run.runner import RuntimeRun
from bpf_isa.conformance.run.verdict import PASSED, judge, unsupported
from bpf_isa.conformance.suite.model import Vector
from bpf_isa.conformance.suite.suite import VECTORS, load_suite

HERE = Path(__file__).parents[1]
SAMPLE = HERE / "data" / "sample.yaml"
INFO = RuntimeInfo("mine", "1", "unknown", "none", "little", None, frozenset({"r0"}))
REFUSED = Outcome(OutcomeKind.REJECTED, reason=Reason("error", "unknown opcode"))
DIED = Outcome(OutcomeKind.CRASHED, reason=Reason("signal", "killed by SIGSEGV"))


def bpf_isa(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def vectors() -> tuple[Vector, ...]:
    """Vectors about all groups, and some programs that every runtime should reject."""
    files = [
        *(VECTORS / "groups").iterdir(),
        *(VECTORS / f"{name}.yaml" for name in ("division", "atomics", "packet")),
    ]
    return load_suite([*files, SAMPLE]).vectors


def told(vectors: tuple[Vector, ...], *missing: str, of: frozenset[str] | None = None, other: object = None) -> str:
    """What is suggested for a runtime that refuses all programs with instructions of some groups."""
    results = []
    for vector in vectors:
        refuses = not vector.groups.isdisjoint(missing)
        judgement = judge(vector.little.expect, REFUSED) if refuses else PASSED
        results.append(runner.Result(vector, REFUSED if refuses else None, judgement))
    return suggestion(RuntimeRun("mine", replace(INFO, groups=of), results)) or ""


def test_the_groups_of_which_nearly_all_is_refused_are_left_out(vectors: tuple[Vector, ...]) -> None:
    text = told(vectors, "divmul32", "divmul64", "atomic32", "atomic64", "packet")
    assert text.startswith("mine refuses nearly all of atomic32, atomic64, divmul32, divmul64, packet (")
    assert text.endswith("if it does not have them, say what it has with --claims base64")
    assert told(vectors, "packet").endswith("--claims base64,atomic64,divmul64")
    assert told(vectors, "atomic64", "divmul64", "packet").endswith("--claims base64,atomic32,divmul32")


def test_groups_that_only_need_what_is_missing_are_not_accused(vectors: tuple[Vector, ...]) -> None:
    """Without base64 few programs say something of the other groups, and these count; base32 need not be claimed."""
    text = told(vectors, "base64", "atomic64", "divmul64", "packet")
    assert "refuses nearly all of base64" in text
    assert "atomic32" not in text.partition(":")[0].split() and "--claims" in text
    assert text.endswith("--claims atomic32,divmul32")


@pytest.mark.parametrize(
    "missing", [(), ("base32", "base64", "atomic32", "atomic64", "divmul32", "divmul64", "packet")]
)
def test_who_refuses_nothing_or_everything_gets_no_advice(
    vectors: tuple[Vector, ...], missing: tuple[str, ...]
) -> None:
    assert told(vectors, *missing) == ""


def test_what_is_not_claimed_anyway_is_no_news(vectors: tuple[Vector, ...]) -> None:
    assert told(vectors, "packet", of=frozenset({"base64", "divmul64"})) == ""
    assert "packet" in told(vectors, "packet", of=frozenset({"base64", "packet"}))


def test_a_runtime_that_dies_or_whose_platform_is_to_blame_is_not_told_to_claim_less(
    vectors: tuple[Vector, ...],
) -> None:
    for judgement in (judge(vectors[0].little.expect, DIED), unsupported(Reason("x", "no maps", "platform"))):
        results = [
            runner.Result(vector, None, judgement if "packet" in vector.groups else PASSED) for vector in vectors
        ]
        assert suggestion(RuntimeRun("mine", INFO, results)) is None


def test_a_runtime_that_could_not_be_used() -> None:
    assert suggestion(RuntimeRun("mine", None, problem="gone")) is None


# --claims


def test_claims_are_for_all_runtimes_or_for_one() -> None:
    specs = [parse_spec("a=reference"), parse_spec("b=jit"), parse_spec("linux")]
    claims = {spec.name: spec.claims for spec in claiming(specs, ["base64", "b:divmul64"])}
    assert claims == {"a": ("base64",), "b": ("base64", "divmul64"), "linux": ("base64",)}
    assert [spec.claims for spec in claiming(specs, ["b:packet"])] == [None, ("packet",), None]
    assert claiming(specs, []) == specs


@pytest.mark.parametrize("claim", ["base46", "c:base64", "b:"])
def test_claims_that_mean_nothing(claim: str) -> None:
    with pytest.raises(RequirementError, match=f"--claims {claim}"):
        claiming([parse_spec("b=jit")], [claim])


@pytest.mark.parametrize("spec", ["mine=reference", "mine=python:faulty:claims_base32"])
def test_a_claim_counts_whatever_the_runtime_says(spec: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(HERE)
    file = tmp_path / "r.json"
    done = bpf_isa("run", "--vectors", SAMPLE, "-r", spec, "--claims", "base64,divmul64", "-j", "1", "--json", file)
    assert done.exit_code == (0 if spec == "mine=reference" else 1), done.output  # the other one keeps to what it says
    (one,) = json.loads(file.read_text())["runtimes"]
    assert one["identity"]["groups"] == ["base64", "divmul64"]
    reasons = {Reason(**result["reason"]) for result in one["results"].values() if result["verdict"] == "unsupported"}
    assert reasons == {Reason("group", "the runtime does not claim atomic64")}


def test_groups_compares_claims_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)
    words = ["groups", "-r", "boasts=python:faulty:claims_what_it_lacks", "--vectors", str(VECTORS / "atomics.yaml")]
    assert bpf_isa(*words, "--claims", "atomic32").exit_code == 0
    done = bpf_isa(*words, "--claims", "atomic32,atomic64")
    assert done.exit_code == 1
    assert "disproved: it claims atomic64" in done.stdout
