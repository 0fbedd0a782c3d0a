# SPDX-License-Identifier: Apache-2.0
"""The base class of all errors that input causes."""


class InputError(ValueError):
    """A file, a text or an option cannot be used; the message says what is wrong, where, and what to do about it.

    Readers raise subclasses. The command line shows the message, without a traceback, and ends with exit status 2.
    """
