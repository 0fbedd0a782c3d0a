# SPDX-License-Identifier: Apache-2.0
"""What the safety verifier accepts of random programs does no harm."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from bpf_isa.reference_vm.faults import Fault, FaultKind
from bpf_isa.reference_vm.interpreter import execute
from bpf_isa.reference_vm.machine import Machine
from bpf_isa.reference_vm.verifier.proof import NotProved, Proof
from bpf_isa.reference_vm.verifier.safety import prove, surroundings_of
from bpf_isa.spec.encoding import ByteOrder, Program

from ...programs import INPUT_BYTES, MAP_BYTES, structured, tangled
from .guarded import guarded

RANDOMS = st.randoms(use_true_random=False)
BYTE_ORDERS = st.sampled_from(["little", "big"])
MAPS = (bytes(range(100, 100 + MAP_BYTES)), bytes(8))
VARIABLES = {1: bytes(16)}
BUDGET = 20_000
SURROUNDINGS = surroundings_of(Machine(memory=bytes(INPUT_BYTES), maps=MAPS, variables=VARIABLES))


def try_out(program: Program, byte_order: ByteOrder, proof: Proof, random: Random) -> int:
    """Run an accepted program with different inputs; return how often it came to its end."""
    ends = 0
    for _ in range(4):
        memory = random.choice([bytes(INPUT_BYTES), random.randbytes(INPUT_BYTES), b"\xff" * INPUT_BYTES])
        maps = tuple(random.randbytes(len(item)) for item in MAPS)
        outcome = execute(program, byte_order=byte_order, memory=memory, maps=maps, variables=VARIABLES, budget=BUDGET)
        if isinstance(outcome, Fault):
            assert outcome.kind is FaultKind.BUDGET, outcome
            assert proof.most_steps is None or proof.most_steps > BUDGET
        else:
            assert proof.most_steps is None or outcome.steps <= proof.most_steps
            ends += 1
    return ends


@given(RANDOMS, BYTE_ORDERS, st.sampled_from([guarded, guarded, structured, tangled]))
@settings(max_examples=60)
def test_what_is_accepted_never_faults(random: Random, byte_order: ByteOrder, make_one: object) -> None:
    assert callable(make_one)
    program: Program = make_one(random)
    try:
        proof = prove(program, byte_order, SURROUNDINGS)
    except NotProved:
        return
    try_out(program, byte_order, proof, random)


def test_many_of_the_random_programs_are_accepted_and_many_refused() -> None:
    random = Random(9669)
    accepted = ends = bounded = 0
    for _ in range(40):
        program = guarded(random)
        try:
            proof = prove(program, "little", SURROUNDINGS)
        except NotProved:
            continue
        accepted += 1
        bounded += proof.most_steps is not None
        ends += try_out(program, "little", proof, random)
    assert 8 < accepted < 38
    assert bounded > 5
    assert ends > accepted
