# SPDX-License-Identifier: Apache-2.0
"""Programs that the JIT declines."""

from __future__ import annotations

from ...spec.errors import InputError


class NotLowerable(InputError):
    """A program that this engine declines; the message says why.

    Either a row has a meaning of a shape that no row of RFC 9669 has, or there is too much to compile
    (:class:`TooLarge`), or LLVM makes code of it that calls a function which nobody supplies.
    """


class TooLarge(NotLowerable):
    """A program of which there would be more code than can be made in bounded time."""
