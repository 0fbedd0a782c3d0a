# SPDX-License-Identifier: Apache-2.0
"""How vectors become kernel calls; no kernel is needed for that."""

from collections.abc import Callable

import pytest

from bpf_isa.adapters.linux import wrapping
from bpf_isa.adapters.linux.calls import (
    NO_MAP,
    Failed,
    NotRun,
    Origin,
    Ran,
    Refused,
    Report,
)
from bpf_isa.adapters.linux.outcome import outcome
from bpf_isa.adapters.linux.packed import Asked, asked, pack
from bpf_isa.adapters.linux.prepare import CannotPrepare, prepare
from bpf_isa.adapters.protocol import UNCLASSIFIED, Job, MapSpec, OutcomeKind
from bpf_isa.spec.asm.disassemble import disassemble
from bpf_isa.spec.encoding import SLOT_BYTES, ByteOrder

MakeJob = Callable[..., Job]
ORDERS: tuple[ByteOrder, ...] = ("little", "big")
PROGRAM = "r1 = map_val(map_by_fd(1)) + 0\ncall local f\nif r0 == 0 goto +1\nexit\nr0 = 2\nexit\nf: r0 = 1\nexit"


def lines(code: bytes, order: ByteOrder = "little") -> list[str]:
    return disassemble(code, order).splitlines()


@pytest.mark.parametrize("order", ORDERS)
def test_only_the_ends_of_the_main_program_change(job: MakeJob, order: ByteOrder) -> None:
    given = job(PROGRAM, byte_order=order, maps=(MapSpec(b"a"), MapSpec(b"b")))
    calls = prepare(given, order)
    assert len(calls.loads) == 2
    for load in calls.loads:
        own = b"".join(
            load.code[part.load_slot * SLOT_BYTES : (part.load_slot + part.slots) * SLOT_BYTES] for part in load.origins
        )
        before, after = lines(given.code, order), lines(own, order)
        changed = {line for line, now in zip(before, after, strict=True) if line != now}
        assert changed == {"call local +4", "exit"}
        assert after[-2:] == ["r0 = 1", "exit"]  # the function is as it was
        assert [part.vector_slot for part in load.origins] == [0, 7]


def test_both_orders_prepare_the_same_program(job: MakeJob) -> None:
    programs = []
    for order in ORDERS:
        calls = prepare(job(PROGRAM, byte_order=order, maps=(MapSpec(b"a"), MapSpec(b"b")), memory=bytes(9)), order)
        programs.append([lines(load.code, order) for load in calls.loads])
    assert programs[0] == programs[1]


def test_relocations_name_the_maps(job: MakeJob) -> None:
    given = job(
        "r1 = map_val(map_by_fd(1)) + 2\nr2 = map_by_fd(7)\nr3 = map_by_idx(7)\nr4 = map_by_idx(1)\nr0 = 0\nexit",
        byte_order="little",
        memory=b"memory",
        maps=(MapSpec(b"a"), MapSpec(b"bcd")),
    )
    calls = prepare(given, "little")
    assert calls.maps == (bytes(wrapping.SCRATCH_SIZE), b"memory", b"a", b"bcd")
    assert calls.indexed == (2, 3, NO_MAP)
    assert calls.reads == (0, 1)
    (load,) = calls.loads
    (origin,) = load.origins
    named = {slot - origin.load_slot: index for slot, index in load.relocations if origin.load_slot <= slot}
    assert named[0] == 3
    assert named[2] == NO_MAP
    own = lines(load.code[origin.load_slot * SLOT_BYTES :])
    assert own[2:4] == ["r3 = map_by_idx(2)", "r4 = map_by_idx(1)"]  # index 2 is that of no map


@pytest.mark.parametrize(
    ("access", "room"),
    [
        ("r0 = *(u8 *)(r6 + 15)", 0),
        ("r0 = *(u8 *)(r6 - 32768)", 0),
        ("r0 = *(u8 *)(r6 + 16)", 16),
        ("*(u64 *)(r6 + 129) = 7", 136),
        ("lock *(u64 *)(r6 + 32767) += r0", 32768),
        ("if r6 > r0 goto +0", 0),
    ],
)
def test_room_for_bases_before_the_memory(job: MakeJob, access: str, room: int) -> None:
    """Accesses at offsets beyond the memory need a base before it, which must lie in the map all the same."""
    memory = bytes(range(16))
    given = job(f"r6 = r1\nr0 = 0\n{access}\nexit", memory=memory, byte_order="little")
    calls = prepare(given, "little")
    assert calls.maps[wrapping.MEMORY] == bytes(room) + memory
    assert f"r1 = map_val(map_by_fd({wrapping.MEMORY})) + {room}" in lines(calls.loads[0].code)


