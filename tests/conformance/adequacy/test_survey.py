# SPDX-License-Identifier: Apache-2.0
"""What vectors notice, and what the check makes of it."""

from pathlib import Path

import pytest

from bpf_isa.conformance.adequacy import smt
from bpf_isa.conformance.adequacy.bench import BaselineError, Bench
from bpf_isa.conformance.adequacy.encoding_mutants import encoding_mutants
from bpf_isa.conformance.adequacy.executions import Recording, Replay, executions, notices
from bpf_isa.conformance.adequacy.frame_mutants import frame_mutants
from bpf_isa.conformance.adequacy.kill import Decision, Pool, Status, decide
from bpf_isa.conformance.adequacy.loader_mutants import loader_mutants
from bpf_isa.conformance.adequacy.mutants import mutants_of
from bpf_isa.conformance.adequacy.program_mutants import program_mutants
from bpf_isa.conformance.adequacy.report import suggestions
from bpf_isa.conformance.adequacy.survey import (
    ENCODING,
    FRAMES,
    Finding,
    Scope,
    Survey,
    encoding_findings,
    idle_vectors,
    survey,
)
from bpf_isa.conformance.suite.suite import load_suite
from bpf_isa.spec.table import Fixed, isa

HEAD = "# SPDX-License-Identifier: Apache-2.0\nsource: {name: test, method: hand}\nvectors:\n"
COVERS = "covers: [rfc9669-4.1-add]"
TABLE = isa()


def vector(name: str, asm: str, expect: str, more: str = "") -> str:
    lines = "".join(f"      {line.strip()}\n" for line in asm.strip().splitlines())
    return f"  - id: {name}\n    {COVERS}\n    asm: |\n{lines}    expect: {expect}\n{more}"


def refused(name: str, code: str) -> str:
    head = f"  - id: {name}\n    level: robustness\n    errata: [reserved-opcodes]\n    {COVERS}\n"
    return f'{head}    code: "{code}"\n    expect: {{rejected: true}}\n'


def write(tmp_path: Path, *vectors: str) -> Path:
    file = tmp_path / "vectors.yaml"
    file.write_text(HEAD + "".join(vectors), encoding="utf-8")
    return file


def bench(tmp_path: Path, *vectors: str) -> Bench:
    return Bench(load_suite((write(tmp_path, *vectors),)).vectors)


def decided(found: Bench, name: str) -> Decision:
    """The status of one mutant, given by its name."""
    row = TABLE.by_name[name.split(":", maxsplit=1)[0]]
    (mutant,) = (mutant for mutant in mutants_of(row, TABLE) if mutant.id == name)
    return decide(mutant, Pool(row, found))


REFUSED = [
    ("one-fault", "0720000005000000 b700000001000000 9500000000000000"),
    # Two faults: a decoder that overlooks one of them meets the other.
    ("two-faults", "0720000005000000 b700000001000000 95000000ffffffff"),
]
WEAK = vector("weak", "r0 = 2\nr1 = 2\nr0 += r1\nexit", '{r0: "4"}')
STRONG = vector("strong", "r0 = -1 ll\nr1 = 0x123456789 ll\nr0 += r1\nexit", '{r0: "0x123456788"}')


NARROW = "ADD64_X: operates on 32 bits and zero-extends the result from 32 bits"


def test_a_weak_vector_leaves_mutants_alive_that_a_stronger_one_kills(tmp_path: Path) -> None:
    assert decided(bench(tmp_path, WEAK), NARROW).status is Status.ALIVE
    killed = decided(bench(tmp_path, WEAK, STRONG), NARROW)
    assert (killed.status, killed.killers) == (Status.KILLED, ("strong",))


def test_a_mutant_that_means_the_same_is_equivalent(tmp_path: Path) -> None:
    assert decided(bench(tmp_path, WEAK), "ADD64_X: swaps the operands of +").status is Status.EQUIVALENT


def test_without_the_solver_survivors_are_undecided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smt, "is_available", lambda: False)
    # A difference that trying finds needs no solver.
    assert decided(bench(tmp_path, WEAK), NARROW).status is Status.ALIVE
    decision = decided(bench(tmp_path, WEAK), "ADD64_X: swaps the operands of +")
    assert decision.status is Status.UNDECIDED
    assert decision.reason == "z3-solver is not installed: pip install z3-solver"
    assert not Survey(1, [Finding("", "", "", decision.status)]).is_adequate


