# SPDX-License-Identifier: Apache-2.0
"""Programs from ELF object files, as LLVM writes them for BPF.

Relocations in code are applied: calls to functions of the object, and wide loads of the address of a map, a variable or
a function. Each data section becomes an array map of one value, after the maps that the object defines.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..spec.encoding import SLOT_BYTES, ByteOrder, Decoded, DecodeError, Program, decode, make
from ..spec.errors import InputError
from ..spec.table import isa
from . import btf
from .maps import ArrayMap

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile
    from elftools.elf.relocation import Relocation
    from elftools.elf.sections import Section, Symbol

MAGIC: Final = b"\x7fELF"
#: The largest size of a data section in bytes.
MOST_DATA: Final = 1 << 28
BPF_MAP_TYPE_ARRAY: Final = 2
MAP_SECTIONS: Final = ("maps", ".maps")
_EXECUTABLE: Final = 0x4  # SHF_EXECINSTR
_WRITABLE: Final = 0x1  # SHF_WRITE
_R_BPF_64_64: Final = 1
_R_BPF_64_32: Final = 10


class ObjectError(InputError):
    """The file is no BPF object, or needs an unsupported feature of a loader; the message says which."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A program from an object, its entry slot and the maps that it refers to."""

    program: Program
    byte_order: ByteOrder
    entry: int
    maps: tuple[ArrayMap, ...]


def load(data: bytes, *, section: str | None = None, function: str | None = None, maps: Sequence[bytes] = ()) -> Loaded:
    """Read a program from the object file ``data``.

    Args:
        data: the bytes of the file.
        section: the section of the program; if None, the first section with code other than ``.text`` (which usually
            has the functions that programs call), or else ``.text``.
        function: the entry; the start of the section if None.
        maps: the initial values of the maps that the object defines, in their order in the object; others are zero if
            the object has their sizes in BTF.

    Raises:
        ObjectError: the file is no such object.
    """
    with _sound():
        return _Linker(_opened(data), maps).link(section, function)


def code_section(data: bytes, name: str | None = None) -> tuple[bytes, ByteOrder]:
    """Return the code of a section of the object file ``data``, without relocation, and its byte order.

    Args:
        data: the bytes of the file.
        name: the section; may be None if only one has code.

    Raises:
        ObjectError: the file is no such object.
    """
    with _sound():
        elf = _opened(data)
        code = {s.name: s for s in elf.iter_sections() if s["sh_flags"] & _EXECUTABLE and s["sh_size"]}
        if name is None and len(code) == 1:
            (name,) = code
        if name not in code:
            choice = f"choose one with --elf-section: {', '.join(code)}" if code else "there is none"
            raise ObjectError(f"no {'single' if name is None else name} section with code; {choice}")
        return _content(code[name]), "little" if elf.little_endian else "big"


@contextmanager
def _sound() -> Iterator[None]:
    """Convert the library's errors for damaged files into :class:`ObjectError`."""
    from elftools.common.exceptions import ELFError

    try:
        yield
    except (ELFError, OverflowError, zlib.error) as error:  # a position beyond 63 bits overflows
        raise ObjectError(f"not a sound ELF file: {error}") from None


def _opened(data: bytes) -> ELFFile:
    from elftools.elf.elffile import ELFFile

    elf = ELFFile(io.BytesIO(data))
    if elf["e_machine"] != "EM_BPF":
        raise ObjectError(f"an ELF file for {elf['e_machine']}, not for BPF")
    return elf


def _content(section: Section) -> bytes:
    """Return the bytes of a section, which may be compressed."""
    if section.data_size > MOST_DATA:
        raise ObjectError(f"section {section.name} has {section.data_size} bytes; at most {MOST_DATA} can be")
    content: bytes = section.data()
    return content


