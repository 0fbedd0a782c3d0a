# SPDX-License-Identifier: Apache-2.0
"""A runtime with conformance groups claimed by the user."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from .closing import Closing
from .protocol import Adapter, Job, Outcome, RuntimeInfo


class Claiming(Closing):
    """An adapter whose runtime claims ``groups``, instead of its own claim."""

    def __init__(self, adapter: Adapter, groups: frozenset[str]) -> None:
        self._adapter, self._groups = adapter, groups

    def info(self) -> RuntimeInfo:
        """Return the identity of the runtime with the user's claim."""
        return replace(self._adapter.info(), groups=self._groups)

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Run ``jobs`` on the runtime."""
        return self._adapter.run(jobs)

    def close(self) -> None:
        """Close the adapter."""
        self._adapter.close()
