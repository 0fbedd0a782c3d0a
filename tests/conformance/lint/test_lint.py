# SPDX-License-Identifier: Apache-2.0
"""`bpf-isa lint`: each rule is broken by something, and kept by the vectors of the suite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from bpf_isa.conformance.cli import main
from bpf_isa.conformance.lint import check, programs
from bpf_isa.conformance.lint.check import ABOUT_PROGRAMS, lint
from bpf_isa.conformance.lint.rules import RULES, Finding
from bpf_isa.conformance.suite.canonical import canonical
from bpf_isa.conformance.suite.model import VectorError

HEAD = "# SPDX-License-Identifier: Apache-2.0\nsource: {name: x, method: hand}\nvectors:\n"
GOOD = """\
  - id: add32-k/upper-half
    what: the sum has 32 bits, whatever the upper half held
    covers: [rfc9669-4.1-add]
    asm: |
      r0 = {dst} ll
      w0 += 1
      exit
    cases:
      wraps: {dst: "0xffffffff", r0: "0"}
      dirty: {dst: "0x500000001", r0: "2"}
"""

Linted = Callable[..., list[Finding]]


@pytest.fixture
def linted(tmp_path: Path) -> Linted:
    """Lint a file with these entries; in canonical form, so that nothing is wrong with its form."""

    def run(*entries: str, form: bool = True) -> list[Finding]:
        path = tmp_path / "own.yaml"
        text = HEAD + "".join(entries)
        path.write_text(canonical(text) if form else text, encoding="utf-8")
        return lint([path])[0]

    return run


def rules(findings: list[Finding]) -> set[str]:
    return {finding.rule for finding in findings}


def entry(**fields: str) -> str:
    """The text of an entry: a right one, with some of its fields given."""
    right = {
        "id": "mov32-k/number",
        "what": "the immediate becomes the value",
        "covers": "[rfc9669-4.1-mov]",
        "asm": "|\n      w0 = 7\n      exit",
        "expect": '{r0: "7"}',
    }
    lines = [f"{name}: {text}" for name, text in {**right, **fields}.items() if text]
    return "  - " + "\n    ".join(lines) + "\n"


def test_nothing_is_wrong_with_right_vectors(linted: Linted) -> None:
    assert linted(GOOD, entry()) == []


#: What breaks each rule that is about one entry.
BROKEN = {
    "unknown-requirement": entry(covers="[rfc9669-4.1-addition]"),
    "unknown-erratum": entry(errata="[no-such-erratum]"),
    "id-says-nothing": entry(id="mov32/test-2"),
    "what-missing": entry(what=""),
    "what-test-that": entry(what="Test that the immediate becomes the value"),
    "what-repeats-id": entry(what="MOV32 K number"),
    "expansion": entry(asm="|\n      w0 = {value}\n      exit"),
    "wrong-expectation": entry(expect='{r0: "8"}'),
    "vacuous": entry(id="add32-k/value", what="the sum is lost", asm="|\n      w1 += 2\n      w0 = 7\n      exit"),
    "unfair-level": entry(asm="|\n      r0 = r2\n      exit", memory='"00*7"'),
    "several-faults": entry(
        asm="",
        code='"ff000000 00000000 b7000000 01000000 ff000000 00000000 95000000 00000000"',
        level="robustness",
        expect="{rejected: true}",
    ),
}
#: Vectors that should be steady, and the rule that each breaks.
STEADY = {
    "|\n      r0 = 7\n      exit": {"vacuous"},
    "|\n      r7 = 1\n      r0 = r7\n      r0 ^= r7\n      exit": {"vacuous"},
    "|\n      if r7 == 0 goto -1\n      r0 = 7\n      exit": {"wrong-expectation"},
    "|\n      r0 = r7\n      exit": set[str](),
    "|\n      r0 = 7\n      if r3 == 5 goto +0\n      exit": set[str](),
    "|\n      r0 = *(u8 *)(r10 - 1)\n      exit": set[str](),
    "|\n      r0 = *(u8 *)(r10 + 1)\n      exit": set[str](),
}


@pytest.mark.parametrize(("asm", "broken"), STEADY.items())
def test_a_steady_program_reads_what_was_not_written(asm: str, broken: set[str], linted: Linted) -> None:
    assert rules(linted(entry(asm=asm, expect="{steady: true}", level="robustness"))) == broken


#: Levels that do not agree with the rest of the entry.
LEVELS = {
    "interpretation without an erratum": entry(level="interpretation"),
    "interpretation of what another sentence settles": entry(level="interpretation", errata="[alu32-upper-half]"),
    "extension without a name": entry(level="extension"),
    "a name without the level": entry(extension="linux"),
    "a result of what is undefined": entry(level="robustness"),
    "a fault that the RFC does not define": entry(expect="{faulted: budget}"),
    "what nothing can test": entry(covers="[rfc9669-2.1-widths]"),
}


_SPILL = "|\n      *(u64 *)(r10 - 8) = 7\n      r0 = *(u64 *)(r10 - 8)\n      exit"
#: Levels above what is relied on, cited or covered, and what is relied on without being cited.
UNFAIR = {
    "relies on the stack: by the erratum stack-and-call-depth its level is abi at most": entry(asm=_SPILL),
    "relies on the stack and does not cite the erratum stack-and-call-depth": entry(asm=_SPILL, level="abi"),
    "relies on a register that nothing was put into, which nothing promises": entry(
        asm="|\n      r0 = 7\n      if r3 == 5 goto +0\n      exit", level="abi", errata="[program-entry]"
    ),
    "cites the erratum calling-convention, by which its level is abi at most": entry(errata="[calling-convention]"),
    "covers rfc9669-4.2-end-zero-extends, which is an interpretation (erratum end-clears-upper-bits)": entry(
        covers="[rfc9669-4.2-end-zero-extends]"
    ),
}


@pytest.mark.parametrize(("message", "text"), UNFAIR.items())
def test_a_level_is_not_above_what_is_relied_on(message: str, text: str, linted: Linted) -> None:
    findings = linted(GOOD, text)
    assert rules(findings) == {"unfair-level"}
    assert any(message in finding.message for finding in findings)


@pytest.mark.parametrize("rule", BROKEN)
def test_a_rule_about_an_entry_can_be_broken(rule: str, linted: Linted) -> None:
    findings = linted(GOOD, BROKEN[rule])
    assert rules(findings) == {rule}
    (finding,) = findings
    assert finding.vector is not None
    assert Path(finding.file).read_text(encoding="utf-8").splitlines()[finding.line - 1].startswith("  - id: ")
    assert finding.vector not in GOOD


@pytest.mark.parametrize("text", LEVELS.values(), ids=LEVELS)
def test_the_level_must_agree(text: str, linted: Linted) -> None:
    assert rules(linted(text)) == {"level"}


def test_an_id_can_be_taken(linted: Linted) -> None:
    (finding,) = linted(entry(), entry(asm="|\n      r0 = 7\n      exit"))
    assert finding.rule == "unique-id"
    assert "own.yaml:6" in finding.message


def test_a_vector_can_be_another_one(linted: Linted) -> None:
    (finding,) = linted(entry(), entry(id="mov32-k/seven"))
    assert (finding.rule, finding.vector) == ("same-vector", "mov32-k/seven")


def test_a_file_can_be_out_of_form(linted: Linted) -> None:
    (finding,) = linted(entry(), form=False)
    assert (finding.rule, finding.line, finding.vector) == ("canonical-form", 2, None)
    findings = linted(entry(what="a sentence  # and a remark"), form=False)
    assert [finding.message for finding in findings if "a line of its own" in finding.message]


@pytest.mark.parametrize(("rule", "text"), [("yaml", "  - id: [\n"), ("schema", entry(colour="red"))])
def test_a_file_can_be_unreadable(rule: str, text: str, linted: Linted) -> None:
    (finding,) = linted(text, form=False)
    assert finding.rule == rule


def test_a_program_can_change_on_its_way_through_the_assembler(linted: Linted, monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(*arguments: object) -> str:
        return "exit\n"

    monkeypatch.setattr(programs, "disassemble", forgetful)
    assert "round-trip" in rules(linted(entry()))


def test_every_rule_is_broken_here() -> None:
    elsewhere = {"yaml", "schema", "canonical-form", "unique-id", "same-vector", "level", "round-trip"}
    assert BROKEN.keys() | elsewhere == RULES.keys()
    assert RULES.keys() >= ABOUT_PROGRAMS


# What is not wrong


@pytest.mark.parametrize(
    "statements",
    [
        ["r0 = 0", "if r0 == 0 goto +0", "r0 += 1", "exit"],
        ["r1 = r10", "r2 = r10", "r1 += r10", "r2 += r10", "r1 -= r2", "r0 = 1", "r0 += r1", "exit"],
        ["r0 = 1", "goto next", "next:", "exit"],
        ["call double", "r0 = 1", "exit", "double:", "r1 = 3", "exit"],
    ],
    ids=["a condition that leads nowhere", "twice the same", "a jump that leads nowhere", "a call for its own sake"],
)
def test_a_program_whose_point_is_that_nothing_happens_is_not_vacuous(statements: list[str], linted: Linted) -> None:
    text = entry(id="registers/are-kept", asm="\n      ".join(["|", *statements]), expect='{r0: "1"}')
    assert "vacuous" not in rules(linted(GOOD, text))


@pytest.mark.parametrize(
    "code",
    [
        '"9500000000000000 18000000010000000100000000000000"',
        '"0500050000000000 9500000000000000"',
        '"b700000001000000"',
        '{little: "b700000001000000 95", big: "b700000000000001 95"}',
        '""',
    ],
)
def test_one_fault_is_one_fault_wherever_it_shows(code: str, linted: Linted) -> None:
    fields = {"level": "robustness", "expect": "{rejected: true}"}
    assert linted(entry(id="malformed/so", asm="", code=code, **fields)) == []


# The suite


# The command


def test_the_command_prints_findings_and_their_number(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(canonical(HEAD + BROKEN["wrong-expectation"]), encoding="utf-8")
    result = CliRunner().invoke(main, ["lint", str(path), "-j", "1"])
    assert result.exit_code == 1
    first, last = result.output.splitlines()
    assert first == f"{path}:6: mov32-k/number: the reference VM does something else (big-endian) [wrong-expectation]"
    assert last == "1 vectors: 1 finding"
    other = CliRunner().invoke(main, ["lint", str(path), "--rule", "vacuous", "-j", "1"])
    assert (other.exit_code, other.output) == (0, "1 vectors: no findings\n")


def test_the_command_lists_rules_and_knows_no_others() -> None:
    result = CliRunner().invoke(main, ["lint", "--list"])
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.output.splitlines()] == list(RULES)
    unknown = CliRunner().invoke(main, ["lint", "--rule", "taste"])
    assert unknown.exit_code == 2
    assert "the rules are yaml, schema" in unknown.output


def test_a_missing_file_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(VectorError):
        lint([tmp_path / "missing.yaml"])
    assert CliRunner().invoke(main, ["lint", str(tmp_path / "missing.yaml")]).exit_code == 2


def test_several_processes_find_what_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(canonical(HEAD + GOOD + BROKEN["wrong-expectation"] + BROKEN["vacuous"]), encoding="utf-8")
    alone = lint([path])
    monkeypatch.setattr(check, "_CHUNK", 2)
    assert lint([path], processes=2) == alone
    assert len(alone[0]) == 2
