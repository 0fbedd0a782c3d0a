# SPDX-License-Identifier: Apache-2.0
"""What shells complete: through the protocol of click, and in bash, zsh and fish themselves where these are there."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from bpf_isa.conformance.cli import COMMANDS, LazyCommand, LazyGroup, main
from bpf_isa.spec.table import isa

VARIABLE = "_BPF_ISA_COMPLETE"
COMMAND = Path(sys.executable).with_name("bpf-isa")
ENVIRONMENT = {**os.environ, "PATH": f"{COMMAND.parent}:{os.environ['PATH']}", "TERM": "dumb"}


def completed(line: str) -> list[str]:
    """What is offered at the end of a command line, by the protocol that all shells use."""
    *words, last = line.split(" ")
    return [item.value for item in ShellComplete(main, {}, "bpf-isa", VARIABLE).get_completions(words[1:], last)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("bpf-isa gr", ["groups"]),
        ("bpf-isa run --lev", ["--level"]),
        ("bpf-isa run --level ", ["must", "interpretation", "abi", "extension", "robustness"]),
        ("bpf-isa run --level must,a", ["must,abi"]),
        ("bpf-isa run --group base", ["base32", "base64"]),
        ("bpf-isa run --claims base64,atomic", ["base64,atomic32", "base64,atomic64"]),
        ("bpf-isa gate --require div", ["divmul32", "divmul64"]),
        ("bpf-isa run --section 5.", ["5.1", "5.2", "5.3", "5.4", "5.5"]),
        ("bpf-isa run -r ref", ["reference"]),
        ("bpf-isa run -r linux,jit,dp", ["linux,jit,dpdk-interpreter", "linux,jit,dpdk-jit"]),
        ("bpf-isa groups -r plu", ["plugin:"]),
        ("bpf-isa runtimes lin", ["linux"]),
        ("bpf-isa adequacy -i neg", ["NEG32", "NEG64"]),
        ("bpf-isa coverage SDIV64", ["SDIV64_K", "SDIV64_X"]),
        ("bpf-isa coverage rfc9669-5.3-size", ["rfc9669-5.3-size-w-32", "rfc9669-5.3-size-dw-64"]),
        ("bpf-isa lint --rule yaml,round", ["yaml,round-trip"]),
        ("bpf-isa report --format html=site,ma", ["html=site,markdown"]),
        ("bpf-isa verify --group pa", ["packet"]),
        ("bpf-isa exec --engine ", ["reference", "jit"]),
        ("bpf-isa generate jump", ["jumps"]),
    ],
)
def test_words(line: str, words: list[str]) -> None:
    found = completed(line)
    assert set(words) <= set(found)
    last = line.rpartition(" ")[2]
    assert all(word.lower().startswith(last.lower()) for word in found)


def test_commands_are_completed_without_importing_them() -> None:
    assert completed("bpf-isa ") == list(COMMANDS)
    broken = LazyGroup(lazy={"run": LazyCommand("no_such_module:run", "Run.")})
    (item,) = ShellComplete(broken, {}, "x", VARIABLE).get_completions([], "r")
    assert (item.value, item.help) == ("run", "Run.")


def test_configured_runtimes_are_words_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bpf-isa.toml").write_text('[runtimes]\nmine-jit = "plugin:./mine"\n')
    assert completed("bpf-isa run -r mine") == ["mine-jit"]
    (tmp_path / "bpf-isa.toml").write_text("[runtimes\n")
    assert "reference" in completed("bpf-isa run -r ")


def test_files_are_left_to_the_shell() -> None:
    (item,) = ShellComplete(main, {}, "bpf-isa", VARIABLE).get_completions(["run", "--vectors"], "a")
    assert item.type == "file"


def test_the_names_of_instructions_come_with_their_assembly() -> None:
    (item,) = ShellComplete(main, {}, "bpf-isa", VARIABLE).get_completions(["coverage"], "NEG64")
    assert item.help == isa().by_name["NEG64"].asm[0]


# In shells


def shell(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"there is no {name} here: install it (Debian: {name})")
    return path


def start_up_line(name: str) -> str:
    """The line for the start-up file of a shell that `bpf-isa --help` gives."""
    text = subprocess.run([COMMAND, "--help"], env=ENVIRONMENT, capture_output=True, text=True, check=True).stdout
    (line,) = re.findall(rf"^ +{name} +(.*)$", text, re.MULTILINE)
    return str(line)


def test_bash() -> None:
    asked = "COMP_WORDS=(bpf-isa run --group base64,atom); COMP_CWORD=3; _bpf_isa_completion bpf-isa"
    script = f"{start_up_line('bash')}\n{asked}\necho ${{COMPREPLY[@]}}\ncomplete -p bpf-isa"
    command = [shell("bash"), "--norc", "-c", script]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    offered, registered = done.stdout.splitlines()
    assert offered.split() == ["base64,atomic32", "base64,atomic64"]
    assert "_bpf_isa_completion" in registered


def test_fish(tmp_path: Path) -> None:
    script = f"{start_up_line('fish')}\ncomplete -C 'bpf-isa run --group base64,atom'\ncomplete -C 'bpf-isa adequ'"
    environment = {**ENVIRONMENT, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    command = [shell("fish"), "--no-config", "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    offered = [line.partition("\t")[0] for line in done.stdout.splitlines()]
    assert offered == ["base64,atomic32", "base64,atomic64", "adequacy"]


def type_into(command: Sequence[str], environment: dict[str, str], steps: Sequence[tuple[str, str]]) -> None:
    """Type into a program on a terminal; after each text, wait for what follows it in the output."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        end = time.monotonic() + 300
        try:
            for text, wanted in steps:
                seen = ""
                os.write(ours, text.encode())
                while not re.search(wanted, seen, re.DOTALL):
                    assert time.monotonic() < end, seen
                    if select.select([ours], [], [], 1)[0]:
                        seen += os.read(ours, 4096).decode(errors="replace")
        finally:
            process.kill()
            os.close(ours)


def test_zsh(tmp_path: Path) -> None:
    path = shell("zsh")
    (tmp_path / ".zshrc").write_text(
        f"PS1='ready> '; autoload -Uz compinit; compinit -u -d {tmp_path}/dump\n{start_up_line('zsh')}\n"
    )
    environment = {**ENVIRONMENT, "ZDOTDIR": str(tmp_path), "HOME": str(tmp_path)}
    steps = [
        ("", "ready> "),
        # What is typed is shown as it is typed; the rest of the word is the shell's.
        ("bpf-isa adequ\t", "acy"),
        ("-i SDIV64_\t\t", r"SDIV64_K.*SDIV64_X"),
    ]
    type_into([path, "-i"], environment, steps)
