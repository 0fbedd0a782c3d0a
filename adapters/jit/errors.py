# SPDX-License-Identifier: Apache-2.0
"""Errors for programs that the JIT does not compile."""

from __future__ import annotations

from ...spec.errors import InputError


class NotLowerable(InputError):
    """A program that this engine does not compile; the message has the reason.

    A row has a meaning of a form that no row of RFC 9669 has, or the program is too large (:class:`TooLarge`), or the
    code that LLVM generates calls an undefined function.
    """


class TooLarge(NotLowerable):
    """A program with more code than can be compiled in bounded time."""
