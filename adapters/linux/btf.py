# SPDX-License-Identifier: Apache-2.0
"""Type information (BTF) for programs whose functions the kernel wants to know the types of."""

from __future__ import annotations

from struct import pack

from ...spec.encoding import ByteOrder

#: Ids of the types of a main program and of its static functions.
MAIN_TYPE, FUNCTION_TYPE = 3, 4


def types(byte_order: ByteOrder) -> bytes:
    """Return type information for a main program and for static functions, all ``int f(void)``."""
    order = "<" if byte_order == "little" else ">"
    names = b"\0int\0main\0function\0"
    kind_int, kind_func, kind_prototype, static, global_ = 1, 12, 13, 0, 1

    def entry(name: bytes, kind: int, linkage: int, size_or_type: int) -> bytes:
        at = names.index(b"\0" + name + b"\0") + 1 if name else 0
        return pack(f"{order}III", at, kind << 24 | linkage, size_or_type)

    entries = b"".join(
        (
            entry(b"int", kind_int, 0, 4) + pack(f"{order}I", 1 << 24 | 32),  # type 1: signed, 32 bits
            entry(b"", kind_prototype, 0, 1),  # type 2: no parameters, returns type 1
            entry(b"main", kind_func, global_, 2),
            entry(b"function", kind_func, static, 2),
        )
    )
    magic, version, header = 0xEB9F, 1, 24
    lengths = (0, len(entries), len(entries), len(names))
    return pack(f"{order}HBBIIIII", magic, version, 0, header, *lengths) + entries + names
