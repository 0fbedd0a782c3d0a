# SPDX-License-Identifier: Apache-2.0
"""Programs as the kernel's own tests have them: a C array of ``struct bpf_insn``."""

from __future__ import annotations

from collections.abc import Iterator

from ...spec.asm.disassemble import disassemble
from ...spec.encoding import DecodeError, decode, unpack

#: Not a tab: what is printed has none, for the sake of terminals.
_INDENT = " " * 8


def c_array(code: bytes, name: str = "insns") -> str:
    """Return ``code``, in little-endian encoding, as an array of BPF_RAW_INSN with the assembly beside them.

    The macro is that of linux/filter.h and of the kernel's selftests; its fields have no byte order.
    """
    lines = [
        f"{_INDENT}BPF_RAW_INSN(0x{slot.opcode:02x}, {slot.dst}, {slot.src}, {slot.offset}, {_imm(slot.imm)}),{comment}"
        for slot, comment in zip(unpack(code, "little"), _comments(code), strict=True)
    ]
    return "\n".join((f"static struct bpf_insn {name}[] = {{", *lines, "};"))


def _imm(value: int) -> str:
    """Return a 32-bit number; the least one is no literal of C's."""
    return "(-2147483647 - 1)" if value == -(1 << 31) else str(value)


def _comments(code: bytes) -> Iterator[str]:
    """Yield a comment for each slot: none beside second slots, and none at all for what is no program."""
    try:
        program = decode(code, "little")
    except DecodeError:
        yield from ("" for _ in range(len(code) // 8))
        return
    lines = iter(disassemble(code, "little").splitlines())
    for item in program:
        yield "" if item is None else f" /* {next(lines).strip()} */"
