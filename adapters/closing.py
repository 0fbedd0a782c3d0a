# SPDX-License-Identifier: Apache-2.0
"""What is closed at the end of a ``with`` block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Closing(ABC):
    """Has something to give back: :meth:`close` does, and the end of a ``with`` block calls it."""

    @abstractmethod
    def close(self) -> None:
        """Give back processes, descriptors and memory."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
