# SPDX-License-Identifier: Apache-2.0
"""The suite convicts every historical bug that concerns the instruction set, and the page says by which vectors."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner

from bpf_isa.adapters.miniatures.museum import SCHEMA_FILE, bugs, museum
from bpf_isa.conformance.cli import main
from bpf_isa.conformance.museum.convict import NAMED, Court, failing
from bpf_isa.conformance.museum.page import TRIGGERS, named, page
from bpf_isa.conformance.suite.model import Vector
from bpf_isa.conformance.suite.suite import load_suite
from bpf_isa.spec.requirements import load_requirements

PAGE = Path(__file__).parents[3] / "docs" / "museum.md"
#: Programs with more bytes take long on a machine that counts executions.
LONG = 16_384


@cache
def suite() -> dict[str, Vector]:
    return {vector.id: vector for vector in load_suite().vectors}


@cache
def convictions() -> dict[str, list[str]]:
    return named(PAGE.read_text(encoding="utf-8"))


def test_the_museum_is_as_large_as_it_says() -> None:
    historical = [bug for bug in bugs().values() if bug.is_historical]
    assert len(historical) >= 150
    assert sum(bug.concern == "isa" for bug in historical) >= 100
    assert sum(bool(bug.seen) for bug in historical) >= 140


def test_the_page_is_written_from_the_bugs() -> None:
    """If not: bpf-isa museum --docs docs/museum.md."""
    assert convictions().keys() == bugs().keys()
    assert page(museum(), convictions()) == PAGE.read_text(encoding="utf-8")


def test_what_the_bugs_break_is_demanded() -> None:
    assert {name for bug in bugs().values() for name in bug.breaks} <= load_requirements().keys()


def test_the_kinds_of_trigger_are_explained_and_used() -> None:
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    kinds = schema["definitions"]["bug"]["properties"]["triggers"]["items"]["enum"]
    assert set(kinds) == TRIGGERS.keys() == {name for bug in bugs().values() for name in bug.triggers}


def test_every_bug_with_a_miniature_is_convicted_for_what_it_breaks() -> None:
    for bug in bugs().values():
        vectors = [suite()[name] for name in convictions()[bug.id]]
        assert bool(vectors) == (bug.miniature is not None), bug.id
        assert len(vectors) <= NAMED
        for vector in vectors:
            assert set(bug.breaks) & set(vector.entry.covers), (bug.id, vector.id)
        # One of them is run here, all in the test below.
        short = [vector for vector in vectors if len(vector.little.code) <= LONG][:1]
        assert list(failing(bug, short)) == short if short else True, bug.id


def test_a_court_without_vectors_acquits() -> None:
    bug = bugs()["modulo-floors"]
    assert Court([]).convictions([bug]) == {"modulo-floors": []}
    others = [vector for vector in suite().values() if not set(bug.breaks) & set(vector.entry.covers)]
    assert Court(others[:2000]).convictions([bug]) == {"modulo-floors": []}


def test_the_command_convicts_one() -> None:
    result = CliRunner().invoke(main, ["museum", "modulo-floors"])
    assert (result.exit_code, result.output.count("\n")) == (0, 1)
    assert result.output.startswith("convicted modulo-floors: sdivmod/")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["modulo-ceils"], "modulo-ceils: no bug with a miniature; did you mean modulo-floors?"),
        (["--check"], "--check compares the page of --docs: name it"),
        (["modulo-floors", "--docs", "x.md"], "--docs is about all bugs: leave out the names"),
    ],
)
def test_what_the_command_cannot_do(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["museum", *arguments])
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.long
def test_the_page_is_current() -> None:
    result = CliRunner().invoke(main, ["museum", "--docs", str(PAGE), "--check"])
    assert result.exit_code == 0, result.output
