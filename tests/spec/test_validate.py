# SPDX-License-Identifier: Apache-2.0
"""Errors of data that does not follow its schema say where and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpf_isa.spec.validate import SchemaError, check

SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "additionalProperties": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["size"],
            "additionalProperties": False,
            "properties": {
                "size": {"type": "integer", "minimum": 1},
                "hex": {"type": "string", "pattern": "^[0-9a-f]+$", "description": "bytes in hex"},
                "names": {"type": "object", "propertyNames": {"pattern": "^[a-z]+$", "description": "a word"}},
            },
        },
    },
}


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("schema") / "x.schema.json"
    file.write_text(json.dumps(SCHEMA), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("data", "path", "message"),
    [
        ([], (), "must be object (found [])"),
        ({"a": {}}, ("a",), "must be array (found {})"),
        ({"a": [{"size": 1}, {"size": 0}]}, ("a", 1, "size"), "0 is less than the minimum of 1"),
        ({"a": [{}]}, ("a", 0), "'size' is missing"),
        ({"a": [{"size": 1, "hax": ""}]}, ("a", 0), "unknown field 'hax'; did you mean 'hex'?"),
        ({"a": [{"size": 1, "colour": ""}]}, ("a", 0), "unknown field 'colour'; known are hex, names, size"),
        ({"a": [{"size": 1, "hex": "xyz"}]}, ("a", 0, "hex"), 'must be bytes in hex (found "xyz")'),
        ({"a": [{"size": 1, "hex": 3}]}, ("a", 0, "hex"), "must be bytes in hex (found 3)"),
        ({"a": [{"size": 1, "names": {"B": 1}}]}, ("a", 0, "names"), "a name is not acceptable: a word"),
        ({"a": [{"size": "x" * 90}]}, ("a", 0, "size"), f'must be integer (found "{"x" * 56}...)'),
        # Keys that look like several steps, or like indices.
        ({"a.b[0]": [{"size": 0}]}, ("a.b[0]", 0, "size"), "0 is less than the minimum of 1"),
        ({"3": [3]}, ("3", 0), "must be object (found 3)"),
        ({"²": [3]}, ("²", 0), "must be object (found 3)"),
        ({"": [3]}, ("", 0), "must be object (found 3)"),
    ],
)
def test_errors(schema: Path, data: object, path: tuple[str | int, ...], message: str) -> None:
    with pytest.raises(SchemaError) as caught:
        check(data, schema)
    assert caught.value.path == path
    assert caught.value.message == message
    assert str(caught.value) == f"{'.'.join(map(str, path)) or 'the document'}: {message}"


def test_data_that_follow(schema: Path) -> None:
    check({}, schema)
    check({"a": [{"size": 1, "hex": "00ff", "names": {"b": 1}}]}, schema)


@given(key=st.text())
def test_the_path_leads_to_the_place_whatever_the_keys(schema: Path, key: str) -> None:
    data = {key: [{"size": 1}, {"size": 0}]}
    with pytest.raises(SchemaError) as caught:
        check(data, schema)
    assert caught.value.path == (key, 1, "size")
