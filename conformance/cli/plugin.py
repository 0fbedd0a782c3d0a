# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa plugin``: this package's engines as a plugin of the bpf_conformance protocol, for others' harnesses.

It is also installed as ``bpf-isa-plugin``, for harnesses that want the path of an executable.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal, NoReturn, cast

import click

from .echo import echo
from .failing import FAILED

if TYPE_CHECKING:
    from ...reference_vm.faults import Fault, Returned
    from ...spec.encoding import ByteOrder
    from .programs import Input


@click.command(short_help="Be a plugin of the bpf_conformance protocol.")
@click.argument("memory", default="")
@click.option(
    "--engine", type=click.Choice(["reference", "jit"]), default="reference", show_default=True, help="What runs it."
)
@click.option("--byte-order", type=click.Choice(["little", "big"]), help="[default: this machine's]")
@click.option("--elf", "is_object", is_flag=True, help="Standard input is an ELF object.")
def plugin(memory: str, engine: str, byte_order: str | None, is_object: bool) -> None:
    """Run the program on standard input, in hexadecimal bytes, and print R0 in hexadecimal.

    MEMORY is the input memory in hexadecimal bytes: R1 is its address and R2 its length. Exit status 1, with a message
    on standard error, if the program is refused or does not return; 2 if there is no program to run.
    """
    from ...reference_vm.faults import Fault
    from .programs import contents, parse_hex, read_program

    order = cast("ByteOrder", byte_order or sys.byteorder)
    data = parse_hex(memory, "MEMORY") if memory.strip() else None
    program = read_program(
        *contents(sys.stdin.buffer),
        kind="elf" if is_object else "hex",
        byte_order=cast("ByteOrder | None", byte_order) if is_object else order,
        any_length=True,
    )
    _refuse_malformed(program)
    result = _run(program, data, cast("Literal['reference', 'jit']", engine))
    if isinstance(result, Fault):
        _fail(f"{result.kind}: slot {result.pc}: {result.reason}")
    echo(f"{result.r0:x}")


def _refuse_malformed(program: Input) -> None:
    from ...reference_vm.verifier.structural import verify

    for finding in verify(program.code, program.byte_order):
        if finding.severity == "error":
            _fail(f"{finding.rule}: slot {finding.slot}: {finding.message}")


def _run(program: Input, memory: bytes | None, engine: Literal["reference", "jit"]) -> Returned | Fault:
    if engine == "reference":
        from ...reference_vm.interpreter import execute

        return execute(
            program.code, byte_order=program.byte_order, memory=memory, maps=program.maps, entry=program.entry
        )
    from ...adapters.jit.program import compile

    compiled = compile(program.code, byte_order=program.byte_order, level="fast", entry=program.entry)
    return compiled(memory, maps=program.maps)


def _fail(message: str) -> NoReturn:
    echo(message, err=True)
    raise SystemExit(FAILED)
