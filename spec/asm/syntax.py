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

The operators are those that stand in the templates of the table, so that a row may bring a new one. Space between
tokens means nothing. ``#`` and ``//`` begin a comment, ``/* */`` encloses one within a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias, get_args

from ..encoding import Decoded
from ..errors import InputError
from ..table import (
    FIELD_RANGES,
    LAST_REGISTER,
    Instruction,
    Isa,
    Operand,
    TableError,
)

Kind: TypeAlias = Literal["r", "w", "%", "number", "name", "symbol"]
#: Which of the two sets of templates a text follows.
Dialect: TypeAlias = Literal["llvm", "mnemonic"]


class AsmError(InputError):
    """Text that is no assembly.

    ``line`` and ``column`` count from 1; ``expected`` says what would have been right, ``found`` is the text at fault.
    """

    def __init__(self, line: int, column: int, expected: str, found: str) -> None:
        self.line, self.column, self.expected, self.found = line, column, expected, found
        self.message = f"expected {expected}, found {f'`{found}`' if found else 'the end of the statement'}"
        super().__init__(f"line {line}, column {column}: {self.message}")

    def on_line(self, line: int) -> AsmError:
        """Return the same error with its line number."""
        return AsmError(line, self.column, self.expected, self.found)


class Token(NamedTuple):
    """A word of assembly: ``value`` is that of a number or the index of a register, ``column`` counts from 1.

    A ``{hole}`` is a number with the name ``hole`` whose value is its sign, 1 or -1.
    """

    kind: Kind
    text: str
    column: int
    value: int = 0
    hole: str | None = None


#: What splits a line, but for the operators, which are those of the table's templates.
_TOKEN = (
    r"(?:[ \t\r\f]+|/\*.*?\*/)+"
    r"|(?P<comment>(?:\#|//).*)"
    r"|(?P<register>(?P<half>%?r|w)(?P<index>\d+))(?![\w.$])"
    r"|(?P<number>0[xX][0-9a-fA-F]+|0[bB][01]+|0|[1-9][0-9]*)(?![\w.$])"
    r"|(?P<hole>(?<![\w.$}])\{[A-Za-z_]\w*\})(?![\w.$])"
    r"|(?P<symbol>OPERATORS)"
    r"|(?P<name>[A-Za-z_.$][\w.$]*)"
    r"|(?P<wrong>[\w.$]+|.)"
)
#: Symbols of every table: brackets, what separates statements and bytes, and the signs of numbers.
_PUNCTUATION = "(){}[],;:"
_SIGNS = ("+", "-")
#: An operator that begins with letters, such as ``s>>=``, and the operators in a word such as ``*(u32``.
_WORD_OPERATOR = re.compile(r"[A-Za-z]+[^\w\s.$(){}\[\],;:]+", re.ASCII)
_OPERATOR = re.compile(r"[^\w\s.$(){}\[\],;:\0]+", re.ASCII)
#: No number of 64 bits needs more characters.
_LONGEST_NUMBER = 80


def _operators(template: str) -> list[str]:
    """Return the operators in ``template``: runs of special characters, with the letters of a word that ends in one."""
    found: list[str] = []
    for word in _PLACEHOLDER.sub("\0", template).split():
        found += [word] if _WORD_OPERATOR.fullmatch(word) else _OPERATOR.findall(word)
    return found


def _token_pattern(templates: Iterable[str]) -> re.Pattern[str]:
    """Return what splits lines into the tokens of ``templates``; the longest operator that fits counts."""
    operators = {*_PUNCTUATION, *_SIGNS, *(operator for template in templates for operator in _operators(template))}
    longest_first = sorted(operators, key=lambda operator: (-len(operator), operator))
    return re.compile(_TOKEN.replace("OPERATORS", "|".join(map(re.escape, longest_first))), re.ASCII)


def _tokenize(pattern: re.Pattern[str], line: str) -> list[Token]:
    tokens: list[Token] = []
    for found in pattern.finditer(line):
        text, column, group = found.group(), found.start() + 1, found.lastgroup
        if group is None:
            continue
        if group == "comment":
            break
        if group in {"number", "hole"}:
            if len(text) > _LONGEST_NUMBER:
                raise AsmError(0, column, "a number of at most 64 bits", text[:24] + "...")
            token = (
                Token("number", text, column, int(text, 0))
                if group == "number"
                else Token("number", text, column, 1, text[1:-1])
            )
            _append_number(tokens, token)
        elif group == "register":
            tokens.append(_register(found, column))
        elif group == "name":
            tokens.append(Token("name", text, column))
        elif group == "symbol":
            tokens.append(Token("symbol", text, column))
        else:
            raise AsmError(0, column, _what_instead_of(text), text)
    return tokens


