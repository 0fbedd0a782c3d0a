# SPDX-License-Identifier: Apache-2.0
"""The cases of :mod:`.contexts`: instructions beside neighbours of each kind, and with operands of each origin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from ...spec.facts import Kind, facts
from ...spec.table import isa
from .context_parts import (
    BESIDE,
    MEMORY,
    MOST,
    PAIRS,
    Part,
    feeding,
    loop,
    neighbours,
    operands,
    parts,
    shown,
    using,
)
from .covers import covering
from .draft import Draft

_HELPER: Final = 77
#: Functions: one that gives a number, one that keeps its argument, one that gives the first operand, and its address.
_FUNCTIONS: Final = (
    "give:\nr0 = 0x7766554433221100 ll\nexit\nkeep:\nr0 = r1\nexit\n"
    f"load:\nr0 = *(u64 *)(r5 + {8 * MOST})\nexit\nbase:\nr0 = r2\nexit\n"
)
_MAP: Final = "91 a2 b3 c4 d5 e6 f7 08 " * (BESIDE // 8 + 1)
#: An instruction that is nobody's neighbour.
_NEUTRAL: Final = "r4 = r3"
#: Operands that a compiler knows.
_CONSTANTS: Final = ("-2023406815", "33", "0x8000000000000003 ll", "0x187654321 ll", "-8")
_CALLING: Final = "calling-convention"
_PLACES: Final = {"d": "7", "s": "8"}
#: Where the numbers of operands are as well: in a register, and in their pair.
_SAME: Final = {"d": ("3", 0), "s": ("2", 8)}
Case: TypeAlias = Mapping[str, str]


class Way(NamedTuple):
    """Cases that need the same of the platform, the functions that they call, and what sets arguments of these."""

    name: str
    cases: Mapping[str, Case]
    functions: str = ""
    arguments: str = ""
    helpers: tuple[tuple[str, int], ...] = ()
    maps: tuple[str, ...] = ()


def ways(part: Part) -> Iterator[Way]:
    """Yield the cases of programs with parts like this one."""
    return (way(part) for way in (_plain, _called, _platform))


def together() -> Iterator[Sequence[Part]]:
    """Yield parts that share a program: those of rows in the same groups with operands of the same kinds."""
    found: dict[object, list[Part]] = {}
    for row in isa().instructions:
        for part in parts(row):
            # Code after an unconditional jump is unreachable, which verifiers refuse: a program of its own.
            alone = row.name if facts(row).kind is Kind.JUMP else ""
            key = alone, row.groups - {"base32", "base64"}, part.numbers, part.values, part.addresses, part.written
            found.setdefault(key, []).append(part)
    for some in found.values():
        for first in range(0, len(some), MOST):
            yield some[first : first + MOST]


def _case(part: Part, **texts: str) -> Case:
    """Return a case: the registers of the instruction, and the lines before it, after it, and after that."""
    case = {**_PLACES, "a": "9", "before": _NEUTRAL, "next": _NEUTRAL, "second": _NEUTRAL, **texts}
    return {"o": case[part.written or "d"], **case}


def _beside(part: Part, text: str) -> Case:
    return _case(part, before=text, next=text, second=text)


def _plain(part: Part) -> Way:
    cases = {f"beside {kind}": _beside(part, text) for kind, text in neighbours().items()}
    for hole in part.values:
        register = _PLACES[hole]
        for kind, text in feeding(register, *_SAME[hole]).items():
            cases[f"{hole} from {kind}"] = _case(part, before=text)
        for number, constant in enumerate(_CONSTANTS):
            cases[f"{hole} constant {number}"] = _case(part, before=f"r{register} = {constant}")
        cases[f"{hole} copied"] = _case(part, before=f"r{register} = r3")
    if part.is_seen:
        for kind, text in using(_PLACES[part.written]).items():
            cases[f"used by {kind}"] = _case(part, next=text)
    for hole in part.addresses:
        cases[f"{hole} added to"] = _case(part, before=f"r{_PLACES[hole]} += 0")
        cases[f"{hole} moved"] = _case(part, before=f"r{_PLACES[hole]} = r9")
    cases["second before exit"] = _case(part, next="if r6 != 7777 goto +1", second="exit")
    return Way("neighbours", cases)


def _called(part: Part) -> Way:
    cases = {"beside local call": _beside(part, "call local give")}
    for holes, function in ((part.values, "load"), (part.addresses, "base")):
        for hole in holes:
            fed = {hole: "0", "before": f"call local {function}"}
            cases[f"{hole} from local call"] = _case(part, **fed)
    if part.is_seen:
        cases["used by local call"] = _argument(part, "call local keep")
    return Way("calls", cases, _FUNCTIONS, "r2 = r9\n")


def _platform(part: Part) -> Way:
    """Calls of a helper function, and addresses of maps, beside instructions."""
    call = f"call {_HELPER}"
    cases = {
        "before helper call": _case(part, next=call),
        "second before helper call": _case(part, second=call),
        "after helper call": _case(part, before=call),
        "beside address": _beside(part, "r2 = map_by_fd(0)"),
    }
    for hole in part.values:
        fed = {hole: "0", "before": call}
        cases[f"{hole} from helper call"] = _case(part, **fed)
    for hole in part.addresses:
        register = _PLACES[hole]
        cases[f"{hole} from address"] = _case(part, before=f"r{register} = map_val(map_by_fd(0)) + 0", a=register)
    if part.is_seen:
        cases["used by helper call"] = _argument(part, call)
    return Way("platform", cases, helpers=(("static", _HELPER),), maps=(_MAP,))


def _argument(part: Part, call: str) -> Case:
    """What is written is the first argument of a call, whose result is seen instead."""
    texts = {part.written: "1", "next": call, "second": "r7 = r0", "o": "7"}
    return _case(part, **texts)


def body(some: Sequence[Part], way: Way, label: str = "part") -> str:
    """Return what is done with each pair of operands, with holes for those of a case; ``label`` begins its labels."""
    asm = ""
    for place, part in enumerate(some):
        act = f"{part.before}{{before}}\n{part.act}{{next}}\n{{second}}\n"
        asm += f"{operands(part)}{way.arguments}" + (act + shown(part, 8 * place)).replace("LABEL", f"{label}{place}")
    return asm


def draft(name: str, what: str, some: Sequence[Part], way: Way, asm: str, cases: Mapping[str, Case]) -> Draft:
    """Return the vectors of ``some`` parts that do ``asm`` with each pair of operands."""
    calls = bool(way.functions)
    rows = (part.row for part in some)
    return Draft(
        name,
        f"{len(some)} instructions on {len(PAIRS)} pairs of operands, {what}",
        covering(rows, *(("rfc9669-4.3.2-call-local",) if calls else ()), of_each=2),
        cases,
        loop(asm, len(some)) + way.functions,
        observe=("after",),
        memory=MEMORY,
        maps=way.maps,
        helpers=way.helpers,
        errata=(_CALLING,) if calls else (),
    )
