# SPDX-License-Identifier: Apache-2.0
"""Generated vectors about surroundings notice faults that are confined to these surroundings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache

import pytest

from bpf_isa.conformance.adequacy.bench import Case
from bpf_isa.conformance.adequacy.occurrences import contexts_in
from bpf_isa.conformance.generate import fusion, knowledge, narrow, restarts, staleness
from bpf_isa.conformance.generate.draft import Draft, job, outcome
from bpf_isa.conformance.generate.writers import writers
from bpf_isa.conformance.suite.model import Expectation
from bpf_isa.reference_vm.contexts.context import context
from bpf_isa.reference_vm.faults import Returned
from bpf_isa.reference_vm.interpreter import execute
from bpf_isa.reference_vm.machine import Machine
from bpf_isa.reference_vm.rows import Move
from bpf_isa.spec.asm.assemble import assemble
from bpf_isa.spec.control import targets
from bpf_isa.spec.facts import Kind, facts
from bpf_isa.spec.table import isa

#: Changes registers after an instruction; gets those before it, those after it, and whether control leaves.
Fault = Callable[[list[int], list[int], bool], None]
_LOW, _MASK = (1 << 32) - 1, (1 << 64) - 1


@cache
def _drafts(family: Callable[[], Iterable[Draft]]) -> Mapping[str, Draft]:
    return {draft.id: draft for draft in family()}


def _case(draft: Draft, name: str) -> Case:
    asked = job(draft, name, "little")
    result = outcome(draft, asked)
    registers = {column: result.registers[int(column[1:])] for column in draft.observe if column != "after"}
    return Case(asked, Expectation(registers, result.memory if "after" in draft.observe else None))


def _notices(case: Case, slots: Iterable[int], fault: Fault) -> bool:
    """Whether ``case`` notices a machine with the fault at ``slots``."""
    faulty = case.executable.replaced({})
    faulty.units = dict.fromkeys(range(len(faulty.operations)))
    chosen = list(slots)
    assert chosen
    for slot in chosen:
        step, following = faulty.operations[slot]

        def wrong(registers: list[int], machine: Machine, step: Callable[..., Move] = step) -> Move:
            before = registers.copy()
            move = step(registers, machine)
            fault(before, registers, move is not None)
            return move

        faulty.operations[slot] = wrong, following
    return not case.passes(faulty)


_USES = (
    *(f"used by: {kind}" for kind in ("condition32", "condition64", "shift32", "shift64", "move32", "move64")),
    *(f"used by: {kind}" for kind in ("arithmetic32", "arithmetic64", "store", "sign extension64", "byte swap")),
    *(f"after: {kind}" for kind in ("unconditional jump", "load", "64-bit constant", "store of an immediate")),
)


@pytest.mark.parametrize("row", ["ADD32_X", "LSH32_K", "MOV32_X", "LDX_MEM_W", "MOVSX32_8"])
def test_an_upper_half_that_is_left_is_noticed_whatever_follows(row: str) -> None:
    draft = _drafts(narrow.drafts)["before/jumps-and-arithmetic"]
    case = _case(draft, row.lower().replace("_", "-"))
    found = contexts_in(isa().by_name[row], case)

    def keep(before: list[int], after: list[int], leaves: bool) -> None:
        after[8] = before[8] & ~_LOW | after[8] & _LOW

    assert [text for text in _USES if not _notices(case, found.get(context(text), ()), keep)] == []


def test_so_is_one_that_a_function_returns_or_another_one_gets() -> None:
    case = _case(_drafts(narrow.drafts)["before/calls"], "add32-x")
    slots = [slot for slot, item in case.at("ADD32_X") if item.dst in (0, 3)]

    def keep(before: list[int], after: list[int], leaves: bool) -> None:
        for register in (0, 3):
            after[register] = before[register] & ~_LOW | after[register] & _LOW

    assert [slot for slot in slots if not _notices(case, [slot], keep)] == [slots[6]]  # its lower half is copied


def _back_jumps(case: Case) -> list[int]:
    """The jumps of a program to its first instruction, or to that of a function."""
    program = case.executable.program
    found = [(slot, one) for slot, item in enumerate(program) if item for one in targets(slot, item)]
    entries = {0, *(one.slot for _, one in found if one.kind == "call")}
    return [slot for slot, one in found if one.kind == "jump" and one.slot in entries]


@pytest.mark.parametrize("register", [0, 1, 6, 9])
def test_a_prologue_that_runs_again_is_noticed(register: int) -> None:
    def clear(before: list[int], after: list[int], leaves: bool) -> None:
        if leaves:
            after[register] = 0

    # A program that comes back by R1 has 0 in it.
    by_r1 = ("every-jump", "all-jumps", "to-a-computation", "calls/that-calls", "function/all")
    for name in ("to-a-memory-access", "function/first-instructions") if register == 1 else by_r1:
        draft = _drafts(restarts.drafts)[f"restart/{name}"]
        case = _case(draft, next(iter(draft.cases)))
        assert _notices(case, _back_jumps(case), clear), name


@pytest.mark.parametrize("kind", ["moves-and-shifts", "memory-accesses", "constants-and-conditions", "masks-and-sums"])
def test_a_jump_to_the_second_instruction_must_not_execute_the_first(kind: str) -> None:
    draft = _drafts(fusion.drafts)[f"pair/{kind}/forward"]
    case = _case(draft, "taken")
    faulty = case.executable.replaced({})
    faulty.units = dict.fromkeys(range(len(faulty.operations)))
    for slot, item in case.at("JEQ64_K"):
        if item.dst == 0:
            faulty.operations[slot] = _falls_through, slot + 1
            assert facts(item.instruction).kind is Kind.CONDITION
    assert not case.passes(faulty)


def _falls_through(registers: list[int], machine: Machine) -> Move:
    return None


@pytest.mark.parametrize("row", ["ADD64_X", "MOV64_K", "BSWAP64", "NEG32", "LD_IMM64"])
def test_a_copy_that_follows_its_original_is_noticed(row: str) -> None:
    case = _case(_drafts(staleness.drafts)["copied/registers"], row.lower().replace("_", "-"))

    def follow(before: list[int], after: list[int], leaves: bool) -> None:
        after[8] = after[3]

    slots = [slot for slot, item in case.at(row) if item.dst == 3]
    noticed = [slot for slot in slots if _notices(case, [slot], follow)]
    # In the others the copy is made, or loaded, later.
    assert 3 * len(noticed) >= 2 * len(slots)


def test_a_register_is_no_constant_because_its_lower_half_is() -> None:
    case = _case(_drafts(knowledge.drafts)["known/values/k"], "5")

    def know(before: list[int], after: list[int], leaves: bool) -> None:
        if leaves:
            after[3] = 5

    slots = [slot for slot, _ in case.at("JEQ32_K")]
    assert sum(_notices(case, [slot], know) for slot in slots) >= 3


def test_neutral_operands_keep_the_lower_half() -> None:
    for writer in writers():
        first, _, special = writer.on(3, 4, 6)
        if "imm" in writer.row.operands and special != first:
            text = f"r3 = 0x123456789abcdef0 ll\n{special}\nr0 = r3\nexit\n"
            result = execute(assemble(text))
            assert isinstance(result, Returned)
            assert result.r0 & _LOW == 0x9ABCDEF0, writer.name
