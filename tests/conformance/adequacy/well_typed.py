# SPDX-License-Identifier: Apache-2.0
"""Whether a tree is well-typed, as interpreter and solver require."""

from bpf_isa.spec import tree as t
from bpf_isa.spec.table import Instruction


def faults(row: Instruction, means: tuple[t.Stmt, ...]) -> list[str]:
    """What is ill-typed in `means`, a meaning made from that of `row`."""
    found: list[str] = []
    bound: set[t.Local] = set()
    for statement in t.walk(*means):
        match statement:
            case t.Assign(t.Local() as local, value):
                bound.add(local)
                if local.type != value.type:
                    found.append(f"{local.name} is {local.type}, not {value.type}")
            case t.Assign(t.Register(), value) if value.type.bits != 64:
                found.append(f"a register gets {value.type}")
            case t.Store(kind, address, value) if (value.type.bits, address.type.bits) != (kind.bits, 64):
                found.append(f"{value.type} is stored as {kind} at {address.type}")
            case t.Load(_, address) if address.type.bits != 64:
                found.append(f"an address is {address.type}")
            case t.Binary(op, left, right) if left.type.bits != right.type.bits:
                found.append(f"{left.type} {op} {right.type}")
            case t.Compare(op, left, right) if left.type.bits != right.type.bits or left.type == t.BOOL:
                found.append(f"{left.type} {op} {right.type}")
            case t.Choose(condition, then, otherwise):
                if condition.type != t.BOOL or then.type.bits != otherwise.type.bits:
                    found.append(f"{condition.type} ? {then.type} : {otherwise.type}")
            case t.Call(name, args) if name in t.BYTE_ORDER_FUNCTIONS:
                if [arg.type.bits for arg in args] != [t.BYTE_ORDER_FUNCTIONS[name]]:
                    found.append(f"{name} of {[str(arg.type) for arg in args]}")
            case t.Const(value, kind) if not 0 <= value <= kind.mask:
                found.append(f"{value} is no {kind}")
            case t.Local() if statement not in bound:
                found.append(f"{statement.name} has no value yet")
            case t.Field(name) if name not in row.fields:
                found.append(f"{name} is no field")
    return found
