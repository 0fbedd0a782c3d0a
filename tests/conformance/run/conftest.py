# SPDX-License-Identifier: Apache-2.0
"""Workers that are forked from the tests: processes like those that are spawned, but there at once."""

import multiprocessing
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import ForkContext, ForkProcess
from pathlib import Path
from typing import Any

import pytest

from bpf_isa.adapters.reference import ReferenceAdapter
from bpf_isa.conformance.suite.suite import load_suite

SAMPLE = Path(__file__).parents[1] / "data" / "sample.yaml"


class _Process(ForkProcess):
    def start(self) -> None:
        with warnings.catch_warnings():
            # Whatever threads the tests have wait for messages.
            warnings.filterwarnings("ignore", message=".*fork", category=DeprecationWarning)
            super().start()


class _Forking:
    """In place of the context that spawns."""

    def __init__(self) -> None:
        self._context = ForkContext()
        self._ours: list[Connection] = []

    def Pipe(self) -> tuple[Connection, Connection]:  # noqa: N802
        ours, theirs = self._context.Pipe()
        self._ours.append(ours)
        return ours, theirs

    def Process(self, *, target: Callable[..., None], args: tuple[Any, ...], daemon: bool) -> _Process:  # noqa: N802
        return _Process(target=self._run, args=(target, *args), daemon=daemon)

    def _run(self, target: Callable[..., None], *arguments: object) -> None:
        # Another copy of the parent's end would hide that the parent has closed it.
        for connection in self._ours:
            connection.close()
        target(*arguments)


@pytest.fixture(scope="module")
def forked() -> Iterator[None]:
    """Let workers be forked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multiprocessing, "get_context", {"spawn": _Forking()}.__getitem__)
        yield


@pytest.fixture(scope="module")
def compiled() -> None:
    """Let the reference VM compile now what each worker would compile otherwise."""
    assert list(ReferenceAdapter().run([vector.job("little") for vector in load_suite([SAMPLE]).vectors]))
