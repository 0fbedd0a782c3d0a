# SPDX-License-Identifier: Apache-2.0
"""The guest: what is shipped is what the source is, it builds everywhere, and no result is lost however it ends."""

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from importlib.metadata import version
from pathlib import Path

import pytest

from bpf_isa.adapters.linux.adapter import LinuxAdapter
from bpf_isa.adapters.linux.calls import Failed, Ran, Refused
from bpf_isa.adapters.linux.conduct import Died, Lost, conduct
from bpf_isa.adapters.linux.guest import build
from bpf_isa.adapters.linux.packed import HANG, PANIC, about_machine, asked, pack, provocation, report
from bpf_isa.adapters.linux.prepare import prepare
from bpf_isa.adapters.linux.process import ProcessGuest
from bpf_isa.adapters.protocol import Job, Outcome, OutcomeKind

ROOT = Path(__file__).resolve().parents[3]
NATIVE = sys.byteorder


@pytest.mark.parametrize("architecture", sorted(build.TARGETS))
def test_builds_for(architecture: str) -> None:
    program = build.build(architecture)
    assert program[:4] == b"\x7fELF"
    assert len(program) < 20_000


@pytest.mark.parametrize("architecture", build.SHIPPED)
def test_what_is_shipped_is_of_this_source(architecture: str) -> None:
    shipped = build.shipped(architecture)
    assert shipped.is_file(), "python -m bpf_isa.adapters.linux.guest.build"
    pinned = f"ziglang=={version('ziglang')} " in (ROOT / "constraints.txt").read_text()
    assert not pinned or shipped.read_bytes() == build.build(architecture)
    assert len(list(shipped.parent.glob("guest-*"))) == len(build.SHIPPED)


