# SPDX-License-Identifier: Apache-2.0
"""Real runtimes through the plugin protocol: our own, and those that the environment names."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ..survivors import marked, new_name, survivors, wait_until
from .conftest import Script

BPF_ISA = [sys.executable, "-c", "from bpf_isa.conformance.cli import main; main()"]
OURS = shlex.join([*BPF_ISA, "plugin"])

VECTORS = """# SPDX-License-Identifier: Apache-2.0
source: {name: test, method: hand}
vectors:
  - id: add
    what: "a sum"
    covers: [rfc9669-4.1-add]
    asm: |
      r0 = {a} ll
      r0 += {b}
      exit
    cases:
      one: {a: "0xffffffff", b: "1", r0: "0x100000000"}
      wraps: {a: "-1", b: "1", r0: "0"}
  - id: store
    what: "registers and memory are seen through R0"
    covers: [rfc9669-5.1-stx-mem-b]
    memory: "00*8"
    asm: |
      r6 = 0x1122 ll
      *(u8 *)(r1 + 3) = r6
      r0 = 5
      exit
    expect: {r0: "5", registers: {r6: "0x1122"}, memory: "00 00 00 22 00*4"}
  - id: bad-register
    what: "there is no r11"
    level: robustness
    covers: [rfc9669-3.1-registers]
    code: "b40b0000 00000000 b4000000 2a000000 95000000 00000000"
    expect: {rejected: true, witness: {r0: "42"}}
"""


def run_suite(folder: Path, *arguments: str, vectors: str = VECTORS) -> tuple[int, dict[str, Any], str]:
    """Run vectors on runtimes; return exit status, results and what was printed."""
    file = folder / "vectors.yaml"
    file.write_text(vectors)
    results = folder / "results.json"
    words = ["run", "--vectors", str(file), "--json", str(results), "-j", "1", *arguments]
    done = subprocess.run([*BPF_ISA, *words], capture_output=True, text=True, cwd=folder, check=False)
    document = json.loads(results.read_text()) if results.exists() else {}
    return done.returncode, document, done.stdout + done.stderr


def verdicts(document: dict[str, Any], name: str) -> dict[str, str]:
    (found,) = (runtime for runtime in document["runtimes"] if runtime["name"] == name)
    return {vector: result["verdict"] for vector, result in found["results"].items()}


@pytest.mark.long
def test_our_engines_as_plugins_pass(tmp_path: Path, script: Script) -> None:
    plugin = script(f'exec {OURS} "$@"')
    status, document, said = run_suite(tmp_path, "-r", f"vm=plugin:{plugin}", "-r", f"jit=plugin:{plugin}:--engine jit")
    assert status == 0, said
    assert set(verdicts(document, "vm").values()) == {"pass"}
    assert set(verdicts(document, "jit").values()) == {"pass"}


def test_arguments_for_all_plugins(tmp_path: Path, script: Script) -> None:
    # A plugin that is right only with its arguments.
    plugin = script(
        f'for last; do :; done; test "$last" = --engine=jit && exec {OURS} "$@"; exec {OURS} --no-such-option'
    )
    status, document, said = run_suite(tmp_path, "-r", f"a=plugin:{plugin}", "--plugin-args", "--engine=jit")
    assert status == 0, said
    assert [runtime["identity"]["name"] for runtime in document["runtimes"]] == ["plugin --engine=jit"]


def test_a_configured_plugin_runs_without_being_named(tmp_path: Path, script: Script) -> None:
    script(f'exec {OURS} "$@"')
    configuration = '[runtimes.ours]\nuse = "plugin:./plugin"\nargs = ["--engine", "jit"]\ngroups = ["base64"]\n'
    (tmp_path / "bpf-isa.toml").write_text(configuration)
    status, document, said = run_suite(tmp_path)
    assert status == 0, said
    assert set(verdicts(document, "ours").values()) == {"pass"}
    assert {"reference", "ours"} <= {runtime["name"] for runtime in document["runtimes"]}


@pytest.mark.long
def test_misbehaviour_never_ends_a_run(tmp_path: Path, script: Script) -> None:
    # It behaves in another way for each of the programs.
    plugin = script(
        "read program\ncase $program in *ff*) kill -SEGV $$;; b4*) echo no r11 >&2; exit 1;; 18*) sleep 1000;; esac"
    )
    status, document, said = run_suite(tmp_path, "-r", f"bad=plugin:{plugin}", "-r", "reference", "--timeout", "2")
    assert status == 1, said
    assert verdicts(document, "bad") == {
        "add/one": "fail",
        "add/wraps": "fail",
        "store": "fail",
        "bad-register": "pass",
    }
    assert set(verdicts(document, "reference").values()) == {"pass"}


ANSWERS = """# SPDX-License-Identifier: Apache-2.0
source: {name: test, method: hand}
vectors:
  - id: answer
    what: "a number"
    covers: [rfc9669-4.1-mov]
    asm: |
      r0 = {value}
      exit
    cases:
      first: {value: "42", r0: "42"}
      second: {value: "0x2a", r0: "42"}
      third: {value: "0x2A", r0: "42"}
