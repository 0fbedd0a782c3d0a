# SPDX-License-Identifier: Apache-2.0
"""Every instruction as the head of a loop, as the target of a jump, alone in a block, and far away in long programs.

Code generators know what a register holds until control arrives from elsewhere, and encode what is far away in another
form. In each place an instruction has the operands of :data:`.acts.PAIRS`, and its results are hashed to memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from ...spec.facts import Kind, facts
from ...spec.table import Instruction, isa
from .acts import GIVE, PAIRS, Act, Roles, act, pair_bytes
from .covers import covering
from .draft import Draft, slug
from .registers import END

#: In memory, pairs are behind eight bytes that stores and atomic operations act on; the first one is there once more.
_PAIRS_AT = 8
_RESULTS_AT = _PAIRS_AT + 16 * (len(PAIRS) + 1)
_WIDE = Roles()
#: In base32, which cannot compute with addresses, cases have one pair each.
_NARROW = Roles(pair="1", second=12, base="1", bits=32)
_NARROW_RESULTS_AT = 16
_TURNS = 3
_WIDE_GROUPS = {"base64", "divmul64", "atomic64"}
#: The numbers are big-endian in memory at first.
START = (
    f"r6 = r1\nr9 = r6\nr9 += {_PAIRS_AT}\nr8 = 0\nturn:\nr3 = *(u64 *)(r9 + 0)\nr3 = be64 r3\n"
    f"*(u64 *)(r9 + 0) = r3\nr9 += 8\nr8 += 1\nif r8 != {2 * len(PAIRS) + 2} goto turn\n"
)
FIRST_PAIR = f"r9 = r6\nr9 += {_PAIRS_AT}\nr8 = 0\n"
_NARROW_START = "".join(
    f"r3 = *(u32 *)(r1 + {at})\nr3 = be32 r3\n*(u32 *)(r1 + {at}) = r3\n" for at in (8, _NARROW.second)
)
#: Instructions of a program at most, if it has a filler and not more than 4096 slots.
_MOST = 57


def drafts() -> Iterator[Draft]:
    """Yield the vectors of loops, targets, and long programs."""
    for rows in together():
        yield _wide("heads", rows, _head, "the head of a loop")
        if facts(rows[0]).kind is not Kind.CALL:
            yield _wide("targets", rows, _target, "the target of a jump, and alone in a block", loop=True)
    for rows in together(narrow=True):
        yield _narrow("heads", rows, _narrow_head, "the head of a loop")
        yield _narrow("targets", rows, _narrow_target, "the target of a jump, and alone in a block")
    plain, *rare = [rows for rows in together() if facts(rows[0]).kind is not Kind.CALL]
    for rows in (plain[:_MOST], plain[_MOST:], *rare):
        yield _apart(rows, {"beyond-1024": 1024})
    for rows in (plain, [row for some in rare for row in some]):
        yield _apart(rows, {"beyond-4096": 4096, "beyond-32768": 32768}, ("program-size",))


def together(*, narrow: bool = False) -> list[list[Instruction]]:
    """Return the instructions of plain programs, those that share a program in a list; calls are alone.

    They are in the same groups, apart from base64. If ``narrow``, those that need it are left out.
    """
    found: dict[tuple[bool, frozenset[str]], list[Instruction]] = {}
    for row in isa().instructions:
        is_call = facts(row).kind is Kind.CALL
        if act(row, "", _WIDE) and not (narrow and (is_call or row.groups & _WIDE_GROUPS)):
            found.setdefault((is_call, row.groups - {"base32", "base64"}), []).append(row)
    return list(found.values())


def load(roles: Roles) -> str:
    """Return assembly that sets dst and src to the present pair."""
    first = roles.second - roles.bits // 8
    return (
        f"r{roles.dst} = *(u{roles.bits} *)(r{roles.pair} + {first})\n"
        f"r{roles.src} = *(u{roles.bits} *)(r{roles.pair} + {roles.second})\n"
    )


def mix(roles: Roles, to: str) -> str:
    """Return assembly that adds dst to a hash in register ``to``, whose bytes are reversed."""
    if roles.bits == 32:
        return f"w{to} += w{roles.dst}\nr{to} = be32 r{to}\n"
    return f"r{to} += r{roles.dst}\nr{to} = be64 r{to}\n"


def part_of(row: Instruction, label: str, roles: Roles) -> Act:
    """Return ``row`` as a part; it has to be one of :func:`together`."""
    found = act(row, label, roles)
    assert found is not None
    return found


def _wide(
    name: str, rows: Sequence[Instruction], part: Callable[[Instruction, int], str], what: str, *, loop: bool = False
) -> Draft:
    """Parts, each for all pairs, or all of them for each pair in turn."""
    parts = "".join(part(row, place) for place, row in enumerate(rows))
    if loop:
        parts = f"{FIRST_PAIR}again:\n{parts}{following()}"
    return wide_draft(name, rows, f"{START}{parts}", f"{len(rows)} instructions, each {what}", len(rows))


def following() -> str:
    """Return assembly that begins again, with the next pair, or goes on after the last one."""
    return f"r9 += 16\nr8 += 1\nif w8 != {len(PAIRS)} goto again\n"


def wide_draft(
    name: str,
    rows: Sequence[Instruction],
    asm: str,
    what: str,
    results: int,
    *,
    functions: str = "",
    cases: Mapping[str, Mapping[str, str]] | None = None,
    errata: tuple[str, ...] = (),
) -> Draft:
    """Return a draft of a program that ends after ``asm``, with so many results in memory."""
    has_calls = any(facts(row).kind is Kind.CALL for row in rows)
    pairs = f"{pair_bytes()} {pair_bytes()[: 4 * 8]}"
    return Draft(
        f"{name}/{slug(rows[0])}-to-{slug(rows[-1])}",
        f"{what}, with {len(PAIRS)} pairs of operands: {', '.join(row.name for row in rows)}",
        covering(rows),
        cases or {"all": {}},
        f"{asm}{END}{GIVE if has_calls else ''}{functions}",
        observe=("after",),
        memory=f"00*{_PAIRS_AT} {pairs} c3*{8 * results}",
        errata=errata,
    )


def result(place: int) -> str:
    """Return the operand for a result in memory."""
    return f"*(u64 *)(r6 + {_RESULTS_AT + 8 * place})"


def _head(row: Instruction, place: int) -> str:
    """Control comes from the end of the loop but for the first time."""
    part = part_of(row, str(place), _WIDE)
    again = "" if facts(row).kind is Kind.JUMP else part.before
    return (
        f"{FIRST_PAIR}r7 = {result(place)}\n{load(_WIDE)}{part.before}head{place}:\n{part.text}{part.after}"
        f"{mix(_WIDE, '7')}r9 += 16\n{load(_WIDE)}{again}r8 += 1\nif w8 != {len(PAIRS)} goto head{place}\n"
        f"{result(place)} = r7\n"
    )


def _target(row: Instruction, place: int) -> str:
    """First, the last pair falls through, with another dst; then, the instruction is jumped over with the last pair."""
    last = len(PAIRS) - 1
    first, second = (part_of(row, f"{place}{name}", _WIDE) for name in ("a", "b"))
    return (
        f"r7 = {result(place)}\n{load(_WIDE)}{first.before}if w8 != {last} goto to{place}\nr3 ^= 0x77\n"
        f"to{place}:\n{first.text}{first.after}{mix(_WIDE, '7')}"
        f"{load(_WIDE)}{second.before}if w8 == {last} goto past{place}\n{second.text}past{place}:\n{second.after}"
        f"{mix(_WIDE, '7')}{result(place)} = r7\n"
    )


# Programs of 32-bit instructions


def _narrow(name: str, rows: Sequence[Instruction], part: Callable[[Instruction, int], str], what: str) -> Draft:
    parts = "".join(part(row, place) for place, row in enumerate(rows))
    numbers = pair_bytes(32)
    return Draft(
        f"{name}/base32-{slug(rows[0])}-to-{slug(rows[-1])}",
        f"{len(rows)} instructions, each {what}, in a program of 32-bit instructions",
        covering(rows),
        {f"pair{n}": {"pair": numbers[16 * n : 16 * n + 16]} for n in range(len(PAIRS))},
        f"{_NARROW_START}{parts}w0 = 0\nexit\n",
        observe=("after",),
        memory=f"00*8 {{pair}} c3*{4 * len(rows)}",
    )


def _narrow_head(row: Instruction, place: int) -> str:
    part, at = part_of(row, str(place), _NARROW), f"*(u32 *)(r1 + {_NARROW_RESULTS_AT + 4 * place})"
    again = "" if facts(row).kind is Kind.JUMP else part.before
    return (
        f"r7 = {at}\nw8 = {_TURNS}\n{load(_NARROW)}{part.before}head{place}:\n{part.text}{part.after}"
        f"{mix(_NARROW, '7')}w3 = w4\nw4 = w7\n{again}w8 -= 1\nif w8 != 0 goto head{place}\n{at} = r7\n"
    )


def _narrow_target(row: Instruction, place: int) -> str:
    first, second = (part_of(row, f"{place}{name}", _NARROW) for name in ("a", "b"))
    at = f"*(u32 *)(r1 + {_NARROW_RESULTS_AT + 4 * place})"
    return (
        f"r7 = {at}\n{load(_NARROW)}{first.before}if w4 != 1 goto to{place}\nw3 ^= 0x77\n"
        f"to{place}:\n{first.text}{first.after}{mix(_NARROW, '7')}"
        f"{load(_NARROW)}{second.before}if w4 == 1 goto past{place}\n{second.text}past{place}:\n{second.after}"
        f"{mix(_NARROW, '7')}{at} = r7\n"
    )


# Long programs

#: Operands of instructions that a compiler knows.
_KNOWN = (PAIRS[1], PAIRS[6])


def _apart(rows: Sequence[Instruction], beyond: Mapping[str, int], errata: tuple[str, ...] = ()) -> Draft:
    """Parts whose instruction is on the other side of fillers, in both directions; then, instructions behind them.

    The first instruction behind the fillers is at the slot that a case is about.
    """
    here, there, near, far = "", "", "", ""
    for place, row in enumerate(rows):
        to, fro = (part_of(row, f"{place}{name}", _WIDE) for name in ("to", "fro"))
        here += _leaving(to, place, "far")
        far += _away(to, place, "far")
        there += _leaving(fro, place, "near")
        near += _away(fro, place, "near")
    begin = f"{START}r2 = *(u64 *)(r6 + 0)\nif r2 == 77 goto filler\n"
    begin += f"start:\n{FIRST_PAIR}again:\n{here}goto there\n{near}"
    known = "".join(_known(row, place, pair) for pair in range(len(_KNOWN)) for place, row in enumerate(rows))
    end = f"r9 += 16\nr8 += 1\nif w8 == {len(PAIRS)} goto known\n{{goto}} again\nknown:\n{known}"
    fillers = "filler:\n.rept {fillers}\nr2 += 100\n.endr\n{goto} start\n"
    cases = {
        name: {"fillers": str(slot - _slots(begin) - 1), "goto": "gotol" if slot > 30000 else "goto"}
        for name, slot in beyond.items()
    }
    return wide_draft(
        f"apart{'-long' if errata else ''}",
        rows,
        f"{begin}{fillers}{far}there:\n{there}{end}",
        f"{len(rows)} instructions, far before and behind where control comes from, and behind many others",
        len(rows),
        cases=cases,
        errata=errata,
    )


def _leaving(part: Act, place: int, where: str) -> str:
    """A part whose instruction is :func:`_away`."""
    return (
        f"r7 = {result(place)}\n{load(_WIDE)}{part.before}{{goto}} {where}{place}\nback_{where}{place}:\n{part.after}"
        f"{mix(_WIDE, '7')}{result(place)} = r7\n"
    )


def _away(part: Act, place: int, where: str) -> str:
    back = "" if facts(part.row).kind is Kind.JUMP else f"{{goto}} back_{where}{place}\n"
    return f"{where}{place}:\n{part.text}{back}"


def _known(row: Instruction, place: int, pair: int) -> str:
    part = part_of(row, f"{place}known{pair}", _WIDE)
    dst, src = _KNOWN[pair]
    return (
        f"r7 = {result(place)}\nr3 = {dst:#x} ll\nr4 = {src:#x} ll\n{part.before}{part.text}{part.after}"
        f"{mix(_WIDE, '7')}{result(place)} = r7\n"
    )


def _slots(text: str) -> int:
    return sum(1 + line.endswith(" ll") for line in text.splitlines() if not line.endswith(":"))