def test_without_the_compiler_it_says_what_brings_it() -> None:
    code = (
        "import sys\n"
        "sys.modules['ziglang'] = None\n"
        "from bpf_isa.adapters.linux.guest.build import build\n"
        "build('s390x')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'bpf-isa-conformance[kernels]' brings the compiler" in done.stderr


@pytest.fixture
def guest(kernel: LinuxAdapter) -> Generator[ProcessGuest, None, None]:
    del kernel  # it is there
    with ProcessGuest(platform.machine()) as one:
        yield one


Packed = Callable[..., bytes]


@pytest.fixture
def packed(job: Callable[..., Job]) -> Packed:
    def packed_one(program: str | bytes = "r0 = 7\nexit", **fields: object) -> bytes:
        return pack(prepare(job(program, **fields), NATIVE), NATIVE)

    return packed_one


def results(answer: bytes | Outcome, of: bytes) -> tuple[object, ...]:
    assert isinstance(answer, bytes)
    return report(answer, asked(of, NATIVE)).results


def test_what_it_says_of_the_machine(guest: ProcessGuest, packed: Packed) -> None:
    said: list[bytes] = []
    assert len(list(conduct(guest, [packed()], said))) == 1
    release, jit, _ = about_machine(said[0], NATIVE)
    assert release == platform.release()
    assert jit == Path("/proc/sys/net/core/bpf_jit_enable").read_text().strip()


def test_changes_of_memory_are_told(guest: ProcessGuest, packed: Packed) -> None:
    memory = bytes(range(256)) * 20
    program = "*(u8 *)(r1 + 3) = 77\n*(u64 *)(r1 + 1000) = 1\n*(u8 *)(r1 + 5118) = 5\nr0 = 0\nexit"
    one = packed(program, memory=memory, observe="r0 memory")
    (answer,) = conduct(guest, [one])
    (ran,) = results(answer, one)
    assert isinstance(ran, Ran)
    expected = bytearray(memory)
    expected[3], expected[1000:1008], expected[5118] = 77, (1).to_bytes(8, NATIVE), 5
    assert ran.values[1] == expected
    assert isinstance(answer, bytes)
    assert len(answer) < 200


def test_refusals_carry_the_end_of_the_log_and_no_earlier_one(guest: ProcessGuest, packed: Packed) -> None:
    jobs = [packed("r0 = r9\nr0 /= 0\nexit"), packed("r0 = 1\nr0 /= 0\nexit"), packed()]
    first, second, third = (results(answer, one)[0] for answer, one in zip(conduct(guest, jobs), jobs, strict=True))
    assert isinstance(first, Refused)
    assert "!read_ok" in first.log
    assert isinstance(second, Refused)
    assert "div by zero\n" in second.log
    assert "!read_ok" not in second.log
    assert isinstance(third, Ran)


def test_a_map_that_cannot_be_had_is_a_failure_of_all_loads(guest: ProcessGuest, job: Callable[..., Job]) -> None:
    calls = prepare(job("if r1 == 0 goto +1\nr0 = 0\nr0 = 1\nexit", memory=bytes(8)), NATIVE)
    assert len(calls.loads) > 1
    broken = pack(calls._replace(maps=(*calls.maps[:-1], b"")), NATIVE)
    (answer,) = conduct(guest, [broken])
    assert results(answer, broken) == (Failed(22, 0),) * len(calls.loads)


def test_the_job_that_ends_a_guest_is_blamed_and_the_others_run(guest: ProcessGuest, packed: Packed) -> None:
    jobs = [packed(), provocation(PANIC, NATIVE), packed(), packed(), provocation(PANIC, NATIVE)]
    answers = list(conduct(guest, jobs))
    kinds = [answer.kind if isinstance(answer, Outcome) else "answered" for answer in answers]
    assert kinds == ["answered", OutcomeKind.CRASHED, "answered", "answered", OutcomeKind.CRASHED]


class Damaged:
    """A real guest, whose lines ``damage`` changes on their way."""

    byte_order = NATIVE

    def __init__(self, guest: ProcessGuest, damage: Callable[[int, list[bytes]], list[bytes]]) -> None:
        self._guest, self._damage = guest, damage
        self.asked: list[int] = []

    def run(self, jobs: Sequence[bytes]) -> Generator[bytes, None, None]:
        self.asked.append(len(jobs))
        yield from self._damage(len(self.asked), list(self._guest.run(jobs)))


def test_what_did_not_arrive_is_asked_again(guest: ProcessGuest, packed: Packed) -> None:
    def cut(time: int, lines: list[bytes]) -> list[bytes]:
        return [*lines[:2], lines[2][:-9] + b"\n", b"[    1.2] a message\n", *lines[3:]] if time == 1 else lines

    damaged = Damaged(guest, cut)
    jobs = [packed(f"r0 = {number}\nexit") for number in range(5)]
    values = [results(answer, one) for answer, one in zip(conduct(damaged, jobs), jobs, strict=True)]
    assert [int.from_bytes(ran.values[0][:8], NATIVE) for (ran,) in values if isinstance(ran, Ran)] == [0, 1, 2, 3, 4]
    assert damaged.asked == [5, 1]


def test_a_port_that_closes_loses_nothing(guest: ProcessGuest, packed: Packed) -> None:
    damaged = Damaged(guest, lambda time, lines: lines[:3] if time == 1 else lines)
    assert len(list(conduct(damaged, [packed()] * 6))) == 6
    assert damaged.asked == [6, 4]


def test_guests_of_which_nothing_arrives_are_given_up(guest: ProcessGuest, packed: Packed) -> None:
    damaged = Damaged(guest, lambda _, lines: lines[:1])
    with pytest.raises(Lost, match="3 guests in a row"):
        list(conduct(damaged, [packed()]))


def test_a_guest_without_a_word_is_no_answer(packed: Packed) -> None:
    class Silent:
        byte_order = NATIVE

        def run(self, jobs: Sequence[bytes]) -> Generator[bytes, None, None]:
            yield b"nothing of interest\n"
            raise Died(OutcomeKind.CRASHED, Outcome(OutcomeKind.CRASHED).reason)

    with pytest.raises(Died):
        list(conduct(Silent(), [packed()]))


def test_whoever_stops_listening_ends_the_process(guest: ProcessGuest, packed: Packed) -> None:
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    # Other tests may have left theirs.
    before = set(children.read_text().split())
    answers = conduct(guest, [packed(), provocation(HANG, NATIVE)])
    assert isinstance(next(answers), bytes)
    assert set(children.read_text().split()) - before
    answers.close()
    assert not set(children.read_text().split()) - before