def test_what_the_rfc_rules_out_stands_alone_as_a_function(job: MakeJob) -> None:
    for program in ("r0 = 0\ngoto +5\nexit", "r0 = 0\ncall local -3\nexit", "r0 = 0", bytes(8)):
        given = job(program, byte_order="little")
        (load,) = prepare(given, "little").loads
        (origin,) = load.origins
        assert load.code[origin.load_slot * SLOT_BYTES :] == given.code
        assert lines(load.code)[2].startswith("call local +")


def test_programs_that_should_be_rejected_stand_alone_as_well(job: MakeJob) -> None:
    given = job("r0 = 0\nexit", byte_order="little", wants_rejection=True)
    (load,) = prepare(given, "little").loads
    assert load.code.endswith(given.code)


@pytest.mark.parametrize(
    ("program", "doors"),
    [
        ("r0 = 0\nexit", 0),
        ("r0 = 0\ngoto +0\nexit", 0),
        ("r0 = 0\ngoto +1\nr0 = 1\nexit", 1),  # unreachable
        ("r0 = 0\nexit\nr0 = 1\nr0 = 2\nexit", 1),  # one way in is enough
        ("r0 = 0\nexit\nr0 = 1\nexit\nr0 = 2\nexit", 2),
        ("r0 = 0\nif r0 == 0 goto +1\nr0 = 1\nexit", 2),  # both arms of a condition
        ("r0 = 0\nif r0 == 0 goto +2\nr0 = 1\nexit\nr0 = 2\nexit", 2),
        ("r0 = 0\nagain: r0 += 1\nif r0 != 9 goto again\nexit", 0),  # none into the loop, nor to the only way out
        ("r0 = 0\nagain: r0 += 1\nif r0 == 50 goto +1\nif r0 != 9 goto again\nexit", 0),  # two jumps to it
        ("r0 = 0\nagain: r0 += 1\nif r0 == 50 goto +2\nif r0 != 9 goto again\nr0 = 1\nexit", 2),  # two ways out
        ("r0 = 0\nif r0 == 5 goto +2\nagain: r0 += 1\nif r0 != 9 goto again\nexit", 1),  # also from outside of it
        ("r0 = 0\nexit\nagain: goto again", 0),
        ("r0 = 0\ncall local f\nexit\nf: if r0 == 0 goto +0\nexit", 0),  # functions can only be entered by calls
    ],
)
def test_doors(job: MakeJob, program: str, doors: int) -> None:
    given = job(program, byte_order="little")
    calls = prepare(given, "little")
    counts = [sum(line.startswith("if r0 == ") for line in lines(load.code)) for load in calls.loads]
    own = sum(line.startswith("if r0 == ") for line in lines(given.code))
    entered = [count - own - 1 for load, count in zip(calls.loads, counts, strict=True) if load.optional]
    assert entered == ([doors] if doors else [])


def test_unreachable_code_is_tried_with_doors_first(job: MakeJob) -> None:
    calls = prepare(job("r0 = 0\nexit\nr0 = 1\nexit", byte_order="little"), "little")
    assert [(load.optional, load.fallback) for load in calls.loads] == [(True, False), (False, True)]


def test_the_other_byte_order_cannot_be_prepared(job: MakeJob) -> None:
    with pytest.raises(CannotPrepare, match=r"^linux\.byte-order: "):
        prepare(job("exit", byte_order="big"), "little")


