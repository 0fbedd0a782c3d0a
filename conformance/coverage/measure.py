# SPDX-License-Identifier: Apache-2.0
"""The vectors that cover each requirement and contain each instruction, and holes without any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ...spec.encoding import Slot
from ...spec.requirements import Requirement, load_requirements
from ...spec.table import Instruction, isa
from ..suite.instructions import names_in
from ..suite.model import Level, Source
from ..suite.suite import VECTORS, Suite

_NOTHING = Slot(0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class RequirementCoverage:
    """A requirement with the entries of vector files that cite it: their ids, and how many vectors each expands to."""

    requirement: Requirement
    entries: Mapping[str, int]

    @property
    def is_hole(self) -> bool:
        """Whether vectors should verify it, and none does."""
        return self.requirement.verified_by == "vector" and not self.entries


@dataclass(frozen=True, slots=True)
class InstructionCoverage:
    """An instruction with the entries whose programs contain it, and how many vectors of each do.

    ``about`` are those that contain no rarer instruction. Programs that must be rejected do not count: their errors are
    not instructions.
    """

    row: Instruction
    entries: Mapping[str, int]
    about: tuple[str, ...]

    @property
    def is_hole(self) -> bool:
        """Whether no vector executes it."""
        return not self.entries


@dataclass(frozen=True, slots=True)
class FileCoverage:
    """A vector file: where its expectations come from, and how many entries and vectors it has, by level."""

    path: Path
    name: str
    source: Source
    entries: int
    levels: Mapping[Level, int]

    @property
    def vectors(self) -> int:
        """How many vectors the file expands to."""
        return sum(self.levels.values())


class Coverage:
    """The coverage of the vectors of a suite."""

    def __init__(self, suite: Suite) -> None:
        self.suite = suite

    @cached_property
    def requirements(self) -> tuple[RequirementCoverage, ...]:
        """All requirements, in the order of the RFC."""
        citing: dict[str, Counter[str]] = {name: Counter() for name in load_requirements()}
        for vector in self.suite.vectors:
            for name in vector.entry.covers:
                citing[name][vector.entry.id] += 1
        return tuple(RequirementCoverage(item, citing[name]) for name, item in load_requirements().items())

    @cached_property
    def sections(self) -> Mapping[str, tuple[RequirementCoverage, ...]]:
        """Requirements by section."""
        found: dict[str, list[RequirementCoverage]] = {}
        for item in self.requirements:
            found.setdefault(item.requirement.section, []).append(item)
        return {section: tuple(items) for section, items in found.items()}

    @cached_property
    def instructions(self) -> tuple[InstructionCoverage, ...]:
        """All instructions, in the order of the table."""
        containing: dict[str, Counter[str]] = {row.name: Counter() for row in isa().instructions}
        rows_of_entry: dict[str, set[str]] = {}
        for vector in self.suite.vectors:
            if vector.little.expect.rejected:
                continue
            rows = names_in(vector.little.code)
            rows_of_entry.setdefault(vector.entry.id, set()).update(rows)
            for name in rows:
                containing[name][vector.entry.id] += 1
        total = {name: counter.total() for name, counter in containing.items()}
        about: dict[str, list[str]] = {}
        for entry, names in rows_of_entry.items():
            if names:
                about.setdefault(min(names, key=lambda name: (total[name], name)), []).append(entry)
        return tuple(
            InstructionCoverage(row, containing[row.name], tuple(about.get(row.name, ()))) for row in isa().instructions
        )

    @cached_property
    def groups(self) -> Mapping[str, tuple[InstructionCoverage, ...]]:
        """Instructions by conformance group."""
        return {name: tuple(item for item in self.instructions if name in item.row.groups) for name in isa().groups}

    @cached_property
    def files(self) -> tuple[FileCoverage, ...]:
        """The vector files, in the order in which they were read."""
        levels: dict[str, Counter[Level]] = {}
        entries: dict[str, dict[str, Source]] = {}
        for vector in self.suite.vectors:
            levels.setdefault(vector.entry.file, Counter())[vector.entry.level] += 1
            entries.setdefault(vector.entry.file, {})[vector.entry.id] = vector.entry.source
        return tuple(
            FileCoverage(Path(file), short_name(Path(file)), next(iter(found.values())), len(found), levels[file])
            for file, found in entries.items()
        )

    @property
    def holes(self) -> tuple[RequirementCoverage | InstructionCoverage, ...]:
        """Requirements and instructions that vectors should cover, and none does."""
        missing = tuple(item for item in self.requirements if item.is_hole)
        return (*missing, *(item for item in self.instructions if item.is_hole))


def short_name(file: Path) -> str:
    """Return the name of a vector file: within the suite that comes with this package, if it is there."""
    return (file.relative_to(VECTORS) if file.is_relative_to(VECTORS) else file).as_posix()
