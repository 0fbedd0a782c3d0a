# SPDX-License-Identifier: Apache-2.0
"""What the running kernel makes of programs, through the adapter."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpf_isa.adapters.linux.adapter import LinuxAdapter
from bpf_isa.adapters.protocol import HelperSpec, Job, MapSpec, Outcome, OutcomeKind, Unavailable, VariableSpec
from bpf_isa.reference_vm.faults import Returned
from bpf_isa.reference_vm.interpreter import execute
from bpf_isa.spec import tree
from bpf_isa.spec.encoding import encode, make
from bpf_isa.spec.table import Instruction, Operand, isa

Run = Callable[..., Outcome]
MEMORY = bytes(range(16))


def test_info_names_the_kernel(kernel: LinuxAdapter) -> None:
    info = kernel.info()
    assert info.kernel_release == os.uname().release
    assert info.architecture == os.uname().machine
    assert info.byte_order == sys.byteorder
    assert info.engine in {"interpreter", "jit", "unknown"}


@pytest.mark.parametrize(
    ("program", "r0"),
    [
        pytest.param("r0 = -1\nexit", 2**64 - 1, id="all 64 bits of r0"),
        pytest.param("r0 = r2\nexit", 16, id="length in r2"),
        pytest.param("r0 = *(u8 *)(r1 + 15)\nexit", 15, id="last byte of memory"),
        pytest.param(
            "r0 = *(u8 *)(r1 + 3)\nr0 &= 3\nr1 += r0\nr1 += r0\nr0 = *(u8 *)(r1 + 0)\nexit", 6, id="variable offset"
        ),
        pytest.param("r0 = *(u8 *)(r1 + 1)\nif r0 == 1 goto +1\nexit\nr0 = 7\nexit", 7, id="jump over an exit"),
        pytest.param("r0 = 1\nif r0 == 1 goto +2\nr0 = 2\nexit\nr0 = 3\nexit", 3, id="jump on a constant"),
        pytest.param("r0 = 1\ngoto +1\nr0 = 2\nexit", 1, id="unreachable instruction"),
        pytest.param("r0 = 1\nexit\nr0 = 2\nexit", 1, id="unreachable end"),
        pytest.param("goto +2\nr0 = 5\nexit\ngoto -3", 5, id="backwards"),
        pytest.param("r0 = 0\nr0 += 1\nif r0 < 100 goto -2\nexit", 100, id="loop"),
        pytest.param("r0 = 9\n*(u64 *)(r10 - 512) = r0\nr0 = *(u64 *)(r10 - 512)\nexit", 9, id="whole stack"),
        pytest.param(
            "r6 = 1\ncall local f\nr0 += r6\nexit\nf: r6 = 40\nr0 = r6\nexit",
            41,
            id="local function has an exit of its own",
        ),
        pytest.param(
            "r0 = 0\nif r0 == 0 goto +1\nexit\ncall local f\nr0 += 1\nexit\ncall local f\nexit\nf: r0 = 5\nexit",
            6,
            id="local function with unreachable call",
        ),
        pytest.param("r1 = code_addr(f)\nr0 = 3\nexit\nf: r0 = 4\nexit", 3, id="address of code"),
    ],
)
def test_returns(run: Run, program: str, r0: int) -> None:
    outcome = run(program, memory=MEMORY)
    assert (outcome.kind, outcome.r0, str(outcome.reason)) == (OutcomeKind.RETURNED, r0, "")


def test_without_memory_r1_and_r2_are_zero(run: Run) -> None:
    for memory in (None, b""):
        outcome = run("r0 = r1\nr0 |= r2\nexit", memory=memory, observe="r0 r1 r2 memory")
        assert outcome.registers == {"r0": 0, "r1": 0, "r2": 0}
        assert outcome.memory == memory


def test_functions_whose_address_is_taken_keep_it(run: Run) -> None:
    program = (
        "r6 = code_addr(f)\nr7 = code_addr(f)\nr8 = code_addr(g)\nr0 = 1\nif r6 == r8 goto +1\n"
        "if r6 == r7 goto +1\nr0 = 2\nexit\nf: r0 = 3\nexit\ng: r0 = 4\nexit"
    )
    assert run(program).r0 == 1


def test_shows_all_registers(run: Run) -> None:
    values = {f"r{number}": 0x1111_1111_1111_1111 * number for number in range(10)}
    program = "\n".join(f"{name} = {value} ll" for name, value in values.items())
    outcome = run(f"{program}\nexit", observe=" ".join(values))
    assert outcome.registers == values


def test_shows_registers_and_leaves_alone_those_that_have_no_value(run: Run) -> None:
    outcome = run("r0 = 1\nr7 = 2\nexit", observe="r0 r7")
    assert outcome.registers == {"r0": 1, "r7": 2}
    outcome = run("r0 = 1\nr7 = 2\nexit", observe="r0 r8")
    assert (outcome.kind, str(outcome.reason)) == (
        OutcomeKind.UNSUPPORTED,
        "policy.uninitialised-register: R8 !read_ok",
    )


def test_shows_memory_and_starts_each_run_with_fresh_memory(run: Run) -> None:
    for _ in range(2):
        outcome = run("r0 = *(u16 *)(r1 + 3)\n*(u16 *)(r1 + 3) = -1\nexit", memory=MEMORY, observe="r0 memory")
        assert outcome.r0 == int.from_bytes(MEMORY[3:5], sys.byteorder)
        assert outcome.memory == MEMORY[:3] + b"\xff\xff" + MEMORY[5:]


@pytest.mark.parametrize("length", [1, 7, 8, 4096, 65536])
def test_memory_has_exact_bounds(run: Run, length: int) -> None:
    memory = bytes(length - 1) + b"\xfe"
    program = "r1 += {at}\nr0 = *(u8 *)(r1 + 0)\nexit"
    assert run(program.format(at=length - 1), memory=memory).r0 == 0xFE
    for at in (length, -1):
        outcome = run(program.format(at=at), memory=memory)
        assert outcome.kind is OutcomeKind.UNSUPPORTED
        assert str(outcome.reason).startswith("policy.memory-bounds: ")


def test_frames_are_eight_deep_with_512_bytes_each(run: Run) -> None:
    functions = "".join(
        f"f{depth}: r6 = r1\n*(u64 *)(r10 - 512) = r6\nr1 += 1\ncall local f{depth + 1}\n"
        "r2 = *(u64 *)(r10 - 512)\nr0 += r2\nexit\n"
        for depth in range(7)
    )
    outcome = run(f"r1 = 1\ngoto f0\n{functions}f7: r0 = 0\nexit")
    assert outcome.r0 == sum(range(1, 8)), outcome


def test_recursion_to_the_first_slot_is_judged_as_it_stands(run: Run) -> None:
    program = "r0 = 1\nif r1 == 0 goto +1\ncall local -3\nexit"
    assert str(run(program, memory=MEMORY).reason).startswith("policy.frames: ")
    assert str(run(program, memory=MEMORY, observe="r0 r6").reason).startswith("linux.registers: ")


def test_maps_by_descriptor_and_by_index(run: Run) -> None:
    maps = (MapSpec(b"abc"), MapSpec(b"defgh"), MapSpec(b"ijk"))
    for kind in ("fd", "idx"):
        for index, spec in enumerate(maps):
            outcome = run(f"r1 = map_val(map_by_{kind}({index})) + 1\nr0 = *(u8 *)(r1 + 1)\nexit", maps=maps)
            assert outcome.r0 == spec.value[2], outcome
        for index in (3, 1000, -1):
            outcome = run(f"r1 = map_val(map_by_{kind}({index})) + 1\nr0 = 0\nexit", maps=maps)
            assert str(outcome.reason) == "policy.unknown-map: fd -1 is not pointing to valid bpf_map"


def test_helpers_that_linux_has_are_called_by_its_own_numbers(run: Run) -> None:
    program = (
        "*(u32 *)(r10 - 4) = 0\nr1 = map_by_fd(0)\nr2 = r10\nr2 += -4\ncall {number}\n"
        "if r0 == 0 goto +2\nr0 = *(u8 *)(r0 + 1)\nexit\nr0 = -1\nexit"
    )
    maps = (MapSpec(b"abc"),)
    assert run(program.format(number=1), maps=maps).r0 == ord("b")
    helper = HelperSpec("static", 777, "map_lookup_elem")
    assert run(program.format(number=777), maps=maps, helpers=(helper,)).r0 == ord("b")


@pytest.mark.parametrize(
    ("program", "fields", "reason"),
    [
        ("r0 = 0\ncall 5\nexit", {}, "linux.helper"),
        ("r0 = 0\ncall 5\nexit", {"helpers": (HelperSpec("static", 5, "weigh"),)}, "linux.helper"),
        ("r0 = 0\ncall btf 5\nexit", {"helpers": (HelperSpec("btf", 5, "weigh"),)}, "linux.btf"),
        ("r1 = var_addr(5)\nr0 = 0\nexit", {"variables": (VariableSpec(5, b"abc"),)}, "linux.variable"),
        ("r0 = *(u8 *)skb[0]\nexit", {"memory": bytes(13)}, "linux.packet"),
        ("r0 = *(u8 *)skb[0]\nexit", {}, "linux.packet"),
        ("r0 = 0\nexit", {"byte_order": "big" if sys.byteorder == "little" else "little"}, "linux.byte-order"),
        (bytes(7), {}, "linux.whole-slots"),
    ],
)
def test_what_no_kernel_call_can_do_is_unsupported(
    run: Run, program: str | bytes, fields: dict[str, object], reason: str
) -> None:
    outcome = run(program, **fields)
    assert outcome.kind is OutcomeKind.UNSUPPORTED
    assert str(outcome.reason).startswith(f"{reason}: ")


def test_packet_accesses_read_the_memory_from_its_first_byte(run: Run) -> None:
    packet = bytes(range(1, 21))
    outcome = run("r0 = *(u16 *)skb[0]\nexit", memory=packet, observe="r0 memory")
    assert (outcome.r0, outcome.memory) == (0x0102, packet)
    assert run("r7 = 4\nr0 = *(u32 *)skb[r7 + 12]\nexit", memory=packet).r0 == 0x11121314
    assert run("r7 = *(u8 *)(r1 + 1)\nr0 = *(u8 *)skb[r7 + 0]\nexit", memory=packet).r0 == 3
    assert run("r6 = r1\nr0 = *(u8 *)skb[19]\nexit", memory=packet).r0 == 20
    assert run("r0 = *(u8 *)skb[20]\nr0 = 1\nexit", memory=packet).kind is OutcomeKind.FAULTED


def test_programs_of_both_kinds_take_turns(run: Run) -> None:
    for _ in range(3):
        assert run("r0 = *(u8 *)skb[13]\nexit", memory=MEMORY).r0 == 13
        assert run("r0 = *(u8 *)(r1 + 13)\nexit", memory=MEMORY).r0 == 13


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("8c000000 00000000 95000000 00000000", "encoding.unknown-opcode"),
        ("b7000000 00000000 07000100 01000000 95000000 00000000", "encoding.reserved-field"),
        ("b7000000 00000000", "policy.function-boundary"),
        ("b7000000 00000000 05000000 00000000", "policy.function-boundary"),
        ("b7000000 00000000 05000100 00000000 95000000 00000000", "policy.function-boundary"),
        ("b7000000 00000000 0500fdff 00000000", "policy.function-boundary"),
        ("b7000000 00000000 85100000 09000000 95000000 00000000", "policy.function-boundary"),
        ("18000000 00000000", "policy.function-boundary"),
        (
            "b7000000 00000000 15000100 00000000 18000000 00000000 00000000 00000000 95000000 00000000",
            "encoding.wide-instruction",
        ),
        ("30010000 00000000 95000000 00000000", "encoding.reserved-field"),
        ("", "policy.function-boundary"),
    ],
)
@pytest.mark.skipif(sys.byteorder != "little", reason="not run: the code is in little-endian byte order")
def test_what_is_no_program_is_rejected(run: Run, code: str, reason: str) -> None:
    outcome = run(bytes.fromhex(code), memory=MEMORY, wants_rejection=True)
    assert outcome.kind is OutcomeKind.REJECTED
    assert str(outcome.reason).startswith(f"{reason}: ")


def test_a_program_that_should_be_rejected_and_is_not_shows_its_result(run: Run) -> None:
    outcome = run("r0 = 5\nexit", wants_rejection=True)
    assert (outcome.kind, outcome.r0) == (OutcomeKind.RETURNED, 5)


def test_slots_in_reasons_are_those_of_the_vector(run: Run) -> None:
    program = "call local f\nexit\nf: r0 = 0\nexit\nr0 = 1\nexit"
    assert str(run(program, memory=MEMORY).reason) == "policy.unreachable: unreachable insn 4"
    assert str(run(program, wants_rejection=True).reason) == "policy.unreachable: unreachable insn 4"


@pytest.mark.parametrize(
    ("program", "r0"),
    [
        pytest.param("r0 = 0\n" + "r0 += 1\n" * 65534 + "exit", 65534, id="straight"),
        pytest.param("r0 = 7\ngotol +65533\n" + "r0 += 1\n" * 65533 + "exit", 7, id="far jump"),
        pytest.param("r0 = 7\nexit\n" + "r0 += 1\n" * 65533 + "exit", 7, id="exit far from the end"),
        pytest.param("r0 = 7\nif r0 == 7 goto +32767\n" + "r0 += 1\n" * 32767 + "exit", 7, id="farthest condition"),
        pytest.param(
            "r0 = 7\nif r0 == 7 goto +1\n" + "gotol +32770\n" + "exit\n" + "r0 += 1\n" * 32769 + "exit",
            7,
            id="arms far from each other",
        ),
    ],
)
def test_long_programs(run: Run, program: str, r0: int) -> None:
    outcome = run(program)
    assert (outcome.kind, outcome.r0) == (OutcomeKind.RETURNED, r0), outcome


def test_every_run_closes_what_it_opens(kernel: LinuxAdapter, job: Callable[..., Job]) -> None:
    jobs = [
        job("r0 = *(u8 *)(r1 + 0)\nif r0 == 1 goto +1\nr0 = 2\nexit", memory=MEMORY),
        job("r0 = r9\nexit", memory=MEMORY),
        job("r0 = *(u8 *)skb[0]\nexit", memory=MEMORY),
        job("r1 = code_addr(+2)\nr0 = 0\nexit", memory=MEMORY),
    ]

    def descriptors() -> int:
        """Count what is open; SQLite closes a file when the last one in this process that uses it does."""
        links = (str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
        return sum("prepared-" not in link for link in links)

    list(kernel.run(jobs))
    before = descriptors()
    list(kernel.run(jobs * 10))
    assert descriptors() == before
    with LinuxAdapter() as other:
        list(other.run(jobs))
        assert descriptors() > before
    assert descriptors() == before


def test_maps_of_many_sizes_are_given_back(job: Callable[..., Job]) -> None:
    with LinuxAdapter() as adapter:
        jobs = [job("r0 = r2\nexit", memory=bytes(size)) for size in range(1, 400)]
        outcomes = list(adapter.run(jobs))
        assert [outcome.r0 for outcome in outcomes] == list(range(1, 400))
        assert len(list(Path("/proc/self/fd").iterdir())) < 200


def test_socket_filters_do_as_well(kernel: LinuxAdapter, job: Callable[..., Job]) -> None:
    del kernel
    with LinuxAdapter("SOCKET_FILTER") as adapter:
        jobs = [job("r0 = *(u64 *)(r1 + 8)\nexit", memory=MEMORY), job("r0 = *(u8 *)skb[3]\nexit", memory=MEMORY)]
        assert [outcome.r0 for outcome in adapter.run(jobs)] == [int.from_bytes(MEMORY[8:], sys.byteorder), 3]


#: Without a bounding set, programs that root starts have no capabilities; capset(2) takes those of this process.
_WITHOUT_CAPABILITIES = """
import ctypes
from bpf_isa.adapters.linux.adapter import LinuxAdapter
from bpf_isa.adapters.protocol import Unavailable
header = (ctypes.c_uint32 * 2)(0x20080522, 0)
libc, PR_CAPBSET_DROP = ctypes.CDLL(None), 24
for capability in range(64):
    libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
