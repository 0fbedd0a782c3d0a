# SPDX-License-Identifier: Apache-2.0
"""What the suite covers: every requirement that vectors verify, every row, every conformance group by itself."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import pytest

from bpf_isa.conformance.suite.load import find_files, load_file
from bpf_isa.conformance.suite.model import Entry, VectorError
from bpf_isa.conformance.suite.suite import VECTORS, load_suite
from bpf_isa.spec.encoding import decode
from bpf_isa.spec.groups import closure
from bpf_isa.spec.requirements import Requirement, load_errata, load_requirements
from bpf_isa.spec.table import isa

#: Groups of which no program is possible without others, and why.
NEVER_ALONE = {"packet": "packet accesses want R1 copied to R6, and to copy an address takes base64"}
#: Longer programs, in bytes, repeat a few instructions that short ones have as well.
LONGEST = 4096


@cache
def entries() -> tuple[Entry, ...]:
    return tuple(entry for file in find_files([VECTORS]) for entry in load_file(file))


@cache
def rows_by_groups() -> Mapping[frozenset[str], frozenset[str]]:
    """Names of the rows in programs that have to return, by the groups that the program needs."""
    found: dict[frozenset[str], set[str]] = {}
    for vector in load_suite().vectors:
        code = vector.little.code
        if vector.little.expect.returns and len(code) <= LONGEST:
            names = found.setdefault(vector.groups, set())
            names.update(item.instruction.name for item in decode(code, "little") if item is not None)
    return {groups: frozenset(names) for groups, names in found.items()}


def uncovered(vectors: Iterable[Entry], requirements: Mapping[str, Requirement]) -> list[str]:
    """Return the requirements that vectors have to verify and none of ``vectors`` covers."""
    covered = {name for entry in vectors for name in entry.covers}
    return [item.id for item in requirements.values() if item.verified_by == "vector" and item.id not in covered]


def test_every_requirement_that_vectors_verify_is_covered() -> None:
    assert uncovered(entries(), load_requirements()) == []


def test_a_requirement_without_vectors_is_found() -> None:
    lost = "rfc9669-4.1-smod-truncates"
    rest = [entry for entry in entries() if lost not in entry.covers]
    assert lost in uncovered(rest, load_requirements())


def test_a_vector_that_cites_an_unknown_requirement_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "unknown.yaml"
    file.write_text(
        "source: {name: test, method: hand}\n"
        "vectors:\n"
        '  - {id: a, covers: [rfc9669-9.9-nothing], asm: "exit", expect: {r0: "0"}}\n'
    )
    with pytest.raises(VectorError, match=r"unknown\.yaml:3: a: covers 'rfc9669-9\.9-nothing'"):
        load_file(file)


def test_every_row_is_in_a_program_that_returns() -> None:
    used = frozenset().union(*rows_by_groups().values())
    assert [row.name for row in isa().instructions if row.name not in used] == []


def test_every_row_is_in_a_program_that_needs_no_other_group() -> None:
    """A runtime with base32 and one more group can be tested on each instruction of that group."""
    missing = []
    for row in isa().instructions:
        if row.groups & NEVER_ALONE.keys():
            continue
        allowed = closure(row.groups)
        if not any(row.name in names for groups, names in rows_by_groups().items() if groups <= allowed):
            missing.append(row.name)
    assert missing == []


def test_every_erratum_is_cited() -> None:
    cited = {name for entry in entries() for name in entry.errata}
    cited |= {name for item in load_requirements().values() for name in item.errata}
    assert sorted(load_errata().keys() - cited) == []


def test_every_entry_says_its_point() -> None:
    """Names and sentences say what is expected, not that something is tested."""
    chatter = re.compile(r"^(tests? |check|verif|ensure|make sure)", re.IGNORECASE)
    assert [entry.id for entry in entries() if not entry.what or chatter.match(entry.what)] == []


def test_sentences_of_handwritten_entries_are_distinct_and_short() -> None:
    said: dict[str, str] = {}
    for entry in entries():
        if entry.source.method == "hand":
            assert len(entry.what) <= 120, entry.id
            assert entry.what not in said, f"{entry.id} says what {said.get(entry.what)} says"
            said[entry.what] = entry.id
