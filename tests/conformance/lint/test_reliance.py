# SPDX-License-Identifier: Apache-2.0
"""What vectors rely on besides the text of the RFC."""

from __future__ import annotations

import pytest

from bpf_isa.adapters.protocol import Job, MapSpec
from bpf_isa.adapters.reference import machine_for
from bpf_isa.conformance.lint.reliance import (
    MOST_SLOTS,
    Reliance,
    interpreted,
    rank,
    reliances,
)
from bpf_isa.conformance.suite.model import Expectation, Level
from bpf_isa.reference_vm.executable import prepare
from bpf_isa.reference_vm.faults import Returned
from bpf_isa.reference_vm.interpreter import run
from bpf_isa.spec.asm.assemble import assemble
from bpf_isa.spec.encoding import ByteOrder
from bpf_isa.spec.readings import other_readings
from bpf_isa.spec.requirements import load_requirements

MEMORY = bytes(range(1, 17))


def relied_on(
    text: str,
    observe: str = "r0",
    memory: bytes | None = MEMORY,
    maps: tuple[MapSpec, ...] = (),
    order: ByteOrder = "little",
) -> list[Reliance]:
    """Return what a program relies on that is expected to do what it does on the reference VM."""
    names = observe.split()
    code = assemble(text.replace(";", "\n"), order)
    job = Job("x", code, order, frozenset(), frozenset(names), memory, maps)
    result = run(prepare(code, order), machine_for(job, order))
    assert isinstance(result, Returned)
    registers = {name: result.registers[int(name[1:])] for name in names if name != "memory"}
    return reliances(job, Expectation(registers, result.memory if "memory" in names else None))


def errata(found: list[Reliance]) -> set[tuple[str, str | None]]:
    return {(one.erratum, one.level and str(one.level)) for one in found}


NOTHING = {
    "numbers": "r0 = 1; r3 = 2; r0 += r3; exit",
    "input": "r2 = *(u8 *)(r1 + 3); *(u8 *)(r1 + 4) = r2; r0 = r2; exit",
    "a register that is not compared": "r0 = 1; r3 += 5; exit",
    "a register that is overwritten": "r0 = r7; r0 = 1; exit",
    "memory that nobody reads": "*(u64 *)(r1 + 0) = r3; r0 = 1; exit",
    "where the stack lies": "r2 = r10; r0 = 1; if r2 == r10 goto +1; r0 = 2; r2 -= r10; r0 += r2; exit",
    "arguments and results": "r1 = 7; call local f; exit; f: r0 = r1; exit",
    "what a function leaves alone": "r6 = 7; call local f; r0 += r6; exit; f: r0 = 1; exit",
    "a swap of a number as wide as that": "r0 = 0x1234; r0 = bswap16 r0; exit",
    "a signed division": "r0 = 0x8000000000000000 ll; r0 s/= -2; exit",
    "CMPXCHG with an operand that is ignored": "r0 = 1; r2 = 5; r0 = cmpxchg_64(r1 + 8, r0, r2); exit",
    "the longest program": f"r0 = 0; .rept {MOST_SLOTS - 2}; r0 += 1; .endr; exit",
    "a loop": "r0 = 9; r0 -= 1; if r0 != 0 goto -2; exit",
}


@pytest.mark.parametrize("text", NOTHING.values(), ids=NOTHING)
@pytest.mark.parametrize("order", ["little", "big"])
def test_what_relies_on_nothing(text: str, order: ByteOrder) -> None:
    assert relied_on(text, order=order) == []


