# SPDX-License-Identifier: Apache-2.0
"""The assembly language: LLVM's syntax, as the ``asm`` templates of the instruction table give it, and the dialect of
mnemonics (``add32 %r1, 5``) that uBPF, rbpf and bpf_conformance speak, as its ``mnemonic`` templates give it.

A template such as ``if {dst:w} s> {imm} goto {offset:pc}`` is compiled once and used in both directions:
:meth:`Syntax.match` reads an instruction, :meth:`Syntax.format` writes one. Placeholders of a template:

=====================  =====================================================================================
``{dst}`` ``{src}``    a register, ``r0`` to ``r10``; with ``:w`` its lower half, ``w0`` to ``w10``; with ``:%`` it is
                       written ``%r0``, and ``r0`` is understood
``{imm}``              a number in the field of that name (``offset`` and ``next_imm`` likewise)
``{imm64}``            the number whose lower half is in imm and whose upper half is in next_imm
``{offset:+}``         a number that is added to what precedes it: ``+ 8``, ``- 8``
``{offset:?}``         the same without the blank, ``+8``, or nothing if it is 0
``{offset:pc}``        a jump distance in slots, from the slot after this one (``+3``, ``-2``), or a label
``{imm:label}``        the same, but only a label
=====================  =====================================================================================

The operators are those in the templates of the table, so that a row may add one. Space between tokens is ignored.
``#`` and ``//`` begin a comment, ``/* */`` encloses one within a line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias, get_args

from ..encoding import Decoded
from ..table import LAST_REGISTER, Instruction, Isa, Operand, TableError
from .forms import Form, Placeholder, compile_form, place_number, show, variants
from .tokens import REGISTERS, AsmError, Kind, Token, token_pattern, tokenize

#: The two sets of templates.
Dialect: TypeAlias = Literal["llvm", "mnemonic"]


@dataclass(slots=True)
class _Node:
    """A state of the reader: the transitions by kind of token, and the form that ends here."""

    edges: dict[str, _Node] = field(default_factory=dict)
    form: Form | None = None


class Target(NamedTuple):
    """A label in place of the distance in ``field``."""

    field: str
    token: Token


class Hole(NamedTuple):
    """A number that is not known yet (or its negative), for ``place`` in an instruction."""

    name: str
    place: Placeholder
    negative: bool
    column: int
    text: str


class Match(NamedTuple):
    """An instruction that was read, from the token ``first``. Labels and holes are 0 in ``decoded``.

    ``registers`` are the columns of register operands, with the field of each.
    """

    first: Token
    decoded: Decoded
    target: Target | None = None
    holes: tuple[Hole, ...] = ()
    registers: tuple[tuple[int, str], ...] = ()


class Syntax:
    """Reads and writes the instructions of a table, in one dialect."""

    def __init__(self, table: Isa, dialect: Dialect = "llvm") -> None:
        self.dialect = dialect
        self._root = _Node()
        self._printed: dict[str, Form] = {}
        # The operators of both dialects, for better messages about a text in the other dialect.
        self._tokens = token_pattern(form for row in table.instructions for form in (*row.asm, *row.mnemonic))
        for row in table.instructions:
            for template in row.asm if dialect == "llvm" else row.mnemonic:
                for variant in variants(template):
                    form = compile_form(row, variant, self._tokens)
                    self._printed.setdefault(row.name, form)
                    self._insert(form)
            if row.name not in self._printed:
                continue
            shown = {place.field for _, place in self._printed[row.name].places}
            shown |= {"imm", "next_imm"} if "imm64" in shown else set()
            if missing := set(row.operands) - shown:
                raise TableError(f"{row.name} (line {row.line}): {self._field} does not show {min(missing)}")

    @property
    def _field(self) -> str:
        return "asm" if self.dialect == "llvm" else "mnemonic"

    def _insert(self, form: Form) -> None:
        ends = [self._root]
        for keys in form.steps:
            ends = [node.edges.setdefault(key, _Node()) for node in ends for key in keys]
        for node in ends:
            if node.form is not None:
                row, other = form.row, node.form.row
                also = f"{self._field} is also that of {other.name} (line {other.line})"
                raise TableError(f"{row.name} (line {row.line}): {also}")
            node.form = form

    def tokenize(self, line: str) -> list[Token]:
        """Split a line into tokens. A sign belongs to the number after it, unless an operand precedes the sign.

        Raises:
            AsmError: an invalid token; its line is 0.
        """
        return tokenize(self._tokens, line)

    def match(self, tokens: Sequence[Token]) -> Match:
        """Read one instruction, all of ``tokens``.

        Raises:
            AsmError: no form matches; its line is 0.
        """
        states = [self._root]
        for token in tokens:
            text, kind = token.text, _KIND_KEYS[token.kind]
            following = []
            for node in states:
                if text in node.edges:
                    following.append(node.edges[text])
                if kind in node.edges:
                    following.append(node.edges[kind])
            if not following:
                raise AsmError(0, token.column, self._expected(states), token.text)
            states = following
        for node in states:
            if node.form is not None:
                return _read(node.form, tokens)
        end = tokens[-1].column + len(tokens[-1].text) if tokens else 1
        raise AsmError(0, end, self._expected(states), "")

    def _expected(self, states: list[_Node]) -> str:
        if states == [self._root]:
            return "an instruction, a label or .byte"
        keys = {key for node in states for key in node.edges}
        if "<%>" in keys:
            keys -= {"<r>"}
        if "<r>" in keys:
            keys -= {key for key in keys if re.fullmatch(r"r\d+", key)}
        found = [_DESCRIPTIONS[key] for key in _DESCRIPTIONS if key in keys]
        found += [f"`{key}`" for key in sorted(keys - _DESCRIPTIONS.keys())]
        if any(node.form is not None for node in states):
            found.append("the end of the instruction")
        return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} or {found[-1]}"

    def writes(self, row: Instruction) -> bool:
        """Whether the dialect has a form for ``row``."""
        return row.name in self._printed

    def format(self, decoded: Decoded, target: str | None = None) -> str:
        """Write an instruction; ``target`` is a label to print for its jump distance.

        Raises:
            KeyError: the dialect has no form for it, see :meth:`writes`.
        """
        return "".join(
            part if isinstance(part, str) else show(part, decoded, target)
            for part in self._printed[decoded.instruction.name].parts
        )

    def distance(self, decoded: Decoded) -> int | None:
        """Return the jump distance, in slots from the one after the instruction's first; None if it has none."""
        form = self._printed.get(decoded.instruction.name)
        for _, place in form.places if form else ():
            if place.style == "pc":
                value: int = getattr(decoded, place.field)
                return value
        return None


