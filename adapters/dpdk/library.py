# SPDX-License-Identifier: Apache-2.0
"""Finds the library, whose name ends with DPDK's ABI version."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..protocol import Unavailable

_NAME = re.compile(r"librte_bpf\.so\.(\d+)(?:\.(\d+))?")
_FOLDERS = ("/usr/local/lib", "/usr/local/lib64", "/usr/lib", "/usr/lib64", "/lib", "/lib64")


def find_library() -> Path:
    """Return the newest librte_bpf in the folders that the dynamic loader looks into.

    Raises:
        Unavailable: there is none.
    """
    named = [Path(folder) for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":") if folder]
    usual = [place for folder in map(Path, _FOLDERS) for place in (folder, *folder.glob("*-linux-*"))]
    for folders in (named, usual):
        found = {
            (int(match[1]), int(match[2] or 0)): file
            for folder in folders
            for file in folder.glob("librte_bpf.so.*")
            if (match := _NAME.fullmatch(file.name))
        }
        if found:
            return found[max(found)]
    raise Unavailable(
        "DPDK's librte_bpf.so.* was not found: install it, as with `apt install librte-bpf23` "
        "(`apt-cache search librte-bpf` tells the number)"
    )
