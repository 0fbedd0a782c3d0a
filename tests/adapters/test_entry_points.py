# SPDX-License-Identifier: Apache-2.0
"""Other distributions add kinds of runtimes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bpf_isa.adapters.registry import ENTRY_POINTS

MODULE = """\
from bpf_isa.adapters.reference import ReferenceAdapter
from bpf_isa.adapters.registry import Kind

KIND = Kind("my_package:open_mine", "a runtime of another distribution", arguments=("big",))
NOT_A_KIND = 7


def open_mine(order="little"):
    return ReferenceAdapter(order, name="mine")
"""


def installed(folder: Path, **points: str) -> Path:
    """Make a folder what it would be if a distribution with these entry points were installed there."""
    (folder / "my_package.py").write_text(MODULE)
    info = folder / "my_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    lines = [f"{name} = {target}\n" for name, target in points.items()]
    (info / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\n{''.join(lines)}")
    return folder


def bpf_isa(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-c", "from bpf_isa.conformance.cli import main; main()", *words]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path}, cwd=folder
    )


def test_a_kind_of_another_distribution_is_run_by_name(tmp_path: Path) -> None:
    folder = installed(tmp_path, mine="my_package:KIND")
    done = bpf_isa(folder, "run", "-r", "mine,other=mine:big", "-k", "add64-x/*", "--json", "-", "-q", "-q")
    assert done.returncode == 0, done.stderr
    first, second = json.loads(done.stdout)["runtimes"]
    assert (first["name"], first["identity"]["name"], first["identity"]["byte_order"]) == ("mine", "mine", "little")
    assert (second["name"], second["identity"]["byte_order"]) == ("other", "big")
    listed = bpf_isa(folder, "runtimes", "mine")
    assert "a runtime of another distribution" in listed.stdout


def test_it_says_which_arguments_it_takes(tmp_path: Path) -> None:
    done = bpf_isa(installed(tmp_path, mine="my_package:KIND"), "run", "-r", "mine:middle")
    assert (done.returncode, "mine takes one of big" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("name", "target", "problem"),
    [
        ("jit", "my_package:KIND", "'jit' of my-package has the name of another kind of runtime"),
        ("mine", "my_package:NOTHING", "'mine' of my-package cannot be loaded: AttributeError"),
        ("mine", "no_package:KIND", "'mine' of my-package cannot be loaded: ModuleNotFoundError"),
        ("mine", "my_package:NOT_A_KIND", "'mine' of my-package leads to 7, which is no"),
    ],
)
def test_an_entry_point_that_cannot_be_used_is_told(tmp_path: Path, name: str, target: str, problem: str) -> None:
    done = bpf_isa(installed(tmp_path, **{name: target}), "run", "-r", "mine")
    assert done.returncode == 2
    assert problem in done.stderr and "Traceback" not in done.stderr
