# SPDX-License-Identifier: Apache-2.0
"""Results side by side: one comparison for each suite that they were measured with, never one across suites."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ...adapters.protocol import RuntimeInfo
from ..results.document import ResultsError, Selection
from ..results.recorded import Recorded, SuiteId
from ..run.runner import Result, RuntimeRun, was_not_run
from ..suite.model import Entry, Vector
from ..suite.tier import Tier


@dataclass(frozen=True)
class Column:
    """A runtime of a comparison.

    ``label`` is its name, made unique; ``key`` is a form of it that can be part of file names and addresses.
    """

    label: str
    key: str
    info: RuntimeInfo
    run: RuntimeRun
    recorded: Recorded
    results: Mapping[str, Result]

    @property
    def vectors(self) -> int:
        """How many vectors it was asked to run."""
        return len(self.recorded.vectors)

    @cached_property
    def partial(self) -> str:
        """Why its numbers tell only of a part of the suite; empty if they tell of all."""
        parts = []
        if not self.run.complete:
            ran = sum(not is_unknown(result) for result in self.run.results)
            parts.append(f"the run was interrupted after {ran:,} of {self.vectors:,} vectors")
        if self.vectors < self.recorded.suite.vectors:
            chosen = f"{self.vectors:,} of the suite's {self.recorded.suite.vectors:,} vectors were selected"
            parts.append(f"{chosen} ({described(self.recorded.selection)})")
        if self.recorded.unread:
            number = len(self.recorded.unread)
            parts.append(f"{number:,} data {'file' if number == 1 else 'files'} could not be read")
        return "; ".join(parts)

    @property
    def mark(self) -> str:
        """What stands beside numbers that tell only of a part of the suite, where there is little room."""
        if not self.partial:
            return ""
        selection = self.recorded.selection
        whole = self.run.complete and not self.recorded.unread and selection == Selection(tier=selection.tier)
        return f"tier {selection.tier}" if whole and selection.tier != Tier.FULL else "partial"


@dataclass
class Comparison:
    """The results of runtimes of one suite. ``vectors`` are those that any of the documents has."""

    suite: SuiteId
    columns: list[Column] = field(default_factory=list)
    unavailable: list[tuple[Recorded, RuntimeRun]] = field(default_factory=list)
    vectors: dict[str, Vector] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)

    @cached_property
    def entries(self) -> Mapping[str, tuple[Entry, list[Vector]]]:
        """The entries of the vector files with their vectors, in the order of the documents."""
        found: dict[str, tuple[Entry, list[Vector]]] = {}
        for vector in self.vectors.values():
            found.setdefault(vector.entry.id, (vector.entry, []))[1].append(vector)
        return found

    @cached_property
    def partial(self) -> bool:
        """Whether a runtime has results for a part of the suite only."""
        return any(column.partial for column in self.columns)


def described(selection: Selection) -> str:
    """Return what was asked for on the command line, as it was asked."""
    parts = [f"-k {selection.expression!r}"] if selection.expression else []
    parts += [f"--group {name}" for name in selection.groups]
    parts += [f"--section {name}" for name in selection.sections]
    parts += [f"--level {name}" for name in selection.levels]
    parts += [f"--tier {selection.tier}"] if selection.tier != Tier.FULL else []
    return " ".join(parts) or "no reason given"


def is_unknown(result: Result | None) -> bool:
    """Whether a vector was not run at all: it was not selected, or the run ended before."""
    return result is None or was_not_run(result)


def compare(documents: Iterable[Recorded]) -> list[Comparison]:
    """Return a comparison for each suite, in the order in which the documents name them.

    Raises:
        ResultsError: two documents say of the same suite that a vector has different programs or expectations.
    """
    suites: dict[SuiteId, list[Recorded]] = {}
    for one in documents:
        suites.setdefault(one.suite, []).append(one)
    return [_compare(suite, recorded) for suite, recorded in suites.items()]


def _compare(suite: SuiteId, documents: Sequence[Recorded]) -> Comparison:
    comparison = Comparison(suite)
    # The longest first, so that vectors are in the order of the suite.
    for one in sorted(documents, key=lambda recorded: -len(recorded.vectors)):
        for name, vector in one.vectors.items():
            known = comparison.vectors.setdefault(name, vector)
            if known is not vector and known.little != vector.little:
                raise ResultsError(f"{one.path}: {name} is another vector than in the results of the same suite before")
        comparison.left_out |= one.left_out
    tested: list[tuple[Recorded, RuntimeRun, RuntimeInfo]] = []
    for one in documents:
        for run in one.runtimes:
            if run.info is None:
                comparison.unavailable.append((one, run))
            else:
                tested.append((one, run, run.info))
    labels = unique([_labels(one, run) for one, run, _ in tested])
    keys = unique([[key_of(label)] for label in labels])
    for (one, run, info), label, key in zip(tested, labels, keys, strict=True):
        found = {result.vector.id: result for result in run.results}
        comparison.columns.append(Column(label, key, info, run, one, found))
    return comparison


def _labels(one: Recorded, run: RuntimeRun) -> list[str]:
    """Return names for a runtime, from the shortest to the one that tells the most."""
    assert run.info is not None
    stem = one.path.name.removesuffix(".gz").removesuffix(".json")
    return [run.name, f"{run.name} {run.info.version}", f"{run.name} ({stem})"]


def unique(names: Sequence[Sequence[str]]) -> list[str]:
    """Return a name for each thing that no other has: of its possible names, the first that does, or a number."""
    chosen = [options[0] for options in names]
    for level in range(1, max((len(options) for options in names), default=0)):
        taken = {name for name in chosen if chosen.count(name) > 1}
        chosen = [
            options[level] if name in taken and level < len(options) else name
            for name, options in zip(chosen, names, strict=True)
        ]
    taken = set()
    for index, name in enumerate(chosen):
        number, unique = 1, name
        while unique in taken:
            number += 1
            unique = f"{name}-{number}"
        taken.add(unique)
        chosen[index] = unique
    return chosen


def key_of(label: str) -> str:
    """Return a form of a name that can be part of file names and addresses."""
    return re.sub(r"[^a-z0-9._]+", "-", label.lower()).strip("-.") or "runtime"