#: A sign after one of these is an operator.
_ADDENDS = frozenset({"r", "w", "%", "number"})
_REGISTERS = frozenset({"r", "w", "%"})


def _append_number(tokens: list[Token], number: Token) -> None:
    """Append ``number`` after joining the signs before it that have nothing to add it to."""
    while tokens and tokens[-1].text in {"+", "-"}:
        before = tokens[-2] if len(tokens) > 1 else None
        if before is not None and (before.kind in _ADDENDS or before.text == ")"):
            break
        sign = tokens.pop()
        value = -number.value if sign.text == "-" else number.value
        number = Token("number", sign.text + number.text, sign.column, value, number.hole)
    tokens.append(number)


def _register(found: re.Match[str], column: int) -> Token:
    half, digits = found["half"], found["index"]
    # That dialect names all numbers that the field can hold, for programs that runtimes should refuse.
    last = FIELD_RANGES["dst"][1] if half == "%r" else LAST_REGISTER
    if len(digits) > 2 or int(digits) > last or (digits[0] == "0" and digits != "0"):
        raise AsmError(0, column, f"a register {half}0 to {half}{LAST_REGISTER}", found.group())
    return Token(_KINDS[half], found.group(), column, int(digits))


_KINDS: dict[str, Kind] = {"r": "r", "w": "w", "%r": "%"}


def _what_instead_of(text: str) -> str:
    if text.isdigit():
        return "a number without leading zeros (some assemblers read it as octal)"
    return "a number, a name or an operator"


_NUMBER = re.compile(r"[ \t\r\f]*([-+]?)[ \t\r\f]*(0[xX][0-9a-fA-F]+|0[bB][01]+|0|[1-9][0-9]*)[ \t\r\f]*", re.ASCII)


@lru_cache(maxsize=1 << 14)
def number(text: str) -> int | None:
    """Return the number that ``text`` writes as in assembly, perhaps with a sign; None if it is none."""
    found = _NUMBER.fullmatch(text)
    if found is None or len(text) > _LONGEST_NUMBER:
        return None
    value = int(found[2], 0)
    return -value if found[1] == "-" else value


Style: TypeAlias = Literal["", "w", "%", "+", "?", "pc", "label"]


class Placeholder(NamedTuple):
    """A place in a template: the ``field`` (or ``imm64``) that it shows, and how."""

    field: str
    style: Style


_OPTIONAL = re.compile(r"\{\w+:\?\}")
_PLACEHOLDER = re.compile(r"\{(\w+)(?::([^}]*))?\}")
_STYLES: dict[str, frozenset[str]] = {
    "dst": frozenset(["", "w", "%"]),
    "src": frozenset(["", "w", "%"]),
    "offset": frozenset(["", "+", "?", "pc", "label"]),
    "imm": frozenset(["", "+", "pc", "label"]),
    "next_imm": frozenset(["", "+"]),
    "imm64": frozenset([""]),
}


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """A compiled template of ``row``.

    ``parts`` are its literal texts and placeholders; ``steps`` its tokens, each as the keys of what may stand there;
    ``places`` the placeholders with the index of the token that holds their value.
    """

    row: Instruction
    parts: tuple[str | Placeholder, ...]
    steps: tuple[tuple[str, ...], ...]
    places: tuple[tuple[int, Placeholder], ...]


def _variants(template: str) -> Iterator[str]:
    """Yield a template with all its optional parts, then without them."""
    yield template
    if _OPTIONAL.search(template):
        yield _OPTIONAL.sub("", template)


def _compile(row: Instruction, template: str, pattern: re.Pattern[str]) -> Form:
    parts: list[str | Placeholder] = []
    steps: list[tuple[str, ...]] = []
    places: list[tuple[int, Placeholder]] = []
    for part in _split(row, template):
        parts.append(part)
        if isinstance(part, str):
            steps += [(token.text,) for token in _literal(row, part, pattern)]
            continue
        if part.style in {"+", "?"}:
            steps.append(("+", "-"))
        places.append((len(steps), part))
        steps.append(_keys(part))
    return Form(row, tuple(parts), tuple(steps), tuple(places))


def _literal(row: Instruction, text: str, pattern: re.Pattern[str]) -> list[Token]:
    """Return the tokens of a text between placeholders; no character of it may be lost in a comment."""
    try:
        tokens = _tokenize(pattern, text)
    except AsmError as error:
        raise TableError(f"{row.name} (line {row.line}): asm: {error.message}") from None
    if "".join(token.text for token in tokens) != "".join(text.split()):
        raise TableError(f"{row.name} (line {row.line}): asm: {text.strip()!r} begins a comment")
    return tokens


