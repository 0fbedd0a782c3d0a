# SPDX-License-Identifier: Apache-2.0
"""The `bpf-isa` command: a group whose subcommands are imported only when they are invoked."""

from __future__ import annotations

import importlib
import io
import os
import select
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import click
from click.shell_completion import CompletionItem, FishComplete, add_completion_class

from ...spec.errors import InputError
from ...spec.plain import plain
from .echo import echo
from .failing import CLOSED, Interrupted, Unusable

DISTRIBUTION = "bpf-isa-conformance"


class LazyCommand(NamedTuple):
    """Where a subcommand lives, and the line that `bpf-isa --help` shows without importing it."""

    target: str
    """`module:attribute`, the module relative to this package (`.run:run`)."""
    short_help: str


COMMANDS: dict[str, LazyCommand] = {
    "run": LazyCommand(".run:run", "Run the suite on runtimes and show what fails."),
    "gate": LazyCommand(".gate:gate", "Compare results with what is known and required, for CI."),
    "expect": LazyCommand(".expect:expect", "Write what is known about a runtime from what a run shows."),
    "diff": LazyCommand(".diff:diff", "Show what changed between two runtimes, or two versions of one."),
    "report": LazyCommand(".report:report", "Compare the results of runs: a site, Markdown, JUnit, badges."),
    "groups": LazyCommand(".groups:groups", "Find out which conformance groups a runtime supports."),
    "runtimes": LazyCommand(".runtimes:runtimes", "List the runtimes that can be tested on this machine."),
    "kernel": LazyCommand(".kernel:kernel", "List Linux kernels to test; make jobs for machines elsewhere."),
    "coverage": LazyCommand(".coverage:coverage", "Show which vectors cover which requirements and instructions."),
    "lint": LazyCommand(".lint:lint", "Find what is wrong with vector files."),
    "fmt": LazyCommand(".fmt:fmt", "Put vector files into their canonical form."),
    "export": LazyCommand(".export:export", "Write the whole suite as JSON Lines."),
    "generate": LazyCommand(".generate:generate", "Write the generated vector files, or check that they are current."),
    "adequacy": LazyCommand(".adequacy:adequacy", "Seed faults into the specification and show which vectors notice."),
    "museum": LazyCommand(".museum:museum", "Convict the historical bugs, and write the page about them."),
    "exec": LazyCommand(".exec:exec_", "Run one program and show what it did."),
    "bench": LazyCommand(".bench:bench", "Time the engines of the project on this machine."),
    "asm": LazyCommand(".asm:asm", "Assemble a program."),
    "disasm": LazyCommand(".asm:disasm", "Disassemble a program."),
    "verify": LazyCommand(".verify:verify_", "Find everything that is wrong with the encoding and shape of a program."),
    "smoke": LazyCommand(".smoke:smoke", "Check that a command speaks the batch protocol."),
    "plugin": LazyCommand(".plugin:plugin", "Be a plugin of the bpf_conformance protocol."),
}
"""Every subcommand, in the order in which `--help` lists them."""


@contextmanager
def _without_traceback() -> Iterator[None]:
    """Make an error of click of all that is no mistake in this program; click prints its message.

    This is the one place where errors of input end up. It also sees what may hit every command: Ctrl-C, memory, files,
    disks and outputs.

    Raises:
        Unusable: the command could not do its work.
        Interrupted: it got a signal to end.
    """
    try:
        yield
    except click.UsageError as error:
        message = error.format_message()
        if (safe := plain(message, lines=True)) == message:
            raise
        raise click.UsageError(safe, error.ctx) from None
    except InputError as error:
        raise Unusable(str(error)) from None
    except MemoryError:
        raise Unusable("there is not enough memory for this") from None
    except KeyboardInterrupt:
        raise Interrupted from None
    except OSError as error:
        if _is_closed(error):
            raise SystemExit(CLOSED) from None
        _flush_or_give_up()
        raise Unusable(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)) from None
    except SystemExit as exit:
        if not isinstance(exit.__context__, BrokenPipeError):
            raise  # only rich makes an exit of its own of a broken pipe
        _give_up(sys.stdout)
        raise SystemExit(CLOSED) from None


@contextmanager
def _terminable() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C: that is how jobs of continuous integration are cancelled."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _flush_or_give_up() -> None:
    try:
        sys.stdout.flush()
    except OSError:  # a full disk, say, which may be the first error too
        _give_up(sys.stdout)


def _is_closed(error: OSError) -> bool:
    """Whether an error is that nobody reads the output any more, as in ``| head``; what is left of it goes nowhere."""
    closed = [stream for stream in (sys.stdout, sys.stderr) if _has_no_reader(stream)]
    if not isinstance(error, BrokenPipeError) or not closed:
        return False
    for stream in closed:
        _give_up(stream)
    return True


def _has_no_reader(stream: TextIO) -> bool:
    """Whether a stream is a pipe that nobody reads from."""
    poll = select.poll()
    try:
        poll.register(stream, 0)
    except (OSError, ValueError):  # it is no file
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _give_up(stream: TextIO) -> None:
    """Send what is left to nowhere, else the interpreter would try again to write it at its end, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@add_completion_class
class _Fish(FishComplete):
    """Completion in fish that offers lists whole: click's takes a comma in a word for its end."""

    source_template = FishComplete.source_template.replace('(string split ","', '(string split --max 1 ","')


class LazyGroup(click.Group):
    """A click group that knows its subcommands by name and imports one only to run it."""

    def __init__(self, *args: Any, lazy: Mapping[str, LazyCommand], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = lazy

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line; what has no standard input or output at all gets an empty one."""
        for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
            if getattr(sys, name) is None:
                setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 -- for as long as the process lives
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # in a locale that lacks a character
        try:
            return super().main(*args, **kwargs)
        except BrokenPipeError as error:  # while an error was printed
            if _is_closed(error):
                raise SystemExit(CLOSED) from None
            raise

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the command line, which includes showing help."""
        with _without_traceback():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _without_traceback(), _terminable():
            result = super().invoke(ctx)
            sys.stdout.flush()
        return result

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all subcommands, in table order."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the subcommand; None where the table has no such name."""
        entry = self.lazy.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        command = getattr(importlib.import_module(module, __package__), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.target}: expected a click command, got {type(command).__name__}")
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a subcommand from the table, so that it imports nothing."""
        found = [
            CompletionItem(name, help=entry.short_help)
            for name, entry in self.lazy.items()
            if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command list from the table, so that asking for help imports nothing."""
        if self.lazy:
            with formatter.section("Commands"):
                formatter.write_dl([(name, entry.short_help) for name, entry in self.lazy.items()])


def print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    """Callback of `--version`: the version of the installed distribution."""
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        echo(f"bpf-isa {version(DISTRIBUTION)}")
        ctx.exit()


_EPILOG = """
An option with ",..." takes a list: several values with commas between them, or the option several times. FILE may be -
for standard output. Exit status: 0 if all is well, 1 if something failed, 2 if the command could not do its work, 130
if it was interrupted.

\b
Completion by the shell, in its start-up file:
  bash  eval "$(_BPF_ISA_COMPLETE=bash_source bpf-isa)"
  zsh   eval "$(_BPF_ISA_COMPLETE=zsh_source bpf-isa)"
  fish  _BPF_ISA_COMPLETE=fish_source bpf-isa | source
"""


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Conformance suite and executable specification of the BPF instruction set (RFC 9669)."""


def plugin_alone() -> None:
    """`bpf-isa-plugin`: the subcommand under a name of its own."""
    main(["plugin", *sys.argv[1:]])
