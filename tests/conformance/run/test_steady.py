# SPDX-License-Identifier: Apache-2.0
"""Programs that read what they never wrote: how often a runtime is asked, and what is concluded from the answers."""

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from bpf_isa.adapters.batch.adapter import BatchAdapter
from bpf_isa.adapters.protocol import Adapter, Job, Outcome, OutcomeKind, Reason
from bpf_isa.adapters.reference import ReferenceAdapter
from bpf_isa.conformance.adequacy.frame_mutants import leaking_mutants
from bpf_isa.conformance.run import inquiry
from bpf_isa.conformance.run.fillers import fillers, programs
from bpf_isa.conformance.run.inquiry import Finding
from bpf_isa.conformance.run.verdict import PASSED, Difference, Failure, Judgement, Verdict, unsupported
from bpf_isa.conformance.suite.model import Vector
from bpf_isa.conformance.suite.suite import load_suite
from bpf_isa.reference_vm.frames import Frames
from bpf_isa.spec.asm.assemble import assemble

from ..faulty import has_no_64_bits

VECTORS = """
source: {name: tests, method: hand}
vectors:
  - id: register
    level: robustness
    covers: [rfc9669-3.1-registers]
    asm: "w0 = w7\\nexit"
    memory: "0102"
    maps: ["03"]
    variables: [{number: 1, value: "04"}]
    helpers: [{by: btf, number: 5, does: weigh}]
    expect: {steady: true}
  - id: stack
    level: robustness
    covers: [rfc9669-3.1-registers]
    asm: "r0 = *(u64 *)(r10 - {at})\\nexit"
    expect: {steady: true}
    cases: {last: {at: "8"}, first: {at: "512"}}
  - id: below
    level: robustness
    covers: [rfc9669-3.1-registers]
    asm: "r0 = *(u8 *)(r10 - 513)\\nexit"
    expect: {steady: true}
"""
CLEAN, OLD_REGISTERS = "does not clear the stack for a program", "does not clear the registers for a program"
AROUND = "has memory around the stack, which is never the same"
REFUSAL = Outcome(OutcomeKind.REJECTED, reason=Reason("error", "no"))
FAULT = Outcome(OutcomeKind.FAULTED, reason=Reason("stack", "never written"))
CRASH = Outcome(OutcomeKind.CRASHED, reason=Reason("signal", "SIGSEGV"))
LATE = Outcome(OutcomeKind.TIMED_OUT, reason=Reason("timeout", "1 s"))
SHORT = Reason("platform", "there is no stack", "platform")
WIDE = "right after a program that filled all registers and its frame with"
DEEP = "right after a program that filled all registers and a part of eight frames with"
AGAIN = "right after it had been run"
#: The numbers of the runs of the program itself, and when each is done.
RUNS = {2: f"{WIDE} 0x5a", 4: f"{DEEP} 0xc3", 6: f"{WIDE} 0xa7", 8: f"{DEEP} 0x3d", 9: AGAIN, 10: AGAIN}
#: The programs that fill all of a frame, and those that fill a part of eight, with the byte that they write.
WIDES, DEEPS = {0: 0x5A, 2: 0xA7}, {1: 0xC3, 3: 0x3D}


@pytest.fixture(autouse=True)
def written_anew() -> None:
    """Let each test see the code that writes the programs."""
    programs.cache_clear()


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Vector]:
    path = tmp_path_factory.mktemp("steady") / "steady.yaml"
    path.write_text(VECTORS)
    return {vector.id: vector for vector in load_suite([path]).vectors}


class Told(ReferenceAdapter):
    """Answers 7 to everything, and as ``answers`` say to the jobs with these numbers, from 0; it keeps all jobs."""

    def __init__(self, answers: Mapping[int, Outcome], groups: frozenset[str] | None = None) -> None:
        super().__init__("little", groups=groups)
        self.answers, self.jobs = answers, list[Job]()

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        for job in jobs:
            yield self.answers.get(len(self.jobs), returned(7))
            self.jobs.append(job)


def settle(vector: Vector, runtime: Adapter) -> Finding:
    """Ask a runtime as the runner does."""
    return inquiry.settle(vector, runtime.info(), runtime.run)


def returned(r0: int | None) -> Outcome:
    return Outcome(OutcomeKind.RETURNED, r0=r0)


def frames(what: str) -> type[Frames]:
    return {mutant.what: mutant.frames for mutant in leaking_mutants()}[what]


