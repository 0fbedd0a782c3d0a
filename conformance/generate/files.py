# SPDX-License-Identifier: Apache-2.0
"""The generated files of the suite: what each holds, and who writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from . import (
    addresses,
    arithmetic,
    atomics,
    byteswap,
    encodings,
    idioms,
    immediates,
    jumps,
    memory,
    neighbours,
    operands,
    platform,
    registers,
    sequences,
    stored,
    surroundings,
    sweeps,
)
from .draft import Draft
from .write import file_text

#: Where the generated files lie.
FOLDER = Path(__file__).parent.parent / "vectors" / "generated"


class Family(NamedTuple):
    """A generated file: its drafts, and a sentence on how its expectations came about."""

    drafts: Callable[[], Iterable[Draft]]
    note: str


_COMPUTED = "Operands are chosen by hand, results computed from the pseudocode of isa.yaml and kept as literals."
_WITNESSED = (
    "No slot in question is an instruction of RFC 9669; the witness is what the closest instruction would leave in r0, "
    "computed from the pseudocode of isa.yaml."
)

FILES: Mapping[str, Family] = {
    "arithmetic": Family(arithmetic.drafts, _COMPUTED),
    "byteswap": Family(byteswap.drafts, _COMPUTED),
    "jumps": Family(jumps.drafts, _COMPUTED),
    "registers": Family(registers.drafts, _COMPUTED),
    "memory": Family(memory.drafts, _COMPUTED),
    "atomics": Family(atomics.drafts, _COMPUTED),
    "immediates": Family(immediates.drafts, _COMPUTED),
    "surroundings": Family(surroundings.drafts, _COMPUTED),
    "addresses": Family(addresses.drafts, _COMPUTED),
    "sweeps": Family(sweeps.drafts, _COMPUTED),
    "operands": Family(operands.drafts, _COMPUTED),
    "sequences": Family(sequences.drafts, _COMPUTED),
    "idioms": Family(idioms.drafts, _COMPUTED),
    "stored": Family(stored.drafts, _COMPUTED),
    "neighbours": Family(neighbours.drafts, _COMPUTED),
    "platform": Family(platform.drafts, _COMPUTED),
    "encodings": Family(encodings.drafts, _WITNESSED),
}


def text(family: str) -> str:
    """Return the contents of the generated file ``family``.

    Raises:
        KeyError: there is no such family.
        DraftError: a case does not run to its end on the reference VM.
    """
    return file_text(family, FILES[family].note, FILES[family].drafts())


def path(family: str) -> Path:
    """Return where the file of ``family`` lies in the package."""
    return FOLDER / f"{family}.yaml"
