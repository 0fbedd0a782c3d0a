# SPDX-License-Identifier: Apache-2.0
"""The whole suite, expanded, for projects without Python: a line of JSON for each vector, a manifest and a schema.

The same vectors give the same bytes: nothing depends on the time or the place. docs/export.md describes the format.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ...spec.output import replacing, write_bytes, write_text
from ..suite.model import Variant, Vector
from ..suite.suite import Suite
from .document import DISTRIBUTION

SCHEMA_FILE = Path(__file__).parents[1] / "schema" / "export.schema.json"
FORMAT = "bpf-isa-export"
#: Raised with every change that a reader of older exports would have to know.
FORMAT_VERSION = 1
VECTORS_FILE, MANIFEST_FILE = "vectors.jsonl", "manifest.json"


def export(suite: Suite, folder: Path, tier: str) -> Mapping[str, Any]:
    """Write the vectors of ``suite``, which are those of a tier, into ``folder``; return the manifest.

    The folder is made if need be.

    Raises:
        OSError: something cannot be written.
        model.VectorError: a vector has no form for big-endian runtimes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    levels: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    groups: Counter[str] = Counter()
    digest, size = hashlib.sha256(), 0
    (folder / MANIFEST_FILE).unlink(missing_ok=True)  # it is about the vectors that are there, or not there
    with replacing(folder / VECTORS_FILE) as stream:
        for vector in suite.vectors:
            data = line(vector)
            raw = json.dumps(data, separators=(",", ":")).encode("ascii") + b"\n"
            stream.write(raw)
            digest.update(raw)
            size += len(raw)
            levels[vector.entry.level.value] += 1
            outcomes[data["little"]["outcome"]] += 1
            groups.update(vector.reported)
    manifest = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "suite": {"version": version(DISTRIBUTION), "digest": suite.digest},
        "tier": tier,
        "vectors": len(suite.vectors),
        "file": {"name": VECTORS_FILE, "bytes": size, "sha256": digest.hexdigest()},
        "levels": dict(sorted(levels.items())),
        "outcomes": dict(sorted(outcomes.items())),
        "groups": dict(sorted(groups.items())),
    }
    write_bytes(SCHEMA_FILE.read_bytes(), folder / SCHEMA_FILE.name)
    write_text(json.dumps(manifest, indent=2) + "\n", folder / MANIFEST_FILE)
    return manifest


def line(vector: Vector) -> dict[str, Any]:
    """Return a vector as the export has it; all keys are always there, in this order."""
    entry = vector.entry
    return {
        "id": vector.id,
        "what": entry.what,
        "level": entry.level.value,
        "extension": entry.extension,
        "groups": sorted(vector.groups),
        "requirements": list(entry.covers),
        "errata": list(entry.errata),
        "helpers": [item._asdict() for item in entry.helpers],
        "little": _variant(vector.little),
        "big": _variant(vector.big),
    }


def _variant(variant: Variant) -> dict[str, Any]:
    expect = variant.expect
    outcome = "rejected" if expect.rejected else "faulted" if expect.faulted is not None else "returned"
    if expect.steady:
        outcome = "steady"
    others = sorted(expect.registers.keys() - {"r0"})
    return {
        "code": variant.code.hex(),
        "memory": None if variant.memory is None else variant.memory.hex(),
        "maps": [item.value.hex() for item in variant.maps],
        "variables": [{"number": item.number, "value": item.value.hex()} for item in variant.variables],
        "outcome": outcome,
        "r0": _number(expect.registers.get("r0")),
        "registers": {name: _number(expect.registers[name]) for name in others},
        "memory_after": None if expect.memory is None else expect.memory.hex(),
        "fault": expect.faulted,
        "witness": _number(expect.witness),
    }


def _number(value: int | None) -> str | None:
    return None if value is None else f"{value:#x}"
