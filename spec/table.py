# SPDX-License-Identifier: Apache-2.0
"""The instruction table: ``isa.yaml`` read, checked and typed.

``isa()`` returns the table. An invalid row (an unknown field, a type error in the pseudocode, an encoding that overlaps
with another row's, an operand that the meaning does not use) raises :class:`TableError` with the row's name. The
pseudocode of a row is parsed at the first use of its meaning; encoding and decoding do not need it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

from . import strict_yaml, tree, unparse, validate
from .errors import InputError
from .location import specification_file

ISA_FILE = Path(__file__).parent / "isa.yaml"
SCHEMA_FILE = Path(__file__).parent / "schema" / "isa.schema.json"

#: Fields after the opcode, in encoding order, with the range of numbers that each can hold (sections 3.1, 3.2).
FIELD_RANGES = {
    "dst": (0, 15),
    "src": (0, 15),
    "offset": (-(1 << 15), (1 << 15) - 1),
    "imm": (-(1 << 31), (1 << 31) - 1),
    "next_imm": (-(1 << 31), (1 << 31) - 1),
}
#: Registers are R0 to R10 (section 3.1).
LAST_REGISTER = 10
#: The names of the instruction classes, by number (section 3.3).
CLASSES = ("LD", "LDX", "ST", "STX", "ALU", "JMP", "JMP32", "ALU64")


class TableError(InputError):
    """``isa.yaml`` contradicts itself or its schema; the message names the row and the reason."""


@dataclass(frozen=True, slots=True)
class Operand:
    """A field with an operand: any number in ``low..high``."""

    low: int
    high: int

    def admits(self, value: int) -> bool:
        """Whether the field may hold ``value``."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Fixed:
    """A field that must hold ``value``; zero for a field that the instruction does not use."""

    value: int
    unused: bool = False

    def admits(self, value: int) -> bool:
        """Whether the field may hold ``value``."""
        return value == self.value


@dataclass(frozen=True, eq=False)
class Instruction:
    """A row of ``isa.yaml``; compared by identity.

    ``fields`` has a rule for each of dst, src, offset, imm and, for a ``wide`` encoding, next_imm. ``asm`` holds the
    forms of assembly, the printed one first; ``mnemonic`` those of the other dialect, if it has any. ``means_text`` is
    the pseudocode of what the instruction does; ``means_tree`` is the tree that the text was made of, if it was.
    """

    name: str
    section: str
    groups: frozenset[str]
    opcode: int
    fields: Mapping[str, Operand | Fixed]
    asm: tuple[str, ...]
    means_text: str
    wide: bool
    line: int
    mnemonic: tuple[str, ...] = ()
    means_tree: tuple[tree.Stmt, ...] | None = None

    @cached_property
    def means(self) -> tuple[tree.Stmt, ...]:
        """What the instruction does, as a typed tree, which is made at the first use.

        Raises:
            pseudocode.PseudocodeError: ``means_text`` is wrong.
        """
        from . import pseudocode

        return pseudocode.parse(self.means_text) if self.means_tree is None else self.means_tree

    @cached_property
    def reads(self) -> frozenset[str]:
        """What the instruction uses: some of dst, src, r0, offset, imm, next_imm."""
        return tree.reads(*self.means)

    @cached_property
    def writes(self) -> frozenset[str]:
        """What the instruction assigns: some of dst, src, r0."""
        return tree.writes(*self.means)

    def with_means(self, means: tuple[tree.Stmt, ...]) -> Instruction:
        """Return the instruction with another meaning."""
        return replace(self, means_text=unparse.render(means), means_tree=means)

    @property
    def instruction_class(self) -> str:
        """The name of the class that the opcode is in (section 3.3)."""
        return CLASSES[self.opcode % len(CLASSES)]

    @property
    def slots(self) -> int:
        """How many 64-bit slots the encoding takes: 1, or 2 if wide."""
        return 2 if self.wide else 1

    @property
    def operands(self) -> tuple[str, ...]:
        """Names of the fields that carry operands, in encoding order."""
        return tuple(name for name, rule in self.fields.items() if isinstance(rule, Operand))


@dataclass(frozen=True, slots=True, eq=False)
class Isa:
    """All instructions, in the order of the file, and the conformance groups with those that each includes directly.

    The meaning of the instructions in the groups ``implementation_specific`` is left to each runtime.
    """

    instructions: tuple[Instruction, ...]
    groups: Mapping[str, frozenset[str]]
    implementation_specific: frozenset[str]
    by_name: Mapping[str, Instruction]
    by_opcode: Mapping[int, tuple[Instruction, ...]]


@cache
def isa() -> Isa:
    """Return the instruction set of this process: RFC 9669's, unless ``BPF_ISA_SPEC`` is set (read once).

    The pseudocode of RFC 9669's rows is checked by the tests, not here.

    Raises:
        location.LocationError: the variable names no specification.
        strict_yaml.YamlError, TableError: see :func:`load`; not for RFC 9669's table.
    """
    path = specification_file(ISA_FILE.name)
    return _table(strict_yaml.load(path)) if path == ISA_FILE else load(path)


