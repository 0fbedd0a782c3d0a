# SPDX-License-Identifier: Apache-2.0
"""`bpf-isa exec`: what it prints for programs in each format, and for what is no program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bpf_isa.conformance.cli import main
from bpf_isa.spec.asm.assemble import assemble

NEGATIVE = "r0 = -13\nr0 s/= 3\nexit\n"


def invoke(file: Path, content: str | bytes, *options: str) -> Result:
    """Run the command on a file with ``content``."""
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return CliRunner().invoke(main, ["exec", str(file), *options])


@pytest.mark.parametrize(
    "content",
    [NEGATIVE, assemble(NEGATIVE), assemble(NEGATIVE).hex(), assemble(NEGATIVE).hex(" ", 8).upper() + "\n"],
    ids=["assembly", "bytes", "hex", "hex in groups"],
)
def test_a_result_in_three_readings(tmp_path: Path, content: str | bytes) -> None:
    result = invoke(tmp_path / "program", content)
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "returned after 3 instructions",
        "r0 = 0xfffffffffffffffc  unsigned 18446744073709551612  signed -4",
    ]


def test_memory_and_maps_that_changed(tmp_path: Path) -> None:
    text = "*(u16 *)(r1 + 1) = 258\nr2 = map_val(map_by_fd(1)) + 3\n*(u8 *)(r2 + 0) = 9\nexit"
    options = ["--memory", "aa bb cc dd", "--map", "01", "--map", "00000000"]
    little = invoke(tmp_path / "program", text, *options)
    assert little.output.splitlines()[2:] == ["memory = aa0201dd", "map 1 = 00000009"]
    big = invoke(tmp_path / "program", text, *options, "--byte-order", "big")
    assert big.output.splitlines()[2:] == ["memory = aa0102dd", "map 1 = 00000009"]


def test_the_trace_has_a_line_per_step(tmp_path: Path) -> None:
    result = invoke(tmp_path / "program", "r0 = 5\nr6 = 4294967296 ll\nr0 += r6\nexit", "--trace")
    assert [" ".join(line.split()) for line in result.output.splitlines()[:4]] == [
        "0 slot 0 r0 = 5 r0 = 0x5",
        "1 slot 1 r6 = 0x100000000 ll r6 = 0x100000000",
        "2 slot 3 r0 += r6 r0 = 0x100000005",
        "3 slot 4 exit",
    ]


def test_a_fault_says_where_what_and_why(tmp_path: Path) -> None:
    result = invoke(tmp_path / "program", "r7 = 66\nr0 = *(u32 *)(r1 + 2)\nexit", "--memory", "01020304")
    assert result.exit_code == 1
    assert "fault: out-of-bounds, after 1 instruction\n" in result.output
    assert "read of 4 bytes at 0x1000000002: 2 bytes past the end of input memory" in result.output
    assert "at slot 1: r0 = *(u32 *)(r1 + 2)    (LDX_MEM_W)" in result.output
    assert "r7 = 0x42" in result.output


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("goto -1", ["--budget", "7"], "fault: budget, after 7 instructions"),
        ("r0 = 1", [], "at slot 1: past the last instruction"),
        ("ff00000000000000", [], "at slot 0: ff 00 00 00 00 00 00 00"),
    ],
)
def test_other_faults(tmp_path: Path, content: str, options: list[str], expected: str) -> None:
    result = invoke(tmp_path / "program", content, *options)
    assert result.exit_code == 1
    assert expected in result.output


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("r0 = 1\nr0 =", [], ":2:5: expected"),
        ("", [], "0 bytes are no program"),
        (b"\x95\0\0", [], "3 bytes are no program"),
        ("95 0", ["--format", "hex"], "pairs of hexadecimal digits"),
        (b"\x95\0\0\0", ["--format", "asm"], "not text: byte 0 is 0x95"),
        ("exit", ["--memory", "0g"], "--memory: expected pairs of hexadecimal digits"),
        ("exit", ["--map", "1"], "--map: expected pairs of hexadecimal digits"),
        ("exit", ["--elf-section", "xdp"], "only an ELF object has sections"),
        (b"\x7fELF\x02\x01\x01", [], "not a sound ELF file"),
        ("exit", ["--budget", "0"], "--budget"),
    ],
)
def test_bad_input_is_one_clear_error(tmp_path: Path, content: str | bytes, options: list[str], expected: str) -> None:
    result = invoke(tmp_path / "program", content, *options)
    assert result.exit_code == 2
    assert expected in result.output
    assert "Traceback" not in result.output
    assert isinstance(result.exception, SystemExit)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["exec", str(tmp_path / "nothing")])
    assert result.exit_code == 2
    assert "No such file" in result.output


def test_standard_input_in_a_process() -> None:
    command = [sys.executable, "-c", "from bpf_isa.conformance.cli import main; main()", "exec", "-"]
    done = subprocess.run(command, input="r0 = 7\nexit", capture_output=True, text=True, check=True)
    assert "r0 = 0x7  unsigned 7  signed 7" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_compiled_code_can_be_ended(tmp_path: Path, number: signal.Signals) -> None:
    program = tmp_path / "endless.s"
    program.write_text("r0 = 0\nagain: r0 *= 3\nr0 += 1\nif r0 != r10 goto again\nexit\n")
    command = [str(Path(sys.executable).with_name("bpf-isa")), "exec", "--engine", "jit", "--budget", str(10**15)]
    with subprocess.Popen([*command, program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            wait_for_processor_time(process.pid, 3)  # by then it is in the loop
            process.send_signal(number)
            output = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, *output) == (-number, b"", b"")


def wait_for_processor_time(pid: int, seconds: float) -> None:
    ticks = 0
    while ticks < seconds * os.sysconf("SC_CLK_TCK"):
        time.sleep(0.05)
        ticks = sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
