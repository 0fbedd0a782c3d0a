# SPDX-License-Identifier: Apache-2.0
"""Location of the specification: this package, or the folder in the environment variable ``BPF_ISA_SPEC``.

Such a folder has an ``isa.yaml`` and, where they differ from this package's, a ``requirements.yaml`` and an
``errata.yaml``. An extension of RFC 9669 is this package's table with more rows. The variable applies to the whole
process and its children. A process has one specification, so that derived data can be cached.
"""

from __future__ import annotations

import os
from pathlib import Path

from .errors import InputError

#: The environment variable that names another folder.
VARIABLE = "BPF_ISA_SPEC"
HERE = Path(__file__).parent


class LocationError(InputError):
    """``BPF_ISA_SPEC`` names no folder with an ``isa.yaml``."""


#: The files of a specification.
FILES = ("isa.yaml", "requirements.yaml", "errata.yaml")


def specification_file(name: str) -> Path:
    """Return where the file ``name`` of the specification is.

    Raises:
        LocationError: the variable names a folder without an ``isa.yaml``.
    """
    folder = os.environ.get(VARIABLE)
    if not folder:
        return HERE / name
    if not (Path(folder) / "isa.yaml").is_file():
        raise LocationError(f"{VARIABLE}={folder}: there is no isa.yaml in this folder")
    own = Path(folder) / name
    return own if own.is_file() else HERE / name
