# SPDX-License-Identifier: Apache-2.0
"""Errors of commands: one clear message on standard error and exit status 2, no traceback."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from ...spec.output import STDOUT
from ...spec.plain import plain

#: Everything passed; something failed; the command could not do its work.
OK, FAILED, UNUSABLE = 0, 1, 2
#: A run was interrupted; what a shell says of a command that Ctrl-C has ended.
INTERRUPTED = 130
#: Whoever reads the output has closed it, as ``head`` does; what a shell says of a command that SIGPIPE has ended.
CLOSED = 141


class Interrupted(click.ClickException):
    """Ctrl-C, where a command leaves nothing behind that could be gone on with."""

    exit_code = INTERRUPTED

    def __init__(self) -> None:
        super().__init__("interrupted")


class Unusable(click.ClickException):
    """Input or environment that a command can do nothing with; shown as `Error: ...`."""

    exit_code = UNUSABLE

    def __init__(self, message: str) -> None:
        super().__init__(plain(message, lines=True))


def check_writable(file: Path | None) -> None:
    """Find out before a long run that its results could not be written after it.

    Raises:
        Unusable: the file is a folder, or cannot be made where it should be.
    """
    if file is None or file == STDOUT:
        return
    try:
        if file.exists() and not file.is_file():
            # Opening a pipe would wait for somebody to read it.
            if file.is_dir() or not os.access(file, os.W_OK):
                raise Unusable(f"{file}: cannot be written: {'this is a folder' if file.is_dir() else 'no permission'}")
        else:
            tempfile.TemporaryFile(dir=os.path.realpath(file.parent)).close()
    except OSError as error:
        raise Unusable(f"{file}: cannot be written: {error.strerror}") from None
