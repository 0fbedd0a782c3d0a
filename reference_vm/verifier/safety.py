# SPDX-License-Identifier: Apache-2.0
"""The safety verifier: whether a program stays in its memory and can be run without checks.

:func:`prove` looks for what holds at each place of a program whenever an execution comes there: for each register
whether it has a number or an address, in which region, and within which bounds. It tries two ways:

1. *Invariants.* States that lead to the same place are joined, and what grows in a loop is widened to the next number
   that the program mentions; then what was widened too far is narrowed again. That the result holds for each way from
   place to place, and that every instruction is safe in it, is checked at last, and this check alone is relied on.
2. *Paths.* Where that fails, ways are followed one by one as the kernel does, loops round by round, until each ends or
   comes to a state that was seen before. Only so many instructions are looked at. This is also tried where the first
   way gives no bound for the number of steps.

What is proved: no access leaves its region, no store goes to a read-only one, there are no more than the frames that
there can be, R0 is a number at the end, and nothing that the program computes depends on where memory is. Programs
that call helper functions are refused. Not proved is that the program ends: :attr:`Proof.most_steps` has a bound for
the instructions that it executes, if one was found, and who runs it must count where there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import compress

from ...spec import tree as t
from ...spec.control import ControlTransfer, blocks, components, control_of, is_cyclic, loop_heads, target_of
from ...spec.encoding import ByteOrder, Program, encode
from ...spec.table import Isa, isa
from ..frames import FRAME_POINTER, MAX_FRAMES, Frames
from ..machine import Machine
from . import ranges
from .bounds import Bounds, Edge
from .state import Place, Pointer, State, Value, called, joined, returned, state_includes, widened
from .structural import verify
from .transfer import Mode, Surroundings, Transfer, Unreached, Unsafe

#: Instructions that are looked at before it is given up: for invariants, on paths, and on paths only for a bound.
MOST_FOR_INVARIANTS, MOST_ON_PATHS, MOST_FOR_A_BOUND = 150_000, 30_000, 5_000
#: Comparisons of states that take as long as an instruction.
_COMPARED = 10
#: Work is counted in values that are compared. Executing an instruction is worth so many, besides its expressions
#: (:mod:`.transfer`), and so is joining or widening a value.
_OF_AN_INSTRUCTION, _OF_A_JOIN = 10, 4
#: Joins at a point before it is widened, and before it is widened to numbers that any program may have; and passes of
#: narrowing.
_JOINS, _MANY_JOINS, _ROUNDS = 3, 100, 6
_COMMON = {-1, 0, 1, 2, 1 << 8, 1 << 16, 1 << 31, 1 << 32, 1 << 63, -(1 << 31)}


@dataclass(frozen=True, slots=True)
class Point:
    """A place of the program: a slot, reached through calls that return to ``callers``."""

    callers: tuple[int, ...]
    slot: int


class NotProved(Exception):
    """A program that is not known to be safe; that need not mean that it is not.

    ``slot`` is where, ``instruction`` the name of its row, ``reason`` why, with the registers that matter.
    """

    def __init__(self, slot: int, instruction: str | None, reason: str) -> None:
        super().__init__(f"slot {slot}{f' ({instruction})' if instruction else ''}: {reason}")
        self.slot, self.instruction, self.reason = slot, instruction, reason


@dataclass(frozen=True, slots=True)
class Proof:
    """That a program is safe; it executes at most ``most_steps`` instructions (None: no bound is known).

    ``places`` has the region that the instruction at a slot accesses, if it is always the same. ``way`` is how the
    proof was found, ``looked_at`` how many instructions that took.
    """

    surroundings: Surroundings
    most_steps: int | None
    places: tuple[tuple[int, Place], ...]
    way: str
    looked_at: int


def surroundings_of(machine: Machine) -> Surroundings:
    """Return what ``machine`` has.

    Raises:
        ValueError: a program has run on it, or it does not begin as every machine does: that would not do for a proof.
    """
    size, first = (len(machine.input.data), machine.input.base) if machine.input else (0, 0)
    frames = machine.frames
    if type(frames) is not Frames or len(frames.stacks) != 1:
        raise ValueError("a program is safe on a machine with the usual frames, of which it has one")
    if machine.registers[: FRAME_POINTER + 1] != [0, first, size, *[0] * 7, frames.stacks[0].end]:
        raise ValueError("a program is safe on a machine with the registers that programs begin with")
    return Surroundings(
        size,
        tuple((len(item.region.data), item.region.writable) for item in machine.maps),
        tuple((number, len(region.data)) for number, region in sorted(machine.variables.items())),
        machine.input is None or machine.input.writable,
    )


def prove(
    program: Program, byte_order: ByteOrder, surroundings: Surroundings, entry: int = 0, table: Isa | None = None
) -> Proof:
    """Return the proof that ``program``, from slot ``entry``, is safe in ``surroundings``.

    All its instructions have to be rows of ``table``, RFC 9669's if None.

    Raises:
        NotProved: none was found.
    """
    for finding in verify(encode(program, byte_order), byte_order, None, table):
        if finding.severity == "error":
            raise NotProved(finding.slot, None, f"{finding.rule}: {finding.message}")
    rows = (table or isa()).by_name
    for slot, item in enumerate(program):
        if item and rows.get(item.instruction.name) != item.instruction:
            raise NotProved(slot, item.instruction.name, "this is not the instruction of the table")
        if item and not control_of(item.instruction).regular:
            raise NotProved(slot, item.instruction.name, "control is transferred before the end of the instruction")
    paths = _Paths(program, byte_order, surroundings, entry)
    try:
        proof = _Invariants(program, byte_order, surroundings, entry).prove()
    except NotProved as error:
        try:
            return paths.prove()
        except _TooManyPaths:
            raise error from None
    if proof.most_steps is None:
        paths.most = MOST_FOR_A_BOUND
        try:
            return paths.prove()
        except (NotProved, _TooManyPaths):
            pass
    return proof


class _TooManyPaths(Exception):
    pass


class _Search:
    """What both ways have in common: going from point to point."""

    #: How many instructions may be looked at, and how much work may be done for each of them, taken together.
    most, work = 0, 0
    #: The work done, in values that are compared, without that of :attr:`looked_at`.
    done = 0

    def __init__(self, program: Program, byte_order: ByteOrder, surroundings: Surroundings, entry: int) -> None:
        self.program, self.byte_order, self.surroundings = program, byte_order, surroundings
        self.start = Point((), entry)
        self.looked_at = 0
        #: What the accesses of each slot that was checked lead to; None if to more than one region.
        self.places: dict[int, Place | None] = {}
        found = blocks(program, entry)
        #: Slots where ways may meet, and to which jumps lead back.
        self.leaders = found.keys()
        self.heads = loop_heads({first: block.successors for first, block in found.items()})
        numbers = {*_COMMON, surroundings.memory_bytes}
        for item in filter(None, program):
            numbers |= {item.imm, t.U32.wrap(item.imm), t.U64.wrap(item.imm), item.offset}
            if item.instruction.wide:
                numbers.add(item.next_imm % (1 << 32) << 32 | item.imm % (1 << 32))
        #: Where widening stops: numbers that the program may compare with, and their neighbours; and a few of these.
        self.stops, self.few_stops = (
            sorted({number + near for number in some for near in (-1, 0, 1)}) for some in (numbers, _COMMON)
        )

    def entry_state(self) -> State:
        """Return the state in which the program begins."""
        zero = ranges.known(0)
        size = self.surroundings.memory_bytes
        first = Pointer(Place("input"), zero) if size else zero
        registers = (zero, first, ranges.known(size), *[zero] * 7, Pointer(Place("stack", 0), zero))
        return State(registers, ((),))

    def proof(self, most_steps: int | None, way: str) -> Proof:
        """Return the proof, when everything has been checked."""
        places = tuple((slot, place) for slot, place in sorted(self.places.items()) if place)
        return Proof(self.surroundings, most_steps, places, way, self.looked_at)

    def exhausted(self) -> bool:
        """Whether more has been looked at than may be: what counts is work, not time, which is another each time."""
        return self.looked_at > self.most or (self.looked_at * _OF_AN_INSTRUCTION + self.done > self.most * self.work)

    def follow(self, point: Point, state: State, mode: Mode) -> tuple[int, list[tuple[Point, State]]]:
        """Execute from ``point`` to where ways meet or part; return how many instructions that are, and what follows.

        Raises:
            NotProved: an instruction is not known to be safe.
        """
        transfer = Transfer(state, self.surroundings, self.byte_order, mode)
        if mode == "checking":
            transfer.places = self.places
        slot = point.slot
        count = 0
        while True:
            item = self.program[slot] if 0 <= slot < len(self.program) else None
            if item is None:
                # Where the program begins elsewhere than at slot 0, the structural verifier has not looked.
                raise NotProved(slot, None, "no instruction begins here")
            count += 1
            self.looked_at += 1
            self.done += transfer.done
            transfer.done = 0
            if self.exhausted():
                raise NotProved(slot, item.instruction.name, "the program is too complex to be looked at as a whole")
            following = slot + item.instruction.slots
            try:
                control = transfer.execute(slot, item)
                if control is None and following not in self.leaders:
                    slot = following
                    continue
                target = target_of(slot, item)
                if target is None and isinstance(control, t.Jump | t.CallLocal):
                    raise Unsafe("its fields do not tell where control goes")
                ways = list(self._after(point, transfer, control, following if target is None else target, following))
                self.done += transfer.done
                return count, ways
            except Unreached:
                return count, []
            except Unsafe as error:
                raise NotProved(slot, item.instruction.name, str(error)) from None

    def _after(
        self,
        point: Point,
        transfer: Transfer,
        control: ControlTransfer | None,
        target: int,
        following: int,
    ) -> Iterator[tuple[Point, State]]:
        callers = point.callers
        match control:
            case t.Jump(_, condition) if condition is not None:
                for holds, state in transfer.ways(condition):
                    yield Point(callers, target if holds else following), state
            case t.Jump():
                yield Point(callers, target), transfer.state()
            case t.CallLocal():
                if len(callers) + 1 >= MAX_FRAMES:
                    raise Unsafe(f"a call would need more than {MAX_FRAMES} frames")
                yield Point((*callers, following), target), called(transfer.state())
            case t.Return() if callers:
                yield Point(callers[:-1], callers[-1]), returned(transfer.state())
            case t.Return():
                result = transfer.registers[0]
                if not isinstance(result, ranges.Range) and transfer.mode == "checking":
                    raise Unsafe(f"r0: the result is {result}")
            case _:
                yield Point(callers, following), transfer.state()


def _turn(point: Point) -> tuple[int, int, tuple[int, ...], Point]:
    """Return what says when it is the turn of ``point``: functions come before their callers, then by slot."""
    return -len(point.callers), point.slot, point.callers, point


class _Invariants(_Search):
    """One state for each point, that all executions are within."""

    most, work = MOST_FOR_INVARIANTS, 26
    #: Whether something was widened, perhaps too far.
    guessed = False

    def prove(self) -> Proof:
        """Find the states, and check them."""
        states = self._grown({self.start: self.entry_state()})
        for _ in range(_ROUNDS if self.guessed else 0):
            narrower = self._narrowed(states)
            if narrower == states:
                break
            states = narrower
        edges = self._checked(states)
        steps = Bounds(edges, states, self._returning).most_steps(self.start)
        return self.proof(steps, "invariants")

    def _returning(self, head: Point, state: State, points: frozenset[Point]) -> list[State] | None:
        """Return the states that come back to ``head`` through ``points``; None if that is not known."""
        arrived: list[State] = []
        try:
            self._grown({head: state}, points, arrived)
        except NotProved:
            return None
        return arrived

    def _grown(
        self, states: dict[Point, State], within: frozenset[Point] | None = None, back: list[State] | None = None
    ) -> dict[Point, State]:
        """Return states for all points that those given lead to.

        With ``within``, only those points are looked at, the program is traced, and states that come ``back`` to what
        is given go to that list.
        """
        given = frozenset(states)
        mode: Mode = "trusting" if within is None else "tracing"
        states = dict(states)
        todo = [_turn(point) for point in states]
        heapify(todo)
        waiting = set(states)
        joins: dict[Point, int] = {}
        while todo:
            point = heappop(todo)[-1]
            waiting.remove(point)
            _, after = self.follow(point, states[point], mode)
            for target, state in after:
                if within is not None and (target in given or target not in within):
                    if back is not None and target in given:
                        back.append(state)
                    continue
                old = states.get(target)
                self.done += state.size()
                if old is None:
                    states[target] = state
                elif state_includes(old, state):
                    continue
                else:
                    self.done += _OF_A_JOIN * state.size()
                    states[target] = joined(old, state)
                    if target.slot in self.heads:
                        joins[target] = joins.get(target, 0) + 1
                        if joins[target] > _JOINS:
                            self.guessed = True
                            # A program may have so many numbers that they would be too many for each loop.
                            stops = self.stops if joins[target] <= _MANY_JOINS else self.few_stops
                            states[target] = widened(old, state, stops)
                if target not in waiting:
                    waiting.add(target)
                    heappush(todo, _turn(target))
        return states

    def _narrowed(self, states: dict[Point, State]) -> dict[Point, State]:
        """Compute each state anew from those before it."""
        states = dict(states)
        sources: dict[Point, dict[Point, list[State]]] = {}
        after: dict[Point, list[tuple[Point, State]]] = {}
        order = sorted(states, key=lambda p: (len(p.callers), p.slot))
        for point in order:
            after[point] = self.follow(point, states[point], "trusting")[1]
            for target, state in after[point]:
                sources.setdefault(target, {}).setdefault(point, []).append(state)
        for point in order:
            incoming = [state for found in sources.get(point, {}).values() for state in found]
            if point == self.start:
                incoming.append(self.entry_state())
            if not incoming:
                for target, _ in after[point]:
                    sources[target].pop(point, None)
                del states[point]
                continue
            new = incoming[0]
            self.done += (1 + _OF_A_JOIN * (len(incoming) - 1)) * new.size()
            for state in incoming[1:]:
                new = joined(new, state)
            if new == states[point]:
                continue
            states[point] = new
            for target, _ in after[point]:
                sources[target].pop(point, None)
            for target, state in self.follow(point, new, "trusting")[1]:
                sources.setdefault(target, {}).setdefault(point, []).append(state)
        return states

    def _checked(self, states: dict[Point, State]) -> list[Edge[Point]]:
        """Check that every instruction is safe in the states, and that no way leads out of them."""
        edges: list[Edge[Point]] = []
        if self.start not in states or not state_includes(states[self.start], self.entry_state()):
            raise NotProved(self.start.slot, None, "no bounds were found that hold where the program begins")
        for point in sorted(states, key=lambda p: (p.slot, p.callers)):
            count, after = self.follow(point, states[point], "checking")
            for target, state in after:
                self.done += state.size()
                if target not in states or not state_includes(states[target], state):
                    raise NotProved(target.slot, None, "no bounds were found that hold in each round of this loop")
                edges.append(Edge(point, target, count))
            if not after:
                edges.append(Edge(point, None, count))
        return edges


class _Paths(_Search):
    """Every way by itself, until it ends or is where another one has been."""

    most, work = MOST_ON_PATHS, 60

    def __init__(self, program: Program, byte_order: ByteOrder, surroundings: Surroundings, entry: int) -> None:
        super().__init__(program, byte_order, surroundings, entry)
        self.seen = _Seen()

    def prove(self) -> Proof:
        """Follow all ways."""
        after: list[list[int]] = []
        costs: list[int] = []
        todo: list[tuple[Point, State, int | None]] = [(self.start, self.entry_state(), None)]
        while todo:
            point, state, source = todo.pop()
            number = self.seen.find(point, state)
            if number is None:
                number = len(after)
                after.append([])
                self.seen.add(point, state, number)
                try:
                    cost, following = self.follow(point, state, "checking")
                except NotProved:
                    if self.exhausted():
                        raise _TooManyPaths from None
                    raise
                costs.append(cost)
                todo += [(target, new, number) for target, new in reversed(following)]
            if source is not None:
                after[source].append(number)
            self.done += self.seen.done
            self.seen.done = 0
            if self.seen.compared > self.most * _COMPARED or self.exhausted():
                raise _TooManyPaths
        return self.proof(_longest(after, costs), "paths")


class _Seen:
    """The states that were followed, each with a number."""

    def __init__(self) -> None:
        #: By point, by which registers have one possible value, and by these: most rounds of a loop differ there.
        self._states: dict[Point, dict[tuple[bool, ...], dict[tuple[object, ...], list[tuple[State, int]]]]] = {}
        self.compared = self.done = 0

    def add(self, point: Point, state: State, number: int) -> None:
        """Note a state."""
        single = [_single(value) for value in state.registers]
        chosen = tuple(value is not None for value in single)
        group = self._states.setdefault(point, {}).setdefault(chosen, {})
        group.setdefault(tuple(compress(single, chosen)), []).append((state, number))

    def find(self, point: Point, state: State) -> int | None:
        """Return the number of a state that allows for all that ``state`` does."""
        single = [_single(value) for value in state.registers]
        for chosen, group in self._states.get(point, {}).items():
            self.compared += 1
            for old, number in reversed(group.get(tuple(compress(single, chosen)), ())):
                self.compared += 1
                self.done += sum(map(len, state.stacks))
                if state_includes(old, state):
                    return number
        return None


def _single(value: Value) -> object:
    """Return the number or the address that ``value`` stands for; None if there are several."""
    if isinstance(value, Pointer):
        offset = value.offset.constant
        return None if offset is None else (value.place, offset)
    return value.constant if isinstance(value, ranges.Range) else None


def _longest(after: list[list[int]], costs: list[int]) -> int | None:
    """Return the greatest cost of a path from node 0 along ``after``; None if there is a cycle."""
    successors = dict(enumerate(after))
    total: dict[int, int] = {}
    for component in reversed(components(successors, [0], successors)):
        if is_cyclic(component, successors):
            return None
        (node,) = component
        total[node] = costs[node] + max((total[other] for other in after[node]), default=0)
    return total[0]