assert libc.capset(header, (ctypes.c_uint32 * 6)()) == 0
try:
    LinuxAdapter()
except Unavailable as reason:
    print(reason)
"""


def test_without_privilege_the_reason_says_what_to_do() -> None:
    done = subprocess.run([sys.executable, "-c", _WITHOUT_CAPABILITIES], capture_output=True, text=True, check=True)
    assert done.stdout == "bpf(2) is not permitted: run as root, or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN\n"


def test_unavailable_on_machines_without_a_guest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "vax")
    with pytest.raises(Unavailable, match=r"bpf\(2\) cannot be called: there is no guest for vax"):
        LinuxAdapter()


def _computes(row: Instruction) -> bool:
    """Whether all that the row does is to compute with registers and immediates."""
    nodes = list(tree.walk(*row.means))
    return all(isinstance(node, tree.Assign) for node in row.means) and not any(
        isinstance(node, tree.Load) or (isinstance(node, tree.Call) and node.name in tree.PLATFORM_FUNCTIONS)
        for node in nodes
    )


@given(st.data())
def test_computes_what_the_reference_vm_computes(kernel: LinuxAdapter, data: st.DataObject) -> None:
    rows = [row for row in isa().instructions if _computes(row)]
    random = Random(data.draw(st.integers(0, 2**32)))
    program = [
        make(isa().by_name["LD_IMM64"], dst=number, imm=random.getrandbits(31), next_imm=random.getrandbits(31))
        for number in range(10)
    ]
    for _ in range(20):
        row = random.choice(rows)
        operands = {name: random.randrange(10) for name in ("dst", "src") if isinstance(row.fields[name], Operand)}
        operands |= {
            name: random.randrange(1, 32) for name in ("imm", "next_imm") if isinstance(row.fields.get(name), Operand)
        }
        program.append(make(row, **operands))
    code = encode([*program, make(isa().by_name["EXIT"])], sys.byteorder)
    expected = execute(code, byte_order=sys.byteorder)
    assert isinstance(expected, Returned)
    registers = frozenset(f"r{number}" for number in range(10))
    (outcome,) = kernel.run([Job("random", code, sys.byteorder, frozenset(), registers)])
    assert outcome.registers == {f"r{number}": expected.registers[number] for number in range(10)}
