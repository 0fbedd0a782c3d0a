# SPDX-License-Identifier: Apache-2.0
"""Count the vectors that the safety verifier accepts: `python benchmarks/safety.py [--every N]`.

Those count that return. What is accepted is executed by the reference VM as well, with what the vector gives it: exit
status 1 if a program faults that was accepted, or takes more instructions than it is said to take at most.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from time import perf_counter

import click

from bpf_isa.adapters.reference import BUDGET, machine_for
from bpf_isa.conformance.cli.echo import echo
from bpf_isa.conformance.suite.suite import load_suite
from bpf_isa.reference_vm.executable import prepare
from bpf_isa.reference_vm.faults import Fault
from bpf_isa.reference_vm.interpreter import run
from bpf_isa.reference_vm.verifier.proof import NotProved
from bpf_isa.reference_vm.verifier.safety import prove, surroundings_of
from bpf_isa.spec.encoding import ByteOrder, decode


@click.command()
@click.option("--byte-order", type=click.Choice(["little", "big"]), default="little")
@click.option("--every", type=click.IntRange(1), default=1, help="Only one of so many vectors.")
def main(byte_order: ByteOrder, every: int) -> None:
    """Print how many are accepted, and why the others are not."""
    start = perf_counter()
    found: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for vector in load_suite().vectors[::every]:
        expected = vector.variant(byte_order).expect
        if expected.rejected or expected.faulted:
            continue
        job = vector.job(byte_order)
        machine = machine_for(job, byte_order)
        found["return"] += 1
        try:
            proof = prove(decode(job.code, byte_order), byte_order, surroundings_of(machine))
        except NotProved as error:
            reasons[re.sub(r"\d+", "N", error.reason)[:70]] += 1
            continue
        found["accepted"] += 1
        found["accepted with a bound of their steps"] += proof.most_steps is not None
        outcome = run(prepare(job.code, byte_order), machine, budget=BUDGET)
        if isinstance(outcome, Fault) or (proof.most_steps is not None and outcome.steps > proof.most_steps):
            found["accepted wrongly"] += 1
            echo(f"{vector.id}: accepted wrongly: {outcome}")
    for name, count in found.items():
        echo(f"{count:7,} {name}")
    for reason, count in reasons.most_common(8):
        echo(f"{count:7,} not accepted: {reason}")
    echo(f"{perf_counter() - start:.0f} s")
    sys.exit(bool(found["accepted wrongly"]))


if __name__ == "__main__":
    main()
