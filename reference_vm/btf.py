# SPDX-License-Identifier: Apache-2.0
"""The sizes of maps from BTF, the type format of BPF objects.

In the section ``.maps`` a map is a variable whose type is a structure. Its members ``key`` and ``value`` point to the
types of these; the others (``type``, ``max_entries``, ``value_size``, ...) point to arrays whose length is the value.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from ..spec.encoding import ByteOrder
from ..spec.errors import InputError

_MAGIC: Final = 0xEB9F
_INT, _ARRAY, _STRUCT, _UNION, _ENUM, _DATASEC, _FLOAT, _ENUM64 = 1, 3, 4, 5, 6, 15, 16, 19
_FUNC_PROTO, _VAR, _DECL_TAG = 13, 14, 17
_SIZED: Final = frozenset([_INT, _STRUCT, _UNION, _ENUM, _FLOAT, _ENUM64])
#: Other names and qualified forms of a type: typedef, volatile, const, restrict, type tag.
_ALIASES: Final = frozenset([8, 9, 10, 11, 18])
#: Number of words after the first three of a type, by its kind: once, and for each member.
_ONCE: Final = {_INT: 1, _ARRAY: 3, _VAR: 1, _DECL_TAG: 1}
_EACH: Final = {_STRUCT: 3, _UNION: 3, _ENUM: 2, _FUNC_PROTO: 2, _DATASEC: 3, _ENUM64: 3}


class BtfError(InputError):
    """The section is not valid BTF."""


class MapSizes(NamedTuple):
    """How a map is defined: its type in Linux's numbers, and its sizes in bytes and entries."""

    type: int
    value_bytes: int
    entries: int


class _Type(NamedTuple):
    name: str
    kind: int
    argument: int
    """The size of the type, or the number of the type that it refers to, depending on the kind."""
    words: tuple[int, ...]


def map_sizes(data: bytes, byte_order: ByteOrder) -> dict[str, MapSizes]:
    """Return the maps that the BTF section ``data`` defines, by name.

    Raises:
        BtfError: it is not valid.
    """
    try:
        types = _Types(data, byte_order)
        return {
            variable.name: types.map_sizes(types.resolve(variable.argument))
            for section in types.all
            if section.kind == _DATASEC and section.name == ".maps"
            for variable in (types.all[number] for number in section.words[::3])
        }
    except (struct.error, IndexError, UnicodeDecodeError, RecursionError):
        raise BtfError("the section .BTF is not sound") from None


class _Types:
    """All types, by number."""

    def __init__(self, data: bytes, byte_order: ByteOrder) -> None:
        order = "<" if byte_order == "little" else ">"
        header = struct.unpack_from(f"{order}HBBIIIII", data)
        magic, _, _, header_bytes, types_at, types_bytes, strings_at, strings_bytes = header
        if magic != _MAGIC:
            raise BtfError(f"the section .BTF begins with {magic:#06x}, not {_MAGIC:#06x}")
        self.strings = data[header_bytes + strings_at :][:strings_bytes]
        count = types_bytes // 4
        words = struct.unpack_from(f"{order}{count}I", data, header_bytes + types_at)
        self.all = [_Type("void", 0, 0, ())]
        at = 0
        while at < count:
            name, info, argument = words[at], words[at + 1], words[at + 2]
            kind, members = info >> 24 & 31, info & 0xFFFF
            end = at + 3 + _ONCE.get(kind, 0) + _EACH.get(kind, 0) * members
            self.all.append(_Type(self.string(name), kind, argument, words[at + 3 : end]))
            at = end

    def string(self, offset: int) -> str:
        """Return a name."""
        return self.strings[offset:].partition(b"\0")[0].decode()

    def resolve(self, number: int) -> _Type:
        """Return a type without typedefs and qualifiers."""
        found = self.all[number]
        return self.resolve(found.argument) if found.kind in _ALIASES else found

    def size(self, number: int) -> int:
        """Return the size of a type in bytes."""
        found = self.resolve(number)
        if found.kind == _ARRAY:
            return self.size(found.words[0]) * found.words[2]
        return found.argument if found.kind in _SIZED else 8

    def map_sizes(self, definition: _Type) -> MapSizes:
        """Return the sizes in the structure that defines a map."""
        numbers: dict[str, int] = {}
        for name, pointer in zip(definition.words[::3], definition.words[1::3], strict=True):
            target = self.resolve(pointer).argument
            if self.string(name) == "value":
                numbers["value_size"] = self.size(target)
            elif self.resolve(target).kind == _ARRAY:
                numbers[self.string(name)] = self.resolve(target).words[2]
        return MapSizes(numbers.get("type", 0), numbers.get("value_size", 0), numbers.get("max_entries", 0))
