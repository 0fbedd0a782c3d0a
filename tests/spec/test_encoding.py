# SPDX-License-Identifier: Apache-2.0
"""The codec: every row and every field of it, both byte orders, and bytes that are no program."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpf_isa.spec.encoding import (
    ByteOrder,
    Decoded,
    DecodeError,
    Slot,
    decode,
    encode,
    identify,
    make,
    pack,
    slots_of,
    swap_byte_order,
    unpack,
)
from bpf_isa.spec.table import FIELD_RANGES, Fixed, Instruction, Operand, isa

from .programs import BYTE_ORDERS, byte_orders, code, programs
from .samples import sample

every_row = pytest.mark.parametrize("row", isa().instructions, ids=lambda row: row.name)
either_order = pytest.mark.parametrize("byte_order", BYTE_ORDERS)
FIRST_SLOT = ("dst", "src", "offset", "imm")


def test_the_layout_of_a_slot() -> None:
    """Sections 3.1 and 4.1: in big-endian programs the halves of the register byte are swapped too."""
    add = make(isa().by_name["ADD64_X"], dst=1, src=2)
    assert encode([add], "little").hex() == "0f21000000000000"
    assert encode([add], "big").hex() == "0f12000000000000"
    store = make(isa().by_name["ST_MEM_W"], dst=10, offset=-2, imm=0x01020304)
    assert encode([store], "little").hex() == "620afeff04030201"
    assert encode([store], "big").hex() == "62a0fffe01020304"
    wide = make(isa().by_name["LD_IMM64"], dst=3, imm=0x55667788, next_imm=0x11223344)
    assert encode([wide], "little").hex(" ", 8) == "1803000088776655 0000000044332211"
    assert encode([wide], "big").hex(" ", 8) == "1830000055667788 0000000011223344"


@either_order
@every_row
def test_every_row_survives_the_round_trip(row: Instruction, byte_order: ByteOrder) -> None:
    for item in sample(row):
        raw = encode([item], byte_order)
        assert len(raw) == 8 * row.slots
        assert decode(raw, byte_order) == [item, None][: row.slots]
        assert identify(unpack(raw, byte_order), 0) == item


@every_row
def test_every_register_number(row: Instruction) -> None:
    """Registers are r0 to r10: 11 to 15 in a field that names one are errors that say so."""
    for name in ("dst", "src"):
        if name not in row.operands:
            continue
        first, *second = slots_of(make(row))
        for number in range(16):
            slots = [first._replace(**{name: number}), *second]
            found = identify(slots, 0)
            if number <= 10:
                assert found == make(row, **{name: number})
            else:
                assert refusal(found) == ("bad-register", 0, name, number)


@every_row
def test_every_bit_of_an_unused_field(row: Instruction) -> None:
    for name, rule in row.fields.items():
        if not isinstance(rule, Fixed) or name == "next_imm":
            continue
        siblings = [other.fields[name] for other in isa().by_opcode[row.opcode]]
        unused_everywhere = all(isinstance(other, Fixed) and other.unused for other in siblings)
        first, *second = slots_of(make(row))
        for value in one_bit_set(name):
            if value == rule.value:
                continue
            found = identify([first._replace(**{name: value}), *second], 0)
            if isinstance(found, Decoded):
                assert found.instruction is not row  # the bit makes another instruction of it
            elif unused_everywhere:
                assert refusal(found) == ("unused-field", 0, name, value)
            else:
                # Siblings give the field a meaning. The sibling with this very value may in turn not use another one.
                assert found.rule in {"undefined-value", "unused-field"}


def one_bit_set(name: str) -> list[int]:
    """Return the numbers with one bit set that fit into a field, and -1."""
    low, high = FIELD_RANGES[name]
    bits = (high - low).bit_length()
    unsigned = [1 << bit for bit in range(bits)] + [(1 << bits) - 1]
    return [value - (1 << bits) if value > high else value for value in unsigned]


@pytest.mark.parametrize("row", [row for row in isa().instructions if row.wide], ids=lambda row: row.name)
def test_every_bit_of_the_second_slot(row: Instruction) -> None:
    first, second = slots_of(make(row))
    for name in ("opcode", "dst", "src", "offset"):
        values = [1 << bit for bit in range(8)] if name == "opcode" else one_bit_set(name)
        for value in values:
            found = identify((first, second._replace(**{name: value})), 0)
            assert refusal(found) == ("malformed-second-slot", 1, name, value)
    for value in one_bit_set("imm"):
        found = identify((first, second._replace(imm=value)), 0)
        if isinstance(row.fields["next_imm"], Operand):
            assert found == make(row, next_imm=value)
        else:
            assert refusal(found) == ("unused-field", 1, "next_imm", value)
    assert refusal(identify((first,), 0)) == ("missing-second-slot", 0, "next_imm", 0)


@pytest.mark.parametrize("opcode", sorted(set(range(256)) - isa().by_opcode.keys()))
def test_every_opcode_that_is_not_defined(opcode: int) -> None:
    assert refusal(identify([Slot(opcode, 0, 0, 0, 0)], 0)) == ("unknown-opcode", 0, "opcode", opcode)


def refusal(found: Decoded | DecodeError) -> tuple[str, int, str | None, int]:
    assert isinstance(found, DecodeError), found
    return found.rule, found.slot, found.field, found.value


@pytest.mark.parametrize(
    ("slot", "rule", "field", "value", "message"),
    [
        (Slot(0xFF, 0, 0, 0, 0), "unknown-opcode", "opcode", 0xFF, "opcode 0xff is not defined"),
        (Slot(0x07, 11, 0, 0, 0), "bad-register", "dst", 11, "ADD64_K: dst is r11; registers are r0 to r10"),
        (Slot(0x07, 0, 1, 0, 0), "unused-field", "src", 1, "ADD64_K: src is unused and must be 0, not 1"),
        (Slot(0x37, 0, 0, 2, 0), "undefined-value", "offset", 2, "DIV64_K: offset is 2; defined are 0, 1"),
        (Slot(0xBC, 0, 0, 32, 0), "undefined-value", "offset", 32, "MOV32_X: offset is 32; defined are 0, 8, 16"),
        (Slot(0xBF, 0, 0, 8, 5), "unused-field", "imm", 5, "MOVSX64_8: imm is unused and must be 0, not 5"),
        (Slot(0xD4, 0, 0, 0, 24), "undefined-value", "imm", 24, "LE16: imm is 24; defined are 16, 32, 64"),
        (Slot(0x85, 0, 3, 0, 0), "undefined-value", "src", 3, "CALL_HELPER: src is 3; defined are 0, 1, 2"),
        (Slot(0x18, 0, 7, 0, 0), "undefined-value", "src", 7, "LD_IMM64: src is 7; defined are 0, 1, 2, 3, 4, 5, 6"),
    ],
)
def test_messages(slot: Slot, rule: str, field: str, value: int, message: str) -> None:
    exits = [Slot(0x95, 0, 0, 0, 0)] * 2
    with pytest.raises(DecodeError) as caught:
        decode(pack([*exits, slot, Slot(0, 0, 0, 0, 0)]))
    error = caught.value
    assert (error.rule, error.slot, error.field, error.value) == (rule, 2, field, value)
    assert error.message == message
    assert str(error) == f"slot 2: {message}"


@pytest.mark.parametrize("length", [1, 7, 9, 15])
def test_lengths(length: int) -> None:
    with pytest.raises(DecodeError, match=f"slot {length // 8}: {length} bytes are not a multiple of 8") as caught:
        decode(encode([make(isa().by_name["EXIT"])] * 2)[:length])
    assert refusal(caught.value) == ("bad-length", length // 8, None, length)


def test_nothing_is_a_program_of_no_instructions() -> None:
    assert decode(b"") == []
    assert encode([]) == b""


@given(code(), byte_orders)
def test_bytes_are_a_program_or_a_documented_error(raw: bytes, byte_order: ByteOrder) -> None:
    try:
        program = decode(raw, byte_order)
    except DecodeError as error:
        assert 0 <= error.slot <= len(raw) // 8
        assert error.field in {None, "opcode", *FIELD_RANGES}
        if error.field is not None and error.rule != "missing-second-slot":
            name = "imm" if error.field == "next_imm" else error.field
            assert getattr(unpack(raw[: len(raw) // 8 * 8], byte_order)[error.slot], name) == error.value
    else:
        assert encode(program, byte_order) == raw
        assert len(program) == len(raw) // 8
        items = [item for item in program if item is not None]
        assert program == [entry for item in items for entry in [item, None][: item.instruction.slots]]


@given(
    st.builds(
        Slot, st.integers(0, 255), st.integers(0, 15), st.integers(0, 15), st.integers(-4, 70), st.integers(0, 255)
    )
)
def test_a_slot_is_refused_if_and_only_if_no_row_admits_it(slot: Slot) -> None:
    """What the codec finds with its tables, found by asking each row."""
    rows = [
        row
        for row in isa().instructions
        if row.opcode == slot.opcode and all(row.fields[name].admits(getattr(slot, name)) for name in FIRST_SLOT)
    ]
    found = identify([slot, Slot(0, 0, 0, 0, 0)], 0)
    if isinstance(found, DecodeError):
        assert rows == []
    else:
        assert rows == [found.instruction]


@given(programs(), byte_orders)
def test_programs_survive_the_round_trip(program: list[Decoded], byte_order: ByteOrder) -> None:
    raw = encode(program, byte_order)
    assert [item for item in decode(raw, byte_order) if item is not None] == program


@given(st.binary(max_size=64).map(lambda raw: raw[: len(raw) // 8 * 8]), byte_orders)
def test_any_slots_survive_the_round_trip(raw: bytes, byte_order: ByteOrder) -> None:
    assert pack(unpack(raw, byte_order), byte_order) == raw


@given(st.binary(max_size=80).map(lambda raw: raw[: len(raw) // 8 * 8]))
def test_any_slots_in_the_other_byte_order(raw: bytes) -> None:
    assert swap_byte_order(raw) == pack(unpack(raw, "little"), "big")
    assert swap_byte_order(swap_byte_order(raw)) == raw


def test_what_is_no_whole_number_of_slots_has_no_other_byte_order() -> None:
    with pytest.raises(DecodeError):
        swap_byte_order(bytes(9))


@given(programs())
def test_big_endian_is_little_endian_with_each_field_swapped(program: list[Decoded]) -> None:
    for little, big in zip(
        struct.iter_unpack("<BBhi", encode(program, "little")),
        struct.iter_unpack(">BBhi", encode(program, "big")),
        strict=True,
    ):
        assert (little[0], little[2:]) == (big[0], big[2:])
        assert (little[1] >> 4, little[1] & 15) == (big[1] & 15, big[1] >> 4)


@every_row
def test_values_that_a_field_does_not_admit_are_not_encoded(row: Instruction) -> None:
    for name, rule in row.fields.items():
        wrong = rule.value + 1 if isinstance(rule, Fixed) else rule.high + 1
        values = {other: getattr(make(row), other) for other in row.fields} | {name: wrong}
        with pytest.raises(ValueError, match=f"{row.name}: {name} cannot be {wrong}"):
            make(row, **values)
        with pytest.raises(ValueError, match=f"{row.name}: {name} cannot be {wrong}"):
            encode([Decoded(row, **values)])


@pytest.mark.parametrize(
    "slot",
    [
        Slot(256, 0, 0, 0, 0),
        Slot(-1, 0, 0, 0, 0),
        Slot(0, 16, 0, 0, 0),
        Slot(0, 0, 16, 0, 0),
        Slot(0, 0, -1, 0, 0),
        Slot(0, 0, 0, 1 << 15, 0),
        Slot(0, 0, 0, 0, 1 << 31),
        Slot(0, 0, 0, 0, -(1 << 31) - 1),
    ],
)
@either_order
def test_fields_that_do_not_fit_are_not_packed(slot: Slot, byte_order: ByteOrder) -> None:
    with pytest.raises(ValueError, match="does not fit its field"):
        pack([slot], byte_order)
