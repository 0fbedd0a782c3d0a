# SPDX-License-Identifier: Apache-2.0
"""Where control goes: against the reference VM, and against the definitions of the words."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpf_isa.reference_vm.interpreter import TraceStep, execute
from bpf_isa.spec import tree as t
from bpf_isa.spec.asm.assemble import assemble_program
from bpf_isa.spec.control import (
    Block,
    blocks,
    components,
    control_of,
    is_cyclic,
    is_instruction,
    loop_heads,
    natural_loops,
    reached,
    successors_of,
    target_of,
    targets,
)
from bpf_isa.spec.encoding import Decoded, Program
from bpf_isa.spec.pseudocode import parse
from bpf_isa.spec.table import Instruction, isa

from ..programs import SURROUNDINGS, maze, structured, tangled

RANDOM = st.randoms(use_true_random=False)
PROGRAMS = st.builds(lambda make, random: make(random), st.sampled_from([maze, structured, tangled]), RANDOM)
#: Graphs of up to nine nodes.
GRAPHS = st.integers(1, 9).flatmap(
    lambda size: st.fixed_dictionaries(
        {node: st.lists(st.integers(0, size - 1), max_size=3).map(tuple) for node in range(size)}
    )
)


def row(name: str, means: str) -> Instruction:
    return isa().by_name[name].with_means(parse(means))


@pytest.mark.parametrize(
    ("name", "transfer", "continues", "references"),
    [
        ("ADD64_X", None, True, []),
        ("CALL_BTF", None, True, []),
        ("JA", t.Jump, False, [("jump", "offset")]),
        ("JA32", t.Jump, False, [("jump", "imm")]),
        ("JSGT64_K", t.Jump, True, [("jump", "offset")]),
        ("CALL_LOCAL", t.CallLocal, True, [("call", "imm")]),
        ("EXIT", t.Return, False, []),
        ("LD_CODE_ADDR", None, True, [("code address", "imm")]),
    ],
)
def test_rows(name: str, transfer: type[t.Stmt] | None, continues: bool, references: list[tuple[str, str]]) -> None:
    control = control_of(isa().by_name[name])
    assert (type(control.transfer) if control.transfer else None) == transfer
    assert (control.continues, control.regular) == (continues, True)
    assert [(one.kind, one.field) for one in control.references] == references


def test_targets_count_from_the_next_instruction() -> None:
    assert target_of(10, Decoded(isa().by_name["JA"], offset=-3)) == 8
    assert target_of(10, Decoded(isa().by_name["CALL_LOCAL"], imm=4)) == 15
    assert target_of(10, Decoded(isa().by_name["EXIT"])) is None
    (address,) = targets(10, Decoded(isa().by_name["LD_CODE_ADDR"], imm=2))
    assert (address.kind, address.slot) == ("code address", 13)
    assert successors_of(10, Decoded(isa().by_name["LD_CODE_ADDR"], imm=2)) == (12,)


@pytest.mark.parametrize(
    ("means", "target"), [("PC += (s64)offset + (s64)offset", 17), ("PC += (s64)(s8)offset", 14), ("PC += 1", 12)]
)
def test_a_distance_may_be_any_expression(means: str, target: int) -> None:
    item = Decoded(row("JA", means), offset=3)
    assert target_of(10, item) == target
    assert successors_of(10, item) == (target,)


def test_a_field_may_be_unsigned() -> None:
    means = (t.Jump(t.Cast(t.S64, t.Field("offset", t.Type(False, 16)))),)
    assert target_of(10, Decoded(isa().by_name["JA"].with_means(means), offset=-1)) == 11 + 0xFFFF


def test_fields_that_do_not_tell() -> None:
    item = Decoded(row("JA", "PC += (s64)dst"), offset=3)
    assert target_of(10, item) is None
    assert successors_of(10, item) == ()


def test_a_jump_before_other_statements_is_not_regular() -> None:
    assert not control_of(row("JEQ64_X", "PC += offset if dst == src; dst = src")).regular


def test_blocks_of_a_program() -> None:
    program = assemble_program("r0 = 1 ll\ncall local +2\nif r0 == 2 goto -3\nexit\nr0 += 1\nif r0 == 3 goto +7")
    assert blocks(program, 0) == {
        0: Block((0, 2), (3,), 5),
        3: Block((3,), (4,), None),
        4: Block((4,), (), None),
        5: Block((5, 6), (7,), None),
        7: Block((), (), None),
    }
    assert blocks(program, 0, lambda slot, item: slot == 4, into_functions=False) == {
        0: Block((0, 2), (3,), 5),
        3: Block((3,), (4,), None),
        4: Block((), (), None),
    }
    assert blocks(program, 5, lambda slot, item: slot == 6) == {5: Block((5,), (6,), None), 6: Block((), (), None)}


@given(PROGRAMS)
@settings(max_examples=100)
def test_blocks_partition_what_is_reached(program: Program) -> None:
    def following(slot: int) -> list[int]:
        item = program[slot]
        assert item is not None
        found = [*successors_of(slot, item), *(one.slot for one in targets(slot, item) if one.kind == "call")]
        return [place for place in found if is_instruction(program, place)]

    found = blocks(program, 0)
    slots = [slot for block in found.values() for slot in block.slots]
    assert len(slots) == len(set(slots))
    assert set(slots) == reached([0], following)
    for first, block in found.items():
        assert block.slots[:1] in ((first,), ())
        for slot, after in pairwise(block.slots):
            assert following(slot) == [after] and after not in found
        assert found.keys() >= set(block.successors)


@given(PROGRAMS)
@settings(max_examples=100)
def test_what_is_executed_is_in_the_blocks_and_follows(program: Program) -> None:
    trace: list[TraceStep] = []
    execute(program, trace=trace.append, budget=300, **SURROUNDINGS)  # type: ignore[arg-type]  # a dictionary
    found = {block.slots[-1]: block for block in blocks(program, 0).values() if block.slots}
    inside = {slot for block in found.values() for slot in block.slots}
    assert inside >= {step.pc for step in trace}
    callers: list[int] = []
    for step, following in pairwise(trace):
        block = found.get(step.pc)
        if block is None:
            assert successors_of(step.pc, step.decoded) == (following.pc,)
        elif block.call is not None:
            assert following.pc == block.call
            callers += block.successors
        elif isinstance(control_of(step.decoded.instruction).transfer, t.Return):
            assert following.pc == callers.pop()
        else:
            assert following.pc in block.successors


@given(GRAPHS)
def test_components(graph: dict[int, tuple[int, ...]]) -> None:
    behind = {node: reached(graph[node], graph.__getitem__) for node in graph}
    found = components(graph, [0], graph)
    order = {node: place for place, part in enumerate(found) for node in part}
    assert order.keys() == {0} | behind[0]
    for a, place in order.items():
        assert is_cyclic(found[place], graph) == (a in behind[a])
        for b, other in order.items():
            assert (place == other) == (a == b or (b in behind[a] and a in behind[b]))
            assert b not in behind[a] or place <= other


@given(GRAPHS)
def test_without_the_edges_to_loop_heads_there_is_no_loop(graph: dict[int, tuple[int, ...]]) -> None:
    heads = loop_heads(graph)
    forward = {node: [after for after in graph[node] if after not in heads] for node in graph}
    assert not any(is_cyclic(part, forward) for part in components(forward, graph, graph))


@given(GRAPHS)
def test_natural_loops(graph: dict[int, tuple[int, ...]]) -> None:
    """Nothing leads into a natural loop but its header, and each of its blocks leads back there inside of it."""
    graph = {node: graph[node] for node in sorted(reached([0], graph.__getitem__))}
    for header, body in natural_loops(graph, 0).items():
        assert header in body
        around = reached([0], lambda node, header=header: [after for after in graph[node] if after != header])  # type: ignore[misc]
        assert header == 0 or around.isdisjoint(body)
        for node in body:
            assert header in reached(graph[node], lambda node, body=body: graph[node] if node in body else ())  # type: ignore[misc]


def test_a_loop_that_is_entered_in_the_middle_is_no_natural_loop() -> None:
    assert natural_loops({0: (1, 2), 1: (2,), 2: (1, 3), 3: ()}, 0) == {}
    assert natural_loops({0: (1,), 1: (2, 3), 2: (1, 2), 3: ()}, 0) == {1: {1, 2}, 2: {2}}
