# SPDX-License-Identifier: Apache-2.0
"""The registries of requirements and errata: complete, consistent, and refused when they are not."""

import re
from collections import Counter
from pathlib import Path

import pytest

from bpf_isa.spec import strict_yaml, table
from bpf_isa.spec.requirements import (
    RegistryError,
    document_of,
    load_errata,
    load_requirements,
    read_errata,
    read_requirements,
)

from .appendix import ROWS

# The sections of RFC 9669 that make statements about instructions or programs.
NORMATIVE_SECTIONS = {
    *("2.1", "2.2", "2.3", "2.4", "3", "3.1", "3.2", "3.3", "4", "4.1", "4.2", "4.3", "4.3.1", "4.3.2"),
    *("5", "5.1", "5.2", "5.3", "5.4", "5.4.1", "5.4.2", "5.5", "A"),
}

REQUIREMENT = """\
sources: {rfc9669: {document: RFC 9669, url: "https://example.org"}}
requirements:
  - id: rfc9669-4.1-add
    section: "4.1"
    keyword: statement
    binds: runtime
    verified_by: vector
    text: ADD adds two numbers.
"""
ERRATUM = """\
errata:
  - id: a-matter-of-reading
    kind: ambiguity
    level: must
    sections: ["4.1"]
    opcodes: []
    fields: []
    says: {"4.1": It can be read in two ways.}
    decision: The first way it is.
    why: It is the simpler one.
"""


@pytest.mark.parametrize(("section", "end"), [("4.1", "#section-4.1"), ("A", "#appendix-A")])
def test_a_section_has_a_document_and_an_address(section: str, end: str) -> None:
    document, number = document_of(section)
    assert (document.document, number) == ("RFC 9669", section)
    assert document.address(number) == f"https://www.rfc-editor.org/rfc/rfc9669.html{end}"


def test_a_section_of_an_unknown_document_is_refused() -> None:
    with pytest.raises(RegistryError, match=r"section more-1\.2: requirements.yaml has no source more, only rfc9669"):
        document_of("more-1.2")


def test_every_section_has_requirements() -> None:
    assert {item.section for item in load_requirements().values()} == NORMATIVE_SECTIONS


def test_there_is_about_one_requirement_per_sentence() -> None:
    per_section = Counter(item.section for item in load_requirements().values())
    assert per_section.total() >= 150
    assert min(per_section["4.1"], per_section["4.3"], per_section["5.3"]) >= 30


def test_no_statement_is_made_twice() -> None:
    texts = Counter(item.text for item in load_requirements().values())
    assert [text for text, count in texts.items() if count > 1] == []


def test_each_row_of_the_table_belongs_to_a_section_with_requirements() -> None:
    sections = {item.section for item in load_requirements().values()}
    assert {row.section for row in table.isa().instructions} <= sections


def test_only_what_nothing_verifies_has_a_reason() -> None:
    for item in load_requirements().values():
        assert (item.reason is not None) == (item.verified_by == "none"), item.id


def test_what_binds_the_document_alone_is_not_asked_of_programs() -> None:
    asked = [r.id for r in load_requirements().values() if r.binds == "document" and r.verified_by == "vector"]
    assert asked == []


def test_every_erratum_is_cited_by_a_requirement() -> None:
    cited = {erratum for item in load_requirements().values() for erratum in item.errata}
    assert set(load_errata()) - cited == set()


def test_errata_select_rows_that_exist() -> None:
    """Of the appendix, or of isa.yaml where the appendix lacks the row."""
    known = {row.key for row in ROWS}
    opcodes = {row.opcode for row in table.isa().instructions}
    for erratum in load_errata().values():
        for selector in erratum.opcodes:
            if "missing-row" in erratum.fields:
                assert selector.opcode in opcodes, (erratum.id, selector)
            else:
                assert any(selector.selects(*key) for key in known), (erratum.id, selector)


def test_operands_are_told_exactly_where_descriptions_differ() -> None:
    for erratum in load_errata().values():
        for selector in erratum.opcodes:
            assert (selector.when is not None) == ("description" in erratum.fields), (erratum.id, selector)


