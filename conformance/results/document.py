# SPDX-License-Identifier: Apache-2.0
"""The results document: one JSON file per run, after ``schema/results.schema.json``. Whatever reports on runs or
compares them reads this and nothing else."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

from ...adapters.protocol import Outcome, Reason, RuntimeInfo
from ...spec import validate
from ...spec.errors import InputError
from ...spec.output import write_json
from ...spec.plain import plain
from ...spec.requirements import load_sources
from ...spec.table import isa
from ..run.runner import Result, RuntimeRun
from ..run.verdict import Difference, Verdict, hex64
from ..suite.model import (
    Entry,
    Expectation,
    Variant,
    Vector,
)
from ..suite.suite import VECTORS, Suite
from ..suite.tier import Tier, selected

SCHEMA_FILE = Path(__file__).parents[1] / "schema" / "results.schema.json"
FORMAT = "bpf-isa-results"
#: Raised with every change that a reader of older documents would have to know.
FORMAT_VERSION = 2
DISTRIBUTION = "bpf-isa-conformance"
#: Programs and memories beyond this are left out of the document; their length is always there.
LARGEST_DATA = 4096
#: A run of the whole suite on ten runtimes takes a tenth of it.
LARGEST_DOCUMENT = 1 << 30
DATE = "%Y-%m-%dT%H:%M:%SZ"
_GZIP = b"\x1f\x8b"

Json: TypeAlias = dict[str, Any]


class ResultsError(InputError):
    """A file that is no results document of this version; the message says why."""


@dataclass(frozen=True)
class Selection:
    """What was asked for on the command line: everything, if nothing is said.

    ``tier`` is the name of a :class:`.suite.tier.Tier`.
    """

    expression: str | None = None
    groups: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    tier: str = Tier.FULL.value


@dataclass(frozen=True)
class Command:
    """What a run that was interrupted was asked to do, beside the selection: enough to go on with it.

    ``folder`` is where it was started; names of runtimes and configurations may depend on it.
    """

    folder: str
    runtimes: tuple[str, ...]
    plugin_args: str | None
    vectors: tuple[str, ...]
    data: tuple[str, ...]
    timeout: float
    claims: tuple[str, ...] = ()


@dataclass
class Run:
    """A run of a suite: what was selected of it, and the results of each runtime."""

    suite: Suite
    vectors: Sequence[Vector]
    runtimes: list[RuntimeRun]
    selection: Selection = field(default_factory=Selection)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: float = 0.0
    command: Command | None = None

    @property
    def complete(self) -> bool:
        """Whether the run came to its end."""
        return all(one.complete for one in self.runtimes)

    @property
    def whole(self) -> bool:
        """Whether it is the suite of this package that is run, and all of its tier."""
        own = self.command is None or not (self.command.vectors or self.command.data)
        return own and len(self.vectors) == len(selected(self.selection.tier, self.suite.vectors))


def counts(results: Iterable[Result]) -> dict[str, int]:
    """Return how many of ``results`` have each verdict."""
    found = Counter(result.judgement.verdict for result in results)
    return {verdict.value: found[verdict] for verdict in Verdict}


def counts_by_group(results: Sequence[Result]) -> dict[str, dict[str, int]]:
    """Return counts for each conformance group that has results, in the order of the RFC.

    A vector about two groups, atomic64 and divmul64 say, counts in both.
    """
    members: dict[str, list[Result]] = {name: [] for name in isa().groups}
    for result in results:
        for name in result.vector.reported:
            members[name].append(result)
    return {name: counts(found) for name, found in members.items() if found}


def document(run: Run) -> Json:
    """Return the results document of ``run``."""
    entries = {vector.entry.id: vector.entry for vector in run.vectors}
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "suite": {
            "version": version(DISTRIBUTION),
            "digest": run.suite.digest,
            "vectors": len(run.suite.vectors),
            "documents": [source.document for source in load_sources().values()],
        },
        "selection": {**asdict(run.selection), "vectors": len(run.vectors)},
        "started": run.started.strftime(DATE),
        "seconds": round(run.seconds, 3),
        "complete": run.complete,
        **({} if run.complete or run.command is None else {"resume": asdict(run.command)}),
        "runtimes": [_runtime(one) for one in run.runtimes if one.info is not None],
        **({"unread": [item._asdict() for item in run.suite.unread]} if run.suite.unread else {}),
        "unavailable": [
            {"name": one.name, "reason": plain(one.problem), "broken": one.broken}
            for one in run.runtimes
            if one.info is None
        ],
        "entries": {name: _entry(entry) for name, entry in entries.items()},
        "vectors": {vector.id: _vector(vector) for vector in run.vectors},
    }


def tier_of(data: Json) -> str:
    """Return the tier of the suite that a document has results of."""
    name: str = data["selection"].get("tier", Tier.FULL.value)
    return name


def only_tier(tiers: Iterable[tuple[object, str]]) -> str:
    """Return the tier of results that are used together: ``tiers`` are names of documents, each with its tier.

    Raises:
        ResultsError: they are of different tiers.
    """
    first: dict[str, object] = {}
    for name, tier in tiers:
        first.setdefault(tier, name)
    if len(first) > 1:
        found = ", ".join(f"{name} of tier {tier}" for tier, name in first.items())
        raise ResultsError(f"results of different tiers tell different things ({found}): give those of one tier")
    return next(iter(first))


def identity(info: RuntimeInfo) -> Json:
    """Return who a runtime is, as plain data."""
    data = asdict(info)
    data["groups"] = None if info.groups is None else sorted(info.groups)
    data["observes"] = sorted(info.observes)
    return data


def _runtime(one: RuntimeRun) -> Json:
    assert one.info is not None
    return {
        "name": one.name,
        "identity": identity(one.info),
        "complete": one.complete,
        "seconds": round(one.seconds, 3),
        **({"problem": one.problem} if one.problem else {}),
        **({"unrepeated": [_unrepeated(*item) for item in one.unrepeated]} if one.unrepeated else {}),
        "counts": counts(one.results),
        "groups": counts_by_group(one.results),
        "results": {result.vector.id: result_data(result) for result in one.results},
    }


def _unrepeated(vector: str, outcome: Outcome) -> Json:
    return {"vector": vector, "outcome": outcome.kind.value, "reason": _reason(outcome.reason)}


def result_data(result: Result) -> Json:
    """Return what a document keeps of a result."""
    outcome, judgement = result.outcome, result.judgement
    data: Json = {"verdict": judgement.verdict.value, "outcome": outcome.kind.value if outcome else None}
    if outcome is not None and outcome.seconds is not None:
        data["seconds"] = round(outcome.seconds, 6)
    if judgement.verdict is Verdict.PASS:
        return data
    data["reason"] = _reason(judgement.reason)
    if judgement.failure is not None:
        data["failure"] = judgement.failure.value
        data["differences"] = list(map(_difference, judgement.differences))
        if result.interpreter is not None:
            data["interpreter"] = result.interpreter.value
        if outcome is not None and outcome.r0 is not None:
            data["got"] = {"registers": _registers({"r0": outcome.r0, **(outcome.registers or {})})}
            if outcome.memory is not None:
                data["got"]["memory"] = _hex(outcome.memory)
    return data


def _reason(reason: Reason) -> Json:
    return {"code": reason.code, "text": plain(reason.text), "blames": reason.blames}


def _difference(item: Difference) -> Json:
    """Return a difference with numbers in hex; the place in the memory where there is one."""
    kind, value = next((kind, write) for kind, (of, write, _) in VALUES.items() if isinstance(item.expected, of))
    place = {"at": item.at} if kind == "bytes" or item.size else {}
    more = {name: number for name, number in (("size", item.size), ("more", item.more)) if number}
    return {"what": item.what, "kind": kind, **place, **more, "expected": value(item.expected), "got": value(item.got)}


#: How a document has the values of a difference: by kind their type, how they are written, how they are read.
VALUES: Mapping[str, tuple[type, Callable[[Any], str], Callable[[str], int | bytes | str]]] = {
    "number": (int, hex64, lambda text: int(text, 16)),
    "bytes": (bytes, bytes.hex, bytes.fromhex),
    "text": (str, plain, str),
}


def _entry(entry: Entry) -> Json:
    path = Path(entry.file)
    file = path.relative_to(VECTORS) if path.is_relative_to(VECTORS) else path
    data: Json = {
        "file": file.as_posix(),
        "line": entry.line,
        "level": entry.level.value,
        "covers": list(entry.covers),
        "source": {"name": entry.source.name, "method": entry.source.method},
    }
    if entry.what:
        data["what"] = entry.what
    if entry.errata:
        data["errata"] = list(entry.errata)
    if entry.extension:
        data["extension"] = entry.extension
    if entry.helpers:
        data["helpers"] = [helper._asdict() for helper in entry.helpers]
    return data


def _vector(vector: Vector) -> Json:
    little, big = _variant(vector.little), _variant(vector.big)
    return {
        "entry": vector.entry.id,
        "groups": sorted(vector.groups),
        "reported": sorted(vector.reported),
        "slots": len(vector.little.code) // 8,
        "code": _hex(vector.little.code),
        **little,
        **{f"{name}_big": value for name, value in big.items() if value != little[name]},
    }


def _variant(variant: Variant) -> Json:
    """Return what may depend on the byte order of a runtime."""
    data: Json = {"expect": _expect(variant.expect)}
    if variant.memory is not None:
        data["memory"] = _hex(variant.memory)
    if variant.maps:
        data["maps"] = [_hex(item.value) for item in variant.maps]
    if variant.variables:
        data["variables"] = {str(item.number): _hex(item.value) for item in variant.variables}
    return data


def _expect(expect: Expectation) -> Json:
    if expect.rejected:
        return {"rejected": True, **({} if expect.witness is None else {"witness": hex64(expect.witness)})}
    if expect.faulted is not None:
        return {"faulted": expect.faulted}
    if expect.steady:
        return {"steady": True}
    data: Json = {"registers": _registers(expect.registers)}
    if expect.memory is not None:
        data["memory"] = _hex(expect.memory)
    return data


def _registers(registers: Mapping[str, int]) -> dict[str, str]:
    return {name: hex64(value) for name, value in sorted(registers.items())}


def _hex(data: bytes) -> str | None:
    return data.hex() if len(data) <= LARGEST_DATA else None


def write(data: Json, path: Path) -> None:
    """Write a results document, compressed if the name of the file ends in ``.gz``.

    ``path`` holds the old file or the new one, never a part of it.

    Raises:
        OSError: the file cannot be written.
    """
    write_json(data, path)


def read(path: Path) -> Json:
    """Read a results document, compressed or not.

    Raises:
        ResultsError: the file cannot be read, or is none.
    """
    try:
        data: Any = json.loads(_stored(path))
    except ResultsError:
        raise
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ResultsError(f"{path}: damaged gzip data: {error}") from None
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ResultsError(f"{path}: not JSON: {error}") from None
    except RecursionError:
        raise ResultsError(f"{path}: nested too deeply for results of bpf-isa run") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ResultsError(f"{path}: no results of bpf-isa run (--json)")
    if data.get("version") != FORMAT_VERSION:
        raise ResultsError(f"{path}: results of format version {data.get('version')}; this reads {FORMAT_VERSION}")
    try:
        validate.check(data, SCHEMA_FILE)
    except validate.SchemaError as error:
        raise ResultsError(f"{path}: {error}") from None
    checked: Json = data
    if (wrong := next(_contradictions(checked), None)) is not None:
        raise ResultsError(f"{path}: {wrong}")
    return checked


def _stored(path: Path) -> bytes:
    """Return the text of a document, unpacked; no more than :data:`LARGEST_DOCUMENT`, to which little can unpack."""
    with path.open("rb") as file:  # once: it may be a pipe
        text = file.read(LARGEST_DOCUMENT + 1)
    if text.startswith(_GZIP):
        text = gzip.GzipFile(fileobj=io.BytesIO(text)).read(LARGEST_DOCUMENT + 1)
    if len(text) > LARGEST_DOCUMENT:
        raise ResultsError(f"{path}: larger than {LARGEST_DOCUMENT >> 20} MiB, and so no results of bpf-isa run")
    return text


def _contradictions(data: Json) -> Iterator[str]:
    """Yield what a document that follows the schema says wrong: it refers to what is not there."""
    try:
        datetime.strptime(data["started"], DATE)
    except ValueError:
        yield f"started: {data['started']} is no date"
    known = isa().groups.keys()
    for name, vector in data["vectors"].items():
        if vector["entry"] not in data["entries"]:
            yield f"vectors.{name}: refers to the entry {vector['entry']!r}, which is not there"
        for group in (*vector["groups"], *vector["reported"]):
            if group not in known:
                yield f"vectors.{name}: {group!r} is no conformance group; known are {', '.join(known)}"
    for one in data["runtimes"]:
        for name in one["results"].keys() - data["vectors"].keys():
            yield f"runtimes: {one['name']!r} has a result for {name!r}, which is not among the vectors"
