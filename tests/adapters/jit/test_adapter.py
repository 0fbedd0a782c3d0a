# SPDX-License-Identifier: Apache-2.0
"""The JIT as a runtime of the suite: it agrees with the reference VM, also when the specification is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest
from click.testing import CliRunner, Result

from bpf_isa.adapters.jit.adapter import JitAdapter
from bpf_isa.adapters.jit.program import Compiler
from bpf_isa.adapters.protocol import Outcome, OutcomeKind
from bpf_isa.adapters.reference import ReferenceAdapter, machine_for, outcome_of
from bpf_isa.adapters.registry import parse_spec
from bpf_isa.conformance.adequacy.bench import Case, make_case
from bpf_isa.conformance.adequacy.mutant import Mutant
from bpf_isa.conformance.adequacy.mutants import mutants_of
from bpf_isa.conformance.adequacy.program_mutants import program_mutants
from bpf_isa.conformance.cli import main
from bpf_isa.conformance.run.verdict import Verdict, judge
from bpf_isa.conformance.suite.model import Vector
from bpf_isa.conformance.suite.suite import load_suite
from bpf_isa.spec import pseudocode
from bpf_isa.spec.encoding import ByteOrder, Decoded, Program
from bpf_isa.spec.table import Instruction, Isa, isa

BYTE_ORDERS: tuple[ByteOrder, ...] = ("little", "big")
SHORT = 64
SAMPLE = 600
OF_EACH_FAMILY, TRIED = 50, 25


@cache
def short_vectors() -> list[Vector]:
    """The vectors of the suite without the long programs, in no order."""
    vectors = [vector for vector in load_suite().vectors if len(vector.little.code) <= 8 * SHORT]
    Random(5).shuffle(vectors)
    return vectors


@pytest.mark.parametrize("byte_order", BYTE_ORDERS)
def test_a_sample_of_the_suite_passes_and_ends_as_on_the_reference(byte_order: ByteOrder) -> None:
    vectors = short_vectors()[:SAMPLE]
    jobs = [vector.job(byte_order) for vector in vectors]
    with JitAdapter(byte_order) as jit, ReferenceAdapter(byte_order) as reference:
        native, interpreted = list(jit.run(jobs)), list(reference.run(jobs))
    for vector, got, expected in zip(vectors, native, interpreted, strict=True):
        assert got._replace(seconds=None) == expected._replace(seconds=None), vector.id
        assert judge(vector.variant(byte_order).expect, got).verdict is Verdict.PASS
        assert got.seconds is not None and got.seconds > 0


def test_it_says_who_it_is() -> None:
    adapter = parse_spec("native=jit:big").open()
    info = adapter.info()
    assert (info.name, info.engine, info.byte_order) == ("jit", "jit", "big")
    assert info.groups == frozenset(isa().groups)
    adapter.close()


def with_row(row: Instruction, means: str) -> Isa:
    """The instruction set with one row of another meaning."""
    table = isa()
    new = row.with_means(pseudocode.parse(means))
    swapped = tuple(new if item is row else item for item in table.instructions)
    same_opcode = tuple(new if item is row else item for item in table.by_opcode[row.opcode])
    return replace(
        table,
        instructions=swapped,
        by_name={**table.by_name, row.name: new},
        by_opcode={**table.by_opcode, row.opcode: same_opcode},
    )


def test_what_cannot_be_compiled_is_unsupported_and_the_rest_is_run() -> None:
    table = with_row(isa().by_name["JA"], "PC += (s64)offset s/ 1")
    uses_ja = {vector.id: any(slot[0] == 0x05 for slot in _slots(vector)) for vector in short_vectors()}
    vectors = [vector for vector in short_vectors() if not vector.little.expect.rejected]
    chosen = [*[v for v in vectors if uses_ja[v.id]][:2], *[v for v in vectors if not uses_ja[v.id]][:2]]
    with JitAdapter("little", table=table) as jit:
        outcomes = list(jit.run([vector.job("little") for vector in chosen]))
    assert [outcome.kind for outcome in outcomes[:2]] == [OutcomeKind.UNSUPPORTED] * 2
    assert str(outcomes[0].reason).startswith("not-lowerable: JA: ")
    assert OutcomeKind.UNSUPPORTED not in {outcome.kind for outcome in outcomes[2:]}


def _slots(vector: Vector) -> list[bytes]:
    code = vector.little.code
    return [code[at : at + 8] for at in range(0, len(code), 8)]


@cache
def cases(byte_order: ByteOrder) -> dict[str, list[Case]]:
    """Vectors ready to be run with a mutant, by the rows that they execute."""
    found: dict[str, list[Case]] = {}
    for vector in short_vectors()[: 5 * SAMPLE]:
        if not vector.little.expect.rejected:
            case = make_case(vector, byte_order)
            for row in case.executed:
                found.setdefault(row, []).append(case)
    return found


class Trial(NamedTuple):
    """A vector whose program has ``changes`` made by the fault ``what``, and its outcome on the reference."""

    what: str
    case: Case
    changes: dict[int, Decoded]
    expected: Outcome

    @property
    def convicted(self) -> bool:
        """Whether the vector tells the fault on the reference."""
        return judge(self.case.expect, self.expected).verdict is Verdict.FAIL

    def program(self) -> Program:
        """Return the faulty program."""
        return [self.changes.get(slot, item) for slot, item in enumerate(self.case.executable.program)]


def trial(what: str, pool: list[Case], changes: Callable[[Case], Mapping[int, Decoded]]) -> Trial | None:
    """Return a trial of a fault with a vector of ``pool``, one that convicts if there is one."""
    found = None
    for case in pool:
        changed = dict(changes(case))
        if changed:
            expected = case.outcome(case.executable.replaced(changed))
            found = Trial(f"{what}, {case.id}", case, changed, expected)
            if found.convicted:
                break
    return found


def changed_by(mutant: Mutant) -> Callable[[Case], Mapping[int, Decoded]]:
    """Return what ``mutant`` makes of the instructions of a program."""

    def changes(case: Case) -> Mapping[int, Decoded]:
        return {
            slot: item._replace(instruction=mutant.instruction_for(item))
            for slot, item in case.at(mutant.row.name)
            if mutant.applies(item)
        }

    return changes


@cache
def families() -> dict[str, list[Mutant]]:
    """All mutants of the rows, by the kind of fault."""
    found: dict[str, list[Mutant]] = {}
    for row in isa().instructions:
        for mutant in mutants_of(row, isa()):
            found.setdefault(mutant.family, []).append(mutant)
    return found


@pytest.mark.long
@pytest.mark.parametrize("byte_order", BYTE_ORDERS)
def test_vectors_convict_the_same_mutants_of_the_specification(byte_order: ByteOrder) -> None:
    random = Random(byte_order)
    trials: dict[str, list[Trial]] = {}
    for family, mutants in families().items():
        for mutant in random.sample(mutants, min(len(mutants), OF_EACH_FAMILY)):
            pool = cases(byte_order).get(mutant.row.name, [])
            one = trial(mutant.id, random.sample(pool, min(TRIED, len(pool))), changed_by(mutant))
            if one:
                trials.setdefault(family, []).append(one)
    for fault in program_mutants(isa()):
        pool = cases(byte_order).get(fault.row, [])
        one = trial(fault.what, random.sample(pool, min(TRIED, len(pool))), fault.change)
        if one:
            trials.setdefault("program", []).append(one)
    assert trials.keys() == {*families(), "program"}
    everything = [one for found in trials.values() for one in found]
    compiled = iter(Compiler(byte_order).compile([one.program() for one in everything]))
    for family, found in trials.items():
        for one in found:
            machine = machine_for(one.case.job, byte_order)
            got = outcome_of(next(compiled).run(machine, one.case.budget))
            assert got == one.expected, one.what
        # Outcomes are equal, so what was told on the reference is told here.
        assert any(one.convicted for one in found), family
    assert sum(one.convicted for one in everything) > len(everything) // 2


# The command line


def execute(folder: Path, asm: str, *options: str) -> Result:
    """Run `bpf-isa exec` on a file with ``asm``."""
    (folder / "program.s").write_text(asm)
    return CliRunner().invoke(main, ["exec", str(folder / "program.s"), *options])


@pytest.mark.parametrize(
    ("asm", "options"),
    [
        ("r0 = *(u8 *)(r1 + 3)\n*(u8 *)(r1 + 0) = 1\nexit\n", ["--memory", "0a0b0c0d"]),
        ("r0 = *(u32 *)(r1 + 3)\nexit\n", ["--memory", "0a0b0c0d"]),
        ("again:\ngoto again\n", ["--budget", "1000"]),
        ("r0 = map_val(map_by_fd(0)) + 1\nr0 = *(u8 *)(r0 + 0)\nexit\n", ["--map", "0102"]),
        (".byte 0xff,0,0,0,0,0,0,0\n", []),
    ],
)
def test_exec_prints_the_same_with_both_engines(tmp_path: Path, asm: str, options: list[str]) -> None:
    results = [execute(tmp_path, asm, "--engine", engine, *options) for engine in ("reference", "jit")]
    assert results[0].output == results[1].output
    assert results[0].exit_code == results[1].exit_code
    assert results[0].output


@pytest.mark.parametrize(
    ("asm", "options", "message"),
    [
        ("exit", ["--engine", "jit", "--trace"], "--trace needs --engine reference"),
        ("exit", ["--trust-verifier"], "--trust-verifier needs --engine jit"),
        (
            "r0 = r1\nexit",
            ["--engine", "jit", "--trust-verifier", "--memory", "00"],
            "not accepted as safe: slot 1 (EXIT): r0",
        ),
    ],
)
def test_exec_refuses_what_it_cannot_do(tmp_path: Path, asm: str, options: list[str], message: str) -> None:
    result = execute(tmp_path, asm, *options)
    assert result.exit_code == 2
    assert message in result.output


def test_exec_runs_unchecked_what_is_plainly_safe(tmp_path: Path) -> None:
    options = ["--engine", "jit", "--trust-verifier", "--memory", "0a0b"]
    result = execute(tmp_path, "r0 = *(u8 *)(r1 + 1)\nexit", *options)
    assert result.exit_code == 0
    assert result.output.splitlines() == ["returned (unchecked)", "r0 = 0xb  unsigned 11  signed 11"]
    result = execute(tmp_path, "again:\ngoto again", *options, "--budget", "5000")
    assert result.exit_code == 1
    assert "the program has not ended after 5000 instructions" in result.output
