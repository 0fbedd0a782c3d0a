# SPDX-License-Identifier: Apache-2.0
"""Python's garbage collector, where hundreds of thousands of objects are made and all are kept."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """Keep the garbage collector out of a phase that makes many objects and no garbage: it would cost a third."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():
            # What was made counts as old at once; otherwise the next collection would look at all of it.
            gc.freeze()
            gc.unfreeze()
        if was_on:
            gc.enable()
