# SPDX-License-Identifier: Apache-2.0
"""Files that commands write are whole, or as they were before; what is no regular file is not replaced."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bpf_isa.spec.output import replacing, write_bytes, write_text


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_fails_in_the_middle_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    file = tmp_path / "results.json"
    write_text("old", file)

    def write_half() -> None:
        with replacing(file) as stream:
            stream.write(b"half of the n")
            stream.flush()
            assert file.read_text() == "old"
            raise error

    with pytest.raises(error):
        write_half()
    assert (files(tmp_path), file.read_text()) == (["results.json"], "old")


def test_a_new_file_has_the_permissions_of_new_files_and_an_old_one_keeps_its_own(tmp_path: Path) -> None:
    new, old, usual = tmp_path / "new", tmp_path / "old", tmp_path / "usual"
    old.touch(mode=0o640)
    write_bytes(b"1", new)
    write_bytes(b"2", old)
    usual.touch()
    assert new.stat().st_mode == usual.stat().st_mode
    assert (old.stat().st_mode & 0o777, old.read_bytes()) == (0o640, b"2")


def test_links_stay_links(tmp_path: Path) -> None:
    file, link = tmp_path / "folder" / "file", tmp_path / "link"
    file.parent.mkdir()
    link.symlink_to(file)
    for text in ("made", "replaced"):
        write_text(text, link)
        assert link.is_symlink()
        assert file.read_text() == text


def test_pipes_and_devices_are_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    script = "import sys; sys.stdout.write(open(sys.argv[1]).read())"
    with subprocess.Popen([sys.executable, "-c", script, pipe], stdout=subprocess.PIPE) as reader:
        write_text("through", pipe)
        assert reader.communicate()[0] == b"through"
    assert pipe.is_fifo()
    device = tmp_path / "null"
    device.symlink_to(os.devnull)
    write_text("gone", device)
    assert device.is_char_device()


@pytest.mark.parametrize(
    ("name", "why"),
    [("none/file", "No such file or directory"), (".", "Is a directory"), ("/dev/full", "No space left on device")],
)
def test_errors_name_the_file_that_was_asked_for(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(OSError, match="cannot be written") as raised:
        write_bytes(b"x" * 100_000, tmp_path / name)
    assert (raised.value.filename, raised.value.strerror) == (str(tmp_path / name), f"cannot be written: {why}")
    assert files(tmp_path) == []