def test_alive_mutants_have_operands_and_a_vector_that_kills_them(tmp_path: Path) -> None:
    file = tmp_path / "vectors.yaml"
    file.write_text(HEAD + vector("weak", "r0 = 0\nr0 = -r0\nexit", '{r0: "0"}'), encoding="utf-8")
    before = survey(Scope((file,), ("NEG64",)))
    alive = [one for one in before.findings if one.status is Status.ALIVE and one.family != "encoding"]
    assert len(alive) > 50
    assert all(finding.differs_at for finding in alive)
    text = suggestions(before)
    assert text is not None
    more = tmp_path / "suggested.yaml"
    more.write_text(text, encoding="utf-8")
    after = survey(Scope((file, more), ("NEG64",)))
    still = {one.id for one in after.findings if one.status is Status.ALIVE and one.family != "encoding"}
    # No program can choose what r10 holds, so there is nothing to suggest.
    assert still == {one.id for one in alive if not one.suggestion} == {one.id for one in alive if "r10" in one.id}


def test_a_vector_that_fails_on_the_specification_is_no_measure(tmp_path: Path) -> None:
    wrong = bench(tmp_path, vector("wrong", "r0 = 2\nr1 = 2\nr0 += r1\nexit", '{r0: "5"}'))
    with pytest.raises(BaselineError, match=r"wrong .little-endian. does not pass"):
        wrong.prepare()


def test_kills_that_only_one_vector_has_are_counted_for_it() -> None:
    findings = [
        Finding("a", "X", "", Status.KILLED, ("one",)),
        Finding("b", "X", "", Status.KILLED, ("one", "two")),
        Finding("c", "X", "", Status.KILLED, ("one",)),
    ]
    assert Survey(2, findings).unique == {"one": 2}


def test_idle_vectors_are_found(tmp_path: Path) -> None:
    # It faults, whatever its only instruction that is executed is taken for: nothing else is expected of it.
    idle = f"  - id: idle\n    level: abi\n    {COVERS}\n    asm: |\n      r0 = *(u64 *)(r3 + 0)\n      exit\n"
    found = bench(
        tmp_path, WEAK, f"{idle}    expect: {{faulted: out-of-bounds}}\n", *map(refused, *zip(*REFUSED, strict=True))
    )
    assert list(idle_vectors(found, found.vectors)) == ["two-faults"]


def test_whole_programs_are_run_only_where_effects_differ(tmp_path: Path) -> None:
    """The shortcut never hides a kill."""
    memory = '    memory: "00112233445566778899aabbccddeeff"\n'
    asm = "r3 = r1\nr4 = 9\nr2 = *(u16 *)(r3 + 5)\nr4 += r2\n*(u32 *)(r3 + 8) = r4\n"
    asm += "r5 = 2\nr0 = *(u8 *)skb[r5 + 1]\nr0 += r4\nexit"
    found = bench(tmp_path, vector("memory", asm, '{r0: "0x6691"}', memory))
    (case,) = found.cases
    for name in ("LDX_MEM_H", "STX_MEM_W", "ADD64_X", "LD_IND_B"):
        row = TABLE.by_name[name]
        recording, known = Recording(row, found.cases, "little"), executions(case, name)
        assert known is not None
        for mutant in mutants_of(row, TABLE):
            differs = Replay(mutant, "little")
            shows = any(differs(execution) for execution in known)
            assert shows or not notices(case, mutant), mutant.id
            assert list(recording.differing(mutant)) == ([case] if shows else []), mutant.id


def test_big_endian_machines_are_tried_where_the_byte_order_matters(tmp_path: Path) -> None:
    asm = "r0 = 0x1122334455667788 ll\nr0 = le16 r0\nexit"
    found = bench(tmp_path, vector("le16", asm, '{r0: {little: "0x7788", big: "0x8877"}}'))
    assert decided(found, "LE16: le16 does nothing").status is Status.KILLED
    without = bench(tmp_path, vector("little", "r0 = 0x7777 ll\nr0 = le16 r0\nexit", '{r0: "0x7777"}'))
    assert decided(without, "LE16: be16 for le16").status is Status.ALIVE


