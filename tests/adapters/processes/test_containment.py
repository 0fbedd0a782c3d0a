# SPDX-License-Identifier: Apache-2.0
"""Whatever a program under test does, it gets the outcome that it deserves, and nothing of it survives."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from bpf_isa.adapters.plugin.outcome import outcome_of
from bpf_isa.adapters.processes.client import Launcher, Limits, Resident, containment
from bpf_isa.adapters.processes.containment import OWN_PID_MAX, PID_NAMESPACE, REAPER, USER_NAMESPACE, release
from bpf_isa.adapters.processes.ending import Ending

from ..compiling import compile_c
from ..survivors import belongings, children, marked, new_name, survivors, wait_until

#: Small enough that nothing here can hurt the machine.
LIMITS = Limits(seconds=60, memory=128 << 20, processes=40, written=8 << 20)


@pytest.fixture(scope="session")
def misbehaving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("misbehaving") / "program"
    return compile_c(Path(__file__).with_name("misbehaving.c"), target)


@pytest.fixture
def program(misbehaving: Path, tmp_path: Path) -> Path:
    """The program, with a name of its own."""
    return Path(shutil.copy(misbehaving, tmp_path / new_name()))


class Deed(NamedTuple):
    """What the program does, and its outcome: how the reason begins, which is none where it returns 42."""

    words: str
    reason: str = ""
    without_namespaces: str | None = None


DEEDS = {
    "nothing": Deed(""),
    "a chain of forks": Deed("chain 300"),
    "a daemon": Deed("daemon"),
    "kills the keeper": Deed("signal 9", "", "abandoned: the process that watches over it was killed or stopped"),
    "stops the keeper": Deed("signal 19", "", "abandoned: the process that watches over it was killed or stopped"),
    "tells the keeper to end": Deed("signal 15"),
    "many processes": Deed("crowd 60", "crowded: 40 of its processes ran at once"),
    "much memory": Deed("eat", "signal: killed by SIGABRT"),
    "many files": Deed("fill 32", "filled: it wrote more than 8 MiB to files or pipes"),
    "a crash": Deed("crash", "signal: killed by SIGSEGV"),
}


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
def test_each_deed_has_its_outcome_and_nothing_survives(program: Path, contained: bool, deed: Deed) -> None:
    limits = LIMITS._replace(contained=contained)
    expected = deed.reason if contained or deed.without_namespaces is None else deed.without_namespaces
    before = belongings()
    with Launcher(limits, program.parent, marked(program.name)) as launcher:
        for words in (deed.words, deed.words, ""):
            outcome = outcome_of(launcher.run([str(program), *words.split()]), limits)
            if expected and words:
                assert (outcome.kind, str(outcome.reason)) == ("crashed", expected)
            else:
                assert (outcome.kind, outcome.r0, str(outcome.reason)) == ("returned", 0x2A, "")
            assert [one for one in survivors(program.name) if one.endswith(program.name)] == []
    assert survivors(program.name) == []
    assert belongings() == before


@pytest.mark.parametrize("deed", ["chain-and-wait 300", "signal-and-wait 15"])
def test_when_the_time_is_up_all_is_killed(program: Path, contained: bool, deed: str) -> None:
    limits = LIMITS._replace(seconds=0.3, contained=contained)
    with Launcher(limits, program.parent, marked(program.name)) as launcher:
        assert launcher.run([str(program), *deed.split()]).ending is Ending.TIMED_OUT
        assert [one for one in survivors(program.name) if one.endswith(program.name)] == []
    assert survivors(program.name) == []


@pytest.mark.parametrize(
    "deed,ending,outside",
    [
        ("chain 300", Ending.ENDED, Ending.ENDED),
        ("signal-and-wait 9", None, Ending.ABANDONED),
        ("signal-and-wait 19", None, Ending.ABANDONED),
        ("crowd 60", Ending.CROWDED, Ending.CROWDED),
        ("fill 32", Ending.FILLED, Ending.FILLED),
        ("crash", Ending.ENDED, Ending.ENDED),
    ],
)
def test_a_program_that_stays_is_watched_as_well(
    program: Path, contained: bool, deed: str, ending: Ending | None, outside: Ending
) -> None:
    limits = LIMITS._replace(contained=contained)
    resident = Resident([str(program), *deed.split()], limits, program.parent, marked(program.name))
    expected = ending if contained else outside
    if expected is None:
        # It has done its deed, and nothing has come of that.
        wait_until(lambda: any(one.endswith(program.name) for one in survivors(program.name)))
        assert resident.wait(0.3) is None
        assert resident.kill().signal == "SIGKILL"
    else:
        ended = resident.wait(120)
        assert ended is not None and ended.ending is expected
    resident.close()
    assert survivors(program.name) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_the_death_of_the_keeper_is_the_death_of_all(program: Path, contained: bool, number: signal.Signals) -> None:
    before = set(children(os.getpid()))
    limits = LIMITS._replace(contained=contained)
    resident = Resident([str(program), "chain-and-wait", "300"], limits, program.parent, marked(program.name))
    wait_until(lambda: any(one.endswith(program.name) for one in survivors(program.name)))
    (guard,) = set(children(os.getpid())) - before
    (keeper,) = children(guard)
    os.kill(keeper, number)
    ended = resident.wait(120)
    assert ended is not None and ended.ending is Ending.ABANDONED
    resident.close()
    assert survivors(program.name) == []


def test_the_death_of_the_guard_is_the_death_of_all_in_namespaces(program: Path) -> None:
    if containment().kind == REAPER:
        pytest.skip("not run: here programs run outside of namespaces")
    before = set(children(os.getpid()))
    resident = Resident([str(program), "chain-and-wait", "300"], LIMITS, program.parent, marked(program.name))
    wait_until(lambda: any(one.endswith(program.name) for one in survivors(program.name)))
    (guard,) = set(children(os.getpid())) - before
    os.kill(guard, signal.SIGKILL)
    wait_until(lambda: not survivors(program.name))
    resident.close()


def test_a_namespace_has_room_for_so_many_processes() -> None:
    if containment().kind == REAPER or release() < OWN_PID_MAX:
        pytest.skip(
            f"not run: before Linux {OWN_PID_MAX[0]}.{OWN_PID_MAX[1]}, or outside of namespaces, there is no such limit"
        )
    limit = Path("/proc/sys/kernel/pid_max")
    before = limit.read_text()
    with Launcher(LIMITS) as launcher:
        assert launcher.run(["/bin/cat", str(limit)]).output == b"340\n"
    assert limit.read_text() == before


# Other identities: in a subprocess, because there is no way back from them

#: What the machine allows, and whether a program can hurt its keeper; whoever runs it needs nothing but a shell.
REPORT = """
from bpf_isa.adapters.processes.client import Limits, Launcher, containment
with Launcher(Limits()) as launcher:
    said = launcher.run(["/bin/sh", "-c", "kill -KILL $PPID; setsid sleep 1000 & id -u"])
    print(containment().kind, said.ending.name, said.output.decode().strip() or "-")