@pytest.mark.parametrize(("claims", "width"), [(None, 64), ({"base64"}, 64), ({"base32", "atomic32"}, 32)])
def test_a_program_is_run_again_after_others(
    vectors: Mapping[str, Vector], claims: set[str] | None, width: int
) -> None:
    runtime = Told({}, None if claims is None else frozenset(claims))
    own = vectors["register"].job("little")
    assert settle(vectors["register"], runtime) == Finding(returned(7), PASSED)
    assert own.wants_rejection
    assert own.observe == {"r0"}
    others = [one.job for one in fillers(own, width)]
    assert runtime.jobs == [own, *(job for other in others for job in (other, own)), own, own]
    assert len({one.job.code for size in (32, 64) for one in fillers(own, size)}) == 8


@pytest.mark.parametrize("width", [32, 64])
def test_the_other_programs_need_nothing(vectors: Mapping[str, Vector], width: int) -> None:
    job = vectors["register"].job("little")
    runtime = has_no_64_bits() if width == 32 else ReferenceAdapter("little")
    for filler in fillers(job, width):
        nothing: tuple[()] = ()
        bare = job._replace(memory=None, maps=nothing, variables=nothing, helpers=nothing, wants_rejection=False)
        assert filler.job == bare._replace(code=filler.job.code)
        (outcome,) = runtime.run([filler.job])
        assert outcome.kind is OutcomeKind.RETURNED


@pytest.mark.parametrize("first", [REFUSAL, FAULT])
def test_what_is_refused_or_stopped_is_not_asked_again(vectors: Mapping[str, Vector], first: Outcome) -> None:
    runtime = Told({0: first})
    assert settle(vectors["register"], runtime) == Finding(first, PASSED)
    assert len(runtime.jobs) == 1


@pytest.mark.parametrize("first", [returned(0), returned(7)])
@pytest.mark.parametrize(("at", "when"), RUNS.items())
def test_another_result_is_a_failure(vectors: Mapping[str, Vector], at: int, when: str, first: Outcome) -> None:
    same = dict.fromkeys((0, *RUNS), first)
    finding = settle(vectors["register"], Told({**same, at: returned(8)}))
    expected, got = f"returned r0 = {first.r0:#x}, as in the first run", f"returned r0 = 0x8 {when}"
    difference = Difference("outcome", expected, got)
    assert finding == Finding(returned(8), Judgement(Verdict.FAIL, Failure.UNSTEADY, Reason(text=got), (difference,)))


@pytest.mark.parametrize(("at", "when"), RUNS.items())
def test_another_end_is_a_failure(vectors: Mapping[str, Vector], at: int, when: str) -> None:
    finding = settle(vectors["register"], Told({at: FAULT}))
    assert (finding.outcome, finding.judgement.failure) == (FAULT, Failure.UNSTEADY)
    assert str(finding.judgement.reason) == f"faulted: stack: never written {when}"


@pytest.mark.parametrize("at", [0, *RUNS])
@pytest.mark.parametrize(
    ("said", "verdict", "failure"),
    [
        (CRASH, Verdict.FAIL, Failure.CRASHED),
        (LATE, Verdict.FAIL, Failure.TIMED_OUT),
        (Outcome(OutcomeKind.UNSUPPORTED, reason=SHORT), Verdict.UNSUPPORTED, None),
        (returned(None), Verdict.UNSUPPORTED, None),
    ],
)
def test_an_end_that_tells_nothing_of_steadiness(
    vectors: Mapping[str, Vector], at: int, said: Outcome, verdict: Verdict, failure: Failure | None
) -> None:
    finding = settle(vectors["register"], Told({at: said}))
    assert (finding.outcome, finding.judgement.verdict, finding.judgement.failure) == (said, verdict, failure)


def test_a_runtime_that_shows_no_r0_is_told_so(vectors: Mapping[str, Vector]) -> None:
    judgement = settle(vectors["register"], Told({0: returned(None)})).judgement
    assert judgement == unsupported(Reason("observe", "the runtime does not show r0", "harness"))


def test_without_the_program_that_fills_everything_nothing_is_known(vectors: Mapping[str, Vector]) -> None:
    text = "the program that fills all registers and the stack rejected: error: no"
    expected = Finding(returned(7), unsupported(Reason("observe", text, "harness")))
    assert settle(vectors["register"], Told({1: REFUSAL})) == expected
    assert settle(vectors["register"], Told({1: REFUSAL, 2: returned(8)})).judgement.failure is Failure.UNSTEADY


