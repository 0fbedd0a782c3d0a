# SPDX-License-Identifier: Apache-2.0
"""Atomic instructions are atomic: threads that run programs on one map lose nothing; with plain ones they do."""

from __future__ import annotations

import threading

import pytest

from bpf_isa.adapters.jit.program import CompiledProgram, compile
from bpf_isa.adapters.jit.trust import accept
from bpf_isa.reference_vm.faults import Outcome, Returned
from bpf_isa.reference_vm.machine import Machine
from bpf_isa.reference_vm.verifier.safety import surroundings_of
from bpf_isa.spec.asm.assemble import assemble
from bpf_isa.spec.encoding import ByteOrder, decode

THREADS = 4
ROUNDS = 100_000

ADD = "r3 = 1\nlock *({type} *)(r1 + {place}) += r3"
FETCH_ADD = "r3 = 1\n{reg}3 = atomic_fetch_add(({type} *)(r1 + {place}), {reg}3)\nr6 += r3"
#: Takes the number away with one exchange and gives it back, one more, with another; 0 means that it is taken.
EXCHANGE = """
    take:
        r3 = 0
        {reg}3 = {xchg}(r1 + {place}, {reg}3)
        if r3 == 0 goto take
        r3 += 1
        r4 = r3
        {reg}4 = {xchg}(r1 + {place}, {reg}4)
"""
COMPARE = """
    retry:
        r0 = *({type} *)(r1 + {place})
        r4 = r0
        r3 = r0
        r3 += 1
        {reg}0 = {cmpxchg}(r1 + {place}, {reg}0, {reg}3)
        if r0 != r4 goto retry
"""
PLAIN = "r3 = *({type} *)(r1 + {place})\nr3 += 1\n*({type} *)(r1 + {place}) = r3"

WIDTHS = {
    32: {"type": "u32", "reg": "w", "xchg": "xchg32_32", "cmpxchg": "cmpxchg32_32"},
    64: {"type": "u64", "reg": "r", "xchg": "xchg_64", "cmpxchg": "cmpxchg_64"},
}


def counted(body: str, width: int, byte_order: ByteOrder, place: int = 0, *, checked: bool = True) -> int:
    """Let threads execute ``body`` on one map, whose number is 1 at first; return what it is in the end."""
    text = body.format(place=place, **WIDTHS[width])
    code = assemble(
        f"r1 = map_val(map_by_idx(0)) + 0\nr5 = {ROUNDS}\nagain:\n{text}\nr5 += -1\nif r5 != 0 goto again\nexit",
        byte_order,
    )
    size = width // 8
    initial = bytes(place) + (1).to_bytes(size, byte_order) + bytes(8)
    machines = [Machine(byte_order=byte_order, maps=[initial]) for _ in range(THREADS)]
    shared = machines[0].maps[0]
    for machine in machines[1:]:
        machine.memory.remove(machine.maps[0].region)
        machine.memory.add(shared.region)
        machine.maps[0] = shared
    accepted = None if checked else accept(decode(code, byte_order), byte_order, surroundings_of(machines[0]))
    program = compile(code, byte_order=byte_order, level="fast" if checked else "full", accepted=accepted)
    outcomes: list[Outcome] = []

    def work(run: CompiledProgram, machine: Machine) -> None:
        outcomes.append(run.run(machine, 1 << 40))

    threads = [threading.Thread(target=work, args=(program, machine)) for machine in machines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(outcome) for outcome in outcomes] == [Returned] * THREADS
    return int.from_bytes(shared.region.data[place : place + size], byte_order)


@pytest.mark.parametrize("byte_order", ["little", "big"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("body", [ADD, FETCH_ADD, EXCHANGE, COMPARE], ids=["add", "fetch-add", "xchg", "cmpxchg"])
def test_no_update_is_lost(body: str, width: int, byte_order: ByteOrder) -> None:
    assert counted(body, width, byte_order) == 1 + THREADS * ROUNDS


@pytest.mark.parametrize(("body", "width"), [(FETCH_ADD, 64), (COMPARE, 32)], ids=["fetch-add", "cmpxchg"])
def test_no_update_is_lost_by_unchecked_code(body: str, width: int) -> None:
    assert counted(body, width, "little", checked=False) == 1 + THREADS * ROUNDS


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("body", [ADD, FETCH_ADD, EXCHANGE], ids=["add", "fetch-add", "xchg"])
def test_no_update_of_a_misaligned_number_is_lost(body: str, width: int) -> None:
    assert counted(body, width, "little", place=3) == 1 + THREADS * ROUNDS


def test_plain_instructions_lose_updates() -> None:
    assert any(counted(PLAIN, 64, "little") < 1 + THREADS * ROUNDS for _ in range(20))
