# SPDX-License-Identifier: Apache-2.0
"""The requirements of RFC 9669 (``requirements.yaml``) and the registry of errata (``errata.yaml``).

Both files have JSON Schemas in ``schema/``. This module reads them and rejects violations of the schema, duplicate ids
and dangling references.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

from . import strict_yaml, table, validate
from .errors import InputError
from .location import specification_file
from .table import Instruction

HERE = Path(__file__).parent

Keyword: TypeAlias = Literal["MUST", "SHALL", "SHOULD", "MAY", "statement"]
Operand: TypeAlias = int | Literal["any"]
LevelName: TypeAlias = Literal["must", "interpretation", "abi", "robustness"]
Field: TypeAlias = Literal["dst", "src", "offset", "imm"]


class RegistryError(InputError):
    """A requirement or erratum is malformed; the message names the file, the entry and what is wrong."""


@dataclass(frozen=True, slots=True)
class Source:
    """A document that makes statements, such as RFC 9669; ``url`` is where it is published.

    ``sections`` is what the address of a section adds to it: ``{kind}`` in it is section or appendix. It is empty if
    sections have no addresses.
    """

    document: str
    url: str
    sections: str = ""

    def address(self, number: str) -> str:
        """Return where the section ``number`` is published."""
        kind = "appendix" if number[0].isalpha() else "section"
        return self.url + self.sections.format(kind=kind, number=number)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One testable statement of a document, in this project's words.

    ``section`` is named as for :func:`document_of`. ``keyword`` is the BCP 14 keyword of the sentence, or
    ``statement``; ``binds`` says to what it applies; ``reason`` is given if and only if nothing verifies it; ``errata``
    are ids of related entries. It applies to the instructions whose names match one of ``rows`` (a pattern, or a class
    of section 3.3, a colon and a pattern) and that have an operand in the field ``operand``, or zero in the field
    ``unused``, where these are given.
    """

    id: str
    section: str
    keyword: Keyword
    binds: Literal["runtime", "program", "document"]
    verified_by: Literal["vector", "encoding", "none"]
    text: str
    reason: str | None = None
    errata: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    operand: Field | None = None
    unused: Field | None = None

    def is_about(self, row: Instruction) -> bool:
        """Whether it applies to an instruction."""
        if self.operand is not None and not isinstance(row.fields[self.operand], table.Operand):
            return False
        if self.unused is not None:
            rule = row.fields[self.unused]
            if not isinstance(rule, table.Fixed) or rule.value != 0:
                return False
        names = (row.name, f"{row.instruction_class}:{row.name}")
        return any(fnmatchcase(name, pattern) for name in names for pattern in self.rows)


class Registry(NamedTuple):
    """A file of requirements: the documents by the word that ids begin with, and the requirements by id."""

    sources: Mapping[str, Source]
    requirements: Mapping[str, Requirement]


@dataclass(frozen=True, slots=True)
class Selector:
    """Rows of Appendix A: those whose columns hold the values that are not None.

    Where the description differs from the body, ``when`` gives the operands and ``decided`` the meaning for them, both
    in the notation of the appendix. ``otherwise`` is the alternative meaning, as pseudocode of isa.yaml.
    """

    opcode: int
    src: Operand | None = None
    offset: Operand | None = None
    imm: Operand | None = None
    when: str | None = None
    decided: str | None = None
    otherwise: str | None = None

    def selects(self, opcode: int, src: Operand, offset: Operand, imm: Operand) -> bool:
        """Whether a row of Appendix A with these columns is selected."""
        asked = ((self.src, src), (self.offset, offset), (self.imm, imm))
        return self.opcode == opcode and all(want is None or want == have for want, have in asked)


@dataclass(frozen=True, slots=True)
class Erratum:
    """A contradiction or an open point in the texts, and the decision.

    ``level`` is the highest level of a vector that relies on the decision: ``must`` where another sentence or the
    appendix decides it. ``says`` maps each of ``sections`` to a paraphrase; ``fields`` are the columns of the
    rows ``opcodes`` of Appendix A in which ``isa.yaml`` differs from them (only a ``discrepancy`` has any).
    """

    id: str
    kind: Literal["discrepancy", "ambiguity", "interpretation", "extension"]
    level: LevelName
    sections: tuple[str, ...]
    opcodes: tuple[Selector, ...]
    fields: frozenset[str]
    says: Mapping[str, str]
    decision: str
    why: str


@cache
def _registry() -> Registry:
    return read_requirements(specification_file("requirements.yaml"), load_errata())


def load_requirements() -> Mapping[str, Requirement]:
    """Return the requirements by id, in the order of the file (read once)."""
    return _registry().requirements


