# SPDX-License-Identifier: Apache-2.0
"""Programs with holes: what a template gives is what the text gives with the values in it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpf_isa.conformance.suite.template import Template, compile_text
from bpf_isa.spec.asm.assemble import AsmError, assemble, assemble_program
from bpf_isa.spec.encoding import ByteOrder, decode

from .programs import byte_orders

HOLED = """
    r0 = {wide} ll              # {no_hole}
    r1 = -{imm}; r1 += {imm}
    r2 = *(u16 *)(r1 + {offset})
    *(u8 *)(r2 - {offset}) = {imm}
    if w1 s> {imm} goto {distance}
    lock *(u64 *)(r10 - {offset}) += r1
    call {imm}
    r3 = map_val(map_by_fd({imm})) - {imm}
out: exit
"""
numbers32 = st.integers(-(1 << 31), (1 << 31) - 1)
offsets = st.integers(-0x7FFF, 0x7FFF)


def written(number: st.SearchStrategy[int]) -> st.SearchStrategy[str | int]:
    return (
        number
        | number.map(str)
        | number.map(hex)
        | number.map(lambda value: f" +{value} " if value >= 0 else str(value))
    )


@given(
    st.fixed_dictionaries(
        {
            "wide": written(st.integers(-(1 << 63), (1 << 64) - 1)),
            "imm": written(numbers32),
            "offset": written(offsets),
            "distance": written(offsets) | st.just("out"),
        }
    ),
    byte_orders,
)
def test_filling_holes_is_like_writing_the_values(values: dict[str, str | int], order: ByteOrder) -> None:
    template = compile_text(HOLED)
    plain = HOLED.replace("{no_hole}", "")
    for name, value in values.items():
        plain = plain.replace(f"{{{name}}}", str(value))
    assert template.assemble(values, order) == assemble(plain, order)
    assert template.program(values) == assemble_program(plain)
    assert template.holes == {"wide", "imm", "offset", "distance"}


#: Holes for registers, operators, labels, whole lines, and in the way of repetitions; a template for each text.
TEXTS = [
    "r0 = 1 ll; r1 = 2\nr{a} {op}= r{b}\nexit",
    "w{a} = {x}\nr{a} = -r{b}\nlock *(u64 *)(r{a} + {x}) += r{b}\nr{b} = atomic_fetch_add((u64 *)(r{a} - {x}), r{b})",
    "start: if r{a} {compare} {y} goto {to}\n{line}\nout: goto start",
    "r{a} = {x} ll\n{line}; exit\nout: r{b} = be{bits} r{b}\ngoto out",
    "goto out\n{line}\nr{a} = *(u{bits} *)(r{b} + {x})\nout: exit",
    "{line}\n.rept {x}\nr{a} += {y}\n.endr\nout: goto {to}",
    ".rept 2; r{a} += {y}; .endr\n.rept 3\nr1 += r{b} # {none}\n.endr; r0 = {x}; out:",
    ".rept {x}\nr1 += 2\nr2 = 1 ll\n.endr\nif r{a} == 0 goto out\n.rept 2\n{line}\n.endr\nout: r{b} += {y}",
    "out: .rept 3\nr1 += 1\n{line}\ngoto {to}\nr{a} += {x}",
    "r0 = cmpxchg_64(r{a} + 0, r{b}, r2)\nr{a} = (s{bits})r{b}\nout: goto {to}",
]
TEMPLATES = {text: compile_text(text) for text in TEXTS}
CHOICES: dict[str, list[str | int]] = {
    "a": [0, 1, 10, 11, "2", "02"],
    "b": [0, 1, 9, -1],
    "x": [0, 1, -1, 8, "0x10", "r3", 40000, "- 3", "1\n"],
    "y": [0, -1, "r4", 1 << 32],
    "op": ["+", "s/", "<<", "", "!"],
    "compare": ["==", "s>", "&", "="],
    "to": ["out", "start", "+1", -1, "nowhere"],
    "bits": [8, 16, 32, 64],
    "line": [
        "exit",
        "",
        "r1 = 5 ll",
        "start: exit",
        "r1 = 1 # {x}",
        "r0 = 1\nexit",
        "goto out",
        ".rept 2",
        ".endr",
        ".byte 1,2,3,4,5,6,7,8",
    ],
}


@given(
    st.sampled_from(TEXTS),
    st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in CHOICES.items()}),
    byte_orders,
)
def test_what_was_assembled_before_makes_no_difference(
    text: str, values: dict[str, str | int], order: ByteOrder
) -> None:
    """The templates live as long as this module, and remember."""
    assert attempt(TEMPLATES[text], values, order) == attempt(fill(text, values), None, order)


def fill(text: str, values: dict[str, str | int]) -> str:
    return re.sub(r"\{(\w+)\}", lambda hole: str(values.get(hole[1], hole[0])), text)


def attempt(what: Template | str, values: dict[str, str | int] | None, order: ByteOrder) -> bytes | None:
    """Return the program, or None if there is an error."""
    try:
        return assemble(what, order) if isinstance(what, str) else what.assemble(values or {}, order)
    except AsmError:
        return None


@pytest.mark.parametrize("text", TEXTS)
def test_the_texts_above_can_be_assembled(text: str) -> None:
    first = {name: values[0] for name, values in CHOICES.items()}
    for line in ("exit", ".endr"):
        code = attempt(TEMPLATES[text], first | {"x": 2, "bits": 16, "to": "+1", "line": line}, "little")
        if code:
            break
    assert code


def test_instructions_are_those_of_the_values() -> None:
    template = compile_text("r1 {op}= 2\nexit")
    for op in ("+", "s/"):
        program = decode(assemble(f"r1 {op}= 2\nexit"))
        assert template.make({"op": op}).instructions == frozenset(item.instruction for item in program if item)
    assert compile_text(".byte 149,0,0,0,0,0,0,0").make({}).instructions is None


@pytest.mark.parametrize(
    ("text", "values", "same_as"),
    [
        ("r{d} {op}= {s}", {"d": 3, "op": "s/", "s": "r4"}, "r3 s/= r4"),
        ("r0 = {x}", {"x": "r7"}, "r0 = r7"),
        ("r0 = {x}", {"x": "-r0"}, "r0 = -r0"),
        ("r0 = be{width} r0", {"width": 32}, "r0 = be32 r0"),
        ("{all}", {"all": "r0 = 1; exit\nexit"}, "r0 = 1; exit; exit"),
        (".byte {a}, {b}", {"a": 1, "b": "0x2"}, ".byte 1, 2"),
        ("x{n}: goto x{n}", {"n": 1}, "x1: goto x1"),
        ("goto {to}; {to}: exit", {"to": "end"}, "goto +0; exit"),
        ("r0 = {x}", {"x": 1, "y": "not used"}, "r0 = 1"),
        ("r0 = 1{x}", {"x": 2}, "r0 = 12"),
    ],
)
def test_holes_for_more_than_numbers(text: str, values: dict[str, str | int], same_as: str) -> None:
    assert compile_text(text).assemble(values) == assemble(same_as)
    assert compile_text(text).assemble(values, "big") == assemble(same_as, "big")


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        ("exit\nr0 = {x}", {}, "line 2, column 6: expected a value for the hole 'x', found `{x}`"),
        ("r{x} = 1", {"y": 1}, "line 1, column 1: expected an instruction, a label or .byte, found `r`"),
        ("r0 = {x}", {"x": 1 << 32}, "column 6: expected a number from -2147483648 to 4294967295, found `4294967296`"),
        ("r0 = *(u8 *)(r1 - {x})", {"x": "-0x8000"}, "column 19: expected a number from -32768 to 32767"),
        ("goto {x}", {"x": 32768}, "column 6: expected a number from -32768 to 32767"),
        ("r0 = {x}", {"x": "eleven"}, "column 6: expected a register r0 to r10, a number"),
        ("r0 = {x}", {"x": "010"}, "leading zeros"),
        ("r0 = {x}", {"x": "1" * 5000}, "a number of at most 64 bits"),
        ("r{x} = 0", {"x": 11}, "expected a register r0 to r10, found `r11`"),
    ],
)
def test_errors_with_holes(text: str, values: dict[str, str | int], message: str) -> None:
    template = compile_text(text)
    with pytest.raises(AsmError, match=re.escape(message)):
        template.assemble(values)


def test_a_wrong_line_without_holes_is_found_at_once() -> None:
    with pytest.raises(AsmError, match="line 2, column 4"):
        compile_text("r0 = {x}\nr0 !! 3")