def load(path: Path) -> Isa:
    """Read an instruction table.

    Raises:
        strict_yaml.YamlError: the file is no acceptable YAML.
        TableError: a row is wrong, or two rows overlap.
    """
    return build(strict_yaml.load(path))


def build(document: strict_yaml.Document) -> Isa:
    """Build the table of a YAML document; see :func:`load`."""
    table = _table(document)
    for row in table.instructions:
        _check_meaning(row)
    return table


def _table(document: strict_yaml.Document) -> Isa:
    _validate(document)
    data: Any = document.data
    raw_groups, raw_rows = data["groups"], data["instructions"]
    groups = {name: frozenset(group["includes"]) for name, group in raw_groups.items()}
    for name, included in groups.items():
        if unknown := included - groups.keys():
            raise TableError(f"{document.name}: {name} includes {min(unknown)}, which is no conformance group")
    rows = tuple(_row(raw, document.line(raw), groups) for raw in raw_rows)
    by_name: dict[str, Instruction] = {}
    by_opcode: dict[int, tuple[Instruction, ...]] = {}
    for row in rows:
        if row.name in by_name:
            raise TableError(f"{row.name}: two rows have this name (lines {by_name[row.name].line} and {row.line})")
        by_name[row.name] = row
        by_opcode[row.opcode] = (*by_opcode.get(row.opcode, ()), row)
    for siblings in by_opcode.values():
        _check_disjoint(siblings)
    specific = frozenset(name for name, group in raw_groups.items() if "implementation-specific" in group)
    return Isa(rows, groups, specific, by_name, by_opcode)


def _validate(document: strict_yaml.Document) -> None:
    try:
        validate.check(document.data, SCHEMA_FILE)
    except validate.SchemaError as error:
        place: Any = document.data
        name = ""
        for step in error.path:
            place = place[step]
            if isinstance(place, dict) and "name" in place:
                name = f"{place['name']}: "
        raise TableError(f"{document.name}: {name}{error}") from None


def _row(raw: dict[str, Any], line: int, groups: Mapping[str, frozenset[str]]) -> Instruction:
    name = str(raw["name"])
    rules = {field_name: _rule(field_name, raw.get(field_name)) for field_name in FIELD_RANGES}
    wide = "next_imm" in raw
    if not wide:
        del rules["next_imm"]
    row_groups = frozenset(str(group) for group in raw["groups"])
    if unknown := row_groups - groups.keys():
        raise TableError(f"{name} (line {line}): unknown conformance group {min(unknown)}")
    return Instruction(
        name=name,
        section=str(raw["section"]),
        groups=row_groups,
        opcode=raw["opcode"],
        fields=rules,
        asm=_forms(raw["asm"]),
        mnemonic=_forms(raw.get("mnemonic", [])),
        means_text=str(raw["means"]),
        wide=wide,
        line=line,
    )


def _check_meaning(row: Instruction) -> None:
    """Check that the pseudocode of a row is valid and uses exactly the operands of the row."""
    from .pseudocode import PseudocodeError

    try:
        used = row.reads | row.writes
    except PseudocodeError as error:
        raise TableError(f"{row.name} (line {row.line}): means: {error}") from None
    for name in FIELD_RANGES:
        is_operand = isinstance(row.fields.get(name), Operand)
        if is_operand and name not in used:
            raise TableError(f"{row.name} (line {row.line}): {name} is given as an operand, but means does not use it")
        if name in used and not is_operand:
            raise TableError(f"{row.name} (line {row.line}): means uses {name}, which is no operand of the row")


def _forms(raw: strict_yaml.Data) -> tuple[str, ...]:
    return tuple(str(form) for form in raw) if isinstance(raw, list) else (str(raw),)


def _rule(name: str, value: strict_yaml.Data) -> Operand | Fixed:
    if value == "reg":
        return Operand(0, LAST_REGISTER)
    if value == "any":
        return Operand(*FIELD_RANGES[name])
    if isinstance(value, int):
        return Fixed(value)
    return Fixed(0, unused=True)


def _check_disjoint(rows: tuple[Instruction, ...]) -> None:
    """Check that two rows of one opcode differ in the fixed value of a field."""
    for a, b in combinations(rows, 2):
        told_apart = any(
            isinstance(x, Fixed) and isinstance(y, Fixed) and x.value != y.value
            for x, y in ((a.fields.get(name), b.fields.get(name)) for name in FIELD_RANGES)
        )
        if not told_apart:
            raise TableError(f"{b.name} (line {b.line}): its encoding overlaps with {a.name} (line {a.line})")
        if a.wide != b.wide:
            raise TableError(f"{b.name} (line {b.line}): wide, but {a.name} with the same opcode is not, or vice versa")
