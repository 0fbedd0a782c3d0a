# SPDX-License-Identifier: Apache-2.0
"""Prepared calls as bytes, kept in the user's cache folder: preparing takes longer than all else that a vector needs.

What is kept is found by a digest of the job, in a file that is named after a digest of the code and the specification.
It may be deleted at any time; without it, everything is prepared anew.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from time import time

from platformdirs import user_cache_path

from ...spec.encoding import ByteOrder
from ...spec.location import FILES, specification_file
from ..closing import Closing
from ..protocol import Job, Reason
from .calls import ProgramTypeName
from .packed import pack
from .prepare import CannotPrepare, prepare

_PACKAGE = Path(__file__).parents[2]
#: Seconds after which what another version has kept is removed.
_LONGEST = 7 * 86400
#: How many jobs are looked up at once.
_TOGETHER = 500
#: The most jobs that are kept: some ten times the suite.
_MOST = 500_000


class Prepared(Closing):
    """Packs jobs for machines of one byte order.

    Args:
        byte_order: of the machine that makes the calls.
        plain: the program type for programs that read no packet.
    """

    def __init__(self, byte_order: ByteOrder, plain: ProgramTypeName) -> None:
        self._byte_order, self._plain = byte_order, plain
        self._database: sqlite3.Connection | None = None
        with suppress(OSError, sqlite3.Error):
            path = user_cache_path("bpf-isa", ensure_exists=True) / f"prepared-{_digest()}.sqlite"
            for old in path.parent.glob("prepared-*"):
                if old.stat().st_mtime < time() - _LONGEST:
                    old.unlink()
            database = sqlite3.connect(path, isolation_level=None)
            path.chmod(0o600)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute("CREATE TABLE IF NOT EXISTS prepared (key BLOB PRIMARY KEY, job BLOB) WITHOUT ROWID")
            if database.execute("SELECT count(*) FROM prepared").fetchone()[0] > _MOST:
                database.execute("DELETE FROM prepared")
            self._database = database

    def close(self) -> None:
        """Close the file."""
        if self._database is not None:
            self._database.close()

    def pack(self, jobs: Sequence[Job]) -> Iterator[bytes | Reason]:
        """Yield each of ``jobs`` as the guest reads it, or why the kernel cannot run it."""
        for at in range(0, len(jobs), _TOGETHER):
            yield from self._pack(jobs[at : at + _TOGETHER])

    def _pack(self, jobs: Sequence[Job]) -> list[bytes | Reason]:
        keys = [self._key(job) for job in jobs]
        known = self._look_up(keys)
        packed: list[bytes | Reason] = []
        new: dict[bytes, bytes] = {}
        for key, job in zip(keys, jobs, strict=True):
            try:
                one = (
                    known.get(key)
                    or new.get(key)
                    or pack(prepare(job, self._byte_order, self._plain), self._byte_order)
                )
            except CannotPrepare as error:
                packed.append(error.reason)
                continue
            packed.append(one)
            if key not in known:
                new[key] = one
        self._keep(new)
        return packed

    def _key(self, job: Job) -> bytes:
        """Return a digest of all that the calls depend on."""
        parts = (
            *(self._byte_order, self._plain, job.byte_order, *sorted(job.observe)),
            *(repr((job.wants_rejection, job.memory, job.maps, job.variables, job.helpers)), ""),
        )
        return hashlib.blake2b("\0".join(parts).encode() + job.code, digest_size=16).digest()

    def _look_up(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        if self._database is None:
            return {}
        places = ",".join("?" * len(keys))
        with suppress(sqlite3.Error):
            return dict(self._database.execute(f"SELECT key, job FROM prepared WHERE key IN ({places})", keys))
        return {}

    def _keep(self, new: dict[bytes, bytes]) -> None:
        if self._database is not None and new:
            with suppress(sqlite3.Error), self._database:
                self._database.execute("BEGIN")
                self._database.executemany("INSERT OR IGNORE INTO prepared VALUES (?, ?)", new.items())


def _digest() -> str:
    """Return a digest of the code that prepares, and of the specification."""
    total = hashlib.sha256()
    code = sorted(file for folder in ("spec", "adapters/linux") for file in (_PACKAGE / folder).rglob("*.py"))
    for file in (*code, _PACKAGE / "adapters/protocol.py", *map(specification_file, FILES)):
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()[:16]
