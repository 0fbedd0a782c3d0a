# SPDX-License-Identifier: Apache-2.0
"""Bytes to instructions and back (RFC 9669 section 3), for both byte orders.

A program is a sequence of 64-bit slots. :func:`unpack` splits bytes into :class:`Slot` fields without judging them,
:func:`identify` finds the instruction at a slot, :func:`decode` does so for a whole program.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from struct import Struct
from typing import Literal, NamedTuple, TypeAlias

from .errors import InputError
from .table import Fixed, Instruction, Isa, isa
from .tree import RegisterName

ByteOrder: TypeAlias = Literal["little", "big"]
SLOT_BYTES = 8

_STRUCTS = {"little": Struct("<BBhi"), "big": Struct(">BBhi")}

Rule: TypeAlias = Literal[
    "bad-length",
    "unknown-opcode",
    "bad-register",
    "unused-field",
    "undefined-value",
    "missing-second-slot",
    "malformed-second-slot",
]


class DecodeError(InputError):
    """Bytes that do not encode a program.

    ``rule`` is the violated rule, ``slot`` the index of the 64-bit slot, ``field`` the invalid field (``opcode``,
    ``dst``, ``src``, ``offset``, ``imm``, ``next_imm``; None for the length) and ``value`` its value.
    """

    def __init__(self, rule: Rule, slot: int, field: str | None, value: int, message: str) -> None:
        super().__init__(f"slot {slot}: {message}")
        self.rule, self.slot, self.field, self.value, self.message = rule, slot, field, value, message


class Slot(NamedTuple):
    """The fields of one 64-bit slot (section 3.1), not interpreted; ``dst`` and ``src`` are 0..15."""

    opcode: int
    dst: int
    src: int
    offset: int
    imm: int


class Decoded(NamedTuple):
    """An instruction with the values of its fields; ``next_imm`` is 0 unless the encoding is wide."""

    instruction: Instruction
    dst: int = 0
    src: int = 0
    offset: int = 0
    imm: int = 0
    next_imm: int = 0

    def register(self, name: RegisterName) -> int:
        """Return the number of the register that ``name`` denotes in this instruction."""
        return self.dst if name == "dst" else self.src if name == "src" else int(name[1:])


#: A decoded program by slot; the second slot of a wide instruction is None.
Program: TypeAlias = list[Decoded | None]


def unpack(code: bytes, byte_order: ByteOrder = "little") -> list[Slot]:
    """Split ``code`` into slots.

    Raises:
        DecodeError: the length is no multiple of 8 bytes.
    """
    check_length(code)
    little = byte_order == "little"
    return [
        Slot(opcode, regs & 15, regs >> 4, offset, imm) if little else Slot(opcode, regs >> 4, regs & 15, offset, imm)
        for opcode, regs, offset, imm in _STRUCTS[byte_order].iter_unpack(code)
    ]


def pack(slots: Iterable[Slot], byte_order: ByteOrder = "little") -> bytes:
    """Join ``slots`` into bytes; the inverse of :func:`unpack`.

    Raises:
        ValueError: a field does not fit its width.
    """
    packer = _STRUCTS[byte_order].pack
    parts = []
    for opcode, dst, src, offset, imm in slots:
        if not (0 <= opcode < 256 and 0 <= dst < 16 and 0 <= src < 16):
            raise ValueError(f"opcode {opcode}, dst {dst} or src {src} does not fit its field")
        if not (-(1 << 15) <= offset < 1 << 15 and -(1 << 31) <= imm < 1 << 31):
            raise ValueError(f"offset {offset} or imm {imm} does not fit its field")
        regs = src << 4 | dst if byte_order == "little" else dst << 4 | src
        parts.append(packer(opcode, regs, offset, imm))
    return b"".join(parts)


#: Each byte with its two 4-bit halves swapped.
_SWAPPED_HALVES = bytes(byte >> 4 | (byte & 15) << 4 for byte in range(256))


def swap_byte_order(code: bytes) -> bytes:
    """Convert a little-endian program to big-endian, or vice versa.

    Raises:
        DecodeError: the length is no multiple of 8 bytes.
    """
    check_length(code)
    other = bytearray(code)
    other[1::8] = code[1::8].translate(_SWAPPED_HALVES)
    for low, high in ((2, 3), (4, 7), (5, 6)):
        other[low::8], other[high::8] = code[high::8], code[low::8]
    return bytes(other)


def identify(slots: Sequence[Slot], index: int, table: Isa | None = None) -> Decoded | DecodeError:
    """Return the instruction at ``slots[index]``, or the error (not raised) if there is none."""
    slot = slots[index]
    found = _candidates(slot, table or isa())
    if isinstance(found, Instruction):
        if not found.wide:
            return Decoded(found, slot.dst, slot.src, slot.offset, slot.imm)
        if index + 1 >= len(slots):
            return DecodeError(
                "missing-second-slot", index, "next_imm", 0, f"{found.name} is wide, but the program ends after it"
            )
        return _second_slot(found, slot, slots[index + 1], index)
    rule, field, value, message = found
    return DecodeError(rule, index, field, value, message)


def decode(code: bytes, byte_order: ByteOrder = "little", table: Isa | None = None) -> Program:
    """Decode a program; the result is indexed by slot.

    Raises:
        DecodeError: at the first slot without an instruction of the table (RFC 9669's if None).
    """
    table = table or isa()
    program: Program = []
    for found in instructions(code, byte_order, table):
        if isinstance(found, DecodeError):
            raise found
        program.append(found)
        if found.instruction.wide:
            program.append(None)
    return program


def instructions(code: bytes, byte_order: ByteOrder, table: Isa) -> Iterator[Decoded | DecodeError]:
    """Yield each instruction of a program, or the error (not raised) where there is none.

    After an error decoding resumes at the next slot, or after the second slot if that is invalid.

    Raises:
        DecodeError: the length is no multiple of 8 bytes.
    """
    check_length(code)
    index, end = 0, len(code) // SLOT_BYTES
    while index < end:
        at = index * SLOT_BYTES
        found = _narrow(code[at : at + SLOT_BYTES], byte_order, table)
        if found is not None:
            yield found
            index += 1
            continue
        # A wide instruction or an error: this takes the next slot as well.
        other = identify(unpack(code[at : at + 2 * SLOT_BYTES], byte_order), 0, table)
        if isinstance(other, DecodeError):
            second = other.slot == 1
            yield DecodeError(other.rule, index + other.slot, other.field, other.value, other.message)
            index += 2 if second else 1
        else:
            yield other
            index += other.instruction.slots


@lru_cache(maxsize=1 << 16)
def _narrow(raw: bytes, byte_order: ByteOrder, table: Isa) -> Decoded | None:
    """Return the instruction that one slot encodes; None if it is wide or invalid."""
    (slot,) = unpack(raw, byte_order)
    found = _candidates(slot, table)
    return Decoded(found, *slot[1:]) if isinstance(found, Instruction) and not found.wide else None


def check_length(code: bytes) -> None:
    """Check that ``code`` is a sequence of slots.

    Raises:
        DecodeError: the length is no multiple of 8 bytes.
    """
    if len(code) % SLOT_BYTES:
        last = len(code) // SLOT_BYTES
        raise DecodeError("bad-length", last, None, len(code), f"{len(code)} bytes are not a multiple of 8")


def make(row: Instruction, **operands: int) -> Decoded:
    """Return an instruction of ``row`` with ``operands``; other operands are 0, fixed fields have their value.

    Raises:
        ValueError: a field does not allow its value.
    """
    fixed = {name: rule.value for name, rule in row.fields.items() if isinstance(rule, Fixed)}
    made = Decoded(row, **(fixed | operands))
    _check_fields(made)
    return made


def slots_of(decoded: Decoded) -> tuple[Slot, ...]:
    """Return the one or two slots that encode an instruction."""
    row = decoded.instruction
    first = Slot(row.opcode, decoded.dst, decoded.src, decoded.offset, decoded.imm)
    return (first, Slot(0, 0, 0, 0, decoded.next_imm)) if row.wide else (first,)


def encode(program: Iterable[Decoded | None], byte_order: ByteOrder = "little") -> bytes:
    """Encode instructions; the inverse of :func:`decode`. None entries (second slots) are skipped.

    Raises:
        ValueError: a field does not allow its value.
    """
    slots: list[Slot] = []
    for item in program:
        if item is not None:
            _check_fields(item)
            slots += slots_of(item)
    return pack(slots, byte_order)


def _check_fields(item: Decoded) -> None:
    for name, rule in item.instruction.fields.items():
        value: int = getattr(item, name)
        if not rule.admits(value):
            raise ValueError(f"{item.instruction.name}: {name} cannot be {value}")


_Mismatch: TypeAlias = tuple[Rule, str, int, str]


@lru_cache(maxsize=1 << 16)
def _candidates(slot: Slot, table: Isa) -> Instruction | _Mismatch:
    """Return the row that ``slot`` matches, or its first mismatch with the closest row."""
    rows = table.by_opcode.get(slot.opcode)
    if not rows:
        return "unknown-opcode", "opcode", slot.opcode, f"opcode {slot.opcode:#04x} is not defined"
    wrong = {
        row: [name for name in _FIRST_SLOT_FIELDS if not row.fields[name].admits(getattr(slot, name))] for row in rows
    }
    closest = min(rows, key=lambda row: len(wrong[row]))
    if not wrong[closest]:
        return closest
    # The first field whose value matches no row of this opcode.
    name = wrong[closest][0]
    value: int = getattr(slot, name)
    rules = [row.fields[name] for row in rows if wrong[row][:1] == [name]]
    allowed = sorted({rule.value for rule in rules if isinstance(rule, Fixed)})
    if any(not isinstance(rule, Fixed) for rule in rules):
        return "bad-register", name, value, f"{closest.name}: {name} is r{value}; registers are r0 to r10"
    if all(isinstance(rule, Fixed) and rule.unused for rule in rules):
        return "unused-field", name, value, f"{closest.name}: {name} is unused and must be 0, not {value}"
    return "undefined-value", name, value, f"{closest.name}: {name} is {value}; defined are {_list(allowed)}"


_FIRST_SLOT_FIELDS = ("dst", "src", "offset", "imm")


def _second_slot(row: Instruction, slot: Slot, second: Slot, index: int) -> Decoded | DecodeError:
    for name in ("opcode", "dst", "src", "offset"):
        value: int = getattr(second, name)
        if value:
            message = f"second slot of {row.name}: {name} must be 0, not {value}"
            return DecodeError("malformed-second-slot", index + 1, name, value, message)
    if not row.fields["next_imm"].admits(second.imm):
        message = f"{row.name}: next_imm is unused and must be 0, not {second.imm}"
        return DecodeError("unused-field", index + 1, "next_imm", second.imm, message)
    return Decoded(row, slot.dst, slot.src, slot.offset, slot.imm, second.imm)


def _list(values: list[int]) -> str:
    return ", ".join(str(value) for value in values)


#: Masks of the fields of an opcode (section 3): class, source and code of arithmetic and jump instructions; class, size
#: and mode of loads and stores.
_ARITHMETIC_PARTS = (0x07, 0x08, 0xF0)
_MEMORY_PARTS = (0x07, 0x18, 0xE0)


def opcode_parts(opcode: int) -> tuple[int, ...]:
    """Return the masks of the fields of ``opcode`` (sections 4 and 5)."""
    return _MEMORY_PARTS if opcode & 0x07 <= 3 else _ARITHMETIC_PARTS


def differing_part(a: int, b: int) -> int | None:
    """Return the mask of the only field in which two opcodes differ; None if they are equal or differ in more."""
    if opcode_parts(a) != opcode_parts(b):
        return None
    differing = [part for part in opcode_parts(a) if (a ^ b) & part]
    return differing[0] if len(differing) == 1 else None
