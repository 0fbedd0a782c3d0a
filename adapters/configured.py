# SPDX-License-Identifier: Apache-2.0
"""Runtimes that a project names once, in ``bpf-isa.toml`` or in the ``[tool.bpf-isa.runtimes]`` of ``pyproject.toml``.

    [tool.bpf-isa.runtimes]
    mine = "batch:./build/mine --batch"

    [tool.bpf-isa.runtimes.ubpf-jit]
    use = "plugin:./build/ubpf_plugin"
    args = ["--jit"]
    groups = ["base64", "divmul64", "atomic64"]

(``[runtimes]`` in ``bpf-isa.toml``.) The file is searched in the current folder and its parents; the first one is
used. Relative paths in it are relative to its folder, where the runtimes also run.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..spec.errors import InputError
from ..spec.table import isa
from ..spec.validate import SchemaError, check
from .processes.settings import Settings

_SCHEMA = Path(__file__).with_name("configured.schema.json")
OWN_FILE, SHARED_FILE = "bpf-isa.toml", "pyproject.toml"
#: The limit also applies to the process that starts programs, a Python interpreter.
LEAST_MEMORY = 64 << 20


class ConfigurationError(InputError):
    """An invalid configuration file; the message names the position and the reason."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The runtimes of ``file``: for each name a runtime, as in ``-r``, and its options."""

    file: Path | None = None
    runtimes: Mapping[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)


def find(start: Path | None = None) -> Configuration:
    """Return the configuration for the folder ``start`` (the current one if None); an empty one if there is none.

    Raises:
        ConfigurationError: the file is not TOML, or violates the schema.
    """
    folder = (start or Path.cwd()).absolute()
    for place in (folder, *folder.parents):
        for name in (OWN_FILE, SHARED_FILE):
            file = place / name
            if file.is_file():
                table = _table(file)
                if table is not None:
                    return _configuration(file, table)
    return Configuration()


def _table(file: Path) -> Any:
    """Return the table of ``file`` for this program; None if there is none."""
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # ValueError: invalid TOML or UTF-8, or a huge number
        if file.name == SHARED_FILE:
            # The file belongs to other tools, which report its errors.
            return None
        message = "nested too deeply" if isinstance(error, RecursionError) else error
        raise ConfigurationError(f"{file}: {message}") from None
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from None
    if file.name == OWN_FILE:
        return data
    tool = data.get("tool")
    return tool.get("bpf-isa") if isinstance(tool, dict) else None


def _configuration(file: Path, table: Any) -> Configuration:
    try:
        check(table, _SCHEMA)
        runtimes = {name: _runtime(file, name, entry) for name, entry in table.get("runtimes", {}).items()}
    except SchemaError as error:
        raise ConfigurationError(f"{file}: {error}") from None
    return Configuration(file, runtimes)


def _runtime(file: Path, name: str, entry: str | dict[str, Any]) -> tuple[str, Mapping[str, Any]]:
    if isinstance(entry, str):
        return entry, {"folder": file.parent}
    options: dict[str, Any] = {"folder": file.parent}
    for key, value in entry.items():
        options[key.replace("-", "_")] = tuple(value) if isinstance(value, list) else value
    use: str = options.pop("use")
    limit = Settings(memory=options["memory"]).limits.memory if "memory" in options else None
    if limit is not None and limit < LEAST_MEMORY:
        raise SchemaError(("runtimes", name, "memory"), f"must be at least {LEAST_MEMORY >> 20} MiB")
    for group in options.get("groups", ()):
        if group not in isa().groups:
            known = ", ".join(isa().groups)
            raise SchemaError(("runtimes", name, "groups"), f"{group!r} is no conformance group; known are {known}")
    return use, options
