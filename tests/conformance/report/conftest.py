# SPDX-License-Identifier: Apache-2.0
"""Results of real runs over the sample vectors, and the reports made of them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pytest
from click.testing import CliRunner

from bpf_isa.conformance.cli import main

HERE = Path(__file__).parent
SAMPLE = HERE.parent / "data" / "sample.yaml"
COMMAND = Path(sys.executable).with_name("bpf-isa")
#: Names of runtimes with what they are: correct ones in both byte orders, wrong ones, one that claims little, none.
RUNTIMES = {
    "reference": "reference",
    "big": "reference:big",
    "<i>no carry</i>": "python:faulty:add_forgets_the_carry",
    "clobbers": "python:faulty:clobbers_r6_and_shows_r0_only",
    "claims": "python:faulty:claims_base32",
    "gone": "python:faulty:unavailable",
}

Json: TypeAlias = dict[str, Any]


class Done(NamedTuple):
    """The result of a command."""

    returncode: int
    stdout: str
    stderr: str


BpfIsa: TypeAlias = Callable[..., Done]


@pytest.fixture(scope="session")
def command() -> BpfIsa:
    """The command, as people run it."""

    def run(*arguments: str | Path, folder: Path | None = None) -> Done:
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
        words = [str(COMMAND), *map(str, arguments)]
        done = subprocess.run(
            words, env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=300
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def bpf_isa() -> BpfIsa:
    """The command without a process of its own: it need not read the specification again each time."""

    def run(*arguments: str | Path, folder: Path | None = None) -> Done:
        with chdir(folder or Path.cwd()):
            done = CliRunner().invoke(main, [*map(str, arguments)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Done(done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def measured(command: BpfIsa, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the results of a run, as `r.json`, and its JUnit XML, as `r.xml`."""
    folder = tmp_path_factory.mktemp("measured")
    runtimes = [part for name, kind in RUNTIMES.items() for part in ("-r", f"{name}={kind}")]
    done = command(
        "run", "--vectors", SAMPLE, *runtimes, "--json", folder / "r.json", "--junit", folder / "r.xml", "-j", "1"
    )
    assert done.returncode == 1, done.stderr
    return folder


@pytest.fixture
def results(measured: Path) -> Json:
    """The results, to be changed at will."""
    data: Json = json.loads((measured / "r.json").read_text(encoding="utf-8"))
    return data


@pytest.fixture(scope="session")
def site(bpf_isa: BpfIsa, measured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site made of the results."""
    folder = tmp_path_factory.mktemp("site")
    done = bpf_isa("report", measured / "r.json", "--html", folder)
    assert (done.returncode, done.stderr) == (0, f"{folder}/index.html\n")
    return folder


def write(data: Json, path: Path) -> Path:
    """Write results that a test has changed."""
    path.write_text(json.dumps(data), encoding="utf-8")
    return path
