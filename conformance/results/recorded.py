# SPDX-License-Identifier: Apache-2.0
"""Results documents as objects again: vectors and the results of runtimes, as far as a document keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from ...adapters.protocol import (
    NO_REASON,
    HelperSpec,
    MapSpec,
    Outcome,
    OutcomeKind,
    Reason,
    RuntimeInfo,
    VariableSpec,
)
from ...spec.encoding import SLOT_BYTES, pack, unpack
from ...spec.garbage import no_collection
from ..run.runner import Result, RuntimeRun
from ..run.verdict import (
    Difference,
    Failure,
    Judgement,
    Verdict,
)
from ..suite.model import (
    Entry,
    Expectation,
    Level,
    Source,
    Variant,
    Vector,
)
from . import document as results
from .document import VALUES, Selection

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SuiteId:
    """Which vectors there were to run, of which documents; results of different suites cannot be compared."""

    version: str
    digest: str
    vectors: int
    documents: tuple[str, ...] = ()

    @property
    def short(self) -> str:
        """The digest as people can tell it from another: its first eight digits."""
        return self.digest.removeprefix("sha256:")[:8]


@dataclass(frozen=True)
class Recorded:
    """What a results document holds.

    ``vectors`` are those that were selected, of which ``left_out`` have programs too long to be kept: their code is
    empty here, and ``left_out`` tells how many slots it had. ``unread`` are data files that could not be read.
    """

    path: Path
    suite: SuiteId
    selection: Selection
    started: datetime
    seconds: float
    complete: bool
    vectors: Mapping[str, Vector]
    left_out: Mapping[str, int]
    runtimes: tuple[RuntimeRun, ...]
    unread: tuple[str, ...] = ()


def read(path: Path) -> Recorded:
    """Read a results document.

    Raises:
        results.ResultsError: the file cannot be read, or is none.
    """
    with no_collection():
        return restore(results.read(path), path)


def restore(data: Json, path: Path) -> Recorded:
    """Return what a document holds that :func:`.results.read` has read from ``path``."""
    entries = {name: _entry(name, entry) for name, entry in data["entries"].items()}
    vectors = {name: _vector(name, raw, entries[raw["entry"]]) for name, raw in data["vectors"].items()}
    runtimes = [runtime_run(one, vectors) for one in data["runtimes"]]
    runtimes += [RuntimeRun(one["name"], None, [], one["reason"], one["broken"]) for one in data["unavailable"]]
    selection = data["selection"]
    return Recorded(
        path,
        SuiteId(**{**data["suite"], "documents": tuple(data["suite"].get("documents", ()))}),
        Selection(
            selection["expression"],
            tuple(selection["groups"]),
            tuple(selection["sections"]),
            tuple(selection.get("levels", ())),
            results.tier_of(data),
        ),
        datetime.strptime(data["started"], results.DATE).replace(tzinfo=UTC),
        data["seconds"],
        data["complete"],
        vectors,
        {name: raw["slots"] for name, raw in data["vectors"].items() if raw["code"] is None},
        tuple(runtimes),
        tuple(item["file"] for item in data.get("unread", ())),
    )


def _entry(name: str, raw: Json) -> Entry:
    return Entry(
        file=raw["file"],
        line=raw["line"],
        id=name,
        source=Source(**raw["source"]),
        what=raw.get("what", ""),
        level=Level(raw["level"]),
        extension=raw.get("extension"),
        covers=tuple(raw["covers"]),
        errata=tuple(raw.get("errata", ())),
        asm=None,
        code=None,
        memory=None,
        maps=(),
        variables=(),
        helpers=tuple(HelperSpec(**helper) for helper in raw.get("helpers", ())),
        expect={},
        rejected=False,
        faulted=None,
        cases=[],
    )


def _vector(name: str, raw: Json, entry: Entry) -> Vector:
    return Vector(
        id=name,
        case=name.removeprefix(f"{entry.id}/") if name != entry.id else None,
        entry=entry,
        groups=frozenset(raw["groups"]),
        reported=frozenset(raw["reported"]),
        little=_variant(bytes.fromhex(raw["code"] or ""), raw),
        make_big=lambda vector: _variant(_transposed(vector.little.code), raw, "_big"),
    )


def _variant(code: bytes, raw: Json, suffix: str = "") -> Variant:
    """Return a vector in one byte order; a field with the suffix, if there is one, counts rather than that without."""

    def field(name: str) -> Any:
        return raw.get(f"{name}{suffix}", raw.get(name))

    memory = field("memory")
    variables = field("variables") or {}
    return Variant(
        code,
        None if memory is None else bytes.fromhex(memory),
        tuple(MapSpec(bytes.fromhex(value or "")) for value in field("maps") or ()),
        tuple(VariableSpec(int(number), bytes.fromhex(value or "")) for number, value in variables.items()),
        _expectation(field("expect")),
    )


def _transposed(code: bytes) -> bytes:
    """Return a little-endian program for big-endian runtimes; what is no whole slot stays as it is."""
    whole = len(code) - len(code) % SLOT_BYTES
    return pack(unpack(code[:whole]), "big") + code[whole:]


def _expectation(raw: Json) -> Expectation:
    memory, witness = raw.get("memory"), raw.get("witness")
    return Expectation(
        _registers(raw.get("registers", {})),
        None if memory is None else bytes.fromhex(memory),
        raw.get("rejected", False),
        raw.get("faulted"),
        None if witness is None else int(witness, 16),
        raw.get("steady", False),
    )


def _registers(raw: Mapping[str, str]) -> dict[str, int]:
    return {name: int(value, 16) for name, value in raw.items()}


def runtime_run(raw: Json, vectors: Mapping[str, Vector]) -> RuntimeRun:
    """Return what a document says about one runtime.

    Raises:
        KeyError: it has a result for a vector that is not among ``vectors``.
    """
    identity = raw["identity"]
    groups = identity["groups"]
    info = RuntimeInfo(
        **{
            **identity,
            "groups": None if groups is None else frozenset(groups),
            "observes": frozenset(identity["observes"]),
        }
    )
    return RuntimeRun(
        raw["name"],
        info,
        [_result(vectors[name], result) for name, result in raw["results"].items()],
        problem=raw.get("problem", ""),
        complete=raw["complete"],
        seconds=raw["seconds"],
        unrepeated=[
            (item["vector"], Outcome(OutcomeKind(item["outcome"]), reason=Reason(**item["reason"])))
            for item in raw.get("unrepeated", ())
        ],
    )


def difference(raw: Json) -> Difference:
    """Return a difference as a document has it."""
    _, _, value = VALUES[raw["kind"]]
    expected, got = value(raw["expected"]), value(raw["got"])
    return Difference(raw["what"], expected, got, raw.get("at", 0), raw.get("more", 0), raw.get("size", 0))


def _result(vector: Vector, raw: Json) -> Result:
    verdict = Verdict(raw["verdict"])
    failure = Failure(raw["failure"]) if "failure" in raw else None
    differences = tuple(map(difference, raw.get("differences", ())))
    reason = Reason(**raw["reason"]) if "reason" in raw else NO_REASON
    outcome = None
    if raw["outcome"] is not None:
        got = raw.get("got", {})
        registers, memory = _registers(got.get("registers", {})), got.get("memory")
        outcome = Outcome(
            OutcomeKind(raw["outcome"]),
            registers.get("r0"),
            registers or None,
            None if memory is None else bytes.fromhex(memory),
            reason,
            raw.get("seconds"),
        )
    interpreter = Verdict(raw["interpreter"]) if "interpreter" in raw else None
    return Result(vector, outcome, Judgement(verdict, failure, reason, differences), interpreter)
