# SPDX-License-Identifier: Apache-2.0
"""The base class of all errors that input causes."""


class InputError(ValueError):
    """An invalid file, text or option; the message says what is wrong, where, and how to correct it.

    Readers raise subclasses. The command line shows the message without a traceback and exits with status 2.
    """
