# SPDX-License-Identifier: Apache-2.0
"""The museum: historical bugs of runtimes, read from ``museum/*.yaml``, each with a miniature of its shape.

``museum.schema.json`` says what a file has. ``docs/museum.md`` is written from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from ...reference_vm.contexts.context import context
from ...reference_vm.contexts.fields import Condition
from ...spec import strict_yaml
from ...spec.errors import InputError
from ...spec.validate import SchemaError, check
from .calls import CONVENTIONS
from .miniature import Miniature
from .rows import Accepted, Change, Fault, Refused, condition

FOLDER: Final = Path(__file__).parent / "museum"
SCHEMA_FILE: Final = Path(__file__).with_name("museum.schema.json")
#: The word that ids of requirements begin with, which the files leave out.
_SOURCE: Final = "rfc9669-"
_CHANGES: Final[tuple[Change, ...]] = ("means", "like", "replace", "then")

#: ``isa``: a program shows the bug. ``verifier``: only a verdict about a program does. ``platform``: it is outside of
#: RFC 9669.
Concern: TypeAlias = Literal["isa", "verifier", "platform"]


class MuseumError(InputError):
    """A file of the museum is wrong; the message names the file, the bug and the reason."""


class Reference(NamedTuple):
    """A public source: ``kind`` is commit, cve, issue or report."""

    kind: str
    id: str
    url: str


@dataclass(frozen=True, slots=True)
class Bug:
    """A historical bug; see the schema for its texts.

    ``seen`` is where it was confirmed, nothing if it was not. ``breaks`` are ids of requirements, of which a vector
    that convicts it covers one. There is no ``miniature`` where no vector can convict it; ``because`` says why.
    """

    id: str
    where: str
    fixed: str
    fault: str
    trigger: str
    triggers: tuple[str, ...]
    concern: Concern
    because: str
    references: tuple[Reference, ...]
    seen: tuple[str, ...]
    breaks: tuple[str, ...]
    miniature: Miniature | None

    @property
    def is_historical(self) -> bool:
        """Whether it is a bug of some runtime, with a date or a source, and not a shape that many had."""
        return bool(self.fixed or self.references or self.seen)


class Family(NamedTuple):
    """The bugs of a family of runtimes."""

    name: str
    about: str
    bugs: tuple[Bug, ...]


@cache
def museum() -> tuple[Family, ...]:
    """Return all bugs, by family in the order of the files.

    Raises:
        MuseumError: a file is wrong.
    """
    return tuple(read(file) for file in sorted(FOLDER.glob("*.yaml")))


def bugs() -> dict[str, Bug]:
    """Return all bugs by id.

    Raises:
        MuseumError: a file is wrong, or two bugs have one id.
    """
    every = [bug for family in museum() for bug in family.bugs]
    found = {bug.id: bug for bug in every}
    if len(found) < len(every):
        ids = [bug.id for bug in every]
        raise MuseumError(f"{FOLDER}: two bugs have the id {next(one for one in ids if ids.count(one) > 1)}")
    return found


def read(file: Path) -> Family:
    """Return the family of one file.

    Raises:
        MuseumError: the file is wrong.
    """
    data: Any = strict_yaml.load(file).data
    try:
        check(data, SCHEMA_FILE)
    except SchemaError as error:
        raise MuseumError(f"{file}: {error}") from None
    commits = data.get("commits", "")
    return Family(data["family"], data["about"], tuple(_bug(file, one, commits) for one in data["bugs"]))


def _bug(file: Path, data: dict[str, Any], commits: str) -> Bug:
    try:
        made = _miniature(data["miniature"]) if "miniature" in data else None
    except InputError as error:
        raise MuseumError(f"{file}: {data['id']}: {error}") from None
    if (made is None) != ("because" in data) or (made is None) != ("breaks" not in data):
        message = "a bug has a miniature and the requirements that it breaks, or it says because of what there is none"
        raise MuseumError(f"{file}: {data['id']}: {message}")
    if made is None and data["concern"] == "isa":
        raise MuseumError(f"{file}: {data['id']}: a bug that concerns the instruction set has a miniature")
    return Bug(
        id=data["id"],
        where=data["where"],
        fixed=data.get("fixed", ""),
        fault=data["fault"],
        trigger=data["trigger"],
        triggers=tuple(data["triggers"]),
        concern=data["concern"],
        because=data.get("because", ""),
        references=tuple(
            _reference(kind, name, commits) for one in data.get("references", ()) for kind, name in one.items()
        ),
        seen=tuple(data["seen"]),
        breaks=tuple(_SOURCE + name for name in data.get("breaks", ())),
        miniature=made,
    )


def _reference(kind: str, name: str, commits: str) -> Reference:
    match kind:
        case "commit":
            return Reference(kind, name, commits + name)
        case "cve":
            return Reference(kind, name, f"https://www.cve.org/CVERecord?id={name}")
        case "issue":
            return Reference(kind, name, f"https://github.com/{name.replace('#', '/issues/')}")
        case _:
            return Reference(kind, name, name)


def _miniature(data: dict[str, Any]) -> Miniature:
    calls = {"frames": CONVENTIONS[data["calls"]]} if "calls" in data else {}
    return Miniature(
        faults=tuple(map(_fault, data.get("faults", ()))),
        where=tuple(map(context, data.get("where", ()))),
        accepts=tuple(
            Accepted(one["rows"], one["field"], tuple(one["values"]) if "values" in one else None)
            for one in data.get("accepts", ())
        ),
        refuses=tuple(Refused(one["rows"], _tests(one)) for one in data.get("refuses", ())),
        ends_with=data.get("ends_with", ".*"),
        forgives=frozenset(data.get("forgives", ())),
        **calls,
    )


def _fault(data: dict[str, Any]) -> Fault:
    change = next(name for name in _CHANGES if name in data)
    text = data[change]
    return Fault(data["rows"], change, tuple(text) if isinstance(text, list) else (text,), _tests(data))


def _tests(data: dict[str, Any]) -> tuple[Condition, ...]:
    return tuple(map(condition, data.get("when", ())))
