# SPDX-License-Identifier: Apache-2.0
"""Every instruction with each kind of instruction before and after it, with operands of each origin.

A code generator looks at neighbours: it fuses two instructions, leaves out an extension that the next one does not
need, keeps an operand in a register. Each program has some instructions, in some cases one after another, in a loop
over pairs of operands. ``bpf-isa adequacy --contexts`` confines faults to such contexts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice
from typing import Final

from ..suite.needs import program_needs
from ..suite.template import compile_text
from .context_cases import Case, Way, body, draft, together, ways
from .context_parts import title
from .draft import Draft

#: The number of cases that share a program. Each adds what it has seen to the same results.
_MOST: Final = 5
_WHAT: Final = f"{_MOST} times, each time with a neighbour of another kind, or operands of another origin"


def drafts() -> Iterator[Draft]:
    """Yield the vectors."""
    for some in together():
        for way in ways(some[0]):
            asm = "".join(body(some, way, f"case{n}part").format_map(_holes(way, n)) for n in range(_MOST))
            used = re.compile(r"{(\w+)}").findall(asm)
            cases = {}
            for names in _alike(way):
                for first in range(0, len(names), _MOST):
                    pack = names[first : first + _MOST]
                    span = "-to-".join(dict.fromkeys(name.replace(" ", "-") for name in (pack[0], pack[-1])))
                    # All programs have the same number of parts: what is missing is there twice.
                    filled = enumerate(islice(cycle(pack), _MOST))
                    texts = {f"{hole}{n}": text for n, name in filled for hole, text in way.cases[name].items()}
                    cases[span] = {hole: texts[hole] for hole in dict.fromkeys(used)}
            yield draft(f"contexts/{way.name}/{title(some)}", _WHAT, some, way, asm, cases)


def _holes(way: Way, number: int) -> Mapping[str, str]:
    """Return the holes of a case among others, by the name that they have in a case alone."""
    return {hole: f"{{{hole}{number}}}" for case in way.cases.values() for hole in case}


def _alike(way: Way) -> Iterator[Sequence[str]]:
    """Yield the names of cases that need the same conformance groups."""
    found: dict[object, list[str]] = {}
    for name, case in way.cases.items():
        found.setdefault(None if way.functions or way.helpers else _groups(case), []).append(name)
    yield from found.values()


def _groups(case: Case) -> frozenset[str]:
    text = "\n".join(case[hole] for hole in ("before", "next", "second"))
    return program_needs(compile_text(f"{text}\nexit\n").assemble({}, "little"), rejected=False).groups - {"base64"}
