# SPDX-License-Identifier: Apache-2.0
"""What a program runs with, for the safety verifier: regions of memory, and those that a machine has."""

from __future__ import annotations

import pytest

from bpf_isa.reference_vm.executable import prepare
from bpf_isa.reference_vm.frames import Frames
from bpf_isa.reference_vm.interpreter import run
from bpf_isa.reference_vm.machine import Machine
from bpf_isa.reference_vm.maps import ArrayMap
from bpf_isa.reference_vm.verifier.proof import NotProved
from bpf_isa.reference_vm.verifier.safety import prove, surroundings_of
from bpf_isa.reference_vm.verifier.surroundings import Surroundings
from bpf_isa.spec.asm.assemble import assemble

from .proving import program_of, proved


def test_maps_and_variables_are_regions() -> None:
    asm = "r1 = map_val(map_by_fd(0)) + 4\n{}\nr2 = var_addr(7)\nr0 = *(u16 *)(r2 + 2)\nexit"
    assert proved(asm.format("*(u32 *)(r1 + 0) = 1"), maps=((8, True),), variables=((7, 4),)).most_steps == 5
    for access, maps, message in [
        ("*(u32 *)(r1 + 0) = 1", ((8, False),), "r1: the value of map 0 is read-only"),
        ("*(u32 *)(r1 + 1) = 1", ((8, True),), "the value of map 0 has offsets 0 to 8"),
        ("r1 = map_by_fd(0)\nr0 = *(u8 *)(r1 + 0)", ((8, True),), "a number that depends on where memory is is no"),
        ("r1 = map_by_idx(1)", ((8, True),), "there is no map 1"),
    ]:
        with pytest.raises(NotProved, match=message.replace("(", r"\(")):
            proved(asm.format(access), maps=maps, variables=((7, 4),))


def test_variables_are_those_with_the_number_that_the_field_holds() -> None:
    asm = "r1 = var_addr(-1)\nr0 = *(u8 *)(r1 + 0)\nexit"
    assert proved(asm, variables=((-1, 1),)).most_steps == 3
    with pytest.raises(NotProved, match="there is no platform variable -1"):
        proved(asm, variables=((0xFFFFFFFF, 1),))


def test_surroundings_are_those_of_the_machine() -> None:
    maps = (b"abc", ArrayMap(bytes(12), entries=3, writable=False))
    machine = Machine(memory=b"abcd", maps=maps, variables={5: b"xy", 2: b""})
    assert surroundings_of(machine) == Surroundings(4, ((3, True), (24, False)), ((2, 0), (5, 2)))
    assert surroundings_of(Machine()) == Surroundings()
    assert machine.input is not None
    machine.input = machine.input._replace(writable=False)
    assert surroundings_of(machine).memory_is_writable is False
    with pytest.raises(NotProved, match=r"slot 0 \(ST_MEM_B\): r1: the input memory is read-only"):
        prove(program_of("*(u8 *)(r1 + 0) = 1; exit"), "little", surroundings_of(machine))


def test_proofs_are_about_machines_as_they_begin() -> None:
    class Shallow(Frames):
        pass

    ran = Machine(memory=b"abcd")
    run(prepare(assemble("r3 = 1\nexit")), ran)
    deeper = Machine()
    deeper.frames.enter(deeper.registers, 0)
    for machine, message in ((ran, "registers"), (deeper, "frames"), (Machine(frames=Shallow), "frames")):
        with pytest.raises(ValueError, match=message):
            surroundings_of(machine)
