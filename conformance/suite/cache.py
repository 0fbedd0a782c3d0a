# SPDX-License-Identifier: Apache-2.0
"""The expanded vectors of the suite, kept in the user's cache folder: reading them takes a quarter of the time.

What is kept is used only if the same version of Python made it of the same vector files, specification and code, if it
is whole, and if nobody but the user can write it. It may be deleted at any time; without it the files are read.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from time import time
from typing import Any

from platformdirs import user_cache_path

from ...spec.location import FILES, specification_file
from ...spec.output import write_bytes
from .model import Level, Vector

_PACKAGE = Path(__file__).parents[2]
#: The code that makes vectors of files.
_CODE = ("spec", "conformance/suite", "adapters/protocol.py", "reference_vm/faults.py")
#: Seconds after which what another installation has kept is removed.
_LONGEST = 7 * 86400
_DIGEST_BYTES = hashlib.sha256().digest_size


def read(files: Sequence[Path]) -> tuple[Vector, ...] | None:
    """Return the vectors of ``files``; None if they are not kept, or what is kept cannot be used."""
    try:
        with _path(files).open("rb") as stream:
            status = os.fstat(stream.fileno())
            if status.st_uid != os.geteuid() or status.st_mode & 0o022:
                return None
            raw = stream.read()
    except OSError:
        return None
    head, data = raw[: 2 * _DIGEST_BYTES], memoryview(raw)[2 * _DIGEST_BYTES :]
    if head != _key(files) + hashlib.sha256(data).digest():
        return None
    try:
        vectors: tuple[Vector, ...] = _Unpickler(io.BytesIO(data)).load()
    except pickle.UnpicklingError:
        return None
    return vectors


def keep(files: Sequence[Path], vectors: Sequence[Vector]) -> None:
    """Keep the vectors of ``files``, if the user has a folder that can be written."""
    path, stream = _path(files), io.BytesIO()
    pickler = pickle.Pickler(stream, pickle.HIGHEST_PROTOCOL)
    # Some versions of Python make getattr of a member of an enumeration.
    pickler.dispatch_table = {Level: lambda level: (Level, (level.value,))}
    pickler.dump(tuple(vectors))
    data = stream.getvalue()
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_bytes(_key(files) + hashlib.sha256(data).digest() + data, path)
        path.chmod(0o600)
        for old in path.parent.glob("suite-*.pickle"):  # of installations that are gone, or will keep theirs again
            if old.stat().st_mtime < time() - _LONGEST:
                old.unlink()


def _path(files: Sequence[Path]) -> Path:
    """Return where the vectors of ``files`` are kept; an installation replaces its own."""
    name = hashlib.sha256("\0".join(map(str, (files[0], specification_file("isa.yaml")))).encode()).hexdigest()[:16]
    return user_cache_path("bpf-isa") / f"suite-{name}.pickle"


def _key(files: Iterable[Path]) -> bytes:
    """Return a digest of all that the vectors depend on."""
    total = hashlib.sha256(sys.version.encode())
    for file in (*files, *map(specification_file, FILES), *_code()):
        total.update(f"\0{file}\0".encode())
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.digest()


def _code() -> Iterator[Path]:
    for name in _CODE:
        path = _PACKAGE / name
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


class _Unpickler(pickle.Unpickler):
    """Makes objects of this package only."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a class or function of this package.

        Raises:
            UnpicklingError: it is something else.
        """
        if not module.startswith(f"{__package__.partition('.')[0]}."):
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a vector")
        return super().find_class(module, name)
