# SPDX-License-Identifier: Apache-2.0
"""What generated code calls: LLVM may need functions of its own accord, and code that lacks one is never run."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

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


def test_llvm_divides_numbers_of_128_bits_for_that_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llvm, "_divisions", dict)
    code = assemble(WIDE_COUNT)
    compiled = compile(code)
    # It cannot be linked, so it is compiled without optimisation.
    assert compiled.level == "fast"
    assert compiled(bytes(16), budget=1000) == execute(code, memory=bytes(16), budget=1000)


DIVIDE = "\n".join(
    f"""define void @{op}(ptr %numbers) {{
  %b = getelementptr i128, ptr %numbers, i64 1
  %x = load i128, ptr %numbers
  %y = load i128, ptr %b
  %z = {op} i128 %x, %y
  store i128 %z, ptr %numbers
  ret void
}}"""
    for op in ("udiv", "urem")
)
NUMBERS = st.integers(1, (1 << 128) - 1) | st.integers(0, 127).map(lambda bit: 1 << bit)


@given(NUMBERS, NUMBERS)
@example((1 << 128) - 1, (1 << 128) - 1)
@example((1 << 128) - 1, (1 << 127) + 1)
@example(1, 2)
def test_what_divides_them_divides(dividend: int, divisor: int) -> None:
    code = generate(DIVIDE, ["udiv", "urem"], "full", Timings()) if not _DIVIDERS else _DIVIDERS[0]
    _DIVIDERS[:] = [code]
    for name, result in (("udiv", dividend // divisor), ("urem", dividend % divisor)):
        numbers = ctypes.create_string_buffer(dividend.to_bytes(16, "little") + divisor.to_bytes(16, "little"), 48)
        place = ctypes.addressof(numbers) + 15 & ~15
        ctypes.memmove(place, numbers.raw, 32)
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(code.addresses[name])(place)
        assert int.from_bytes(ctypes.string_at(place, 16), "little") == result


_DIVIDERS: list[llvm.Code] = []


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
