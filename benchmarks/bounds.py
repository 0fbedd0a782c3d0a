# SPDX-License-Identifier: Apache-2.0
"""Time the safety verifier and the JIT on programs of 65,536 instructions: `python benchmarks/bounds.py [SHAPE...]`.

Each program is proved safe or not, and compiled at the level full or declined, in a process of its own. Exit status 1
if one of these takes more than 10 seconds of processor time.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from random import Random
from time import process_time

import click

from bpf_isa.adapters.jit.errors import TooLarge
from bpf_isa.adapters.jit.program import compile
from bpf_isa.adapters.jit.runtime.llvm import Unresolved
from bpf_isa.conformance.cli.echo import echo
from bpf_isa.reference_vm.machine import Machine
from bpf_isa.reference_vm.verifier.proof import NotProved
from bpf_isa.reference_vm.verifier.safety import prove, surroundings_of
from bpf_isa.spec.asm.assemble import assemble_program
from bpf_isa.spec.encoding import Program, make
from bpf_isa.spec.table import isa

SIZE = 65536
#: Seconds of processor time that each may take.
MOST = 10
_assembled = lru_cache(maxsize=1 << 14)(assemble_program)


def repeated(piece: Callable[[int], str] | str, head: str = "", tail: str = "exit", size: int = SIZE) -> Program:
    """Return ``head``, as many pieces as fit, and ``tail``; a piece is told its number."""
    program, end = list(assemble_program(head)), assemble_program(tail)
    number = 0
    while True:
        following = _assembled(piece if isinstance(piece, str) else piece(number))
        if len(program) + len(following) + len(end) > size:
            return [*program, *end]
        program += following
        number += 1


def nest(depth: int) -> str:
    """Return loops inside each other, whose counters are on the stack."""
    lines: list[str] = []
    heads: list[int] = []
    for level in range(1, depth + 1):
        lines.append(f"*(u64 *)(r10 - {8 * level}) = 2")
        heads.append(len(lines))
    lines.append("r0 += 1")
    for level in range(depth, 0, -1):
        lines += [f"r3 = *(u64 *)(r10 - {8 * level})", "r3 += -1", f"*(u64 *)(r10 - {8 * level}) = r3"]
        lines.append(f"if r3 != 0 goto {heads[level - 1] - len(lines) - 1:+}")
    return "\n".join(lines)


def nest_of_registers() -> str:
    """Return loops inside each other, whose counters are R3 to R9."""
    lines: list[str] = []
    for register in range(3, 10):
        lines.append(f"r{register} = 2")
    lines.append("r0 += 1")
    for register in range(9, 2, -1):
        lines += [f"r{register} += -1", f"if r{register} != 0 goto -{len(lines) - register + 4}"]
    return "\n".join(lines)


def every_row(kinds: tuple[str, ...], registers: range) -> Program:
    """Return all instructions whose names begin with one of ``kinds``, again and again."""
    rows = [row for row in isa().instructions if row.name.startswith(kinds)]
    random, program = Random(1), list(assemble_program("r0 = 1"))
    for number in range(SIZE - 2):
        row = rows[number % len(rows)]
        fields = {"dst": random.choice(registers), "src": random.choice(registers), "imm": random.randrange(1, 32)}
        program.append(make(row, **{name: fields[name] for name in row.operands if name in fields}))
    return [*program, *assemble_program("exit")]


def around(body: Program) -> Program:
    """Return a loop around ``body``, which must not jump out of itself."""
    end = ["r5 += -1", "if r5 == 0 goto +1"]
    program = [*assemble_program("r5 = 10"), *body, *assemble_program("\n".join(end))]
    return [*program, *assemble_program(f"gotol -{len(program)}\nexit")]


def maze() -> Program:
    """Return conditional jumps forwards and backwards over up to 8,000 others."""
    random, blocks = Random(5), (SIZE - 1) // 3
    lines = []
    for number in range(blocks):
        target = random.randint(max(0, number - 8000), min(blocks - 1, number + 8000))
        lines += ["r0 *= 5", f"r0 += {random.randint(1, 99)}"]
        lines.append(f"if r0 & {1 << random.randint(2, 30)} goto {3 * target - len(lines) - 1:+}")
    return assemble_program("\n".join([*lines, "exit"]))


def dispatcher(cases: int = 10000) -> Program:
    """Return a loop with one head and a jump back for each case."""
    lines = ["r0 *= 5"]
    for number in range(cases):
        lines.append(f"if r0 == {number} goto {cases + 2 + 2 * number - len(lines) - 1:+}")
    lines.append("exit")
    for number in range(cases):
        lines += [f"r0 += {number}", f"gotol -{len(lines) + 2}"]
    return assemble_program("\n".join(lines + ["r0 += 1"] * (SIZE - 1 - len(lines)) + ["exit"]))


def functions() -> Program:
    """Return a call of each of many functions."""
    count = (SIZE - 1) // 3
    calls = [f"call {count + 1 + 2 * number - number - 1:+}" for number in range(count)]
    return assemble_program("\n".join([*calls, "exit", *(f"r0 += {number}\nexit" for number in range(count))]))


def one_function() -> Program:
    """Return many calls of one function."""
    count = (SIZE - 4) // 2
    calls = [f"r6 += 1\ncall {2 * (count - number) - 1:+}" for number in range(count)]
    return assemble_program("\n".join([*calls, "exit", "r0 += 1", "r0 *= 3", "exit"]))


def call_tree() -> Program:
    """Return seven functions, each of which calls the next many times."""
    part = SIZE // 7
    lines: list[str] = []
    for level in range(1, 8):
        for _ in range(part - 1):
            lines.append("r0 += 1" if level == 7 else f"call {level * part - len(lines) - 1:+}")
        lines.append("exit")
    return assemble_program("\n".join(lines))


_LOAD = "r3 = *(u64 *)(r1 + 0)"
_DIAMOND = "if r3 & {bit} goto +2\nr0 += {number}\ngoto +1\nr0 *= 3"


def _diamond(number: int) -> str:
    return _DIAMOND.format(bit=1 << number % 31, number=number)


SHAPES: dict[str, Callable[[], Program]] = {
    "straight": lambda: every_row(("ADD", "MUL", "DIV", "XOR", "LSH", "ARSH", "MOVSX", "BSWAP", "NEG"), range(2, 10)),
    "divisions": lambda: every_row(("SDIV", "SMOD"), range(3, 8)),
    "wide": lambda: repeated(lambda number: f"r6 = {number << 32 | number} ll"),
    "jumps": lambda: repeated("goto +0"),
    "counted-loops": lambda: repeated("r3 = 10\nr0 += r3\nr3 += -1\nif r3 != 0 goto -3"),
    "sweeps": lambda: repeated(
        "r3 = r6\nr5 = *(u8 *)(r3 + 0)\nr0 += r5\nr3 += 1\nif r3 < r7 goto -4", "r6 = r1\nr7 = r1\nr7 += r2"
    ),
    "endless-loops": lambda: repeated(lambda number: f"r0 *= 5\nr0 += {number}\nif r0 & 6 goto -3"),
    "overlapping-loops": lambda: repeated("r0 *= 5\nif r0 & 6 goto -2\nr0 += 1"),
    "nested-3": lambda: repeated(nest(3)),
    "nested-60": lambda: repeated(nest(60)),
    "nested-registers": lambda: repeated(nest_of_registers()),
    "one-loop": lambda: around(repeated(lambda number: f"r0 += {7 + number % 100}\nr0 ^= r5", "", "", SIZE - 5)),
    "loop-of-loads": lambda: around(
        repeated(lambda number: f"r4 = *(u64 *)(r1 + {8 * (number % 8)})\nr0 += r4", "", "", SIZE - 5)
    ),
    "loop-of-diamonds": lambda: around(repeated(_diamond, _LOAD, "", SIZE - 5)),
    "diamonds": lambda: repeated(_diamond, _LOAD),
    "ifs": lambda: repeated(
        lambda number: f"if r3 & {1 << number % 31} goto +1\nr{4 + number % 5} = {number}", f"{_LOAD}\nr4 = 0"
    ),
    "exits": lambda: repeated(lambda number: f"if r3 != {number} goto +2\nr0 = {number}\nexit", _LOAD),
    "jumps-to-the-end": lambda: repeated("r0 += 1\nif r0 & 6 goto +32000", "", "r0 += 1\n" * 32001 + "exit"),
    "maze": maze,
    "dispatcher": dispatcher,
    "functions": functions,
    "one-function": one_function,
    "call-tree": call_tree,
    "call-chains": lambda: repeated("call +1\ngoto +14\n" + "call +1\nexit\n" * 6 + "r0 += 1\nexit"),
    "stack": lambda: repeated(
        lambda number: f"*(u8 *)(r10 - {1 + number % 512}) = r0\nr0 = *(u8 *)(r10 - {1 + 7 * number % 512})"
    ),
    "stack-after-ifs": lambda: repeated(
        lambda number: f"if r3 & {1 << number % 31} goto +1\n*(u8 *)(r10 - {1 + number % 512}) = {number % 100}", _LOAD
    ),
    "loads-and-stores": lambda: repeated(
        lambda number: f"r0 = *(u32 *)(r1 + {4 * (number % 16)})\n*(u16 *)(r1 + {2 * (number % 32)}) = r0"
    ),
    "atomics": lambda: repeated(lambda number: f"lock *(u64 *)(r1 + {8 * (number % 8)}) += r0"),
    "map-values": lambda: repeated(
        lambda number: f"r4 = *(u8 *)(r6 + {number % 16})\n*(u8 *)(r6 + {number % 16}) = r0",
        "r6 = map_val(map_by_idx(0)) + 0",
    ),
    "map-addresses": lambda: repeated("r6 = map_val(map_by_idx(0)) + 0"),
    "helpers": lambda: repeated("call 7"),
}


@click.command()
@click.argument("shapes", nargs=-1, type=click.Choice(list(SHAPES)))
@click.option("--here", is_flag=True, hidden=True, help="In this process.")
def main(shapes: tuple[str, ...], here: bool) -> None:
    """Print the seconds of processor time for each of SHAPES."""
    if here:
        for line in map(measure, shapes):
            echo("\n".join(line))
        return
    slow = False
    for shape in shapes or SHAPES:
        done = subprocess.run(
            [sys.executable, __file__, "--here", shape], check=True, stdout=subprocess.PIPE, text=True
        )
        echo(done.stdout.rstrip())
        slow |= any(float(line.split()[2]) > MOST for line in done.stdout.splitlines())
    sys.exit(slow)


def measure(shape: str) -> Iterator[str]:
    """Yield a line for the verifier and one for the JIT: the shape, which of both, the seconds, the result."""
    program = SHAPES[shape]()
    machine = Machine(memory=bytes(64), maps=[bytes(24)])
    for name, work in (
        ("verify", lambda: f"proved: {prove(program, 'little', surroundings_of(machine), 0).method}"),
        ("compile", lambda: f"compiled: {compile(program).level}"),
    ):
        start = process_time()
        try:
            result = work()
        except (NotProved, TooLarge, Unresolved) as error:
            result = str(error)
        yield f"{shape:18} {name:8} {process_time() - start:6.2f} s  {result[:90]}"


if __name__ == "__main__":
    main()
