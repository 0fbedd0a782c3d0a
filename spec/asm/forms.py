# SPDX-License-Identifier: Apache-2.0
"""Compiled assembly templates: their tokens, and the positions of fields in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias, cast

from ..encoding import Decoded
from ..table import FIELD_RANGES, Instruction, Operand, TableError
from .tokens import PLACEHOLDER, AsmError, Token, tokenize

Style: TypeAlias = Literal["", "w", "%", "+", "?", "pc", "label"]


class Placeholder(NamedTuple):
    """A position in a template: the ``field`` (or ``imm64``) that is written there, and the style."""

    field: str
    style: Style


_OPTIONAL = re.compile(r"\{\w+:\?\}")
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

    ``parts`` are its literal texts and placeholders; ``steps`` its tokens, each as the keys of the allowed tokens;
    ``places`` the placeholders with the index of the token with their value.
    """

    row: Instruction
    parts: tuple[str | Placeholder, ...]
    steps: tuple[tuple[str, ...], ...]
    places: tuple[tuple[int, Placeholder], ...]


def variants(template: str) -> Iterator[str]:
    """Yield a template with all its optional parts, then without them."""
    yield template
    if _OPTIONAL.search(template):
        yield _OPTIONAL.sub("", template)


def compile_form(row: Instruction, template: str, pattern: re.Pattern[str]) -> Form:
    """Compile a template; ``pattern`` is that of :func:`.tokens.token_pattern`.

    Raises:
        TableError: a placeholder is no operand of the row, or a literal begins a comment.
    """
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
    """Return the tokens of a text between placeholders, which must not contain a comment."""
    try:
        tokens = tokenize(pattern, text)
    except AsmError as error:
        raise TableError(f"{row.name} (line {row.line}): asm: {error.message}") from None
    if "".join(token.text for token in tokens) != "".join(text.split()):
        raise TableError(f"{row.name} (line {row.line}): asm: {text.strip()!r} begins a comment")
    return tokens


def _split(row: Instruction, template: str) -> Iterator[str | Placeholder]:
    end = 0
    for found in PLACEHOLDER.finditer(template):
        if found.start() > end:
            yield template[end : found.start()]
        name, style = found[1], found[2] or ""
        fields = ("imm", "next_imm") if name == "imm64" else (name,)
        if style not in _STYLES.get(name, ()) or not all(part in row.operands for part in fields):
            raise TableError(f"{row.name} (line {row.line}): asm: {found.group()} is no operand of the row")
        yield Placeholder(name, cast("Style", style))
        end = found.end()
    if end < len(template):
        yield template[end:]


def _keys(place: Placeholder) -> tuple[str, ...]:
    if place.field in {"dst", "src"}:
        return {"": ("<r>",), "w": ("<w>",), "%": ("<%>", "<r>")}[place.style]
    if place.style == "label":
        return ("<name>",)
    return ("<number>", "<name>") if place.style == "pc" else ("<number>",)


def bounds(row: Instruction, place: Placeholder) -> tuple[int, int]:
    """Return the least and the greatest number that may be written at ``place``.

    For 32 and 64 bits, both signed and unsigned numbers are allowed: an imm of -1 may be written 0xffffffff.
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
        AsmError: it is out of range; its line is 0.
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


def show(place: Placeholder, decoded: Decoded, target: str | None) -> str:
    """Return the text at ``place`` for an instruction; ``target`` is a label to print for its jump distance."""
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
