# SPDX-License-Identifier: Apache-2.0
"""Settings of a runtime that is a program, and the search for its executable."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...spec.encoding import ByteOrder
from ..protocol import Engine, Unavailable
from .client import Limits

_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


@dataclass(frozen=True, slots=True)
class Settings:
    """How a program is run, and its identity.

    ``args`` are further words of its command, ``timeout`` seconds for one vector, ``memory`` the limit of each of its
    processes' address space (bytes, or as in ``"512 MiB"``; ``"unlimited"``), ``folder`` where it runs, ``contained``
    whether in namespaces. The rest is its identity, for protocols without it; None if unknown.
    """

    args: tuple[str, ...] = ()
    timeout: float = Limits().seconds
    memory: int | str = Limits().memory or "unlimited"
    folder: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    contained: bool = True
    version: str | None = None
    engine: Engine | None = None
    architecture: str | None = None
    byte_order: ByteOrder = sys.byteorder
    groups: tuple[str, ...] | None = None
    empty_memory: bool = False

    @property
    def limits(self) -> Limits:
        """The limits of one run."""
        return Limits(seconds=self.timeout, memory=_bytes(self.memory), contained=self.contained)

    @property
    def machine(self) -> str:
        """The architecture; this machine's by default."""
        return self.architecture or platform.machine()

    @property
    def claimed(self) -> frozenset[str] | None:
        """The conformance groups that the user claims for it."""
        return None if self.groups is None else frozenset(self.groups)


def find_program(word: str, folder: Path | None) -> str:
    """Return the path of the executable that ``word`` names, as a shell would find it from ``folder``.

    Raises:
        Unavailable: there is none that can be executed.
    """
    if "/" not in word:
        found = shutil.which(word)
        if found is None:
            hint = f"did you mean ./{word}?" if (folder or Path()).joinpath(word).is_file() else "give its path"
            raise Unavailable(f"{word}: there is no such command in PATH: {hint}")
        return found
    path = (folder or Path.cwd()) / Path(word).expanduser()
    if not path.exists():
        raise Unavailable(f"{path}: there is no such file: build it, or correct its path")
    if not path.is_file():
        raise Unavailable(f"{path}: this is no file: give the path of an executable")
    if not os.access(path, os.X_OK):
        raise Unavailable(f"{path}: not executable: run chmod +x {word}")
    return str(path)


def why_not_started(error: int) -> str:
    """Return why an existing file could not be executed, and a remedy."""
    if error == errno.ENOEXEC:
        return f"no executable format: a script needs a #! line, a program must be for {platform.machine()}"
    if error == errno.ENOENT:
        return "what its #! line or its ELF header names as interpreter does not exist: install that"
    return f"it cannot be executed: {os.strerror(error)}"


def _bytes(size: int | str) -> int | None:
    if isinstance(size, int):
        return size
    if size == "unlimited":
        return None
    number, _, unit = size.partition(" ")
    return int(number) * _UNITS[unit]
