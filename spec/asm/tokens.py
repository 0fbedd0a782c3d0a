# SPDX-License-Identifier: Apache-2.0
"""Lines of assembly as tokens. The operators are those in the templates of the table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

from ..errors import InputError
from ..table import FIELD_RANGES, LAST_REGISTER

Kind: TypeAlias = Literal["r", "w", "%", "number", "name", "symbol"]


class AsmError(InputError):
    """A syntax error in assembly.

    ``line`` and ``column`` count from 1; ``expected`` describes the valid tokens, ``found`` is the invalid one.
    """

    def __init__(self, line: int, column: int, expected: str, found: str) -> None:
        self.line, self.column, self.expected, self.found = line, column, expected, found
        self.message = f"expected {expected}, found {f'`{found}`' if found else 'the end of the statement'}"
        super().__init__(f"line {line}, column {column}: {self.message}")

    def on_line(self, line: int) -> AsmError:
        """Return the same error with its line number."""
        return AsmError(line, self.column, self.expected, self.found)


class Token(NamedTuple):
    """A token: ``value`` is that of a number or the index of a register, ``column`` counts from 1.

    A ``{hole}`` is a number with the name ``hole``; its value is its sign, 1 or -1.
    """

    kind: Kind
    text: str
    column: int
    value: int = 0
    hole: str | None = None


#: The pattern of tokens; OPERATORS are those of the table's templates.
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
#: Symbols of every table: brackets, separators of statements and bytes, and signs of numbers.
_PUNCTUATION = "(){}[],;:"
_SIGNS = ("+", "-")
#: An operator that begins with letters, such as ``s>>=``, and the operators in a word such as ``*(u32``.
_WORD_OPERATOR = re.compile(r"[A-Za-z]+[^\w\s.$(){}\[\],;:]+", re.ASCII)
_OPERATOR = re.compile(r"[^\w\s.$(){}\[\],;:\0]+", re.ASCII)
#: A placeholder of a template: its name, and its style.
PLACEHOLDER = re.compile(r"\{(\w+)(?::([^}]*))?\}")
#: No number of 64 bits needs more characters.
_LONGEST_NUMBER = 80


def _operators(template: str) -> list[str]:
    """Return the operators in ``template``: runs of special characters, with the letters of a word that ends in one."""
    found: list[str] = []
    for word in PLACEHOLDER.sub("\0", template).split():
        found += [word] if _WORD_OPERATOR.fullmatch(word) else _OPERATOR.findall(word)
    return found


def token_pattern(templates: Iterable[str]) -> re.Pattern[str]:
    """Return the pattern of the tokens of ``templates``; the longest operator matches."""
    operators = {*_PUNCTUATION, *_SIGNS, *(operator for template in templates for operator in _operators(template))}
    longest_first = sorted(operators, key=lambda operator: (-len(operator), operator))
    return re.compile(_TOKEN.replace("OPERATORS", "|".join(map(re.escape, longest_first))), re.ASCII)


def tokenize(pattern: re.Pattern[str], line: str) -> list[Token]:
    """Split a line into tokens by a pattern of :func:`token_pattern`.

    Raises:
        AsmError: an invalid token; its line is 0.
    """
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
#: Kinds of tokens that are registers.
REGISTERS: frozenset[Kind] = frozenset({"r", "w", "%"})


def _append_number(tokens: list[Token], number: Token) -> None:
    """Append ``number``, joined with the signs before it unless an operand precedes them."""
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
    # That dialect has all numbers that the field can hold, for programs that runtimes should reject.
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
    """Return the value of a number as in assembly, with an optional sign; None if ``text`` is none."""
    found = _NUMBER.fullmatch(text)
    if found is None or len(text) > _LONGEST_NUMBER:
        return None
    value = int(found[2], 0)
    return -value if found[1] == "-" else value
