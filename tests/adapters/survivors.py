# SPDX-License-Identifier: Apache-2.0
"""What is left of programs that tests start, wherever it hides: daemons, zombies, stopped processes, namespaces.

Programs have a name of their own, or a variable in their environment that their descendants inherit.
"""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import uuid4

VARIABLE = "BPF_ISA_TEST"


def new_name() -> str:
    """Return a name that no other process has, as short as the kernel keeps them."""
    return f"t{uuid4().hex[:14]}"


def marked(name: str) -> Mapping[str, str]:
    """Return the variable that makes processes survivors of `name`."""
    return {VARIABLE: name}


def survivors(name: str) -> list[str]:
    """Return number, state and program of each process of that name, or with it in its environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            number, _, rest = (process / "stat").read_text(errors="replace").partition(" (")
            program, _, state = rest.rpartition(") ")
            if program == name or f"{VARIABLE}={name}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append(f"{number} {state[0]} {program}")
        except OSError:  # it has just ended, or is another user's
            continue
    return found


def children(parent: int) -> list[int]:
    """Return the children of a process, dead ones included."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text(errors="replace")
        except OSError:
            continue
        if int(text.rpartition(")")[2].split()[1]) == parent:
            found.append(int(text.split()[0]))
    return found


def belongings() -> tuple[set[str], set[int]]:
    """Return the descriptors and the children of this process."""
    return {path.name for path in Path("/proc/self/fd").iterdir()}, set(children(os.getpid()))


def wait_until(there: Callable[[], bool]) -> None:
    """Wait for what comes soon, or else never: a test that hangs says less than one that fails."""
    until = time.monotonic() + 120
    while not there():
        assert time.monotonic() < until
        time.sleep(0.005)
