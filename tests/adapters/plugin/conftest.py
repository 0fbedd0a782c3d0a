# SPDX-License-Identifier: Apache-2.0
"""Plugins for the tests: shell scripts written on the spot, and the C files beside this one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ..compiling import compile_c

PLUGINS = Path(__file__).parent / "plugins"

Script = Callable[[str], Path]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Write a shell script (or another one, if the text begins with #!) and return its path."""

    def write(text: str) -> Path:
        path = tmp_path / "plugin"
        path.write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    return write


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Compile one of the C plugins."""
    folder = tmp_path_factory.mktemp("plugins")

    def build(name: str) -> Path:
        target = folder / name
        return target if target.exists() else compile_c(PLUGINS / f"{name}.c", target)

    return build
