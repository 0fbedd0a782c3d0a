# SPDX-License-Identifier: Apache-2.0
"""Vector files to entries: strict YAML, checked against ``schema/vector.schema.json``, then against the registries.

:mod:`.expand` makes vectors of entries, :mod:`.suite` does both for a whole suite.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...adapters.protocol import HelperSpec
from ...reference_vm.faults import FaultKind
from ...spec import strict_yaml, validate
from ...spec.requirements import load_errata, load_requirements
from .model import (
    NO_VALUE,
    ByOrder,
    Entry,
    Level,
    Source,
    VectorError,
)

SCHEMA_FILE = Path(__file__).parents[1] / "schema" / "vector.schema.json"


def find_files(paths: Iterable[Path]) -> list[Path]:
    """Return the vector files that ``paths`` name: files as they are, of folders all ``*.yaml`` below them.

    Raises:
        VectorError: a path does not exist, or a folder has no vector file.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            below = sorted(path.rglob("*.yaml"))
            if not below:
                raise VectorError(path, 1, None, "the folder holds no vector file (*.yaml)")
            found.update(dict.fromkeys(below))
        elif path.exists():
            found[path] = None
        else:
            raise VectorError(path, 1, None, "there is no such file or folder")
    return list(found)


def load_file(path: Path) -> list[Entry]:
    """Return the entries of a vector file, in their order.

    Raises:
        strict_yaml.YamlError: the file is not acceptable YAML.
        VectorError: the file does not follow the schema, or an entry contradicts itself or cites what is not there.
    """
    document = strict_yaml.load(path)
    data: Any = check_schema(document)
    source = Source(**data["source"])
    return [make_entry(document, raw, source) for raw in data["vectors"]]


def check_schema(document: strict_yaml.Document) -> dict[str, Any]:
    """Return the data of a vector file, which follow the schema.

    Raises:
        VectorError: they do not.
    """
    data: Any = document.data
    try:
        validate.check(data, SCHEMA_FILE)
    except validate.SchemaError as error:
        raise _schema_error(document, error) from None
    result: dict[str, Any] = data
    return result


def _schema_error(document: strict_yaml.Document, error: validate.SchemaError) -> VectorError:
    """Return the error of the schema with the place nearest to it, and the vector's id."""
    place: Any = document.data
    line, vector, path = document.line(place), None, error.path
    for depth, step in enumerate(error.path):
        place = place[step]
        if isinstance(place, dict | list):
            line = document.line(place)
        if depth == 1 and error.path[0] == "vectors":
            vector = place.get("id") if isinstance(place, dict) else None
            path = error.path[2:]
    inside = ".".join(map(str, path))
    message = f"{inside}: {error.message}" if inside else error.message
    return VectorError(document.name, line, vector if isinstance(vector, str) else None, message)


def make_entry(document: strict_yaml.Document, raw: dict[str, Any], source: Source) -> Entry:
    """Return the entry that ``raw`` describes, which follows the schema.

    Raises:
        VectorError: it contradicts itself or cites what is not there.
    """
    expect: dict[str, Any] = raw.get("expect", {})
    entry = Entry(
        file=document.name,
        line=document.line(raw),
        id=raw["id"],
        source=source,
        what=raw.get("what", ""),
        level=Level(raw.get("level", Level.MUST)),
        extension=raw.get("extension"),
        covers=tuple(raw["covers"]),
        errata=tuple(raw.get("errata", ())),
        asm=raw.get("asm"),
        code=_by_order(raw.get("code")),
        memory=_by_order(raw.get("memory")),
        maps=tuple(_either(value) for value in raw.get("maps", ())),
        variables=tuple((item["number"], _either(item["value"])) for item in raw.get("variables", ())),
        helpers=tuple(HelperSpec(**item) for item in raw.get("helpers", ())),
        expect={},
        rejected="rejected" in expect,
        faulted=expect.get("faulted"),
        cases=[(None, {})],
        steady="steady" in expect,
    )
    entry.expect = _expected(entry, expect)
    _check(entry)
    if "cases" in raw and "table" in raw:
        raise entry.error("has both cases and table: keep one of them")
    if "cases" in raw:
        entry.cases = [
            (name, {key: _either(value) for key, value in values.items()}) for name, values in raw["cases"].items()
        ]
    elif "table" in raw:
        entry.cases = _table(entry, raw["table"])
    return entry


def _by_order(raw: Any) -> ByOrder | None:
    return None if raw is None else _either(raw)


def _either(raw: Any) -> ByOrder:
    return raw if isinstance(raw, str) else (raw["little"], raw["big"])


