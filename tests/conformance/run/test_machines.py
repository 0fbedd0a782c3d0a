# SPDX-License-Identifier: Apache-2.0
"""JITs whose failures are repeated on their interpreters, and runtimes that start a machine."""

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bpf_isa.adapters.protocol import Adapter, Job, Outcome, OutcomeKind
from bpf_isa.adapters.registry import RuntimeSpec
from bpf_isa.conformance.results.document import result_data
from bpf_isa.conformance.results.explain import as_text
from bpf_isa.conformance.run.runner import run
from bpf_isa.conformance.run.verdict import Verdict
from bpf_isa.conformance.run.worker import Exhausted
from bpf_isa.conformance.suite.suite import load_suite

from .scripted import Log, Script

HERE = Path(__file__).parents[1]
VECTORS = load_suite([HERE / "data" / "sample.yaml"]).vectors
pytestmark = pytest.mark.usefixtures("compiled", "forked")
REFERENCE = RuntimeSpec("reference", "reference")


@pytest.fixture(autouse=True)
def faulty_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)


class Compiled(RuntimeSpec):
    """A wrong JIT with an interpreter that is right."""

    @property
    def interpreter(self) -> RuntimeSpec:
        return REFERENCE

    def open(self) -> Adapter:
        adapter = super().open()
        info = replace(adapter.info(), engine="jit")
        adapter.info = lambda: info  # type: ignore[method-assign]
        return adapter


def test_what_a_jit_fails_is_repeated_on_its_interpreter() -> None:
    runtime: Any = Compiled("wrong", "python", "faulty:add_forgets_the_carry")
    (one,) = run([runtime], VECTORS)
    failed = [result for result in one.results if result.judgement.verdict is Verdict.FAIL]
    assert failed
    assert {result.interpreter for result in failed} == {Verdict.PASS}
    assert {result.interpreter for result in one.results if result not in failed} == {None}
    assert result_data(failed[0])["interpreter"] == "pass"
    assert "on the interpreter of the same runtime: pass" in as_text(failed[0], "little")


class Interpreted(Compiled):
    """An interpreter, though there is another one."""

    def open(self) -> Adapter:
        return RuntimeSpec.open(self)


class Alone(Compiled):
    """A wrong JIT without an interpreter."""

    interpreter: Any = None


class Orphan(Compiled):
    """A wrong JIT whose interpreter cannot be had, or fails."""

    @property
    def interpreter(self) -> RuntimeSpec:
        return RuntimeSpec("interpreter", "python", self.options["interpreter"])

    def open(self) -> Adapter:
        return Compiled("wrong", "python", "faulty:add_forgets_the_carry").open()


@pytest.mark.parametrize(
    "runtime",
    [
        Interpreted("wrong", "python", "faulty:add_forgets_the_carry"),
        Alone("wrong", "python", "faulty:add_forgets_the_carry"),
        Orphan("wrong", "python", options={"interpreter": "faulty:unavailable"}),
        Orphan("wrong", "python", options={"interpreter": "faulty:there_is_no_such_adapter"}),
    ],
    ids=lambda runtime: f"{type(runtime).__name__}-{runtime.options.get('interpreter', '')}",
)
def test_failures_are_repeated_only_of_a_jit_that_has_an_interpreter(runtime: Any) -> None:
    (one,) = run([runtime], VECTORS)
    assert any(result.judgement.verdict is Verdict.FAIL for result in one.results)
    assert {result.interpreter for result in one.results} == {None} and one.complete


class Booting(Script):
    """A machine that is started for its jobs."""

    @property
    def boots(self) -> bool:
        return True


def test_one_machine_runs_at_a_time_and_other_runtimes_are_opened_at_once(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")

    def noting(name: str) -> dict[str, Any]:
        return {
            "name": name,
            "opening": lambda: log.note(f"{name} opened"),
            "closing": lambda: log.note(f"{name} closed"),
        }

    def answer(job: Job) -> Outcome:
        while "late opened" not in log.lines():
            pass
        return Outcome(OutcomeKind.RETURNED, r0=0)

    some = VECTORS[:1]
    run([Booting(answer, **noting("first")), Booting(**noting("second")), Script(**noting("late"))], some, processes=2)
    lines = [line for line in log.lines() if "late" not in line]
    assert lines == ["first opened", "first closed", "second opened", "second closed"]


class Timed(Booting):
    """A machine that notes what it is said a vector may take."""

    said: ClassVar[list[float]] = []

    def patience(self, timeout: float) -> float:
        self.said.append(timeout)
        return timeout


class Exhausting(Booting):
    """A machine for which there is no memory left."""

    def patience(self, timeout: float) -> float:
        raise Exhausted("no memory")


def zero(job: Job) -> Outcome:
    return Outcome(OutcomeKind.RETURNED, r0=0)


def wrong_with(machine: Script) -> Any:
    """Return a wrong JIT whose interpreter is a machine."""

    class Repeated(Compiled):
        interpreter: Any = machine

    return Repeated("wrong", "python", "faulty:add_forgets_the_carry")


def test_a_machine_and_an_interpreter_are_told_what_a_vector_may_take() -> None:
    Timed.said.clear()
    run([Timed(zero)], VECTORS[:1], timeout=77)
    assert 77 in Timed.said
    Timed.said.clear()
    run([wrong_with(Timed(zero))], VECTORS, timeout=66)
    assert 66 in Timed.said


def test_an_interpreter_for_which_there_is_no_memory_is_done_without() -> None:
    (one,) = run([wrong_with(Exhausting(zero))], VECTORS)
    assert one.complete and {result.interpreter for result in one.results} == {None}
