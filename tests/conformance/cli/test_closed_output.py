# SPDX-License-Identifier: Apache-2.0
"""`bpf-isa ... | head`: a command whose output nobody reads any more ends without a word."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bpf_isa.conformance.cli import COMMANDS
from bpf_isa.conformance.cli.failing import CLOSED

COMMAND = str(Path(sys.executable).with_name("bpf-isa"))
SAMPLE = Path(__file__).parent.parent / "data" / "sample.yaml"
HEX = "b700000001000000 9500000000000000"
#: For each command what it is called with: something that it has an answer to.
CALLS = {
    "run": f"--vectors {SAMPLE} -r reference -k add64 -j 1",
    "gate": "r.json",
    "expect": "r.json --update known.yaml",
    "diff": "r.json r.json",
    "report": "r.json --format markdown",
    "groups": f"-r reference --vectors {SAMPLE}",
    "runtimes": "reference",
    "kernel": f"bundle there --arch x86_64 --vectors {SAMPLE}",
    "coverage": f"--vectors {SAMPLE}",
    "lint": "--list",
    "fmt": "--check unformed.yaml",
    "export": f"out --vectors {SAMPLE}",
    "generate": "--check byteswap",
    "adequacy": f"-i NEG64 --vectors {SAMPLE} -j 1",
    "museum": "modulo-floors",
    "exec": "- --trace",
    "bench": "--help",
    "asm": "asm.s",
    "disasm": "-",
    "verify": "-",
    "smoke": "./works",
    "plugin": "",
}


def closed_pipe() -> int:
    """Return the end of a pipe whose reader is gone."""
    theirs, ours = os.pipe()
    os.close(theirs)
    return ours


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("closed")
    (folder / "asm.s").write_text("r0 = 1\nexit\n")
    (folder / "unformed.yaml").write_text(SAMPLE.read_text().replace("source:", "source:   ", 1))
    (folder / "works").write_text("#!/bin/sh\nexit 1\n")
    (folder / "works").chmod(0o755)
    words = ["-r", "reference", "-k", "add64", "--json", str(folder / "r.json")]
    subprocess.run([COMMAND, "run", "--vectors", str(SAMPLE), *words], check=True, capture_output=True)
    return folder


def run(folder: Path, words: list[str], *, errors: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a command whose standard output is closed, and its standard error too with ``errors``."""
    output = closed_pipe()
    try:
        return subprocess.run(
            [COMMAND, *words],
            cwd=folder,
            input=HEX,
            stdout=output,
            stderr=output if errors else subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(output)


def test_every_command_is_called() -> None:
    assert CALLS.keys() == COMMANDS.keys()


@pytest.mark.parametrize("command", CALLS)
def test_no_command_complains(folder: Path, command: str) -> None:
    done = run(folder, [command, *CALLS[command].split()])
    errors = [line for line in done.stderr.splitlines() if " vectors" not in line]  # but for progress
    assert (done.returncode, errors) == (CLOSED, [])


@pytest.mark.parametrize(
    "words",
    ["--help", "--version", "run --help", "asm asm.s", "exec nowhere.s", "asm unformed.yaml", "lint --no", "no"],
)
def test_nor_if_standard_error_goes_the_same_way(folder: Path, words: str) -> None:
    assert run(folder, words.split(), errors=True).returncode == CLOSED


def test_results_are_written_before_they_are_shown(folder: Path, tmp_path: Path) -> None:
    words = [*CALLS["run"].split(), "--json", str(tmp_path / "r.json"), "--junit", str(tmp_path / "r.xml")]
    assert run(folder, ["run", *words]).returncode == CLOSED
    assert json.loads((tmp_path / "r.json").read_text())["complete"]
    assert (tmp_path / "r.xml").read_text().endswith("</testsuites>\n")


def test_with_a_real_head(folder: Path) -> None:
    """A reader that takes one line of a long output."""
    words = f"set -o pipefail; {COMMAND} exec --trace --budget 30000 loop.s | head -n 1"
    (folder / "loop.s").write_text("again: goto again\n")
    done = subprocess.run(["bash", "-c", words], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (CLOSED, "")
    assert len(done.stdout.splitlines()) == 1