class _Linker:
    """Concatenates the sections that a program needs."""

    def __init__(self, elf: ELFFile, maps: Sequence[bytes]) -> None:
        self.elf = elf
        self.byte_order: ByteOrder = "little" if elf.little_endian else "big"
        self.sections: list[Section] = list(elf.iter_sections())
        from elftools.elf.relocation import RelocationSection
        from elftools.elf.sections import SymbolTableSection

        table = elf.get_section_by_name(".symtab")
        self.symbols: list[Symbol] = list(table.iter_symbols()) if isinstance(table, SymbolTableSection) else []
        self.relocations: dict[int, list[Relocation]] = {}
        """The relocations of each section."""
        for section in self.sections:
            if isinstance(section, RelocationSection):
                self.relocations.setdefault(section["sh_info"], []).extend(section.iter_relocations())
        self.program: Program = []
        self.placed: dict[int, int] = {}
        """The first slot of each section with code."""
        self.given = maps
        self.map_numbers: dict[tuple[int, int], int] = {}
        """The number of the map of a symbol, by section and value."""
        self.data_maps: dict[int, int] = {}
        """The number of the map that holds a section of data."""
        self.maps: list[ArrayMap] = []

    def link(self, section: str | None, function: str | None) -> Loaded:
        """Return the linked program."""
        self._define_maps()
        start = self._function(function) if function else (self._code_section(section), 0)
        self._place(start[0])
        entry = start[1] // SLOT_BYTES
        done = 0
        while done < len(self.placed):
            self._relocate(list(self.placed)[done])
            done += 1
        return Loaded(self.program, self.byte_order, entry, tuple(self.maps))

    def _define_maps(self) -> None:
        section = self.elf.get_section_by_name(".BTF")
        try:
            sizes = btf.map_sizes(_content(section), self.byte_order) if section else {}
        except btf.BtfError as error:
            raise ObjectError(str(error)) from None
        defined = [s for s in self.symbols if isinstance(s["st_shndx"], int) and s["st_info"]["type"] == "STT_OBJECT"]
        for symbol in sorted(defined, key=lambda s: (s["st_shndx"], s["st_value"])):
            index = symbol["st_shndx"]
            if self._section(index).name not in MAP_SECTIONS:
                continue
            number = len(self.maps)
            self.map_numbers[index, symbol["st_value"]] = number
            self.maps.append(self._map(number, symbol.name, sizes.get(symbol.name)))
        if len(self.given) > len(self.maps):
            raise ObjectError(f"{len(self.given)} maps are given, but the object has {len(self.maps)}")

    def _map(self, number: int, name: str, sizes: btf.MapSizes | None) -> ArrayMap:
        """Return map ``number`` with the given initial values, or zeros."""
        given = self.given[number] if number < len(self.given) else None
        if sizes is None or not sizes.value_bytes or not sizes.entries:
            if given is None:
                raise ObjectError(f"map {number}, {name!r}, has no size in the object: give its initial value")
            return ArrayMap(given, name=name)
        if sizes.type != BPF_MAP_TYPE_ARRAY:
            raise ObjectError(f"map {number}, {name!r}, has type {sizes.type}; only array maps are supported")
        total = sizes.value_bytes * sizes.entries
        if total > MOST_DATA:
            raise ObjectError(f"map {number}, {name!r}, has {total} bytes; at most {MOST_DATA} can be")
        if given is not None and len(given) != total:
            raise ObjectError(f"map {number}, {name!r}, has {total} bytes, not {len(given)}")
        return ArrayMap(bytes(total) if given is None else given, sizes.entries, name)

    def _section(self, index: int) -> Section:
        if index >= len(self.sections):
            raise ObjectError(f"not a sound ELF file: there is no section {index}")
        return self.sections[index]

    def _code_section(self, name: str | None) -> int:
        code = {s.name: i for i, s in enumerate(self.sections) if s["sh_flags"] & _EXECUTABLE and s["sh_size"]}
        if not code:
            raise ObjectError("no section has code")
        if name is None:
            return next((index for other, index in code.items() if other != ".text"), code.get(".text", 0))
        if name not in code:
            raise ObjectError(f"no section {name!r} with code; there are: {', '.join(code)}")
        return code[name]

    def _function(self, name: str) -> tuple[int, int]:
        """Return the section of a function and its offset in the section, in bytes."""
        functions = {s.name: s for s in self.symbols if s["st_info"]["type"] == "STT_FUNC"}
        if name not in functions:
            raise ObjectError(f"no function {name!r}; there are: {', '.join(functions) or 'none'}")
        return functions[name]["st_shndx"], functions[name]["st_value"]

    def _place(self, index: int) -> int:
        """Return the first slot of a section with code; add the section to the program if necessary."""
        if index not in self.placed:
            section = self._section(index)
            self.placed[index] = len(self.program)
            try:
                self.program += decode(_content(section), self.byte_order)
            except DecodeError as error:
                raise ObjectError(f"section {section.name}: {error}") from None
        return self.placed[index]

    def _data_map(self, index: int) -> int:
        """Return the number of the map for a section of data."""
        if index not in self.data_maps:
            section = self._section(index)
            if index in self.relocations:
                raise ObjectError(f"section {section.name} holds addresses, which are not supported in data")
            content = _content(section)
            self.data_maps[index] = len(self.maps)
            writable = bool(section["sh_flags"] & _WRITABLE)
            self.maps.append(ArrayMap(content, name=section.name, writable=writable))
        return self.data_maps[index]

    def _relocate(self, index: int) -> None:
        name = self.sections[index].name
        for relocation in self.relocations.get(index, []):
            slot = self.placed[index] + relocation["r_offset"] // SLOT_BYTES
            item = self.program[slot] if slot < len(self.program) else None
            number = relocation["r_info_sym"]
            kind = relocation["r_info_type"]
            where = f"section {name}, offset {relocation['r_offset']:#x}"
            if item is None or kind not in (_R_BPF_64_64, _R_BPF_64_32):
                raise ObjectError(f"{where}: a relocation of type {kind} is not supported in code")
            if number >= len(self.symbols):
                raise ObjectError(f"{where}: there is no symbol {number}")
            symbol = self.symbols[number]
            if not isinstance(symbol["st_shndx"], int):
                raise ObjectError(f"{where}: {symbol.name!r} is not defined in this object")
            target = symbol["st_shndx"], symbol["st_value"]
            apply = self._call if kind == _R_BPF_64_32 else self._load
            try:
                self.program[slot] = apply(slot, item, *target)
            except ValueError as error:
                raise ObjectError(f"{where}: {error}") from None

    def _call(self, slot: int, item: Decoded, section: int, value: int) -> Decoded:
        """Return a call of the function at ``value`` bytes, plus the call's addend, from the start of ``section``."""
        target = self._place(section) + value // SLOT_BYTES + item.imm + 1
        return make(item.instruction, imm=target - slot - 1)

    def _load(self, slot: int, item: Decoded, section: int, value: int) -> Decoded:
        """Return a wide load of the address ``value`` bytes, plus the load's addend, from the start of ``section``."""
        rows = isa().by_name
        offset = value + item.imm
        if (section, offset) in self.map_numbers:
            return make(rows["LD_MAP_FD"], dst=item.dst, imm=self.map_numbers[section, offset])
        if self._section(section)["sh_flags"] & _EXECUTABLE:
            target = self._place(section) + offset // SLOT_BYTES
            return make(rows["LD_CODE_ADDR"], dst=item.dst, imm=target - slot - 1)
        return make(rows["LD_MAP_FD_VALUE"], dst=item.dst, imm=self._data_map(section), next_imm=offset)
