# SPDX-License-Identifier: Apache-2.0
"""What options of commands have in common: lists, JSON output, words that a shell can complete.

An option that takes a list may be repeated, and each value may be several with commas between them. Its metavar ends
in ``,...``. ``--json FILE`` writes one JSON document; where FILE is ``-``, standard output has that and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click
from click.shell_completion import CompletionItem

from ...spec.output import STDOUT
from . import words
from .echo import echo

if TYPE_CHECKING:
    from ..terminal.console import Console

if TYPE_CHECKING:
    _Type: TypeAlias = click.ParamType[Any]
else:
    _Type = click.ParamType
F = TypeVar("F", bound=Callable[..., Any])
#: Takes the value of an option apart.
Separate: TypeAlias = Callable[[str], Sequence[str]]
#: Returns the words that are possible as an argument, and what each means (empty if its name says it).
Words: TypeAlias = Callable[[], Iterable[tuple[str, str]]]

#: A file to write; ``-`` is standard output.
FILE = click.Path(dir_okay=False, allow_dash=True, path_type=Path)
#: A file that is read, or written to the disk only.
ON_DISK = click.Path(dir_okay=False, path_type=Path)


def by_commas(text: str) -> list[str]:
    """Return what stands between the commas of ``text``, without blanks around it."""
    return [part.strip() for part in text.split(",")]


def paths(text: str) -> list[str]:
    """Return the paths that ``text`` names; a path that exists with its commas is one."""
    return [text] if Path(text).exists() else by_commas(text)


def runtimes(text: str) -> list[str]:
    """Return the runtimes that ``text`` names; see :func:`...adapters.registry.separate`."""
    from ...adapters.registry import separate

    return separate(text)


class Word(_Type):
    """One of some words, which a shell can complete; whether it is one is for the command to say."""

    name = "word"

    def __init__(self, known: Words) -> None:
        self._known = known

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the words that begin with ``incomplete``, whether it is written in capitals or not."""
        return [
            CompletionItem(word, help=about or None)
            for word, about in self._known()
            if word.lower().startswith(incomplete.lower())
        ]


class Several(_Type):
    """A value of an option that takes a list: one thing, or several with commas between them."""

    name = "list"

    def __init__(self, element: _Type, separate: Separate = by_commas) -> None:
        self.element, self._separate = element, separate

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        """Return the parts of a value, each as its own type has it."""
        parts = self._separate(value)
        if "" in parts:
            self.fail(f"{value!r} has an empty entry: a list is written as in a,b", param, ctx)
        return tuple(self.element.convert(part, param, ctx) for part in parts)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete what stands behind the last comma."""
        before, comma, last = incomplete.rpartition(",")
        found = self.element.shell_complete(ctx, param, last)
        if not comma or any(item.type != "plain" for item in found):
            return found
        return [CompletionItem(f"{before},{item.value}", help=item.help) for item in found]


def listing(
    *names: str, metavar: str, element: _Type = click.STRING, separate: Separate = by_commas, **more: Any
) -> Callable[[F], F]:
    """Return an option that takes a list, see :class:`Several`; its value is a tuple. ``metavar`` is for one."""
    return click.option(
        *names,
        multiple=True,
        type=Several(element, separate),
        callback=_flat,
        metavar=f"{metavar},...",
        **more,
    )


def _flat(ctx: click.Context, param: click.Parameter, values: Iterable[Iterable[Any]]) -> tuple[Any, ...]:
    return tuple(item for value in values for item in value)


def runtimes_option(*names: str, **more: Any) -> Callable[[F], F]:
    """Return an option that takes a list of runtimes."""
    element = Word(words.runtimes)
    return listing(*names, metavar="[NAME=]KIND[:ARG]", element=element, separate=runtimes, **more)


def paths_option(name: str, target: str = "paths", metavar: str = "PATH", **more: Any) -> Callable[[F], F]:
    """Return an option that takes a list of files, or folders of them."""
    return listing(name, target, metavar=metavar, element=click.Path(path_type=Path), separate=paths, **more)


def tier_option() -> Callable[[F], F]:
    """Return ``--tier``, of which the command has the name."""
    text = "How much of the suite: smoke (every instruction, for a first look), quick (few vectors that notice nearly "
    text += "every fault that the suite notices), or full."
    return click.option("--tier", metavar="TIER", type=Word(words.tiers), default="full", show_default=True, help=text)


def groups_option(*names: str, metavar: str = "GROUP", **more: Any) -> Callable[[F], F]:
    """Return an option that takes a list of conformance groups."""
    return listing(*names, metavar=metavar, element=Word(words.groups), **more)


def json_option(what: str) -> Callable[[F], F]:
    """Return ``--json FILE``; ``what`` is written there."""
    text = f"Write {what} as JSON: to standard output if FILE is -, compressed if it ends in .gz."
    return click.option("--json", "json_file", metavar="FILE", type=FILE, help=text)


def docs_option(help: str) -> Callable[[F], F]:
    """Return ``--docs FILE``, a page of the documentation that is written or renewed."""
    return click.option("--docs", "docs_file", metavar="FILE", type=ON_DISK, help=help)


def is_stdout(*files: Path | None) -> bool:
    """Whether one of ``files`` is standard output, which then is no place for texts for people."""
    return STDOUT in files


def console_beside(*files: Path | None) -> Console:
    """Return what texts for people are printed with: they are left out where a file is standard output."""
    from ..terminal.console import Console

    return Console(highlight=False, quiet=is_stdout(*files))


def say(text: str, *files: Path | None) -> None:
    """Print a line for people; it is left out where a file is standard output."""
    if not is_stdout(*files):
        echo(text)
