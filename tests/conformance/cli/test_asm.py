# SPDX-License-Identifier: Apache-2.0
"""`bpf-isa asm` and `bpf-isa disasm`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bpf_isa.conformance.cli import main
from bpf_isa.spec.asm.assemble import assemble

TEXT = "r0 = 0x100000002 ll\nif r0 s> -1 goto out\nout: exit\n"
HEX = "1800000002000000\n0000000001000000\n65000000ffffffff\n9500000000000000\n"
SHOWN = "r0 = 0x100000002 ll\nif r0 s> -1 goto +0\nexit\n"


def bpf_isa(*args: str | Path, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args], input=stdin)


def test_from_text_to_hex_and_back() -> None:
    assembled = bpf_isa("asm", stdin=TEXT)
    assert (assembled.exit_code, assembled.output) == (0, HEX)
    shown = bpf_isa("disasm", "-", stdin=assembled.output)
    assert (shown.exit_code, shown.output) == (0, SHOWN)


def test_files_and_big_endian(tmp_path: Path) -> None:
    source, program = tmp_path / "x.s", tmp_path / "x.bin"
    source.write_text(TEXT, encoding="utf-8")
    done = bpf_isa("asm", source, "--byte-order", "big", "-o", program)
    assert (done.exit_code, done.output) == (0, "")
    assert program.read_bytes() == assemble(TEXT, "big")
    assert bpf_isa("disasm", program, "--byte-order", "big").output == SHOWN
    assert bpf_isa("asm", source, "--byte-order", "big").output.splitlines()[2] == "65000000ffffffff"


def test_labels_and_slots() -> None:
    shown = bpf_isa("disasm", "--labels", "--slots", stdin=HEX)
    assert shown.output == ("    /* 0 */ r0 = 0x100000002 ll\n    /* 2 */ if r0 s> -1 goto L1\nL1:\n    /* 3 */ exit\n")
    assert bpf_isa("asm", stdin=shown.output).output == HEX


def test_hex_may_have_comments_and_any_space() -> None:
    assert bpf_isa("disasm", stdin="95 00 00 00  # exit\r\n00000000\n\n").output == "exit\n"


def test_bytes_that_look_like_hex() -> None:
    """Eight digits of hex are four bytes, or the eight bytes of a slot that makes no sense."""
    assert bpf_isa("disasm", stdin="95000000").output == ".byte 0x95, 0x00, 0x00, 0x00  # less than a slot\n"
    assert bpf_isa("disasm", "--binary", stdin="95000000").output == (
        ".byte 0x39, 0x35, 0x30, 0x30, 0x30, 0x30, 0x30, 0x30  # opcode 0x39 is not defined\n"
    )


@pytest.mark.parametrize("byte_order", ["little", "big"])
def test_objects(tmp_path: Path, byte_order: str) -> None:
    source = (
        ".text\n f: r0 = 0\n exit\n"
        '.section socket,"ax",@progbits\n r1 = 0x100000002 ll\n r1 = *(u64 *)(r1 + 8)\n exit\n'
        ".data\n .byte 1\n"
    )
    both = compiled(source, byte_order, tmp_path)
    assert bpf_isa("disasm", both, "--elf-section", ".text").output == "r0 = 0\nexit\n"
    assert bpf_isa("disasm", both, "--elf-section", "socket").output == (
        "r1 = 0x100000002 ll\nr1 = *(u64 *)(r1 + 8)\nexit\n"
    )
    for arguments, message in (
        ([], "no single section with code; choose one with --elf-section: .text, socket"),
        (["--elf-section", ".data"], "no .data section with code; choose one with --elf-section: .text, socket"),
    ):
        result = bpf_isa("disasm", both, *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == f"Error: {both}: {message}\n"
    one = compiled("r0 = 7\n", byte_order, tmp_path)
    assert bpf_isa("disasm", one).output == "r0 = 7\n"


def compiled(source: str, byte_order: str, folder: Path) -> Path:
    """Return the object that LLVM makes of ``source``."""
    text, thing = folder / "x.s", folder / "x.o"
    text.write_text(source, encoding="utf-8")
    target = {"little": "bpfel-freestanding", "big": "bpfeb-freestanding"}[byte_order]
    command = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-c", text.name, "-o", thing.name]
    caches = {"ZIG_GLOBAL_CACHE_DIR": str(folder), "ZIG_LOCAL_CACHE_DIR": str(folder)}
    subprocess.run(command, cwd=folder, env=os.environ | caches, check=True, capture_output=True)
    return thing


@pytest.mark.parametrize("places", [range(0x28, 0x30), range(0x3C, 0x40), range(0x3A, 0x3C)])
def test_damaged_objects(tmp_path: Path, places: range) -> None:
    """The header says where the table of sections is, how long it is, and how large its entries are."""
    thing = compiled("exit\n", "little", tmp_path)
    raw = bytearray(thing.read_bytes())
    for place in places:
        raw[place] = 0xFF
    thing.write_bytes(raw)
    result = bpf_isa("disasm", thing)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {thing}: not a sound ELF file: ")


def test_objects_of_other_machines() -> None:
    result = bpf_isa("disasm", Path(sys.executable).resolve())
    assert result.exit_code == 2
    assert "not for BPF" in result.output


def test_no_program_is_a_program_too() -> None:
    assert (bpf_isa("asm", stdin="# nothing\n").output, bpf_isa("disasm", stdin="").output) == ("", "")


@pytest.mark.parametrize(
    ("command", "stdin", "message"),
    [
        (["asm"], "exit\nr0 == 3\n", "Error: <stdin>:2:4: expected `%=`"),
        (["asm"], b"exit\n\xff\n", "Error: <stdin>: not text: byte 5 is 0xff"),
        (["disasm", "--hex"], "9500\n 95 0g", "Error: <stdin>:2:6: expected pairs of hex digits, found `0g`"),
        (["disasm"], "950", "Error: <stdin>:1:1: expected pairs of hex digits, found `950`"),
        (["disasm"], "r0 = 1\nexit\n", "Error: <stdin>:1:1: expected pairs of hex digits, found `r0`"),
        (["disasm", "--hex"], b"\xff00", "Error: <stdin>:1:1: expected pairs of hex digits, found `\\xff00`"),
        (["disasm"], b"\x7fELF", "Error: <stdin>: not a sound ELF file: "),
        (["asm", "/nonexistent.s"], "", "'/nonexistent.s': No such file or directory"),
        (["asm", "--byte-order", "middle"], "", "'middle' is not one of 'little', 'big'"),
        (["asm", "-o", "/nonexistent/x"], "exit", "Error: /nonexistent/x: cannot be written: No such file"),
    ],
)
def test_bad_input_is_one_clear_error(command: list[str], stdin: str | bytes, message: str) -> None:
    result = bpf_isa(*command, stdin=stdin)
    assert result.exit_code == 2
    assert message in result.output
    assert result.stdout == ""


def test_the_dialect_of_mnemonics_in_both_directions() -> None:
    code = CliRunner().invoke(
        main, ["asm", "--dialect", "mnemonic"], input="jsgt32 %r1, 5, exit\nldxw %r0, [%r1+4]\nexit\n"
    )
    assert code.stdout.split() == ["6601010005000000", "6110040000000000", "9500000000000000"]
    text = CliRunner().invoke(main, ["disasm", "--dialect", "mnemonic"], input=code.stdout)
    assert text.stdout == "jsgt32 %r1, 5, +1\nldxw %r0, [%r1+4]\nexit\n"