@pytest.mark.parametrize("deep", [REFUSAL, CRASH])
def test_a_runtime_need_not_have_functions(vectors: Mapping[str, Vector], deep: Outcome) -> None:
    assert settle(vectors["register"], Told({3: deep, 7: deep})).judgement == PASSED


@pytest.mark.parametrize(
    ("what", "unsteady"),
    [(CLEAN, {"stack/last", "stack/first"}), (OLD_REGISTERS, {"register"}), (AROUND, {"below"})],
)
def test_what_a_runtime_hands_on_shows(vectors: Mapping[str, Vector], what: str, unsteady: set[str]) -> None:
    for name, vector in vectors.items():
        judgement = settle(vector, ReferenceAdapter("little", frames=frames(what))).judgement
        assert (judgement.failure is Failure.UNSTEADY) == (name in unsteady), name
        assert settle(vector, ReferenceAdapter("big")).judgement == PASSED


def left(frames: type[Frames], number: int, width: int, asm: str) -> int | None:
    """What a program finds after a filler, where frames hand everything on."""
    job = Job("x", assemble(asm), "little", frozenset(), frozenset({"r0"}))
    *_, outcome = ReferenceAdapter("little", frames=frames).run([fillers(job, width)[number].job, job])
    return outcome.r0


def filled(byte: int, size: int = 8) -> int:
    return int.from_bytes(bytes([byte]) * size)


@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize(("number", "byte"), WIDES.items())
def test_wide_programs_fill_every_byte(width: int, number: int, byte: int) -> None:
    for at in range(8, 513, 8):
        assert left(frames(CLEAN), number, width, f"r0 = *(u64 *)(r10 - {at})\nexit") == filled(byte), at


@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize(("number", "byte"), DEEPS.items())
def test_deep_programs_fill_a_part_of_each_frame(width: int, number: int, byte: int) -> None:
    for depth in range(8):
        for at in (8, 32, 64):
            asm = "call local +1\nexit\n" * depth + f"r0 = *(u64 *)(r10 - {at})\nexit"
            assert left(frames(CLEAN), number, width, asm) == filled(byte), (depth, at)


@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize(("number", "byte"), (WIDES | DEEPS).items())
def test_the_programs_fill_registers(width: int, number: int, byte: int) -> None:
    for register in (0, 3, 4, 5, 6, 7, 8, 9):
        found = left(frames(OLD_REGISTERS), number, width, f"r0 = r{register}\nexit")
        assert found == filled(byte, width // 8), register


def test_what_is_handed_on_shows_each_time(vectors: Mapping[str, Vector]) -> None:
    """What the programs left the time before does not make it the same."""
    runtime = ReferenceAdapter("little", frames=frames(CLEAN))
    for _ in range(3):
        assert settle(vectors["stack/first"], runtime).judgement.failure is Failure.UNSTEADY


#: A runtime that speaks the batch protocol, whose stack nobody clears.
LEAKING = """
import json, sys
from bpf_isa.adapters.protocol import Job
from bpf_isa.adapters.reference import ReferenceAdapter
from bpf_isa.conformance.adequacy.frame_mutants import leaking_mutants
runtime = ReferenceAdapter("little", frames=next(leaking_mutants()).frames)
for line in sys.stdin:
    message = json.loads(line)
    if message["cmd"] == "stop":
        break
    answer = {"protocol": 1, "name": "leaking", "version": "1", "byte_order": "little"}
    if message["cmd"] == "run":
        job = Job("x", bytes.fromhex(message["program"]), "little", frozenset(), frozenset({"r0"}))
        (outcome,) = runtime.run([job])
        answer = {"seq": message["seq"], "outcome": outcome.kind.value, "r0": f"{outcome.r0 or 0:#x}"}
    print(json.dumps(answer), flush=True)
"""


def test_a_process_that_does_not_clear_its_stack(vectors: Mapping[str, Vector], tmp_path: Path) -> None:
    script = tmp_path / "leaking.py"
    script.write_text(LEAKING)
    with BatchAdapter(shlex.join([sys.executable, str(script)])) as runtime:
        judgement = settle(vectors["stack/last"], runtime).judgement
        assert judgement.failure is Failure.UNSTEADY
        assert str(judgement.reason) == f"returned r0 = 0x5a5a5a5a5a5a5a5a {WIDE} 0x5a"
        assert settle(vectors["register"], runtime).judgement == PASSED
