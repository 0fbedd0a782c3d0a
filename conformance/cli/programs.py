# SPDX-License-Identifier: Apache-2.0
"""Programs that a command gets as a file: assembly, hexadecimal digits, bytes or an ELF object."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import IO, Literal, NamedTuple, TypeAlias

from ...reference_vm import elf
from ...reference_vm.maps import ArrayMap
from ...spec.asm.assemble import assemble
from ...spec.asm.syntax import Dialect
from ...spec.asm.tokens import AsmError
from ...spec.encoding import SLOT_BYTES, ByteOrder, encode
from .failing import Unusable

Format: TypeAlias = Literal["asm", "hex", "raw", "elf"]
FORMATS: tuple[Format, ...] = ("asm", "hex", "raw", "elf")

#: Larger files are not read to their end (/dev/zero has none): no program is so long.
LARGEST = 1 << 26

_HEX = re.compile(r"\s*(?:[0-9a-fA-F]\s*)+")


class Input(NamedTuple):
    """A program that was read, the slot to begin at, and the maps that it refers to."""

    code: bytes
    byte_order: ByteOrder
    entry: int
    maps: tuple[ArrayMap, ...]


def contents(file: IO[bytes]) -> tuple[bytes, str]:
    """Return what ``file`` holds, and how to call it in messages.

    Raises:
        Unusable: it cannot be read, or is larger than any program.
    """
    name = getattr(file, "name", "<stdin>")  # replacements of standard input may have none
    try:
        data = file.read(LARGEST + 1)
    except OSError as error:
        raise Unusable(f"{name}: cannot be read: {error.strerror}") from None
    if len(data) > LARGEST:
        raise Unusable(f"{name}: larger than {LARGEST:,} bytes, and so no program")
    return data, name


def format_of(data: bytes) -> Format:
    """Tell what a file holds: text is hexadecimal if it has nothing but such digits, and assembly otherwise."""
    if data.startswith(elf.MAGIC):
        return "elf"
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return "raw"
    if not all(character.isprintable() or character.isspace() for character in text):
        return "raw"
    return "hex" if _HEX.fullmatch(text) else "asm"


def read_program(
    data: bytes,
    name: str,
    *,
    kind: Format | None = None,
    byte_order: ByteOrder | None = None,
    section: str | None = None,
    function: str | None = None,
    maps: Sequence[bytes] = (),
    any_length: bool = False,
) -> Input:
    """Read a program from the contents of the file ``name``.

    ``kind`` is found out if None. An object says its byte order itself; else it is little if None. ``section``,
    ``function`` and the values of ``maps`` are for objects: see :func:`.elf.load`. With ``any_length`` bytes that are
    no sequence of slots are returned all the same, for those who want to say more about them.

    Raises:
        Unusable: it holds no program.
    """
    kind = kind or format_of(data)
    if kind == "elf":
        return _read_object(data, name, byte_order, section, function, maps)
    if section or function:
        raise Unusable(f"{name}: only an ELF object has sections and functions")
    order: ByteOrder = byte_order or "little"
    if kind == "raw":
        code = data
    else:
        text = text_of(data, name)
        code = assembled(text, name, order) if kind == "asm" else _from_hex(text, name)
    if not any_length and (not code or len(code) % SLOT_BYTES):
        raise Unusable(f"{name}: {len(code)} bytes are no program: instructions take {SLOT_BYTES} bytes each")
    return Input(code, order, 0, tuple(ArrayMap(value) for value in maps))


def _read_object(
    data: bytes,
    name: str,
    byte_order: ByteOrder | None,
    section: str | None,
    function: str | None,
    maps: Sequence[bytes],
) -> Input:
    try:
        loaded = elf.load(data, section=section, function=function, maps=maps)
    except elf.ObjectError as error:
        raise Unusable(f"{name}: {error}") from None
    if byte_order not in (None, loaded.byte_order):
        raise Unusable(f"{name}: the object is {loaded.byte_order}-endian")
    return Input(encode(loaded.program, loaded.byte_order), loaded.byte_order, loaded.entry, loaded.maps)


def code_section(data: bytes, name: str, section: str | None) -> tuple[bytes, ByteOrder]:
    """Return the code of a section of the object file ``name`` before relocation, and its byte order.

    Raises:
        Unusable: there is no such section.
    """
    try:
        return elf.code_section(data, section)
    except elf.ObjectError as error:
        raise Unusable(f"{name}: {error}") from None


def assembled(text: str, name: str, byte_order: ByteOrder, dialect: Dialect = "llvm") -> bytes:
    """Return the program that the assembly in the file ``name`` gives.

    Raises:
        Unusable: naming file, line and column of what is no assembly.
    """
    try:
        return assemble(text, byte_order, dialect=dialect)
    except AsmError as error:
        raise Unusable(f"{name}:{error.line}:{error.column}: {error.message}") from None


def _from_hex(text: str, name: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise Unusable(f"{name}: expected pairs of hexadecimal digits and nothing else") from None


def text_of(data: bytes, name: str) -> str:
    """Return the text that the file ``name`` holds.

    Raises:
        Unusable: it is not in UTF-8.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Unusable(f"{name}: not text: byte {error.start} is {data[error.start]:#04x}") from None


def parse_hex(text: str, option: str) -> bytes:
    """Return the bytes that the value of ``option`` spells.

    Raises:
        Unusable: they are not pairs of hexadecimal digits.
    """
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raise Unusable(f"{option}: expected pairs of hexadecimal digits such as `00ff 1234`, found {text!r}") from None
