# SPDX-License-Identifier: Apache-2.0
"""Atomic replacement of the files that commands write."""

from __future__ import annotations

import gzip
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

#: Denotes standard output.
STDOUT = Path("-")


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Yield a stream, and replace the file by what was written to it if the block ends without an error.

    Until then the data is in a temporary file in the same folder. Symbolic links are followed. Anything but a regular
    file (a pipe, a terminal, /dev/null) is written to directly, as is standard output (:data:`STDOUT`).

    Raises:
        OSError: the file cannot be written. The error names ``path`` and says so.
    """
    if path == STDOUT:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as stream:
                yield stream
            return
        target = Path(os.path.realpath(path))
        descriptor, name = tempfile.mkstemp(prefix=".bpf-isa.", dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                yield stream
            # mkstemp makes files for the owner only.
            Path(name).chmod(target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_mask())
            Path(name).replace(target)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise OSError(error.errno, f"cannot be written: {error.strerror}", str(path)) from None


def _mask() -> int:
    """Return the umask of the process, which can be read only by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_bytes(data: bytes, path: Path) -> None:
    """Write a file in one step, see :func:`replacing`.

    Raises:
        OSError: the file cannot be written.
    """
    with replacing(path) as stream:
        stream.write(data)


def write_text(text: str, path: Path) -> None:
    """Write a file in one step, in UTF-8, see :func:`replacing`.

    Raises:
        OSError: the file cannot be written.
    """
    write_bytes(text.encode(), path)


def write_json(document: Any, path: Path, *, indent: int | None = None) -> None:
    """Write a JSON document in one step, see :func:`replacing`; compressed if the name of the file ends in ``.gz``.

    Raises:
        OSError: the file cannot be written.
    """
    text = json.dumps(document, indent=indent, separators=None if indent else (",", ":")) + "\n"
    if path.suffix == ".gz":
        # Without the time, equal documents are equal files.
        write_bytes(gzip.compress(text.encode(), mtime=0), path)
    else:
        write_text(text, path)