def test_what_the_text_only_implies_is_no_must() -> None:
    """Nor is what it leaves to others; 'must' says that a sentence or the appendix settles the matter."""
    levels = {(erratum.kind, erratum.level) for erratum in load_errata().values()}
    assert {level for kind, level in levels if kind in ("interpretation", "extension")} <= {
        "interpretation",
        "abi",
        "robustness",
    }
    assert ("ambiguity", "must") in levels


def test_wording_is_not_the_reference_mark_up() -> None:
    """Statements are prose of our own: no RST roles or literals in them."""
    texts = [item.text for item in load_requirements().values()]
    texts += [text for erratum in load_errata().values() for text in (*erratum.says.values(), erratum.decision)]
    assert [text for text in texts if re.search(r"``|:term:|`_", text)] == []


def read(folder: Path, requirements: str = REQUIREMENT, errata: str = ERRATUM) -> None:
    (folder / "requirements.yaml").write_text(requirements, encoding="utf-8")
    (folder / "errata.yaml").write_text(errata, encoding="utf-8")
    read_requirements(folder / "requirements.yaml", read_errata(folder / "errata.yaml"))


def test_the_samples_of_this_file_are_accepted(tmp_path: Path) -> None:
    read(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("4.1-add", "4.2-add", "requirements.yaml:3: rfc9669-4.2-add: the id does not begin with its section, 4.1"),
        (
            "rfc9669-4.1-add",
            "ADD",
            "requirements.yaml:3: ADD: requirements.0.id: must be an id of the form <source>-<section>-<slug>",
        ),
        ("statement", "OUGHT", "requirements.0.keyword: must be one of"),
        ("vector", "none", "'reason' is missing"),
        ("binds: runtime", "binds: runtime\n    errata: [no-such]", "rfc9669-4.1-add: there is no erratum no-such"),
        ("binds: runtime", "binds: runtime\n    severity: high", "severity"),
        ("binds: runtime", "binds: runtime\n    reason: it is verified", "reason"),
        (REQUIREMENT, REQUIREMENT + "unused: 1\n", "unused"),
        ("rfc9669-4.1-add", "linux-4.1-add", "linux-4.1-add: the id does not begin with one of the sources, rfc9669"),
        ('"4.1"', '"rfc9669-4.1"', "rfc9669-4.1-add: write its section as 4.1, not as rfc9669-4.1"),
        ('"4.1"', '"more-4.1"', "rfc9669-4.1-add: write its section as 4.1, not as more-4.1"),
        ("document: RFC 9669", 'sections: "#{name}", document: RFC 9669', "sources.rfc9669.sections: "),
        ("document: RFC 9669, ", "", "requirements.yaml: sources.rfc9669: 'document' is missing"),
        (REQUIREMENT, REQUIREMENT + REQUIREMENT.partition("requirements:\n")[2], "yaml:9: rfc9669-4.1-add: the id"),
    ],
)
def test_a_malformed_requirement_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in REQUIREMENT
    with pytest.raises(RegistryError, match=re.escape(message)):
        read(tmp_path, requirements=REQUIREMENT.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('["4.1"]', '["4.1", "4.2"]', "errata.yaml:2: a-matter-of-reading: sections and the keys of says differ"),
        ("ambiguity", "discrepancy", "[] has less than 1 item"),
        ("fields: []", "fields: [groups]", "has more than 0 items"),
        ("opcodes: []", "opcodes: [{opcode: 256}]", "256 is greater than the maximum of 255"),
        ("opcodes: []", "opcodes: [{opcode: 1, destination: 2}]", "destination"),
        ("opcodes: []", "opcodes: [{opcode: 1, when: imm < 0}]", "decided"),
        ("level: must", "level: should", "errata.0.level: must be one of"),
        ("why:", "because:", "'why' is missing"),
        (ERRATUM, ERRATUM + ERRATUM.partition("\n")[2], "errata.yaml:11: a-matter-of-reading: the id occurs twice"),
    ],
)
def test_a_malformed_erratum_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in ERRATUM
    with pytest.raises(RegistryError, match=re.escape(message)):
        read(tmp_path, errata=ERRATUM.replace(old, new))


def test_a_key_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(strict_yaml.YamlError, match="duplicate key 'text'"):
        read(tmp_path, requirements=REQUIREMENT + "    text: ADD subtracts.\n")
