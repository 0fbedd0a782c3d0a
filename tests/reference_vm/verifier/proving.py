# SPDX-License-Identifier: Apache-2.0
"""Programs as text, and what the safety verifier says of them."""

from __future__ import annotations

from bpf_isa.reference_vm.faults import Fault, FaultKind, Returned
from bpf_isa.reference_vm.interpreter import execute
from bpf_isa.reference_vm.verifier.proof import Proof
from bpf_isa.reference_vm.verifier.safety import prove
from bpf_isa.reference_vm.verifier.surroundings import Surroundings
from bpf_isa.spec.asm.assemble import assemble_program
from bpf_isa.spec.encoding import Program


def program_of(asm: str) -> Program:
    """Assemble; lines may be divided by semicolons."""
    return assemble_program(asm.replace("; ", "\n"))


def proved(asm: str, memory_bytes: int = 0, **more: object) -> Proof:
    """Prove a program written as assembly."""
    surroundings = Surroundings(memory_bytes, **more)  # type: ignore[arg-type]  # passed on
    return prove(program_of(asm), "little", surroundings)


def check_accepted(asm: str, memory_bytes: int, most_steps: int | None) -> None:
    """Check that a program is accepted with this bound, and keeps to it; None: there is none."""
    assert proved(asm, memory_bytes).most_steps == most_steps
    outcome = execute(program_of(asm), memory=bytes(memory_bytes), budget=1000)
    if most_steps is not None:
        assert isinstance(outcome, Returned) and outcome.steps <= most_steps
    else:
        assert isinstance(outcome, Fault) and outcome.kind is FaultKind.BUDGET
