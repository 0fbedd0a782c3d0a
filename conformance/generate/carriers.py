# SPDX-License-Identifier: Apache-2.0
"""Programs around one slot, in which a given instruction would change r0."""

from __future__ import annotations

from typing import NamedTuple

from ...adapters.reference import weigh
from ...reference_vm.faults import Returned
from ...reference_vm.interpreter import execute
from ...spec import tree
from ...spec.asm.assemble import assemble
from ...spec.encoding import ByteOrder, Decoded, pack, slots_of
from ...spec.facts import Kind, facts
from ...spec.table import Fixed, Instruction
from ..suite.values import parse_bytes
from .draft import BYTE_ORDERS

MEMORY = "01 82 03 84 85 06 87 08 f9 7a fb 7c 7d fe 7f f0 11 92 13 94 95 16 97 18"
MAP = "3141592653589793"
#: A jump over the slot that is not taken. A verifier cannot prove that: the code after it is reachable.
AROUND = "r5 = *(u8 *)(r1 + 0)\nif r5 == 7 goto +1\n"


class Carrier(NamedTuple):
    """A program around one slot: assembly before and after it, the fields with which it has an effect, and the
    variables, functions by BTF id and maps that it needs.
    """

    before: str
    fields: dict[str, int]
    after: str
    variables: tuple[tuple[int, str], ...] = ()
    functions: tuple[int, ...] = ()
    maps: tuple[str, ...] = ()


def carrier(row: Instruction) -> Carrier:
    """Return a program in which ``row`` would change what is returned in r0."""
    has_memory = any(isinstance(node, tree.Load | tree.Store) for node in tree.walk(*row.means))
    if facts(row).kind is Kind.PACKET:
        return Carrier("r6 = r1\nr0 = 1\nr4 = 1\n", {"src": 4, "imm": 2}, "exit\n")
    if has_memory:
        values = {"dst": 4, "src": 3} if "dst" in row.writes else {"dst": 3, "src": 4}
        before = "r3 = r1\nr4 = 0x8877665544332211 ll\nr0 = 1\n"
        after = "r5 = *(u64 *)(r3 + 8)\nr0 ^= r4\nr0 ^= r5\nexit\n"
        return Carrier(before, {**values, "offset": 8, "imm": 0x1234}, after)
    stmt = row.means[0]
    if isinstance(stmt, tree.Return):
        return Carrier(f"r0 = 1\n{AROUND}", {}, "r0 = 2\nexit\n")
    if isinstance(stmt, tree.CallLocal):
        return Carrier("r0 = 3\n", {"imm": 1}, "exit\nr0 = 1\nexit\n")
    if isinstance(stmt, tree.CallHelper) and stmt.by == "btf":
        before = "".join(f"r{n} = {n}\n" for n in range(6))
        return Carrier(before, {"imm": 1}, "exit\n", functions=(1,))
    if isinstance(stmt, tree.CallHelper):
        # Linux' function 1 looks up the value of a key: here the only one.
        lookup = "*(u32 *)(r10 - 4) = 0\nr1 = map_by_fd(0)\nr2 = r10\nr2 += -4\nr0 = 1\n"
        return Carrier(lookup, {"imm": 1}, "r0 = 2\nexit\n", maps=(MAP,))
    if isinstance(stmt, tree.Jump):
        return _jump_carrier(row)
    before = "r3 = 0x8877665544332211 ll\nr4 = 0x1020304\n"
    values = {"dst": 3, "src": 4, "imm": 0x1234, "next_imm": 0}
    function = facts(row).operation
    if facts(row).kind is Kind.ADDRESS:
        values |= {"imm": 1 if function == "code_addr" else 0}
    variables = ((0, MAP),) if function == "var_addr" else ()
    return Carrier(before, values, "r0 = r3\nexit\n", variables, maps=(MAP,) if row.wide else ())


def _jump_carrier(row: Instruction) -> Carrier:
    """Return a program with an operand pair for which the condition holds: r0 is 1 if the jump is taken, else 2."""
    if "dst" not in row.operands:
        return Carrier(f"r0 = 1\n{AROUND}", {"offset": 1, "imm": 1}, "r0 = 2\nexit\n")
    for a, b in ((5, 5), (6, 5), (5, 6), (7, 5)):
        before = f"r3 = {a}\nr4 = {b}\nr0 = 1\n"
        found = Carrier(before, {"dst": 3, "src": 4, "offset": 1, "imm": b}, "r0 = 2\nexit\n")
        if run(found, fixed(row, found)) == {"little": 1, "big": 1}:
            return found
    raise ValueError(f"{row.name}: no operands for which it jumps")


def fixed(row: Instruction, around: Carrier) -> Decoded:
    """Return the instruction of ``row`` with the operands of the carrier."""
    values = {
        name: rule.value if isinstance(rule, Fixed) else around.fields.get(name, 0) for name, rule in row.fields.items()
    }
    return Decoded(row, **values)


def run(around: Carrier, middle: Decoded) -> dict[ByteOrder, int] | None:
    """Return r0 by byte order of the carrier around ``middle``, None if it does not return."""
    results: dict[ByteOrder, int] = {}
    for order in BYTE_ORDERS:
        code = assemble(around.before, order) + pack(slots_of(middle), order) + assemble(around.after, order)
        outcome = execute(
            code,
            byte_order=order,
            memory=parse_bytes(MEMORY),
            maps=[parse_bytes(value) for value in around.maps],
            variables={number: parse_bytes(value) for number, value in around.variables},
            btf_helpers=dict.fromkeys(around.functions, weigh),
            budget=1000,
        )
        if not isinstance(outcome, Returned):
            return None
        results[order] = outcome.r0
    return results
