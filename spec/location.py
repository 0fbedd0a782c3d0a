# SPDX-License-Identifier: Apache-2.0
"""Where the specification is read from: this package, or the folder that the variable ``BPF_ISA_SPEC`` names.

Such a folder has an ``isa.yaml``, and a ``requirements.yaml`` and an ``errata.yaml`` where it needs others than this
package's: RFC 9669 with an extension is the package's table with more rows. The folder is the specification of the
whole process and of those that it starts. A process has one specification, so that what is derived from it can be kept.
"""

from __future__ import annotations

import os
from pathlib import Path

from .errors import InputError

#: The variable of the environment that names another folder.
VARIABLE = "BPF_ISA_SPEC"
HERE = Path(__file__).parent


class LocationError(InputError):
    """``BPF_ISA_SPEC`` names no folder with an ``isa.yaml``."""


def specification_file(name: str) -> Path:
    """Return where the file ``name`` of the specification is.

    Raises:
        LocationError: the variable is set to what is no specification.
    """
    folder = os.environ.get(VARIABLE)
    if not folder:
        return HERE / name
    if not (Path(folder) / "isa.yaml").is_file():
        raise LocationError(f"{VARIABLE}={folder}: there is no isa.yaml in this folder")
    own = Path(folder) / name
    return own if own.is_file() else HERE / name
