# SPDX-License-Identifier: Apache-2.0
"""A program is compiled, compiled without optimisation, or declined, by how much there would be to do: counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from bpf_isa.adapters.jit import program
from bpf_isa.adapters.jit.adapter import JitAdapter
from bpf_isa.adapters.jit.errors import TooLarge
from bpf_isa.adapters.jit.plan import plan_of
from bpf_isa.adapters.jit.program import MOST_LINES_OPTIMIZED, MOST_LOOPS_OPTIMIZED, compile
from bpf_isa.adapters.jit.runtime.llvm import Level
from bpf_isa.adapters.protocol import Job, OutcomeKind
from bpf_isa.conformance.cli import main
from bpf_isa.reference_vm.interpreter import execute
from bpf_isa.spec.asm.assemble import assemble, assemble_program
from bpf_isa.spec.encoding import Program

LEVELS: tuple[Level, ...] = ("fast", "full")
LOOP = "r3 = 10\nagain{0}:\nr0 += r3\nr3 += -1\nif r3 != 0 goto again{0}\n"


def loops(count: int) -> str:
    return "".join(LOOP.format(number) for number in range(count)) + "exit"


def repeated(source: str, count: int) -> Program:
    return assemble_program(source) * count + assemble_program("exit")


def test_many_loops_are_not_optimized() -> None:
    assert compile(assemble(loops(2))).level == "full"
    code = assemble(loops(MOST_LOOPS_OPTIMIZED + 1))
    compiled = compile(code)
    assert compiled.level == "fast"
    assert compiled() == execute(code)


def test_many_instructions_are_not_optimized() -> None:
    long = repeated("r0 += 1", MOST_LINES_OPTIMIZED)
    compiled = compile(long)
    assert compiled.level == "fast"
    assert compiled() == execute(long)


def test_much_code_is_not_optimized(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "MOST_LINES_OPTIMIZED", 200)
    code = assemble("r0 = *(u64 *)(r1 + 0)\n" * 20 + "exit")
    compiled = compile(code)
    assert compiled.level == "fast"
    assert compiled(bytes(8)) == execute(code, memory=bytes(8))


@pytest.mark.long
@pytest.mark.parametrize("level", LEVELS)
def test_65536_instructions_of_loops_are_declined(level: Level) -> None:
    long = repeated("r3 = 10\nr0 += r3\nr3 += -1\nif r3 != 0 goto -3", 16383)
    with pytest.raises(TooLarge, match="too many lines of LLVM IR"):
        compile(long, level=level)


def test_what_is_too_large_is_unsupported_and_the_rest_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "MOST_LINES", 400)
    sources = (loops(100), "r0 = 2\nexit")
    jobs = [Job(str(n), assemble(asm), "little", frozenset(), frozenset({"r0"})) for n, asm in enumerate(sources)]
    with JitAdapter("little") as adapter:
        declined, run = adapter.run(jobs)
    assert declined.kind is OutcomeKind.UNSUPPORTED and str(declined.reason).startswith(
        "not-lowerable: the program is too"
    )
    assert run.kind is OutcomeKind.RETURNED and run.r0 == 2


def test_the_command_line_says_that_it_is_declined(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(program, "MOST_LINES", 400)
    path = tmp_path / "loops.s"
    path.write_text(loops(100), encoding="utf-8")
    result = CliRunner().invoke(main, ["exec", "--engine", "jit", str(path)])
    assert result.exit_code == 2
    assert result.output == "Error: the program is too large: it would take too many lines of LLVM IR\n"


def test_blocks_that_functions_share_count_for_each_of_them() -> None:
    # Each call leads to a function that begins in the middle of the one before.
    shared = "call local f\ncall local g\nexit\nf:\nr0 += 1\nif r0 > 9 goto g\nr0 += 2\ng:\nr0 += 3\nexit"
    assert [len(blocks) for blocks in plan_of(assemble_program(shared)).functions.values()] == [3, 3, 1]
    assert len(plan_of(assemble_program(shared), most_blocks=7).called) == 2
    with pytest.raises(TooLarge, match="more than 6 blocks"):
        plan_of(assemble_program(shared), most_blocks=6)
