# SPDX-License-Identifier: Apache-2.0
"""Files of every kind that a command reads, damaged at random: it refuses them, or takes them for what they are."""

from __future__ import annotations

import copy
import gzip
import json
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from .bad_input import CODE, DATA, NASTY, Json, an_object, places, readers, results, run, written


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Json:
    return results(tmp_path_factory.mktemp("results"))


def mutants(content: bytes) -> st.SearchStrategy[bytes]:
    """Return what damage makes of ``content``: bytes replaced, taken out, put in, and the end cut off."""
    harm = st.sampled_from(
        [b"\x00", b"\xff", NASTY.encode(), b"9" * 5000, b"[" * 3000, b"{" * 3000, b'"', b"\\ud800", b"\n", b"- ", b": "]
    )
    change = st.tuples(st.integers(0, len(content)), st.integers(0, 12), harm | st.binary(max_size=4))

    def changed(changes: list[tuple[int, int, bytes]]) -> bytes:
        found = content
        for start, length, new in changes:
            found = found[:start] + new + found[start + length :]
        return found

    return st.lists(change, min_size=1, max_size=4).map(changed) | st.binary(max_size=200)


def fuzzed(examples: int) -> settings:
    return settings(max_examples=examples, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


ASSEMBLY = b"r0 = 1\nr1 = 0x10 ll\nif r0 > 3 goto out\n*(u32 *)(r10 - 4) = r0\ncall 5\nr0 = bswap64 r0\nout:\nexit\n"


@fuzzed(60)
@given(content=mutants(ASSEMBLY) | mutants(b"b7000000 01000000 # one\n9500000000000000\n") | mutants(an_object(CODE)))
@example(content=b"b70\x1b[31m")
@example(content=NASTY.encode())
def test_programs(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "program"
    file.write_bytes(content)
    run("asm", file)
    run("asm", "--dialect", "mnemonic", file)
    run("disasm", file)
    run("disasm", "--hex", "--labels", file)
    run("exec", "--budget", "1000", file)
    run("verify", file)
    run("verify", "--json", "-", "--format", "asm", file)


@fuzzed(40)
@given(content=mutants((DATA / "sample.yaml").read_bytes()))
def test_vector_files(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "v.yaml"
    file.write_bytes(content)
    run("lint", "-j", "1", "--rule", "expansion", "--rule", "canonical-form", file)
    run("fmt", "--check", file)
    run("run", "--vectors", file, "-k", "nothing-is-called-so")


@fuzzed(40)
@given(content=mutants((DATA / "datafiles" / "sum-of-bytes.data").read_bytes()))
def test_data_files(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.data"
    file.write_bytes(content)
    assert run("run", "--data", file, "-k", "nothing-is-called-so").exit_code == 2


EXPECTATIONS = b"""runtime: bad
expectations:
  - vectors: "smod64/*"
    verdict: fail
    failure: wrong-result
    reason: it is known
    versions: ">=0,<2"
"""


@fuzzed(30)
@given(content=mutants(EXPECTATIONS))
def test_expectation_files(document: Json, tmp_path: Path, content: bytes) -> None:
    results, _ = written(document, tmp_path)
    file = tmp_path / "known.yaml"
    file.write_bytes(content)
    run("gate", "--expectations", file, results)
    run("expect", "--update", file, results)


CONFIGURATION = b"""[runtimes]
mine = "batch:./build/mine --batch"
[runtimes.jit]
use = "plugin:/bin/false"
args = ["--jit"]
groups = ["base64"]
memory = "1 GiB"
"""


@fuzzed(40)
@given(content=mutants(CONFIGURATION))
def test_configuration_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bpf-isa.toml").write_bytes(content)
    with chdir(tmp_path):
        assert run("run", "-r", "no-such-runtime").exit_code == 2


@fuzzed(30)
@given(data=st.data())
def test_result_files(document: Json, tmp_path: Path, data: st.DataObject) -> None:
    """Documents with a value of another kind somewhere, and files with damaged bytes, compressed or not."""
    written(document, tmp_path)[0].replace(tmp_path / "good.json")
    wrong = copy.deepcopy(document)
    if data.draw(st.booleans()):
        path = data.draw(st.sampled_from(list(places(wrong))))
        place: Any = wrong
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = data.draw(
            st.none() | st.booleans() | st.integers() | st.text() | st.just([]) | st.just({}) | st.floats()
        )
        content = json.dumps(wrong).encode()
    else:
        content = data.draw(mutants(json.dumps(wrong).encode()))
    if data.draw(st.booleans()):
        content = data.draw(mutants(gzip.compress(content)) | st.just(gzip.compress(content)))
    file = tmp_path / "r.json"
    file.write_bytes(content)
    for command in readers(file, tmp_path / "good.json", tmp_path):
        if "--html" not in command:  # takes longer than all others, and reads the same
            run(*command)
