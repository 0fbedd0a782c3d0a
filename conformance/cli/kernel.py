# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa kernel``: which Linux kernels can be tested here, and jobs for machines where this program is not."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

import click

from .echo import echo
from .failing import FAILED, OK, Unusable
from .options import ON_DISK, Word, listing, paths_option, tier_option

if TYPE_CHECKING:
    from ...adapters.kernels.architectures import Architecture

#: How many indexes are fetched at the same time.
_TOGETHER = 4


def _architectures() -> Iterator[tuple[str, str]]:
    from ...adapters.kernels.architectures import ARCHITECTURES

    for name in ARCHITECTURES:
        yield name, ""


def _suites() -> Iterator[tuple[str, str]]:
    from ...adapters.kernels.debian import SUITES

    for name in SUITES:
        yield name, ""


def _architecture(name: str) -> Architecture:
    from ...adapters.kernels.architectures import ARCHITECTURES

    if name not in ARCHITECTURES:
        raise Unusable(f"{name!r} is no architecture that can be tested: known are {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]


@click.group(short_help="List Linux kernels to test; make jobs for machines elsewhere.")
def kernel() -> None:
    """Linux kernels of other architectures and versions: which can be tested here, and jobs for other machines.

    A kernel is tested by `bpf-isa run -r linux-vm:ARCH[,kernel=SUITE][,image=FILE][,jit=0|1|harden]`.
    """


@kernel.command("list")
@listing("--arch", "names", metavar="ARCH", element=Word(_architectures), help="Only these architectures.")
@listing("--suite", "suites", metavar="SUITE", element=Word(_suites), help="Only these suites of Debian.")
def list_(names: tuple[str, ...], suites: tuple[str, ...]) -> None:
    """List the kernels that can be had here, by architecture and suite, and what is missing to run them.

    What the mirror says is kept for a day.

    Exit status: 0; 1 if QEMU is missing for an architecture or the mirror cannot be asked; 2 if a name means nothing.
    """
    from ...adapters.kernels.architectures import ARCHITECTURES
    from ...adapters.kernels.debian import SUITES, find
    from ...adapters.protocol import Unavailable

    chosen = [_architecture(name) for name in names or ARCHITECTURES]

    def release(pair: tuple[Architecture, str]) -> str | Unavailable:
        try:
            found = find(*pair)
        except Unavailable as error:
            return error
        return found.release if found else ""

    problems = []
    with ThreadPoolExecutor(_TOGETHER) as threads:
        pairs = [(one, suite) for one in chosen for suite in suites or SUITES]
        for (one, suite), found in zip(pairs, threads.map(release, pairs), strict=True):
            if isinstance(found, Unavailable):
                problems.append(str(found))
            elif found:
                echo(f"  linux-vm:{one.name},kernel={suite:20}  {found}")
    problems += [f"{one.qemu} is not here: apt-get install {one.package}" for one in chosen if which(one.qemu) is None]
    for problem in problems:
        echo(problem, err=True)
    raise SystemExit(FAILED if problems else OK)


@kernel.command(context_settings={"ignore_unknown_options": True})
@listing("--arch", "names", metavar="ARCH", element=Word(_architectures), required=True, help="The architectures.")
@listing("--kernel", "kernels", metavar="KERNEL", element=Word(_suites), required=True, help="Suites, or versions.")
@listing("--jit", "engines", metavar="0|1|harden", help="Engines.  [default: the JIT where there is one]")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def matrix(
    names: tuple[str, ...], kernels: tuple[str, ...], engines: tuple[str, ...], options: tuple[str, ...]
) -> None:
    """Test each of the architectures with each of the kernels and engines.

    OPTIONS are those of `bpf-isa run`, whose exit status this is; `bpf-isa report` makes a table of its --json FILE.
    """
    from .run import run

    suffixes = [f",jit={engine}" for engine in engines] or [""]
    runtimes = [
        f"linux-vm:{_architecture(name).name},kernel={one}{suffix}"
        for name in names
        for one in kernels
        for suffix in suffixes
    ]
    words = [word for runtime in runtimes for word in ("-r", runtime)]
    run.main([*words, *options], prog_name="run", standalone_mode=False)


@kernel.command
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--arch", "name", metavar="ARCH", required=True, help="The architecture of the kernel.")
@click.option("-k", "expression", metavar="EXPR", help="Only vectors whose ids match, as in `bpf-isa run`.")
@paths_option("--vectors", help="Vector files, or folders of them, instead of the suite.")
@tier_option()
def bundle(folder: Path, name: str, expression: str | None, paths: tuple[Path, ...], tier: str) -> None:
    """Write what a kernel elsewhere needs into FOLDER: run `guest < jobs > out` there as root, then judge out.

    Exit status: 0, 2 if something is missing or cannot be written.
    """
    from ...adapters.kernels.bundle import write
    from ..suite.select import by_expression
    from ..suite.suite import load_tier

    architecture = _architecture(name)
    vectors = load_tier(tier, paths).select([] if expression is None else [by_expression(expression)])
    order = architecture.byte_order
    jobs = [one.job(order) for one in vectors if one.entry.byte_order in {None, order}]
    selection = [word for path in paths for word in ("--vectors", str(path.absolute()))] or ["--tier", tier]
    selection += [] if expression is None else ["-k", expression]
    count = write(folder, architecture, jobs, selection)
    echo(f"{count:,} of {len(vectors):,} vectors are in {folder}, others cannot be asked of a kernel.")
    echo(f"As root on {architecture.machine}: {folder}/guest < {folder}/jobs > {folder}/out")
    echo(f"Then: bpf-isa kernel judge {folder}/out")


@kernel.command(context_settings={"ignore_unknown_options": True})
@click.argument("out", type=ON_DISK)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def judge(out: Path, options: tuple[str, ...]) -> None:
    """Judge what the guest of a bundle wrote to OUT, a file in its folder, or what a console has shown of it.

    OPTIONS are those of `bpf-isa run`, whose exit status this is.
    """
    from ...adapters.kernels.bundle import selection_of
    from .run import run

    run.main([*selection_of(out), "-r", f"linux-bundle:{out}", *options], prog_name="run", standalone_mode=False)


@kernel.command
@click.argument("results", type=ON_DISK)
@click.argument("ids", nargs=-1, metavar="[VECTOR]...")
def explain(results: Path, ids: tuple[str, ...]) -> None:
    """Print the failures in RESULTS (bpf-isa run --json), or those of VECTORs only, for a mail to kernel developers.

    Each with what differs, inputs, program, what RFC 9669 demands, and the program as a C array.

    Exit status: 0, 1 if there are no such failures, 2 if the file cannot be read.
    """
    from ..results.c_array import c_array
    from ..results.explain import as_text
    from ..results.recorded import read
    from ..run.verdict import Verdict

    found = False
    for one in read(results).runtimes:
        failed = [result for result in one.results if result.judgement.verdict is Verdict.FAIL]
        for result in failed:
            if one.info is None or (ids and result.vector.id not in ids):
                continue
            found = True
            echo(f"{one.name}: Linux {one.info.version}, {one.info.engine}, {one.info.architecture}")
            echo(as_text(result, one.info.byte_order))
            if code := result.vector.little.code:
                echo(f"\n{c_array(code)}\n")
    raise SystemExit(OK if found else FAILED)
