# SPDX-License-Identifier: Apache-2.0
"""Row functions: each row of the table compiled to a function that executes one instruction of a machine.

``row_code(row, byte_order).make(pc, dst, src, offset, imm, next_imm)`` returns a function ``step(registers, machine)``
for an instruction with these fields at slot ``pc``. It returns None to continue with the next instruction, the distance
of a taken jump, or a :class:`LocalCall` or :data:`RETURN`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from ..spec import tree as t
from ..spec.encoding import ByteOrder
from ..spec.table import FIELD_RANGES, Instruction
from .lowering import SUPPORT, Lowering, Term

if TYPE_CHECKING:
    from .machine import Machine

WORD: Final = (1 << 64) - 1


class LocalCall(NamedTuple):
    """Returned by a step that calls the function ``distance`` slots from the next instruction."""

    distance: int


class Return:
    """The class of :data:`RETURN`."""


#: Returned by a step that returns from a function.
RETURN: Final = Return()

Move: TypeAlias = int | LocalCall | Return | None
Step: TypeAlias = "Callable[[list[int], Machine], Move]"
MakeStep: TypeAlias = Callable[[int, int, int, int, int, int], Step]


class RowCode(NamedTuple):
    """A compiled row, and whether its steps depend on their slot."""

    make: MakeStep
    uses_pc: bool


@lru_cache(maxsize=2048)
def row_code(row: Instruction, byte_order: ByteOrder) -> RowCode:
    """Compile the meaning of ``row`` for machines of ``byte_order``."""
    source = row_source(row, byte_order)
    names: dict[str, Any] = {**SUPPORT, "RETURN": RETURN, "LocalCall": LocalCall}
    exec(compile(source, f"<{row.name}>", "exec"), names)
    make: MakeStep = names["make"]
    uses_pc = any(isinstance(node, t.Call) and node.name == "code_addr" for node in t.walk(*row.means))
    return RowCode(make, uses_pc)


def row_source(row: Instruction, byte_order: ByteOrder) -> str:
    """Return the Python source of a row function."""
    body = _RowLowering(byte_order).lines(row.means)
    return "\n".join(
        [
            "def make(pc, dst, src, offset, imm, next_imm):",
            "    def step(r, m):",
            *(f"        {line}" for line in body or ["pass"]),
            "    return step",
            "",
        ]
    )


class _RowLowering(Lowering):
    """Registers are items of the list ``r``, fields are variables, memory and platform are attributes of ``m``."""

    def register(self, name: t.RegisterName) -> Term:
        return Term(_register_item(name), 0, WORD)

    def assign(self, name: t.RegisterName, value: Term) -> list[str]:
        return [f"{_register_item(name)} = {value.text}"]

    def field(self, field: t.Field) -> Term:
        return Term(field.name, *FIELD_RANGES[field.name])

    def platform(self, name: str, args: list[Term]) -> Term:
        return platform_call("m.", "pc", name, args)

    def load(self, size: int, address: Term) -> str:
        return f"m.load{size}({address.text})"

    def store(self, size: int, address: Term, value: Term) -> list[str]:
        return [f"m.store{size}({address.text}, {value.text})"]

    def jump(self, distance: Term, condition: Term | None) -> list[str]:
        return [f"return {distance.text}" if condition is None else f"if {condition.text}: return {distance.text}"]

    def call_helper(self, by: str, helper: Term) -> list[str]:
        return [f'r[0] = m.call_helper("{by}", {helper.text}, *r[1:6])']

    def call_local(self, distance: Term) -> list[str]:
        return [f"return LocalCall({distance.text})"]

    def leave(self) -> list[str]:
        return ["return RETURN"]


def _register_item(name: t.RegisterName) -> str:
    return f"r[{name}]" if name in ("dst", "src") else f"r[{name.removeprefix('r')}]"


def platform_call(machine: str, pc: str, name: str, args: list[Term]) -> Term:
    """Return the term of a platform function: a method or, without arguments, an attribute of the machine.

    Code addresses are relative to the second slot of their instruction (erratum ``code-addr-base``).
    """
    texts = [arg.text for arg in args]
    if name == "code_addr":
        texts.insert(0, pc)
    return Term(f"{machine}{name}({', '.join(texts)})" if args else f"{machine}{name}", 0, WORD)