#: Keys of transitions for any token of a kind.
_KIND_KEYS: dict[Kind, str] = {kind: f"<{kind}>" for kind in get_args(Kind)}
_DESCRIPTIONS = {
    "<r>": f"a register r0 to r{LAST_REGISTER}",
    "<w>": f"a register w0 to w{LAST_REGISTER}",
    "<%>": f"a register %r0 to %r{LAST_REGISTER}",
    "<number>": "a number",
    "<name>": "a label",
}


@lru_cache(maxsize=64)
def syntax(table: Isa, dialect: Dialect = "llvm") -> Syntax:
    """Return the compiled syntax of ``table`` in ``dialect``.

    Raises:
        TableError: a template names no operand or leaves one out, or two rows have the same template.
    """
    return Syntax(table, dialect)


def _read(form: Form, tokens: Sequence[Token]) -> Match:
    """Return the match of a form, with operands from the tokens."""
    row = form.row
    values = {name: 0 if isinstance(rule, Operand) else rule.value for name, rule in row.fields.items()}
    target = None
    holes: list[Hole] = []
    registers: list[tuple[int, str]] = []
    written: dict[str, Token] = {}
    for index, place in form.places:
        token = tokens[index]
        if token.kind in REGISTERS:
            first = written.setdefault(place.field, token)
            if first.value != token.value:
                raise AsmError(0, token.column, f"`{first.text}` again", token.text)
            values[place.field] = token.value
            registers.append((token.column, place.field))
        elif token.kind == "name":
            target = Target(place.field, token)
        else:
            negative = place.style in {"+", "?"} and tokens[index - 1].text == "-"
            if token.hole is not None:
                holes.append(Hole(token.hole, place, negative != (token.value < 0), token.column, token.text))
            else:
                place_number(values, row, place, -token.value if negative else token.value, token)
    return Match(tokens[0], Decoded(row, **values), target, tuple(holes), tuple(registers))
