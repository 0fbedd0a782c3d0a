# SPDX-License-Identifier: Apache-2.0
"""C arrays hold the program they are made of."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from bpf_isa.conformance.cli import main
from bpf_isa.conformance.results.c_array import c_array
from bpf_isa.spec.asm.assemble import assemble
from bpf_isa.spec.encoding import Slot, pack

HERE = Path(__file__).parents[1]


def slots(text: str) -> bytes:
    """Read an array back."""
    calls = re.findall(r"^ {8}BPF_RAW_INSN\((0x..), (\d+), (\d+), (-?\d+), (.*?)\),", text, re.MULTILINE)
    least = {"(-2147483647 - 1)": str(-(2**31))}
    return pack([Slot(int(op, 16), *map(int, (*more, least.get(imm, imm)))) for op, *more, imm in calls], "little")


@given(st.lists(st.binary(min_size=8, max_size=8)).map(b"".join))
def test_any_code_can_be_read_back(code: bytes) -> None:
    assert slots(c_array(code)) == code


def test_instructions_have_their_assembly_beside_them() -> None:
    code = assemble("r1 = 0x123456789abcdef0 ll\nr0 = -2147483648\nexit", "little")
    assert c_array(code).splitlines() == [
        "static struct bpf_insn insns[] = {",
        "        BPF_RAW_INSN(0x18, 1, 0, 0, -1698898192), /* r1 = 0x123456789abcdef0 ll */",
        "        BPF_RAW_INSN(0x00, 0, 0, 0, 305419896),",
        "        BPF_RAW_INSN(0xb7, 0, 0, 0, (-2147483647 - 1)), /* r0 = -2147483648 */",
        "        BPF_RAW_INSN(0x95, 0, 0, 0, 0), /* exit */",
        "};",
    ]


def test_failures_of_a_run_are_told_with_their_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)
    words = ["run", "-qq", "--vectors", HERE / "data" / "sample.yaml", "-r", "mine=python:faulty:add_forgets_the_carry"]
    run = CliRunner().invoke(main, [*map(str, words), "-j", "1", "--json", str(tmp_path / "r.json")])
    assert run.exit_code == 1, run.output
    done = CliRunner().invoke(main, ["kernel", "explain", str(tmp_path / "r.json")])
    assert done.exit_code == 0
    assert "add64-x/carries: the runtime computed something else" in done.output
    assert "\n        BPF_RAW_INSN(0x0f, " in done.output
    none = CliRunner().invoke(main, ["kernel", "explain", str(tmp_path / "r.json"), "no/such/vector"])
    assert (none.exit_code, none.output) == (1, "")
