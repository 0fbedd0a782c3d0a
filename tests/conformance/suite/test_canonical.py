# SPDX-License-Identifier: Apache-2.0
"""`bpf-isa fmt`: one form for vector files, in which nothing is lost."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from bpf_isa.conformance.cli import main
from bpf_isa.conformance.suite.canonical import canonical
from bpf_isa.conformance.suite.model import VectorError
from bpf_isa.conformance.suite.suite import VECTORS, load_suite
from bpf_isa.spec import strict_yaml

MESSY = """\
# SPDX-License-Identifier: Apache-2.0
# A remark on the file.
source: {method: hand, name: 'x', note: "a sentence that is so long that it has to
  be broken into several lines,  before it comes to its end as every sentence does, not before time"}

vectors:

  # First things first
  - covers:
      - rfc9669-4.1-add
    id: add
    expect:
      registers:
        r2: '2'
        r1: "1"
    # About the program.
    asm: |
      r0 = 1   # within the program

      r1 = {x}
      exit

    table: |
      case  x   r0

      longer-name 1 -
      b 22 1
    what: "the sum: it's plain"


  # Then the rest,
  # in two lines
  - id: load
    what: a 'word'
    covers: [rfc9669-5.1-ldx-mem-b, rfc9669-5.1-ldx-mem-h, rfc9669-5.1-ldx-mem-w,
      rfc9669-5.1-ldx-mem-dw, rfc9669-5-size-b]
    memory: {big: '00 01', little: 01 00}
    asm: |-
      r0 = 1
      exit
    cases:
      # A remark on a case.
      one: {after: "0100", r0: "1"}
    helpers: [{does: weigh, number: 77, by: static}]
# The end.
"""

NEAT = """\
# SPDX-License-Identifier: Apache-2.0
# A remark on the file.
source:
  name: x
  method: hand
  note: >-
    a sentence that is so long that it has to be broken into several lines, before it comes to its end as every sentence
    does, not before time
vectors:
  # First things first
  - id: add
    what: "the sum: it's plain"
    covers: [rfc9669-4.1-add]
    # About the program.
    asm: |
      r0 = 1   # within the program

      r1 = {x}
      exit
    expect: {registers: {r1: "1", r2: "2"}}
    table: |
      case         x   r0
      longer-name  1   -
      b            22  1

  # Then the rest,
  # in two lines
  - id: load
    what: a 'word'
    covers:
      - rfc9669-5.1-ldx-mem-b
      - rfc9669-5.1-ldx-mem-h
      - rfc9669-5.1-ldx-mem-w
      - rfc9669-5.1-ldx-mem-dw
      - rfc9669-5-size-b
    asm: |
      r0 = 1
      exit
    memory: {little: "01 00", big: "00 01"}
    helpers: [{by: static, number: 77, does: weigh}]
    cases:
      # A remark on a case.
      one: {after: "0100", r0: "1"}
# The end.
"""


def test_everything_finds_its_place_and_no_comment_is_lost() -> None:
    assert canonical(MESSY) == NEAT
    assert canonical(NEAT) == NEAT


def test_a_comment_beside_something_is_an_error_not_a_loss() -> None:
    with pytest.raises(VectorError, match=r"<text>:9: a comment needs a line of its own"):
        canonical(MESSY.replace("- covers:", "- covers: # why"))


def test_what_does_not_follow_the_schema_is_not_rewritten() -> None:
    with pytest.raises(VectorError, match="unknown field 'colour'"):
        canonical(MESSY.replace("id: load", "id: load\n    colour: red"))


sentences = st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1, max_size=160).filter(str.strip)
tokens = st.lists(st.sampled_from(["00", "ff*2", "1234", "ab"]), min_size=1, max_size=60)
comments = st.lists(st.sampled_from(["# one", "#two", "# r0 = 1"]), max_size=2)


@given(what=sentences, memory=tokens, before=comments, within=comments, flow=st.booleans())
def test_the_form_is_stable_and_says_the_same(
    what: str, memory: list[str], before: list[str], within: list[str], *, flow: bool
) -> None:
    def lines(found: list[str], indent: str) -> str:
        return "".join(f"{indent}{line}\n" for line in found)

    quoted = what.replace("'", "''")
    joined = "  ".join(memory)
    source = "source: {name: x, method: hand}\n" if flow else "source:\n  method: hand\n  name: x\n"
    text = (
        f"# SPDX-License-Identifier: Apache-2.0\n{source}vectors:\n{lines(before, '  ')}"
        f"  - id: a\n{lines(within, '    ')}    memory: '{joined}'\n    what: '{quoted}'\n"
        "    covers: [x]\n    asm: |\n      exit\n    expect: {r0: '1'}\n"
    )
    result = canonical(text)
    assert canonical(result) == result
    data: Any = strict_yaml.loads(result).data
    (vector,) = data["vectors"]
    assert vector["what"].split() == what.split()
    assert vector["memory"].split() == memory
    assert re.findall(r"(?m)^ *(#.*)", result)[1:] == [*before, *within]


# The command


@pytest.fixture
def messy(tmp_path: Path) -> Path:
    path = tmp_path / "messy.yaml"
    path.write_text(MESSY, encoding="utf-8")
    return path


def test_check_writes_nothing_and_tells(messy: Path) -> None:
    result = CliRunner().invoke(main, ["fmt", "--check", str(messy)])
    assert result.exit_code == 1
    assert f"{messy}: is not in canonical form" in result.output
    assert messy.read_text(encoding="utf-8") == MESSY


def test_files_below_a_folder_are_rewritten_once(messy: Path) -> None:
    first = CliRunner().invoke(main, ["fmt", str(messy.parent)])
    assert (first.exit_code, first.output) == (0, f"{messy}: rewritten\n")
    again = CliRunner().invoke(main, ["fmt", str(messy.parent)])
    assert (again.exit_code, again.output) == (0, "")
    assert CliRunner().invoke(main, ["fmt", "--check", str(messy)]).exit_code == 0


def test_a_file_that_is_no_vector_file_is_one_error(tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text("a: [", encoding="utf-8")
    result = CliRunner().invoke(main, ["fmt", str(path)])
    assert result.exit_code == 2
    assert result.output.startswith(f"Error: {path}:")
    assert CliRunner().invoke(main, ["fmt", str(tmp_path / "missing.yaml")]).exit_code == 2


def test_vectors_stay_the_same(tmp_path: Path) -> None:
    source = VECTORS / "atomics.yaml"
    copy = tmp_path / "copy.yaml"
    text = source.read_text(encoding="utf-8")
    copy.write_text(
        re.sub(r"covers: \[(\S+?)\]", r"covers:\n      - \1", text).replace("  r0\n", "     r0\n"), encoding="utf-8"
    )
    assert CliRunner().invoke(main, ["fmt", str(copy)]).output
    assert copy.read_text(encoding="utf-8") == text
    before, after = (load_suite([path]).vectors for path in (source, copy))
    assert [(one.id, one.little, one.big) for one in before] == [(one.id, one.little, one.big) for one in after]
