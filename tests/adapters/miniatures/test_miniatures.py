# SPDX-License-Identifier: Apache-2.0
"""Miniatures have their fault where it should be, and are right elsewhere; files of the museum are checked."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from bpf_isa.adapters.miniatures.calls import CONVENTIONS
from bpf_isa.adapters.miniatures.catalogue import open_miniature
from bpf_isa.adapters.miniatures.loading import MENDS
from bpf_isa.adapters.miniatures.miniature import Miniature, MiniatureAdapter
from bpf_isa.adapters.miniatures.museum import Bug, MuseumError, bugs, read
from bpf_isa.adapters.miniatures.rows import Accepted, Fault, Refused, condition
from bpf_isa.adapters.protocol import Job, Outcome, OutcomeKind, Unavailable
from bpf_isa.conformance.cli import main
from bpf_isa.conformance.suite.suite import VECTORS
from bpf_isa.reference_vm.contexts.context import context
from bpf_isa.reference_vm.verifier.structural import RULES
from bpf_isa.spec.asm.assemble import assemble
from bpf_isa.spec.errors import InputError
from bpf_isa.spec.table import isa

SUBTRACTS = Fault("ADD64_K", "replace", (r"\+", "-"))


def outcome(miniature: Miniature, code: str | bytes) -> Outcome:
    program = assemble(code) if isinstance(code, str) else code
    with MiniatureAdapter(miniature, "test", "little") as adapter:
        (found,) = adapter.run([Job("test", program, "little", frozenset(), frozenset({"r0"}))])
    return found


@pytest.mark.parametrize(
    ("miniature", "expected"),
    [
        (Miniature(), 3),
        (Miniature((SUBTRACTS,)), -3),
        (Miniature((SUBTRACTS._replace(when=(condition("imm == 2"),)),)), -1),
        (Miniature((SUBTRACTS,), (context("before: move64"),)), 1),
        (Miniature((SUBTRACTS,), (context("before: move64"), context("imm: 2"))), 3),
        (Miniature((Fault("ADD64_K", "means", ("dst = 7",)),)), 7),
        (Miniature((Fault("ADD(64)_K", "like", (r"MOV\1_K",)),)), 2),
        (Miniature((Fault("ADD64_K", "then", ("r0 = 9",)),)), 9),
    ],
)
def test_a_fault_is_where_it_should_be(miniature: Miniature, expected: int) -> None:
    found = outcome(miniature, "r0 = 0\nr0 += 1\nr0 += 2\nexit\n")
    assert found.r0 == expected % (1 << 64)


def test_what_is_accepted_runs() -> None:
    stray = bytes.fromhex("b70000002a000000 9500000001000000")
    assert outcome(Miniature(), stray).kind is OutcomeKind.REJECTED
    assert outcome(Miniature(accepts=(Accepted("EXIT", "imm", None),)), stray).r0 == 42
    assert outcome(Miniature(accepts=(Accepted("EXIT", "imm", (1, 2)),)), stray).r0 == 42
    assert outcome(Miniature(accepts=(Accepted("EXIT", "imm", (2,)),)), stray).kind is OutcomeKind.REJECTED


def test_a_field_that_selects_is_not_freed() -> None:
    """An offset of 1 makes a division signed: that of the unsigned one does not become free."""
    free = Miniature(accepts=(Accepted(r"\w+", "offset", None),))
    text = "r0 = -7\nr0 s/= 2\nexit\n"
    assert outcome(free, text).r0 == (-3) % (1 << 64)


def test_what_is_refused_does_not_run() -> None:
    text = "r0 = 0\nr0 += 1\nexit\n"
    assert outcome(Miniature(refuses=(Refused("ADD64_K"),)), text).kind is OutcomeKind.REJECTED
    assert outcome(Miniature(refuses=(Refused("ADD64_K", (condition("imm == 2"),)),)), text).r0 == 1
    back = "goto to\nfrom: exit\nto: r0 = 5\ngoto from\n"
    assert outcome(Miniature(), back).r0 == 5
    assert outcome(Miniature(ends_with="EXIT"), back).kind is OutcomeKind.REJECTED


@pytest.mark.parametrize(
    ("rule", "code", "expected"),
    [
        (
            "jump-into-second-slot",
            "0500010000000000 1800000001000000 0000000002000000 b700000007000000 9500000000000000",
            7,
        ),
        ("malformed-second-slot", "1800000001000000 0001000000000000 9500000000000000", 1),
        ("jump-out-of-range", "b700000007000000 0500000000000000", 7),
        ("falls-off-the-end", "b700000007000000", 7),
    ],
)
def test_a_loader_that_forgives(rule: str, code: str, expected: int) -> None:
    program = bytes.fromhex(code)
    assert outcome(Miniature(), program).kind is OutcomeKind.REJECTED
    assert outcome(Miniature(forgives=frozenset([rule])), program).r0 == expected
    others = frozenset(MENDS) - {rule, "jump-out-of-range", "falls-off-the-end"}
    assert outcome(Miniature(forgives=others), program).kind is OutcomeKind.REJECTED


def test_the_rules_that_loaders_forgive_exist() -> None:
    assert set(MENDS) <= set(RULES)


@pytest.mark.parametrize(
    ("calls", "expected"), [("shared-stack", 2), ("nothing-preserved", 5), ("signed-result", -1), ("low-stack", None)]
)
def test_faulty_calls(calls: str, expected: int | None) -> None:
    texts = {
        "shared-stack": "*(u64 *)(r10 - 8) = 1\ncall local f\nr0 = *(u64 *)(r10 - 8)\nexit\n"
        "f: *(u64 *)(r10 - 8) = 2\nr0 = 0\nexit\n",
        "nothing-preserved": "r6 = 4\ncall local f\nr0 = r6\nexit\nf: r6 = 5\nr0 = 0\nexit\n",
        "signed-result": "call local f\nexit\nf: w0 = -1\nexit\n",
        "low-stack": "*(u64 *)(r10 - 8) = 1\nr0 = *(u64 *)(r10 - 8)\nexit\n",
    }
    found = outcome(Miniature(frames=CONVENTIONS[calls]), texts[calls])
    assert found.r0 == (None if expected is None else expected % (1 << 64))


def test_conditions_are_read_as_they_are_written() -> None:
    assert condition("imm & 31 == 0") == condition("imm & 0x1f == 0x0")
    assert str(condition("dst == src")) == "dst == src"
    for text in ("imm = 0", "foo == 0", "imm == r0 and"):
        with pytest.raises(InputError, match="is no test of a field"):
            condition(text)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault("ROL64_K", "means", ("dst = 1",)), "no instruction has a name that matches 'ROL64_K'"),
        (Fault("ADD64_K", "replace", ("nothing", "")), "changes nothing in ADD64_K"),
        (Fault("ADD64_K", "like", ("ROL64_K",)), "there is no instruction ROL64_K"),
        (Fault("ADD64_K", "means", ("dst = r11",)), "unknown name 'r11'"),
    ],
)
def test_a_fault_that_is_none(fault: Fault, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Miniature((fault,)).rows()


FILE = """family: F
about: A.
bugs:
  - id: one
    where: here
    fault: F.
    trigger: T.
    triggers: [sign]
    concern: isa
    seen: []
