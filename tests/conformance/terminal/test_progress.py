# SPDX-License-Identifier: Apache-2.0
"""Lines that say how far a run is, by a clock of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from bpf_isa.adapters.protocol import Reason
from bpf_isa.conformance.cli import main
from bpf_isa.conformance.run.runner import Result
from bpf_isa.conformance.run.verdict import (
    PASSED,
    Failure,
    Judgement,
    Verdict,
    harness_error,
    unsupported,
)
from bpf_isa.conformance.suite.model import Vector
from bpf_isa.conformance.suite.suite import load_suite
from bpf_isa.conformance.terminal import progress
from bpf_isa.conformance.terminal.progress import EVERY, Lines

SAMPLE = Path(__file__).parents[1] / "data" / "sample.yaml"
(VECTOR, *_) = load_suite([SAMPLE]).vectors
FAILED = Judgement(Verdict.FAIL, Failure.WRONG_RESULT, Reason(text="wrong r0"))


class Clock:
    """A time that passes when it is told to; a waiter that ends after some waits."""

    def __init__(self, waits: int = 0) -> None:
        self.now, self._waits = 100.0, waits

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        self._waits -= 1
        return self._waits < 0


def lines(clock: Clock, said: list[str], *runtimes: str, vectors: int = 4) -> Lines:
    return Lines(said.append, runtimes or ("mine",), vectors, clock=clock, wait=clock.wait)


def test_a_line_says_which_runtime_how_far_with_what_and_since_when() -> None:
    clock = Clock()
    shown = lines(clock, [], vectors=4000)
    assert shown.line() == "mine: 0 of 4,000 vectors, after 0 s"
    clock.now += 12.4
    for judgement in (PASSED, FAILED, FAILED, unsupported(Reason(text="no")), harness_error(Reason(text="oh"))):
        shown.settled("mine", Result(VECTOR, None, judgement))
    assert shown.line() == "mine: 5 of 4,000 vectors, 2 fail, 1 error, 1 unsupported, after 12 s"


def test_of_several_runtimes_the_one_that_runs_is_told_about() -> None:
    shown = lines(Clock(), [], "one", "two", vectors=2)
    shown.settled("one", Result(VECTOR, None, PASSED))
    assert shown.line().startswith("one (runtime 1 of 2): 1 of 2 vectors, after")
    shown.settled("one", Result(VECTOR, None, PASSED))
    assert shown.line().startswith("two (runtime 2 of 2): 0 of 2 vectors, after"), "it is being opened"
    shown.settled("two", Result(VECTOR, None, PASSED))
    shown.settled("two", Result(VECTOR, None, PASSED))
    assert shown.line().startswith("two (runtime 2 of 2): 2 of 2 vectors, after")


def test_a_line_comes_every_ten_seconds_until_the_end() -> None:
    said: list[str] = []
    lines(Clock(waits=3), said).tell()
    assert EVERY == 10
    assert [line.rpartition(", ")[2] for line in said] == ["after 10 s", "after 20 s", "after 30 s"]


def test_a_run_that_is_over_sooner_says_nothing() -> None:
    said: list[str] = []
    with Lines(said.append, ["mine"], 4) as shown:
        shown.settled("mine", Result(VECTOR, None, PASSED))
    assert said == []


def test_that_nobody_reads_the_lines_does_not_matter() -> None:
    def say(line: str) -> None:
        raise BrokenPipeError

    clock = Clock(waits=3)
    Lines(say, ["mine"], 4, clock=clock, wait=clock.wait).tell()


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lines that come at once, and once."""

    def at_once(self: Lines) -> Lines:
        self._say(self.line())
        return self

    monkeypatch.setattr(progress.Lines, "__enter__", at_once)
    monkeypatch.setattr(progress.Lines, "__exit__", lambda self, *error: None)
    yield


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize(
    ("options", "lines"), [([], 1), (["-q"], 1), (["--json", "-"], 1), (["-qq"], 0), (["-q", "-q", "-q"], 0)]
)
def test_lines_go_to_standard_error_unless_nothing_is_wanted(options: list[str], lines: int) -> None:
    words = ["run", "--vectors", str(SAMPLE), "-r", "reference", "-k", "add64", "-j", "1", *options]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0
    assert done.stderr == "reference: 0 of 3 vectors, after 0 s\n" * lines
    if "-q" in options or "-qq" in options:
        assert len(done.stdout.splitlines()) == 1


def test_a_vector_is_there() -> None:
    assert isinstance(VECTOR, Vector)
