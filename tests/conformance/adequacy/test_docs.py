# SPDX-License-Identifier: Apache-2.0
"""The page about the check counts the mutants that there are."""

import re
from collections import Counter
from pathlib import Path

import pytest

from bpf_isa.conformance.adequacy.encoding_mutants import class_mutants, encoding_mutants
from bpf_isa.conformance.adequacy.frame_mutants import (
    boundless_mutants,
    frame_mutants,
    leaking_mutants,
    stack_mutants,
)
from bpf_isa.conformance.adequacy.loader_mutants import loader_mutants
from bpf_isa.conformance.adequacy.mutants import mutants_of
from bpf_isa.conformance.adequacy.program_mutants import program_mutants
from bpf_isa.spec.table import isa

PAGE = Path(__file__).parents[3] / "docs" / "adequacy.md"


@pytest.mark.long
def test_the_families_and_their_sizes_are_those_of_the_code() -> None:
    table = isa()
    count = Counter(mutant.family for row in table.instructions for mutant in mutants_of(row, table))
    count["encoding"] = len([*encoding_mutants(table), *class_mutants(table)])
    count["frames"] = len([*frame_mutants(), *stack_mutants(), *boundless_mutants(), *leaking_mutants()])
    count["control"] = len([*program_mutants(table)])
    count["loading"] = len([*loader_mutants(table)])
    rows = re.findall(r"^\| \*([a-z ]+)\* \| ([\d,]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name: int(number.replace(",", "")) for name, number in rows} == count