"""
MINIATURE = '    breaks: ["4.1-add"]\n    miniature: {faults: [{rows: ADD64_K, means: "dst = 1"}]}\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FILE, "it says because of what there is none"),
        (FILE + "    because: B.\n", "a bug that concerns the instruction set has a miniature"),
        (FILE + MINIATURE + "    because: B.\n", "it says because of what there is none"),
        (FILE + MINIATURE.replace("means", 'when: ["imm = 1"], means'), "one: 'imm = 1' is no test of a field"),
        (FILE + MINIATURE.replace("]}\n", '], where: ["after: rain"]}\n'), "there is no context 'after: rain'"),
        (FILE + MINIATURE.replace("means", "mean"), "bugs.0.miniature.faults.0"),
        (FILE.replace("F.\n", "F\n") + MINIATURE, "sentences that end with a full stop"),
        (FILE.replace("isa", "ISA") + MINIATURE, "must be one of isa, verifier, platform"),
    ],
)
def test_a_wrong_file_is_refused(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    with pytest.raises(MuseumError, match=message):
        read(file)
    file.write_text(FILE + MINIATURE)
    assert [bug.id for bug in read(file).bugs] == ["one"]


MADE = [bug for bug in bugs().values() if bug.miniature is not None]


@pytest.mark.parametrize("bug", MADE, ids=lambda bug: bug.id)
def test_faulty_rows_are_pseudocode_and_mean_something_else(bug: Bug) -> None:
    assert bug.miniature is not None
    for name, rows in bug.miniature.rows().items():
        for _, row in rows:
            assert row.means != isa().by_name[name].means


DIVISION = ["--vectors", str(VECTORS / "division.yaml"), "-j", "1"]


def test_a_miniature_is_a_runtime_of_the_command_line() -> None:
    result = CliRunner().invoke(main, ["run", "-r", "miniature:modulo-floors", *DIVISION])
    assert result.exit_code == 1
    assert "RFC 9669 section 4.1" in result.output
    assert "smod" in result.output


def test_an_unknown_miniature_is_named() -> None:
    with pytest.raises(
        Unavailable, match=r"miniature:modulo-flor: there is none of this name; of .* the closest are modulo-floors"
    ):
        open_miniature("modulo-flor")
    result = CliRunner().invoke(main, ["run", "-r", "miniature:modulo-flor", *DIVISION])
    assert result.exit_code == 2
    assert "modulo-floors" in result.output
