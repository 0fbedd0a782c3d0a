# SPDX-License-Identifier: Apache-2.0
"""Confirmation of vectors: how many vectors of each file pass on runtimes that are independent of this project."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..results import document as results
from ..results.document import Json, ResultsError
from ..run.verdict import Verdict
from .measure import Coverage, short_name

#: The runtimes of this package: they are derived from the same table as the vectors, and confirm nothing.
OWN = ("reference", "jit", "miniature:")


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The verdicts of one runtime.

    ``identity`` describes the runtime; ``verdicts`` counts verdicts by file (short name). ``passed`` are the ids of the
    vectors that it passes.
    """

    name: str
    identity: str
    independent: bool
    verdicts: Mapping[str, Counter[Verdict]]
    passed: frozenset[str]

    def rate(self, file: str) -> tuple[int, int]:
        """Return how many vectors of a file it passes, and how many the file has."""
        return self.verdicts[file][Verdict.PASS], self.verdicts[file].total()


def confirmations(coverage: Coverage, files: Iterable[Path]) -> list[Confirmation]:
    """Return what the runtimes of results documents confirm.

    Raises:
        ResultsError: a file is no results document, or its results are of other vectors.
    """
    return [one for path in files for one in _of_document(coverage, path, results.read(path))]


def _of_document(coverage: Coverage, path: Path, data: Json) -> Iterable[Confirmation]:
    if data["suite"]["digest"] != coverage.suite.digest:
        raise ResultsError(f"{path}: results of other vectors than these: run them again")
    for one in data["runtimes"]:
        verdicts: dict[str, Counter[Verdict]] = {file.name: Counter() for file in coverage.files}
        passed = set()
        for vector in coverage.suite.vectors:
            found = one["results"].get(vector.id)
            # A vector that was not run is not confirmed.
            verdict = Verdict(found["verdict"]) if found else Verdict.UNSUPPORTED
            verdicts[short_name(Path(vector.entry.file))][verdict] += 1
            if verdict is Verdict.PASS:
                passed.add(vector.id)
        independent = not one["identity"]["name"].startswith(OWN)
        yield Confirmation(one["name"], _identity(one["identity"]), independent, verdicts, frozenset(passed))


def _identity(identity: Json) -> str:
    name, version = identity["name"], identity["kernel_release"] or identity["version"]
    engine = "" if identity["engine"] == "unknown" else f" {identity['engine']}"
    return f"{name} {version}, {identity['architecture']}{engine}"


def confirmed_by_any(confirmed: Iterable[Confirmation]) -> frozenset[str]:
    """Return the ids of the vectors that at least one independent runtime passes."""
    return frozenset().union(*(one.passed for one in confirmed if one.independent))
