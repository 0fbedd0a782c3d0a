# SPDX-License-Identifier: Apache-2.0
"""Objects that LLVM makes from C, in both byte orders: what they compute when they are loaded and run."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given, settings
from hypothesis import strategies as st

from bpf_isa.reference_vm import btf, elf
from bpf_isa.reference_vm.faults import Fault, FaultKind, Outcome, Returned
from bpf_isa.reference_vm.interpreter import execute
from bpf_isa.spec.encoding import ByteOrder

SOURCE = """
typedef unsigned long u64;
typedef unsigned int u32;
typedef unsigned char u8;

static __attribute__((noinline)) u64 twice(u64 x) { volatile u64 y = x; return y * 2; }
__attribute__((noinline)) u64 plus_three(u64 x) { volatile u64 y = x; return y + 3; }

const u32 table[4] = {10, 20, 30, 40};
u64 counter = 5;
static u64 total;

/* 2 * sum + (sum + 3) + (5 + sum) + table[length % 4], and the two variables are changed */
__attribute__((section("socket"))) u64 sums(u8 *memory, u64 length) {
    u64 sum = 0;
    for (u64 i = 0; i < length; i++)
        sum += memory[i];
    counter += sum;
    total += table[length & 3];
    return twice(sum) + plus_three(sum) + counter + total;
}

/* The second function of the section calls the first one's callee, in another section. */
__attribute__((section("socket"))) u64 second(void) { return plus_three(39); }

struct { u32 a, b; } first_map __attribute__((section("maps")));
struct { u32 a, b; } second_map __attribute__((section("maps")));
static void *(*lookup)(void *, const void *) = (void *)1;

__attribute__((section("xdp"))) u64 counts(void) {
    u32 key = 0;
    u64 *value = lookup(&second_map, &key);
    if (!value)
        return 0;
    __sync_fetch_and_add(value, 5);
    return *value;
}

__attribute__((section("stores"))) u64 writes_constant(u32 *pointer) { *(volatile u32 *)&table[1] = 1; return 0; }

extern u64 elsewhere(u64);
__attribute__((section("outside"))) u64 calls_outside(u64 x) { return elsewhere(x); }

u64 *pointer = &counter;
__attribute__((section("pointing"))) u64 follows(void) { return *pointer; }
"""
# The variable that is initialised with an address has a section of its own, or no other data could be loaded.
SOURCE = SOURCE.replace("u64 *pointer", '__attribute__((section(".data.pointer"))) u64 *pointer')


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Mapping[ByteOrder, bytes]:
    folder = tmp_path_factory.mktemp("objects")
    (folder / "program.c").write_text(SOURCE, encoding="utf-8")
    return {"little": compiled(folder, "bpfel"), "big": compiled(folder, "bpfeb")}


def compiled(folder: Path, architecture: str, source: str = "program.c") -> bytes:
    """Return the object that LLVM makes of ``source``."""
    command = [sys.executable, "-m", "ziglang", "cc", "-target", f"{architecture}-freestanding", "-O2", "-g"]
    done = subprocess.run(
        [*command, "-c", source, "-o", f"{architecture}.o"],
        cwd=folder,
        env=os.environ | {"ZIG_GLOBAL_CACHE_DIR": str(folder), "ZIG_LOCAL_CACHE_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return (folder / f"{architecture}.o").read_bytes()


def run(loaded: elf.Loaded, memory: bytes | None = None) -> Outcome:
    return execute(loaded.program, byte_order=loaded.byte_order, entry=loaded.entry, maps=loaded.maps, memory=memory)


MAPS = (bytes(8), (7).to_bytes(8, "little"))


@pytest.mark.parametrize("byte_order", ["little", "big"])
def test_calls_and_variables_across_sections(objects: Mapping[ByteOrder, bytes], byte_order: ByteOrder) -> None:
    loaded = elf.load(objects[byte_order], maps=MAPS)
    assert loaded.byte_order == byte_order
    result = run(loaded, bytes([1, 2, 3, 250, 100]))
    assert isinstance(result, Returned), str(result)
    total = 356
    assert result.r0 == 2 * total + (total + 3) + (5 + total) + 20
    values = {definition.name: value for definition, value in zip(loaded.maps, result.maps, strict=True)}
    assert values[".data"] == (5 + total).to_bytes(8, byte_order)
    assert values[".bss"] == (20).to_bytes(8, byte_order)
    assert values[".rodata"] == b"".join(n.to_bytes(4, byte_order) for n in (10, 20, 30, 40))


@pytest.mark.parametrize("byte_order", ["little", "big"])
def test_a_map_of_the_object(objects: Mapping[ByteOrder, bytes], byte_order: ByteOrder) -> None:
    values = [(7).to_bytes(8, byte_order)] * 2
    loaded = elf.load(objects[byte_order], section="xdp", maps=values)
    assert {definition.name for definition in loaded.maps} == {"first_map", "second_map"}
    result = run(loaded)
    assert isinstance(result, Returned), str(result)
    assert result.r0 == 12
    found = {definition.name: value for definition, value in zip(loaded.maps, result.maps, strict=True)}
    assert found == {"first_map": values[0], "second_map": (12).to_bytes(8, byte_order)}


def test_a_function_that_is_not_the_first(objects: Mapping[ByteOrder, bytes]) -> None:
    loaded = elf.load(objects["little"], function="second", maps=MAPS)
    assert loaded.entry > 0
    assert run(loaded).registers[0] == 42


def test_constants_cannot_be_written(objects: Mapping[ByteOrder, bytes]) -> None:
    result = run(elf.load(objects["little"], section="stores", maps=MAPS))
    assert isinstance(result, Fault)
    assert (result.kind, result.region) == (FaultKind.READ_ONLY, "value of map .rodata")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"section": "nowhere"}, "no section 'nowhere' with code; there are: .text, socket, xdp"),
        ({"function": "nothing"}, "no function 'nothing'; there are: twice"),
        ({"maps": MAPS[:1]}, "has no size in the object: give its initial value"),
        ({"maps": (*MAPS, b"")}, "3 maps are given, but the object has 2"),
        ({"section": "outside"}, "'elsewhere' is not defined in this object"),
        ({"section": "pointing"}, "section .data.pointer holds addresses"),
    ],
)
def test_what_cannot_be_loaded(objects: Mapping[ByteOrder, bytes], options: dict[str, str], message: str) -> None:
    with pytest.raises(elf.ObjectError) as caught:
        elf.load(objects["little"], **({"maps": MAPS} | options))  # type: ignore[arg-type]  # options of all types
    assert message in str(caught.value)


def test_objects_for_other_machines(tmp_path: Path) -> None:
    (tmp_path / "empty.c").write_text("int x;", encoding="utf-8")
    with pytest.raises(elf.ObjectError, match="EM_RISCV, not for BPF"):
        elf.load(compiled(tmp_path, "riscv64", "empty.c"))


@pytest.mark.parametrize("length", [4, 40, 63, 200, 1000])
def test_objects_that_were_cut_short(objects: Mapping[ByteOrder, bytes], length: int) -> None:
    with pytest.raises(elf.ObjectError):
        elf.load(objects["little"][:length], maps=MAPS)


MAPS_IN_BTF = """
typedef unsigned long u64;
typedef unsigned int u32;
typedef const struct { u32 low; u64 counts[2]; } entry;
struct {
    int (*type)[TYPE];
    u32 *key;
    entry *value;
    int (*max_entries)[3];
} entries __attribute__((section(".maps")));
struct {
    int (*type)[2];
    int (*key_size)[4];
    int (*value_size)[5];
    int (*max_entries)[1];
} bytes __attribute__((section(".maps")));
static void *(*lookup)(void *, const void *) = (void *)1;

