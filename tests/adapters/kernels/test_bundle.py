# SPDX-License-Identifier: Apache-2.0
"""Bundles: made here, run by nothing but their guest, judged here."""

import json
import platform
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bpf_isa.adapters.kernels.architectures import ARCHITECTURES
from bpf_isa.adapters.kernels.bundle import selection_of
from bpf_isa.adapters.linux.adapter import LinuxAdapter
from bpf_isa.conformance.cli import main

VECTORS = Path(__file__).parents[3] / "conformance" / "vectors"
NATIVE = [one.name for one in ARCHITECTURES.values() if one.machine == platform.machine()]


def bpf_isa(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, kernel: LinuxAdapter) -> Path:
    """A bundle for this machine, and what its guest wrote."""
    del kernel  # it is there
    assert NATIVE, f"there is no guest for {platform.machine()}"
    folder = tmp_path_factory.mktemp("bundle")
    done = bpf_isa("kernel", "bundle", folder, "--arch", NATIVE[0], "--vectors", VECTORS / "byteswap.yaml")
    assert done.exit_code == 0, done.output
    assert "36 of 36 vectors are in" in done.output
    with (folder / "jobs").open() as jobs, (folder / "out").open("w") as out:
        subprocess.run([folder / "guest"], stdin=jobs, stdout=out, check=True)
    return folder


def test_the_verdicts_are_those_of_the_kernel(bundle: Path, tmp_path: Path) -> None:
    done = bpf_isa("kernel", "judge", bundle / "out", "--json", tmp_path / "there.json", "-qq")
    assert done.exit_code == 0, done.output
    bpf_isa("run", "-qq", "-r", "linux", "--vectors", VECTORS / "byteswap.yaml", "--json", tmp_path / "here.json")
    there, here = (json.loads((tmp_path / f"{name}.json").read_text())["runtimes"][0] for name in ("there", "here"))
    assert there["identity"]["kernel_release"] == here["identity"]["kernel_release"]
    assert there["identity"]["engine"] == here["identity"]["engine"]
    verdicts = [{name: one["verdict"] for name, one in run["results"].items()} for run in (there, here)]
    assert verdicts[0] == verdicts[1]


def test_where_it_stopped_is_a_crash_and_the_rest_has_no_answer(bundle: Path) -> None:
    whole = (bundle / "out").read_bytes().splitlines(keepends=True)
    (bundle / "cut").write_bytes(b"".join(whole[:20]) + b"[   12.3] Oops: invalid opcode [#1]\n[   12.4] RIP: 0\n")
    done = bpf_isa("kernel", "judge", bundle / "cut", "-v")
    assert done.exit_code == 1
    assert "has no answer to it" in done.output
    assert "1 crashed" in done.output
    assert "Oops: invalid opcode" in done.output


def test_what_is_no_bundle_is_said(tmp_path: Path, bundle: Path) -> None:
    (tmp_path / "out").write_text("nothing\n")
    done = bpf_isa("kernel", "judge", tmp_path / "out")
    assert (done.exit_code, "has no bundle.json that bpf-isa kernel bundle wrote" in done.output) == (2, True)
    (bundle / "empty").write_text("nothing\n")
    done = bpf_isa("kernel", "judge", bundle / "empty")
    assert done.exit_code == 2
    assert "the guest says nothing of its machine" in done.output


def test_a_bundle_of_a_tier_is_judged_by_that_tier(tmp_path: Path, kernel: LinuxAdapter) -> None:
    del kernel
    done = bpf_isa("kernel", "bundle", tmp_path, "--arch", NATIVE[0], "--tier", "smoke")
    assert done.exit_code == 0, done.output
    assert selection_of(tmp_path / "out") == ["--tier", "smoke"]


def test_architectures_are_named() -> None:
    done = bpf_isa("kernel", "bundle", "x", "--arch", "vax")
    assert (done.exit_code, "'vax' is no architecture that can be tested" in done.output) == (2, True)
