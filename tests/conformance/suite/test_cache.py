# SPDX-License-Identifier: Apache-2.0
"""What is kept of the suite is the suite, or is not used."""

import os
import shutil
import time
from pathlib import Path

import pytest

from bpf_isa.conformance.suite import cache, suite
from bpf_isa.conformance.suite.load import find_files
from bpf_isa.conformance.suite.model import Vector
from bpf_isa.conformance.suite.suite import load_suite, read_suite
from bpf_isa.spec.location import HERE, VARIABLE

SAMPLE = Path(__file__).parents[1] / "data" / "sample.yaml"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Vector files of the package's own, and an empty folder for what is kept of them, next to it."""
    folder = tmp_path / "vectors"
    folder.mkdir()
    shutil.copy(SAMPLE, folder)
    monkeypatch.setattr(suite, "VECTORS", folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def kept(folder: Path) -> Path:
    (found,) = (folder.parent / "cache" / "bpf-isa").iterdir()
    return found


def essence(vectors: tuple[Vector, ...]) -> list[object]:
    """Return all that a vector is, in both byte orders."""
    return [
        (one.id, one.case, one.groups, one.reported, one.little, one.big, one.entry.line, one.entry.cases)
        for one in vectors
    ]


def test_what_is_kept_is_the_suite(folder: Path) -> None:
    first = load_suite([folder])
    found = cache.read(find_files([folder]))
    assert found is not None and found is not first.vectors
    assert essence(found) == essence(first.vectors) == essence(read_suite(find_files([folder])).vectors)
    assert found[0].entry is found[1].entry, "an entry is one object still"
    assert kept(folder).stat().st_mode & 0o777 == 0o600


def test_it_is_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_suite([folder])
    monkeypatch.setattr(suite, "read_suite", None)
    assert essence(load_suite([folder]).vectors) == essence(first.vectors)


def test_other_files_are_not_kept(folder: Path) -> None:
    load_suite([SAMPLE])
    assert not (folder.parent / "cache").exists()


@pytest.mark.parametrize("damage", ["shorter", "empty", "another byte", "of another version", "no file"])
def test_damaged_files_are_replaced(folder: Path, damage: str) -> None:
    first = load_suite([folder])
    path = kept(folder)
    raw = path.read_bytes()
    if damage == "no file":
        path.unlink()
        path.mkdir()
    else:
        at = 0 if damage == "of another version" else len(raw) // 2
        changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        path.write_bytes({"shorter": raw[:-1], "empty": b""}.get(damage, changed))
    assert cache.read(first.files) is None
    assert essence(load_suite([folder]).vectors) == essence(first.vectors)
    if damage != "no file":
        assert cache.read(first.files) is not None


def test_changed_files_and_specifications_are_read_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = load_suite([folder]).files
    with (folder / "sample.yaml").open("a", encoding="utf-8") as stream:
        stream.write("# one more line\n")
    assert cache.read(files) is None
    load_suite([folder])
    assert cache.read(files) is not None
    shutil.copy(HERE / "isa.yaml", tmp_path)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert cache.read(files) is None


def test_what_others_can_write_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = load_suite([folder]).files
    kept(folder).chmod(0o620)
    assert cache.read(files) is None
    kept(folder).chmod(0o600)
    assert cache.read(files) is not None
    user = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert cache.read(files) is None


def test_what_was_kept_long_ago_is_removed(folder: Path) -> None:
    files = load_suite([folder]).files
    path = kept(folder)
    others = [path.with_name(f"suite-{number:016x}.pickle") for number in range(2)]
    for other, days in zip(others, (6, 8), strict=True):
        other.touch()
        os.utime(other, (time.time() - days * 86400,) * 2)
    cache.keep(files, [])
    assert sorted(path.parent.iterdir()) == sorted([path, others[0]])


def test_a_folder_that_cannot_be_made_is_no_error(folder: Path) -> None:
    (folder.parent / "cache").write_text("no folder")
    assert load_suite([folder]).vectors


class Foreign:
    """Something that makes a file where a vector would be."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_nothing_but_vectors_is_made(folder: Path, tmp_path: Path) -> None:
    files = load_suite([folder]).files
    cache.keep(files, [Foreign(tmp_path / "made")])  # type: ignore[list-item]
    assert cache.read(files) is None
    assert not (tmp_path / "made").exists()
