# SPDX-License-Identifier: Apache-2.0
"""How far the safety verifier goes: the work it does for invariants, and the paths that it follows after that."""

from __future__ import annotations

import pytest

from bpf_isa.reference_vm.faults import Returned
from bpf_isa.reference_vm.interpreter import execute
from bpf_isa.reference_vm.verifier import invariants, paths
from bpf_isa.reference_vm.verifier.execution import Execution, Limit
from bpf_isa.reference_vm.verifier.paths import Paths, TooManyPaths
from bpf_isa.reference_vm.verifier.proof import NotProved
from bpf_isa.reference_vm.verifier.surroundings import Surroundings

from .proving import program_of, proved


def test_a_program_can_be_too_complex(monkeypatch: pytest.MonkeyPatch) -> None:
    # Eight calls in each of six functions: there are too many ways to come to the last one.
    monkeypatch.setattr(invariants, "LIMIT", Limit(3000, invariants.LIMIT.work))
    body = "".join(f"f{n}:\n" + f"call local f{n + 1}\n" * 8 + "exit\n" for n in range(6))
    with pytest.raises(NotProved, match="too complex"):
        proved(f"{body}f6:\nr0 = 1\nexit")


def test_a_program_with_many_loops_is_refused_after_so_much_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invariants, "LIMIT", Limit(3000, invariants.LIMIT.work))
    monkeypatch.setattr(paths, "LIMIT", Limit(600, paths.LIMIT.work))
    body = "r3 = 10\nagain{0}:\nr0 += r3\nr3 += -1\nif r3 != 0 goto again{0}\n"

    def loops(count: int) -> str:
        return "".join(map(body.format, range(count))) + "exit"

    assert proved(loops(10)).most_steps == 10 * 31 + 1
    with pytest.raises(NotProved, match="too complex"):
        proved(loops(400))


def test_what_is_kept_on_the_stack_counts_as_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invariants, "LIMIT", Limit(3000, invariants.LIMIT.work))
    monkeypatch.setattr(paths, "LIMIT", Limit(600, paths.LIMIT.work))
    stores = [f"*(u8 *)(r10 - {1 + number}) = {number % 100}" for number in range(500)]
    assert proved("\n".join([*stores[:100], "exit"])).executed == 202
    with pytest.raises(NotProved, match="too complex"):
        proved("\n".join([*stores, "exit"]))


def test_a_program_may_mention_many_numbers() -> None:
    numbers = "".join(f"r5 = {300 + 9 * n}\n" for n in range(500))
    proof = proved(f"{numbers}r3 = *(u8 *)(r1 + 0)\nagain:\nr3 += 1\nif r3 < 100000 goto again\nexit", 1)
    assert proof.most_steps == 500 + 2 * 100_000 + 2
    # If a bound went through all of them one by one, it would take twice as many.
    assert proof.executed < 3000


#: Where the ways meet, r4 is an index or an address; what it is depends on r3.
PATHS = """
    r3 = *(u8 *)(r1 + 0)
    r4 = r1
    if r3 == 0 goto meet
    r3 = 1
    r4 = 7
meet:
    if r3 == 1 goto out
    r0 = *(u8 *)(r4 + 0)
out:
    r0 = 0
    exit
"""


def test_a_program_that_only_some_paths_make_safe_is_accepted() -> None:
    proof = proved(PATHS, 8)
    assert (proof.method, proof.most_steps) == ("paths", 8)
    outcome = execute(program_of(PATHS), memory=bytes(8))
    assert isinstance(outcome, Returned)


def test_programs_of_more_instructions_than_paths_may_have_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "LIMIT", paths.LIMIT._replace(most=8))
    monkeypatch.delattr(Paths, "prove")
    with pytest.raises(NotProved, match="r4: "):
        proved(PATHS, 8)


def test_states_that_differ_in_a_counter_are_not_compared_with_each_other() -> None:
    program = program_of(PATHS.replace("meet:", "meet:\nr5 += 1\nif r5 < 500 goto meet"))
    search = Paths(Execution(program, "little", Surroundings(8), 0, paths.LIMIT))
    assert search.prove().most_steps == 1008
    assert search.seen.compared < 10_000
    with pytest.raises(TooManyPaths):
        Paths(Execution(program, "little", Surroundings(8), 0, paths.LIMIT._replace(most=700))).prove()


def test_there_is_a_limit_to_comparing_states(monkeypatch: pytest.MonkeyPatch) -> None:
    # In each round r5 can be something else than in those before.
    sliding = PATHS.replace("meet:", "r5 = *(u8 *)(r1 + 1)\nmeet:\nr5 += 300\nif r5 < 90000 goto meet")
    assert proved(sliding, 8).method == "paths"
    monkeypatch.setattr(paths, "_COMPARED", 1)
    with pytest.raises(NotProved, match=r"slot 9 \(LDX_MEM_B\): r4: a number that depends on where memory is"):
        proved(sliding, 8)
