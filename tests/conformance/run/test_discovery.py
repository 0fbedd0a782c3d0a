# SPDX-License-Identifier: Apache-2.0
"""`bpf-isa groups` and `bpf-isa runtimes`: what is found out about runtimes that are known to lack something."""

import json
import re
import stat
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bpf_isa.adapters.processes.client import containment
from bpf_isa.adapters.protocol import Reason, RuntimeInfo
from bpf_isa.adapters.registry import KINDS, parse_spec
from bpf_isa.conformance.cli import main
from bpf_isa.conformance.cli.groups import document
from bpf_isa.conformance.run import discovery
from bpf_isa.conformance.run.runner import ask
from bpf_isa.conformance.run.verdict import Verdict
from bpf_isa.conformance.suite.suite import Suite, load_suite
from bpf_isa.spec.groups import closure
from bpf_isa.spec.table import isa
from bpf_isa.spec.validate import check

from ..inprocess import here

HERE = Path(__file__).parents[1]
SCHEMA = Path(discovery.__file__).parents[1] / "schema" / "groups.schema.json"
ALL = set(isa().groups)


@pytest.fixture(autouse=True)
def faulty_is_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)


def bpf_isa(*arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments])


@cache
def suite() -> Suite:
    return load_suite()


def found_out(runtime: str) -> dict[str, Any]:
    with parse_spec(runtime).open() as adapter:
        found = discovery.discover(here(adapter), adapter.info(), suite().vectors)
    data = document(runtime, found, len(suite().vectors))
    check(data, SCHEMA)
    return data


def names(data: dict[str, Any], state: str) -> set[str]:
    return {item["instruction"] for group in data["groups"].values() for item in group[state]}


def support(data: dict[str, Any]) -> dict[str, str]:
    return {name: group["support"] for name, group in data["groups"].items()}


@pytest.mark.long
def test_a_correct_runtime_supports_everything_and_few_vectors_show_it() -> None:
    data = found_out("reference")
    assert support(data) == dict.fromkeys(ALL, "yes")
    assert sum(group["works"] for group in data["groups"].values()) == len(isa().instructions)
    assert data["asked"]["vectors"] < len(isa().instructions)
    assert data["asked"]["of"] == len(suite().vectors)
    assert (data["disproved"], data["unclaimed"]) == ([], [])


def test_a_claim_that_the_vectors_disprove_is_reported() -> None:
    data = found_out("python:faulty:claims_what_it_lacks")
    assert data["disproved"] == ["atomic64"]
    assert data["groups"]["atomic64"]["support"] == "partly"
    assert [item["instruction"] for item in data["groups"]["atomic64"]["missing"]] == ["ATOMIC_CMPXCHG64"]
    assert data["groups"]["atomic64"]["missing"][0]["reason"].startswith("rejected: ")
    assert support(data)["base64"] == "yes"
    # It keeps to its claims.
    assert support(data)["divmul64"] == "no"


def test_a_small_runtime_that_shows_r0_only() -> None:
    data = found_out("python:faulty:has_no_64_bits")
    assert names(data, "missing") & {row.name for row in isa().instructions if row.groups == {"base32"}} == {
        "LDX_MEMSX_B",
        "LDX_MEMSX_H",
        "LDX_MEMSX_W",
    }
    supported = support(data)
    assert supported.pop("base32") == "partly"
    assert "yes" not in supported.values() and "partly" not in supported.values()


def test_an_implementation_specific_group_is_asked_about_only_if_it_is_claimed() -> None:
    """But whether a runtime has it can be found out."""
    runtime = "python:faulty:ClaimsNothing"
    vectors = [vector for vector in suite().vectors if "packet" in vector.groups]
    others = [vector for vector in suite().vectors if "packet" not in vector.groups][:50]
    with parse_spec(runtime).open() as adapter:
        results = ask(here(adapter), adapter.info(), [*vectors, *others], trust_claims=True)
    assert {result.judgement.reason for result in results[: len(vectors)]} == {
        Reason("group", "the runtime does not claim packet")
    }
    assert {result.judgement.verdict for result in results[len(vectors) :]} == {Verdict.PASS}
    assert support(found_out(runtime)) == dict.fromkeys(ALL, "yes")


