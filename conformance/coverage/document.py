# SPDX-License-Identifier: Apache-2.0
"""Coverage as plain data, after ``schema/coverage.schema.json``."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..results.document import DISTRIBUTION, Json
from ..run.verdict import Verdict
from .confirm import Confirmation, confirmed_by_any
from .measure import Coverage, FileCoverage, InstructionCoverage, RequirementCoverage

SCHEMA_FILE = Path(__file__).parent.parent / "schema" / "coverage.schema.json"
FORMAT, FORMAT_VERSION = "bpf-isa-coverage", 1


def document(coverage: Coverage, confirmed: Sequence[Confirmation] = ()) -> Json:
    """Return the coverage document; ``confirmed`` has the verdicts of runtimes, if given."""
    data: Json = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "suite": {
            "version": version(DISTRIBUTION),
            "digest": coverage.suite.digest,
            "vectors": len(coverage.suite.vectors),
        },
        "requirements": [_requirement(item) for item in coverage.requirements],
        "instructions": [_instruction(item) for item in coverage.instructions],
        "files": [_file(file) for file in coverage.files],
        "holes": [hole_name(item) for item in coverage.holes],
    }
    if confirmed:
        data["confirmed"] = {
            "runtimes": [_confirmation(one) for one in confirmed],
            "vectors": len(confirmed_by_any(confirmed)),
        }
    return data


def hole_name(item: RequirementCoverage | InstructionCoverage) -> str:
    """Return the name of what is not covered."""
    return item.requirement.id if isinstance(item, RequirementCoverage) else item.row.name


def _requirement(item: RequirementCoverage) -> Json:
    requirement = item.requirement
    data: Json = {
        "id": requirement.id,
        "section": requirement.section,
        "text": requirement.text,
        "verified_by": requirement.verified_by,
        "entries": dict(item.entries),
        "vectors": sum(item.entries.values()),
    }
    return data | ({"reason": requirement.reason} if requirement.reason else {})


def _instruction(item: InstructionCoverage) -> Json:
    return {
        "name": item.row.name,
        "section": item.row.section,
        "groups": sorted(item.row.groups),
        "entries": dict(item.entries),
        "vectors": sum(item.entries.values()),
        "about": list(item.about),
    }


def _file(file: FileCoverage) -> Json:
    source: dict[str, Any] = {"name": file.source.name, "method": file.source.method}
    source |= {"generator": file.source.generator} if file.source.generator else {}
    source |= {"note": file.source.note} if file.source.note else {}
    return {
        "name": file.name,
        "source": source,
        "entries": file.entries,
        "vectors": file.vectors,
        "levels": {level.value: number for level, number in file.levels.items()},
    }


def _confirmation(one: Confirmation) -> Json:
    return {
        "name": one.name,
        "identity": one.identity,
        "independent": one.independent,
        "files": {
            name: {verdict.value: number[verdict] for verdict in Verdict} for name, number in one.verdicts.items()
        },
    }
