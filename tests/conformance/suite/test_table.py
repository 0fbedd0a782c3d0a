# SPDX-License-Identifier: Apache-2.0
"""Tables of vector files: what is wrong in a row is told, and rows may differ in more than numbers."""

from pathlib import Path

import pytest

from bpf_isa.conformance.suite.model import VectorError
from bpf_isa.conformance.suite.suite import load_suite

HEAD = "source: {name: x, method: hand}\nvectors:\n  - id: it\n    covers: [rfc9669-4.1-add]\n"
REJECTED = ["level: robustness", 'code: "{slot}"', "expect: {rejected: true}"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (["asm: 'r0 = {x}; exit'", "case x r0", "a 1 1", "b 2 2", "c 4294967296 3"], "it/c: asm: expected a number"),
        (["asm: 'r0 = {x}; exit'", "case x r0", "a 1 1", "b 2 two"], "it/b: no number: 'two'"),
        (["asm: 'r0 = {x}; exit'", "case x r0", "a 1 1", "B 2 2"], "the case 'B' is not named by"),
        (["asm: exit", 'memory: "00*4"', "case after", "a 01020304", "b 010203"], "it/b: expects 3 bytes of memory"),
        (["asm: exit", 'memory: "{m}"', "case m r0", "a 01 0", "b 0x 0"], "it/b: no hex bytes: '0x'"),
        ([*REJECTED, "case slot", "a 00*8", "b 0g"], "it/b: no hex bytes: '0g'"),
        ([*REJECTED, "case slot", "a 00*8", "b 00"], "it/b: code is no whole number of slots"),
    ],
)
def test_what_is_wrong_in_a_row(tmp_path: Path, fields: list[str], message: str) -> None:
    file = tmp_path / "own.yaml"
    at = next(index for index, field in enumerate(fields) if field.startswith("case"))
    table = ["table: |", *(f"  {row}" for row in fields[at:])]
    file.write_text(HEAD + "".join(f"    {line}\n" for line in [*fields[:at], *table]), encoding="utf-8")
    with pytest.raises(VectorError) as caught:
        load_suite([file])
    assert message in str(caught.value)


def test_a_row_that_is_another_instruction(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    text = "    asm: |\n      r0 = {x}\n      exit\n    table: |\n      case x r0\n      a 1 1\n      b r1 2\n"
    file.write_text(HEAD + text, encoding="utf-8")
    first, second = load_suite([file]).vectors
    assert first.little.code[0] != second.little.code[0]


def test_what_bytes_need_is_found_in_tables_too(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    asm = ["asm: |", "  .byte 0xb7, 0, 0, 0, 1, 0, 0, 0", "  exit"]
    lines = [*asm, "expect: {r0: '1'}", "table: |", "  case", "  a", "  b"]
    text = "".join(f"    {line}\n" for line in lines)
    file.write_text(HEAD + text, encoding="utf-8")
    assert [sorted(vector.groups) for vector in load_suite([file]).vectors] == [["base64"], ["base64"]]
