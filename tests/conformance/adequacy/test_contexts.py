# SPDX-License-Identifier: Apache-2.0
"""Faults that are confined to one context: which vectors notice them, and which ones nobody can."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bpf_isa.conformance.adequacy.bench import Bench
from bpf_isa.conformance.adequacy.context_mutants import ContextMutant, contexts_of, faults_of
from bpf_isa.conformance.adequacy.contexts import decide_contexts
from bpf_isa.conformance.adequacy.kill import Status
from bpf_isa.conformance.cli import main
from bpf_isa.conformance.suite.suite import load_suite
from bpf_isa.reference_vm.contexts.context import context
from bpf_isa.reference_vm.contexts.fields import PATTERNS, numbers
from bpf_isa.spec.encoding import Decoded
from bpf_isa.spec.facts import Kind, facts
from bpf_isa.spec.table import FIELD_RANGES, isa

_VECTORS = """
source: {name: test, method: hand, note: a test}
vectors:
  - id: test/negated
    what: a negation before a shift, in a loop
    covers: [rfc9669-4.1-neg]
    asm: |
      r0 = 5
      r1 = 0
      again:
      r0 = -r0
      r0 <<= 1
      r1 += 1
      r0 += r1
      if r1 != 3 goto again
      exit
    expect: {r0: "-37"}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "vectors.yaml"
    path.write_text(_VECTORS)
    return path


@pytest.mark.parametrize(
    ("where", "status"),
    [
        ("after: shift64", Status.KILLED),
        ("used by: shift64", Status.KILLED),
        ("execution: from the 2nd", Status.KILLED),
        ("reached by: a backward jump", Status.KILLED),
        ("execution: from the 17th", Status.ALIVE),
        ("after: arithmetic64", Status.ALIVE),
        ("depth: 2", Status.ALIVE),
    ],
)
def test_a_fault_is_noticed_where_it_is_confined_to(file: Path, where: str, status: Status) -> None:
    row = isa().by_name["NEG64"]
    (fault,) = (one for one in faults_of(row, isa()) if one.what == "does not write dst")
    bench = Bench(load_suite([file]).vectors)
    (finding,) = decide_contexts(row, bench, [ContextMutant(fault, context(where))])
    assert finding.status is status
    assert finding.killers == (("test/negated",) if status is Status.KILLED else ())


def test_what_no_operand_shows_there_is_equivalent(file: Path) -> None:
    """A move of a positive immediate is no other with sign-extension."""
    row = isa().by_name["MOV32_K"]
    (fault,) = (one for one in faults_of(row, isa()) if one.what.startswith("sign-extends the result"))
    mutants = [ContextMutant(fault, context(where)) for where in ("imm: 127", "imm: -128")]
    found = list(decide_contexts(row, Bench(load_suite([file]).vectors), mutants))
    assert [one.status for one in found] == [Status.EQUIVALENT, Status.ALIVE]


def test_every_row_but_those_of_the_packet_has_mutants() -> None:
    for row in isa().instructions:
        assert bool(faults_of(row, isa())) == (facts(row).kind is not Kind.PACKET), row.name
        assert list(contexts_of(row))


def test_the_command_tells_what_is_alive(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    words = ["adequacy", "--contexts", "-i", "NEG64", "--sample", "40", "--vectors", str(file), "-j", "1"]
    result = CliRunner().invoke(main, [*words, "--json", str(out)])
    assert result.exit_code == 1, result.output
    assert "alive" in result.output
    document = json.loads(out.read_text())
    assert len(document["findings"]) <= 40
    assert {one["instruction"] for one in document["findings"]} == {"NEG64"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--contexts", "--diagnosis"], "give one of them"),
        (["--sample", "5"], "--sample is for --contexts and --diagnosis"),
    ],
)
def test_what_does_not_go_together_is_refused(options: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["adequacy", *options])
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize("label", PATTERNS)
def test_a_proof_about_a_pattern_is_about_every_number_that_has_it(label: str) -> None:
    row = isa().by_name["RSH32_K"]
    mutant = ContextMutant(faults_of(row, isa())[0], context(f"imm: {label}"))
    proved = [one.when for one in mutant.as_mutants()]
    for number in filter(PATTERNS[label], numbers(*FIELD_RANGES["imm"])):
        item = Decoded(row, imm=number)
        assert any(all(condition.holds(item) for condition in when) for when in proved)


_NEEDLESS = """
source: {name: test, method: hand, note: a test}
vectors:
  - id: test/first
    what: a conversion that does nothing on machines of one byte order, the first instruction
    covers: [rfc9669-4.2-dst-only]
    memory: "01 02 03 04 05 06 07 08"
    asm: |
      goto +0
      r0 = *(u64 *)(r1 + 0)
      r0 = le64 r0
      exit
    expect: {r0: "0x0807060504030201"}
"""


def test_a_fault_that_only_big_endian_machines_show_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "vectors.yaml"
    file.write_text(_NEEDLESS)
    row = isa().by_name["LE64"]
    bench = Bench(load_suite([file]).vectors)
    faults = [fault for fault in faults_of(row, isa()) if fault.what == "does not write dst"]
    mutants = [ContextMutant(fault, context("before: load")) for fault in faults]
    assert [found.status for found in decide_contexts(row, bench, mutants)] == [Status.KILLED]
