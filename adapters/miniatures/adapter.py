# SPDX-License-Identifier: Apache-2.0
"""Opens a miniature: the reference VM with the fault of the catalogue."""

from __future__ import annotations

from ...spec.encoding import ByteOrder
from ...spec.table import isa
from ..protocol import Unavailable
from ..reference import ReferenceAdapter
from .catalogue import MINIATURES


def open_miniature(name: str = "", byte_order: ByteOrder | None = None) -> ReferenceAdapter:
    """Return the miniature ``name``; ``byte_order`` is that of the host if None.

    Raises:
        protocol.Unavailable: there is none of this name.
    """
    miniature = MINIATURES.get(name)
    if miniature is None:
        raise Unavailable(f"miniature:{name}: there is none of this name; there are {', '.join(MINIATURES)}")
    return ReferenceAdapter(byte_order, table=miniature.table(isa()), frames=miniature.frames, name=f"miniature:{name}")
