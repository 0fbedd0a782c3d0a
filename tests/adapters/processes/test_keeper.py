# SPDX-License-Identifier: Apache-2.0
"""Programs under test die with whoever started them, however that one dies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bpf_isa.adapters.processes.client import Ending, Limits, Resident, Shooter

SHELL = "/bin/sh"

OWNER = """
import sys
from bpf_isa.adapters.processes.client import Limits, Resident, Shooter
command = ["/bin/sh", "-c", sys.argv[2]]
if sys.argv[1] == "shots":
    Shooter(Limits(seconds=1000)).run(command)
else:
    Resident(command, None).wait(1000)
"""


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def wait_until(there: Callable[[], bool]) -> None:
    """Wait for what comes soon, or else never: a test that hangs says less than one that fails."""
    until = time.monotonic() + 60
    while not there():
        assert time.monotonic() < until
        time.sleep(0.005)


def wait_for(path: Path) -> int:
    wait_until(lambda: path.exists() and path.read_text().endswith("\n"))
    return int(path.read_text())


@pytest.mark.parametrize("mode", ["shots", "one"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_program_dies_with_its_owner(tmp_path: Path, mode: str, number: signal.Signals) -> None:
    text = f"trap '' TERM INT HUP; echo $$ > {tmp_path}/pid; while :; do sleep 1; done"
    owner = subprocess.Popen([sys.executable, "-c", OWNER, mode, text])
    pid = wait_for(tmp_path / "pid")
    owner.send_signal(number)
    owner.wait()
    # The keeper notices, kills and ends in its own time.
    wait_until(lambda: is_gone(pid))


def test_one_shot_after_the_other() -> None:
    with Shooter(Limits()) as shooter:
        for number in range(3):
            ended = shooter.run([SHELL, "-c", f"cat; echo {number}"], b"said ")
            assert (ended.ending, ended.exit_status, ended.output) == (Ending.ENDED, 0, b"said %d\n" % number)


def test_standard_error_keeps_its_end() -> None:
    with Shooter(Limits()) as shooter:
        ended = shooter.run([SHELL, "-c", "head -c 1000000 /dev/zero >&2; echo last >&2"])
    assert ended.errors.endswith(b"\0last\n")
    assert len(ended.errors) <= 1 << 16


def test_a_program_that_cannot_be_executed() -> None:
    with Shooter(Limits()) as shooter:
        ended = shooter.run(["/no/such/program"])
        assert (ended.ending, ended.status, ended.signal) == (Ending.NOT_STARTED, 2, None)
        assert shooter.run([SHELL, "-c", "exit 3"]).exit_status == 3
    resident = Resident(["/no/such/program"], None)
    ending = resident.wait(60)
    resident.close()
    assert ending is not None
    assert (ending.ending, ending.status) == (Ending.NOT_STARTED, 2)


def test_programs_start_as_from_a_shell() -> None:
    """In a session of their own, with the usual signals and no descriptor but three."""
    text = "cut -d ' ' -f 1,5,6 /proc/self/stat; grep SigIgn /proc/self/status; ls /proc/self/fd"
    with Shooter(Limits()) as shooter:
        ended = shooter.run([SHELL, "-c", f"echo $$; {text}"])
    shell, stat, ignored, *descriptors = ended.output.decode().splitlines()
    assert stat.split()[1:] == [shell, shell]
    assert int(ignored.split()[1], 16) & 0x7FFFFFFF == 0  # beyond are those of the C library
    assert descriptors == ["0", "1", "2", "3"]  # the last is that of ls


def test_a_resident_program_is_talked_to_and_killed_with_its_descendants(tmp_path: Path) -> None:
    text = f"setsid sh -c 'trap \"\" TERM; echo $$ > {tmp_path}/pid; while :; do sleep 1; done' & cat"
    resident = Resident([SHELL, "-c", text], None)
    os.write(resident.stdin, b"hello")
    assert os.read(resident.stdout, 100) == b"hello"
    assert resident.wait(0.01) is None
    pid = wait_for(tmp_path / "pid")
    assert resident.kill().signal == "SIGKILL"
    assert is_gone(pid)
    resident.close()


def test_a_resident_program_that_ends_says_how() -> None:
    resident = Resident([SHELL, "-c", "kill -BUS $$"], None)
    ended = resident.wait(60)
    assert ended is not None
    assert ended.signal == "SIGBUS"
    assert os.read(resident.stdout, 1) == b""
    resident.close()
