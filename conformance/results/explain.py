# SPDX-License-Identifier: Apache-2.0
"""What a failure means, for the author of the runtime: what differs and how, the program, what the RFC demands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ...spec.asm.disassemble import disassemble
from ...spec.encoding import SLOT_BYTES, ByteOrder
from ...spec.plain import plain
from ...spec.requirements import Requirement, document_of, load_errata, load_requirements
from ..run.runner import Result
from ..run.verdict import Difference, Failure, Verdict
from ..suite.expand import EXPECTATIONS
from ..suite.model import Level, Vector
from .origin import first_wrong_byte, stored_by

#: Lines of a program that are shown at its beginning and at its end, if it has more.
_HEAD, _TAIL = 24, 6
#: Lines at the beginning, before a store that leaves something wrong, and behind it.
_OPENING, _BEFORE, _AFTER = 8, 20, 2
_SLOT = re.compile(r"\s*/\*\s*([0-9]+) \*/")
_LOW = (1 << 32) - 1
_ALL = (1 << 64) - 1

#: What each way to fail says about the runtime.
MEANING = {
    Failure.CRASHED: "the runtime died",
    Failure.MISEXECUTED: "the runtime ran a program that it should refuse as if it were another one",
    Failure.WRONG_RESULT: "the runtime computed something else",
    Failure.TIMED_OUT: "the program did not come to an end",
    Failure.REFUSED: "the runtime refused or stopped a program that should return",
    Failure.LENIENT: "the runtime ran a program that it should refuse",
    Failure.UNSTEADY: "what other programs have left behind shows in the result",
}

_LEVELS = {
    Level.INTERPRETATION: "RFC 9669 implies this, see the interpretation",
    Level.ABI: "this is the calling convention, which RFC 9669 leaves to the platform",
    Level.EXTENSION: "this is no part of RFC 9669",
    Level.ROBUSTNESS: "RFC 9669 leaves this undefined; to run another program, to leak or to die is wrong all the same",
}


def hint(difference: Difference) -> str:
    """Return in what the two numbers of a difference differ, if that is telling; else an empty text."""
    want, got = difference.expected, difference.got
    if not (isinstance(want, int) and isinstance(got, int)):
        return ""
    return _relation(want, got) or _bits(want ^ got)


def _relation(want: int, got: int) -> str:
    swapped = {
        int.from_bytes((want & (1 << size) - 1).to_bytes(size // 8, "little"), "big"): size
        for size in (64, 32, 16)
        if want >> size == 0
    }
    # Where two of these are the same number, the later is the likelier reason.
    known = {
        (want + 1) & _ALL: "one too many",
        (want - 1) & _ALL: "one too few",
        ~want & _ALL: "all bits are inverted",
        -want & _ALL: "the negative of it",
        want & _LOW: "the upper 32 bits are lost",
    }
    if want <= _LOW and want >> 31:
        known[want | _ALL ^ _LOW] = "sign-extended from 32 bits, not zero-extended"
    if got in swapped:
        return f"the bytes are in the other order ({swapped[got]} bits)"
    return known.get(got) or ("zero" if got == 0 else "")


def _bits(difference: int) -> str:
    """Return which bits of two numbers differ."""
    if difference & _LOW == 0:
        return "only the upper 32 bits differ"
    if difference.bit_count() <= 3:
        bits = [str(bit) for bit in range(64) if difference >> bit & 1]
        return f"bit{'s' if len(bits) > 1 else ''} {', '.join(bits)} differ{'' if len(bits) > 1 else 's'}"
    for size in (8, 16, 32):
        if difference >> size == 0:
            return f"only the lower {size} bits differ"
    return ""


def program(vector: Vector, byte_order: ByteOrder, differences: Sequence[Difference] = ()) -> str:
    """Return the program of a vector as assembly with slot numbers; the middle of a long one is left out.

    Where ``differences`` tell of bytes of the memory, the store that leaves the first of them is marked, and what
    leads to it is shown.
    """
    lines = disassemble(vector.variant(byte_order).code, byte_order, slots=True).splitlines()
    marked = _mark(lines, vector, byte_order, differences) if len(lines) > _HEAD else None
    if len(lines) <= _HEAD + _TAIL + 1:
        return "\n".join(lines)
    shown = [range(_HEAD), range(len(lines) - _TAIL, len(lines))]
    if marked is not None and marked >= _HEAD:
        shown = [range(_OPENING), range(max(_OPENING, marked - _BEFORE), min(len(lines), marked + _AFTER + 1))]
    return "\n".join(_excerpt(lines, shown))


def listing(vector: Vector, byte_order: ByteOrder) -> list[str]:
    """Return the program of a vector as assembly, a line for each instruction; none if results do not have it."""
    return disassemble(vector.variant(byte_order).code, byte_order).splitlines()


def _mark(lines: list[str], vector: Vector, byte_order: ByteOrder, differences: Sequence[Difference]) -> int | None:
    """Add to the line of the store that leaves the first wrong byte of the memory what it leaves; return its place."""
    at = next((at for item in differences if (at := first_wrong_byte(item)) is not None), None)
    slot = None if at is None else stored_by(vector, byte_order, at)
    for place, text in enumerate(lines):
        number = _SLOT.match(text)
        if slot is not None and number and int(number[1]) == slot:
            lines[place] += f"   # leaves memory[{at}]"
            return place
    return None


def _excerpt(lines: Sequence[str], shown: Sequence[range]) -> Iterator[str]:
    """Yield the lines in ``shown``, and how many there are between and after them."""
    after = 0
    for part in shown:
        if part.start > after:
            yield f"... {part.start - after} more instructions ..."
        yield from (lines[place] for place in part)
        after = part.stop
    if after < len(lines):
        yield f"... {len(lines) - after} more instructions ..."


def inputs(vector: Vector, byte_order: ByteOrder) -> Iterator[str]:
    """Yield what the program is given, a line each."""
    variant = vector.variant(byte_order)
    if variant.memory is not None:
        yield f"memory at r1, {len(variant.memory)} bytes: {_hex(variant.memory)}"
    for number, item in enumerate(variant.maps):
        yield f"map {number}: {_hex(item.value)}"
    for variable in variant.variables:
        yield f"variable {variable.number}: {_hex(variable.value)}"
    for helper in vector.entry.helpers:
        yield f"helper function {helper.number} ({helper.by} id): {helper.does}"


def _hex(data: bytes) -> str:
    return data.hex(" ") if len(data) <= 64 else f"{data[:64].hex(' ')} ..."


def demands(vector: Vector) -> Iterator[str]:
    """Yield what the vector rests on: the requirements it covers, and the errata that interpret them."""
    requirements, errata = load_requirements(), load_errata()
    # Results of another version of this package may name what this one does not have.
    for name in vector.entry.covers:
        item = requirements.get(name)
        yield sentence(item) if item else f"RFC 9669 (no requirement of this version) [{name}]"
    for name in vector.entry.errata:
        if name in errata:
            yield f"interpretation: {' '.join(errata[name].decision.split())} [{name}]"
    if vector.entry.level is not Level.MUST:
        name = f" {vector.entry.extension}" if vector.entry.extension else ""
        yield f"level {vector.entry.level}{name}: {_LEVELS[vector.entry.level]}"


def sentence(requirement: Requirement) -> str:
    """Return a requirement on one line, with its section and id."""
    document, number = document_of(requirement.section)
    return f"{document.document} section {number}: {' '.join(requirement.text.split())} [{requirement.id}]"


def values(vector: Vector) -> str:
    """Return what fills the holes of an entry in this case of it, on one line."""
    if vector.case is None:
        return ""
    given = dict(vector.entry.cases)[vector.case]
    return " ".join(
        f"{name}={value if isinstance(value, str) else '/'.join(value)}"
        for name, value in given.items()
        if name not in EXPECTATIONS
    )


#: The least number of programs refused for their length of which the explanation speaks.
_FEW = 3


def length_limit(results: Sequence[Result]) -> str:
    """Return what tells that a runtime takes no programs beyond a length, if it seems so; else an empty text."""

    def slots(result: Result) -> int:
        return len(result.vector.little.code) // SLOT_BYTES

    ran = [slots(result) for result in results if result.judgement.verdict is Verdict.PASS and not _refused(result)]
    longest = max(ran, default=0)
    longer = [
        slots(result) for result in results if result.judgement.failure is Failure.REFUSED and slots(result) > longest
    ]
    if not ran or len(longer) < _FEW:
        return ""
    return f"no program of more than {longest} slots has run: {len(longer)} of {min(longer)} and more were refused"


def _refused(result: Result) -> bool:
    return not result.vector.little.expect.returns


def differences(result: Result) -> Iterator[tuple[str, str]]:
    """Yield a label and a text for each thing that is not as expected."""
    for item in result.judgement.differences:
        expected, got = item.shown
        if item.what == "outcome":
            yield "expected", expected
            yield "got", got
        else:
            telling = hint(item)
            yield "expected", f"{item.name} = {expected}"
            yield "got", f"{item.name} = {got}" + (f"   ({telling})" if telling else "")


def as_text(result: Result, byte_order: ByteOrder) -> str:
    """Return all about a failure as plain text."""
    vector = result.vector
    failure = result.judgement.failure
    lines = [f"{vector.id}: {MEANING[failure] if failure else result.judgement.reason}"]
    if vector.entry.what:
        lines.append(f"the point: {vector.entry.what}")
    lines += [f"{label}: {text}" for label, text in differences(result)]
    if result.interpreter is not None:
        lines.append(f"on the interpreter of the same runtime: {result.interpreter.value}")
    lines += inputs(vector, byte_order)
    lines += ["", program(vector, byte_order, result.judgement.differences), ""]
    lines += demands(vector)
    return plain("\n".join(lines), lines=True)
