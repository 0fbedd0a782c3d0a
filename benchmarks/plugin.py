# SPDX-License-Identifier: Apache-2.0
"""What the plugin and the batch adapter cost for each vector: `python benchmarks/plugin.py [PLUGIN]`.

The bare cost of a plugin is that of `posix_spawn`, two pipes and `waitpid`; PLUGIN is a small program in C by default.
No test: the figures depend on the machine and on what else it does. Exit status 1 if the plugin adapter costs more
than it is meant to.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

from bpf_isa.adapters.batch.adapter import BatchAdapter
from bpf_isa.adapters.plugin.adapter import PluginAdapter
from bpf_isa.adapters.protocol import Job
from bpf_isa.conformance.cli.echo import echo
from bpf_isa.spec.asm.assemble import assemble

#: Seconds for a vector, over the bare cost of starting the process.
MEANT = 1e-3
ROUNDS, RUNS = 15, 100
SOURCE = """#include <stdio.h>
int main(void) { while (getchar() != EOF); puts("2a"); return 0; }
"""
EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "batch_runtime.c"
JOB = Job(
    "job", assemble("w0 = 42\nexit", sys.byteorder), sys.byteorder, frozenset(), frozenset({"r0"}), memory=bytes(16)
)


def main() -> int:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        plugin = sys.argv[1] if len(sys.argv) > 1 else _compile(folder, "plugin", SOURCE)
        bare, adapted, plain = [], [], []
        with PluginAdapter(plugin) as adapter, PluginAdapter(plugin, contained=False) as other:
            # In turns, so that all see the same weather.
            for _ in range(ROUNDS):
                bare.append(_seconds(lambda: _start(plugin)))
                adapted.append(_seconds(lambda: list(adapter.run([JOB]))))
                plain.append(_seconds(lambda: list(other.run([JOB]))))
        with BatchAdapter(_compile(folder, "batch", EXAMPLE.read_text(encoding="utf-8"))) as batch:
            talk = median(_seconds(lambda: list(batch.run([JOB]))) for _ in range(ROUNDS))
    over = median(adapted) - median(bare)
    echo(f"plugin, bare process    {median(bare) * 1e6:8.0f} us")
    echo(f"plugin, adapter         {median(adapted) * 1e6:8.0f} us")
    ratio = median(one / another for one, another in zip(adapted, plain, strict=True))
    echo(f"the same, no namespaces {median(plain) * 1e6:8.0f} us   ratio, round by round: {ratio:.3f}")
    verdict = "ok" if over < MEANT else "TOO SLOW"
    echo(f"difference              {over * 1e6:8.0f} us   meant: below {MEANT * 1e6:.0f} us   {verdict}")
    echo(f"batch, adapter          {talk * 1e6:8.0f} us")
    return int(over >= MEANT)


def _compile(folder: str, name: str, text: str) -> str:
    target = str(Path(folder, name))
    command = ["cc", "-O2", "-D_GNU_SOURCE", "-x", "c", "-", "-o", target]
    subprocess.run(command, input=text, text=True, check=True)
    return target


def _seconds(deed: Callable[[], object]) -> float:
    start = perf_counter()
    for _ in range(RUNS):
        deed()
    return (perf_counter() - start) / RUNS


def _start(program: str) -> None:
    """Start a process, give it a line and read its answer: no less will do."""
    theirs_in, feed = os.pipe()
    out, theirs_out = os.pipe()
    os.write(feed, b"b4 00 00 00 2a 00 00 00 95 00 00 00 00 00 00 00\n")
    os.close(feed)
    actions = [(os.POSIX_SPAWN_DUP2, theirs_in, 0), (os.POSIX_SPAWN_DUP2, theirs_out, 1)]
    pid = os.posix_spawn(program, [program, "00"], os.environ, file_actions=actions)
    os.close(theirs_in)
    os.close(theirs_out)
    while os.read(out, 4096):
        pass
    os.close(out)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    sys.exit(main())
