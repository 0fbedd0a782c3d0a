# SPDX-License-Identifier: Apache-2.0
"""Check data against the project's JSON Schemas, which lie in ``schema/`` folders beside what they describe."""

from __future__ import annotations

import json
import textwrap
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from .errors import InputError

#: Characters of what the library says; a value in it may be long.
_LONGEST = 300


class SchemaError(InputError):
    """Data that does not follow its schema: ``path`` leads to the place (keys and indices), the message says why."""

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
        SchemaError: naming the first place that does not follow the schema.
    """
    validator, definition = _validator(schema)
    try:
        validator.validate(data)
    except jsonschema_rs.ValidationError as error:
        raise SchemaError(_path(data, error.instance_path), _explain(error, definition)) from None
    except ValueError as error:  # a text with half a surrogate pair, say, which nothing in UTF-8 can be
        raise SchemaError((), str(error)) from None


def _path(data: object, steps: list[str | int]) -> tuple[str | int, ...]:
    """Return ``steps`` into ``data`` with keys that look like indices as texts, and with those that are empty."""
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
    """Say what is wrong in words: a schema's description says more than its pattern."""
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
