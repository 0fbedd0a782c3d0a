# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa verify`` as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = str(Path(sys.executable).with_name("bpf-isa"))


def verify(program: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [SCRIPT, "verify", *options, "-"]
    return subprocess.run(command, input=program, capture_output=True, text=True, timeout=60, check=False)


def test_a_right_program() -> None:
    done = verify("r0 = 1\nexit\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 errors, 0 warnings" in done.stdout


def test_warnings_do_not_fail() -> None:
    done = verify("r0 = 1\nexit\nexit\n")
    assert done.returncode == 0
    assert "slot 2: warning: unreachable" in done.stdout
    assert "0 errors, 1 warning\n" in done.stdout


def test_every_finding_with_its_slot_its_rule_and_the_instruction() -> None:
    done = verify("r10 = 1\ngoto +7\n.byte 0xff, 0, 0, 0, 0, 0, 0, 0\nexit\n")
    assert done.returncode == 1
    assert "slot 0: error: write-to-frame-pointer" in done.stdout
    assert "slot 1: error: jump-out-of-range" in done.stdout
    assert "slot 2: error: unknown-opcode" in done.stdout
    assert "r10 = 1" in done.stdout
    assert "05 00 07 00 00 00 00 00    goto +7" in done.stdout


def test_findings_as_json() -> None:
    done = verify("r0 /= 2\nexit\n", "--group", "base64", "--json", "-")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    (finding,) = document["findings"]
    assert (document["valid"], document["safe"]) == (False, None)
    assert (finding["slot"], finding["rule"], finding["severity"]) == (0, "outside-groups", "error")


def test_a_group_allows_what_it_includes() -> None:
    assert verify("w0 /= 2\nexit\n", "--group", "divmul64").returncode == 0


@pytest.mark.parametrize("order", ["little", "big"])
def test_hexadecimal_programs_in_either_byte_order(order: str) -> None:
    program = {"little": "b4000000 01000000 95000000 00000000", "big": "b4000000 00000001 95000000 00000000"}[order]
    assert verify(program, "--byte-order", order).returncode == 0


def test_a_length_that_is_no_number_of_slots_is_a_finding() -> None:
    done = verify("b4000000 01000000 950000")
    assert done.returncode == 1
    assert "bad-length" in done.stdout


def test_what_is_no_program_is_one_error_and_status_2() -> None:
    done = verify("r0 = = 1\n")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "-:1:6" in done.stderr or "<stdin>:1:6" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_file_is_one_error_and_status_2() -> None:
    done = subprocess.run([SCRIPT, "verify", "/nonexistent"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


AT_AN_INDEX = "r3 = *(u8 *)(r1 + 0)\nr1 += r3\nr0 = *(u8 *)(r1 + 0)\nexit\n"


def test_what_is_safe_and_within_how_many_instructions() -> None:
    done = verify(AT_AN_INDEX, "--safety", "--memory-bytes", "256")
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        "safe with 256 bytes of memory, shown by invariants; instructions until it ends: at most 4 inst" in done.stdout
    )
    done = verify("r0 = 1\nexit\n", "--safety", "--json", "-", "--map-bytes", "8")
    assert json.loads(done.stdout)["safe"] == {"most_steps": 2, "method": "invariants"}
    done = verify("again:\ngoto again\n", "--safety")
    assert "no bound was found" in done.stdout


def test_why_a_program_is_not_known_to_be_safe() -> None:
    done = verify(AT_AN_INDEX, "--safety", "--memory-bytes", "255")
    assert done.returncode == 1
    assert "slot 2: error: not-proved-safe: LDX_MEM_B: r1: the input memory has offsets 0 to 255" in done.stdout
    assert "r0 = *(u8 *)(r1 + 0)" in done.stdout
    assert "1 error, 0 warnings" in done.stdout
    assert verify(AT_AN_INDEX).returncode == 0


def test_sizes_are_for_the_proof_of_safety_only() -> None:
    done = verify("exit\n", "--memory-bytes", "8")
    assert done.returncode == 2
    assert "--memory-bytes and --map-bytes are for --safety" in done.stderr


@pytest.mark.parametrize("option", ["--memory-bytes", "--map-bytes"])
def test_sizes_that_no_machine_has_are_an_error(option: str) -> None:
    done = verify("exit\n", "--safety", option, "99999999999")
    assert done.returncode == 2
    assert "is not in the range" in done.stderr
