# SPDX-License-Identifier: Apache-2.0
"""Real machines with Debian's newest kernel, and the results of jobs on machines that end early."""

import json
import os
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner

from bpf_isa.adapters.kernels.architectures import ARCHITECTURES
from bpf_isa.adapters.kernels.debian import fetch
from bpf_isa.adapters.kernels.machine import Machine
from bpf_isa.adapters.linux.calls import Ran
from bpf_isa.adapters.linux.conduct import conduct
from bpf_isa.adapters.linux.packed import HANG, PANIC, asked, pack, provocation, report
from bpf_isa.adapters.linux.prepare import prepare
from bpf_isa.adapters.protocol import Job, Outcome, OutcomeKind, Unavailable
from bpf_isa.conformance.cli import main
from bpf_isa.spec.asm.assemble import assemble

pytestmark = pytest.mark.kernels

X86 = ARCHITECTURES["x86_64"]


@pytest.fixture(scope="module")
def image() -> Path:
    return fetch(X86, "sid")[1].image


@pytest.fixture
def machine(image: Path) -> Machine:
    return Machine(X86, image, timeout=60.0)


def packed(r0: int = 7) -> bytes:
    code = assemble(f"r0 = {r0}\nexit", "little")
    return pack(prepare(Job("test", code, "little", frozenset(), frozenset({"r0"})), "little"), "little")


def r0(answer: bytes | Outcome, of: bytes) -> int:
    assert isinstance(answer, bytes), answer
    (ran,) = report(answer, asked(of, "little")).results
    assert isinstance(ran, Ran)
    return int.from_bytes(ran.values[0][:8], "little")


def emulators() -> list[int]:
    """The processes of QEMU that this process has started."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in children if "qemu" in Path(f"/proc/{pid}/comm").read_text()]


def test_a_panic_is_blamed_on_its_job_and_the_others_are_run(machine: Machine) -> None:
    jobs = [packed(1), packed(2), provocation(PANIC, "little"), packed(4)]
    answers = list(conduct(machine, jobs))
    assert [r0(answers[at], jobs[at]) for at in (0, 1, 3)] == [1, 2, 4]
    crash = answers[2]
    assert isinstance(crash, Outcome)
    assert crash.kind is OutcomeKind.CRASHED
    assert "Kernel panic - not syncing: Attempted to kill init!" in crash.reason.text
    assert emulators() == []


def test_a_guest_that_hangs_is_found_by_the_time_that_it_computes(image: Path) -> None:
    jobs = [packed(1), provocation(HANG, "little"), packed(3)]
    answers = list(conduct(Machine(X86, image, timeout=5.0), jobs))
    assert (r0(answers[0], jobs[0]), r0(answers[2], jobs[2])) == (1, 3)
    hang = answers[1]
    assert isinstance(hang, Outcome)
    assert (hang.kind, hang.reason.text) == (OutcomeKind.TIMED_OUT, "nothing came for 5 s of processor time")
    assert emulators() == []


def test_a_qemu_that_is_killed_loses_nothing(machine: Machine) -> None:
    jobs = [packed(number) for number in range(2000)]
    answers = conduct(machine, jobs)
    first = [next(answers)]
    (pid,) = emulators()
    os.kill(pid, signal.SIGKILL)
    got = first + list(answers)
    assert len(got) == len(jobs)
    killed = [answer for answer in got if isinstance(answer, Outcome)]
    assert [(one.kind, one.reason.text) for one in killed] in (
        [(OutcomeKind.CRASHED, "QEMU was killed by SIGKILL")],
        [],  # it had answered everything
    )
    assert all(
        r0(answer, job) == at for at, (answer, job) in enumerate(zip(got, jobs, strict=True)) if answer not in killed
    )


def test_who_stops_listening_ends_qemu(machine: Machine) -> None:
    answers = conduct(machine, [packed(), provocation(HANG, "little")])
    next(answers)
    assert len(emulators()) == 1
    answers.close()
    assert emulators() == []


@pytest.mark.parametrize("name", ["x86_64", "s390x"])
def test_a_kernel_is_tested_from_one_command(name: str, tmp_path: Path) -> None:
    words = ["run", "-qq", "-r", f"linux-vm:{name}", "--tier", "quick", "--json", str(tmp_path / "r.json")]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    data = json.loads((tmp_path / "r.json").read_text())
    assert data["selection"]["tier"] == "quick"
    (one,) = data["runtimes"]
    assert one["identity"]["byte_order"] == ARCHITECTURES[name].byte_order
    assert one["counts"]["pass"] > 0.9 * len(one["results"])
    assert emulators() == []


def test_what_is_missing_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(Unavailable, match="qemu-system-x86_64 is not here: apt-get install qemu-system-x86"):
        Machine(X86, Path("/dev/null"), timeout=1.0)
