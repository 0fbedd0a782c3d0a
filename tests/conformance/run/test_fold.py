# SPDX-License-Identifier: Apache-2.0
"""Registers and memory seen through R0: what a correct machine shows, and that a wrong value never hides."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpf_isa.adapters.protocol import HelperSpec, Job, MapSpec, Outcome, OutcomeKind, RuntimeInfo, VariableSpec
from bpf_isa.adapters.reference import ReferenceAdapter
from bpf_isa.conformance.run.fold import (
    MOST_WORDS,
    Folding,
    NotFoldable,
    Probe,
    _free_stack,
    _Shape,
    blocks,
    control,
    fold,
    probes,
)
from bpf_isa.conformance.run.inquiry import inquire
from bpf_isa.conformance.run.verdict import Failure
from bpf_isa.conformance.suite.model import Expectation
from bpf_isa.conformance.suite.suite import load_suite
from bpf_isa.spec.asm.assemble import assemble
from bpf_isa.spec.control import targets
from bpf_isa.spec.encoding import ByteOrder, decode
from bpf_isa.spec.groups import closure, required

ORDERS: Sequence[ByteOrder] = ("little", "big")
WORDS = st.integers(0, 2**64 - 1)


def job(text: str, order: ByteOrder, expect: Expectation, memory: bytes | None = None) -> Job:
    code = assemble(text, order)
    return Job("it", code, order, required(decode(code, order)), expect.observed, memory)


def returned(one: Job) -> int:
    (outcome,) = ReferenceAdapter(one.byte_order).run([one])
    assert outcome.kind is OutcomeKind.RETURNED, outcome
    assert outcome.r0 is not None
    return outcome.r0


def constants(values: Sequence[int], width: int = 64) -> str:
    names = "r" if width == 64 else "w"
    return "\n".join(
        f"{names}{at} = {value} ll" if width == 64 else f"{names}{at} = {value}" for at, value in enumerate(values)
    )


@given(st.lists(WORDS, min_size=10, max_size=10), st.sampled_from(ORDERS))
def test_the_fold_of_all_registers_is_what_is_expected(values: list[int], order: ByteOrder) -> None:
    expect = Expectation({f"r{at}": value for at, value in enumerate(values)})
    folding = fold(job(constants(values) + "\nexit", order, expect), expect, 64)
    assert folding.complete
    assert folding.job.observe == {"r0"}
    assert returned(folding.job) == folding.expected


@pytest.mark.parametrize("bit", range(64))
@pytest.mark.parametrize("apart", [1, 2, 4, 7])
def test_the_same_bit_of_two_registers_does_not_cancel(bit: int, apart: int) -> None:
    values = [0x0123456789ABCDEF * (at + 1) & 2**64 - 1 for at in range(10)]
    expect = Expectation({f"r{at}": value for at, value in enumerate(values)})
    for at in (1, 2):
        wrong = values.copy()
        wrong[at] ^= 1 << bit
        wrong[at + apart] ^= 1 << bit
        folding = fold(job(constants(wrong) + "\nexit", "little", expect), expect, 64)
        assert returned(folding.job) != folding.expected


@given(st.lists(WORDS, min_size=10, max_size=10), st.integers(0, 9), st.integers(1, 2**64 - 1))
def test_one_wrong_register_always_shows(values: list[int], wrong: int, by: int) -> None:
    expect = Expectation({f"r{at}": value for at, value in enumerate(values)})
    values[wrong] ^= by
    folding = fold(job(constants(values) + "\nexit", "little", expect), expect, 64)
    assert returned(folding.job) != folding.expected
    shown = {
        probe.what: returned(probe.job)
        for probe in probes(job(constants(values) + "\nexit", "little", expect), expect, 64)
    }
    assert shown == {f"r{at}": value for at, value in enumerate(values)}


@given(st.lists(st.integers(0, 2**31 - 1), min_size=10, max_size=10), st.integers(0, 9), st.integers(0, 2**31 - 1))
def test_base32_programs_stay_base32(values: list[int], wrong: int, by: int) -> None:
    expect = Expectation({f"r{at}": value for at, value in enumerate(values)})
    values[wrong] ^= by
    folding = fold(job(constants(values, 32) + "\nexit", "little", expect), expect, 32)
    assert required(decode(folding.job.code)) == {"base32"}
    assert not folding.complete, "the upper half of R0 is not in the fold"
    assert (returned(folding.job) == folding.expected) == (by == 0)


@given(st.binary(max_size=600), st.sampled_from(ORDERS), st.sampled_from([32, 64]), st.data())
def test_memory_takes_part(memory: bytes, order: ByteOrder, width: int, data: st.DataObject) -> None:
    expect = Expectation({"r0": 0}, memory=memory)
    one = job("w0 = 0\nexit", order, expect, memory)
    folding = fold(one, expect, width)
    assert returned(folding.job) == folding.expected
    if memory:
        at = data.draw(st.integers(0, len(memory) - 1))
        changed = bytearray(memory)
        changed[at] ^= data.draw(st.integers(1, 255))
        assert returned(folding.job._replace(memory=bytes(changed))) != folding.expected
    for probe in probes(one, expect, width):
        assert returned(probe.job) == probe.expected


@pytest.mark.parametrize(("size", "loops"), [(255, False), (256, False), (257, True), (70_001, True)])
def test_large_memories_are_folded_by_a_loop(size: int, loops: bool) -> None:
    memory = bytes(at * 7 & 0xFF for at in range(size))
    expect = Expectation({"r0": 1 << 40}, memory=memory)
    one = job(f"r0 = {1 << 40} ll\nexit", "little", expect, memory)
    folding = fold(one, expect, 64)
    assert (len(decode(folding.job.code)) < 50) == loops
    assert returned(folding.job) == folding.expected
    for at in (7, size - 10, size - 1):
        changed = bytearray(memory)
        changed[at] ^= 0x80
        assert returned(folding.job._replace(memory=bytes(changed))) != folding.expected


def test_memories_that_offsets_do_not_reach_cannot_be_folded_in_base32() -> None:
    expect = Expectation({"r0": 0}, memory=bytes(32769))
    one = job("w0 = 0\nexit", "little", expect, expect.memory)
    with pytest.raises(NotFoldable, match=r"^the memory is too large to be folded without computing addresses$"):
        fold(one, expect, 32)
    lines = list(_Shape(one, expect, 32).fold_memory(bytes(32768)))
    assert lines[-1].startswith("r2 = *(u32 *)(r1 + 32764)\n")


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("r0 = *(u8 *)(r1 + 0)\nr0 = 3\nexit", "r0 = *(u8 *)(r1 + 0)"),
        ("r2 = 5 ll\nr1 = 5\nr0 = 3\nexit", "r6 = r1"),
        ("r1 = 5\nr6 = 1\nr0 = r7\nr0 = 3\nexit", "r8 = r1"),
        ("r1 = 5\nr6 = 1\nr7 = 1\nr8 = 1\nr9 = 1\nr0 = 3\nexit", "*(u64 *)(r10 - 512) = r1"),
    ],
)
def test_the_address_of_a_memory_is_kept_in_the_first_place_that_is_free(text: str, first: str) -> None:
    memory = bytes(at * 7 & 0xFF for at in range(1030))
    expect = Expectation({"r0": 3}, memory=memory)
    one = job(text, "little", expect, memory)
    every: list[Folding | Probe] = [fold(one, expect, 64), *(probe for _, probe in blocks(one, expect, 64))]
    for shown in every:
        assert decode(shown.job.code)[0] == decode(assemble(first))[0]
        assert returned(shown.job) == shown.expected
    assert [probe.what for _, probe in blocks(one, expect, 64)] == ["words 64 and following", "words 128 and following"]


def test_a_register_that_is_observed_is_not_where_the_address_is_kept() -> None:
    expect = Expectation({"r0": 0, "r1": 7, "r6": 1}, memory=bytes(8))
    folding = fold(job("r0 = 0\nexit", "little", expect, bytes(8)), expect, 64)
    assert decode(folding.job.code)[0] == decode(assemble("r7 = r1"))[0]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("r0 = 0\nexit", -512),
        ("r0 = 5 ll\n*(u64 *)(r10 - 512) = r0\nexit", -504),
        ("r0 += 10\nr0 = 1\n*(u64 *)(r10 - 512) = r0\nexit", -504),
        ("*(u8 *)(r10 - 505) = 1\nexit", -504),
        ("*(u8 *)(r10 - 504) = 1\nexit", -512),
        ("r1 = *(u64 *)(r10 - 508)\nexit", -496),
        ("r1 = *(u16 *)(r10 - 505)\nr0 = 2\n*(u32 *)(r10 - 496) = 0\nexit", -488),
        ("r0 = cmpxchg_64(r10 - 512, r0, r1)\nexit", -504),
        ("".join(f"*(u64 *)(r10 - {at}) = 0\n" for at in range(16, 513, 8)) + "exit", -8),
        ("".join(f"*(u64 *)(r10 - {at}) = 0\n" for at in range(8, 513, 8)) + "exit", None),
        ("r2 = r10\nexit", None),
        ("*(u64 *)(r1 + 0) = r10\nexit", None),
        ("*(u64 *)(r10 - 8) = r10\nexit", None),
    ],
)
def test_stack_is_free_where_a_program_does_not_reach_it(text: str, place: int | None) -> None:
    assert _free_stack(decode(assemble(text))) == place


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize("memory", [None, bytes(range(11))])
def test_the_control_folds_constants(memory: bytes | None, width: int, order: ByteOrder) -> None:
    """It is about the values that a vector expects, whatever its program does."""
    expect = Expectation({"r0": 2**64 - 5, "r3": 2**63 + 2**31 + 1, "r9": 7}, memory=memory)
    one = job("w0 = 0\nexit", order, expect, bytes(11))
    one = one._replace(
        maps=(MapSpec(b""),), variables=(VariableSpec(1, b""),), helpers=(HelperSpec("btf", 1, "weigh"),)
    )
    folding = control(one, expect, width)
    assert returned(folding.job) == folding.expected == fold(one, expect, width).expected
    assert (folding.job.memory, folding.job.maps, folding.job.variables, folding.job.helpers) == (memory, (), (), ())
    assert required(decode(folding.job.code, order)) == ({"base32"} if width == 32 else {"base64"})


@pytest.mark.parametrize(("width", "size", "wrong"), [(64, 33_001, 32_900), (64, 1024, 600), (32, 515, 300)])
@pytest.mark.parametrize("order", ORDERS)
def test_a_wrong_byte_far_up_in_the_memory_is_found(order: ByteOrder, width: int, size: int, wrong: int) -> None:
    memory = bytes(at * 7 & 0xFF for at in range(size))
    expect = Expectation({"r0": 0}, memory=memory)
    one = job("w0 = 0\nexit", order, expect, memory)
    changed = bytearray(memory)
    changed[wrong] ^= 0x10
    found = [
        first
        for first, probe in blocks(one, expect, width)
        if returned(probe.job._replace(memory=bytes(changed))) != probe.expected
    ]
    assert found == [wrong * 8 // width // MOST_WORDS * MOST_WORDS]
    shown = [
        (probe.what, probe.at, probe.size)
        for probe in probes(one, expect, width, found[0])
        if returned(probe.job._replace(memory=bytes(changed))) != probe.expected
    ]
    assert shown == [("memory", wrong * 8 // width * width // 8, width // 8)]


class _Elsewhere(ReferenceAdapter):
    """Shows R0 only, and stores what goes to byte 900 of its input to byte 901."""

    def info(self) -> RuntimeInfo:
        return replace(super().info(), observes=frozenset({"r0"}))

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        yield from super().run([one._replace(code=one.code.replace(_STORE_900, _STORE_901)) for one in jobs])


_STORE_900, _STORE_901 = (assemble(f"*(u8 *)(r1 + {at}) = 7") for at in (900, 901))


def test_a_wrong_byte_far_up_in_the_memory_is_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "far.yaml"
    path.write_text(
        "source: {name: tests, method: hand}\nvectors:\n  - id: far/up\n    covers: [rfc9669-5.1-st-mem-b]\n"
        '    asm: |\n      *(u8 *)(r1 + 900) = 7\n      r0 = 0\n      exit\n    memory: "00*1000"\n'
        '    expect: {memory: "00*900 07 00*99"}\n'
    )
    (vector,) = load_suite([path]).vectors
    with _Elsewhere() as runtime:
        asked = inquire(vector, runtime.info())
        jobs = next(asked)
        result = None
        while result is None:
            try:
                jobs = asked.send(list(runtime.run(jobs)))
            except StopIteration as end:
                result = end.value
    assert result.judgement.failure is Failure.WRONG_RESULT
    assert [difference.name for difference in result.judgement.differences] == ["memory[896:904]"]


LOCAL_CALL = """
r6 = 1
if r2 == 0 goto early
call local function
r6 += r0
exit
early: r6 = 99
exit
function: r6 = 21
r0 = 42
exit
"""


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("memory", "r6"), [(None, 99), (bytes(8), 43)])
def test_only_the_ends_of_the_main_program_fold(order: ByteOrder, memory: bytes | None, r6: int) -> None:
    expect = Expectation({"r6": r6})
    folding = fold(job(LOCAL_CALL, order, expect, memory), expect, 64)
    assert returned(folding.job) == folding.expected


@pytest.mark.parametrize(("memory", "r6"), [(None, 99), (bytes(8), 43)])
@pytest.mark.parametrize("turned", [False, True])
def test_no_jump_leads_from_one_function_into_another(memory: bytes | None, r6: int, turned: bool) -> None:
    """Not even where calls lie on both sides of the code that folds."""
    text = LOCAL_CALL.replace("r0 = 42", "call local other").replace("r0 = 42\n", "") + "other: r0 = 42\nexit"
    expect = Expectation({"r6": r6} if turned else {"r0": r6, "r6": r6})
    if not turned:
        text = text.replace("r6 += r0", "r6 += r0\nr0 = r6").replace("early: r6 = 99", "early: r6 = 99\nr0 = r6")
    folding = fold(job(text, "little", expect, memory), expect, 64)
    assert returned(folding.job) == folding.expected
    program = decode(folding.job.code)
    found = [(slot, one.kind, one.slot) for slot, item in enumerate(program) if item for one in targets(slot, item)]
    functions = sorted({0, *(to for _, kind, to in found if kind == "call")})
    assert len(functions) == 3

    def function(slot: int) -> int:
        return max(start for start in functions if start <= slot)

    jumps = [(slot, to) for slot, kind, to in found if kind == "jump"]
    assert jumps and all(function(slot) == function(to) for slot, to in jumps)


@pytest.mark.parametrize(
    ("text", "register"),
    [
        ("r6 = r1\nr1 = 5\n*(u8 *)(r6 + 1) = 7\nr0 = 0\nexit", "r7"),
        ("r1 = 5\nr0 = 0\ncall local f\nexit\nf: r9 = 3\nexit", "r6"),
        # Whatever a function does: R1 is not its caller's afterwards.
        ("r0 = 0\ncall local f\nexit\nf: exit", "r6"),
    ],
)
def test_the_address_of_the_memory_is_kept_where_nothing_changes_it(text: str, register: str) -> None:
    memory = bytes.fromhex("000700") if "u8" in text else bytes(3)
    expect = Expectation({"r0": 0}, memory=memory)
    one = job(text, "little", expect, bytes(3))
    folding = fold(one, expect, 64)
    first = decode(folding.job.code)[0]
    assert first is not None
    assert (first.instruction.name, f"r{first.dst}", first.src) == ("MOV64_X", register, 1)
    assert returned(folding.job) == folding.expected


def test_the_address_of_the_memory_is_kept_on_the_stack_where_no_register_is_free() -> None:
    text = "*(u64 *)(r10 - 512) = r1\nr6 = 1\nr7 = 1\nr8 = 1\nr9 = 1\nr1 = 1\nr0 = 0\nexit"
    expect = Expectation({"r0": 0}, memory=bytes(range(9)))
    one = job(text, "little", expect, bytes(range(9)))
    folding = fold(one, expect, 64)
    assert returned(folding.job) == folding.expected
    assert returned(folding.job._replace(memory=bytes(9))) != folding.expected
    assert [returned(probe.job) for probe in probes(one, expect, 64)] == [0, 0x0706050403020100, 8]


@pytest.mark.parametrize(
    ("text", "expect", "why"),
    [
        ("call local +0\nexit", Expectation({"r0": 0}), "both the main program and a function"),
        ("goto +5\nexit", Expectation({"r0": 0}), "control leaves the program at slot 6"),
        (
            "r1 = 0\nr0 = r6\nr0 = r7\nr0 = r8\nr0 = r9\nr2 = r10\nexit",
            Expectation({}, memory=b""),
            "^no register and no part of the stack is free to keep the address of the memory in$",
        ),
    ],
)
def test_what_cannot_be_folded_is_left_alone(text: str, expect: Expectation, why: str) -> None:
    with pytest.raises(NotFoldable, match=why):
        fold(job(text, "little", expect, b""), expect, 64)


def test_programs_that_say_too_little_are_left_alone() -> None:
    expect = Expectation({"r0": 0})
    one = job("r0 = 0\nexit", "little", expect)
    with pytest.raises(NotFoldable, match=r"^the program does not decode: .*slot"):
        fold(one._replace(code=one.code[:-1]), expect, 64)
    with pytest.raises(NotFoldable, match=r"^not all that is observed is expected$"):
        fold(one._replace(observe=frozenset({"r0", "r3"})), expect, 64)


def test_folding_widens_no_groups() -> None:
    """Every vector of the sample keeps to the groups that it needs by itself."""
    for vector in load_suite([Path(__file__).parents[1] / "data" / "sample.yaml"]).vectors:
        expect = vector.little.expect
        if expect.returns:
            width = 64 if "base64" in closure(vector.groups) else 32
            try:
                folding = fold(vector.job("little"), expect, width)
            except NotFoldable:
                assert expect.memory is not None and width == 32
                continue
            assert closure(required(decode(folding.job.code))) <= closure(vector.groups)
