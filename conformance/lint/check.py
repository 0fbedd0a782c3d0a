# SPDX-License-Identifier: Apache-2.0
"""All rules applied to files: first to their text, then, on several processors, to the programs of the vectors."""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...spec import strict_yaml
from ..run.worker import leave_interrupts_to_parent
from ..suite.canonical import canonical
from ..suite.expand import expand
from ..suite.load import check_schema, find_files, make_entry
from ..suite.model import Source, Vector, VectorError
from . import programs, words
from .rules import RULES, Finding

#: Vectors per task.
_CHUNK = 400
#: Rules about programs; they take longer than all others.
ABOUT_PROGRAMS = frozenset(["wrong-expectation", "round-trip", "vacuous", "several-faults", "unfair-level"])


def lint(
    paths: Iterable[Path], rules: Collection[str] = frozenset(RULES), processes: int = 1
) -> tuple[list[Finding], int]:
    """Return the violations of ``rules`` in the vector files that ``paths`` name, and the number of vectors.

    Raises:
        VectorError: a path names no vector file.
    """
    files = tuple(find_files(paths))
    vectors, findings = _read(files, rules)
    findings += _same(vectors)
    if ABOUT_PROGRAMS & set(rules):
        findings += _programs(files, vectors, processes)
    return sorted(finding for finding in findings if finding.rule in rules), len(vectors)


def _read(files: Sequence[Path], rules: Collection[str] = ()) -> tuple[list[Vector], list[Finding]]:
    """Return the vectors of files that can be expanded, and the violations in the text of the files.

    The form of files is checked only if one of ``rules`` is about it.
    """
    vectors: dict[str, Vector] = {}
    findings: list[Finding] = []
    for file in files:
        try:
            document = strict_yaml.load(file)
        except strict_yaml.YamlError as error:
            findings.append(Finding(str(file), error.line, None, "yaml", error.message))
            continue
        try:
            data = check_schema(document)
        except VectorError as error:
            findings.append(_of_error(error, "schema"))
            continue
        findings += _form(file) if "canonical-form" in rules else ()
        source = Source(**data["source"])
        for raw in data["vectors"]:
            findings += [Finding(str(file), document.line(raw), raw["id"], *it) for it in words.complaints(raw)]
            findings += _expanded(document, raw, source, vectors)
    return list(vectors.values()), findings


def _form(file: Path) -> Iterator[Finding]:
    text = file.read_text(encoding="utf-8")
    try:
        form = canonical(text, str(file))
    except VectorError as error:
        yield _of_error(error, "canonical-form")
        return
    if form != text:
        pairs = zip(text.splitlines(), form.splitlines(), strict=False)
        line = next((at for at, (old, new) in enumerate(pairs, 1) if old != new), 1)
        yield Finding(str(file), line, None, "canonical-form", "is not in canonical form from here on: run bpf-isa fmt")


def _expanded(
    document: strict_yaml.Document, raw: dict[str, Any], source: Source, vectors: dict[str, Vector]
) -> Iterator[Finding]:
    """Expand an entry into ``vectors``; yield violations."""
    try:
        for vector in expand(make_entry(document, raw, source)):
            if vector.id in vectors:
                other = vectors[vector.id].entry
                message = f"the id is taken by {other.file}:{other.line}"
                yield Finding(document.name, document.line(raw), vector.id, "unique-id", message)
            else:
                vectors[vector.id] = vector
    except VectorError as error:
        yield _of_error(error, error.rule)


def _of_error(error: VectorError, rule: str) -> Finding:
    return Finding(error.file, error.line, error.vector, rule, error.message)


def _same(vectors: Iterable[Vector]) -> Iterator[Finding]:
    """Yield vectors that are equal to another one; a vector by hand may be equal to a generated one."""
    known: dict[Any, Vector] = {}
    for vector in vectors:
        little, expect = vector.little, vector.little.expect
        registers = tuple(sorted(expect.registers.items()))
        content = (vector.entry.source.method, little[:-1], vector.entry.helpers, registers, expect[1:])
        other = known.setdefault(content, vector)
        if other is not vector:
            yield _finding(vector, "same-vector", f"is the same vector as {other.id}")


def _finding(vector: Vector, rule: str, message: str) -> Finding:
    return Finding(vector.entry.file, vector.entry.line, vector.id, rule, message)


# Programs


def _programs(files: tuple[Path, ...], vectors: Sequence[Vector], processes: int) -> list[Finding]:
    chunks = [(files, range(at, min(at + _CHUNK, len(vectors)))) for at in range(0, len(vectors), _CHUNK)]
    if processes == 1 or len(chunks) < 2:
        counts = programs.rarity(vectors)
        return [finding for vector in vectors for finding in _of_program(vector, counts)]
    with multiprocessing.get_context("spawn").Pool(min(processes, len(chunks)), leave_interrupts_to_parent) as pool:
        return [finding for found in pool.imap_unordered(_work, chunks) for finding in found]


def _work(chunk: tuple[tuple[Path, ...], range]) -> list[Finding]:
    vectors, counts = _loaded(chunk[0])
    return [finding for index in chunk[1] for finding in _of_program(vectors[index], counts)]


@lru_cache(maxsize=1)
def _loaded(files: tuple[Path, ...]) -> tuple[list[Vector], programs.Rarity]:
    vectors, _ = _read(files)
    # The vectors live as long as the process: frozen, they are not traversed by each garbage collection.
    gc.freeze()
    return vectors, programs.rarity(vectors)


def _of_program(vector: Vector, counts: programs.Rarity) -> list[Finding]:
    return [_finding(vector, *complaint) for complaint in programs.complaints(vector, counts)]
