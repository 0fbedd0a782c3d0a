# SPDX-License-Identifier: Apache-2.0
"""The transfer function: the typed tree of a row, evaluated on an abstract state.

It has one rule per kind of node of the tree, and none for a single instruction.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

from ...spec import tree as t
from ...spec.control import ControlTransfer
from ...spec.encoding import ByteOrder, Decoded
from . import operators, ranges
from .ranges import Range
from .state import ADDRESS, HALF, Place, Pointer, Stack, State, Value, load, store, unknown
from .surroundings import Surroundings

_OF_A_NODE, _OF_A_SET, _OF_AN_ACCESS, _OF_A_CONDITION = 4, 12, 12, 25
_ZERO, _FALSE, _TRUE = ranges.known(0), ranges.known(0, 1), ranges.known(1, 1)


class Unsafe(Exception):
    """An instruction that is not known to be safe; the message says why."""


class Unreached(Exception):
    """The abstract state is empty: the point is unreachable."""


#: The treatment of an instruction that is not known to be safe. ``checking``: reject it. ``trusting``: assume that it
#: is safe, while the states in loops may still be too wide. ``tracing``: the program is known to be safe, but a
#: register has a symbolic value (:mod:`.bounds`).
Mode: TypeAlias = Literal["checking", "trusting", "tracing"]


class Transfer:
    """Executes instructions on an abstract state.

    Raises:
        Unsafe: an instruction is not known to be safe, or cannot be traced.
        Unreached: the point is unreachable for safe executions.
    """

    def __init__(self, state: State, surroundings: Surroundings, byte_order: ByteOrder, mode: Mode) -> None:
        self.registers = list(state.registers)
        self.stacks: list[Stack] = list(state.stacks)
        self.preserved = state.preserved
        self.surroundings, self.byte_order, self.mode = surroundings, byte_order, mode
        #: The region that the accesses of each slot lead to; None if there is more than one.
        self.places: dict[int, Place | None] = {}
        self.locals: dict[str, Value] = {}
        self.item: Decoded
        self.slot = 0
        #: The work done, in comparisons of values: for expressions, accesses with the stacks that they search, and
        #: conditions.
        self.done = 0

    def state(self) -> State:
        """Return the current state."""
        return State(tuple(self.registers), tuple(self.stacks), self.preserved)

    def execute(self, slot: int, item: Decoded) -> ControlTransfer | None:
        """Execute ``item`` except for its transfer of control, which is returned."""
        self.slot, self.item = slot, item
        self.locals.clear()
        control: ControlTransfer | None = None
        for statement in item.instruction.means:
            if isinstance(statement, ControlTransfer):
                control = statement
            else:
                self._statement(statement)
        return control

    def branches(self, condition: t.Expr) -> Iterator[tuple[bool, State]]:
        """Yield each possible outcome of ``condition``, with the narrowed state."""
        registers, bindings = self.registers, self.locals
        for holds in (True, False):
            self.done += _OF_A_CONDITION
            self.registers, self.locals = registers.copy(), bindings.copy()
            if self._assume(condition, holds):
                yield holds, self.state()
        self.registers, self.locals = registers, bindings

    # Statements

    def _statement(self, node: t.Stmt) -> None:
        match node:
            case t.Assign(t.Register(name), value):
                self.registers[self.item.register(name)] = self._value(value)
            case t.Assign(t.Local(name), value):
                self.locals[name] = self._value(value)
            case t.Store(kind, address, value):
                self._store(kind, address, self._value(value))
            case t.Lock(body):
                for statement in body:
                    self._statement(statement)
            case _:
                raise self._refusal("what a helper function does is not known")

    def _refusal(self, reason: str) -> Unsafe | Unreached:
        """Return the exception for an instruction that is not known to be safe."""
        return Unreached() if self.mode == "trusting" else Unsafe(reason)

    def _store(self, kind: t.Type, address: t.Expr, value: Value) -> None:
        size = kind.bits // 8
        pointer = self._accessed(address, size, writes=True)
        if pointer is None:
            self.done += sum(map(len, self.stacks))
            self.stacks = [unknown(stack) for stack in self.stacks]
        elif pointer.place.kind == "stack":
            low, high = pointer.offset.signed_low, pointer.offset.signed_high + size
            self.done += len(self.stacks[pointer.place.number])
            stack = store(self.stacks[pointer.place.number], low, high, size, value)
            if stack is not None:
                self.stacks[pointer.place.number] = stack
            else:
                raise self._refusal(f"{self._names(address)}: {pointer}: an address kept there could be lost sight of")
        elif not isinstance(value, Range) and self.mode == "checking":
            raise Unsafe(f"stores {value} in {pointer.place}")

    def _names(self, *nodes: t.Expr) -> str:
        """Return the registers that expressions use, for a message."""
        parts = [part for part in t.walk(*nodes) if isinstance(part, t.Register)]
        return " and ".join(dict.fromkeys(f"r{self.item.register(part.name)}" for part in parts)) or "the operand"

    # Expressions

    def _value(self, node: t.Expr) -> Value:
        self.done += _OF_A_NODE
        match node:
            case t.Const(number, kind):
                return ranges.known(number, kind.bits)
            case t.Register(name):
                return self.registers[self.item.register(name)]
            case t.Field(name, kind):
                return ranges.known(getattr(self.item, name), kind.bits)
            case t.Local(name):
                return self.locals[name]
            case t.Cast(kind, inner):
                return self._weighed(self._cast(self._value(inner), inner.type, kind))
            case t.Negate(inner):
                value = self._value(inner)
                return operators.negate(value) if isinstance(value, Range) else ADDRESS
            case t.Binary(op, left, right):
                return self._weighed(self._binary(op, self._value(left), self._value(right)))
            case t.Compare():
                values = [_TRUE if holds else _FALSE for holds, _ in self.branches(node)]
                return values[0] if len(values) == 1 else ranges.anything(1)
            case t.Choose():
                return self._choose(node)
            case t.Load(kind, address):
                return self._load(kind.bits // 8, address)
            case t.Call(name, (argument,)) if name in t.BYTE_ORDER_FUNCTIONS:
                value = self._value(argument)
                if name.startswith("bswap") or (name[:2] == "be") != (self.byte_order == "big"):
                    return operators.swap_bytes(value) if isinstance(value, Range) else ADDRESS
                return value
            case t.Call():
                return self._platform(node)

    def _weighed(self, value: Value) -> Value:
        """Count the work for the result of an operator, which is more for sets of several numbers."""
        if isinstance(value, Range) and value.constant is None:
            self.done += _OF_A_SET
        return value

    @staticmethod
    def _cast(value: Value, old: t.Type, new: t.Type) -> Value:
        if old.bits == new.bits:
            return value
        if not isinstance(value, Range):
            lower = {old.bits, new.bits} == {32, 64} and not old.signed
            return value if lower and isinstance(value, Pointer) and value.place == HALF else ADDRESS
        if new.bits < old.bits:
            return operators.cut(value, new.bits)
        return operators.extend(value, new.bits, by_sign=old.signed)

    @staticmethod
    def _binary(op: str, left: Value, right: Value) -> Value:
        if isinstance(left, Range) and isinstance(right, Range):
            return operators.OPERATORS[op](left, right)
        if op == "+" and isinstance(left, Range):
            left, right = right, left
        if isinstance(left, Pointer) and left.place.kind != "handle":
            if op in {"+", "-"} and isinstance(right, Range):
                distance = right if right.bits == 64 else operators.extend(right, 64, by_sign=True)
                return Pointer(left.place, operators.OPERATORS[op](left.offset, distance))
            if op == "-" and isinstance(right, Pointer) and left.place == right.place != HALF:
                return operators.sub(left.offset, right.offset)
        return ADDRESS

    def _choose(self, node: t.Choose) -> Value:
        registers, bindings = self.registers, self.locals
        found: list[Value] = []
        for holds in (True, False):
            self.registers, self.locals = registers.copy(), bindings.copy()
            if self._assume(node.condition, holds):
                found.append(self._value(node.then if holds else node.otherwise))
        self.registers, self.locals = registers, bindings
        if not found:
            raise Unreached
        first, *rest = found
        for value in rest:
            if isinstance(first, Range) and isinstance(value, Range):
                first = ranges.join(first, value)
            elif first != value:
                first = ADDRESS
        return first

    # Memory and platform

    def _load(self, size: int, address: t.Expr) -> Value:
        pointer = self._accessed(address, size, writes=False)
        if pointer is None:
            return ADDRESS if size == 8 and self._keeps_addresses() else ranges.anything(8 * size)
        if pointer.place.kind == "stack":
            low, high = pointer.offset.signed_low, pointer.offset.signed_high + size
            self.done += len(self.stacks[pointer.place.number])
            return load(self.stacks[pointer.place.number], low, high, size)
        return ranges.anything(8 * size)

    def _keeps_addresses(self) -> bool:
        self.done += sum(map(len, self.stacks))
        return any(not isinstance(kept.value, Range) for stack in self.stacks for kept in stack)

    def _accessed(self, address: t.Expr, size: int, *, writes: bool) -> Pointer | None:
        """Return the address of an access; None if it is unknown."""
        self.done += _OF_AN_ACCESS
        value = self._value(address)
        if not isinstance(value, Pointer) or value.place.kind in {"handle", "value"}:
            if self.mode == "tracing":
                return None
            raise self._refusal(f"{self._names(address)}: {value} is no address that can be accessed")
        low, high = self.surroundings.bounds(value.place)
        inside = high - low >= size and ranges.meet(value.offset, ranges.signed(low, high - size))
        if inside and inside == value.offset:
            if not writes or self.surroundings.is_writable(value.place):
                self.places[self.slot] = value.place if self.places.get(self.slot, value.place) == value.place else None
                return value
            reason = f"{value.place} is read-only"
        else:
            reason = f"{value.place} has offsets {low} to {high}, but the access of {size} bytes is at {value.offset}"
        if self.mode == "checking":
            raise Unsafe(f"{self._names(address)}: {reason}")
        if not inside or not self._narrow(address, Pointer(value.place, inside)):
            raise Unreached
        return Pointer(value.place, inside)

    def _platform(self, call: t.Call) -> Value:
        if call.name == "packet":
            return Pointer(Place("input"), _ZERO)
        if call.name == "code_addr":
            return ADDRESS
        (argument,) = call.args
        value = self._value(argument)
        known = self.surroundings
        if call.name == "map_val":
            if isinstance(value, Pointer) and value.place.kind == "handle":
                return Pointer(Place("map", value.place.number), _ZERO)
            raise self._refusal(f"{value} is no map")
        number = value.constant if isinstance(value, Range) else None
        if call.name == "var_addr":
            for variable, _ in known.variables:
                if number is not None and argument.type.wrap(number) == variable:
                    return Pointer(Place("variable", variable), _ZERO)
            raise self._refusal(f"there is no platform variable {value}")
        if number is not None and number < len(known.maps):
            return Pointer(Place("handle", number), _ZERO)
        raise self._refusal(f"there is no map {value}")

    # Conditions

    def _assume(self, condition: t.Expr, holds: bool) -> bool:
        """Narrow registers and locals to where ``condition`` is ``holds``; return False if that is impossible."""
        if not isinstance(condition, t.Compare):
            value = self._value(condition)
            return not isinstance(value, Range) or value.constant in {None, int(holds)}
        op = condition.op if holds else operators.NEGATED[condition.op]
        left, right = self._value(condition.left), self._value(condition.right)
        if isinstance(left, Range) and isinstance(right, Range):
            numbers = operators.narrowed(op, left, right)
            return bool(
                numbers and self._narrow(condition.left, numbers[0]) and self._narrow(condition.right, numbers[1])
            )
        for one, other in ((left, right), (right, left)):
            is_null_check = op in {"==", "!="} and isinstance(other, Range) and other.constant == 0
            if is_null_check and isinstance(one, Pointer) and self._is_inside(one):
                return op == "!="
        return self._assume_of_addresses(condition, op, left, right)

    def _assume_of_addresses(self, condition: t.Compare, op: str, left: Value, right: Value) -> bool:
        if isinstance(left, Pointer) and isinstance(right, Pointer) and left.place == right.place:
            if not (self._is_inside(left) and self._is_inside(right)) and self.mode == "checking":
                raise Unsafe(f"{self._names(condition)}: {left} and {right}: one of them may be outside of the region")
            if left.place.kind not in {"value", "handle"}:
                return self._narrow_addresses(condition, op, left, right)
        if self.mode == "checking":
            raise Unsafe(f"{self._names(condition)}: the condition depends on where memory is: {left} and {right}")
        return True

    def _narrow_addresses(self, condition: t.Compare, op: str, left: Pointer, right: Pointer) -> bool:
        low, high = self.surroundings.bounds(left.place)
        bounds = ranges.signed(low, high)
        offsets = ranges.meet(left.offset, bounds), ranges.meet(right.offset, bounds)
        if offsets[0] is None or offsets[1] is None:
            return False
        # Offsets into stacks are negative, so they are compared as signed numbers.
        ordered = op if op in {"==", "!="} else f"s{op.removeprefix('s')}"
        narrowed = operators.narrowed(ordered, offsets[0], offsets[1])
        return bool(
            narrowed
            and self._narrow(condition.left, Pointer(left.place, narrowed[0]))
            and self._narrow(condition.right, Pointer(left.place, narrowed[1]))
        )

    def _is_inside(self, pointer: Pointer) -> bool:
        """Whether ``pointer`` is in its region or at its end, so that it is not 0 and compares as its offset does."""
        low, high = self.surroundings.bounds(pointer.place)
        inside = low <= pointer.offset.signed_low and pointer.offset.signed_high <= high
        return pointer.place.kind == "handle" or (inside and low < high)

    def _narrow(self, node: t.Expr, value: Value) -> bool:
        """Narrow ``node``, evaluated before, to ``value``; return False if that is impossible."""
        match node:
            case t.Register(name):
                self.registers[self.item.register(name)] = value
            case t.Local(name):
                self.locals[name] = value
            case t.Cast(kind, inner) if kind.bits == inner.type.bits:
                return self._narrow(inner, value)
            case t.Cast(kind, inner) if isinstance(value, Range):
                before = self._value(inner)
                if isinstance(before, Range):
                    after = _before_cast(before, value, inner.type.signed)
                    return after is not None and self._narrow(inner, after)
            case t.Binary("+", inner, other) if isinstance(value, Pointer):
                distance = self._value(other)
                if isinstance(distance, Range) and distance.constant is not None:
                    return self._narrow(inner, Pointer(value.place, operators.sub(value.offset, distance)))
            case t.Binary("&", inner, other) if isinstance(value, Range):
                before, mask = self._value(inner), self._value(other)
                if isinstance(before, Range) and isinstance(mask, Range) and mask.constant is not None:
                    narrowed = ranges.meet(before, _before_mask(before.bits, value, mask.constant))
                    return narrowed is not None and self._narrow(inner, narrowed)
            case _:
                pass
        return True


def _before_cast(before: Range, after: Range, by_sign: bool) -> Range | None:
    """Return ``before``, the operand of a cast, narrowed to results in ``after``."""
    if before.bits < after.bits:
        half = 1 << before.bits - 1
        if by_sign:
            low, high = max(after.signed_low, -half), min(after.signed_high, half - 1)
            return ranges.meet(before, ranges.signed(low, high, before.bits)) if low <= high else None
        high = min(after.high, 2 * half - 1)
        return ranges.meet(before, ranges.unsigned(after.low, high, before.bits)) if after.low <= high else None
    mask = (1 << after.bits) - 1
    rest = ((1 << before.bits) - 1) & ~mask
    found = ranges.of_bits(before.bits, after.value, after.unknown | rest)
    if before.low >> after.bits == before.high >> after.bits:
        base = before.low & rest
        found = ranges.meet(found, ranges.unsigned(base + after.low, base + after.high, before.bits)) or found
    half = 1 << after.bits - 1
    if -half <= before.signed_low and before.signed_high < half:
        found = ranges.meet(found, ranges.signed(after.signed_low, after.signed_high, before.bits)) or found
    return ranges.meet(before, found)


def _before_mask(bits: int, after: Range, mask: int) -> Range:
    """Return the numbers that are in ``after`` when masked with ``mask``."""
    everything = (1 << bits) - 1
    if after.low > 0 and mask & (mask - 1) == 0:
        return ranges.of_bits(bits, mask, everything & ~mask)
    return ranges.of_bits(bits, after.value & mask, after.unknown & mask | everything & ~mask)