def _split(row: Instruction, template: str) -> Iterator[str | Placeholder]:
    end = 0
    for found in _PLACEHOLDER.finditer(template):
        if found.start() > end:
            yield template[end : found.start()]
        name, style = found[1], found[2] or ""
        fields = ("imm", "next_imm") if name == "imm64" else (name,)
        if style not in _STYLES.get(name, ()) or not all(part in row.operands for part in fields):
            raise TableError(f"{row.name} (line {row.line}): asm: {found.group()} is no operand of the row")
        yield Placeholder(name, style)  # type: ignore[arg-type]  # one of _STYLES
        end = found.end()
    if end < len(template):
        yield template[end:]


def _keys(place: Placeholder) -> tuple[str, ...]:
    if place.field in {"dst", "src"}:
        return {"": ("<r>",), "w": ("<w>",), "%": ("<%>", "<r>")}[place.style]
    if place.style == "label":
        return ("<name>",)
    return ("<number>", "<name>") if place.style == "pc" else ("<number>",)


@dataclass(slots=True)
class _Node:
    """A state of the reader: where each kind of token leads, and the form that is complete here."""

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
    """An instruction that was read, beginning with ``first``. Labels and holes stand as zeros in ``decoded``.

    ``registers`` are the columns of registers that are operands, with the field of each.
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
        # The operators of both dialects: what is wrong with a text of the other one is its form.
        self._tokens = _token_pattern(form for row in table.instructions for form in (*row.asm, *row.mnemonic))
        for row in table.instructions:
            for template in row.asm if dialect == "llvm" else row.mnemonic:
                for variant in _variants(template):
                    form = _compile(row, variant, self._tokens)
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
        """Split a line into tokens. A sign before a number belongs to it, unless something to add to precedes it.

        Raises:
            AsmError: characters that begin no token; its line is 0.
        """
        return _tokenize(self._tokens, line)

    def match(self, tokens: Sequence[Token]) -> Match:
        """Read one instruction, all of ``tokens``.

        Raises:
            AsmError: they are no instruction; its line is 0.
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
            part if isinstance(part, str) else _show(part, decoded, target)
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


#: What stands in the tree for any token of a kind.
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
    """Take the values of a form's operands from the tokens that matched it."""
    row = form.row
    values = {name: 0 if isinstance(rule, Operand) else rule.value for name, rule in row.fields.items()}
    target = None
    holes: list[Hole] = []
    registers: list[tuple[int, str]] = []
    written: dict[str, Token] = {}
    for index, place in form.places:
        token = tokens[index]
        if token.kind in _REGISTERS:
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


def bounds(row: Instruction, place: Placeholder) -> tuple[int, int]:
    """Return the least and the greatest number that may be written at ``place``.

    For 32 and 64 bits these are the signed and the unsigned numbers; 0xffffffff is another way to write an imm of -1.
    """
    if place.field == "imm64":
        return -(1 << 63), (1 << 64) - 1
    low, high = FIELD_RANGES[place.field]
    rule = row.fields[place.field]
    if isinstance(rule, Operand):
        low, high = rule.low, rule.high
    if place.field == "offset" or place.style == "pc":
        return low, high
    return low, high * 2 + 1


def place_number(values: dict[str, int], row: Instruction, place: Placeholder, value: int, token: Token) -> None:
    """Put ``value`` into the field or fields of ``place``.

    Raises:
        AsmError: it does not fit; its line is 0.
    """
    low, high = bounds(row, place)
    if not low <= value <= high:
        raise AsmError(0, token.column, f"a number from {low} to {high}", token.text)
    if place.field == "imm64":
        values["imm"], values["next_imm"] = _signed32(value), _signed32(value >> 32)
    else:
        values[place.field] = value if place.field == "offset" else _signed32(value)


def _signed32(value: int) -> int:
    value &= 0xFFFF_FFFF
    return value - (1 << 32) if value >> 31 else value


def _show(place: Placeholder, decoded: Decoded, target: str | None) -> str:
    if place.field == "imm64":
        return f"{(decoded.next_imm & 0xFFFF_FFFF) << 32 | decoded.imm & 0xFFFF_FFFF:#x}"
    value: int = getattr(decoded, place.field)
    if place.field in {"dst", "src"}:
        return f"{'%r' if place.style == '%' else place.style or 'r'}{value}"
    if place.style == "pc":
        return target or f"{value:+d}"
    if place.style == "+":
        return f"{'-' if value < 0 else '+'} {abs(value)}"
    if place.style == "?":
        return f"{value:+d}" if value else ""
    return str(value)
