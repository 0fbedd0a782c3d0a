# SPDX-License-Identifier: Apache-2.0
"""The lists in pyproject.toml that must be kept by hand agree with the disk."""

import importlib
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOP_FOLDERS = ("spec", "reference_vm", "adapters", "conformance")


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def listed_packages() -> list[str]:
    packages: list[str] = project()["tool"]["setuptools"]["packages"]
    return packages


def folder_of(package: str) -> Path:
    """Where a package of the namespace `bpf_isa` lies in the checkout."""
    return ROOT.joinpath(*package.split(".")[1:])


def test_the_package_list_is_what_the_disk_holds() -> None:
    on_disk = {
        ".".join(("bpf_isa", *init.parent.relative_to(ROOT).parts))
        for top in TOP_FOLDERS
        for init in (ROOT / top).rglob("__init__.py")
    }
    listed = listed_packages()
    assert set(listed) == on_disk
    assert len(listed) == len(set(listed))


def test_every_module_lies_in_a_listed_package() -> None:
    folders = {folder_of(package) for package in listed_packages()}
    strays = [
        module.relative_to(ROOT).as_posix()
        for top in TOP_FOLDERS
        for module in (ROOT / top).rglob("*.py")
        if module.parent not in folders
    ]
    assert strays == [], "these folders lack an __init__.py"


def test_every_data_file_is_package_data() -> None:
    patterns: dict[str, list[str]] = project()["tool"]["setuptools"]["package-data"]
    shipped = {
        file
        for package in listed_packages()
        for pattern in patterns["*"] + patterns.get(package, [])
        for file in folder_of(package).glob(pattern)
    }
    on_disk = {
        file
        for top in TOP_FOLDERS
        for file in (ROOT / top).rglob("*")
        if file.is_file() and file.suffix != ".py" and file.parent.name != "__pycache__"
    }
    assert on_disk, "the packages hold no data file at all: this test looks in the wrong place"
    assert sorted(on_disk - shipped) == []


@pytest.mark.parametrize("top", TOP_FOLDERS)
def test_every_top_package_is_typed(top: str) -> None:
    assert (ROOT / top / "py.typed").is_file()


@pytest.mark.parametrize("package", listed_packages())
def test_every_package_imports(package: str) -> None:
    assert importlib.import_module(package).__doc__


def test_one_version() -> None:
    stated = project()["project"]["version"]
    assert version("bpf-isa-conformance") == stated
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = [line.split()[1] for line in changelog.splitlines() if line.startswith("## ")]
    assert headings[0] == stated, "the newest section of CHANGELOG.md names another version"
