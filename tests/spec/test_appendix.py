# SPDX-License-Identifier: Apache-2.0
"""``isa.yaml`` against RFC 9669, Appendix A: they differ where an erratum says so, and nowhere else.

Each test below compares one thing; the errata are the only permitted differences, and each must be needed.
Meanings are compared by running both on the same operands: the boundary values of every field, crossed, and a few
arbitrary ones.
"""

import random
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import product

import pytest

from bpf_isa.spec import pseudocode
from bpf_isa.spec.requirements import Erratum, Selector, load_errata
from bpf_isa.spec.table import Fixed, Instruction, isa
from bpf_isa.spec.tree import Stmt, reads

from . import tree_reading
from .appendix import ROWS, Column, Key, Row
from .c_reading import VARIABLES, Condition, Statement, Undefined, read_condition, read_description
from .operands import MASK64, ByteOrder, State

# Descriptions that say nothing about what the instruction does.
NO_MEANING = {"(additional immediate value)", "(deprecated, implementation-specific)"}


def boundaries(bits: int) -> list[int]:
    """Numbers of ``bits`` bits, around every place where a narrower operand or a shift amount ends."""
    edges = {1 << place for place in (5, 6, 7, 15, 31, 32, 63) if place < bits}
    near = {number + step for number in edges for step in (-1, 0)} | {0, 1, 3, 0x0123456789ABCDEF}
    return sorted({sign * number & ((1 << bits) - 1) for number in near for sign in (1, -1)})


REGISTERS = boundaries(64)
IMMEDIATES = [number - (number >> 31 << 32) for number in boundaries(32)]
OFFSETS = (-0x8000, -1, 0, 3, 0x7FFF)
BYTE_ORDERS: tuple[ByteOrder, ...] = ("little", "big")


def key(instruction: Instruction) -> Key:
    """Return what the appendix would have in its columns for a row of isa.yaml."""

    def column(name: str) -> Column:
        rule = instruction.fields[name]
        return rule.value if isinstance(rule, Fixed) else "any"

    return instruction.opcode, column("src"), column("offset"), column("imm")


INSTRUCTIONS = {key(instruction): instruction for instruction in isa().instructions}
APPENDIX = {row.key: row for row in ROWS}
BOTH = {place: (APPENDIX[place], INSTRUCTIONS[place]) for place in APPENDIX if place in INSTRUCTIONS}
COMPARABLE = {place: pair for place, pair in BOTH.items() if pair[0].description not in NO_MEANING}


def recorded(field: str) -> Iterator[tuple[Erratum, Selector]]:
    """Yield the errata that allow a difference in ``field``, once for each of their selectors."""
    for erratum in load_errata().values():
        if field in erratum.fields:
            yield from ((erratum, selector) for selector in erratum.opcodes)


def selected(field: str, places: set[Key]) -> set[Key]:
    return {place for place in places for _, selector in recorded(field) if selector.selects(*place)}


def test_the_transcription_is_a_table() -> None:
    assert len(APPENDIX) == len(ROWS) == 168
    assert [row.opcode for row in ROWS] == sorted(row.opcode for row in ROWS)


def test_rows_the_appendix_lacks_are_recorded() -> None:
    missing = INSTRUCTIONS.keys() - APPENDIX.keys()
    assert missing == selected("missing-row", set(INSTRUCTIONS))


def test_rows_that_are_no_instructions_are_recorded() -> None:
    extra = APPENDIX.keys() - INSTRUCTIONS.keys()
    assert extra == selected("extra-row", set(APPENDIX))


def test_groups_differ_where_it_is_recorded() -> None:
    different = {place for place, (row, instruction) in BOTH.items() if row.groups != instruction.groups}
    assert different == selected("groups", set(BOTH))


def test_sections_are_those_that_the_appendix_refers_to() -> None:
    """Or parts of them: the appendix refers to section 5 for all that sections 5.1 and 5.2 define."""
    for row, instruction in BOTH.values():
        assert f"{instruction.section}.".startswith(f"{row.section}."), instruction.name


def test_only_packet_accesses_have_no_description() -> None:
    silent = {instruction.opcode for place, (_, instruction) in BOTH.items() if place not in COMPARABLE}
    assert silent == {selector.opcode for selector in load_errata()["packet-access-undefined"].opcodes}


def states(means: tuple[Stmt, ...]) -> tuple[State, ...]:
    """Return operands for an instruction that means this."""
    return states_for(reads(*means))


@cache
def states_for(used: frozenset[str]) -> tuple[State, ...]:
    return tuple(generate(used))


def generate(used: frozenset[str]) -> Iterator[State]:
    """Yield operands for an instruction that uses the registers and fields named in ``used``."""
    kinds = {name: VARIABLES[name] for name in ("dst", "src", "r0", "imm", "next_imm") if name in used}
    dimensions = [IMMEDIATES if kind.signed else REGISTERS for kind in kinds.values()]
    if len(dimensions) > 2 or "offset" in used:
        # Addresses and jumps: any base does, and what is moved or compared matters in pairs at most.
        dimensions = [values[::3] for values in dimensions]
    for number, values in enumerate(product(*dimensions)):
        offset, byte_order = OFFSETS[number % len(OFFSETS)], BYTE_ORDERS[number % 2]
        yield state_of(kinds, values, State(offset=offset, byte_order=byte_order))
    chance = random.Random("operands")
    for _ in range(100):
        arbitrary = [kind.wrap(chance.getrandbits(kind.bits)) for kind in kinds.values()]
        yield state_of(kinds, arbitrary, State(offset=chance.choice(OFFSETS)))
    if "r0" in used:
        # A comparison with memory has to succeed now and then.
        for base in REGISTERS:
            yield State(dst=base, src=~base & MASK64, r0=State().load(base, 64))


