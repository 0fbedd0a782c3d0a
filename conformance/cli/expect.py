# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa expect``: writes what is known about a runtime from what a run shows."""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import click

from ..results.explain import MEANING
from .echo import echo
from .failing import Unusable
from .options import ON_DISK

if TYPE_CHECKING:
    from ..diagnosis.findings import Finding

#: Characters of what a runtime says that are quoted.
_LONGEST = 200
_HEADER = "# What is known about a runtime; `bpf-isa expect` keeps the reasons, `bpf-isa gate` compares.\n"


@click.command(short_help="Write what is known about a runtime from what a run shows.")
@click.argument("results", type=ON_DISK)
@click.option("--update", "file", required=True, type=ON_DISK, help="Expectation file to write.")
@click.option("-r", "--runtime", metavar="NAME", help="Runtime of the results.  [default: the file's, or the only one]")
@click.option("--unsupported", is_flag=True, help="Also list vectors that are not supported and not yet in the file.")
def expect(results: Path, file: Path, runtime: str | None, unsupported: bool) -> None:
    """Write the failures in RESULTS to an expectation file.

    Entries that are still true keep their reasons and links, those that are not are taken out, and failures that the
    file does not know come to it as unexplained, an entry for each finding as reports have them: say why before you
    commit the file. Entries about other versions of the runtime, and the comment at the beginning of the file, stay.

    Exit status: 0; 2 if a file cannot be used or written.
    """
    from ...spec.output import write_text
    from ..results import expectations
    from ..results.document import read

    document = read(results)
    old = expectations.load(file) if file.exists() else None
    if old is not None and runtime not in {None, old.runtime}:
        raise Unusable(f"{file} is about {old.runtime!r}, not {runtime!r}: write to another file")
    names = [one["name"] for one in document["runtimes"]]
    name = runtime or (old.runtime if old else names[0] if len(names) == 1 else None)
    if name is None:
        raise Unusable(f"{results} has several runtimes: choose one of {', '.join(names)} with --runtime")
    one = next((one for one in document["runtimes"] if one["name"] == name), None)
    if one is None:
        raise Unusable(f"{results} has no runtime {name!r}; it has {', '.join(names) or 'none'}")
    if not one["complete"]:
        raise Unusable(f"{results}: the run of {name} was interrupted: finish it with bpf-isa run --resume")
    old = old or expectations.Expectations(file, name, header=_HEADER)
    found = _findings(document, results, name)
    whole = document["selection"]["vectors"] == document["suite"]["vectors"]
    new = expectations.updated(
        old, one["identity"]["version"], one["results"], found, unsupported=unsupported, whole=whole
    )
    write_text(expectations.dump(new), file)
    gone, new_ones = set(old.known) - set(new.known), set(new.known) - set(old.known)
    unexplained = sum(not entry.explained for entry in new.known)
    echo(f"{file}: {len(new.known)} entries ({len(new_ones)} came or changed, {len(gone)} went or changed)")
    if unexplained:
        echo(f"{unexplained} of them are unexplained: give the reason")


def _findings(document: dict[str, Any], file: Path, runtime: str) -> dict[str, str]:
    """Return, for each vector that a runtime fails, what it is a part of: a finding, in words that no other has."""
    from ..diagnosis.findings import findings
    from ..report.comparison import unique
    from ..results.recorded import restore

    (one,) = (one for one in restore(document, file).runtimes if one.name == runtime)
    found = findings(one)
    # Findings with the same text are entries of their own all the same.
    texts = unique([[_in_words(finding)] for finding in found])
    return {result.vector.id: text for finding, text in zip(found, texts, strict=True) for result in finding.results}


def _in_words(finding: Finding) -> str:
    common = shorten(finding.common, _LONGEST)
    return f"{finding.subject}, {finding.level}: {MEANING[finding.failure]}{f' ({common})' if common else ''}"
