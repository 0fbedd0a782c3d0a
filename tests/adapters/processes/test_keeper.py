# SPDX-License-Identifier: Apache-2.0
"""Programs under test die with whoever started them, however that one dies."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bpf_isa.adapters.processes.client import Launcher, Limits, Resident
from bpf_isa.adapters.processes.ending import Ending

from ..survivors import marked, new_name, survivors, wait_until

SHELL = "/bin/sh"

OWNER = """
import sys
from bpf_isa.adapters.processes.client import Limits, Resident, Launcher
mode, contained, text = sys.argv[1:]
command = ["/bin/sh", "-c", text]
limits = Limits(seconds=1000, contained=bool(contained))
if mode == "launches":
    Launcher(limits).run(command)
else:
    Resident(command, limits).wait(1000)
"""


@pytest.mark.parametrize("mode", ["launches", "one"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_program_dies_with_its_owner(tmp_path: Path, contained: bool, mode: str, number: signal.Signals) -> None:
    name, ready = new_name(), tmp_path / "ready"
    text = f"trap '' TERM INT HUP; setsid sleep 1000 & touch {ready}; while :; do sleep 1; done"
    command = [sys.executable, "-c", OWNER, mode, "contained" if contained else "", text]
    owner = subprocess.Popen(command, env={**os.environ, **marked(name)})
    wait_until(ready.exists)
    owner.send_signal(number)
    owner.wait()
    # The keeper notices, kills and ends in its own time.
    wait_until(lambda: not survivors(name))


def test_one_launch_after_the_other() -> None:
    with Launcher(Limits()) as launcher:
        for number in range(3):
            ended = launcher.run([SHELL, "-c", f"cat; echo {number}"], b"said ")
            assert (ended.ending, ended.exit_status, ended.output) == (Ending.ENDED, 0, b"said %d\n" % number)


def test_standard_error_keeps_its_end() -> None:
    with Launcher(Limits()) as launcher:
        ended = launcher.run([SHELL, "-c", "head -c 1000000 /dev/zero >&2; echo last >&2"])
    assert ended.errors.endswith(b"\0last\n")
    assert len(ended.errors) <= 1 << 16


def test_a_program_that_cannot_be_executed() -> None:
    with Launcher(Limits()) as launcher:
        ended = launcher.run(["/no/such/program"])
        assert (ended.ending, ended.status, ended.signal) == (Ending.NOT_STARTED, 2, None)
        assert launcher.run([SHELL, "-c", "exit 3"]).exit_status == 3
    resident = Resident(["/no/such/program"], Limits())
    ending = resident.wait(60)
    resident.close()
    assert ending is not None
    assert (ending.ending, ending.status) == (Ending.NOT_STARTED, 2)


def test_programs_start_as_from_a_shell() -> None:
    """In a session of their own, with the usual signals and no descriptor but three."""
    text = "cut -d ' ' -f 1,5,6 /proc/self/stat; grep SigIgn /proc/self/status; ls /proc/self/fd"
    with Launcher(Limits()) as launcher:
        ended = launcher.run([SHELL, "-c", f"echo $$; {text}"])
    shell, stat, ignored, *descriptors = ended.output.decode().splitlines()
    assert stat.split()[1:] == [shell, shell]
    assert int(ignored.split()[1], 16) & 0x7FFFFFFF == 0  # beyond are those of the C library
    assert descriptors == ["0", "1", "2", "3"]  # the last is that of ls


def test_a_resident_program_is_talked_to_and_killed_with_its_descendants(tmp_path: Path, contained: bool) -> None:
    name, ready = new_name(), tmp_path / "ready"
    text = f"setsid sh -c 'trap \"\" TERM; touch {ready}; while :; do sleep 1; done' & cat"
    resident = Resident([SHELL, "-c", text], Limits(contained=contained), environment=marked(name))
    os.write(resident.stdin, b"hello")
    assert os.read(resident.stdout, 100) == b"hello"
    assert resident.wait(0.01) is None
    wait_until(ready.exists)
    assert resident.kill().signal == "SIGKILL"
    resident.close()
    assert survivors(name) == []


def test_a_resident_program_that_ends_says_how() -> None:
    resident = Resident([SHELL, "-c", "kill -BUS $$"], Limits())
    ended = resident.wait(60)
    assert ended is not None
    assert ended.signal == "SIGBUS"
    assert os.read(resident.stdout, 1) == b""
    resident.close()
