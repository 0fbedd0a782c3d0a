# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa exec``: run one program on the reference VM or the bundled JIT, and show what it did."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import click

from ...reference_vm.faults import Fault, Returned
from ...reference_vm.interpreter import DEFAULT_BUDGET, TraceStep, execute
from ...reference_vm.machine import Machine
from ...reference_vm.maps import ArrayMap
from ...spec.asm.disassemble import format_instruction
from ...spec.encoding import SLOT_BYTES, ByteOrder, DecodeError, decode, identify, unpack
from ...spec.output import write_json
from ..run.verdict import hex64
from .echo import echo
from .failing import FAILED, Unusable
from .options import is_stdout, json_option, listing
from .programs import FORMATS, Format, Input, contents, parse_hex, read_program


@click.command("exec", short_help="Run one program and show what it did")
@click.argument("file", type=click.File("rb"))
@click.option("--memory", metavar="HEX", help="Bytes of the input memory: r1 is its address, r2 its length.")
@listing("--map", "maps", metavar="HEX", help="Values of maps, number 0 first.")
@click.option("--byte-order", type=click.Choice(["little", "big"]), help="[default: little; an object's own]")
@click.option("--budget", type=click.IntRange(1), default=DEFAULT_BUDGET, show_default=True, help="Most instructions.")
@click.option(
    "--engine",
    type=click.Choice(["reference", "jit"]),
    default="reference",
    show_default=True,
    help="The interpreter, or the bundled JIT.",
)
@click.option(
    "--trust-verifier", is_flag=True, help="With the JIT: no checks while it runs; refused if verify --safety refuses."
)
@click.option("--trace", is_flag=True, help="Print each step and the registers that it changed.")
@click.option("--format", "kind", type=click.Choice(FORMATS), help="What FILE holds.  [default: found out]")
@click.option("--elf-section", metavar="NAME", help="Section of an object.  [default: the first with code, .text last]")
@click.option("--entry", metavar="FUNCTION", help="Function of an object to begin at.  [default: the section's start]")
@json_option("what the program did")
def exec_(
    file: IO[bytes],
    memory: str | None,
    maps: tuple[str, ...],
    byte_order: str | None,
    budget: int,
    engine: str,
    trust_verifier: bool,
    trace: bool,
    kind: str | None,
    elf_section: str | None,
    entry: str | None,
    json_file: Path | None,
) -> None:
    """Run the program in FILE (- for standard input).

    FILE holds assembly, hexadecimal digits, the bytes of a program, or an ELF object. Exit status: 0 if the program
    returned, 1 if it was stopped by a fault, 2 if there was no program to run.
    """
    if engine == "jit" and trace:
        raise click.UsageError("--trace needs --engine reference: compiled code has no steps to show")
    if engine != "jit" and trust_verifier:
        raise click.UsageError("--trust-verifier needs --engine jit: the reference VM always checks")
    data = parse_hex(memory, "--memory") if memory is not None else None
    program = read_program(
        *contents(file),
        kind=cast("Format | None", kind),
        byte_order=cast("ByteOrder | None", byte_order),
        section=elf_section,
        function=entry,
        maps=[parse_hex(value, "--map") for value in maps],
    )
    talks = not is_stdout(json_file)
    steps: list[TraceStep] = []

    def note(step: TraceStep) -> None:
        if json_file is not None:
            steps.append(step)
        if talks:
            _print_step(step)

    if engine == "jit":
        result = _run_compiled(program, data, budget, trust_verifier)
    else:
        result = _interpret(program, data, budget, note if trace else None)
    if json_file is not None:
        write_json(_document(result, program, steps if trace else None, trust_verifier), json_file, indent=2)
    if talks:
        if trace:
            echo()
        if isinstance(result, Fault):
            _print_fault(result, program)
        else:
            _print_result(result, counted=not trust_verifier)
        _print_changes(data, result, program.maps)
    if isinstance(result, Fault):
        raise SystemExit(FAILED)


def _interpret(
    program: Input, data: bytes | None, budget: int, trace: Callable[[TraceStep], None] | None = None
) -> Returned | Fault:
    return execute(
        program.code,
        byte_order=program.byte_order,
        memory=data,
        maps=program.maps,
        budget=budget,
        entry=program.entry,
        trace=trace,
    )