def test_what_gives_another_result_is_wrong_and_not_missing() -> None:
    data = found_out("python:faulty:adds_wrongly")
    assert names(data, "wrong") == set()  # it refuses what it does not claim
    data = found_out("miniature:linux-ppc64-atomics-taken-for-additions")
    assert names(data, "missing") == set()
    wrong = names(data, "wrong")
    assert {"ATOMIC_OR32", "ATOMIC_XCHG64", "ATOMIC_CMPXCHG64"} <= wrong
    assert {isa().by_name[name].section for name in wrong} == {"5.3"}
    assert support(data)["atomic32"] == "partly" and support(data)["base64"] == "yes"


def test_for_people() -> None:
    vectors = str(Path(discovery.__file__).parents[1] / "vectors" / "atomics.yaml")
    done = bpf_isa("groups", "-r", "boasts=python:faulty:claims_what_it_lacks", "--vectors", vectors)
    assert done.exit_code == 1
    assert re.search(r"^  atomic64  partly  9 of 10 instructions, claimed$", done.stdout, re.MULTILINE)
    assert re.search(r"does not have: ATOMIC_CMPXCHG64 \(rejected: ", done.stdout)
    assert re.search(r"^  disproved: it claims atomic64", done.stdout, re.MULTILINE)
    assert re.search(r"decided by \d+ of \d+ vectors", done.stdout)


def test_groups_of_a_runtime_that_cannot_be_used() -> None:
    done = bpf_isa("groups", "-r", "python:faulty:unavailable")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "the moon is in the wrong phase: wait a week" in done.stderr
    done = bpf_isa("groups", "-r", "python:faulty:does_not_start", "--json", "-")
    assert done.exit_code == 2
    assert "its adapter failed: ZeroDivisionError" in done.stderr


def test_included_groups_are_required() -> None:
    table = {name: discovery.Decision("works") for name in isa().by_name}
    table["ADD32_K"] = discovery.Decision("missing", Reason("rejected", "no"))
    with_gap = discovery.Discovery(_INFO, table, ())
    affected = {name for name, group in with_gap.groups.items() if group.support == "partly"}
    assert affected == {"base32", "base64"}
    assert all(closure([name]) >= {"base32"} for name in affected)


_INFO = RuntimeInfo("x", "1", "unknown", "none", "little", None, frozenset({"r0"}))


# bpf-isa runtimes


def test_kinds_that_need_no_argument_are_tried() -> None:
    done = bpf_isa("runtimes", "--json", "-")
    assert done.exit_code == 0
    data = json.loads(done.stdout)
    assert data["kinds"].keys() == KINDS.keys()
    assert data["containment"] == containment().kind
    tried = {one["name"]: one for one in data["runtimes"]}
    assert tried.keys() >= {name for name, kind in KINDS.items() if not kind.needs}
    assert tried["reference"]["works"] and tried["reference"]["identity"]["engine"] == "interpreter"
    assert all(one["works"] != bool(one["problem"]) for one in tried.values())


def test_configured_runtimes_are_listed_and_say_what_they_lack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = tmp_path / "mine"
    plugin.write_text("#!/bin/sh\necho 0\n")
    (tmp_path / "bpf-isa.toml").write_text('[runtimes]\nmine = "plugin:./mine"\n')
    monkeypatch.chdir(tmp_path)
    line = next(line for line in bpf_isa("runtimes").stdout.splitlines() if " mine " in line)
    assert line.startswith("  no ") and "not executable" in line
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    lines = bpf_isa("runtimes").stdout.splitlines()
    line = next(line for line in lines if " mine " in line)
    assert line.startswith("  works ")
    assert lines[-1] == f"Runtimes that are programs run {containment().where}."


def test_a_runtime_that_is_named_and_does_not_work_gives_status_1() -> None:
    done = bpf_isa("runtimes", "reference", "python:faulty:unavailable", "python:faulty:does_not_start")
    assert done.exit_code == 1
    works, missing, broken = done.stdout.splitlines()
    assert works.startswith("  works  reference")
    assert "wait a week" in missing and "its adapter failed: ZeroDivisionError" in broken


def test_an_unknown_kind_is_an_error() -> None:
    done = bpf_isa("runtimes", "plugn:x")
    assert done.exit_code == 2
    assert "did you mean 'plugin'?" in done.stderr
