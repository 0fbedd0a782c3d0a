# SPDX-License-Identifier: Apache-2.0
"""What commands print without colours and tables; with them, it goes through :mod:`..console`."""

import click

from ...spec.plain import plain


def echo(text: object = "", *, nl: bool = True, err: bool = False) -> None:
    """Print ``text`` to standard output, or to standard error, with nothing in it that could act on a terminal."""
    click.echo(plain(str(text), lines=True), nl=nl, err=err)  # noqa: TID251 -- here, and nowhere else
