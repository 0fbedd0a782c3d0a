# SPDX-License-Identifier: Apache-2.0
"""Coverage on a terminal: short tables, and details of one requirement or instruction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from ..run.verdict import Verdict
from ..suite.model import Level
from ..terminal.console import Console
from .confirm import Confirmation, confirmed_by_any
from .document import hole_name
from .measure import Coverage, InstructionCoverage, RequirementCoverage


def show(coverage: Coverage, confirmed: Sequence[Confirmation], console: Console) -> None:
    """Print coverage by section and by group, confirmations, and holes."""
    console.print(_sections(coverage))
    console.print(_groups(coverage))
    if confirmed:
        console.print(_files(coverage, confirmed))
    console.say(_summary(coverage))
    for one in confirmed:
        console.say(_rate(one, coverage))
    if any(one.independent for one in confirmed):
        number, all_of_them = len(confirmed_by_any(confirmed)), len(coverage.suite.vectors)
        console.say(f"confirmed by a runtime that was not made from this table: {_share(number, all_of_them)}")
    holes = [hole_name(item) for item in coverage.holes]
    console.say(f"holes: {', '.join(holes)}" if holes else "no holes: each requirement and instruction has vectors")


def _table(*names: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(names):
        table.add_column(name, justify="right" if place else "left", no_wrap=True)
    return table


def _sections(coverage: Coverage) -> Table:
    """Return requirements by section: covered by vectors, covered by the tests of the codec, untestable."""
    table = _table("section", "requirements", "covered", "codec", "untestable", "holes", "vectors")
    for section, items in coverage.sections.items():
        ways = Counter(item.requirement.verified_by for item in items)
        covered = sum(bool(item.entries) for item in items)
        holes = sum(item.is_hole for item in items)
        vectors = sum(sum(item.entries.values()) for item in items)
        cells = (len(items), covered, ways["encoding"], ways["none"], holes, vectors)
        table.add_row(section, *(f"{cell:,}" if cell else "-" for cell in cells))
    return table


def _groups(coverage: Coverage) -> Table:
    table = _table("group", "instructions", "covered", "vectors: least", "most")
    for name, items in coverage.groups.items():
        numbers = [sum(item.entries.values()) for item in items]
        cells = (len(items), sum(map(bool, numbers)), min(numbers), max(numbers))
        table.add_row(name, *(f"{cell:,}" for cell in cells))
    return table


def _files(coverage: Coverage, confirmed: Sequence[Confirmation]) -> Table:
    table = _table("file", "vectors", *(f"{escape(one.name)} confirms" for one in confirmed))
    for file in coverage.files:
        rates = (one.rate(file.name) for one in confirmed)
        table.add_row(escape(file.name), f"{file.vectors:,}", *(_share(*rate) for rate in rates))
    return table


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} ({part / whole:.1%})" if whole else "none"


def _rate(one: Confirmation, coverage: Coverage) -> str:
    total = sum(one.verdicts.values(), Counter[Verdict]())
    rest = [f"{total[verdict]:,} {verdict.value}" for verdict in Verdict if total[verdict]]
    own = "" if one.independent else " (made from this table)"
    share = _share(total[Verdict.PASS], len(coverage.suite.vectors))
    return f"{one.identity}{own}: {share} confirmed; {', '.join(rest)}"


def _summary(coverage: Coverage) -> str:
    levels = sum((Counter(file.levels) for file in coverage.files), Counter[Level]())
    parts = ", ".join(f"{levels[level]:,} {level.value}" for level in Level if levels[level])
    entries = sum(file.entries for file in coverage.files)
    return f"{len(coverage.files)} files, {entries:,} entries, {len(coverage.suite.vectors):,} vectors: {parts}"


def show_requirement(item: RequirementCoverage, console: Console) -> None:
    """Print the entries that cover a requirement."""
    requirement = item.requirement
    console.say((requirement.id, "bold"), f" (section {requirement.section}, {requirement.keyword})")
    console.say(f"  {' '.join(requirement.text.split())}")
    if requirement.reason:
        console.say(f"  not tested: {requirement.reason}")
    _entries(item.entries, console)


def show_instruction(item: InstructionCoverage, console: Console) -> None:
    """Print which vectors contain an instruction."""
    row = item.row
    console.say((row.name, "bold"), f" (section {row.section}, {', '.join(sorted(row.groups))})")
    console.say(f"  {row.means_text}")
    about = {name: item.entries[name] for name in item.about}
    _entries(about, console, "about it: ")
    others = item.entries.keys() - about.keys()
    if others:
        number = sum(item.entries[name] for name in others)
        console.say(f"  contained as well in {number:,} vectors of {len(others):,} other entries")


def _entries(entries: Mapping[str, int], console: Console, label: str = "") -> None:
    console.say(f"  {label}{sum(entries.values()):,} vectors of {len(entries):,} entries")
    for name, number in entries.items():
        console.say(f"    {number:6,}  {name}")
