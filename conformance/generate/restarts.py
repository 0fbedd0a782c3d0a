# SPDX-License-Identifier: Apache-2.0
"""Jumps back to the first instruction of a program, and of a function.

Runtimes put code before it, which sets up the frame and the registers. It must not run again: registers and stack hold
what the program put there. A program sees by R1, or R2, that it is back: R1 is no address then, or R2 no length. The
results are folded into R0, so that all runtimes show them without a change of the program.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle

from ...reference_vm.faults import Returned
from ...reference_vm.interpreter import execute
from ...spec.asm.assemble import assemble, assemble_program
from ...spec.facts import Kind, facts
from ...spec.table import Instruction, isa
from . import jumps
from .draft import Draft, line, slug
from .registers import VALUES

#: The length of the memory, which R2 holds at the start, and what it holds later.
_LENGTH, _LATER = 64, 7
_MEMORY = "81 92 a3 b4 c5 d6 e7 f8 01 02 83 04 05 06 07 88" + f" 00*{_LENGTH - 16}"
#: Places on the stack that are written before the jump back; in functions, those that small frames have as well.
_STACK, _SHALLOW = (8, 16, 256, 504, 512), (8, 16, 64, 120, 128)
#: How often control comes back: up to limits at which counters overflow, or code is compiled again.
_TURNS = ("1", "2", "17", "34", "1000")
_UPPER = 0x5A5A5A5A00000000
_COVERS = ("rfc9669-4.3-backward", "rfc9669-4.3-relative-to-next")

#: First instructions of programs that come back with 0 in R1, by groups.
_FIRSTS: Mapping[str, Sequence[str]] = {
    "move-or-jump": ("r5 = 77", "w5 = -7", "r5 = r1", "r5 = 0xfedcba9876543210 ll", "goto +0", "gotol +0"),
    "computation": (
        *(f"r2 {text}" for text in ("+= 77", "|= 256", "<<= 3", "s>>= 1", "= -r2", "= r2", "= (s8)r2", "= bswap64 r2")),
        *(f"w2 {text}" for text in ("-= 3", "^= -1", ">>= 1", "+= w2", "= w2")),
    ),
    "division": ("r2 *= 3", "r2 /= 3", "w2 s%= 5", "w2 *= w2"),
}
#: First instructions of programs that come back with the address in R1, and with a number in R2 that is no length.
_FIRSTS_BY_R2: Mapping[str, Sequence[str]] = {
    "memory-access": (
        *(f"r5 = *({kind} *)(r1 + 0)" for kind in ("u8", "u16", "u32", "u64", "s8", "s16", "s32")),
        *(f"*({kind} *)(r1 + 40) = -5" for kind in ("u8", "u32", "u64")),
        *(f"*({kind} *)(r1 + 40) = r2" for kind in ("u16", "u64")),
        "r1 += 8",
    ),
    "atomic-operation": ("lock *(u64 *)(r1 + 40) += r2", "lock *(u32 *)(r1 + 40) ^= w2"),
}
_FIRSTS_BASE32 = ("w5 = -7", "r5 = *(u8 *)(r1 + 0)", "*(u32 *)(r1 + 40) = -5", "w2 += 77", "goto +0", "gotol +0")
#: Functions that get R0 and return another number.
_CALLEES: Mapping[str, str] = {
    "plain": "work:\nr0 = r1\nr0 ^= 85\nexit\n",
    "that-changes-registers": (
        "work:\nr6 = 1\nr7 = 2\nr8 = 3\nr9 = 4\n*(u64 *)(r10 - 8) = r1\n*(u64 *)(r10 - 128) = r6\n"
        "r0 = *(u64 *)(r10 - 8)\nr0 += 85\nexit\n"
    ),
    "that-calls": "inner:\nr0 = r1\nr0 ^= 85\nr6 = 7\nexit\nwork:\nr6 = r1\ncall local inner\nr0 += r6\nexit\n",
    "that-begins-a-loop": "work:\nr1 ^= r2\nr2 += -1\nif r2 != 0 goto work\nr0 = r1\nexit\n",
}
_BACK = "if r1 == 0 goto later\n"
#: What is done after a call, which leaves nothing in these registers.
_AFTER_CALL = "r2 = 0\nr3 = 0\nr4 = r10\nr5 = 0\n"
_Cases = Mapping[str, Mapping[str, str]]


def drafts() -> Iterator[Draft]:
    """Yield the vectors of programs, of functions, and of programs for base32 only."""
    every = _jumps()
    some = {name: every[name] for name in ("ja", "jsgt32-x", "ja32", "jeq64-k")}
    few = {name: every[name] for name in ("ja", "jsgt32-x")}
    yield _draft("every-jump", _main("r5 = 77\n"), _times(every, ["3"]))
    yield _draft("often", _main("r5 = 0xfedcba9876543210 ll\n"), _times(few, _TURNS))
    yield _draft("all-jumps", _main("r5 = 77\n", back=_chain(every)), {"once-each": {"turns": str(len(every))}})
    for name, asm in (
        ("jump-elsewhere", _main("goto away\n", stack=()) + "away:\ngoto entry\n"),
        ("move-of-r10", _main("r5 = r10\n", later="r5 -= r10\n", stack=())),
        ("condition-that-holds", _main("", stack=())),
        ("condition-that-fails", _main("if r1 != 0 goto init\n", test="goto later\n", stack=())),
        ("call", _main("call local give\n", test=f"r1 = r0\n{_BACK}", later=_AFTER_CALL) + "give:\nr0 = r1\nexit\n"),
    ):
        yield _draft(f"to-a-{name}", asm, _times(some, ["17"]))
    for name, texts in _FIRSTS.items():
        yield _draft(f"to-a-{name}", _main("{first}\n"), _with(texts, _times(some, ["17"])))
    for name, texts in _FIRSTS_BY_R2.items():
        asm = _main("{first}\n", state=2)
        yield _draft(f"to-a-{name}", asm, _with(texts, _times(some, ["17"])), errata=("program-entry",))
    for name, functions in _CALLEES.items():
        asm = _main("r5 = 77\n", before="r1 = r0\nr2 = 5\ncall local work\n", stack=_SHALLOW) + functions
        yield _draft(f"calls/{name}", asm, _times(few, ["17"]), errata=("calling-convention",))
    firsts = [text for texts in (*_FIRSTS.values(), _FIRSTS_BY_R2["memory-access"]) for text in texts[:4:3]]
    for depth, body, cases in (
        (2, _main("r5 = 77\n", back=_chain(every), stack=_SHALLOW), {"all-jumps": {"turns": str(len(every))}}),
        (2, _main("{first}\n", state=2, stack=_SHALLOW), _with(firsts, _times(some, ["17"]))),
        (8, _main("{first}\n", state=2, stack=_SHALLOW), _with(firsts[-2:], _times(some, ["34"]))),
    ):
        name = f"function/{'deep/' if depth > 2 else ''}{'all' if len(cases) == 1 else 'first-instructions'}"
        yield _draft(name, _function(body, depth), cases, errata=("calling-convention",))
    yield from _base32()


def _jumps() -> _Cases:
    """Return all jumps back to the label first, which they always lead to, and the numbers in R3 and R5 before."""
    found = {}
    for row in isa().instructions:
        what = facts(row)
        if what.kind is Kind.JUMP:
            found[slug(row)] = {"jump": line(row, offset="first", imm="first"), "a": "1", "b": "1"}
    for row in jumps.known_conditions():
        a, b = jumps.HOLDS[str(facts(row).operation)][0]
        jump = line(row, dst="3", src="5", imm=str(b), offset="first")
        found[slug(row)] = {"jump": jump, "a": _operand(row, a), "b": _operand(row, b)}
    return found


def _operand(row: Instruction, number: int) -> str:
    """Return a number for a register: all of it, or its lower half with other bits above."""
    if facts(row).width == 64:
        return f"{number & (1 << 64) - 1:#x}"
    return f"{_UPPER | number & 0xFFFFFFFF:#x}"


def _times(cases: _Cases, turns: Sequence[str]) -> _Cases:
    return {
        (f"{name}-{times}" if len(turns) > 1 else name): {**values, "turns": times}
        for name, values in cases.items()
        for times in turns
    }


def _with(firsts: Sequence[str], cases: _Cases) -> _Cases:
    """Return cases with each of ``firsts`` and one of ``cases``."""
    found = {}
    for first, (name, values) in zip(firsts, cycle(cases.items()), strict=False):
        (item, *_) = assemble_program(first)
        assert item is not None
        found[f"{slug(item.instruction)}-{name}"] = {**values, "first": first, "back": str(_after(first))}
    return found


def _after(first: str) -> int:
    """Return what is in the lower half of R2 after the first instruction when control is back."""
    result = execute(assemble(f"r2 = {_LATER}\n{first}\nr0 = r2\nexit\n"), memory=bytes(_LENGTH))
    assert isinstance(result, Returned)
    return result.r0 & 0xFFFFFFFF


def _main(
    first: str,
    *,
    state: int = 1,
    test: str | None = None,
    later: str = "",
    back: str = "",
    before: str = "",
    stack: Sequence[int] = _STACK,
) -> str:
    """Return a program that begins with ``first`` and jumps back there as often as {turns} says.

    It knows by the register ``state`` that it is back: ``test`` leads to the label later then. ``before`` is what it
    does before it goes back, and ``back`` how: by {jump}, if that is empty.
    """
    if test is None:
        test = _BACK if state == 1 else "if w2 == {back} goto later\n"
    kept = (2, 6, 7) if state == 1 else (6, 7)
    asm = f"first:\n{first}entry:\n{test}init:\nr9 = r1\nr0 = {VALUES[0]:#x} ll\n"
    asm += "".join(f"r{n} = {VALUES[n]:#x} ll\n" for n in kept)
    if stack:
        asm += "".join(f"*(u64 *)(r10 - {at}) = r6\nr6 += r7\n" for at in stack)
    if not back:
        asm += "r3 = {a} ll\n*(u64 *)(r9 + 16) = r3\nr3 = {b} ll\n*(u64 *)(r9 + 24) = r3\n"
    asm += f"r8 = {{turns}}\nback:\n{before}r4 = r10\n"
    asm += "r1 = 0\nr2 = r7\n" if state == 1 else f"r1 = r9\nr2 = {_LATER}\n"
    asm += back or "r3 = *(u64 *)(r9 + 16)\nr5 = *(u64 *)(r9 + 24)\n{jump}\n"
    asm += f"bad:\nr0 = 99\nexit\nlater:\n{later}"
    # The register that showed that control is back is free now.
    asm += "".join(_mixed(n, state) for n in (3, 5, *kept))
    if state == 2:
        asm += (
            f"r1 -= r9\n{_mixed(1, state)}r5 = *(u64 *)(r9 + 40)\n{_mixed(5, state)}r5 += 3\n*(u64 *)(r9 + 40) = r5\n"
        )
    asm += "if r4 != r10 goto bad\n"
    if stack:
        asm += "".join(f"r5 = *(u64 *)(r4 - {at})\n{_mixed(5, state)}" for at in stack)
        asm += f"r5 = *(u64 *)(r10 - {stack[-1]})\nr5 += r0\n*(u64 *)(r10 - {stack[-1]}) = r5\n"
    return f"{asm}r6 ^= r0\nr7 += r6\nr8 += -1\nif r8 != 0 goto back\nexit\n"


def _mixed(register: int, scratch: int) -> str:
    """Return assembly that makes another number of R0, to which the register contributes."""
    return f"r{scratch} = r0\nr{scratch} >>= 51\nr0 <<= 13\nr0 |= r{scratch}\nr0 += r{register}\n"


def _chain(cases: _Cases) -> str:
    """Return the way back by another of the jumps each time; the operands are not known to a compiler."""
    asm = "r5 = *(u64 *)(r9 + 56)\n"
    asm += "".join(f"if r8 == {place} goto by{place}\n" for place in range(1, len(cases) + 1)) + "goto bad\n"
    for place, values in enumerate(cases.values(), 1):
        asm += f"by{place}:\nr3 = {values['a']} ll\nr3 += r5\nr5 = {values['b']} ll\n{values['jump']}\n"
        asm += "" if values["jump"].startswith("goto") else "goto bad\n"
    return asm


def _function(body: str, depth: int) -> str:
    """Return a program that calls the function ``body``, by way of others, ``depth`` frames deep."""
    asm = f"r2 = {_LENGTH}\n"
    for level in range(1, depth):
        kept = {n: VALUES[n] ^ level for n in range(6, 10)}
        asm += "".join(f"r{n} = {value:#x} ll\n" for n, value in kept.items())
        asm += "*(u64 *)(r10 - 8) = r9\n*(u64 *)(r10 - 128) = r8\n"
        asm += "call local first\n" if level == depth - 1 else f"call local level{level + 1}\n"
        asm += "".join(_mixed(n, 1) for n in range(6, 10))
        asm += "".join(f"r5 = *(u64 *)(r10 - {at})\n{_mixed(5, 1)}" for at in (8, 128)) + "exit\n"
        asm += "" if level == depth - 1 else f"level{level + 1}:\n"
    return asm + body


def _draft(name: str, asm: str, cases: _Cases, errata: tuple[str, ...] = ()) -> Draft:
    holes = {
        case: {hole: value for hole, value in values.items() if f"{{{hole}}}" in asm} for case, values in cases.items()
    }
    errata += ("stack-and-call-depth",) if "r10 -" in asm else ()
    what = "registers and stack are the same after a jump to the first instruction of a program or function"
    return Draft(f"restart/{name}", what, _COVERS, holes, asm, memory=_MEMORY, errata=errata)


def _base32() -> Iterator[Draft]:
    """The same with instructions of base32 only; R1 stays the address of the memory."""
    kept = (3, 4, 5, 6, 7, 9)
    asm = "first:\n{first}\nif w2 == {back} goto later\n" + f"w0 = {VALUES[0] & 0x7FFFFFFF}\n"
    asm += "".join(f"w{n} = {VALUES[n] & 0x7FFFFFFF}\n" for n in kept)
    asm += "*(u32 *)(r1 + 16) = {a}\n*(u32 *)(r1 + 20) = {b}\nw8 = {turns}\nback:\n"
    asm += f"w2 = {_LATER}\nr3 = *(u32 *)(r1 + 16)\nr5 = *(u32 *)(r1 + 20)\n{{jump}}\nw0 = 99\nexit\nlater:\n"
    asm += "".join(f"w2 = w0\nw2 >>= 19\nw0 <<= 13\nw0 |= w2\nw0 += w{n}\n" for n in kept)
    asm += "w6 ^= w0\nw9 += w6\nw8 += -1\nif w8 != 0 goto back\nexit\n"
    cases = {}
    for row in (row for row in isa().instructions if "base32" in row.groups):
        if facts(row).kind is Kind.JUMP:
            jump, a, b = line(row, offset="first", imm="first"), 1, 1
        elif row in jumps.known_conditions():
            a, b = jumps.HOLDS[str(facts(row).operation)][0]
            jump = line(row, dst="3", src="5", imm=str(b), offset="first")
        else:
            continue
        cases[slug(row)] = {"jump": jump, "a": str(a), "b": str(b)}
    few = {name: cases[name] for name in ("ja32", "jslt32-x")}
    errata = ("program-entry",)
    yield _draft(
        "base32/every-jump",
        asm.replace("{first}", "w5 = -7").replace("{back}", str(_LATER)),
        _times(cases, ["3"]),
        errata,
    )
    yield _draft("base32/first-instructions", asm, _with(_FIRSTS_BASE32, _times(few, ["17"])), errata)
