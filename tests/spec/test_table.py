# SPDX-License-Identifier: Apache-2.0
"""The instruction table: what a row must be, each with a row that is not, and the facts of the table itself."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bpf_isa.spec import strict_yaml, table, tree
from bpf_isa.spec.pseudocode import PseudocodeError
from bpf_isa.spec.table import FIELD_RANGES, Fixed, Instruction, Isa, Operand, TableError, isa

ADD = (
    'name: ADD, section: "4.1", groups: [base32], opcode: 0x0f, dst: reg, src: reg, asm: "x", means: "dst = dst + src"'
)
SUB = (
    'name: SUB, section: "4.1", groups: [base32], opcode: 0x1f, dst: reg, src: reg, asm: "y", means: "dst = dst - src"'
)


def build(*rows: str, groups: str = "base32: {includes: []}") -> Isa:
    """Make a table of the rows, from line 3 of the text on."""
    listed = "".join(f"  - {{{row}}}\n" for row in rows)
    return table.build(strict_yaml.loads(f"groups: {{{groups}}}\ninstructions:\n{listed}", "isa.yaml"))


def changed(row: str, old: str, new: str) -> str:
    assert old in row
    return row.replace(old, new)


def test_a_table() -> None:
    small = build(ADD, SUB)
    add, sub = small.instructions
    assert (add.name, add.section, add.opcode, add.asm) == ("ADD", "4.1", 0x0F, ("x",))
    assert add.groups == {"base32"}
    assert (add.line, sub.line) == (3, 4)
    assert add.fields == {
        "dst": Operand(0, 10),
        "src": Operand(0, 10),
        "offset": Fixed(0, unused=True),
        "imm": Fixed(0, unused=True),
    }
    assert (add.operands, add.wide, add.slots) == (("dst", "src"), False, 1)
    assert add.reads == {"dst", "src"}
    assert add.writes == {"dst"}
    assert small.by_name == {"ADD": add, "SUB": sub}
    assert small.by_opcode == {0x0F: (add,), 0x1F: (sub,)}
    assert small.groups == {"base32": frozenset()}


REFUSED = {
    "pseudocode that does not parse": (
        changed(ADD, "dst + src", "dst +"),
        r"ADD \(line 3\): means: not pseudocode near .* \(column 11\)",
    ),
    "unknown name": (
        changed(ADD, "dst + src", "dst + sorc"),
        r"ADD \(line 3\): means: unknown name 'sorc' \(column 13\)",
    ),
    "width mismatch": (
        changed(ADD, "dst + src", "dst + (u32)src"),
        r"ADD \(line 3\): means: u64 \+ u32: operands differ in width",
    ),
    "operand that the meaning does not use": (
        changed(ADD, "src: reg,", "src: reg, imm: any,"),
        r"ADD \(line 3\): imm is given as an operand, but means does not use it",
    ),
    "register that the meaning does not use": (
        changed(ADD, "dst + src", "dst + dst"),
        r"ADD \(line 3\): src is given as an operand, but means does not use it",
    ),
    "meaning with a field that is not given": (
        changed(ADD, "dst + src", "dst + src + (s64)imm"),
        r"ADD \(line 3\): means uses imm, which is no operand of the row",
    ),
    "meaning with a field that is fixed": (
        changed(ADD, "src: reg", "src: 3"),
        r"ADD \(line 3\): means uses src, which is no operand of the row",
    ),
    "assignment to a register that is not given": (
        changed(ADD, '"dst = dst + src"', '"dst = dst + src; src = dst"').replace("src: reg", "src: 1"),
        r"ADD \(line 3\): means uses src, which is no operand",
    ),
    "unknown group": (changed(ADD, "[base32]", "[base31]"), r"ADD \(line 3\): unknown conformance group base31"),
    "unknown field": (changed(ADD, "src: reg", "scr: reg"), r"isa\.yaml: ADD: instructions\.0: .*scr"),
    "no meaning": (changed(ADD, ', means: "dst = dst + src"', ""), r"isa\.yaml: ADD: instructions\.0: .*means"),
    "empty meaning": (changed(ADD, "dst = dst + src", ""), r"isa\.yaml: ADD: instructions\.0\.means: "),
    "no asm": (changed(ADD, 'asm: "x", ', ""), r"isa\.yaml: ADD: instructions\.0: .*asm"),
    "empty list of forms": (changed(ADD, '"x"', "[]"), r"isa\.yaml: ADD: instructions\.0\.asm: "),
    "no opcode": (changed(ADD, "opcode: 0x0f, ", ""), r"isa\.yaml: ADD: instructions\.0: .*opcode"),
    "opcode of 9 bits": (changed(ADD, "0x0f", "0x10f"), r"isa\.yaml: ADD: instructions\.0\.opcode: .*255"),
    "register field of 5 bits": (changed(ADD, "src: reg", "src: 16"), r"isa\.yaml: ADD: instructions\.0\.src: "),
    "offset of 17 bits": (changed(ADD, "src: reg", "offset: 32768"), r"isa\.yaml: ADD: instructions\.0\.offset: "),
    "imm of 33 bits": (changed(ADD, "src: reg", "imm: 2147483648"), r"isa\.yaml: ADD: instructions\.0\.imm: "),
    "any register": (changed(ADD, "src: reg", "src: any"), r"isa\.yaml: ADD: instructions\.0\.src: "),
    "section in words": (changed(ADD, '"4.1"', '"four"'), r"isa\.yaml: ADD: instructions\.0\.section: "),
    "name in lower case": (changed(ADD, "name: ADD", "name: add"), r"isa\.yaml: add: instructions\.0\.name: "),
    "no group": (changed(ADD, "[base32]", "[]"), r"isa\.yaml: ADD: instructions\.0\.groups: "),
}


@pytest.mark.parametrize(("row", "message"), REFUSED.values(), ids=REFUSED)
def test_rows_that_cannot_be(row: str, message: str) -> None:
    with pytest.raises(TableError, match=message):
        build(row, SUB)


def test_two_rows_of_one_name() -> None:
    with pytest.raises(TableError, match=r"ADD: two rows have this name \(lines 3 and 4\)"):
        build(ADD, changed(SUB, "SUB", "ADD"))


@pytest.mark.parametrize(
    "sub",
    [changed(SUB, "0x1f", "0x0f"), changed(SUB, "0x1f", "0x0f").replace('means: "', 'imm: any, means: "PC += imm; ')],
)
def test_overlapping_encodings(sub: str) -> None:
    with pytest.raises(TableError, match=r"SUB \(line 4\): its encoding overlaps with ADD \(line 3\)"):
        build(ADD, sub)


def test_rows_of_one_opcode_that_a_field_tells_apart() -> None:
    assert len(build(ADD, changed(SUB, "0x1f,", "0x0f, offset: 1,")).by_opcode[0x0F]) == 2


def test_one_opcode_is_wide_or_it_is_not() -> None:
    wide = changed(SUB, "0x1f,", "0x0f, offset: 1, next_imm: 0,")
    with pytest.raises(TableError, match=r"SUB \(line 4\): wide, but ADD with the same opcode is not"):
        build(ADD, wide)


def test_a_group_that_includes_an_unknown_one() -> None:
    with pytest.raises(TableError, match="base64 includes base16, which is no conformance group"):
        build(ADD, groups="base32: {includes: []}, base64: {includes: [base16]}")


@pytest.mark.parametrize(
    "text", ["", "[]", "groups: {}", "groups: {}\ninstructions: []", "groups: {}\ninstructions: [1]"]
)
def test_files_that_are_no_table(text: str) -> None:
    with pytest.raises(TableError, match=r"^isa\.yaml: "):
        table.build(strict_yaml.loads(text, "isa.yaml"))


def test_a_file_is_named_in_errors(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("groups: {}\n", encoding="utf-8")
    with pytest.raises(TableError, match=rf"^{re.escape(str(file))}: "):
        table.load(file)
    file.write_text("groups: {}\ngroups: {}\n", encoding="utf-8")
    with pytest.raises(strict_yaml.YamlError, match="duplicate key"):
        table.load(file)


# The table of RFC 9669


def test_counts() -> None:
    rows = isa().instructions
    assert len(rows) == 170
    sections = {row.section for row in rows}
    assert {section: sum(row.section == section for row in rows) for section in sorted(sections)} == {
        "4.1": 63,
        "4.2": 9,
        "4.3": 47,
        "4.3.1": 2,
        "4.3.2": 1,
        "5.1": 12,
        "5.2": 3,
        "5.3": 20,
        "5.4": 7,
        "5.5": 6,
    }


@pytest.mark.parametrize("row", isa().instructions, ids=lambda row: row.name)
def test_every_row_has_a_field_for_everything(row: Instruction) -> None:
    assert list(row.fields) == [name for name in FIELD_RANGES if name != "next_imm" or row.wide]
    assert row.groups
    assert row.means
    assert "r10" not in row.writes


def test_the_table_is_read_once() -> None:
    assert isa() is isa()


def test_the_pseudocode_of_the_table_is_right() -> None:
    checked = table.load(table.ISA_FILE)  # isa() does not check what its rows mean
    assert [(row.name, row.means) for row in checked.instructions] == [
        (row.name, row.means) for row in isa().instructions
    ]


def test_a_row_keeps_its_meaning_when_another_field_is_replaced() -> None:
    """Its text would not do: nothing in it tells the type of the number."""
    means = (tree.Assign(tree.Register("r0"), tree.Cast(tree.U64, tree.Const(7, tree.U32))),)
    row = isa().by_name["EXIT"].with_means(means)
    assert replace(row, line=1).means is means


def test_a_meaning_is_parsed_when_it_is_asked_for() -> None:
    row = replace(isa().by_name["ADD64_X"], means_text="dst = dst +")
    assert row.means_text == "dst = dst +"
    with pytest.raises(PseudocodeError, match="not pseudocode"):
        _ = row.reads
    other = row.with_means(isa().by_name["SUB64_X"].means)
    assert (other.means_text, sorted(other.reads), sorted(other.writes)) == ("dst = dst - src", ["dst", "src"], ["dst"])