class TestOutcome:
    """Reading reports; these no kernel at hand makes."""

    @pytest.fixture
    def given(self, job: MakeJob) -> Job:
        return job("r0 = 0\nif r0 == 0 goto +1\nr0 = 1\nexit", byte_order="little", memory=b"ab", observe="r0 memory")

    @pytest.fixture
    def calls(self, given: Job) -> Asked:
        return asked(pack(prepare(given, "little"), "little"), "little")

    @staticmethod
    def ran(r0: int, memory: bytes = b"ab", completed: int = 1, jited: bool = True) -> Ran:
        scratch = r0.to_bytes(8, "little").ljust(wrapping.COMPLETED_AT, b"\0") + completed.to_bytes(8, "little")
        return Ran((scratch.ljust(wrapping.SCRATCH_SIZE, b"\0"), memory), 0.5, jited)

    def test_agreement(self, given: Job, calls: Asked) -> None:
        got = outcome(given, calls, Report((self.ran(7), self.ran(7))), "jit")
        assert (got.kind, got.r0, got.registers, got.memory, got.seconds) == (
            OutcomeKind.RETURNED, 7, {"r0": 7}, b"ab", 0.5,
        )  # fmt: skip

    def test_memory_after_room(self, given: Job, calls: Asked) -> None:
        assert outcome(given, calls, Report((self.ran(7, bytes(8) + b"xy"), None)), "jit").memory == b"xy"

    @pytest.mark.parametrize("other", [(8, b"ab"), (7, b"xb")])
    def test_disagreement_is_a_fault(self, given: Job, calls: Asked, other: tuple[int, bytes]) -> None:
        got = outcome(given, calls, Report((self.ran(7), self.ran(*other))), "jit")
        assert got.kind is OutcomeKind.FAULTED
        assert str(got.reason).startswith("linux.inconsistent: the program returns r0 = 0x7, but ")

    def test_doors_that_are_refused_mean_nothing(self, given: Job, calls: Asked) -> None:
        report = Report((self.ran(7), Refused(13, "R6 invalid mem access 'scalar'\n")))
        assert outcome(given, calls, report, "jit").r0 == 7

    def test_doors_make_up_for_what_is_refused_without(self, given: Job, calls: Asked) -> None:
        report = Report((Refused(22, "unreachable insn 4\n"), self.ran(7)))
        assert outcome(given, calls, report, "jit").r0 == 7

    def test_a_refusal(self, given: Job, calls: Asked) -> None:
        slot = calls.origins(0)[0].load_slot + 3
        report = Report((Refused(22, f"unreachable insn {slot}\n"), Refused(22, "")))
        got = outcome(given, calls, report, "jit")
        assert (got.kind, str(got.reason)) == (OutcomeKind.UNSUPPORTED, "policy.unreachable: unreachable insn 3")
        wanted = given._replace(wants_rejection=True)
        assert outcome(wanted, calls, report, "jit").kind is OutcomeKind.REJECTED

    def test_a_refusal_without_a_word(self, given: Job, calls: Asked) -> None:
        got = outcome(given, calls, Report((Refused(524, ""), Refused(524, ""))), "jit")
        assert got.kind is OutcomeKind.UNSUPPORTED
        assert str(got.reason).startswith("policy.jit: the JIT of this architecture ")

    @pytest.mark.parametrize(
        "result", [Refused(22, ""), Refused(22, "a new kind of complaint\n"), NotRun(22), Failed(22, 0)]
    )
    def test_what_is_not_in_the_table_is_unclassified(
        self, given: Job, calls: Asked, result: Refused | NotRun | Failed
    ) -> None:
        got = outcome(given, calls, Report((result, result)), "jit")
        assert str(got.reason).startswith(f"{UNCLASSIFIED}: ")

    def test_what_the_jit_did_not_compile_says_nothing_about_it(self, given: Job, calls: Asked) -> None:
        report = Report((self.ran(7), self.ran(7, jited=False)))
        got = outcome(given, calls, report, "jit")
        assert (got.kind, got.reason.code) == (OutcomeKind.UNSUPPORTED, "linux.interpreted")
        assert outcome(given, calls, report, "interpreter").r0 == 7

    def test_a_run_that_never_got_to_the_end(self, given: Job, calls: Asked) -> None:
        report = Report((self.ran(7, completed=0), self.ran(7, completed=0)))
        got = outcome(given, calls, report, "jit")
        assert (got.kind, str(got.reason).partition(":")[0]) == (OutcomeKind.FAULTED, "linux.incomplete")


def test_origins_cover_the_vector_once(job: MakeJob) -> None:
    given = job(PROGRAM, byte_order="little", maps=(MapSpec(b"a"), MapSpec(b"b")))
    for load in prepare(given, "little").loads:
        slots = [slot for part in load.origins for slot in range(part.vector_slot, part.vector_slot + part.slots)]
        assert slots == list(range(len(given.code) // SLOT_BYTES))
        assert all(isinstance(part, Origin) for part in load.origins)
