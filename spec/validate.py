# SPDX-License-Identifier: Apache-2.0
"""Check data against the project's JSON Schemas, which lie in ``schema/`` folders beside what they describe."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import fastjsonschema


class SchemaError(ValueError):
    """Data that does not follow its schema: ``path`` leads to the place (keys and indices), the message says why."""

    def __init__(self, path: tuple[str | int, ...], message: str) -> None:
        super().__init__(f"{'.'.join(map(str, path)) or 'the document'}: {message}")
        self.path = path
        self.message = message


@cache
def _validator(schema: Path) -> Callable[[Any], Any]:
    definition = json.loads(schema.read_text(encoding="utf-8"))
    compiled: Callable[[Any], Any] = fastjsonschema.compile(definition, use_default=False)
    return compiled


def check(data: object, schema: Path) -> None:
    """Check ``data`` against the JSON Schema in the file ``schema``.

    Raises:
        SchemaError: naming the first place that does not follow the schema.
    """
    try:
        _validator(schema)(data)
    except fastjsonschema.JsonSchemaValueException as error:
        raise SchemaError(_path(data, error.name or ""), _explain(error)) from None


def _path(data: object, name: str) -> tuple[str | int, ...]:
    """Return the keys and indices of a place from its name, such as ``data.vectors[3].asm``.

    Keys may have dots and brackets in them, so only the data tell where one ends.
    """
    steps: list[str | int] = []
    place, rest = data, name.removeprefix("data")
    while rest:
        if isinstance(place, list) and (index := re.match(r"\[(\d+)\]", rest)):
            steps.append(int(index[1]))
            place, rest = place[int(index[1])], rest[index.end() :]
        elif isinstance(place, dict):
            keys = [key for key in place if re.match(re.escape(f".{key}") + r"(?:[.\[]|\Z)", rest)]
            if not keys:
                break
            key = max(keys, key=len)
            steps.append(key)
            place, rest = place[key], rest[len(key) + 1 :]
        else:
            break
    return tuple(steps)


def _explain(error: fastjsonschema.JsonSchemaValueException) -> str:
    """Say what is wrong in words: a schema's description says more than its pattern."""
    definition, value = error.definition, error.value
    if error.rule == "additionalProperties" and isinstance(value, dict):
        known = sorted(definition.get("properties", {}))
        unknown = min(set(value) - set(known))
        return f"unknown field {unknown!r}{_suggest(unknown, known)}"
    if error.rule == "required" and isinstance(value, dict):
        return f"{min(set(definition['required']) - set(value))!r} is missing"
    if error.rule == "propertyNames":
        return f"a name is not acceptable: {definition['propertyNames'].get('description', 'see the schema')}"
    if error.rule in {"pattern", "type"} and "description" in definition:
        return f"must be {definition['description']} (found {_short(value)})"
    message = (error.message or "").removeprefix(error.name or "").strip()
    return f"{message} (found {_short(value)})"


def _suggest(word: str, known: list[str]) -> str:
    close = get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"


def _short(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
