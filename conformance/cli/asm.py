# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa asm`` and ``bpf-isa disasm``: programs from text to bytes and back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import click

from ...spec.output import write_bytes, write_json
from .echo import echo
from .failing import Unusable
from .options import FILE, is_stdout, json_option, say

if TYPE_CHECKING:
    from ...spec.asm.syntax import Dialect
    from ...spec.encoding import ByteOrder

_BYTE_ORDER = click.option(
    "--byte-order",
    type=click.Choice(["little", "big"]),
    default="little",
    show_default=True,
    help="Byte order of the program.",
)
_DIALECT = click.option(
    "--dialect",
    type=click.Choice(["llvm", "mnemonic"]),
    default="llvm",
    show_default=True,
    help="How instructions are written.",
)
_FILE = click.argument("file", metavar="[FILE]", type=click.File("rb"), default="-")


@click.command
@_FILE
@_BYTE_ORDER
@_DIALECT
@click.option("-o", "--output", metavar="FILE", type=FILE, help="Write the bytes to a file, and print nothing.")
@json_option("the program")
def asm(file: IO[bytes], byte_order: str, dialect: str, output: Path | None, json_file: Path | None) -> None:
    """Assemble a program.

    The text in FILE, or on standard input, is assembled and printed in hex, a slot per line. The syntax is LLVM's, as
    in `r0 = *(u32 *)(r1 + 4)` and `if w2 s> -1 goto out`, or that of uBPF, rbpf and bpf_conformance (--dialect
    mnemonic), as in `ldxw %r0, [%r1+4]` and `jsgt32 %r2, -1, out`.
    """
    from ...spec.encoding import SLOT_BYTES
    from .programs import assembled, contents, text_of

    raw, name = contents(file)
    code = assembled(text_of(raw, name), name, cast("ByteOrder", byte_order), cast("Dialect", dialect))
    if json_file is not None:
        head = {"format": "bpf-isa-asm", "version": 1, "byte_order": byte_order}
        write_json({**head, "slots": len(code) // SLOT_BYTES, "code": code.hex()}, json_file, indent=2)
    if output is not None:
        write_bytes(code, output)
        return
    for start in range(0, len(code), SLOT_BYTES):
        say(code[start : start + SLOT_BYTES].hex(), json_file)


@click.command
@_FILE
@_BYTE_ORDER
@_DIALECT
@click.option("--hex/--binary", "in_hex", default=None, help="What FILE holds.  [default: hex if it is text]")
@click.option("--elf-section", metavar="NAME", help="Section of an ELF object.  [default: the only one with code]")
@click.option("--labels", is_flag=True, help="Name the targets of jumps instead of giving distances.")
@click.option("--slots", is_flag=True, help="Write the index of its slot before each instruction.")
@json_option("the instructions")
def disasm(
    file: IO[bytes],
    byte_order: str,
    dialect: str,
    in_hex: bool | None,
    elf_section: str | None,
    labels: bool,
    slots: bool,
    json_file: Path | None,
) -> None:
    """Disassemble a program.

    FILE, or standard input, has the bytes of the program, or the same in hex, or is an object from a compiler, which
    is shown as it is before linking. Whatever is no instruction is shown as
    `.byte`, with a comment that says why. The output can be assembled again.
    """
    from ...spec.asm.disassemble import disassemble, disassembled
    from .programs import code_section, contents, format_of

    raw, name = contents(file)
    order = cast("ByteOrder", byte_order)
    if raw.startswith(b"\x7fELF"):
        code, order = code_section(raw, name, elf_section)
    elif in_hex or (in_hex is None and format_of(raw) != "raw"):  # no whole program is printable as text
        code = parse_hex(raw, name)
    else:
        code = raw
    form = cast("Dialect", dialect)
    if json_file is not None:
        lines = disassembled(code, order, labels=labels, dialect=form)
        head = {"format": "bpf-isa-disasm", "version": 1, "byte_order": order}
        listed = [{**line._asdict(), "code": line.code.hex()} for line in lines]
        write_json({**head, "lines": listed}, json_file, indent=2)
    if not is_stdout(json_file):
        echo(disassemble(code, order, labels=labels, slots=slots, dialect=form), nl=False)


def parse_hex(raw: bytes, name: str) -> bytes:
    """Return the bytes that a text gives in hex: pairs of digits, space between them, comments after `#`.

    Raises:
        Unusable: naming file, line and column of what is no pair of digits.
    """
    code = bytearray()
    for number, line in enumerate(raw.split(b"\n"), 1):
        for word in re.finditer(rb"[^\s#]+", line.partition(b"#")[0]):
            wrong = re.search(rb"[^0-9a-fA-F]", word[0])
            if wrong or len(word[0]) % 2:
                column = word.start() + 1 + (wrong.start() if wrong else 0)
                found = word[0].decode("ascii", "backslashreplace")
                raise Unusable(f"{name}:{number}:{column}: expected pairs of hex digits, found `{found}`")
            code += bytes.fromhex(word[0].decode("ascii"))
    return bytes(code)