"""
#: What a plugin does before it gives the right answer, if it comes to that, and the verdicts, in namespaces or not.
DEEDS = {
    "attacks": ("setsid sleep 1000 & kill -KILL $PPID", "pass", "fail"),
    "crashes": ("setsid sleep 1000 & kill -SEGV $$", "fail", "fail"),
}


@pytest.mark.parametrize("deed,inside,outside", DEEDS.values(), ids=DEEDS)
def test_every_vector_goes_wrong_and_the_run_goes_on(
    tmp_path: Path, script: Script, contained: bool, deed: str, inside: str, outside: str
) -> None:
    name = new_name()
    configure(tmp_path, script(f"{deed}; echo 2a"), contained, name)
    status, document, said = run_suite(tmp_path, "-r", "bad", "-r", "reference", vectors=ANSWERS)
    expected = inside if contained else outside
    assert status == int(expected == "fail"), said
    assert list(verdicts(document, "bad").values()) == [expected] * 3
    assert list(verdicts(document, "reference").values()) == ["pass"] * 3
    assert survivors(name) == []


def test_nothing_survives_the_death_of_the_harness(tmp_path: Path, script: Script, contained: bool) -> None:
    name, busy = new_name(), tmp_path / "busy"
    configure(
        tmp_path, script(f"read p; case $p in 18*) setsid sleep 1000 & touch {busy}; sleep 1000;; esac"), contained
    )
    (tmp_path / "vectors.yaml").write_text(VECTORS)
    words = [*BPF_ISA, "run", "-r", "bad", "--vectors", "vectors.yaml", "--timeout", "1000", "-j", "2"]
    harness = subprocess.Popen(words, cwd=tmp_path, env={**os.environ, **marked(name)}, stdout=subprocess.DEVNULL)
    wait_until(busy.exists)
    harness.kill()
    harness.wait()
    wait_until(lambda: not survivors(name))


def configure(folder: Path, plugin: Path, contained: bool, name: str = "") -> None:
    """Name the plugin `bad` for runs in a folder."""
    lines = [f'use = "plugin:{plugin}"', f"contained = {str(contained).lower()}"]
    lines += [f'environment = {{{key} = "{value}"}}' for key, value in marked(name).items()] if name else []
    (folder / "bpf-isa.toml").write_text("\n".join(["[runtimes.bad]", *lines]))


def test_a_plugin_that_cannot_be_used_is_one_line_and_the_others_run(tmp_path: Path) -> None:
    status, document, said = run_suite(tmp_path, "-r", "gone=plugin:./gone", "-r", "reference")
    assert status == 2
    assert re.search(r"^gone was not run: .*/gone: there is no such file: build it", said, re.MULTILINE)
    assert set(verdicts(document, "reference").values()) == {"pass"}


# The command itself


def ours(program: str, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run([*BPF_ISA, "plugin", *arguments], input=program, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


LOAD = {"little": "61 10 00 00 00 00 00 00 95 00 00 00 00 00 00 00", "big": "61 01 00 00 00 00 00 00 95" + " 00" * 7}


@pytest.mark.parametrize("engine", ["reference", "jit"])
def test_r0_is_printed_in_hex(engine: str) -> None:
    for order, value in ("little", "4030201"), ("big", "1020304"):
        assert ours(LOAD[order], "01 02 03 04", "--byte-order", order, "--engine", engine) == (0, f"{value}\n", "")
    assert ours(LOAD[sys.byteorder], "01020304", "--engine", engine)[0] == 0


def test_errors_are_one_line_on_standard_error() -> None:
    assert ours(LOAD["little"], "--byte-order", "little")[:2] == (1, "")
    assert ours(LOAD["little"], "--byte-order", "little")[2].startswith("out-of-bounds: slot 0: ")
    assert ours("ff" * 8)[:2] == (1, "")
    assert ours("ff" * 8 + LOAD["little"])[2].startswith("unknown-opcode: slot 0: ")
    for program, memory in (("zz", ""), (LOAD["little"], "0g")):
        status, said, error = ours(program, memory)
        assert (status, said) == (2, "")
        assert len(error.splitlines()) == 1


# Others' runtimes


@pytest.mark.parametrize("engine", ["", "--jit"])
@pytest.mark.parametrize("variable", ["BPF_ISA_UBPF_PLUGIN", "BPF_ISA_RBPF_PLUGIN"])
def test_plugins_of_other_projects(tmp_path: Path, variable: str, engine: str) -> None:
    """The vectors above are within what uBPF and rbpf do right."""
    path = os.environ.get(variable)
    if not path:
        pytest.skip(f"not run: {variable} does not name an executable")
    settings = f'use = "plugin:{path}"\nargs = {json.dumps(shlex.split(engine))}\nempty-memory = true\n'
    (tmp_path / "bpf-isa.toml").write_text(f"[runtimes.other]\n{settings}")
    status, document, said = run_suite(tmp_path, "-r", "other")
    assert status == 0, said
    assert set(verdicts(document, "other").values()) == {"pass"}