ENTRY, CALLS, STACK = "program-entry", "calling-convention", "stack-and-call-depth"
SOMETHING = {
    "the length of the input": ("r0 = r2; exit", ENTRY, "abi"),
    "its sign, perhaps": ("r0 = 5; if r2 == 9 goto +1; r0 = 6; exit", ENTRY, "abi"),
    "an address made of it": ("r1 += r2; r0 = *(u8 *)(r1 - 1); exit", ENTRY, "abi"),
    "a register at entry": ("r0 = r3; exit", ENTRY, None),
    "r0 at entry": ("r0 += 1; exit", ENTRY, None),
    "a condition on it": ("if r9 != 0 goto +0; r0 = 1; exit", ENTRY, None),
    "what went through memory": ("*(u64 *)(r1 + 0) = r3; r0 = *(u8 *)(r1 + 1); exit", ENTRY, None),
    "registers of the caller": ("r6 = 1; call local f; exit; f: r0 = r6; exit", ENTRY, None),
    "r1 to r5 after a call": ("r4 = 1; call local f; r0 = r4; exit; f: r0 = 2; exit", CALLS, None),
    "r3 as a function left it": ("call local f; r0 = r3; exit; f: r3 = 2; exit", CALLS, None),
    "registers that a call keeps": ("r6 = 1; call local f; r0 = r6; exit; f: r6 = 2; exit", CALLS, "abi"),
    "the same, further inside": (
        "r6 = 1; call local f; r0 = r6; exit; f: call local g; exit; g: r6 = 2; exit",
        CALLS,
        "abi",
    ),
    "the stack": ("*(u64 *)(r10 - 8) = 5; r0 = *(u64 *)(r10 - 8); exit", STACK, "abi"),
    "an address out of reach": ("*(u16 *)(r1 + 1) = 5; r0 = 1; exit", "unaligned-access", "interpretation"),
    "bits above a swap": ("r0 = 0x12345; r0 = be16 r0; exit", "end-clears-upper-bits", "interpretation"),
    "the quotient that overflows": ("w0 = -0x80000000; w0 s/= -1; exit", "signed-division-overflow", "interpretation"),
    "the upper half of what is fetched": (
        "r0 = -1; w0 = atomic_fetch_or((u32 *)(r1 + 0), w0); exit",
        "fetch32-zero-extends",
        "interpretation",
    ),
    "the operand of CMPXCHG": (
        "r0 = 1; r2 = 5; r0 = cmpxchg_64(r1 + 8, r0, r2); r0 = r2; exit",
        "cmpxchg-and-fetch",
        "interpretation",
    ),
    "a packet access": ("r6 = r1; r0 = *(u16 *)skb[1]; exit", "packet-access-undefined", "interpretation"),
    "the size of the program": (
        f"r0 = 0; .rept {MOST_SLOTS - 1}; r0 += 1; .endr; exit",
        "program-size",
        "interpretation",
    ),
    "a jump to itself": ("r0 = 1; if r0 == 2 goto -1; exit", "jump-to-itself", "interpretation"),
}


@pytest.mark.parametrize(("text", "erratum", "level"), SOMETHING.values(), ids=SOMETHING)
@pytest.mark.parametrize("order", ["little", "big"])
def test_what_relies_on_something(text: str, erratum: str, level: str | None, order: ByteOrder) -> None:
    assert errata(relied_on(text, order=order)) == {(erratum, level)}


def test_r1_is_the_input_only_where_there_is_some() -> None:
    assert relied_on("r0 = 0; if r1 == 3 goto +0; exit") == []
    assert errata(relied_on("r0 = 0; if r1 == 3 goto +0; exit", memory=None)) == {(ENTRY, None)}
    assert errata(relied_on("r0 = r2; exit", memory=None)) == {(ENTRY, None)}


def test_what_is_compared_counts() -> None:
    text = "r0 = 1; *(u64 *)(r1 + 0) = r3; r4 += 1; exit"
    assert relied_on(text) == []
    assert errata(relied_on(text, "r0 r4")) == {(ENTRY, None)}
    assert errata(relied_on(text, "r0 memory")) == {(ENTRY, None)}
    assert relied_on(text.replace("r4 +=", "*(u64 *)(r1 + 0) = 7; r4 +="), "r0 memory") == []


def test_bytes_of_the_stack_that_nothing_wrote() -> None:
    assert errata(relied_on("*(u32 *)(r10 - 8) = 1; r0 = *(u64 *)(r10 - 8); exit")) == {(STACK, "abi"), (STACK, None)}
    # A function's frame is a new one each time, whatever the one before it left there.
    text = "call local f; call local g; exit; f: *(u64 *)(r10 - 8) = 7; exit; g: r0 = *(u64 *)(r10 - 8); exit"
    assert errata(relied_on(text)) == {(STACK, "abi"), (STACK, None)}


def test_calls_of_helpers_change_r1_to_r5() -> None:
    text = "r1 = map_by_fd(0); r2 = r10; r2 += -4; *(u32 *)(r10 - 4) = 0; call 1; r0 = {}; exit"
    value = (MapSpec(bytes(8)),)
    assert errata(relied_on(text.format("7"), maps=value)) == {(STACK, "abi")}
    assert errata(relied_on(text.format("r2"), maps=value)) == {(STACK, "abi"), (CALLS, None)}


def test_what_should_not_return_relies_on_nothing() -> None:
    job = Job("x", b"", "little", frozenset(), frozenset())
    assert reliances(job, Expectation({}, rejected=True)) == []
    assert reliances(job, Expectation({}, faulted="budget")) == []


def test_levels_are_ordered() -> None:
    assert sorted(Level, key=rank) == ["must", "interpretation", "abi", "extension", "robustness"]


def test_interpreted_requirements() -> None:
    found = {erratum for item in load_requirements().values() if (erratum := interpreted(item))}
    assert found == other_readings().keys()
