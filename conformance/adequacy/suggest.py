# SPDX-License-Identifier: Apache-2.0
"""Vectors that notice a mutant, made of operands for which it differs from its row.

The program sets all registers, executes the one instruction and ends; the expectation is its result on the
unmodified specification, written as literals for a person to review. A vector is suggested only if the mutant fails
it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from ...adapters.protocol import Job
from ...adapters.reference import BUDGET, machine_for
from ...reference_vm.executable import prepare
from ...reference_vm.faults import Returned
from ...reference_vm.interpreter import run
from ...spec import tree as t
from ...spec.asm.assemble import assemble
from ...spec.asm.disassemble import format_instruction
from ...spec.encoding import ByteOrder, Decoded
from ...spec.table import Fixed, Operand
from ..suite.model import Expectation
from .bench import Case
from .executions import notices
from .mutant import Mutant
from .program_mutants import distance_field
from .sampling import KNOWN
from .smt import MOST_SLOTS, Difference

_REGISTERS = 10
_STACK_POINTER = 10
#: Where in the memory of 64 bytes, or below the end of the stack, the datum lies (at the next multiple of 8 below).
_DATUM = 24
_MEMORY_BYTES = 64
_SPARE = 9


@dataclass(frozen=True, eq=False)
class Suggestion:
    """A vector: its program, memory and expectation by byte order.

    ``difference`` has the operands that it is made of, ``what`` describes the mutant.
    """

    difference: Difference
    what: str
    asm: str
    memory: bytes | None
    expect: Mapping[ByteOrder, Expectation]

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """The prepared vector, in both byte orders.

        Raises:
            BaselineError: it does not pass on the unmodified specification.
        """
        return tuple(Case(_job(self.asm, self.memory, order), expect) for order, expect in self.expect.items())


def suggest(mutant: Mutant, difference: Difference) -> Suggestion | None:
    """Return a vector that notices ``mutant``; None if none can be made of ``difference``."""
    program = _program(mutant, difference)
    if program is None:
        return None
    asm, memory = program.asm, program.memory
    orders: tuple[ByteOrder, ...] = ("little", "big")
    expect = {}
    for order in orders:
        outcome = _run(asm, memory, order)
        if outcome is None:
            return None
        shown = {f"r{n}": outcome.registers[n] for n in range(_REGISTERS) if n not in program.hidden}
        expect[order] = Expectation(shown, outcome.memory if program.shows_memory else None)
    suggestion = Suggestion(difference, f"{mutant.row.name} {mutant.what}", asm, memory, expect)
    return suggestion if is_noticed(suggestion, mutant) else None


def is_noticed(suggestion: Suggestion, mutant: Mutant) -> bool:
    """Whether ``suggestion`` fails on a runtime with the fault of ``mutant``, in either byte order."""
    return any(notices(case, mutant) for case in suggestion.cases)


def _job(asm: str, memory: bytes | None, byte_order: ByteOrder) -> Job:
    observe = frozenset([f"r{number}" for number in range(_REGISTERS)] + ["memory"])
    return Job("suggestion", assemble(asm, byte_order), byte_order, frozenset(), observe, memory=memory)


def _run(asm: str, memory: bytes | None, byte_order: ByteOrder) -> Returned | None:
    job = _job(asm, memory, byte_order)
    outcome = run(prepare(job.code, byte_order), machine_for(job, byte_order), budget=BUDGET)
    return outcome if isinstance(outcome, Returned) else None


class _Program(NamedTuple):
    """Assembly and memory; ``hidden`` are the registers whose values depend on the runtime."""

    asm: str
    memory: bytes | None = None
    hidden: frozenset[int] = frozenset()
    shows_memory: bool = True


def _program(mutant: Mutant, difference: Difference) -> _Program | None:
    """Return a program that shows the difference; None if none can be made."""
    row = mutant.row
    nodes = list(t.walk(*row.means))
    if any(isinstance(n, t.CallHelper | t.CallLocal | t.Return) for n in nodes) or row.wide:
        return None
    if any(isinstance(n, t.Call) and n.name in t.PLATFORM_FUNCTIONS for n in nodes):
        return None
    values = {name: getattr(difference, name) for name in ("dst", "src", "offset", "imm")}
    fields = {name: value for name, value in values.items() if isinstance(row.fields[name], Operand)}
    fixed = {name: rule.value for name in values if isinstance(rule := row.fields[name], Fixed)}
    item = Decoded(row, **{**fields, **fixed})
    if not mutant.applies(item):
        return None
    used = _numbers(mutant, item)
    registers = {n: difference.registers[n] if n in used else KNOWN[n] for n in range(_REGISTERS)}
    if any(isinstance(n, t.Load | t.Store) for n in nodes):
        return _with_memory(item, difference, registers)
    setting = [f"r{number} = {value:#x} ll" for number, value in registers.items()]
    if distance_field(row) is not None:
        return _with_jump(item, setting, used)
    return _Program("\n".join([*setting, format_instruction(item), "exit"]) + "\n")


def _numbers(mutant: Mutant, item: Decoded) -> set[int]:
    """Return the numbers of the registers that the row or the mutant reads or writes."""
    nodes = t.walk(*mutant.means_for(item.dst, item.src), *item.instruction.means)
    names = {node.name for node in nodes if isinstance(node, t.Register)}
    numbers = {"dst": item.dst, "src": item.src}
    return {numbers[name] if name in numbers else int(name[1:]) for name in names}


def _with_memory(item: Decoded, difference: Difference, registers: Mapping[int, int]) -> _Program | None:
    address = next(n.address for n in t.walk(*item.instruction.means) if isinstance(n, t.Load | t.Store))
    names = [n.name for n in t.walk(address) if isinstance(n, t.Register)]
    if len(names) != 1 or difference.base is None:
        return None
    base: int = getattr(item, names[0])
    wide = difference.base & 7
    content = bytes(
        difference.memory.get((difference.base - wide - _DATUM + n) & t.U64.mask, n) for n in range(_MEMORY_BYTES)
    )
    others = [n for n in range(_REGISTERS) if n != base]
    setting: list[str] = []
    memory: bytes | None = content
    if base == _STACK_POINTER:
        if not -_MEMORY_BYTES <= item.offset <= -8:
            return None
        memory = None
        setting += _stored(content[_DATUM : _DATUM + 8], item.offset)
    else:
        setting += [f"r{base} = r1", f"r{base} += {_DATUM + wide - item.offset}"] if base != 1 else []
        setting += [f"r1 += {_DATUM + wide - item.offset}"] if base == 1 else []
    setting += [f"r{n} = {registers[n]:#x} ll" for n in others]
    after = []
    if base == _STACK_POINTER and item.src != _SPARE and "dst" not in item.instruction.writes:
        # The stored value is loaded into a register that is no longer needed.
        after = [f"r{_SPARE} = *(u64 *)(r10 - {-item.offset})"]
    # Addresses have no expected value: the base register is hidden unless the instruction overwrites it, and memory
    # if the base register is stored.
    row = item.instruction
    stored = "src" in row.operands and base == item.src and "dst" not in row.writes
    numbers = {"dst": item.dst, "src": item.src, "r0": 0}
    replaced = base in {numbers[name] for name in row.writes}
    hidden = frozenset([base]) if base != _STACK_POINTER and not replaced else frozenset[int]()
    text = "\n".join([*setting, format_instruction(item), *after, "exit"]) + "\n"
    return _Program(text, memory, hidden, shows_memory=not stored)


def _stored(content: bytes, offset: int) -> Iterable[str]:
    for byte, value in enumerate(content):
        place = offset + byte
        if place < 0:
            yield f"*(u8 *)(r10 - {-place}) = {value}"


def _with_jump(item: Decoded, setting: list[str], used: set[int]) -> _Program | None:
    """Lay out a jump of any distance: its target leaves 2 in a register, the next instruction 3, anything else 1."""
    field = distance_field(item.instruction)
    assert field is not None
    distance: int = getattr(item, field)
    if abs(distance) > MOST_SLOTS - 2 * len(setting) - 16:
        return None
    free = next(number for number in range(_REGISTERS) if number not in used)
    setting = [*setting, f"r{free} = 1"]
    jump = format_instruction(item)
    target = [f"r{free} = 2", "exit"]
    following = [f"r{free} = 3", "exit"]
    if distance > 1:
        lines = [*setting, jump, *following, *_padding(distance - len(following)), *target]
    elif distance < 0:
        # The target comes first, at slot 1, then padding, then two slots for each register and one for the free one.
        room = -distance - (2 * _REGISTERS + 1 + 3)
        if room < 0:
            return None
        lines = [f"goto +{room + len(target)}", *target, *_padding(room), *setting, jump, *following]
    else:
        lines = [*setting, jump, *["exit"] * distance, *target]
    return _Program("\n".join(lines) + "\n")


def _padding(count: int) -> list[str]:
    return [f".rept {count}", "exit", ".endr"] if count > 3 else ["exit"] * count


def vector_text(suggestion: Suggestion, name: str, covers: Iterable[str]) -> str:
    """Return ``suggestion`` as an entry of a vector file."""
    lines = [
        f"  - id: {name}",
        f"    what: {json.dumps(suggestion.what)}",
        f"    covers: [{', '.join(covers)}]",
        "    asm: |",
    ]
    lines += [f"      {line}" for line in suggestion.asm.rstrip().split("\n")]
    little, big = suggestion.expect["little"], suggestion.expect["big"]
    if suggestion.memory is not None:
        lines.append(f'    memory: "{suggestion.memory.hex()}"')
    lines.append("    expect:")
    lines.append("      registers:")
    for register, value in little.registers.items():
        lines.append(f"        {register}: {_by_order(f'{value:#x}', f'{big.registers[register]:#x}')}")
    if little.memory is not None and big.memory is not None:
        lines.append(f"      memory: {_by_order(little.memory.hex(), big.memory.hex())}")
    return "\n".join(lines) + "\n"


def _by_order(little: str, big: str) -> str:
    return f'"{little}"' if little == big else f'{{little: "{little}", big: "{big}"}}'
