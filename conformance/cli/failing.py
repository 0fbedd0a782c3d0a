# SPDX-License-Identifier: Apache-2.0
"""Errors of commands: one clear message on standard error and exit status 2, no traceback."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

#: Everything passed; something failed; the command could not do its work.
OK, FAILED, UNUSABLE = 0, 1, 2
#: A run was interrupted; what a shell says of a command that Ctrl-C has ended.
INTERRUPTED = 130


class Unusable(click.ClickException):
    """Input or environment that a command can do nothing with; shown as `Error: ...`."""

    exit_code = UNUSABLE


@contextmanager
def bad_input() -> Iterator[None]:
    """Turn the errors that bad input causes into :class:`Unusable`."""
    from ...adapters.registry import SpecError
    from ...spec.requirements import RegistryError
    from ...spec.strict_yaml import YamlError
    from ...spec.table import TableError
    from ..datafiles import DataError
    from ..diff import PairingError
    from ..expectations import ExpectationError
    from ..gate import RequirementError
    from ..model import VectorError
    from ..results import ResultsError
    from ..select import SelectionError

    known = (
        YamlError,
        VectorError,
        TableError,
        RegistryError,
        SelectionError,
        SpecError,
        ResultsError,
        DataError,
        ExpectationError,
        RequirementError,
        PairingError,
    )
    try:
        yield
    except known as error:
        raise Unusable(str(error)) from None


def check_writable(file: Path | None) -> None:
    """Find out before a long run that its results could not be written after it."""
    if file is not None and not (file.absolute().parent.is_dir() and os.access(file.absolute().parent, os.W_OK)):
        raise Unusable(f"{file}: there is no folder {file.absolute().parent} that can be written to")