def state_of(names: Iterable[str], values: Iterable[int], state: State) -> State:
    for name, value in zip(names, values, strict=True):
        setattr(state, name, value)
    return state


@cache
def differing(place: Key) -> tuple[State, ...]:
    """Return the operands for which the description and ``means`` of a row disagree."""
    row, instruction = COMPARABLE[place]
    described = read_description(row.description)
    return tuple(state for state in states(instruction.means) if not agree(described, instruction.means, state))


def agree(described: Statement, means: tuple[Stmt, ...], state: State) -> bool:
    """Tell whether a description in C is defined and does what ``means`` does to ``state``."""
    ours, theirs = state.copy(), state.copy()
    tree_reading.run(means, ours)
    try:
        described(theirs)
    except Undefined:
        return False
    return ours == theirs


def amendments(place: Key) -> dict[str, tuple[Condition, Statement]]:
    """Return the errata about the description of a row: for which operands it differs, and what is decided for them."""
    return {
        erratum.id: (read_condition(selector.when or "1"), read_description(selector.decided or "return"))
        for erratum, selector in recorded("description")
        if selector.selects(*place)
    }


@pytest.mark.parametrize("place", COMPARABLE, ids=[instruction.name for _, instruction in COMPARABLE.values()])
def test_descriptions_differ_where_it_is_recorded(place: Key) -> None:
    conditions = [condition for condition, _ in amendments(place).values()]
    surprises = [state for state in differing(place) if not any(holds(state) for holds in conditions)]
    assert surprises[:3] == [], (COMPARABLE[place][0].description, COMPARABLE[place][1].means_text)


@pytest.mark.parametrize(
    ("erratum", "selector"),
    [pytest.param(*pair, id=f"{pair[0].id}-{pair[1].opcode:#04x}") for pair in recorded("description")],
)
class TestEachErratumAboutADescription:
    def test_it_alone_accounts_for_a_difference(self, erratum: Erratum, selector: Selector) -> None:
        (place,) = [place for place in COMPARABLE if selector.selects(*place)]
        conditions = {name: holds for name, (holds, _) in amendments(place).items()}
        assert any(
            {name for name in conditions if conditions[name](state)} == {erratum.id} for state in differing(place)
        )

    def test_its_decision_is_what_the_row_means(self, erratum: Erratum, selector: Selector) -> None:
        (place,) = [place for place in COMPARABLE if selector.selects(*place)]
        holds, decided = amendments(place)[erratum.id]
        means = COMPARABLE[place][1].means
        concerned = [state for state in states(means) if holds(state)]
        assert [state for state in concerned if not agree(decided, means, state)][:3] == []


def notices(row: Row, wrong: str) -> bool:
    means, described = pseudocode.parse(wrong), read_description(row.description)
    return any(not agree(described, means, state) for state in states(means))


@pytest.mark.parametrize(
    ("opcode", "wrong"),
    [
        (0x0F, "dst = dst - src"),
        (0x16, "PC += offset if dst == (s64)imm"),
        (0x1C, "dst = dst - src"),
        (0x25, "PC += offset if (s64)dst s> (s64)imm"),
        (0x47, "dst = dst | (u64)(u32)imm"),
        (0x54, "dst = dst & (s64)imm"),
        (0x62, "*(u32 *)(dst + offset) = (u32)(imm + 1)"),
        (0x63, "*(u16 *)(dst + offset) = (u16)src"),
        (0x69, "dst = *(u32 *)(src + offset)"),
        (0x6B, "*(u16 *)(src + offset) = (u16)dst"),
        (0x79, "dst = *(u64 *)(src)"),
        (0xBD, "PC += offset if dst < src"),
        (0xC6, "PC += offset if (u32)dst < (u32)imm"),
    ],
)
def test_the_comparison_notices_a_wrong_meaning(opcode: int, wrong: str) -> None:
    (row,) = [row for row, instruction in COMPARABLE.values() if instruction.opcode == opcode]
    assert notices(row, wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        "lock { old = *(u32 *)(dst + offset); *(u32 *)(dst + offset) = (old == (u32)r0) ? (u32)src : old }",
        "lock { old = *(u32 *)(dst + offset); *(u32 *)(dst + offset) = (u32)src; r0 = old }",
        "lock { old = *(u32 *)(dst + offset); *(u32 *)(dst + offset) = ((u64)old == r0) ? (u32)src : old; r0 = old }",
        "lock { old = *(u32 *)(dst + offset); *(u32 *)(dst + offset) = (old == (u32)r0) ? (u32)src : old; src = old }",
    ],
)
def test_the_comparison_notices_a_wrong_cmpxchg(wrong: str) -> None:
    (row,) = [row for row, instruction in COMPARABLE.values() if instruction.name == "ATOMIC_CMPXCHG32"]
    assert notices(row, wrong)
