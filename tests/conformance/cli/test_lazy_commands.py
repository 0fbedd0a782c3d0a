# SPDX-License-Identifier: Apache-2.0
"""`bpf-isa --help` answers from a table; each line of the table is true."""

import os
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bpf_isa.conformance.cli import COMMANDS, LazyCommand, LazyGroup, main
from bpf_isa.spec.table import TableError

COMMAND = str(Path(sys.executable).with_name("bpf-isa"))
HEAVY = ("jsonschema_rs", "lark", "llvmlite", "rich", "yaml")


def test_help_lists_every_command_without_importing_one() -> None:
    script = (
        "import sys\n"
        "from bpf_isa.conformance.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        f"print('imported:', *[name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    answer = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    lines = answer.stdout.splitlines()
    assert lines[-1].strip() == "imported:"
    first_words = [line.split()[0] for line in lines if line.startswith("  ") and line.strip()]
    assert [name for name in COMMANDS if name not in first_words] == []


def test_every_command_can_be_loaded_and_is_described_as_in_the_table() -> None:
    context = click.Context(main)
    for name, entry in COMMANDS.items():
        command = main.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.get_short_help_str(limit=200).removesuffix(".") == entry.short_help.removesuffix(".")


def test_version_is_that_of_the_distribution() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.exit_code == 0
    assert result.output == f"bpf-isa {version('bpf-isa-conformance')}\n"


@pytest.mark.parametrize(
    "arguments", ["--help", "exec -", "lint --list", "runtimes reference", "runtimes --json - reference"]
)
def test_a_full_disk_is_one_error(arguments: str) -> None:
    """Texts, tables and JSON alike: printed by click or by rich."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [COMMAND, *arguments.split()], input=b"r0 = 1\nexit\n", stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (2, b"Error: No space left on device\n")


def test_without_standard_streams() -> None:
    """As services start programs; what they then open must not become a standard stream."""
    run = f"{COMMAND} asm"
    no_input = subprocess.run(["sh", "-c", f"{run} <&-"], capture_output=True, check=False)
    assert (no_input.returncode, no_input.stdout, no_input.stderr) == (0, b"", b"")
    no_output = subprocess.run(["sh", "-c", f"echo exit | {run} >&-"], capture_output=True, check=False)
    assert (no_output.returncode, no_output.stderr) == (0, b"")


@click.command
def interrupted() -> None:
    raise KeyboardInterrupt


@click.command
def terminated() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@click.command
def unreadable() -> None:
    Path("/proc/self/mem").read_bytes()


@click.command
def missing() -> None:
    Path("/no/such/file").read_bytes()


@pytest.mark.parametrize(
    ("command", "status", "error"),
    [
        ("interrupted", 130, "interrupted"),
        ("terminated", 130, "interrupted"),
        ("unreadable", 2, "Input/output error"),
        ("missing", 2, "/no/such/file: No such file or directory"),
    ],
)
def test_whatever_hits_a_command_is_one_error(command: str, status: int, error: str) -> None:
    group = LazyGroup(lazy={command: LazyCommand(f"{__name__}:{command}", "")})
    done = CliRunner().invoke(group, [command])
    assert (done.exit_code, done.output) == (status, f"Error: {error}\n")


def test_an_unknown_command_is_a_usage_error() -> None:
    result = CliRunner().invoke(main, ["no-such-command"])
    assert result.exit_code == 2
    assert "no-such-command" in result.output


def test_a_table_entry_that_is_no_command_is_named() -> None:
    group = LazyGroup(lazy={"odd": LazyCommand("bpf_isa.conformance.cli:COMMANDS", "")})
    with pytest.raises(TypeError, match="COMMANDS: expected a click command, got dict"):
        group.get_command(click.Context(group), "odd")


@click.command
def damaged() -> None:
    raise TableError("ADD64_X (line 156): means: unknown name 'sorc' (column 13)")


def test_a_damaged_table_is_one_error_whichever_command_reads_it() -> None:
    group = LazyGroup(lazy={"damaged": LazyCommand(f"{__name__}:damaged", "")})
    result = CliRunner().invoke(group, ["damaged"])
    assert (result.exit_code, result.output) == (
        2,
        "Error: ADD64_X (line 156): means: unknown name 'sorc' (column 13)\n",
    )
