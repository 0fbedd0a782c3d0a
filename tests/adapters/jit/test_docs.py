# SPDX-License-Identifier: Apache-2.0
"""docs/jit.md: its Python runs, and its commands print what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[3] / "docs" / "jit.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
def test_its_python_runs(block: str) -> None:
    subprocess.run([sys.executable, "-c", block], check=True, timeout=60)


def test_its_commands_print_what_it_says(tmp_path: Path) -> None:
    (session,) = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    scripts = Path(sys.executable).parent
    for entry in session.split("$ ")[1:]:
        command, _, expected = entry.partition("\n")
        done = subprocess.run(
            ["bash", "-c", f"PATH={scripts}:$PATH; {command}"],
            cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.stdout == expected