def _expected(entry: Entry, raw: dict[str, Any]) -> dict[str, ByOrder]:
    expect = {name: _either(value) for name, value in raw.get("registers", {}).items()}
    if "r0" in raw:
        if "r0" in expect:
            raise entry.error("expects r0 twice, in expect and in expect.registers")
        expect["r0"] = _either(raw["r0"])
    if "memory" in raw:
        expect["memory"] = _either(raw["memory"])
    ways = [bool(expect), entry.rejected, entry.faulted is not None, entry.steady]
    if sum(ways) > 1:
        raise entry.error("expects more than one of: to return (r0, registers, memory), rejected, faulted, steady")
    if "witness" in raw:
        if not entry.rejected:
            raise entry.error("has a witness, but does not expect to be rejected")
        expect["witness"] = _either(raw["witness"]["r0"])
    return expect


def _check(entry: Entry) -> None:
    """Check what the schema cannot say."""
    if (entry.asm is None) == (entry.code is None):
        raise entry.error("needs either asm or code, and not both")
    requirements, errata = load_requirements(), load_errata()
    for name in entry.covers:
        if name not in requirements:
            raise entry.error(
                f"covers {name!r}, which is no requirement of spec/requirements.yaml", rule="unknown-requirement"
            )
    for name in entry.errata:
        if name not in errata:
            raise entry.error(f"cites the erratum {name!r}, which is not in spec/errata.yaml", rule="unknown-erratum")
    if entry.level is Level.INTERPRETATION and not entry.errata:
        raise entry.error("is of level interpretation: cite under errata the one that interprets the RFC", rule="level")
    if (entry.level is Level.EXTENSION) != (entry.extension is not None):
        raise entry.error("level extension and the field extension (its name) go together", rule="level")
    if entry.faulted is not None:
        if entry.faulted not in {kind.value for kind in FaultKind}:
            known = ", ".join(kind.value for kind in FaultKind)
            raise entry.error(f"expects the fault {entry.faulted!r}; faults are {known}")
        if entry.level in {Level.MUST, Level.INTERPRETATION}:
            raise entry.error(
                "expects a fault, which RFC 9669 does not define: level must be abi or lower", rule="level"
            )
    if entry.steady and entry.level is not Level.ROBUSTNESS:
        raise entry.error(
            "expects the same each time, whatever it is: that is no result, so level must be robustness", rule="level"
        )
    if entry.memory is None and "memory" in entry.expect:
        raise entry.error("expects a memory, but has none")


def _table(entry: Entry, text: str) -> list[tuple[str | None, Mapping[str, ByOrder]]]:
    """Return the cases of a table: a line of column names, then a line for each case."""
    head, *lines = [line for line in text.splitlines() if line and not line.isspace()] or [""]
    names = head.split()
    if not lines:
        raise entry.error("table: it needs a line with the names of its columns, and one for each case")
    if names[0] != "case":
        raise entry.error(f"table: the first column must be named case, not {names[0]!r}")
    if len(set(names)) < len(names):
        raise entry.error("table: two columns have the same name")
    split = _split_columns(entry, names)
    cases: list[tuple[str | None, Mapping[str, ByOrder]]] = []
    for line in lines:
        cells = line.split()
        if len(cells) != len(names):
            raise entry.error(
                f"table: {len(cells)} values for {len(names)} columns in the row: {line.strip()}",
                line=find_line(entry, line),
            )
        values: dict[str, ByOrder] = dict(zip(names, cells, strict=True))
        del values["case"]
        if split or NO_VALUE in cells:
            values = _by_columns(entry, cells[0], values, split)
        cases.append((cells[0], values))
    return cases


def _split_columns(entry: Entry, names: Sequence[str]) -> list[str]:
    """Return the values that a table gives by byte order, in the columns ``x.little`` and ``x.big``."""
    split = []
    for name in names:
        base, dot, order = name.partition(".")
        if dot and (order not in {"little", "big"} or not {f"{base}.little", f"{base}.big"} <= set(names)):
            raise _half(entry, base, name)
        if order == "little":
            split.append(base)
    return split


def _by_columns(entry: Entry, case: str, values: Mapping[str, ByOrder], split: Sequence[str]) -> dict[str, ByOrder]:
    """Return the values that a case has: none where it has ``-``, both halves of those given by byte order."""
    given = {name: value for name, value in values.items() if value != NO_VALUE}
    for name in split:
        halves = [given.pop(column, None) for column in (f"{name}.little", f"{name}.big")]
        little, big = halves
        if isinstance(little, str) and isinstance(big, str):
            given[name] = little, big
        elif little or big:
            raise _half(entry, name, f"{name}.{'big' if little is None else 'little'}", case)
    return given


def _half(entry: Entry, base: str, name: str, case: str | None = None) -> VectorError:
    return entry.error(f"table: {name}: values by byte order need columns {base}.little and {base}.big", case)


def find_line(entry: Entry, text: str) -> int:
    """Return the number of the first line from the entry on that is ``text``; that of the entry if there is none."""
    lines = Path(entry.file).read_text(encoding="utf-8").splitlines()
    wanted = text.strip()
    return next((at + 1 for at in range(entry.line - 1, len(lines)) if lines[at].strip() == wanted), entry.line)
