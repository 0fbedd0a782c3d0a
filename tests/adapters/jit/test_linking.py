# SPDX-License-Identifier: Apache-2.0
"""What generated code calls: LLVM may need functions of its own accord, and code that lacks one is never run."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bpf_isa.adapters.jit import program
from bpf_isa.adapters.jit.adapter import JitAdapter
from bpf_isa.adapters.jit.program import compile
from bpf_isa.adapters.jit.runtime import llvm
from bpf_isa.adapters.jit.runtime.llvm import Level, Timings, Unresolved, generate
from bpf_isa.adapters.protocol import Job, OutcomeKind
from bpf_isa.reference_vm.interpreter import execute
from bpf_isa.spec.asm.assemble import assemble

LEVELS: tuple[Level, ...] = ("fast", "full")
#: LLVM works out in numbers of 128 bits how often this loop runs.
WIDE_COUNT = "L1:\n*(u32 *)(r1 + 4) = r0\nw4 += 2147483647\nif r4 <= r1 goto L1\nexit"
#: The stack of a local function is cleared by a call of memset.
CLEARS_A_STACK = "call local f\nexit\nf:\nr2 = r10\n*(u8 *)(r2 - 1) = 7\nr0 = 1\nexit"


@pytest.mark.parametrize("level", LEVELS)
def test_code_that_divides_numbers_of_128_bits_runs(level: Level) -> None:
    code = assemble(WIDE_COUNT)
    assert compile(code, level=level)(bytes(16), budget=1000) == execute(code, memory=bytes(16), budget=1000)


def test_code_is_not_optimised_where_that_needs_what_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def needing(source: str, names: Sequence[str], level: Level, timings: Timings) -> llvm.Code:
        return generate(source.replace("@p0(", "@p1(") if level == "full" else source, names, level, timings)

    monkeypatch.setattr(program, "generate", needing)
    compiled = compile(assemble("r0 = 2\nexit"))
    assert compiled.level == "fast"
    assert compiled() == execute(assemble("r0 = 2\nexit"))


@pytest.mark.parametrize("level", LEVELS)
def test_a_module_with_an_unknown_symbol_is_refused(level: Level) -> None:
    source = "declare void @not_there()\ndefine void @f() {\n  call void @not_there()\n  ret void\n}"
    with pytest.raises(Unresolved, match="calls what is not there: not_there"):
        generate(source, ["f"], level, Timings())


@pytest.mark.parametrize("level", LEVELS)
def test_a_program_that_needs_an_unknown_symbol_is_declined(level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    def needing(source: str, names: Sequence[str], level: Level, timings: Timings) -> llvm.Code:
        return generate(source.replace("@llvm.memset.p0.i64", "@not_there"), names, level, timings)

    monkeypatch.setattr(program, "generate", needing)
    sources = (CLEARS_A_STACK, "r0 = 2\nexit")
    jobs = [Job(str(n), assemble(asm), "little", frozenset(), frozenset({"r0"})) for n, asm in enumerate(sources)]
    with JitAdapter("little", level=level) as adapter:
        declined, run = adapter.run(jobs)
    assert declined.kind is OutcomeKind.UNSUPPORTED and str(declined.reason).endswith("not there: not_there")
    assert run.kind is OutcomeKind.RETURNED and run.r0 == 2
