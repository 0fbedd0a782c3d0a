# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa bench``: how fast the engines of the project are on this machine, and how soon the suite is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...spec.output import write_json
from ..bench import suite as benchmark
from .echo import echo
from .failing import check_writable
from .options import console_beside, json_option, runtimes_option

if TYPE_CHECKING:
    from ...adapters.protocol import Adapter
    from ..bench.jit import Split
    from ..terminal.console import Console

#: The sample that shows where the time goes has every n-th vector.
_EVERY = 20


@click.command(short_help="Time the engines of the project on this machine")
@click.option(
    "--repeat", type=click.IntRange(1), default=3, show_default=True, help="Time each this often; best counts."
)
@runtimes_option("--against", help="Time the programs for the JIT on these runtimes too.")
@click.option(
    "--runs", type=click.IntRange(1), default=1, show_default=True,
    help="How often the runtimes of --against run a program for one answer: 4 for uBPF's plugin with --jit.",
)  # fmt: skip
@json_option("all figures")
def bench(repeat: int, against: tuple[str, ...], runs: int, json_file: Path | None) -> None:
    """Time loops of arithmetic, of memory accesses and of branches, and how long it takes to load the suite.

    Also programs as machine code of the bundled JIT, next to other runtimes if some are given
    (plugin:./ubpf_plugin:--jit, say), and where the time goes when the JIT runs the suite. The former are run in turns,
    each with some number of iterations and with twice as many: the difference counts, so that starting a process and
    compiling do not. A plugin that runs a program several times to compare the results needs --runs.
    """
    from ..bench import jit as jit_benchmark

    check_writable(json_file)
    runtimes = _opened(against)
    rates = []
    for workload in benchmark.WORKLOADS:
        rates += benchmark.interpreter_rates(workload, repeat)
        rates.append(jit_benchmark.workload_rate(workload, repeat))
    others = [jit_benchmark.Adapted(label, adapter, runs) for label, adapter in runtimes]
    for name in jit_benchmark.PROGRAMS:
        found, unfit = jit_benchmark.contest(name, [*jit_benchmark.OWN, *others], repeat)
        rates += found
        for label, reason in unfit.items():
            echo(f"{label}, {name}: {reason}", err=True)
    for _, adapter in runtimes:
        adapter.close()
    split = jit_benchmark.suite_split(_EVERY)
    short = benchmark.short_programs_per_second(repeat)
    loading = benchmark.suite_loading(repeat)
    if json_file is not None:
        write_json(_document(rates, short, loading, split), json_file, indent=2)
    _print_table(rates, short, loading, split, console_beside(json_file))


def _document(rates: list[benchmark.Rate], short: float, loading: benchmark.Loading, split: Split) -> dict[str, object]:
    return {
        "format": "bpf-isa-bench",
        "version": 1,
        "rates": [
            {
                "workload": rate.workload,
                "engine": rate.engine,
                "instructions": rate.instructions,
                "seconds": rate.seconds,
                "instructions_per_second": rate.per_second,
            }
            for rate in rates
        ],
        "short_programs_per_second": short,
        "load_suite": {**loading._asdict(), "vectors_per_second": loading.per_second},
        "jit_suite": split._asdict(),
    }


def _print_table(
    rates: list[benchmark.Rate], short: float, loading: benchmark.Loading, split: Split, console: Console
) -> None:
    from rich import box
    from rich.table import Table

    first = {rate.workload: rate for rate in reversed(rates)}
    table = Table("program", "engine", box=box.SIMPLE_HEAD)
    table.add_column("million instructions/s", justify="right")
    table.add_column("relative", justify="right")
    for rate in rates:
        relative = rate.per_second / first[rate.workload].per_second
        table.add_row(rate.workload, rate.engine, f"{rate.per_second / 1e6:.1f}", f"{relative:.2f}")
    console.print(table)
    console.print(f"programs of ten instructions, decoded and run: {short:,.0f}/s")
    console.print(
        f"load suite, {loading.vectors:,} vectors read and expanded: {loading.seconds:.2f} s "
        f"({loading.per_second:,.0f} vectors/s), and {loading.other_order_seconds:.2f} s for the other byte order; "
        f"loaded from the user's cache folder: {loading.kept_seconds:.2f} s"
    )
    each = ", ".join(f"{stage} {1e6 * seconds / split.programs:.0f}" for stage, seconds in split.seconds.items())
    console.print(
        f"the suite on the JIT, {split.programs:,} vectors in {split.modules} modules, microseconds each: {each}"
    )


def _opened(texts: tuple[str, ...]) -> list[tuple[str, Adapter]]:
    from ...adapters.registry import parse_spec

    runtimes = []
    for text in texts:
        spec = parse_spec(text)
        runtimes.append((spec.name, spec.open()))
    return runtimes
