# SPDX-License-Identifier: Apache-2.0
"""The data that pages of the site load when they need it.

A page opened from a file may not fetch its neighbours, but it may run them as scripts: each file of data is a script
that hands JSON to the page, deflated (which makes a tenth of it) and in base64. ``index`` has all vectors with their
results, ``texts`` the requirements and errata, and ``vectors-N`` the programs and details of some of them.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from ...spec.plain import plain_data
from ...spec.requirements import load_errata, load_requirements
from ..run.runner import Result
from ..run.verdict import Verdict, hex64
from ..suite.model import Expectation, Vector
from .comparison import Column, Comparison
from .programs import lines
from .tally import NOT_RUN, STATES, Chunk, state

Json: TypeAlias = dict[str, Any]

#: Vectors of a file of details; a few entries have more.
_VECTORS_PER_FILE = 600
#: Instructions of a program that is shown in full.
_LONGEST_SHOWN = 600
#: State number 0 is this character in the index.
FIRST_STATE = "!"


def script(name: str, data: Json) -> str:
    """Return the script that hands ``data`` to the page under ``name``."""
    text = json.dumps(plain_data(data), separators=(",", ":"))
    packed = base64.b64encode(zlib.compress(text.encode(), 9)).decode()
    return f'bpfData("{name}","{packed}")'


def files(comparison: Comparison, chunks: Sequence[Chunk]) -> Iterator[tuple[str, Json]]:
    """Yield the names and contents of all data files."""
    by_entry: dict[str, list[Chunk]] = {}
    for chunk in chunks:
        by_entry.setdefault(chunk.entry.id, []).append(chunk)
    index = _Index(comparison)
    waiting: Json = {}
    number = 0
    for name, (_, vectors) in comparison.entries.items():
        index.add(by_entry[name], vectors, f"vectors-{number}")
        for vector in vectors:
            waiting[vector.id] = details(comparison, vector)
        if len(waiting) >= _VECTORS_PER_FILE:
            yield f"vectors-{number}", waiting
            waiting, number = {}, number + 1
    if waiting:
        yield f"vectors-{number}", waiting
    yield "index", index.data
    yield "texts", texts()


class _Index:
    """All entries with their cases, and the result of each on every runtime: a character for its state."""

    def __init__(self, comparison: Comparison) -> None:
        self._columns = comparison.columns
        self._states: dict[tuple[int, str], str] = {}
        self.data: Json = {
            "columns": [{"key": column.key, "label": column.label} for column in self._columns],
            "states": [],
            "entries": [],
        }

    def add(self, parts: Sequence[Chunk], vectors: Sequence[Vector], file: str) -> None:
        """Take in an entry, whose details are in ``file``."""
        entry = parts[0].entry
        data: Json = {
            "id": entry.id,
            "what": entry.what,
            "level": entry.level.value,
            "covers": list(entry.covers),
            "place": f"{entry.file}:{entry.line}",
            "method": entry.source.method,
            "data": file,
            "parts": [{"groups": sorted(part.groups), "instructions": list(part.instructions)} for part in parts],
            "cases": [vector.case for vector in vectors],
            "states": [self._row(column, vectors) for column in self._columns],
        }
        if len(parts) > 1:
            part_of = {vector.id: index for index, part in enumerate(parts) for vector in part.vectors}
            data["part"] = [part_of[vector.id] for vector in vectors]
        for name, value in (("errata", list(entry.errata)), ("extension", entry.extension)):
            if value:
                data[name] = value
        if entry.helpers:
            data["helpers"] = [f"{helper.number} ({helper.by} id): {helper.does}" for helper in entry.helpers]
        self.data["entries"].append(data)

    def _row(self, column: Column, vectors: Iterable[Vector]) -> str:
        return "".join(self._character(column.results.get(vector.id)) for vector in vectors)

    def _character(self, result: Result | None) -> str:
        key = state(result), reason_word(result)
        if key not in self._states:
            self._states[key] = chr(ord(FIRST_STATE) + len(self._states))
            self.data["states"].append({"state": STATES[key[0]], "word": key[1]})
        return self._states[key]


def reason_word(result: Result | None) -> str:
    """Return in a word for machines why a result is no pass: how it failed, or how its reason begins."""
    if result is None:
        return "not-selected"
    judgement = result.judgement
    if judgement.verdict is Verdict.PASS:
        return ""
    if judgement.failure is not None:
        return judgement.failure.value
    return judgement.reason.code or "other"


def details(comparison: Comparison, vector: Vector) -> Json:
    """Return a vector's program, inputs and expectation, and the results of the runtimes that did not pass."""
    variant = vector.little
    data: Json = {"expect": expectation(variant.expect)}
    if vector.id in comparison.left_out:
        data["slots"] = comparison.left_out[vector.id]
    else:
        program = [[line.code, line.text, line.instruction or ""] for line in lines(variant.code)]
        data["program"] = program[:_LONGEST_SHOWN]
        if len(program) > _LONGEST_SHOWN:
            data["slots"] = len(variant.code) // 8
    if variant.memory is not None:
        data["memory"] = variant.memory.hex()
    if variant.maps:
        data["maps"] = [item.value.hex() for item in variant.maps]
    if variant.variables:
        data["variables"] = {str(item.number): item.value.hex() for item in variant.variables}
    if any(column.info.byte_order == "big" for column in comparison.columns):
        big = vector.big
        if big.expect != variant.expect:
            data["expect_big"] = expectation(big.expect)
        if big.memory is not None and big.memory != variant.memory:
            data["memory_big"] = big.memory.hex()
    found = {
        str(number): result
        for number, column in enumerate(comparison.columns)
        if (result := _result(column.results.get(vector.id)))
    }
    if found:
        data["results"] = found
    return data


def expectation(expect: Expectation) -> Json:
    """Return an expectation as pages show it: an outcome, and values by name."""
    if expect.rejected:
        witness = {} if expect.witness is None else {"witness": hex64(expect.witness)}
        return {"outcome": "rejected", **witness}
    if expect.faulted is not None:
        return {"outcome": "faulted", "fault": expect.faulted}
    if expect.steady:
        return {"outcome": "steady"}
    values = {name: hex64(value) for name, value in sorted(expect.registers.items())}
    if expect.memory is not None:
        values["memory"] = expect.memory.hex()
    return {"outcome": "returned", "values": values}


def _result(result: Result | None) -> Json | None:
    if result is None or state(result) == NOT_RUN or result.judgement.verdict is Verdict.PASS:
        return None
    outcome, judgement = result.outcome, result.judgement
    data: Json = {"reason": str(judgement.reason)}
    if outcome is not None:
        data["outcome"] = outcome.kind.value
    if judgement.differences:
        data["differences"] = [[item.name, *item.shown] for item in judgement.differences]
    if outcome is not None and outcome.registers:
        data["values"] = {name: hex64(value) for name, value in sorted(outcome.registers.items())}
        if outcome.memory is not None:
            data["values"]["memory"] = outcome.memory.hex()
    return data


def texts() -> Json:
    """Return what the RFC demands and how it is interpreted, by id."""
    return {
        "requirements": {
            item.id: {"section": item.section, "keyword": item.keyword, "text": " ".join(item.text.split())}
            for item in load_requirements().values()
        },
        "errata": {item.id: " ".join(item.decision.split()) for item in load_errata().values()},
    }
