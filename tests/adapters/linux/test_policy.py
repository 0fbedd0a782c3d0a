# SPDX-License-Identifier: Apache-2.0
"""The table of what the verifier says, on the real kernel and by itself."""

import sys
from collections.abc import Callable

import pytest

from bpf_isa.adapters.linux.calls import Origin
from bpf_isa.adapters.linux.policy import POLICY_FILE, Message, classify, last_line, messages
from bpf_isa.adapters.protocol import MapSpec, Outcome, OutcomeKind
from bpf_isa.spec.encoding import pack, unpack
from bpf_isa.spec.strict_yaml import load
from bpf_isa.spec.validate import check

PROVOKED = [message for message in messages() if message.unseen is None]


def _example(message: Message) -> str | bytes:
    if message.assembly is not None:
        return message.assembly
    assert message.encoded is not None
    return pack(unpack(message.encoded, "little"), sys.byteorder)


@pytest.mark.parametrize("message", PROVOKED, ids=lambda message: message.id)
def test_the_example_provokes_the_message(message: Message, run: Callable[..., Outcome]) -> None:
    surroundings = {"memory": bytes(16), "maps": (MapSpec(bytes(8)),)}
    outcome = run(_example(message), wants_rejection=True, **surroundings)
    assert outcome.kind is OutcomeKind.REJECTED
    assert outcome.reason.code == message.code


@pytest.mark.parametrize("message", PROVOKED, ids=lambda message: message.id)
def test_policy_makes_a_program_unsupported_and_encoding_rejected(
    message: Message, run: Callable[..., Outcome]
) -> None:
    outcome = run(_example(message), memory=bytes(16), maps=(MapSpec(bytes(8)),))
    if message.id in {"helper", "btf"}:
        assert str(outcome.reason).startswith(f"linux.{message.id}: ")  # the adapter does not even ask the kernel
        return
    if message.id in {"unreachable", "verifier-bug"}:
        assert outcome.kind is OutcomeKind.RETURNED  # the adapter finds a way
        return
    wanted = OutcomeKind.UNSUPPORTED if message.kind == "policy" else OutcomeKind.REJECTED
    assert outcome.kind is wanted
    assert outcome.reason.code == message.code


def test_most_messages_are_provoked() -> None:
    assert len(PROVOKED) > 0.8 * len(messages())


@pytest.mark.parametrize(
    ("line", "error", "id"),
    [
        ("div by zero", 22, "division-by-zero"),
        ("invalid shift -1", 22, "shift-width"),
        ("back-edge from insn 7 to 3", 22, "loop"),
        ("combined stack size of 2 calls is 1024. Too large", 13, "stack-size"),
        ("R1 unbounded memory access, make sure to bounds check any such access", 13, "memory-bounds"),
        ("invalid variable-offset write to stack R2 var_off=(0x0; 0xff) off=-8 size=1", 13, "memory-bounds"),
        ("R1 invalid mem access 'map_ptr'", 13, "memory-bounds"),
        ("misaligned access off (0x0; 0xffffffffffffffff)+0+8 size 4", 13, "misaligned"),
        ("R4 pointer arithmetic on map_ptr prohibited", 13, "pointer-arithmetic"),
        ("R0 leaks addr as return value", 13, "pointer-leak"),
        ("", 524, "jit"),
        ("", 1, "permission"),
        ("", 7, "program-size"),
        ("BPF_LD_[ABS|IND] uses reserved fields", 22, "reserved-field"),
        ("BPF_JMP/JMP32 uses reserved fields", 22, "reserved-field"),
        ("BPF_END uses reserved fields", 22, "reserved-field"),
        ("recursive call from main() to main()", 22, "frames"),
        ("func#1 writes 1 stack arg slots, but calls only require 0", 22, "linux-extension"),
        ("invalid read from stack arg off 8 depth 0", 22, "linux-extension"),
        ("invalid kernel function btf_id -1", 22, "btf"),
        ("kernel is missing BTF, make sure CONFIG_DEBUG_INFO_BTF=y is set", 22, "btf"),
        ("callbacks are not allowed in non-JITed programs", 22, "interpreter"),
        ("JIT is required for calling kernel function", 95, "interpreter"),
    ],
)
def test_classifies(line: str, error: int, id: str) -> None:
    found = classify(line, error)
    assert found is not None
    assert found.id == id


@pytest.mark.parametrize(("line", "error"), [("", 22), ("no one has ever said this", 22), ("div by zero, almost", 22)])
def test_what_is_not_listed_has_no_class(line: str, error: int) -> None:
    assert classify(line, error) is None


def test_no_line_has_two_classes() -> None:
    samples = ["div by zero", "unreachable insn 3", "R1 !read_ok", "frame pointer is read only", "R12 is invalid"]
    for line in samples:
        assert sum(message.match(line, 22) for message in messages()) == 1


def test_the_last_line_is_the_one_before_the_afterwords() -> None:
    log = (
        "0: (b7) r0 = 0\n"
        "infinite loop detected at insn 1\n"
        "cur state: R0=0 R10=fp0\n"
        "old state: R0=0 R10=fp0\n"
        "verification time 17 usec\n"
        "subprog 0 (<unknown>) main insns_self 4 insns_total 4 stack 0\n"
        "stack depth 0+0\n"
        "stack depth max 0\n"
        "processed 3 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n"
    )
    assert last_line(log) == "infinite loop detected at insn 1"
    assert last_line("processed 0 insns (limit 1000000)\n\n") == ""
    assert last_line("") == ""


def test_renumbers_the_slots_of_the_vector_only() -> None:
    message = next(message for message in messages() if message.id == "loop")
    parts = (Origin(load_slot=5, vector_slot=0, slots=10), Origin(load_slot=22, vector_slot=10, slots=3))
    assert message.renumber("back-edge from insn 14 to 6", parts) == "back-edge from insn 9 to 1"
    assert message.renumber("back-edge from insn 23 to 16", parts) == "back-edge from insn 11 to 16"
    assert message.renumber("infinite loop detected at insn 4", parts) == "infinite loop detected at insn 4"


def test_the_table_follows_its_schema() -> None:
    check(load(POLICY_FILE).data, POLICY_FILE.with_name("policy.schema.json"))
    assert len({message.id for message in messages()}) == len(messages())
