# SPDX-License-Identifier: Apache-2.0
"""What `python -m build` makes of the checkout holds every file of the four packages, and no other.

Runs in `tox -e package` only: it needs a build front end and takes as long as a build does.
"""

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TOP_FOLDERS: list[str] = sorted(PYPROJECT["tool"]["setuptools"]["package-dir"].values())


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel built from that sdist alone."""
    target = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--outdir", target, ROOT], check=True)
    return target


def files_below(*folders: str) -> set[str]:
    return {
        file.relative_to(ROOT).as_posix()
        for folder in folders
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and file.parent.name != "__pycache__"
    }


def test_the_wheel_holds_exactly_the_packages(distributions: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == {f"bpf_isa/{name}" for name in files_below(*TOP_FOLDERS)}


def test_the_wheel_carries_licence_and_command(distributions: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (licence,) = (name for name in archive.namelist() if name.endswith(".dist-info/licenses/LICENSE"))
        assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        assert "License-Expression: Apache-2.0" in archive.read(metadata).decode().splitlines()
        (commands,) = (name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt"))
        assert "bpf-isa = bpf_isa.conformance.cli:main" in archive.read(commands).decode()


def test_the_sdist_can_be_tested(distributions: Path) -> None:
    """Someone who packages the suite for a distribution gets packages, tests and configuration."""
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        files = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    wanted = files_below(*TOP_FOLDERS, "tests") | {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "tox.ini"}
    assert sorted(wanted - files) == []
