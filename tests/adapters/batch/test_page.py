# SPDX-License-Identifier: Apache-2.0
"""docs/batch-protocol.md: what it promises about memories, and the code that it shows."""

import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bpf_isa.adapters.reference import BUDGET, machine_for
from bpf_isa.conformance.suite.model import Level
from bpf_isa.conformance.suite.suite import VECTORS, load_suite
from bpf_isa.reference_vm.executable import prepare
from bpf_isa.reference_vm.interpreter import run
from bpf_isa.reference_vm.memory import OFFSET_MASK

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "batch-protocol.md").read_text(encoding="utf-8")


def shown(language: str) -> str:
    """Return the one block of code in a language."""
    (block,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(block)


def test_the_example_shields_itself_as_the_page_says() -> None:
    example = (ROOT / "examples" / "batch_runtime.c").read_text(encoding="utf-8")
    for line in shown("c").splitlines():
        assert f"    {line}\n" in example


def test_the_shield_in_python_works() -> None:
    program = f"import os, sys\n{shown('python')}\nos.system('echo noise')\nprint('{{}}', file=answers, flush=True)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("{}\n", "noise\n")


def test_memory_is_as_the_page_says() -> None:
    """It is never empty, and where it is aligned, so are the accesses of vectors of the level must."""
    misaligned = set()

    def watched(access: Callable[..., int | None], size: int, address: int, *value: int) -> int | None:
        if address % size:
            misaligned.add(vector.entry.level)
        return access(address, *value)

    for vector in load_suite([VECTORS / name for name in ("load-store.yaml", "atomics.yaml", "calls.yaml")]).vectors:
        job = vector.job("little")
        assert job.memory != b"", vector.id
        machine = machine_for(job, "little")
        assert machine.packet & OFFSET_MASK == 0
        for size in (2, 4, 8):
            for name in (f"load{size}", f"store{size}"):
                setattr(machine, name, partial(watched, getattr(machine, name), size))
        run(prepare(job.code, "little"), machine, budget=BUDGET)
    assert Level.MUST not in misaligned
    assert Level.INTERPRETATION in misaligned