CALLS = vector(
    "calls",
    """
    r6 = 0x1111111122222222 ll
    r7 = 0x3333333344444444 ll
    r8 = 0x5555555566666666 ll
    r9 = 0x7777777788888888 ll
    *(u64 *)(r10 - 8) = 1234
    call local outer
    r1 = *(u64 *)(r10 - 8)
    exit
    outer:
    r6 = 6
    r7 = 7
    r8 = 8
    r9 = 9
    *(u64 *)(r10 - 8) = 5
    call local inner
    r1 = *(u64 *)(r10 - 8)
    r0 += r1
    r0 += r6
    exit
    inner:
    r6 = 60
    *(u64 *)(r10 - 8) = 6
    r0 = 100
    exit
    """,
    '{registers: {r0: "111", r1: "1234", r6: "0x1111111122222222", r7: "0x3333333344444444",'
    ' r8: "0x5555555566666666", r9: "0x7777777788888888"}}',
)


def test_one_vector_of_calls_notices_most_faults_of_frames(tmp_path: Path) -> None:
    (case,) = bench(tmp_path, CALLS).cases
    alive = {fault.what for fault in frame_mutants() if case.passes(case.executable, fault.frames)}
    # These show with more frames than three, or where the first caller's registers are not the innermost one's.
    others = {f"restores r{number} as it was at the first call" for number in (7, 8, 9)}
    sizes = {f"has room for {depth} frames" for depth in (3, 4, 5, 6, 7)}
    assert alive - {what for what in alive if "bytes apart" in what} == others | sizes


BOUNDLESS = [
    ("has memory at address 0", "r3 = 8\nr0 = *(u8 *)(r3 + 0)\nexit", "{faulted: out-of-bounds}"),
    ("never runs out of frames", "f:\ncall local f\nexit", "{rejected: true}"),
]


@pytest.mark.parametrize(("what", "asm", "expect"), BOUNDLESS)
def test_a_machine_without_limits_is_noticed(tmp_path: Path, what: str, asm: str, expect: str) -> None:
    head = f"  - id: endless\n    level: robustness\n    errata: [stack-and-call-depth]\n    {COVERS}\n    asm: |\n"
    lines = "".join(f"      {line}\n" for line in asm.splitlines())
    file = write(tmp_path, f"{head}{lines}    expect: {expect}\n")
    findings = survey(Scope((file,), ("CALL_LOCAL",))).findings
    assert {one.id for one in findings if one.instruction == FRAMES and one.killers} == {what}


LEAKING = [
    ("does not clear the stack for a program", "r0 = *(u64 *)(r10 - 8)\\nexit"),
    ("does not clear the registers for a program", "r0 = r7\\nexit"),
    ("has memory around the stack, which is never the same", "r0 = *(u8 *)(r10 + 0)\\nexit"),
]


@pytest.mark.parametrize(("what", "asm"), LEAKING)
def test_a_machine_that_hands_something_on_is_noticed(tmp_path: Path, what: str, asm: str) -> None:
    head = f"    level: robustness\n    errata: [stack-and-call-depth]\n    {COVERS}\n"
    entries = [
        f'  - id: {name}\n{head}    asm: "{text}"\n    expect: {{steady: true}}\n'
        for name, text in {"reads": asm, "sets": "r0 = 7\\nexit"}.items()
    ]
    file = write(tmp_path, *entries)
    findings = survey(Scope((file,), ("CALL_LOCAL",))).findings
    assert {(one.id, one.killers) for one in findings if one.instruction == FRAMES and one.killers} == {
        (what, ("reads",))
    }
    assert list(idle_vectors(bench(tmp_path, *entries), ["reads", "sets"])) == ["sets"]


def test_counting_instructions_shows_where_a_jump_leads_over_a_wide_one(tmp_path: Path) -> None:
    wide = vector("wide", "r0 = 1\ngoto +2\nr0 = 2 ll\nexit\nr0 = 3\nexit", '{r0: "1"}')
    narrow = vector("narrow", "r0 = 1\ngoto +1\nr0 = 2\nexit", '{r0: "1"}')
    (counting,) = (mutant for mutant in program_mutants(TABLE) if mutant.row == "JA")
    by_name = {case.id: case for case in bench(tmp_path, wide, narrow).cases}
    assert not counting.change(by_name["narrow"])
    case = by_name["wide"]
    assert not case.passes(case.executable.replaced(counting.change(case)))


