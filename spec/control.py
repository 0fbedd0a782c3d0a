# SPDX-License-Identifier: Apache-2.0
"""Control flow: what an instruction does to it, and the basic blocks and natural loops of a program.

All of it is derived from the meanings of the rows. Positions in a program are 64-bit slots. The graph functions take
the successors of each node.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias, TypeVar

from . import tree as t
from .encoding import Decoded
from .folding import fold
from .table import Instruction

P = TypeVar("P", bound=Hashable)

#: Statements that transfer control to anything but the next instruction.
ControlTransfer: TypeAlias = t.Jump | t.CallLocal | t.Return
ReferenceKind: TypeAlias = Literal["jump", "call", "code address"]


class Reference(NamedTuple):
    """A reference of a row to a slot: its kind, the distance, and the field that holds the distance, if one does."""

    kind: ReferenceKind
    distance: t.Expr
    field: str | None


class Control(NamedTuple):
    """The effect of a row on control flow.

    It ``continues`` if control may reach the next instruction, also after a call returns. It is ``regular`` if
    ``transfer`` is its last statement and its only transfer of control.
    """

    transfer: ControlTransfer | None
    continues: bool
    regular: bool
    references: tuple[Reference, ...]


@lru_cache(maxsize=4096)
def control_of(row: Instruction) -> Control:
    """Return the effect of ``row`` on control flow."""
    found = [node for node in t.walk(*row.means) if isinstance(node, ControlTransfer)]
    return Control(
        transfer=found[0] if found else None,
        continues=not any(
            isinstance(node, t.Return) or (isinstance(node, t.Jump) and not node.condition) for node in found
        ),
        regular=not found or (len(found) == 1 and row.means[-1] is found[0]),
        references=tuple(_references(row)),
    )


def _references(row: Instruction) -> Iterator[Reference]:
    for node in t.walk(*row.means):
        match node:
            case t.Jump(distance):
                kind: ReferenceKind = "jump"
            case t.CallLocal(distance):
                kind = "call"
            case t.Call("code_addr", (distance,)):
                kind = "code address"
            case _:
                continue
        yield Reference(kind, distance, _field(distance))


def _field(distance: t.Expr) -> str | None:
    match distance:
        case t.Field(name, kind) | t.Cast(t.S64, t.Field(name, kind)) if kind.signed:
            return name
        case _:
            return None


class Target(NamedTuple):
    """The slot that an instruction refers to, which may be outside the program; see :class:`Reference`."""

    kind: ReferenceKind
    slot: int
    field: str | None


def targets(slot: int, item: Decoded) -> list[Target]:
    """Return the slots that ``item`` at ``slot`` refers to, besides the next one, where its fields determine them."""
    found = []
    for kind, distance, field in control_of(item.instruction).references:
        # A code address is relative to the slot after the first one of its instruction (erratum code-addr-base).
        after = slot + (1 if kind == "code address" else item.instruction.slots)
        if field is not None:
            found.append(Target(kind, after + getattr(item, field), field))
        elif (bits := fold(distance, item)) is not None:
            found.append(Target(kind, after + distance.type.wrap(bits), field))
    return found


def target_of(slot: int, item: Decoded) -> int | None:
    """Return the target of the jump or local call at ``slot``; None if the fields do not determine it."""
    return next((target.slot for target in targets(slot, item) if target.kind != "code address"), None)


def successors_of(slot: int, item: Decoded) -> tuple[int, ...]:
    """Return the successors of ``item`` at ``slot``, a taken jump first; functions that it calls are not included."""
    control = control_of(item.instruction)
    after = (slot + item.instruction.slots,) if control.continues else ()
    if control.transfer is None:
        return after
    return (*(target.slot for target in targets(slot, item) if target.kind == "jump"), *after)


def is_instruction(program: Sequence[Decoded | None], slot: int) -> bool:
    """Whether an instruction begins at ``slot``."""
    return 0 <= slot < len(program) and program[slot] is not None


def destination(program: Sequence[Decoded | None], slot: int, item: Decoded) -> int | None:
    """Return what :func:`target_of` does; None as well if no instruction begins there."""
    target = target_of(slot, item)
    return target if target is not None and is_instruction(program, target) else None


# Basic blocks


class Block(NamedTuple):
    """A basic block: the slots of its instructions and its successors, see :func:`successors_of`.

    ``call`` is the first slot of the function that it calls at its end. Jumps and calls to slots without an instruction
    are left out. A block without slots is where control leaves the program, or the part of it that is followed.
    """

    slots: tuple[int, ...]
    successors: tuple[int, ...]
    call: int | None


def blocks(
    program: Sequence[Decoded | None],
    entry: int,
    leaves: Callable[[int, Decoded], bool] | None = None,
    *,
    into_functions: bool = True,
) -> dict[int, Block]:
    """Return the basic blocks that control reaches from ``entry``, by first slot, in order.

    Instructions for which ``leaves`` is true are not followed, nor, if not ``into_functions``, are calls.
    """
    leaders = {entry}
    after: dict[int, tuple[int, ...]] = {}
    calls: dict[int, int] = {}

    def follow(slot: int) -> tuple[int, ...]:
        while slot not in after:
            item = program[slot] if is_instruction(program, slot) else None
            if item is None or (leaves and leaves(slot, item)):
                leaders.add(slot)
                break
            end = slot + item.instruction.slots
            transfer = control_of(item.instruction).transfer
            if transfer is None:
                after[slot] = (end,)
                slot = end
                continue
            found = after[slot] = tuple(
                place for place in successors_of(slot, item) if place == end or is_instruction(program, place)
            )
            call = destination(program, slot, item) if isinstance(transfer, t.CallLocal) else None
            if call is not None:
                calls[slot] = call
                found = (*found, call) if into_functions else found
            leaders.update(found)
            return found
        return ()

    reached([entry], follow)

    def block(first: int) -> Block:
        slots: list[int] = []
        slot = first
        while slot in after:
            slots.append(slot)
            found = after[slot]
            if len(found) != 1 or found[0] in leaders:
                return Block(tuple(slots), found, calls.get(slot))
            (slot,) = found
        return Block((), (), None)

    return {first: block(first) for first in sorted(leaders)}


def loop_heads(successors: Mapping[int, Iterable[int]]) -> set[int]:
    """Return the targets of backward jumps; every loop has one."""
    return {target for first, following in successors.items() for target in following if target <= first}


def natural_loops(successors: Mapping[int, Iterable[int]], entry: int) -> dict[int, set[int]]:
    """Return the blocks of each natural loop, by header. Loops with a second entry are left out.

    ``successors`` has the blocks that control reaches from ``entry``.
    """
    before: dict[int, list[int]] = {first: [] for first in successors}
    for first, following in successors.items():
        for target in following:
            before[target].append(first)
    found = {}
    for header in sorted(loop_heads(successors)):
        body = _body(header, before)
        if not any(first == entry or not body.issuperset(before[first]) for first in body - {header}):
            found[header] = body
    return found


def _body(header: int, before: Mapping[int, Iterable[int]]) -> set[int]:
    back = [first for first in before[header] if first >= header]
    return {header} | reached(back, lambda first: () if first == header else before[first])


# Graphs


def reached(starts: Iterable[P], successors: Callable[[P], Iterable[P]]) -> set[P]:
    """Return ``starts`` and all nodes reachable from them."""
    found: set[P] = set()
    todo = list(starts)
    while todo:
        node = todo.pop()
        if node not in found:
            found.add(node)
            todo += successors(node)
    return found


def components(successors: Mapping[P, Iterable[P]], roots: Iterable[P], within: Container[P]) -> list[list[P]]:
    """Return the strongly connected components reachable from ``roots`` through ``within``, in topological order.

    (Tarjan's algorithm, without recursion.)
    """
    number: dict[P, int] = {}
    low: dict[P, int] = {}
    stack: list[P] = []
    waiting: set[P] = set()
    found: list[list[P]] = []
    for root in roots:
        if root in number:
            continue
        number[root] = low[root] = len(number)
        stack.append(root)
        waiting.add(root)
        work = [(root, iter(successors[root]))]
        while work:
            block, targets = work[-1]
            for target in targets:
                if target not in within:
                    continue
                if target not in number:
                    number[target] = low[target] = len(number)
                    stack.append(target)
                    waiting.add(target)
                    work.append((target, iter(successors[target])))
                    break
                if target in waiting:
                    low[block] = min(low[block], number[target])
            else:
                work.pop()
                if work:
                    above = work[-1][0]
                    low[above] = min(low[above], low[block])
                if low[block] == number[block]:
                    at = len(stack) - 1
                    while stack[at] != block:
                        at -= 1
                    found.append(stack[at:])
                    waiting.difference_update(stack[at:])
                    del stack[at:]
    return found[::-1]


def is_cyclic(component: Sequence[P], successors: Mapping[P, Iterable[P]]) -> bool:
    """Whether a strongly connected component has a cycle."""
    return len(component) > 1 or component[0] in successors[component[0]]
