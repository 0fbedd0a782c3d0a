# SPDX-License-Identifier: Apache-2.0
"""Every instruction as the first one of a function, and as the last one before its exit, in front of another function.

A code generator emits a prologue before the first and an epilogue after the last, and may leave out an extension of
what a function returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from ...spec.facts import Kind, facts
from .context_parts import MEMORY, MOST, PAIRS, Part, loop, mixed, operands, title
from .covers import covers
from .draft import Draft

_Function: TypeAlias = Callable[[Part], tuple[str, str]]


def drafts(some: Sequence[Part]) -> Iterator[Draft]:
    """Yield the vectors of ``some`` parts as the last and as the first instructions of functions."""
    yield _program(some, "last", "before the exit of a function, in front of another one", _last)
    # What r0 holds at the beginning of a function is not specified.
    first = [part for part in some if "r0" not in part.row.reads]
    if first:
        yield _program(first, "first", "as the first instruction of a function", _first)


def _program(some: Sequence[Part], name: str, what: str, function: _Function) -> Draft:
    body = functions = ""
    for place, part in enumerate(some):
        before, text = function(part)
        seen = mixed(["r0"], part, 8 * place)
        body += f"{operands(part)}{before}call local function{place}\n{seen}"
        functions += f"function{place}:\n{text}".replace("LABEL", f"part{place}")
    # The last one of these functions has another one behind it as well.
    body += "call local behind\n"
    functions += "behind:\nr0 = 0\nexit\n"
    rows = [part.row for part in some]
    found = dict.fromkeys(name for row in rows for name in covers(row)[:2])
    return Draft(
        f"contexts/{name}/{title(some)}",
        f"{len(some)} instructions {what}, on {len(PAIRS)} pairs of operands: a result for each",
        (*found, "rfc9669-4.3.2-call-local", "rfc9669-4.3.2-exit-returns-to-caller"),
        asm=loop(body, len(some)) + functions,
        observe=("after",),
        memory=MEMORY,
        errata=("calling-convention",),
    )


def _filled(text: str, registers: Mapping[str, str]) -> str:
    for hole, register in registers.items():
        text = text.replace(f"{{{hole}}}", register)
    return text


def _last(part: Part) -> tuple[str, str]:
    """The address of the operands is the argument r5, that of the memory r4; r0 is written if any register is."""
    if facts(part.row).kind is Kind.JUMP:
        return "", _jumped(part, "r0 = 1\n")
    written = "" if part.falls else part.written
    registers = {"d": "3", "s": "2", **({written: "0"} if written else {})}
    before = _filled(part.before, registers).replace("r9", "r4")
    act = _filled(part.act, registers)
    if not written:
        before = f"r0 = *(u64 *)(r5 + {8 * MOST + 8})\n{before}"
    if part.falls:
        text = f"goto LABELin\nLABEL:\nr0 = 2\nexit\nLABELin:\n{before}r0 = 1\n{act}exit\n"
    else:
        text = f"{before}{act}exit\n"
    return "r4 = r9\n", text


def _first(part: Part) -> tuple[str, str]:
    """The operands are the arguments r1 and r2."""
    if facts(part.row).kind is Kind.JUMP:
        return "", _jumped(part, "")
    registers = {"d": "1", "s": "2"}
    before, act = _filled(part.before, registers), _filled(part.act, registers)
    if part.falls:
        return before, f"{act}r0 = 1\nexit\nLABEL:\nr0 = 2\nexit\n"
    numbers = [registers[hole] for hole in part.numbers if hole in registers]
    text = "".join(f"r0 <<= 3\nr0 ^= r{number}\n" for number in numbers)
    return before, f"{act}r0 = 0\n{text}exit\n"


def _jumped(part: Part, before: str) -> str:
    """A jump there, and one back as the last instruction."""
    there, back = part.act.replace("LABEL", "LABELin"), part.act.replace("LABEL", "LABELout")
    return f"{before}{there}LABELout:\nr0 ^= 6\nexit\nLABELin:\nr0 = 5\n{back}"
