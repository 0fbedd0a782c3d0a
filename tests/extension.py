# SPDX-License-Identifier: Apache-2.0
"""A specification with three more rows than RFC 9669's: a new operator, a lock block that only reads, a new group."""

from __future__ import annotations

from pathlib import Path

from bpf_isa.spec.location import HERE

GROUP = "  bits: {includes: [base64]}\n"
ROWS = """
  - {name: ROL64_K, section: "more-1.1", groups: [base64], opcode: 0xe7, dst: reg, imm: any,
     asm: "{dst} <<<= {imm}",
     mnemonic: "rol {dst:%}, {imm}",
     means: "dst = (dst << ((u64)imm & 63)) | (dst >> (-(u64)imm & 63))"}
  - {name: LOAD_ACQ_DW, section: "more-1.2", groups: [atomic64], opcode: 0xdb, dst: reg, src: reg,
     offset: any, imm: 0x100,
     asm: "{dst} = load_acquire((u64 *)({src} {offset:+}))",
     mnemonic: "load acquire {dst:%}, [{src:%}{offset:?}]",
     means: "lock { dst = *(u64 *)(src + offset) }"}
  - {name: ANDN64_X, section: "more-1.3", groups: [bits], opcode: 0xef, dst: reg, src: reg,
     asm: "{dst} &~= {src}",
     mnemonic: "andn {dst:%}, {src:%}",
     means: "dst = dst & (src ^ 0xffffffffffffffff)"}
"""
NAMES = ("ROL64_K", "LOAD_ACQ_DW", "ANDN64_X")
RFC = '  rfc9669: {document: RFC 9669, url: "https://example.org/rfc.html"}\n'
SOURCE = '  more: {document: More instructions, url: "https://example.org/more.html"}\n'
REQUIREMENTS = """
  - id: more-1.1-rotate
    section: "more-1.1"
    keyword: MUST
    binds: runtime
    verified_by: vector
    rows: [ROL64_K]
    text: What a rotation shifts out at the upper end comes in at the lower one.
  - id: more-1.2-load-acquire
    section: "more-1.2"
    keyword: MUST
    binds: runtime
    verified_by: vector
    rows: [LOAD_ACQ_DW]
    text: No access to memory that follows a load-acquire happens before it.
  - id: more-1.3-and-not
    section: "more-1.3"
    keyword: MUST
    binds: runtime
    verified_by: vector
    rows: [ANDN64_X]
    text: ANDN clears the bits of the destination that are set in the source.
"""
VECTORS = """\
# SPDX-License-Identifier: Apache-2.0
source:
  name: more
  method: hand
vectors:
  - id: rol64-k/by-8
    what: the highest byte becomes the lowest
    covers: [more-1.1-rotate]
    asm: |
      r0 = 0x8122334455667788 ll
      r0 <<<= 8
      exit
    expect: {r0: "0x2233445566778881"}
  - id: load-acq-dw/first
    what: all eight bytes are loaded
    covers: [more-1.2-load-acquire]
    asm: |
      r0 = load_acquire((u64 *)(r1 + 0))
      exit
    memory: "0102030405060708"
    expect: {r0: {little: "0x807060504030201", big: "0x102030405060708"}}
  - id: andn64-x/some
    what: bits of the source are cleared
    covers: [more-1.3-and-not]
    asm: |
      r0 = 0x3c
      r1 = 0xf0
      r0 &~= r1
      exit
    expect: {r0: "0xc"}
"""


def write_specification(folder: Path) -> Path:
    """Write the specification and its vectors to ``folder``, and return that."""
    table = (HERE / "isa.yaml").read_text(encoding="utf-8")
    assert table.count("groups:\n") == table.count("\ninstructions:\n") == 1
    table = table.replace("groups:\n", f"groups:\n{GROUP}", 1) + ROWS
    (folder / "isa.yaml").write_text(table, encoding="utf-8")
    requirements = (HERE / "requirements.yaml").read_text(encoding="utf-8")
    assert requirements.count("\n\nrequirements:\n") == 1
    requirements = requirements.replace("\n\nrequirements:\n", f"\n{SOURCE}\nrequirements:\n") + REQUIREMENTS
    (folder / "requirements.yaml").write_text(requirements, encoding="utf-8")
    (folder / "more.yaml").write_text(VECTORS, encoding="utf-8")
    return folder
