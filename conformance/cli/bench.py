# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa bench``: how fast the engines of the project are on this machine, and how soon the suite is loaded."""

from __future__ import annotations

import json as json_module

import click

from .. import benchmark


@click.command(short_help="Time the engines of the project on this machine")
@click.option(
    "--repeat", type=click.IntRange(1), default=3, show_default=True, help="Time each this often; best counts."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def bench(repeat: int, as_json: bool) -> None:
    """Time loops of arithmetic, of memory accesses and of branches, and how long it takes to load the suite."""
    rates = [rate for workload in benchmark.WORKLOADS for rate in benchmark.interpreter_rates(workload, repeat)]
    short = benchmark.short_programs_per_second(repeat)
    loading = benchmark.suite_loading(repeat)
    if as_json:
        _print_json(rates, short, loading)
    else:
        _print_table(rates, short, loading)


def _print_json(rates: list[benchmark.Rate], short: float, loading: benchmark.Loading) -> None:
    document = {
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
    }
    click.echo(json_module.dumps(document, indent=2))


def _print_table(rates: list[benchmark.Rate], short: float, loading: benchmark.Loading) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    first = {rate.workload: rate for rate in reversed(rates)}
    table = Table("program", "engine", box=box.SIMPLE_HEAD)
    table.add_column("million instructions/s", justify="right")
    table.add_column("relative", justify="right")
    for rate in rates:
        relative = rate.per_second / first[rate.workload].per_second
        table.add_row(rate.workload, rate.engine, f"{rate.per_second / 1e6:.1f}", f"{relative:.2f}")
    console = Console()
    console.print(table)
    console.print(f"programs of ten instructions, decoded and run: {short:,.0f}/s")
    console.print(
        f"load suite, {loading.vectors:,} vectors read and expanded: {loading.seconds:.2f} s "
        f"({loading.per_second:,.0f} vectors/s), and {loading.other_order_seconds:.2f} s for the other byte order"
    )
