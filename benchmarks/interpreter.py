# SPDX-License-Identifier: Apache-2.0
"""Compare the speed of the interpreter with what it is meant to reach on one core: `python benchmarks/interpreter.py`.

No test: the figures depend on the machine and on what else it does. Exit status 1 if a figure is not reached.
"""

from __future__ import annotations

import sys

from bpf_isa.conformance.bench import suite as benchmark
from bpf_isa.conformance.cli.echo import echo

#: Instructions per second.
MEANT = {"alu": 8e6, "memory": 2e6, "branchy": 5e6}
#: Programs of ten instructions per second: vectors at 3,000 per second, with room for all else that a vector needs.
MEANT_SHORT = 1 / 150e-6


def main() -> int:
    """Print a line per figure."""
    found = {
        workload.name: (benchmark.interpreter_rates(workload, 3)[0].per_second, MEANT[workload.name])
        for workload in benchmark.WORKLOADS
    }
    found["short programs"] = (benchmark.short_programs_per_second(3), MEANT_SHORT)
    for name, (rate, meant) in found.items():
        echo(f"{name:15} {rate:14,.0f}/s   meant: {meant:12,.0f}/s   {'ok' if rate >= meant else 'TOO SLOW'}")
    return int(any(rate < meant for rate, meant in found.values()))


if __name__ == "__main__":
    sys.exit(main())
