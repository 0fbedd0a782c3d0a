# SPDX-License-Identifier: Apache-2.0
"""Check data against the project's JSON Schemas, which lie in ``schema/`` folders beside what they describe."""

from __future__ import annotations

import json
from collections.abc import Callable
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
        steps = tuple(int(step) if step.isdigit() else step for step in error.path[1:])
        message = error.message.removeprefix(error.name or "").strip()
        raise SchemaError(steps, f"{message} (found {_short(error.value)})") from None


def _short(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