def _run_compiled(program: Input, data: bytes | None, budget: int, trust: bool) -> Returned | Fault:
    from ...adapters.jit.program import compile
    from ...adapters.jit.trust import NotAccepted, accept
    from ...reference_vm.verifier.safety import surroundings_of

    order = program.byte_order
    try:
        decoded = decode(program.code, order)
    except DecodeError:
        # There is nothing to compile: the reference says why.
        return _interpret(program, data, budget)
    try:
        machine = Machine(byte_order=order, memory=data, maps=program.maps)
        accepted = accept(decoded, order, surroundings_of(machine), program.entry) if trust else None
        run = compile(decoded, byte_order=order, entry=program.entry, accepted=accepted)
    except NotAccepted as error:
        raise Unusable(f"--trust-verifier: not accepted as safe: {error}") from None
    with _endable():
        return run(data, maps=program.maps, budget=budget)


@contextmanager
def _endable() -> Iterator[None]:
    """Let signals such as Ctrl-C end the process at once: Python's own handlers wait until compiled code returns."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _document(
    result: Returned | Fault, program: Input, steps: Sequence[TraceStep] | None, unchecked: bool
) -> dict[str, Any]:
    """Return what a program did as plain data; instructions of unchecked code are not counted."""
    data: dict[str, Any] = {"format": "bpf-isa-exec", "version": 1, "byte_order": program.byte_order}
    if isinstance(result, Fault):
        registers = {f"r{number}": hex64(value) for number, value in enumerate(result.registers)}
        about = {"kind": result.kind, "reason": result.reason, "slot": result.pc, "instruction": result.instruction}
        data |= {"outcome": "faulted", "fault": {**about, "registers": registers}}
    else:
        data |= {"outcome": "returned", "r0": hex64(result.r0)}
    data["instructions"] = None if unchecked else result.steps
    data["memory"] = None if result.memory is None else result.memory.hex()
    data["maps"] = [
        {"name": before.name or None, "value": after.hex()}
        for before, after in zip(program.maps, result.maps, strict=True)
    ]
    if steps is not None:
        data["trace"] = [
            {
                "slot": step.pc,
                "instruction": step.decoded.instruction.name,
                "text": format_instruction(step.decoded),
                "changed": {f"r{number}": hex64(value) for number, value in step.changed.items()},
            }
            for step in steps
        ]
    return data


def _print_step(step: TraceStep) -> None:
    changed = "  ".join(f"r{number} = {value:#x}" for number, value in step.changed.items())
    line = f"{step.number:6}  slot {step.pc:<5}  {format_instruction(step.decoded):40}  {changed}"
    echo(line.rstrip())


def _print_result(result: Returned, *, counted: bool) -> None:
    signed = result.r0 - (1 << 64) if result.r0 >> 63 else result.r0
    echo(f"returned after {_instructions(result.steps)}" if counted else "returned (unchecked)")
    echo(f"r0 = {result.r0:#x}  unsigned {result.r0}  signed {signed}")


def _print_fault(fault: Fault, program: Input) -> None:
    echo(f"fault: {fault.kind}, after {_instructions(fault.steps)}")
    echo(f"  {fault.reason}")
    echo(f"  at slot {fault.pc}: {_shown(program, fault)}")
    rows = [fault.registers[at : at + 4] for at in range(0, len(fault.registers), 4)]
    for at, row in enumerate(rows):
        cells = (f"{f'r{4 * at + column}':>3} = {value:<#18x}" for column, value in enumerate(row))
        echo(f"  {'  '.join(cells)}".rstrip())


def _shown(program: Input, fault: Fault) -> str:
    """Return the instruction at which the program was stopped, as assembly."""
    bare = program.code[SLOT_BYTES * fault.pc :][:SLOT_BYTES]
    if not bare:
        return "past the last instruction"
    found = identify(unpack(program.code, program.byte_order), fault.pc)
    if isinstance(found, DecodeError):
        return bare.hex(" ")
    return f"{format_instruction(found)}    ({fault.instruction})"


def _print_changes(memory: bytes | None, result: Returned | Fault, maps: tuple[ArrayMap, ...]) -> None:
    if memory and result.memory is not None and result.memory != memory:
        echo(f"memory = {result.memory.hex()}")
    for number, (before, after) in enumerate(zip(maps, result.maps, strict=True)):
        if after != before.initial:
            echo(f"map {number}{f' ({before.name})' if before.name else ''} = {after.hex()}")


def _instructions(count: int) -> str:
    return "1 instruction" if count == 1 else f"{count} instructions"
