# SPDX-License-Identifier: Apache-2.0
"""Other code in place of the EXITs of the main program, instruction by instruction."""

import pytest

from bpf_isa.conformance.run.ends import Ends, NoPlace
from bpf_isa.spec.asm.assemble import assemble
from bpf_isa.spec.encoding import Program, decode


def program(text: str) -> Program:
    return decode(assemble(text))


CODE = "r0 = 9\nexit\n"


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        pytest.param("r0 = 1\nexit", f"r0 = 1\n{CODE}", id="the last instruction"),
        pytest.param("r1 = 5 ll\nexit", f"r1 = 5 ll\n{CODE}", id="after an instruction of two slots"),
        pytest.param(
            "if r1 == 0 goto +1\nexit\nr0 = 1\nexit",
            f"if r1 == 0 goto +1\ngoto +2\nr0 = 1\ngoto +0\n{CODE}",
            id="several",
        ),
        pytest.param(
            "if r1 == 0 goto +2\nr0 = 1\ngoto -3\nexit", f"if r1 == 0 goto +2\nr0 = 1\ngoto -3\n{CODE}", id="a loop"
        ),
        pytest.param("goto +1\nexit\nexit", f"goto +1\nexit\n{CODE}", id="one that is never reached"),
        pytest.param(
            "call local +1\nexit\nr0 = 2\nexit",
            f"call local +2\n{CODE}r0 = 2\nexit",
            id="a function behind the main program",
        ),
        pytest.param(
            "r1 = 5 ll\nif r1 == 0 goto +1\nexit\ncall local +1\nexit\nr0 = 2\nexit",
            f"r1 = 5 ll\nif r1 == 0 goto +1\ngoto +2\ncall local +3\ngoto +0\n{CODE}r0 = 2\nexit",
            id="several before a function",
        ),
        pytest.param(
            "call local +2\nr1 = 0\nexit\ncall local +1\nexit\nr0 = 2\nexit",
            f"call local +3\nr1 = 0\n{CODE}call local +1\nexit\nr0 = 2\nexit",
            id="two functions",
        ),
        pytest.param(
            "goto +2\nr0 = 2\nexit\ncall local -3\nexit",
            f"goto +2\nr0 = 2\nexit\ncall local -3\n{CODE}",
            id="a function inside the main program",
        ),
        pytest.param(
            "call local +2\nexit\nexit\ngoto -2",
            f"call local +2\ngoto +2\nexit\ngoto -2\n{CODE}",
            id="a function that begins before its first instruction",
        ),
    ],
)
def test_code_takes_the_place_of_the_ends(text: str, replaced: str) -> None:
    assert Ends(program(text)).replaced_by(program(CODE)) == program(replaced)


@pytest.mark.parametrize(("between", "jump"), [(32766, "goto +32767"), (32767, "gotol +32768")])
def test_long_ways_take_the_long_jump(between: int, jump: str) -> None:
    text = [*program("if r1 == 0 goto +1\nexit"), *program("r0 = 1") * between, *program("exit")]
    replaced = Ends(text).replaced_by(program(CODE))
    assert [replaced[1]] == program(jump)
    assert len(replaced) == len(text) + 2


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("r0 = 1", "control leaves the program at slot 1"),
        ("goto -2\nexit", "control leaves the program at slot -1"),
        ("goto +1\nr1 = 5 ll\nexit", "control leaves the program at slot 2"),
        ("call local +0\nexit", "an EXIT ends both the main program and a function"),
    ],
)
def test_programs_without_ends_of_their_own(text: str, why: str) -> None:
    with pytest.raises(NoPlace, match=f"^{why}$"):
        Ends(program(text))


@pytest.mark.parametrize(("distance", "fits"), [(32765, True), (32766, False)])
def test_a_distance_that_does_not_fit_any_more(distance: int, fits: bool) -> None:
    """Code that is never reached may refer to anything."""
    ends = Ends(program(f"call local +2\nexit\ngoto +{distance}\nr0 = 2\nexit"))
    if fits:
        replaced = ends.replaced_by(program(CODE))
        assert [replaced[2]] == program("goto +32767")
    else:
        with pytest.raises(NoPlace, match=r"^the offset of JA at slot 2 cannot be 32768$"):
            ends.replaced_by(program(CODE))
