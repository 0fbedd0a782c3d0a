# SPDX-License-Identifier: Apache-2.0
"""The base class of context managers with a ``close`` method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Closing(ABC):
    """Owns resources that :meth:`close` releases; the end of a ``with`` block calls it."""

    @abstractmethod
    def close(self) -> None:
        """Release processes, descriptors and memory."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
