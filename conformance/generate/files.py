# SPDX-License-Identifier: Apache-2.0
"""The generated files, and the modules that write them; the lists of the short tiers of the suite are some of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from ...spec.table import isa
from ..adequacy import smoke, tiers
from ..diagnosis.spectrum import USES_FILE, count_uses
from ..suite.suite import load_suite
from ..suite.tier import Tier, list_of, members
from . import (
    addresses,
    arithmetic,
    atomic_places,
    atomics,
    byteswap,
    contexts,
    distances,
    encodings,
    firsts,
    frames,
    functions,
    fusion,
    idioms,
    immediates,
    jumps,
    knowledge,
    limits,
    memory,
    narrow,
    neighbours,
    operands,
    packed,
    packed_accesses,
    places,
    platform,
    reaches,
    registers,
    restarts,
    sequences,
    situations,
    staleness,
    stored,
    surroundings,
    sweeps,
    visible,
)
from .draft import Draft
from .write import file_text

#: The folder of the generated files.
FOLDER = Path(__file__).parent.parent / "vectors" / "generated"


class Family(NamedTuple):
    """A generated file: its drafts, and a sentence on the origin of its expectations."""

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
    "contexts": Family(contexts.drafts, _COMPUTED),
    "restarts": Family(restarts.drafts, _COMPUTED),
    "staleness": Family(staleness.drafts, _COMPUTED),
    "knowledge": Family(knowledge.drafts, _COMPUTED),
    "fusion": Family(fusion.drafts, _COMPUTED),
    "narrow": Family(narrow.drafts, _COMPUTED),
    "distances": Family(distances.drafts, _COMPUTED),
    "reaches": Family(reaches.drafts, _COMPUTED),
    "situations": Family(situations.drafts, _COMPUTED),
    "functions": Family(functions.drafts, _COMPUTED),
    "limits": Family(limits.drafts, _COMPUTED),
    "firsts": Family(firsts.drafts, _COMPUTED),
    "packed": Family(packed.drafts, _COMPUTED),
    "packed-accesses": Family(packed_accesses.drafts, _COMPUTED),
    "platform": Family(platform.drafts, _COMPUTED),
    "places": Family(places.drafts, _COMPUTED),
    "visible": Family(visible.drafts, _COMPUTED),
    "atomic-places": Family(atomic_places.drafts, _COMPUTED),
    "frames": Family(frames.drafts, _COMPUTED),
    "encodings": Family(encodings.drafts, _WITNESSED),
}


#: The files that depend on all vectors. Tier quick takes so long that it is written only if it is asked for.
USES, SMOKE, QUICK = "uses", Tier.SMOKE.value, Tier.QUICK.value
NAMES = (*FILES, USES, SMOKE, QUICK)


def text(name: str) -> str:
    """Return the contents of the generated file ``name``, one of :data:`NAMES`.

    Raises:
        DraftError: a case does not return on the reference VM.
    """
    if name == USES:
        return _uses()
    if name in (SMOKE, QUICK):
        return _tier(Tier(name))
    return file_text(name, FILES[name].note, FILES[name].drafts())


def path(name: str) -> Path:
    """Return the path of the generated file ``name`` in the package."""
    if name in (SMOKE, QUICK):
        return list_of(Tier(name))
    return USES_FILE if name == USES else FOLDER / f"{name}.yaml"


def _tier(tier: Tier) -> str:
    """Return the list of a tier; what is in it now stays, if it is needed still."""
    kept = members(tier)
    ids = smoke.smoke(load_suite().vectors, kept) if tier is Tier.SMOKE else tiers.quick(kept)
    head = f"# SPDX-License-Identifier: Apache-2.0\n# The vectors of tier {tier}; written by bpf-isa generate {tier}.\n"
    return head + "".join(f"{name}\n" for name in ids)


def _uses() -> str:
    counted = count_uses(load_suite().vectors)
    lines = [f"{row.name}: {counted[row.name]}" for row in isa().instructions if row.name in counted]
    head = (
        "# How many vectors of the suite have each instruction, for the diagnosis; written by bpf-isa generate uses.\n"
    )
    return f"# SPDX-License-Identifier: Apache-2.0\n{head}" + "".join(f"{line}\n" for line in lines)
