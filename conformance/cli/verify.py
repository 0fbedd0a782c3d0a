# SPDX-License-Identifier: Apache-2.0
"""``bpf-isa verify``: everything that the encoding and the shape of a program rule out, and whether it is safe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import click

from ...reference_vm.machine import Machine
from ...reference_vm.verifier.structural import RULES, Finding, is_valid, verify
from ...spec.asm.disassemble import format_instruction
from ...spec.encoding import ByteOrder, Decoded, DecodeError, Slot, decode, identify, unpack
from ...spec.output import write_json
from ...spec.table import isa
from .echo import echo
from .failing import FAILED
from .options import is_stdout, json_option, listing
from .programs import FORMATS, Format, Input, contents, read_program

if TYPE_CHECKING:
    from ...reference_vm.verifier.proof import Proof

#: The largest region that is worth asking about; a machine with it is made.
_MOST_BYTES = 1 << 28
_SAFE = "every instruction is known to be safe, whatever memory holds (bpf-isa verify --safety)"


@click.command("verify", short_help="Find everything that is wrong with the encoding and shape of a program.")
@click.argument("file", type=click.File("rb"))
@listing(
    "--group",
    "groups",
    metavar="GROUP",
    element=click.Choice(list(isa().groups)),
    help="Allow only the instructions of these conformance groups.",
)
@click.option("--byte-order", type=click.Choice(["little", "big"]), help="[default: little; an object's own]")
@click.option("--format", "kind", type=click.Choice(FORMATS), help="What FILE holds.  [default: found out]")
@click.option("--elf-section", metavar="NAME", help="Section of an object.  [default: the first with code, .text last]")
@click.option("--safety", is_flag=True, help="Also prove that the program stays in its memory, whatever that holds.")
@click.option(
    "--memory-bytes", type=click.IntRange(0, _MOST_BYTES), default=0,
    help="With --safety: the size of the input memory.",
)  # fmt: skip
@listing(
    "--map-bytes",
    metavar="SIZE",
    element=click.IntRange(1, _MOST_BYTES),
    help="With --safety: the sizes of the values of maps, number 0 first.",
)
@click.option("--entry", metavar="FUNCTION", help="Function of an object to begin at.  [default: the section's start]")
@json_option("all findings")
def verify_(
    file: IO[bytes],
    groups: tuple[str, ...],
    byte_order: str | None,
    kind: str | None,
    elf_section: str | None,
    safety: bool,
    memory_bytes: int,
    map_bytes: tuple[int, ...],
    entry: str | None,
    json_file: Path | None,
) -> None:
    """Report everything that is wrong with the program in FILE (- for standard input), not the first thing only.

    FILE holds assembly, hexadecimal digits, the bytes of a program, or an ELF object. A group of --group
    allows what it includes, and base32 is always allowed. With --safety, a program without errors is also proved to
    be safe to run unchecked, as `exec --trust-verifier` demands, or why that cannot be shown. Exit status:
    0 if there are no errors (warnings do not count), 1 if there are, 2 if there was no program to look at.
    """
    if not safety and (memory_bytes or map_bytes):
        raise click.UsageError("--memory-bytes and --map-bytes are for --safety")
    data, name = contents(file)
    program = read_program(
        data,
        name,
        kind=cast("Format | None", kind),
        byte_order=cast("ByteOrder | None", byte_order),
        section=elf_section,
        function=entry,
        maps=[bytes(size) for size in map_bytes],
        any_length=True,
    )
    findings = verify(program.code, program.byte_order, groups or None)
    proof = None
    if safety and is_valid(findings):
        proof = _prove(program, memory_bytes)
        if isinstance(proof, Finding):
            findings.append(proof)
    shown = None if isinstance(proof, Finding) else proof
    if json_file is not None:
        write_json(_document(findings, shown), json_file, indent=2)
    if not is_stdout(json_file):
        _print(findings, program)
        if shown is not None:
            _print_proof(shown)
        errors = sum(finding.severity == "error" for finding in findings)
        echo(f"{name}: {_count(errors, 'error')}, {_count(len(findings) - errors, 'warning')}")
    if not is_valid(findings):
        raise SystemExit(FAILED)


def _prove(program: Input, memory_bytes: int) -> Proof | Finding:
    from ...reference_vm.verifier.proof import NotProved
    from ...reference_vm.verifier.safety import prove, surroundings_of

    machine = Machine(memory=bytes(memory_bytes), maps=program.maps)
    decoded = decode(program.code, program.byte_order)
    try:
        return prove(decoded, program.byte_order, surroundings_of(machine), program.entry)
    except NotProved as error:
        where = f"{error.instruction}: " if error.instruction else ""
        return Finding(error.slot, "not-proved-safe", where + error.reason)


def _print_proof(proof: Proof) -> None:
    steps = "no bound was found" if proof.most_steps is None else f"at most {_count(proof.most_steps, 'instruction')}"
    echo(f"safe with {proof.surroundings}, shown by {proof.method}; instructions until it ends: {steps}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _slots(program: Input) -> list[Slot]:
    """Return the slots of ``program``; none if its length is wrong."""
    try:
        return unpack(program.code, program.byte_order)
    except DecodeError:
        return []


def _document(findings: Sequence[Finding], proof: Proof | None) -> dict[str, Any]:
    """Return what was found as plain data; ``safe`` is null where that was not asked, or is not known."""
    listed = [
        {"slot": one.slot, "rule": one.rule, "severity": one.severity, "message": one.message} for one in findings
    ]
    safe = None if proof is None else {"most_steps": proof.most_steps, "method": proof.method}
    return {"format": "bpf-isa-verify", "version": 1, "valid": is_valid(findings), "findings": listed, "safe": safe}


def _print(findings: Sequence[Finding], program: Input) -> None:
    slots = _slots(program)
    for finding in findings:
        echo(str(finding))
        if shown := _shown(finding, program.code, slots):
            echo(f"    {shown}")
        echo(f"    rule: {RULES.get(finding.rule, _SAFE)}")


def _shown(finding: Finding, code: bytes, slots: Sequence[Slot]) -> str:
    """The bytes of the slot, and its assembly where it begins an instruction."""
    raw = code[8 * finding.slot : 8 * finding.slot + 8].hex(" ")
    found = identify(slots, finding.slot) if finding.slot < len(slots) else None
    return f"{raw}    {format_instruction(found)}" if isinstance(found, Decoded) else raw
