# SPDX-License-Identifier: Apache-2.0
"""The journal of a run: each result is written as soon as it is there, so that a run that was killed can go on.

The journal of ``r.json`` is ``r.json.journal``, JSON Lines: what the run was asked to do, then the identity of each
runtime and its results as in a results document. It is removed when the document is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import IO, Any, Self, TypeAlias

from ...adapters.protocol import RuntimeInfo
from ...spec.output import write_bytes
from ..run.runner import Result
from .document import (
    DATE,
    Command,
    ResultsError,
    Run,
    Selection,
    identity,
    read,
    result_data,
    tier_of,
)

FORMAT = "bpf-isa-journal"
VERSION = 2

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Unfinished:
    """What a run that did not come to its end was asked to do, and its results so far.

    ``path`` is the file that says so. ``runtimes`` are as in a results document, and
    :func:`.report.recorded.runtime_run` reads them.
    """

    path: Path
    command: Command
    selection: Selection
    digest: str
    started: datetime
    seconds: float
    runtimes: list[Json] = field(default_factory=list)


class Journal:
    """Writes the journal of a run; a context manager that closes the file and leaves it where it is.

    If it cannot be written any more, ``problem`` says why, and the run goes on without it.

    Args:
        path: the results document that the run will leave.
        run: what it was asked to do.
        earlier: what was done of it before, which the journal holds from the beginning.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(self, path: Path, run: Run, earlier: Sequence[Json] = ()) -> None:
        self.path = journal_of(path)
        self.problem = ""
        self._start = monotonic() - run.seconds
        self._held = {(one["name"], vector) for one in earlier for vector in one["results"]}
        write_bytes(b"".join(map(_line, _beginning(run, earlier))), self.path)
        self._stream: IO[bytes] | None = self.path.open("ab")

    def opened(self, name: str, info: RuntimeInfo) -> None:
        """Take note of a runtime that is being tested from now on."""
        self._write({"runtime": name, "identity": identity(info), "at": self._now})

    def settled(self, name: str, result: Result) -> None:
        """Take note of a result."""
        if (name, result.vector.id) not in self._held:
            self._write({"runtime": name, "vector": result.vector.id, "at": self._now, **result_data(result)})

    @property
    def _now(self) -> float:
        return round(monotonic() - self._start, 3)

    def _write(self, data: Json) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(_line(data))
            self._stream.flush()
        except OSError as error:
            self.problem = f"{self.path}: cannot be written: {error.strerror}; if this run is killed, it cannot go on"
            self._close()

    def _close(self) -> None:
        if self._stream is not None:
            stream, self._stream = self._stream, None
            # A full disk is reported by ``problem`` already.
            with suppress(OSError):
                stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def discard(self) -> None:
        """Remove the file, now that the results document holds all of it."""
        self._close()
        self.path.unlink(missing_ok=True)


def _line(data: Json) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"


def _beginning(run: Run, earlier: Sequence[Json]) -> Iterator[Json]:
    assert run.command is not None
    yield {
        "format": FORMAT,
        "version": VERSION,
        "digest": run.suite.digest,
        "selection": asdict(run.selection),
        "command": asdict(run.command),
        "started": run.started.strftime(DATE),
    }
    for one in earlier:
        name = one["name"]
        yield {"runtime": name, "identity": one["identity"], "at": 0.0}
        for vector, result in one["results"].items():
            yield {"runtime": name, "vector": vector, "at": one["seconds"], **result}


def journal_of(path: Path) -> Path:
    """Return the path of the journal of a results document."""
    return path.with_name(f"{path.name}.journal")


def unfinished(path: Path) -> Unfinished:
    """Return how far the run came whose results document is, or would have been, ``path``.

    Raises:
        results.ResultsError: there is no such run, or it came to its end.
    """
    journal = journal_of(path)
    return _of_journal(journal) if journal.exists() else _of_document(path)


def _of_document(path: Path) -> Unfinished:
    data = read(path)
    if data["complete"]:
        raise ResultsError(f"{path}: this run is complete, there is nothing to resume")
    if "resume" not in data:
        raise ResultsError(f"{path}: does not say what the run was asked to do")
    return Unfinished(
        path,
        _command(data["resume"]),
        _selection(data),
        data["suite"]["digest"],
        _time(data["started"]),
        data["seconds"],
        data["runtimes"],
    )


def _of_journal(path: Path) -> Unfinished:
    lines = _lines(path)
    head = next(lines, {})
    if head.get("format") != FORMAT or head.get("version") != VERSION:
        raise ResultsError(f"{path}: no journal of this version of bpf-isa run: delete it, and run the suite anew")
    runtimes: dict[str, Json] = {}
    since: dict[str, float] = {}
    last = 0.0
    try:
        for line in lines:
            name, last = line.pop("runtime"), line.pop("at")
            if "identity" in line:
                one = runtimes.setdefault(
                    name, {"name": name, "complete": False, "seconds": 0.0, "results": {}, **line}
                )
                since[name] = last - one["seconds"]
            else:
                runtimes[name]["results"][line.pop("vector")] = line
                runtimes[name]["seconds"] = last - since[name]
        return Unfinished(
            path,
            _command(head["command"]),
            _selection(head),
            head["digest"],
            _time(head["started"]),
            last,
            [one for one in runtimes.values() if one["results"]],
        )
    except ResultsError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ResultsError(f"{path}: damaged ({error!r}): delete it, and run the suite anew") from None


def _lines(path: Path) -> Iterator[Json]:
    """Yield the lines of a journal; the last one is left out if it was not written to its end.

    Raises:
        ResultsError: the file cannot be read.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read: {error.strerror}") from None
    for number, line in enumerate(text.split(b"\n")[:-1], 1):
        try:
            data = json.loads(line)
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            raise ResultsError(f"{path}:{number}: damaged: delete it, and run the suite anew")
        yield data


def _command(raw: Json) -> Command:
    fields: Json = {name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()}
    return Command(**fields)


def _selection(data: Json) -> Selection:
    raw = data["selection"]
    lists = (tuple(raw["groups"]), tuple(raw["sections"]), tuple(raw.get("levels", ())))
    return Selection(raw["expression"], *lists, tier_of(data))


def _time(text: str) -> datetime:
    return datetime.strptime(text, DATE).replace(tzinfo=UTC)
