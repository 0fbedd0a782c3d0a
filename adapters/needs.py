# SPDX-License-Identifier: Apache-2.0
"""The platform features that a program uses, for runtimes without maps, variables or helper functions."""

from __future__ import annotations

from functools import lru_cache

from ..spec import tree
from ..spec.encoding import Decoded, DecodeError, instructions
from ..spec.table import Instruction, isa
from .protocol import Job

_OF = {"map_by_fd": "maps", "map_by_idx": "maps", "map_val": "maps", "var_addr": "platform variables"}


def missing_platform(job: Job) -> frozenset[str]:
    """Return the features of ``job`` that its program uses: ``maps``, ``platform variables``, ``helper functions``.

    Only defined instructions count: every runtime has to reject the others, whatever features it has.
    """
    provided = {"maps": job.maps, "platform variables": job.variables, "helper functions": job.helpers}
    if not any(provided.values()):
        return frozenset()
    named: set[str] = set()
    try:
        for item in instructions(job.code, job.byte_order, isa()):
            if isinstance(item, Decoded):
                named |= _names(item.instruction)
    except DecodeError:
        return frozenset()
    return frozenset(what for what in named if provided[what])


@lru_cache(maxsize=1 << 9)
def _names(row: Instruction) -> frozenset[str]:
    found = set()
    for node in tree.walk(*row.means):
        if isinstance(node, tree.Call) and node.name in _OF:
            found.add(_OF[node.name])
        elif isinstance(node, tree.CallHelper):
            found.add("helper functions")
    return frozenset(found)
