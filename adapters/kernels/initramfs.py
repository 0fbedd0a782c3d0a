# SPDX-License-Identifier: Apache-2.0
"""What a machine starts with: an archive of files in the kernel's format (``newc`` of cpio, not compressed)."""

from __future__ import annotations

import stat
from collections.abc import Iterator

_FOLDERS = ("dev", "proc", "sys")
_CONSOLE = (5, 1)


def initramfs(guest: bytes, jobs: bytes) -> bytes:
    """Return the archive: the ``guest`` as first process, its ``jobs``, the console, and folders for file systems."""
    entries = (
        *((name, stat.S_IFDIR | 0o755, b"", (0, 0)) for name in _FOLDERS),
        ("dev/console", stat.S_IFCHR | 0o600, b"", _CONSOLE),
        ("init", stat.S_IFREG | 0o755, guest, (0, 0)),
        ("jobs", stat.S_IFREG | 0o600, jobs, (0, 0)),
        ("TRAILER!!!", 0, b"", (0, 0)),
    )
    return b"".join(part for number, entry in enumerate(entries) for part in _entry(number, *entry))


def _entry(number: int, name: str, mode: int, data: bytes, device: tuple[int, int]) -> Iterator[bytes]:
    fields = (number + 1, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
    yield _filled(b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0")
    yield _filled(data)


def _filled(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
