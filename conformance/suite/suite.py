# SPDX-License-Identifier: Apache-2.0
"""The suite: all vectors of some files, with the identity that results are recorded under."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from ...spec.garbage import no_collection
from ...spec.location import FILES, specification_file
from . import cache
from .expand import expand
from .load import find_files, load_file
from .model import Vector, VectorError
from .select import Test
from .tier import check_own, selected

#: The vectors that come with this package.
VECTORS = Path(__file__).parents[1] / "vectors"


class Unread(NamedTuple):
    """A file that could not be read, and why: the reason names the file and the place."""

    file: str
    reason: str


@dataclass(frozen=True)
class Suite:
    """Vectors in the order of their files; ``files`` are where they come from, ``unread`` those left out."""

    vectors: tuple[Vector, ...]
    files: tuple[Path, ...]
    unread: tuple[Unread, ...] = ()

    @cached_property
    def digest(self) -> str:
        """A SHA-256 over the files and the specification: equal digests mean equal vectors with one meaning."""
        total = hashlib.sha256()
        files = (*self.files, *map(specification_file, FILES))
        for part in sorted(hashlib.sha256(file.read_bytes()).digest() for file in files):
            total.update(part)
        return f"sha256:{total.hexdigest()}"

    def select(self, tests: Sequence[Test]) -> tuple[Vector, ...]:
        """Return the vectors for which all ``tests`` hold."""
        return tuple(vector for vector in self.vectors if all(test(vector) for test in tests))


def load_suite(paths: Iterable[Path] = (VECTORS,)) -> Suite:
    """Return the vectors of the files that ``paths`` name; of the suite that comes with this package if none are given.

    Vectors of the latter are kept in the user's cache folder.

    Raises:
        strict_yaml.YamlError: a file is not acceptable YAML.
        model.VectorError: a vector is wrong, or two have the same id.
    """
    paths = tuple(paths)
    files = find_files(paths)
    with no_collection():
        kept = cache.read(files) if paths == (VECTORS,) else None
        if kept is not None:
            return Suite(kept, tuple(files))
        suite = read_suite(files)
        if paths == (VECTORS,):
            cache.keep(files, suite.vectors)
    return suite


def load_tier(name: str, paths: Iterable[Path] = ()) -> Suite:
    """Return the vectors of a tier, or of the files that ``paths`` name: these have no tiers.

    Raises:
        strict_yaml.YamlError, model.VectorError: see :func:`load_suite`.
        select.SelectionError: there is no such tier, it is one of other vectors, or it does not fit the suite.
    """
    if paths := tuple(paths):
        check_own(name)
    suite = load_suite(paths or (VECTORS,))
    return replace(suite, vectors=selected(name, suite.vectors))


def read_suite(files: Sequence[Path]) -> Suite:
    """Read and expand vector files, whatever is kept of them.

    Raises:
        strict_yaml.YamlError: a file is not acceptable YAML.
        model.VectorError: a vector is wrong, or two have the same id.
    """
    vectors = [vector for file in files for entry in load_file(file) for vector in expand(entry)]
    if len({vector.id for vector in vectors}) < len(vectors):
        raise _same_id(vectors)
    return Suite(tuple(vectors), tuple(files))


def _same_id(vectors: Iterable[Vector]) -> VectorError:
    """Return the error that two vectors have the same id."""
    by_id: dict[str, Vector] = {}
    for vector in vectors:
        other = by_id.setdefault(vector.id, vector).entry
        if by_id[vector.id] is not vector:
            break
    entry = vector.entry
    return VectorError(entry.file, entry.line, vector.id, f"the id is taken by {other.file}:{other.line}")