"""
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
# The interpreter may lie where only root can read.
READING = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
POWERLESS = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
NO_NAMESPACES = ["unshare", "--user", "--map-root-user", "sh", "-c"]
NO_NAMESPACES += ['echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"', "sh"]


def report(*command: str) -> list[str]:
    """Return what the report says, run by way of `command`; skip the test if that is not to be had here."""
    if not shutil.which(command[0]):
        pytest.skip(f"not run: there is no {command[0]}")
    tried = subprocess.run([*command, "true"], stderr=subprocess.PIPE, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"not run: {tried.stderr.strip()}")
    name = new_name()
    done = subprocess.run(
        [*command, sys.executable, "-c", REPORT],
        env={**os.environ, **marked(name)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert survivors(name) == []
    return done.stdout.split()


def test_another_user_needs_a_user_namespace_and_stays_who_it_is() -> None:
    kind, ending, user = report(*NOBODY, *READING)
    if kind == REAPER:
        pytest.skip("not run: here only root can use namespaces")
    assert (kind, ending, user) == (USER_NAMESPACE, "ENDED", "65534")


def test_root_without_its_power_is_another_user() -> None:
    kind, ending, user = report(*POWERLESS)
    if kind == REAPER:
        pytest.skip("not run: here only root can use namespaces")
    assert (kind, ending, user) == (USER_NAMESPACE, "ENDED", "0")


def test_without_namespaces_there_is_the_reaper() -> None:
    assert report(*NO_NAMESPACES, *POWERLESS) == [REAPER, "ABANDONED", "-"]


def test_root_needs_no_user_namespace() -> None:
    found = containment()
    if os.geteuid() or found.kind != PID_NAMESPACE:
        pytest.skip(f"not run: here programs run {found.where}")
    assert report("env")[:2] == [PID_NAMESPACE, "ENDED"]