LOADERS = [
    ("takes the end of the program for an exit", "b700000001000000"),
    ("jumps past the end as if to an exit", "b700000001000000 0500070000000000 9500000000000000"),
    ("jumps before the beginning as if to an exit", "b700000001000000 0500f0ff00000000 9500000000000000"),
    (
        "jumps into second slots, taking them for nothing",
        "0500010000000000 1800000001000000 0000000000000000 9500000000000000",
    ),
    ("takes a missing second slot for zeros", "b700000001000000 1800000001000000"),
    ("ignores bytes after the last slot", {"little": "b7000000010000009500000000000000 00"}),
    ("looks at nothing but imm in second slots", "1800000001000000 b700000007000000 9500000000000000"),
    ("passes over opcodes that it does not know", "b700000001000000 ff00000000000000 9500000000000000"),
    ("passes over calls of functions that are not there", "b700000001000000 8500000063000000 9500000000000000"),
    ("lets ADD64_K write r10 (dst)", "070a000008000000 b700000001000000 9500000000000000"),
]


@pytest.mark.parametrize(("what", "code"), LOADERS)
def test_a_lenient_loader_is_noticed(tmp_path: Path, what: str, code: object) -> None:
    if isinstance(code, dict):
        text = refused("refused", "X").replace(
            '"X"', '{little: "' + code["little"] + '", big: "' + code["little"] + '"}'
        )
    else:
        text = refused("refused", str(code))
    (refusal,) = bench(tmp_path, text).refusals
    (loader,) = (mutant for mutant in loader_mutants(TABLE) if mutant.what == what)
    loads = loader.loads(refusal)
    assert loads is not None
    assert loads != refusal.job.code


ENCODINGS = [
    ("ADD64_K: src = 2 is ignored", "0720000005000000 b700000001000000 9500000000000000"),
    ("EXIT: imm = -1 is ignored", "b700000001000000 95000000ffffffff"),
    ("MOVSX64_8: offset = 9 means 8", "b700000001000000 bf01090000000000 9500000000000000"),
    ("ADD64_X: src = 13 means r5", "b700000001000000 0fd0000000000000 9500000000000000"),
    ("LD_IMM64: offset = 1 of the second slot is ignored", "1800000001000000 0000010000000000 9500000000000000"),
    ("ADD64_K: opcode 0xe7 means 0x07", "e700000005000000 b700000001000000 9500000000000000"),
]


@pytest.mark.parametrize(("name", "code"), ENCODINGS)
def test_a_lenient_decoder_is_noticed(tmp_path: Path, name: str, code: str) -> None:
    row = name.split(":", maxsplit=1)[0]
    found = {
        one.id: one for one in encoding_findings(TABLE, bench(tmp_path, refused("refused", code)), frozenset([row]))
    }
    assert found[name].killers == ("refused",)
    assert sum(finding.status is Status.KILLED for finding in found.values()) < 3


def test_a_decoder_that_overlooks_a_bit_of_a_class_is_noticed(tmp_path: Path) -> None:
    code = "0720000005000000 b700000001000000 9500000000000000"
    findings = encoding_findings(TABLE, bench(tmp_path, refused("refused", code)))
    classes = {one.id: one.killers for one in findings if one.instruction == ENCODING}
    assert {name for name, killers in classes.items() if killers} == {"ALU64: bit 1 of src is ignored"}


def test_a_map_that_is_not_there_is_taken_for_another(tmp_path: Path) -> None:
    asm = "r1 = map_val(map_by_fd(3)) + 0\nr0 = *(u8 *)(r1 + 0)\nexit"
    found = bench(tmp_path, vector("missing", asm, "{rejected: true}", '    maps: ["01"]\n    level: abi\n'))
    (loader,) = (mutant for mutant in loader_mutants(TABLE) if mutant.what.startswith("takes maps"))
    (refusal,) = found.refusals
    loads = loader.loads(refusal)
    assert loads is not None
    assert [loads[4:8], refusal.job.code[4:8]] == [bytes(4), b"\x03\0\0\0"]


def test_no_encoding_mutant_concerns_a_program_that_is_right() -> None:
    for mutant in encoding_mutants(TABLE):
        if mutant.value is None:
            rules = [row.fields[mutant.field] for row in TABLE.by_opcode[mutant.opcode]]
            assert all(isinstance(rule, Fixed) for rule in rules)
        elif mutant.field == "opcode" and not mutant.second:
            assert mutant.value not in TABLE.by_opcode
        elif not mutant.second:
            assert not mutant.row.fields[mutant.field].admits(mutant.value)
