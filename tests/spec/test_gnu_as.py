# SPDX-License-Identifier: Apache-2.0
"""Our encoder against GNU as, where binutils-bpf is installed: a second opinion.

GNU as has mnemonics of its own. The oldest version that distributions carry knows nothing later than version 3 of
the instruction set, so what is listed below is what that one knows.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from bpf_isa.spec.encoding import ByteOrder, Decoded, encode
from bpf_isa.spec.table import Instruction, isa

from .samples import sample

GNU_AS = shutil.which("bpf-as") or shutil.which("bpf-unknown-none-as")
FLAGS: dict[ByteOrder, str] = {"little": "-EL", "big": "-EB"}

ALU = "ADD|SUB|MUL|DIV|OR|AND|LSH|RSH|MOD|XOR|MOV|ARSH"
JUMPS = "JEQ|JGT|JGE|JSET|JNE|JSGT|JSGE|JLT|JLE|JSLT|JSLE"

# What GNU as calls a row, by the row's name; {0}, {1} are the groups of the pattern in lower case. A negative offset
# is added too (`+-8`): it does not read a subtraction.
ROWS = (
    (rf"({ALU})(32)?(?:64)?_K", "{0}{1} %r{dst}, {imm}"),
    (rf"({ALU})(32)?(?:64)?_X", "{0}{1} %r{dst}, %r{src}"),
    (r"NEG(32)?(?:64)?", "neg{0} %r{dst}"),
    (r"(LE|BE)(?:16|32|64)", "end{0} %r{dst}, {imm}"),
    (rf"({JUMPS})(32)?(?:64)?_K", "{0}{1} %r{dst}, {imm}, {offset}"),
    (rf"({JUMPS})(32)?(?:64)?_X", "{0}{1} %r{dst}, %r{src}, {offset}"),
    (r"JA", "ja {offset}"),
    (r"CALL_HELPER", "call {imm}"),
    (r"EXIT", "exit"),
    (r"LDX_MEM_(\w+)", "ldx{0} %r{dst}, [%r{src}+{offset}]"),
    (r"ST_MEM_(\w+)", "st{0} [%r{dst}+{offset}], {imm}"),
    (r"STX_MEM_(\w+)", "stx{0} [%r{dst}+{offset}], %r{src}"),
    (r"ATOMIC_ADD32", "xaddw [%r{dst}+{offset}], %r{src}"),
    (r"ATOMIC_ADD64", "xadddw [%r{dst}+{offset}], %r{src}"),
    (r"LD_ABS_(\w)", "ldabs{0} {imm}"),
    (r"LD_IND_(\w)", "ldind{0} %r{src}, {imm}"),
    (r"LD_IMM64", "lddw %r{dst}, {imm64:#x}"),
)


def spelling(row: Instruction, item: Decoded) -> str | None:
    """Return ``item`` in the language of GNU as, if it knows the row."""
    for pattern, text in ROWS:
        if found := re.fullmatch(pattern, row.name):
            words = [(group or "").lower() for group in found.groups()]
            imm64 = (item.next_imm % (1 << 32)) << 32 | item.imm % (1 << 32)
            return text.format(*words, **item._asdict(), imm64=imm64)
    return None


def gnu(source: str, byte_order: ByteOrder, folder: Path) -> bytes:
    """Return the section .text that GNU as makes of ``source``."""
    assert GNU_AS is not None
    text, thing = folder / f"{byte_order}.s", folder / f"{byte_order}.o"
    text.write_text(source, encoding="utf-8")
    done = subprocess.run([GNU_AS, FLAGS[byte_order], text, "-o", thing], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with thing.open("rb") as stream:
        section = ELFFile(stream).get_section_by_name(".text")
        assert section is not None
        code = section.data()
    assert isinstance(code, bytes)
    return code


@pytest.mark.skipif(GNU_AS is None, reason="GNU as for BPF is not installed (package binutils-bpf)")
@pytest.mark.parametrize("byte_order", FLAGS)
def test_rows_are_encoded_as_by_gnu_as(byte_order: ByteOrder, tmp_path: Path) -> None:
    written = [
        (text, encode([item], byte_order))
        for row in isa().instructions
        for item in sample(row)
        if (text := spelling(row, item)) is not None
    ]
    theirs = gnu("".join(f"{text}\n" for text, _ in written), byte_order, tmp_path)
    position = 0
    different = []
    for text, code in written:
        if theirs[position : position + len(code)] != code:
            different.append(f"{text}: GNU {theirs[position : position + len(code)].hex()}, here {code.hex()}")
        position += len(code)
    assert different == []
    assert position == len(theirs)


def test_what_gnu_as_is_not_asked() -> None:
    """Version 4 of the instruction set, the atomic operations of version 3, and what needs a linker."""
    unknown = {row.name for row in isa().instructions if all(spelling(row, item) is None for item in sample(row))}
    later = r"SDIV.*|SMOD.*|MOVSX.*|BSWAP.*|JA32|LDX_MEMSX_.*"
    atomic = r"ATOMIC_(?!ADD).*"
    linked = r"CALL_LOCAL|CALL_BTF|LD_MAP_.*|LD_VAR_ADDR|LD_CODE_ADDR"
    assert {name for name in unknown if not re.fullmatch(f"{later}|{atomic}|{linked}", name)} == set()
    assert len(isa().instructions) - len(unknown) == 124
