# SPDX-License-Identifier: Apache-2.0
"""Drafts of vectors: programs with operands, whose expected values are computed from the instruction table.

The reference VM executes the rows of ``isa.yaml`` once per byte order, and the results are written as literals.
Runtimes are compared with these literals, not with the VM.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from ...adapters.protocol import HelperSpec, Job, MapSpec, VariableSpec
from ...adapters.reference import machine_for
from ...reference_vm.executable import prepare
from ...reference_vm.faults import Returned
from ...reference_vm.interpreter import run
from ...spec.encoding import ByteOrder
from ...spec.errors import InputError
from ...spec.requirements import load_errata
from ...spec.table import Instruction
from ..lint.reliance import rank
from ..suite.model import Level
from ..suite.template import compile_text
from ..suite.values import parse_bytes

BYTE_ORDERS: tuple[ByteOrder, ...] = ("little", "big")


@dataclass(frozen=True, slots=True)
class Draft:
    """A vector with cases.

    ``cases`` maps case names to the values of the holes in ``asm`` or ``code`` and ``memory``. ``observe`` names the
    columns to compute: ``r0`` to ``r9``, and ``after`` for the memory. A draft with ``rejected`` expects refusal;
    its cases bring their own ``witness`` where there is one. ``helpers``, by kind of id and number, weigh their
    arguments. ``extension`` is the name of one that the program needs.
    """

    id: str
    what: str
    covers: tuple[str, ...]
    cases: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: {"all": {}})
    asm: str = ""
    code: str = ""
    observe: tuple[str, ...] = ("r0",)
    memory: str | None = None
    maps: tuple[str, ...] = ()
    variables: tuple[tuple[int, str], ...] = ()
    helpers: tuple[tuple[str, int], ...] = ()
    errata: tuple[str, ...] = ()
    extension: str | None = None
    rejected: bool = False

    @property
    def level(self) -> Level:
        """The highest level that a vector which relies on :attr:`errata` may have; that of its extension, if any."""
        if self.extension:
            return Level.EXTENSION
        return max((Level(load_errata()[name].level) for name in self.errata), key=rank, default=Level.MUST)


class DraftError(InputError):
    """The program of a draft does not return on the reference VM."""


def rows(draft: Draft) -> list[dict[str, str]]:
    """Return the table of ``draft``: per case its name, the values of its holes, and what is expected.

    Raises:
        DraftError: a case does not return on the reference VM.
    """
    cases = distinct(draft.cases)
    if draft.rejected:
        return [{"case": name, **values} for name, values in cases.items()]
    results = []
    for name, values in cases.items():
        row = {"case": name, **values}
        little, big = (_observed(outcome(draft, job(draft, name, order)), draft.observe) for order in BYTE_ORDERS)
        results.append((row, little, big))
    split = {column for _, little, big in results for column in draft.observe if little[column] != big[column]}
    for row, little, big in results:
        for column in draft.observe:
            if column in split:
                row[f"{column}.little"], row[f"{column}.big"] = little[column], big[column]
            else:
                row[column] = little[column]
    return [row for row, _, _ in results]


def job(draft: Draft, name: str, order: ByteOrder) -> Job:
    """Return the job of the case ``name`` in a byte order, of a draft that is not ``rejected``."""
    values = draft.cases[name]
    return Job(
        id=f"{draft.id}/{name}",
        code=_template(draft.asm).assemble(values, order),
        byte_order=order,
        groups=frozenset(),
        observe=frozenset("memory" if column == "after" else column for column in draft.observe),
        memory=None if draft.memory is None else parse_bytes(draft.memory.format_map(values)),
        maps=tuple(MapSpec(parse_bytes(text)) for text in draft.maps),
        variables=tuple(VariableSpec(number, parse_bytes(text)) for number, text in draft.variables),
        helpers=tuple(HelperSpec("btf" if by == "btf" else "static", number, "weigh") for by, number in draft.helpers),
    )


_template = lru_cache(maxsize=4)(compile_text)


def outcome(draft: Draft, job: Job) -> Returned:
    """Run a case on the reference VM.

    Raises:
        DraftError: it does not return.
    """
    result = run(prepare(job.code, job.byte_order), machine_for(job, job.byte_order))
    if not isinstance(result, Returned):
        raise DraftError(f"{job.id} ({job.byte_order}-endian): {result}")
    return result


def distinct(cases: Mapping[str, Mapping[str, str]]) -> dict[str, Mapping[str, str]]:
    """Return ``cases`` without those that have the values of an earlier one: lists of operands overlap."""
    first: dict[frozenset[tuple[str, str]], str] = {}
    for name, values in cases.items():
        first.setdefault(frozenset(values.items()), name)
    return {name: cases[name] for name in first.values()}


def _observed(outcome: Returned, columns: Iterable[str]) -> dict[str, str]:
    return {
        column: _bytes(outcome.memory or b"") if column == "after" else f"{outcome.registers[int(column[1:])]:#x}"
        for column in columns
    }


#: So many zeros at the end are written as a number of them.
_MANY_ZEROS = 128


def _bytes(memory: bytes) -> str:
    head = memory.rstrip(b"\0")
    zeros = len(memory) - len(head)
    return f"{head.hex()} 00*{zeros}" if head and zeros >= _MANY_ZEROS else memory.hex()


def slug(row: Instruction) -> str:
    """Return the name of a row as ids of vectors have it: add32-k."""
    return row.name.lower().replace("_", "-")


def line(row: Instruction, **operands: str) -> str:
    """Return the assembly of ``row`` with the given texts for its operands.

    Keywords are dst and src (register numbers or holes), imm, imm64, next_imm, offset (a signed number or hole for
    memory operands, a label for jumps).
    """
    return fill(row.asm[0], **operands)


def fill(form: str, **operands: str) -> str:
    """Return an assembly form, such as a row has, with the given texts for its operands; see :func:`line`."""

    def filled(hole: re.Match[str]) -> str:
        name, form = hole["name"], hole["form"]
        if form == "+":
            return f"+ {operands[name]}"
        prefix = ("w" if form == "w" else "r") if name in ("dst", "src") else ""
        return prefix + operands[name]

    return _OPERAND.sub(filled, form)


_OPERAND = re.compile(r"\{(?P<name>\w+)(?::(?P<form>w|\+|pc))?\}")