def load_sources() -> Mapping[str, Source]:
    """Return the documents that make statements, by the word that ids begin with (read once)."""
    return _registry().sources


def document_of(section: str) -> tuple[Source, str]:
    """Return the document that a section is of, and its number there.

    A section is named by its number if it is of the first document, and as ``more-1.2`` if it is of another.

    Raises:
        RegistryError: no document has the word that it begins with.
    """
    sources = load_sources()
    name, dash, number = section.rpartition("-")
    if not dash:
        return next(iter(sources.values())), section
    if name not in sources:
        raise RegistryError(f"section {section}: requirements.yaml has no source {name}, only {', '.join(sources)}")
    return sources[name], number


@cache
def requirements_of(row: Instruction) -> Mapping[str, Requirement]:
    """Return the requirements that apply to an instruction by id, in the order of the file."""
    return MappingProxyType({name: item for name, item in load_requirements().items() if item.is_about(row)})


@cache
def rows_of(requirement: str) -> frozenset[str]:
    """Return the names of the instructions that a requirement applies to; none if there is no such requirement."""
    item = load_requirements().get(requirement)
    return frozenset(row.name for row in table.isa().instructions if item is not None and item.is_about(row))


@cache
def load_errata() -> Mapping[str, Erratum]:
    """Return the errata of RFC 9669 by id, in the order of the file (read once)."""
    return MappingProxyType(read_errata(specification_file("errata.yaml")))


def read_requirements(path: Path, errata: Mapping[str, Erratum]) -> Registry:
    """Read a file of requirements, which may cite ``errata``.

    Raises:
        strict_yaml.YamlError: the file is not acceptable YAML.
        RegistryError: an entry is malformed, repeats an id, or cites an unknown erratum.
    """
    found: dict[str, Requirement] = {}
    data, entries = _entries(path, "requirements")
    sources = {name: Source(**source) for name, source in data["sources"].items()}
    first = next(iter(sources))
    for where, entry in entries:
        lists = {name: tuple(entry.get(name, ())) for name in ("errata", "rows")}
        name = entry["id"].partition("-")[0]
        if name not in sources:
            raise RegistryError(f"{where}: the id does not begin with one of the sources, {', '.join(sources)}")
        item = Requirement(**{**entry, **lists})
        number = item.section.rpartition("-")[2]
        if not item.id.startswith(f"{name}-{number}-"):
            raise RegistryError(f"{where}: the id does not begin with its section, {item.section}")
        if item.section != (expected := number if name == first else f"{name}-{number}"):
            raise RegistryError(f"{where}: write its section as {expected}, not as {item.section}")
        for unknown in sorted(set(item.errata) - set(errata)):
            raise RegistryError(f"{where}: there is no erratum {unknown}")
        if item.id in found:
            raise RegistryError(f"{where}: the id occurs twice")
        found[item.id] = item
    return Registry(MappingProxyType(sources), MappingProxyType(found))


def read_errata(path: Path) -> dict[str, Erratum]:
    """Read a file of errata.

    Raises:
        strict_yaml.YamlError: the file is not acceptable YAML.
        RegistryError: an entry is malformed or repeats an id.
    """
    found: dict[str, Erratum] = {}
    for where, entry in _entries(path, "errata")[1]:
        item = Erratum(
            **{
                **entry,
                "sections": tuple(entry["sections"]),
                "opcodes": tuple(Selector(**selector) for selector in entry["opcodes"]),
                "fields": frozenset(entry["fields"]),
                "says": MappingProxyType(entry["says"]),
            }
        )
        if set(item.sections) != set(item.says):
            raise RegistryError(f"{where}: sections and the keys of says differ")
        if item.id in found:
            raise RegistryError(f"{where}: the id occurs twice")
        found[item.id] = item
    return found


def _entries(path: Path, kind: str) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    """Return a file that follows the schema ``kind``, and the entries of the list of that name with their places."""
    document = strict_yaml.load(path)
    data: Any = document.data
    try:
        validate.check(data, HERE / "schema" / f"{kind}.schema.json")
    except validate.SchemaError as error:
        inside_entry = len(error.path) > 1 and error.path[0] == kind
        place = _place(document, data[kind][error.path[1]]) if inside_entry else document.name
        raise RegistryError(f"{place}: {error}") from None
    return data, [(_place(document, entry), entry) for entry in data[kind]]


def _place(document: strict_yaml.Document, entry: Any) -> str:
    name = entry.get("id", "no id") if isinstance(entry, dict) else "no entry"
    return f"{document.name}:{document.line(entry)}: {name}"
