# SPDX-License-Identifier: Apache-2.0
"""Validation of data against the project's JSON Schemas, which are in ``schema/`` folders beside the code or data."""

from __future__ import annotations

import json
import textwrap
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from .errors import InputError

#: Most characters of a message of the library, which may quote a long value.
_LONGEST = 300


class SchemaError(InputError):
    """A violation of a schema: ``path`` (keys and indices) is its position, the message the reason."""

    def __init__(self, path: tuple[str | int, ...], message: str) -> None:
        super().__init__(f"{'.'.join(map(str, path)) or 'the document'}: {message}")
        self.path = path
        self.message = message


@cache
def _validator(schema: Path) -> tuple[jsonschema_rs.Validator, Any]:
    definition = json.loads(schema.read_text(encoding="utf-8"))
    return jsonschema_rs.validator_for(definition), definition


def check(data: object, schema: Path) -> None:
    """Check ``data`` against the JSON Schema in the file ``schema``.

    Raises:
        SchemaError: the first violation.
    """
    validator, definition = _validator(schema)
    try:
        validator.validate(data)
    except jsonschema_rs.ValidationError as error:
        raise SchemaError(_path(data, error.instance_path), _explain(error, definition)) from None
    except ValueError as error:  # a surrogate, which UTF-8 cannot encode
        raise SchemaError((), str(error)) from None


def _path(data: object, steps: list[str | int]) -> tuple[str | int, ...]:
    """Return the path of ``steps`` into ``data``; the library turns digits into indices and drops empty keys."""
    path: list[str | int] = []
    place: Any = data
    for step in steps:
        while isinstance(place, dict) and str(step) not in place and "" in place:
            path.append("")
            place = place[""]
        path.append(str(step) if isinstance(place, dict) else step)
        place = place[path[-1]]
    return tuple(path)


def _explain(error: jsonschema_rs.ValidationError, definition: Any) -> str:
    """Return the reason in words; the description in a schema is clearer than its pattern."""
    for step in error.schema_path[:-1]:
        definition = definition[step]
    value, rule = error.instance, error.schema_path[-1]
    if rule == "additionalProperties" and isinstance(value, dict):
        known = sorted(definition.get("properties", {}))
        unknown = min(set(value) - set(known))
        return f"unknown field {unknown!r}{_suggest(unknown, known)}"
    if rule == "required" and isinstance(value, dict):
        return f"{min(set(definition['required']) - set(value))!r} is missing"
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.PropertyNames):
        return f"a name is not acceptable: {definition.get('description', 'see the schema')}"
    if rule in {"pattern", "type", "anyOf", "oneOf"} and "description" in definition:
        return f"must be {definition['description']} (found {_short(value)})"
    if rule == "type":
        return f"must be {_either(definition['type'])} (found {_short(value)})"
    if rule == "enum":
        return f"must be one of {', '.join(map(str, definition['enum']))} (found {_short(value)})"
    return textwrap.shorten(error.message, _LONGEST)


def _either(types: str | list[str]) -> str:
    return types if isinstance(types, str) else " or ".join(types)


def _suggest(word: str, known: list[str]) -> str:
    close = get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"


def _short(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
