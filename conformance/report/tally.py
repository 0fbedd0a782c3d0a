# SPDX-License-Identifier: Apache-2.0
"""Counting results: rows of tables, of which each has a number of vectors for every runtime, verdict and level."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..run.runner import Result
from ..run.verdict import Verdict
from ..suite.model import Entry, Level, Vector
from .comparison import Column, Comparison, is_unknown
from .programs import Subjects

#: All that a cell of a table counts, in the order in which pages and scripts name it.
STATES = ("pass", "fail", "unsupported", "error", "not-run")
PASS, FAIL, UNSUPPORTED, ERROR, NOT_RUN = range(len(STATES))
_STATE = {
    Verdict.PASS: PASS,
    Verdict.FAIL: FAIL,
    Verdict.UNSUPPORTED: UNSUPPORTED,
    Verdict.ERROR: ERROR,
}
#: In percent of the bar of a cell.
_SMALLEST_SHARE = 5
LEVELS = tuple(level.value for level in Level)


def state(result: Result | None) -> int:
    """Return under what a result is counted; None means no result."""
    if result is None or is_unknown(result):
        return NOT_RUN
    return _STATE[result.judgement.verdict]


class Cell(NamedTuple):
    """The results of some vectors on one runtime: a number for each of :data:`STATES`."""

    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        """How many vectors these are."""
        return sum(self.counts)

    @property
    def passed(self) -> int:
        """How many passed."""
        return self.counts[PASS]

    @property
    def failed(self) -> int:
        """How many failed."""
        return self.counts[FAIL]

    @property
    def kind(self) -> str:
        """In a word how it looks: the gravest of what happened, ``part`` where some passed and nothing failed."""
        if self.counts[FAIL]:
            return "fail"
        if self.counts[ERROR]:
            return "error"
        if self.counts[PASS] and self.counts[PASS] == self.total:
            return "pass"
        if self.counts[PASS]:
            return "part"
        return "unsupported" if self.counts[UNSUPPORTED] else "not-run"

    @property
    def worst(self) -> str:
        """The state that is most worth looking at: a failure before an error before what is missing."""
        order = (FAIL, ERROR, UNSUPPORTED, NOT_RUN, PASS)
        return next(STATES[index] for index in order if self.counts[index] or index == PASS)

    @property
    def bar(self) -> str:
        """The shares of the bar below the numbers, as CSS properties; what there is can be seen, however little."""
        shares = [
            max(_SMALLEST_SHARE, 100 * number // self.total) if number else 0
            for number in (self.counts[FAIL], self.counts[ERROR], self.counts[UNSUPPORTED] + self.counts[NOT_RUN])
        ]
        names = zip(("--f", "--e", "--u"), shares, strict=True)
        parts = [f"--p:{max(0, 100 - sum(shares))}%", *(f"{name}:{share}%" for name, share in names if share)]
        return ";".join(parts)

    @property
    def in_words(self) -> str:
        """The numbers in words, without those that are zero."""
        words = ("passed", "failed", "not supported", "ended in an error of the harness", "not run")
        return ", ".join(f"{number:,} {word}" for number, word in zip(self.counts, words, strict=True) if number)


@dataclass
class Tally:
    """Vectors counted: for each level, numbers for each column and state, and on how many vectors runtimes disagree."""

    columns: int
    counts: dict[str, list[list[int]]] = field(default_factory=dict)
    disagreeing: dict[str, int] = field(default_factory=dict)

    def count(self, level: str, states: Sequence[int]) -> None:
        """Take in a vector: its state on each column."""
        rows = self._rows(level)
        for row, one in zip(rows, states, strict=True):
            row[one] += 1
        if disagree(states):
            self.disagreeing[level] = self.disagreeing.get(level, 0) + 1

    def add(self, other: Tally) -> None:
        """Take in all that another tally counted."""
        for level, theirs in other.counts.items():
            for row, numbers in zip(self._rows(level), theirs, strict=True):
                for index, number in enumerate(numbers):
                    row[index] += number
        for level, number in other.disagreeing.items():
            self.disagreeing[level] = self.disagreeing.get(level, 0) + number

    def _rows(self, level: str) -> list[list[int]]:
        return self.counts.setdefault(level, [[0] * len(STATES) for _ in range(self.columns)])

    def cell(self, column: int, levels: Iterable[str] = LEVELS) -> Cell:
        """Return the numbers of a column, of all ``levels`` together."""
        rows = [self.counts[level][column] for level in levels if level in self.counts]
        return Cell(tuple(map(sum, zip(*rows, strict=True))) if rows else (0,) * len(STATES))

    def cells(self) -> list[Cell]:
        """Return the numbers of all columns."""
        return [self.cell(column) for column in range(self.columns)]

    def by_level(self, column: int) -> str:
        """Return the numbers of a column for scripts: for each level its first letter and its numbers."""
        parts = []
        for level in LEVELS:
            if level in self.counts:
                numbers = self.counts[level][column]
                last = max((index for index, number in enumerate(numbers) if number), default=0)
                parts.append(level[0] + ",".join(map(str, numbers[: last + 1])))
        return " ".join(parts)

    def disagreements(self) -> str:
        """Return for scripts, for each level where runtimes disagree, its first letter and on how many vectors."""
        return " ".join(f"{level[0]}{self.disagreeing[level]}" for level in LEVELS if level in self.disagreeing)


def disagree(states: Iterable[int]) -> bool:
    """Whether one runtime passes what another fails."""
    found = set(states)
    return PASS in found and FAIL in found


class Chunk(NamedTuple):
    """Vectors of an entry that count under the same groups and are about the same instructions."""

    entry: Entry
    groups: frozenset[str]
    instructions: tuple[str, ...]
    vectors: list[Vector]
    tally: Tally


def chunks(comparison: Comparison) -> Iterator[Chunk]:
    """Count the vectors of a comparison, as finely as any row tells them apart."""
    subjects = Subjects(comparison.entries)
    results = [column.results for column in comparison.columns]
    for entry, vectors in comparison.entries.values():
        parts: dict[tuple[frozenset[str], tuple[str, ...]], Chunk] = {}
        for vector in vectors:
            key = vector.reported, subjects.of(vector)
            if key not in parts:
                parts[key] = Chunk(entry, *key, [], Tally(len(results)))
            part = parts[key]
            part.vectors.append(vector)
            part.tally.count(entry.level, [state(found.get(vector.id)) for found in results])
        yield from parts.values()


def total(parts: Iterable[Chunk], columns: int) -> Tally:
    """Return the sum of some chunks."""
    tally = Tally(columns)
    for part in parts:
        tally.add(part.tally)
    return tally


def states(columns: Sequence[Column], vector: Vector) -> list[int]:
    """Return the state of a vector on each column."""
    return [state(column.results.get(vector.id)) for column in columns]
