# SPDX-License-Identifier: Apache-2.0
"""The lists in pyproject.toml that must be kept by hand agree with the disk."""

import ast
import importlib
import sys
import tomllib
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS: dict[str, Any] = PYPROJECT["tool"]["setuptools"]
TOP_FOLDERS: list[str] = sorted(SETUPTOOLS["package-dir"].values())
LISTED_PACKAGES: list[str] = SETUPTOOLS["packages"]


def folder_of(package: str) -> Path:
    """Where a package of the namespace `bpf_isa` lies in the checkout."""
    return ROOT.joinpath(*package.split(".")[1:])


def test_the_package_list_is_what_the_disk_holds() -> None:
    on_disk = {
        ".".join(("bpf_isa", *init.parent.relative_to(ROOT).parts))
        for top in TOP_FOLDERS
        for init in (ROOT / top).rglob("__init__.py")
    }
    assert sorted(LISTED_PACKAGES) == sorted(on_disk)


def test_every_module_lies_in_a_listed_package() -> None:
    folders = {folder_of(package) for package in LISTED_PACKAGES}
    strays = [
        module.relative_to(ROOT).as_posix()
        for top in TOP_FOLDERS
        for module in (ROOT / top).rglob("*.py")
        if module.parent not in folders
    ]
    assert strays == [], "these folders lack an __init__.py"


def test_every_data_file_is_package_data() -> None:
    patterns: dict[str, list[str]] = SETUPTOOLS["package-data"]
    shipped = {
        file
        for package in LISTED_PACKAGES
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


@pytest.mark.parametrize("package", LISTED_PACKAGES)
def test_every_package_imports(package: str) -> None:
    assert importlib.import_module(package).__doc__


def imported_modules() -> set[str]:
    """Top-level names that any module of the packages imports absolutely, at any depth of its code."""
    names: set[str] = set()
    for module in (file for top in TOP_FOLDERS for file in (ROOT / top).rglob("*.py")):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"), module)):
            if isinstance(node, ast.Import):
                names.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.add(node.module.partition(".")[0])
    return names


def test_dependencies_are_what_is_imported() -> None:
    """Nothing that happens to be installed is relied upon, and nothing is asked for that is not used."""
    extras: dict[str, list[str]] = PYPROJECT["project"].get("optional-dependencies", {})
    requirements = [
        *PYPROJECT["project"]["dependencies"],
        *(item for extra in extras.values() for item in extra),
    ]
    declared = {canonicalize_name(Requirement(requirement).name) for requirement in requirements}
    providers = packages_distributions()
    third_party = imported_modules() - sys.stdlib_module_names
    imported = {canonicalize_name(providers[name][0]) if name in providers else name for name in third_party}
    assert imported == declared


def test_one_version() -> None:
    stated = PYPROJECT["project"]["version"]
    assert version("bpf-isa-conformance") == stated
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = [line.split()[1] for line in changelog.splitlines() if line.startswith("## ")]
    assert headings[0] == stated, "the newest section of CHANGELOG.md names another version"
