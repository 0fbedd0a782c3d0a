# SPDX-License-Identifier: Apache-2.0
"""Lines and limits of the process that QEMU is; a shell stands in for it, which can be told what to do."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bpf_isa.adapters.kernels import emulator
from bpf_isa.adapters.kernels.emulator import Emulator, Halted


def shell(script: str) -> Callable[[str, str, str], list[str]]:
    """Return what makes the command: the script has the names of archive, console and port as $1, $2 and $3."""
    return lambda *files: ["sh", "-c", script, "sh", *files]


def test_lines_come_from_console_and_port() -> None:
    script = 'cat "$1" > "$3"; echo hello > "$2"; printf "and so on" > "$2"; exit 3'
    with Emulator(shell(script), b"@answer\n@cut") as one:
        assert sorted(one.lines(10.0)) == [b"@answer", b"hello"]
        assert one.status() == 3


def test_one_that_computes_without_a_word_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "_STARTING", 0.2)
    with (
        Emulator(shell("while :; do :; done"), b"") as one,
        pytest.raises(Halted, match=r"nothing came for 0\.2 s of processor time"),
    ):
        list(one.lines(0.1))


def test_one_that_does_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "_HALTED", 0.1)
    monkeypatch.setattr(emulator, "_LOOK", 0.06)
    with (
        Emulator(shell("exec sleep 1000"), b"") as one,
        pytest.raises(Halted, match=r"the machine has done nothing for 0\.1 s"),
    ):
        list(one.lines(10.0))


def test_the_end_of_the_block_ends_the_process() -> None:
    with Emulator(shell('echo $$ > "$3"; exec sleep 1000'), b"") as one:
        pid = int(next(one.lines(10.0)))
        assert Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{pid}").exists()
