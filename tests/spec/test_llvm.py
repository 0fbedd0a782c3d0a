# SPDX-License-Identifier: Apache-2.0
"""Our assembler against LLVM's, which the ziglang package carries: every row, in both byte orders."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from bpf_isa.spec.asm.assemble import assemble
from bpf_isa.spec.encoding import ByteOrder, Decoded, encode
from bpf_isa.spec.table import Instruction, isa

from .samples import sample, spell

TARGETS: dict[ByteOrder, str] = {"little": "bpfel-freestanding", "big": "bpfeb-freestanding"}

# LLVM has one spelling for all wide instructions that address something: it takes the number of the subtype, and
# leaves the upper half of the constant zero.
SUBTYPES = {"LD_MAP_FD", "LD_MAP_FD_VALUE", "LD_VAR_ADDR", "LD_CODE_ADDR", "LD_MAP_IDX", "LD_MAP_IDX_VALUE"}
# Rows that LLVM can write only with 0 in a field: it has no syntax for the offset into the map's value, nor for a
# constant beside the register in `skb[r1]`.
ONLY_ZERO = {
    "LD_MAP_FD_VALUE": "next_imm",
    "LD_MAP_IDX_VALUE": "next_imm",
    "LD_IND_B": "imm",
    "LD_IND_H": "imm",
    "LD_IND_W": "imm",
}
# The kernel prints 64-bit register names in all atomic operations; LLVM reads them in 32-bit additions only.
FIRST_FORM_ONLY = {"ATOMIC_OR32", "ATOMIC_AND32", "ATOMIC_XOR32"}
# LLVM reads the number of `gotol` as if it had 16 bits; further away a label has to be.
SHORT_NUMBER = {"JA32"}
# Rows that LLVM cannot write: a call by BTF id comes into being when a program is linked with its BTF. A local call
# can be written with a label only; it has a test of its own below.
NOT_WRITTEN = {"CALL_BTF"}
WITH_LABELS = {"CALL_LOCAL"}


def llvm(source: str, byte_order: ByteOrder, folder: Path) -> bytes:
    """Return the section .text that LLVM makes of ``source``."""
    text, thing = folder / f"{byte_order}.s", folder / f"{byte_order}.o"
    text.write_text(source, encoding="utf-8")
    command = [sys.executable, "-m", "ziglang", "cc", "-target", TARGETS[byte_order], "-mcpu=v4", "-c", text.name]
    done = subprocess.run(
        [*command, "-o", thing.name],
        cwd=folder,
        env=os.environ | {"ZIG_GLOBAL_CACHE_DIR": str(folder), "ZIG_LOCAL_CACHE_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with thing.open("rb") as stream:
        section = ELFFile(stream).get_section_by_name(".text")
        assert section is not None
        code = section.data()
    assert isinstance(code, bytes)
    return code


def spellings(row: Instruction, item: Decoded) -> list[str]:
    """Return all that LLVM accepts for ``item``."""
    if row.name in NOT_WRITTEN | WITH_LABELS or (row.name in ONLY_ZERO and getattr(item, ONLY_ZERO[row.name]) != 0):
        return []
    if row.name in SHORT_NUMBER and not -0x8000 <= item.imm <= 0x7FFF:
        return []
    if row.name in SUBTYPES:
        return [f"ld_pseudo r{item.dst}, {item.src}, {item.imm}"]
    # Without its constant, `skb[r1]` is the second form.
    forms = row.asm[1:] if row.name in ONLY_ZERO else row.asm[: 1 if row.name in FIRST_FORM_ONLY else None]
    return [spell(form, item) for form in forms]


@pytest.mark.parametrize("byte_order", TARGETS)
def test_every_row_is_encoded_as_by_llvm(byte_order: ByteOrder, tmp_path: Path) -> None:
    written = [(text, item) for row in isa().instructions for item in sample(row) for text in spellings(row, item)]
    theirs = llvm("".join(f"{text}\n" for text, _ in written), byte_order, tmp_path)
    ours = [encode([item], byte_order) for _, item in written]
    position = 0
    different = []
    for (text, _), code in zip(written, ours, strict=True):
        if theirs[position : position + len(code)] != code:
            different.append(f"{text}: LLVM {theirs[position : position + len(code)].hex()}, here {code.hex()}")
        if not text.startswith("ld_pseudo"):
            assert assemble(text, byte_order) == code, text
        position += len(code)
    assert different == []
    assert position == len(theirs)


def test_what_llvm_cannot_write_is_listed_above() -> None:
    """One row is not compared at all and six in part; of 170."""
    rows = isa().instructions
    written = {row.name: sum(bool(spellings(row, item)) for item in sample(row)) for row in rows}
    assert {name for name, number in written.items() if number == 0} == NOT_WRITTEN | WITH_LABELS
    assert {name for name, number in written.items() if 0 < number < 11} == ONLY_ZERO.keys() | SHORT_NUMBER
    assert (len(NOT_WRITTEN), len(ONLY_ZERO) + len(SHORT_NUMBER), len(rows)) == (1, 6, 170)


@pytest.mark.parametrize("byte_order", TARGETS)
def test_labels_are_resolved_as_by_llvm(byte_order: ByteOrder, tmp_path: Path) -> None:
    source = """
        first: r1 = 0x1122334455667788 ll; if w1 == 5 goto last
        call first
        call last; goto first   # backwards
        gotol last              // and forwards
        r0 = *(u64*)(r1+8); if r0 s<= r1 goto first
        /* the end */ last: exit
    """
    assert assemble(source, byte_order) == llvm(source, byte_order, tmp_path)


def test_labels_far_away_are_resolved_as_by_llvm(tmp_path: Path) -> None:
    source = "back: gotol far\n" + "exit\n" * 0x9000 + "far: gotol back\ncall back\n"
    assert assemble(source) == llvm(source, "little", tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "r0 = 0xffffffff",
        "w0 = 4294967295",
        "r0 = -0x80000000",
        "r0 = -1 ll",
        "r0 = 18446744073709551615 ll",
        "if w1 == 0xffffffff goto -1",
        "call 0xffffffff",
        "r0=*(u64*)(r1+8)",
        "r0  =  * ( u64 * ) ( r1  -  8 )",
        "r0=-r0",
        "r0=-1",
        "r0 = + 2",
        "if r1 s>-1 goto+3",
        "goto 3",
        "r0 = 0b101",
        "*(u8*)(r1-1)=-0x1",
        "lock*(u32*)(r1+4)+=w2",
        ".byte 0xb7, 1, 0, 0, -1, 255, 0xff, 0",
        "exit;;exit ; # nothing",
        ".rept 3\nr0 += 1; r1 += 1\n.endr\nexit",
    ],
)
def test_numbers_and_space_are_read_as_by_llvm(text: str, tmp_path: Path) -> None:
    assert assemble(text, "little") == llvm(text + "\n", "little", tmp_path)
