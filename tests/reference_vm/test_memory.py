# SPDX-License-Identifier: Apache-2.0
"""Regions, their bounds and permissions, in both byte orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpf_isa.reference_vm.faults import FaultKind, Trap
from bpf_isa.reference_vm.memory import INPUT_WINDOW, OFFSET_MASK, Memory, Region, window_address

BYTE_ORDERS = st.sampled_from(["little", "big"])
BASE = window_address(INPUT_WINDOW)


def memory_of(data: bytes, byte_order: Literal["little", "big"] = "little", writable: bool = True) -> Memory:
    memory = Memory(byte_order)
    memory.add(Region("data", BASE, bytearray(data), writable))
    return memory


@given(st.binary(min_size=8, max_size=24), BYTE_ORDERS, st.sampled_from([1, 2, 4, 8]), st.data())
def test_numbers_are_read_and_written_in_byte_order(
    data: bytes, byte_order: Literal["little", "big"], size: int, draw: st.DataObject
) -> None:
    memory = memory_of(data, byte_order)
    offset = draw.draw(st.integers(0, len(data) - size))
    value = int.from_bytes(data[offset : offset + size], byte_order)
    assert memory.loads[size](BASE + offset) == value
    changed = value ^ ((1 << 8 * size) - 1)
    memory.stores[size](BASE + offset, changed)
    expected = data[:offset] + changed.to_bytes(size, byte_order) + data[offset + size :]
    assert memory.read(BASE, len(data)) == expected


@given(st.integers(1, 40), st.sampled_from([1, 2, 4, 8]), st.integers(-70000, 70000))
def test_exactly_the_bytes_of_a_region_can_be_accessed(length: int, size: int, offset: int) -> None:
    memory = memory_of(bytes(length))
    inside = offset >= 0 and offset + size <= length
    address = BASE + offset
    attempts: list[Callable[[], object]] = [
        lambda: memory.loads[size](address),
        lambda: memory.stores[size](address, 1),
        lambda: memory.read(address, size),
        lambda: memory.write(address, bytes(size)),
    ]
    for attempt in attempts:
        if inside:
            attempt()
        else:
            with pytest.raises(Trap) as caught:
                attempt()
            trap = caught.value
            assert (trap.kind, trap.address, trap.region) == (FaultKind.OUT_OF_BOUNDS, address, "data")


@given(st.integers(0, (1 << 64) - 1))
def test_any_other_address_is_in_no_region(address: int) -> None:
    memory = memory_of(bytes(16))
    region = memory.region_at(address)
    assert (region is not None) == (BASE <= address < BASE + 16)
    if region is None:
        with pytest.raises(Trap):
            memory.loads[1](address)


def test_a_refused_store_changes_nothing() -> None:
    memory = memory_of(bytes(6))
    with pytest.raises(Trap):
        memory.stores[8](BASE, (1 << 64) - 1)
    with pytest.raises(Trap):
        memory.write(BASE + 4, b"1234")
    assert memory.read(BASE, 6) == bytes(6)


def test_what_is_read_only_can_be_read() -> None:
    memory = memory_of(b"abcd", writable=False)
    assert memory.loads[2](BASE) == int.from_bytes(b"ab", "little")
    attempts: list[Callable[[], None]] = [lambda: memory.stores[4](BASE, 0), lambda: memory.write(BASE, b"x")]
    for attempt in attempts:
        with pytest.raises(Trap) as caught:
            attempt()
        assert caught.value.kind is FaultKind.READ_ONLY
    with pytest.raises(Trap) as caught:
        memory.stores[4](BASE + 1, 0)
    assert caught.value.kind is FaultKind.OUT_OF_BOUNDS


def test_a_removed_region_is_gone() -> None:
    memory = memory_of(b"abcd")
    memory.remove(memory.regions[INPUT_WINDOW])
    with pytest.raises(Trap, match="no memory"):
        memory.loads[1](BASE)


def test_the_nearest_region_is_named() -> None:
    memory = memory_of(bytes(8))
    memory.add(Region("other", window_address(INPUT_WINDOW, 3), bytearray(8)))
    for address, name in ((BASE - 5, "data"), (BASE + 100, "data"), (window_address(INPUT_WINDOW, 3) - 1, "other")):
        with pytest.raises(Trap) as caught:
            memory.loads[1](address)
        assert caught.value.region == name


@pytest.mark.parametrize(
    ("base", "size"),
    [(BASE, 8), (BASE + (1 << 32), 8), (BASE - (1 << 32), 8), (BASE + 4, 8), (0, 8), (1 << 64, 8)],
    ids=["taken", "guard after", "guard before", "not at a start", "null", "beyond 64 bits"],
)
def test_regions_keep_apart(base: int, size: int) -> None:
    memory = memory_of(bytes(8))
    with pytest.raises(ValueError, match="one:"):
        memory.add(Region("one:", base, bytearray(size)))


def test_an_address_cut_to_32_bits_leads_nowhere() -> None:
    memory = memory_of(bytes(8))
    with pytest.raises(Trap):
        memory.loads[1](BASE & OFFSET_MASK)
