# SPDX-License-Identifier: Apache-2.0
"""The rules, by their ids, and their violations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: The rules: id, and what it demands.
RULES: Mapping[str, str] = {
    "yaml": "a file is YAML that nobody can misread",
    "schema": "a file follows conformance/schema/vector.schema.json",
    "canonical-form": "a file is as bpf-isa fmt writes it",
    "unique-id": "no two vectors have the same id",
    "unknown-requirement": "covers names requirements that spec/requirements.yaml has",
    "unknown-erratum": "errata names entries that spec/errata.yaml has",
    "level": "the level agrees with what is expected, and with what is cited",
    "unfair-level": "the level is no higher than what the vector relies on, and it cites the errata about that",
    "id-says-nothing": "an id says what the vector is about",
    "what-missing": "a vector says in a sentence what its point is",
    "what-test-that": "that sentence says what is true, not that it is tested",
    "what-repeats-id": "that sentence says more than the id",
    "expansion": "each case has what its program needs, and its program can be assembled",
    "wrong-expectation": "the reference VM does what is expected, in both byte orders",
    "round-trip": "a program, disassembled and assembled, is the same program",
    "same-vector": "no two vectors have the same program, inputs and expectation",
    "vacuous": "the outcome depends on the instruction that the vector is about, a steady one's on what nothing wrote",
    "several-faults": "a program that must be rejected is right but for one instruction",
}


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A violation of one of :data:`RULES`: its place, and the vector (None for a file)."""

    file: str
    line: int
    vector: str | None
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {f'{self.vector}: ' if self.vector else ''}{self.message} [{self.rule}]"
