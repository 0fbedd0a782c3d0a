# SPDX-License-Identifier: Apache-2.0
"""constraints.txt, which `tox -e pins` writes, fits pyproject.toml and can be used with any index of packages."""

import configparser
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TEXT = (ROOT / "constraints.txt").read_text(encoding="utf-8")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def required() -> list[str]:
    """Everything that pyproject.toml requires: to run, to build, to develop."""
    lists = [
        PYPROJECT["build-system"]["requires"],
        PYPROJECT["project"]["dependencies"],
        *PYPROJECT["project"]["optional-dependencies"].values(),
        *PYPROJECT["dependency-groups"].values(),
    ]
    return sorted({entry for requirements in lists for entry in requirements if isinstance(entry, str)})


def entries() -> list[list[str]]:
    """The words of each entry: a requirement, its marker if it has one, and hashes."""
    lines = "\n".join(line for line in TEXT.splitlines() if not line.startswith("#"))
    return [entry.split() for entry in lines.replace("\\\n", " ").splitlines()]


def test_every_entry_is_an_exact_version_with_hashes() -> None:
    assert entries()
    for words in entries():
        hashes = [word for word in words if word.startswith("-")]
        assert hashes and all(HASH.fullmatch(word) for word in hashes), words[0]
        requirement = Requirement(" ".join(word for word in words if not word.startswith("-")))
        assert [specifier.operator for specifier in requirement.specifier] == ["=="]


def test_it_names_no_place_to_install_from() -> None:
    assert "://" not in TEXT
    assert not re.search(r"^\s*--(?!hash=)", TEXT, re.MULTILINE)


@pytest.mark.parametrize("requirement", required())
def test_what_is_required_is_there_in_a_version_that_is_allowed(requirement: str) -> None:
    wanted = Requirement(requirement)
    found = [words[0].split("==") for words in entries()]
    versions = [version for name, version in found if canonicalize_name(name) == canonicalize_name(wanted.name)]
    assert versions, "run tox -e pins"
    assert all(version in wanted.specifier for version in versions), "run tox -e pins"


@pytest.mark.parametrize("requirement", required())
def test_what_is_required_has_a_lower_bound(requirement: str) -> None:
    """Else `tox -e lowest` would try the first version there ever was."""
    assert ">=" in {specifier.operator for specifier in Requirement(requirement).specifier}


def test_each_week_both_ends_are_tried_on_every_python() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "versions.yml").read_text(encoding="utf-8"))
    # YAML 1.1 takes the key "on" for true.
    assert [set(item) for item in workflow[True]["schedule"]] == [{"cron"}]
    matrix = workflow["jobs"]["tests"]["strategy"]["matrix"]
    tox = configparser.ConfigParser()
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    assert {f"testenv:{name}" for name in matrix["environment"]} < set(tox.sections())
    prefix = "Programming Language :: Python :: 3."
    named = [line.rpartition(" ")[2] for line in PYPROJECT["project"]["classifiers"] if line.startswith(prefix)]
    assert matrix["python"] == named