__attribute__((section("socket"))) u64 counts(void) {
    u32 key = 2, zero = 0;
    u64 *value = lookup(&entries, &key);
    char *byte = lookup(&bytes, &zero);
    if (!value || !byte)
        return 0;
    byte[4] = 7;
    return value[2] += 9;
}
"""


def maps_in_btf(folder: Path, architecture: str, kind: int = 2) -> bytes:
    """Return an object that defines its maps in the section .maps; ``kind`` is the type of the first one."""
    (folder / "maps.c").write_text(MAPS_IN_BTF.replace("TYPE", str(kind)), encoding="utf-8")
    return compiled(folder, architecture, "maps.c")


@pytest.mark.parametrize(("architecture", "byte_order"), [("bpfel", "little"), ("bpfeb", "big")])
def test_maps_that_the_object_describes(tmp_path: Path, architecture: str, byte_order: ByteOrder) -> None:
    loaded = elf.load(maps_in_btf(tmp_path, architecture))
    sizes = {definition.name: (definition.value_bytes, definition.entries) for definition in loaded.maps}
    assert sizes == {"entries": (24, 3), "bytes": (5, 1)}
    result = run(loaded)
    assert isinstance(result, Returned), str(result)
    assert result.r0 == 9
    found = {definition.name: value for definition, value in zip(loaded.maps, result.maps, strict=True)}
    assert found == {"entries": bytes(64) + (9).to_bytes(8, byte_order), "bytes": bytes(4) + b"\7"}


def test_initial_values_for_maps_that_the_object_describes(tmp_path: Path) -> None:
    data = maps_in_btf(tmp_path, "bpfel")
    order = [definition.name for definition in elf.load(data).maps]
    values = {"entries": bytes(64) + (100).to_bytes(8, "little"), "bytes": b"abcde"}
    result = run(elf.load(data, maps=[values[name] for name in order]))
    assert isinstance(result, Returned)
    assert result.r0 == 109
    with pytest.raises(elf.ObjectError, match=r"has \d+ bytes, not 4"):
        elf.load(data, maps=[bytes(4)])


def test_maps_of_other_types_are_refused(tmp_path: Path) -> None:
    with pytest.raises(elf.ObjectError, match="'entries', has type 1; only array maps"):
        elf.load(maps_in_btf(tmp_path, "bpfel", 1))


@given(st.randoms(use_true_random=False))
@settings(max_examples=100)
def test_damaged_types_are_refused_or_read(objects: Mapping[ByteOrder, bytes], random: Random) -> None:
    section = ELFFile(io.BytesIO(objects["little"])).get_section_by_name(".BTF")
    assert section is not None
    data = bytearray(section.data())
    for _ in range(random.randint(1, 10)):
        data[random.choice((random.randrange(24), random.randrange(len(data))))] = random.randrange(256)
    with contextlib.suppress(btf.BtfError):
        btf.map_sizes(bytes(data), "little")


@given(st.randoms(use_true_random=False))
@settings(max_examples=100)
def test_damaged_objects_are_refused_or_loaded(objects: Mapping[ByteOrder, bytes], random: Random) -> None:
    data = bytearray(objects["little"])
    for _ in range(random.randint(1, 20)):
        place = random.choice((random.randrange(64), random.randrange(len(data)), -random.randint(1, 64 * 30)))
        data[place] = random.randrange(256)
    with contextlib.suppress(elf.ObjectError):
        assert elf.load(bytes(data), maps=MAPS).program
