# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa verify``: everything that the encoding and the shape of a program rule out."""

from __future__ import annotations

import json
from typing import IO, cast

import click

from ...reference_vm.verifier.structural import RULES, Finding, is_valid, verify
from ...spec.disassemble import format_instruction
from ...spec.encoding import ByteOrder, Decoded, DecodeError, identify, unpack
from ...spec.table import isa
from .failing import FAILED
from .programs import FORMATS, Format, read_program


@click.command("verify", short_help="Find everything that is wrong with the encoding and shape of a program.")
@click.argument("file", type=click.File("rb"))
@click.option("--group", "groups", multiple=True, type=click.Choice(list(isa().groups)), help="Allow only this group.")
@click.option("--byte-order", type=click.Choice(["little", "big"]), help="[default: little; an object's own]")
@click.option("--format", "kind", type=click.Choice(FORMATS), help="What FILE holds.  [default: found out]")
@click.option("--section", metavar="NAME", help="Section of an object.  [default: the first with code, .text last]")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON, one a line.")
def verify_(
    file: IO[bytes],
    groups: tuple[str, ...],
    byte_order: str | None,
    kind: str | None,
    section: str | None,
    as_json: bool,
) -> None:
    """Report everything that is wrong with the program in FILE (- for standard input), not the first thing only.

    FILE holds assembly, hexadecimal digits, the bytes of a program, or an ELF object. --group can be repeated; a group
    allows what it includes, and base32 is always allowed. Exit status: 0 if there are no errors (warnings do not
    count), 1 if there are, 2 if there was no program to look at.
    """
    program = read_program(
        file.read(),
        file.name,
        kind=cast("Format | None", kind),
        byte_order=cast("ByteOrder | None", byte_order),
        section=section,
        any_length=True,
    )
    findings = verify(program.code, program.byte_order, groups or None)
    for finding in findings:
        if as_json:
            fields = {"slot": finding.slot, "rule": finding.rule, "severity": finding.severity}
            click.echo(json.dumps({**fields, "message": finding.message}))
        else:
            _print(finding, program.code, program.byte_order)
    if not as_json:
        errors = sum(finding.severity == "error" for finding in findings)
        click.echo(f"{file.name}: {_count(errors, 'error')}, {_count(len(findings) - errors, 'warning')}")
    if not is_valid(findings):
        raise SystemExit(FAILED)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _print(finding: Finding, code: bytes, byte_order: ByteOrder) -> None:
    click.echo(str(finding))
    if shown := _shown(finding, code, byte_order):
        click.echo(f"    {shown}")
    click.echo(f"    rule: {RULES[finding.rule]}")


def _shown(finding: Finding, code: bytes, byte_order: ByteOrder) -> str:
    """The bytes of the slot, and its assembly where it begins an instruction."""
    raw = code[8 * finding.slot : 8 * finding.slot + 8].hex(" ")
    try:
        slots = unpack(code, byte_order)
    except DecodeError:
        return raw
    found = identify(slots, finding.slot) if finding.slot < len(slots) else None
    return f"{raw}    {format_instruction(found)}" if isinstance(found, Decoded) else raw
