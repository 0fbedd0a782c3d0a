# SPDX-License-Identifier: Apache-2.0
"""The kind of runtime ``miniature``: ``bpf-isa run -r miniature:NAME`` runs one."""

from __future__ import annotations

from difflib import get_close_matches

from ...spec.encoding import ByteOrder
from ..protocol import Unavailable
from .miniature import MiniatureAdapter
from .museum import bugs


def open_miniature(name: str = "", byte_order: ByteOrder | None = None) -> MiniatureAdapter:
    """Return the miniature of the bug ``name``; ``byte_order`` is that of the host if None.

    Raises:
        protocol.Unavailable: there is no such miniature.
    """
    bug = bugs().get(name)
    if bug is None or bug.miniature is None:
        known = [one.id for one in bugs().values() if one.miniature is not None]
        close = get_close_matches(name, known, n=3, cutoff=0.3) or known
        some = ", ".join(close[:3])
        raise Unavailable(f"miniature:{name}: there is none of this name; of {len(known)} the closest are {some}")
    return MiniatureAdapter(bug.miniature, name, byte_order)
