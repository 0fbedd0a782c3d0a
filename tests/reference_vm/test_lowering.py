# SPDX-License-Identifier: Apache-2.0
"""Lowered expressions against a plain reading of the tree: with operands known beforehand, and not."""

from __future__ import annotations

from random import Random
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpf_isa.reference_vm.executable import Executable
from bpf_isa.reference_vm.faults import Returned
from bpf_isa.reference_vm.interpreter import run
from bpf_isa.reference_vm.machine import Machine
from bpf_isa.spec import tree as t
from bpf_isa.spec.encoding import Decoded, Program, make
from bpf_isa.spec.table import isa

from ..spec import tree_reading
from ..spec.operands import State

NEVER = 1 << 62
WIDTHS = (8, 16, 32, 64)
EDGES = sorted({edge for bits in (*WIDTHS, 63, 31) for edge in ((1 << bits) - 1, 1 << (bits - 1), (1 << bits - 1) - 1)})
CARRIER = isa().by_name["JEQ64_X"]
"""A row that has the operands dst, src and offset, to be given another meaning."""


def number(random: Random) -> int:
    """Return 64 bits, often some at which a width ends."""
    return random.choice((0, 1, random.choice(EDGES), random.getrandbits(random.choice(WIDTHS))))


def expression(random: Random, kind: t.Type, depth: int) -> t.Expr:
    """Return a random expression of ``kind``; its shifts and divisions are defined."""
    if depth == 0:
        return leaf(random, kind)
    match random.choice(("cast", "negate", "ring", "bits", "shift", "divide", "choose", "call")):
        case "cast":
            return t.Cast(kind, expression(random, t.Type(random.random() < 0.5, random.choice(WIDTHS)), depth - 1))
        case "negate":
            return t.Negate(expression(random, kind, depth - 1))
        case "ring":
            return t.Binary(random.choice("+-*"), *(expression(random, kind, depth - 1) for _ in range(2)))
        case "bits":
            return t.Binary(random.choice("&|^"), *(expression(random, kind, depth - 1) for _ in range(2)))
        case "shift":
            amount = t.Binary("&", expression(random, t.U32, depth - 1), t.Const(kind.bits - 1, t.U32))
            op = random.choice(("<<", "s>>" if kind.signed else ">>"))
            return t.Binary(op, expression(random, kind, depth - 1), amount)
        case "divide":
            op = random.choice(("s/", "s%") if kind.signed else ("/", "%"))
            divisor = expression(random, kind, depth - 1)
            quotient = t.Binary(op, expression(random, kind, depth - 1), divisor)
            return t.Choose(t.Compare("!=", divisor, t.Const(0, kind)), quotient, expression(random, kind, depth - 1))
        case "choose":
            return t.Choose(comparison(random, depth - 1), *(expression(random, kind, depth - 1) for _ in range(2)))
        case _:
            name = random.choice(("le", "be", "bswap"))
            bits = random.choice((16, 32, 64))
            argument = expression(random, t.Type(False, bits), depth - 1)
            return t.Cast(kind, t.Call(f"{name}{bits}", (argument,), t.Type(False, bits)))


def comparison(random: Random, depth: int) -> t.Expr:
    """Return a random comparison."""
    kind = t.Type(random.random() < 0.5, random.choice(WIDTHS))
    op = random.choice([op for op in t.COMPARISONS if op in ("==", "!=") or op.startswith("s") == kind.signed])
    return t.Compare(op, *(expression(random, kind, depth) for _ in range(2)))


def leaf(random: Random, kind: t.Type) -> t.Expr:
    """Return an operand or number as ``kind``."""
    leaves: tuple[t.Expr, ...] = (
        t.Register("dst"), t.Register("src"), t.Field("offset", t.S16), t.Const(number(random) & kind.mask, kind),
    )  # fmt: skip
    found = random.choice(leaves)
    return found if found.type == kind else t.Cast(kind, found)


def outcomes(means: tuple[t.Stmt, ...], state: State) -> list[int]:
    """Return R0 after ``means``, as each way to run it gives it."""
    row = CARRIER.with_means(means)
    rows = isa().by_name
    item = Decoded(row, dst=1, src=2, offset=state.offset)
    tail: Program = [item, make(rows["EXIT"])]
    found = []
    for hot_after in (0, NEVER):
        machine = Machine(byte_order=state.byte_order)
        machine.registers[1], machine.registers[2] = state.dst, state.src
        found.append(run(Executable(tail, state.byte_order), machine, hot_after=hot_after))
    known: Program = []
    for register, value in ((1, state.dst), (2, state.src)):
        halves = (t.S32.wrap(value), t.S32.wrap(value >> 32))
        known += [make(rows["LD_IMM64"], dst=register, imm=halves[0], next_imm=halves[1]), None]
    found.append(run(Executable(known + tail, state.byte_order), Machine(byte_order=state.byte_order), hot_after=0))
    return [result.registers[0] for result in found if isinstance(result, Returned)]


@given(st.randoms(use_true_random=False), st.sampled_from(["little", "big"]))
@settings(max_examples=250)
def test_random_expressions(random: Random, byte_order: Literal["little", "big"]) -> None:
    value = t.Cast(t.U64, expression(random, t.Type(random.random() < 0.5, random.choice(WIDTHS)), 3))
    means = (t.Assign(t.Local("x", t.U64), value), t.Assign(t.Register("r0"), t.Local("x", t.U64)))
    state = State(dst=number(random), src=number(random), offset=t.S16.wrap(number(random)), byte_order=byte_order)
    expected = state.copy()
    tree_reading.run(means, expected)
    assert outcomes(means, state) == [expected.r0] * 3


@pytest.mark.parametrize("op", ["/", "%", "s/", "s%"])
@pytest.mark.parametrize("bits", WIDTHS)
def test_division_of_what_is_at_the_edges(op: str, bits: int) -> None:
    kind = t.Type(op.startswith("s"), bits)
    divisor = t.Cast(kind, t.Register("src"))
    quotient = t.Binary(op, t.Cast(kind, t.Register("dst")), divisor)
    chosen = t.Choose(t.Compare("!=", divisor, t.Const(0, kind)), quotient, t.Const(0, kind))
    means = (t.Assign(t.Register("r0"), t.Cast(t.U64, chosen)),)
    edges = (0, 1, 2, 7, kind.mask, kind.mask - 1, 1 << bits - 1, (1 << bits - 1) - 1)
    for state in (State(dst=a, src=b) for a in edges for b in edges):
        expected = state.copy()
        tree_reading.run(means, expected)
        assert outcomes(means, state) == [expected.r0] * 3
